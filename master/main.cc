// The program: reads what is asked for, puts master and worker together, and leaves with the right exit code.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iostream>

#include "common/address.h"
#include "common/config_load.h"
#include "common/config_print.h"
#include "common/inherited_fds.h"
#include "common/log.h"
#include "common/process_title.h"
#include "common/scoreboard.h"
#include "master/command_line.h"
#include "master/control_path.h"
#include "master/control_socket.h"
#include "master/listeners.h"
#include "master/master.h"
#include "master/open_files_limit.h"
#include "master/usable_cpus.h"
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

common::Result<std::vector<common::Address>> parse_addresses(const std::vector<std::string>& texts) {
  std::vector<common::Address> addresses;
  for (const std::string& text : texts) {
    auto address = common::Address::parse(text);
    if (!address) return std::unexpected(address.error());
    addresses.push_back(*address);
  }
  return addresses;
}

// Everything is opened here, in the order in which it can fail most usefully, and owned by this frame.
int run(common::Config config, const master::Environment& environment, std::vector<int> inherited) {
  common::log_identity("master");
  if (auto usable = worker::probe_ring(); !usable) return cannot_start(usable.error().message);

  auto open_files = master::raise_open_files(config.limits.open_files);
  if (!open_files) return cannot_start(open_files.error().message);
  const master::ConnectionBudget budget = master::decide_connections({.open_files_soft = open_files->soft,
                                                                      .reserve = config.limits.open_files_reserve,
                                                                      .configured = config.limits.connections});
  for (const auto& warning : {open_files->warning, budget.warning}) {
    if (warning) common::log(common::LogLevel::kWarn, *warning);
  }
  if (config.workers.count == 0) config.workers.count = std::min(master::usable_cpus(), common::kWorkersMax);
  if (const auto refused =
          master::refuse_open_files(open_files->soft, config.workers.count, config.listen.bind.size())) {
    return cannot_start(*refused);
  }
  common::log(common::LogLevel::kInfo, "starting",
              {{"app", config.app_path},
               {"workers", config.workers.count},
               {"open_files_soft", open_files->soft},
               {"open_files_hard", open_files->hard},
               {"connections_per_worker", master::arithmetic_of(budget)}});

  master::block_master_signals();
  if (config.control.socket.empty()) {
    config.control.socket = master::default_control_path(config.app_path, environment);
  }
  auto control = master::ControlSocket::open(config.control.socket, config.control.mode);
  if (!control) return cannot_start(control.error().message);
  const auto addresses = parse_addresses(config.listen.bind);
  if (!addresses) return cannot_start(addresses.error().message);
  auto listeners = master::Listeners::open(*addresses, config.workers.count, config.listen.backlog,
                                           master::Listeners::kPredecessorPatience, config.listen.steering);
  if (!listeners) return cannot_start(listeners.error().message);
  auto scoreboard = common::Scoreboard::create();
  if (!scoreboard) return cannot_start(scoreboard.error().message);

  const pid_t master_pid = getpid();
  const auto become_template = [&](common::Channel channel, std::uint32_t generation) {
    std::vector<common::OwnedPath> paths = listeners->owned_paths();
    paths.push_back(control->owned_path());
    worker::run_template({.channel = std::move(channel),
                          .config = config,
                          .scoreboard = *scoreboard,
                          .generation = generation,
                          .connections_max = budget.connections,
                          .inherited_fds = inherited,
                          .paths = std::move(paths),
                          .master = master_pid});
  };
  common::process_title_set("supervisor: master " + config.app_path);
  master::Master service({.config = config,
                          .scoreboard = *scoreboard,
                          .listeners = *listeners,
                          .control = *control,
                          .open_files = *open_files,
                          .budget = budget,
                          .template_main = become_template});
  const auto exit_code = service.run();
  return exit_code ? *exit_code : cannot_start(exit_code.error().message);
}

int check(const common::Config& config) {
  const auto name = worker::check_application(config);
  if (!name) {
    std::cerr << "supervisor: " << name.error().message << '\n';
    return kExitCannotStart;
  }
  std::cout << "configuration and application are valid: " << *name << '\n';
  return 0;
}

int serve(const master::ServerCommand& command, const master::Environment& environment, std::vector<int> inherited) {
  const auto loaded = common::load_config(command.sources);
  if (!loaded) {
    for (const std::string& mistake : loaded.error()) std::cerr << "supervisor: " << mistake << '\n';
    return kExitCannotStart;
  }
  common::log_start(loaded->config.log.level, loaded->config.log.format);
  switch (command.verb) {
    case master::ServerVerb::kRun: return run(loaded->config, environment, std::move(inherited));
    case master::ServerVerb::kCheck: return check(loaded->config);
    case master::ServerVerb::kConfig: std::cout << common::print_config(*loaded); return 0;
  }
  return kExitCannotStart;
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_streams();
  std::signal(SIGCHLD, SIG_DFL);  // inherited as ignored, the kernel would reap our children itself
  std::vector<int> inherited = common::open_descriptors();
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
  return serve(std::get<master::ServerCommand>(command), environment, std::move(inherited));
}
