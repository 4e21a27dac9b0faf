// The program: reads what is asked for, puts master and worker together, and leaves with the right exit code.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <utility>

#include "common/config_load.h"
#include "common/config_print.h"
#include "common/inherited_fds.h"
#include "common/log.h"
#include "common/process_title.h"
#include "master/accounts.h"
#include "master/command_line.h"
#include "master/foundation.h"
#include "master/master.h"
#include "master/needed_capabilities.h"
#include "master/program_image.h"
#include "worker/app_check.h"
#include "worker/ring.h"
#include "worker/template.h"

namespace {

constexpr int kExitCannotStart = 1;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int cannot_start(const std::string& message) {
  common::log(common::LogLevel::kError, message);
  return kExitCannotStart;
}

// Started with one of them closed, the next socket would take its number, and the log would be written into it.
void open_standard_streams() {
  for (int fd = open("/dev/null", O_RDWR); fd >= 0; fd = open("/dev/null", O_RDWR)) {
    if (fd <= STDERR_FILENO) continue;
    close(fd);
    return;
  }
}

// When all is done that needs more of root than looking after workers does.
common::Result<void> give_up_privileges(const common::Privileges& privileges) {
  const auto held = common::own_capabilities();
  if (!held) return std::unexpected(held.error());
  const std::string missing = master::missing_capabilities(privileges, *held);
  if (!missing.empty()) common::log(common::LogLevel::kWarn, missing);
  return master::keep_needed_capabilities(privileges);
}

struct Start {
  const common::Sources& sources;
  master::ProgramImage program;
  std::vector<int> inherited;  // sorted
};

// Everything the master needs is owned by this frame.
int run(master::Foundation foundation, Start start) {
  const common::Privileges privileges = foundation.first.privileges;
  const std::string app_path = foundation.first.config.app_path;
  const pid_t master_pid = getpid();
  if (foundation.predecessor) start.inherited = foundation.predecessor->handover.inherited;
  const auto become_template = [&](common::Channel channel, master::Generation generation,
                                   const master::GenerationParts& parts) {
    common::log_start(parts.config.log.level, parts.config.log.format);
    std::vector<common::OwnedPath> paths = foundation.listeners.owned_paths();
    paths.push_back(foundation.control.owned_path());
    worker::run_template({.channel = std::move(channel),
                          .config = parts.config,
                          .scoreboard = foundation.scoreboard,
                          .generation = generation,
                          .connections_max = parts.budget.connections,
                          .inherited_fds = start.inherited,
                          .paths = std::move(paths),
                          .privileges = parts.privileges,
                          .master = master_pid});
  };
  const auto load_again = [&start]() -> std::expected<common::Config, std::vector<std::string>> {
    auto loaded = common::load_config(start.sources);
    if (!loaded) return std::unexpected(loaded.error());
    return std::move(loaded->config);
  };
  if (auto kept = give_up_privileges(privileges); !kept) return cannot_start(kept.error().message);
  common::process_title_set("supervisor: master " + app_path);
  master::Master service({.first = std::move(foundation.first),
                          .scoreboard = foundation.scoreboard,
                          .listeners = foundation.listeners,
                          .control = foundation.control,
                          .open_files = foundation.open_files,
                          .template_main = become_template,
                          .load_config = load_again,
                          .program = std::move(start.program),
                          .inherited = start.inherited,
                          .predecessor = std::exchange(foundation.predecessor, std::nullopt)});
  const auto exit_code = service.run();
  return exit_code ? *exit_code : cannot_start(exit_code.error().message);
}

int begin(common::Config config, const master::Environment& environment, Start start) {
  common::log_identity("master");
  if (auto usable = worker::probe_ring(); !usable) return cannot_start(usable.error().message);
  auto foundation = master::lay_foundation(std::move(config), environment);
  if (!foundation) return cannot_start(foundation.error().message);
  return run(std::move(*foundation), std::move(start));
}

int go_on(int handover, Start start) {
  common::log_identity("master");
  auto foundation = master::take_over(handover);
  close(handover);
  if (!foundation) return cannot_start(foundation.error().message);
  common::log_start(foundation->first.config.log.level, foundation->first.config.log.format);
  return run(std::move(*foundation), std::move(start));
}

// Asked by the running master, in a child that has copies of all its descriptors. What they stand for stays untouched.
[[noreturn]] void check_handover(const char* handover) {
  const auto foundation = master::take_over(std::atoi(handover));
  if (foundation) {
    std::cout << master::kCheckPassed << std::flush;
  } else {
    std::cerr << foundation.error().message << std::endl;
  }
  _exit(foundation ? 0 : kExitCannotStart);
}

int check(const common::Config& config) {
  const auto privileges = master::resolve_privileges(config.security);
  if (!privileges) {
    std::cerr << "supervisor: " << privileges.error().message << '\n';
    return kExitCannotStart;
  }
  const auto name = worker::check_application(config, *privileges);
  if (!name) {
    std::cerr << "supervisor: " << name.error().message << '\n';
    return kExitCannotStart;
  }
  std::cout << "configuration and application are valid: " << *name << '\n';
  return 0;
}

int serve(const master::ServerCommand& command, const master::Environment& environment, Start start) {
  const auto loaded = common::load_config(command.sources);
  if (!loaded) {
    for (const std::string& mistake : loaded.error()) std::cerr << "supervisor: " << mistake << '\n';
    return kExitCannotStart;
  }
  common::log_start(loaded->config.log.level, loaded->config.log.format);
  switch (command.verb) {
    case master::ServerVerb::kRun: return begin(loaded->config, environment, std::move(start));
    case master::ServerVerb::kCheck: return check(loaded->config);
    case master::ServerVerb::kConfig: std::cout << common::print_config(*loaded); return 0;
  }
  return kExitCannotStart;
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_streams();
  std::signal(SIGCHLD, SIG_DFL);  // inherited as ignored, the kernel would reap our children itself
  if (argc == 3 && argv[1] == master::kCheckVerb) check_handover(argv[2]);
  std::vector<int> inherited = common::open_descriptors();
  const std::optional<int> handover = master::handed_over();
  master::ProgramImage program = master::own_program(argc, argv);
  const master::Environment environment{.supervisor_args = variable("SUPERVISOR_ARGS"),
                                        .runtime_directory = variable("RUNTIME_DIRECTORY"),
                                        .xdg_runtime_dir = variable("XDG_RUNTIME_DIR")};
  const master::Command command = master::parse_command_line(argc, argv, environment);
  if (const auto* farewell = std::get_if<master::Farewell>(&command)) {
    (farewell->stream == master::OutputStream::kOutput ? std::cout : std::cerr) << farewell->text;
    return farewell->exit_code;
  }
  if (const auto* request = std::get_if<master::ClientRequest>(&command)) return master::run_client_verb(*request);
  common::process_title_start(argc, argv);
  const auto& server = std::get<master::ServerCommand>(command);
  Start start{.sources = server.sources, .program = std::move(program), .inherited = std::move(inherited)};
  if (handover) return go_on(*handover, std::move(start));
  return serve(server, environment, std::move(start));
}
