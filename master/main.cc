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
#include "common/config_schema.h"
#include "common/inherited_fds.h"
#include "common/log.h"
#include "common/process_title.h"
#include "master/accounts.h"
#include "master/command_line.h"
#include "master/counter_store.h"
#include "master/foundation.h"
#include "master/inherited_sockets.h"
#include "master/master.h"
#include "master/needed_capabilities.h"
#include "master/program_image.h"
#include "master/service_notices.h"
#include "master/service_teller.h"
#include "master/systemd.h"
#include "worker/app_check.h"
#include "worker/ring.h"
#include "worker/template.h"

namespace {

constexpr int kExitCannotStart = 1;

enum class Unconfigured { kDefault, kActivated };  // listen.bind, if nobody has set it

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The reason stays to be seen in the status of the unit, when the log has long moved on.
void tell_failure(master::Systemd& systemd, const std::string& message) {
  systemd.tell(master::status_words("cannot start: " + message));
}

int cannot_start(master::Systemd& systemd, const std::string& message) {
  common::log(common::LogLevel::kError, common::LogEvent::kCannotStart, message);
  tell_failure(systemd, message);
  return kExitCannotStart;
}

// Before there is a configuration, and so a form of the log: by itself it would be this one.
void begin_log() {
  if (common::log_descriptor() >= 0) return;
  if (!common::is_journal_stream(variable("JOURNAL_STREAM"), STDERR_FILENO) || !common::reach_journal()) return;
  common::log_start(common::LogLevel::kInfo, common::LogFormat::kJournal);
}

int cannot_begin(const std::vector<std::string>& mistakes) {
  begin_log();
  for (const std::string& mistake : mistakes) {
    if (common::log_descriptor() >= 0) {
      common::log(common::LogLevel::kError, common::LogEvent::kCannotStart, mistake);
    } else {
      std::cerr << "supervisor: " << mistake << '\n';
    }
  }
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
  if (!missing.empty()) common::log(common::LogLevel::kWarn, common::LogEvent::kRightsMissing, missing);
  return master::keep_needed_capabilities(privileges);
}

// Nobody says where the lines go, and standard error leads to the journal: it gets records with fields instead.
void choose_log_format(common::LoadedConfig& loaded) {
  std::string& origin = loaded.origins[common::find_setting("log.format").value()];
  if (origin != "default" || !common::is_journal_stream(variable("JOURNAL_STREAM"), STDERR_FILENO)) return;
  // From the start on the choice stands: that the journal is away for a moment is no reason to change it.
  if (common::log_descriptor() < 0 && !common::reach_journal()) return;
  loaded.config.log.format = common::LogFormat::kJournal;
  origin = "default with JOURNAL_STREAM";
}

// Who was passed sockets and was not told where to listen, listens on those.
std::expected<common::LoadedConfig, std::vector<std::string>> load_config(const common::Sources& sources,
                                                                          Unconfigured bind) {
  auto loaded = common::load_config(sources);
  if (!loaded) return loaded;
  choose_log_format(*loaded);
  if (bind == Unconfigured::kDefault) return loaded;
  std::string& origin = loaded->origins[common::find_setting("listen.bind").value()];
  if (origin == "default") {
    loaded->config.listen.bind = {"systemd"};
    origin = "default with LISTEN_FDS";
  }
  return loaded;
}

// What whoever started us has passed.
struct Passed {
  master::InheritedSockets sockets;
  master::KeptCounters counters;
};

struct Start {
  const common::Sources& sources;
  master::Systemd& systemd;
  master::ProgramImage program;
  std::vector<int> inherited;  // sorted
};

// Everything the master needs is owned by this frame.
int run(master::Foundation foundation, Start start) {
  if (start.systemd.listens()) foundation.listeners.keep_paths();
  const master::ServiceTotals totals = foundation.counters.totals;
  master::ServiceTeller service_teller(start.systemd, foundation.stored, std::move(foundation.counters));
  const common::Privileges privileges = foundation.first.privileges;
  const std::string app_path = foundation.first.config.app_path;
  const pid_t master_pid = getpid();
  if (foundation.predecessor) start.inherited = foundation.predecessor->handover.inherited;
  const auto become_template = [&](common::Channel channel, master::Generation generation,
                                   const master::GenerationParts& parts) {
    master::Systemd::hide();
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
  const auto load_again = [&]() -> std::expected<common::Config, std::vector<std::string>> {
    const bool is_activated = foundation.listeners.any_activated();
    auto loaded = load_config(start.sources, is_activated ? Unconfigured::kActivated : Unconfigured::kDefault);
    if (!loaded) return std::unexpected(loaded.error());
    if (loaded->config.log.format == common::LogFormat::kJournal && common::log_descriptor() < 0) {
      if (auto reached = common::reach_journal(); !reached)
        return std::unexpected(std::vector{reached.error().message});
    }
    return std::move(loaded->config);
  };
  if (auto kept = give_up_privileges(privileges); !kept) return cannot_start(start.systemd, kept.error().message);
  common::process_title_set("supervisor: master " + app_path);
  master::Master service({.first = std::move(foundation.first),
                          .scoreboard = foundation.scoreboard,
                          .listeners = foundation.listeners,
                          .control = foundation.control,
                          .service = service_teller,
                          .totals = totals,
                          .open_files = foundation.open_files,
                          .template_main = become_template,
                          .load_config = load_again,
                          .program = std::move(start.program),
                          .inherited = start.inherited,
                          .predecessor = std::exchange(foundation.predecessor, std::nullopt)});
  const auto exit_code = service.run();
  return exit_code ? *exit_code : cannot_start(start.systemd, exit_code.error().message);
}

int begin(common::Config config, const master::Environment& environment, Passed passed, Start start) {
  common::log_identity({.kind = common::ProcessKind::kMaster});
  if (auto usable = worker::probe_ring(); !usable) return cannot_start(start.systemd, usable.error().message);
  start.systemd.tell(master::extension_words());  // a predecessor may hold an address for a while
  auto foundation =
      master::lay_foundation(std::move(config), environment, std::move(passed.sockets), std::move(passed.counters));
  if (!foundation) return cannot_start(start.systemd, foundation.error().message);
  std::erase_if(start.inherited, [&](int fd) { return foundation->listeners.holds(fd); });
  return run(std::move(*foundation), std::move(start));
}

int go_on(int handover, Start start) {
  common::log_identity({.kind = common::ProcessKind::kMaster});
  master::block_master_signals();  // a shell that executed us may have unblocked them, and the next one would end us
  auto foundation = master::take_over(handover, master::Purpose::kServe);
  close(handover);
  if (!foundation) return cannot_start(start.systemd, foundation.error().message);
  common::log_start(foundation->first.config.log.level, foundation->first.config.log.format);
  return run(std::move(*foundation), std::move(start));
}

master::Environment own_environment() {
  return {.supervisor_args = variable("SUPERVISOR_ARGS"),
          .runtime_directory = variable("RUNTIME_DIRECTORY"),
          .xdg_runtime_dir = variable("XDG_RUNTIME_DIR")};
}

// Asked by the running master, in a child that has copies of all its descriptors. What they stand for stays untouched.
// Behind its own two words are the arguments that the program will be executed with.
[[noreturn]] void check_handover(int argc, char** argv) {
  std::vector<const char*> arguments = {argv[0]};
  arguments.insert(arguments.end(), argv + 3, argv + argc);
  const master::Command command =
      master::parse_command_line(static_cast<int>(arguments.size()), arguments.data(), own_environment());
  const auto* const server = std::get_if<master::ServerCommand>(&command);
  if (server == nullptr || server->verb != master::ServerVerb::kRun) {
    const auto* const farewell = std::get_if<master::Farewell>(&command);
    std::cerr << "hand-over: its arguments: " << (farewell != nullptr ? farewell->text : "no service to run")
              << std::endl;
    _exit(kExitCannotStart);
  }
  const auto foundation = master::take_over(std::atoi(argv[2]), master::Purpose::kCheck);
  if (foundation) {
    std::cout << master::kCheckPassed << std::flush;
  } else {
    std::cerr << foundation.error().message << std::endl;
  }
  _exit(foundation ? 0 : kExitCannotStart);
}

int check(const common::Config& config) {
  master::Systemd::hide();
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

common::Result<Passed> receive(Start& start) {
  auto passed = start.systemd.receive_sockets();
  if (!passed) return std::unexpected(passed.error());
  begin_log();  // not earlier: until then nothing is opened
  // They are ours, not the application's. Some are closed soon, and their numbers become something else's.
  for (const master::PassedSocket& socket : *passed) std::erase(start.inherited, socket.fd.get());
  master::KeptCounters counters = master::take_counters(*passed);
  auto sockets = master::InheritedSockets::examine(std::move(*passed));
  if (!sockets) return std::unexpected(sockets.error());
  return Passed{.sockets = std::move(*sockets), .counters = std::move(counters)};
}

int serve(const master::ServerCommand& command, const master::Environment& environment, Start start) {
  const auto fail = [&](const std::vector<std::string>& mistakes) {
    std::string reason;
    for (const std::string& mistake : mistakes) reason += (reason.empty() ? "" : "; ") + mistake;
    if (command.verb == master::ServerVerb::kRun) tell_failure(start.systemd, reason);
    return cannot_begin(mistakes);
  };
  auto passed = receive(start);
  if (!passed) return fail({passed.error().message});
  const auto bind = passed->sockets.any_activated() ? Unconfigured::kActivated : Unconfigured::kDefault;
  const auto loaded = load_config(command.sources, bind);
  if (!loaded) return fail(loaded.error());
  if (loaded->config.log.format == common::LogFormat::kJournal && command.verb == master::ServerVerb::kRun) {
    if (auto reached = common::reach_journal(); !reached) return fail({reached.error().message});
  }
  common::log_start(loaded->config.log.level, loaded->config.log.format);
  switch (command.verb) {
    case master::ServerVerb::kRun: return begin(loaded->config, environment, std::move(*passed), std::move(start));
    case master::ServerVerb::kCheck: return check(loaded->config);
    case master::ServerVerb::kConfig: std::cout << common::print_config(*loaded); return 0;
  }
  return kExitCannotStart;
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_streams();
  std::signal(SIGCHLD, SIG_DFL);  // inherited as ignored, the kernel would reap our children itself
  if (argc >= 3 && argv[1] == master::kCheckVerb) check_handover(argc, argv);
  std::vector<int> inherited = common::open_descriptors();
  const std::optional<int> handover = master::handed_over();
  master::ProgramImage program = master::own_program(argc, argv);
  const master::Environment environment = own_environment();
  const master::Command command = master::parse_command_line(argc, argv, environment);
  if (const auto* farewell = std::get_if<master::Farewell>(&command)) {
    (farewell->stream == master::OutputStream::kOutput ? std::cout : std::cerr) << farewell->text;
    return farewell->exit_code;
  }
  if (const auto* request = std::get_if<master::ClientRequest>(&command)) return master::run_client_verb(*request);
  common::process_title_start(argc, argv);
  const auto& server = std::get<master::ServerCommand>(command);
  master::Systemd systemd;
  Start start{
      .sources = server.sources, .systemd = systemd, .program = std::move(program), .inherited = std::move(inherited)};
  if (handover) return go_on(*handover, std::move(start));
  return serve(server, environment, std::move(start));
}
