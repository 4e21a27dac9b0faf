// Foundation: laying it, and taking it over.
#include "master/foundation.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "common/config_load.h"
#include "common/format.h"
#include "common/log.h"
#include "master/accounts.h"
#include "master/master.h"
#include "master/open_files_limit.h"
#include "master/usable_cpus.h"

namespace master {
namespace {

using common::Result;

ConnectionBudget budget_for(const common::Config& config, const OpenFilesPlan& open_files) {
  return decide_connections({.open_files_soft = open_files.soft,
                             .reserve = config.limits.open_files_reserve,
                             .configured = config.limits.connections});
}

// ---- taking over

std::unexpected<common::Error> not_there(std::string_view what, int fd, std::string_view reason) {
  return common::fail(common::format("hand-over: {}, descriptor {}: {}", what, fd, reason), EBADF);
}

Result<void> keep_to_ourselves(const Handover& handover) {
  for (const int fd : handover.descriptors()) {
    const int flags = fcntl(fd, F_GETFD);
    if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0)
      return not_there("close-on-exec", fd, common::errno_text(errno));
  }
  return {};
}

Result<void> check_socket(std::string_view what, int fd, int option, int expected) {
  int value = 0;
  socklen_t length = sizeof value;
  if (getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0) return not_there(what, fd, common::errno_text(errno));
  if (value != expected) return not_there(what, fd, "a socket of another kind");
  return {};
}

Result<void> check_sockets(const Handover& handover) {
  constexpr int kListens = 1;
  for (const HandedWorker& worker : handover.workers) {
    if (worker.channel < 0) continue;
    if (auto fits = check_socket("a worker's channel", worker.channel, SO_TYPE, SOCK_SEQPACKET); !fits) return fits;
  }
  if (const auto& its = handover.its_template) {
    if (auto fits = check_socket("the template's channel", its->channel, SO_TYPE, SOCK_SEQPACKET); !fits) return fits;
  }
  for (const HandedListener& listener : handover.listeners) {
    for (const int fd : listener.sockets) {
      if (auto fits = check_socket(listener.address, fd, SO_ACCEPTCONN, kListens); !fits) return fits;
    }
  }
  for (const int fd : handover.control_clients) {
    if (auto fits = check_socket("a client of the control socket", fd, SO_TYPE, SOCK_STREAM); !fits) return fits;
  }
  return check_socket("the control socket", handover.control, SO_ACCEPTCONN, kListens);
}

Result<common::Config> read_config(const Handover& handover) {
  const common::UniqueFd file(memfd_create("supervisor-config", MFD_CLOEXEC));
  const std::string& text = handover.config;
  if (!file || write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return common::fail_errno("memfd_create for the configuration", errno);
  }
  auto loaded = common::load_config({.app_path = handover.app_path,
                                     .file = "/proc/self/fd/" + std::to_string(file.get()),
                                     .environment = {},
                                     .command_line = {}});
  if (loaded) return std::move(loaded->config);
  std::string mistakes;
  for (const std::string& mistake : loaded.error()) mistakes += (mistakes.empty() ? "" : "; ") + mistake;
  return common::fail("hand-over: the running configuration: " + mistakes);
}

// The descriptors stay open beside the mappings: the next upgrade needs them. What a worker has written over since the
// check is its own loss.
Result<std::vector<common::WorkerMemory>> map_memories(const Handover& handover, Purpose purpose) {
  std::vector<common::WorkerMemory> memories;
  for (const HandedWorker& worker : handover.workers) {
    common::UniqueFd fd(fcntl(worker.memory, F_DUPFD_CLOEXEC, 0));
    if (!fd) return not_there("a worker's memory", worker.memory, common::errno_text(errno));
    auto memory = common::WorkerMemory::attach(std::move(fd));
    if (!memory && purpose == Purpose::kCheck) return std::unexpected(memory.error());
    memories.push_back(memory ? std::move(*memory) : common::WorkerMemory());
  }
  return memories;
}

Result<void> check_numbers(const Handover& handover) {
  const auto wrong = [](std::string_view what) { return common::fail(common::format("hand-over: {}", what), EINVAL); };
  const SupervisionState& state = handover.supervision;
  if (state.wanted < 1 || state.wanted > common::kWorkersMax || handover.slots != state.wanted) return wrong("slots");
  std::vector<bool> served(state.wanted);
  for (const HandedWorker& worker : handover.workers) {
    const ServingWorker& serving = worker.serving;
    if (serving.slot >= state.wanted || served[serving.slot]) return wrong("two workers in a slot, or one in none");
    served[serving.slot] = true;
    if (serving.id == kNoWorker || serving.id > state.last_worker || serving.pid <= 0)
      return wrong("a worker's numbers");
    if (worker.record >= common::kRecordsMax) return wrong("a worker's record");
  }
  return {};
}

}  // namespace

Result<Foundation> lay_foundation(common::Config config, const Environment& environment, InheritedSockets sockets,
                                  KeptCounters counters) {
  auto privileges = resolve_privileges(config.security);
  if (!privileges) return std::unexpected(privileges.error());
  auto open_files = raise_open_files(config.limits.open_files);
  if (!open_files) return std::unexpected(open_files.error());
  const ConnectionBudget budget = budget_for(config, *open_files);
  for (const auto& warning : {open_files->warning, budget.warning}) {
    if (warning) common::log(common::LogLevel::kWarn, common::LogEvent::kLimitLowered, *warning);
  }
  const auto addresses = sockets.resolve(config.listen.bind);
  if (!addresses) return std::unexpected(addresses.error());
  config.workers = resolve_workers(config.workers, sockets.slots_for(*addresses).value_or(usable_cpus()));
  const std::uint32_t workers_max = config.workers.count_max.value_or(config.workers.count);
  if (const auto refused = refuse_open_files(open_files->soft, workers_max, addresses->size())) {
    return common::fail(*refused);
  }
  common::log(common::LogLevel::kInfo, common::LogEvent::kStarting, "starting",
              {{"app", config.app_path},
               {"workers", config.workers.count},
               {"open_files_soft", open_files->soft},
               {"open_files_hard", open_files->hard},
               {"connections_per_worker", arithmetic_of(budget)}});

  block_master_signals();
  if (config.control.socket.empty()) config.control.socket = default_control_path(config.app_path, environment);
  auto control = ControlSocket::open(config.control.socket, config.control.mode, owner_of_control(*privileges));
  if (!control) return std::unexpected(control.error());
  StoredSockets stored(sockets.stored_names().begin(), sockets.stored_names().end());
  auto listeners =
      Listeners::open(*addresses, config.workers.count, config.listen.backlog, Listeners::kPredecessorPatience,
                      config.listen.steering, owner_of_listener(*privileges), std::move(sockets));
  if (!listeners) return std::unexpected(listeners.error());
  auto scoreboard = common::Scoreboard::create();
  if (!scoreboard) return std::unexpected(scoreboard.error());
  return Foundation{.first = {.config = std::move(config), .budget = budget, .privileges = *std::move(privileges)},
                    .open_files = *open_files,
                    .scoreboard = std::move(*scoreboard),
                    .listeners = std::move(*listeners),
                    .stored = std::move(stored),
                    .counters = std::move(counters),
                    .control = std::move(*control),
                    .predecessor = std::nullopt};
}

Result<Foundation> take_over(int handover_fd, Purpose purpose) {
  auto handover = read_handover(handover_fd);
  if (!handover) return std::unexpected(handover.error());
  for (const auto check : {keep_to_ourselves, check_sockets, check_numbers}) {
    if (auto fits = check(*handover); !fits) return std::unexpected(fits.error());
  }
  auto config = read_config(*handover);
  if (!config) return std::unexpected(config.error());
  auto privileges = resolve_privileges(config->security);
  if (!privileges) return std::unexpected(privileges.error());
  auto memories = map_memories(*handover, purpose);
  if (!memories) return std::unexpected(memories.error());
  auto scoreboard = common::Scoreboard::attach(common::UniqueFd(handover->scoreboard));
  if (!scoreboard) return std::unexpected(scoreboard.error());
  auto listeners = Listeners::resume(handover->listeners, handover->slots, config->listen.backlog,
                                     config->listen.steering, owner_of_listener(*privileges));
  if (!listeners) return std::unexpected(listeners.error());
  const OpenFilesPlan open_files{.soft = handover->open_files_soft, .hard = handover->open_files_hard};
  const ConnectionBudget budget = budget_for(*config, open_files);
  KeptCounters counters = resume_counters(common::UniqueFd(handover->counter_page),
                                          {.counters = handover->supervision.counters, .served = handover->served});
  ControlSocket control = ControlSocket::resume(common::UniqueFd(handover->control), handover->control_path);
  return Foundation{.first = {.config = std::move(*config), .budget = budget, .privileges = *std::move(privileges)},
                    .open_files = open_files,
                    .scoreboard = std::move(*scoreboard),
                    .listeners = std::move(*listeners),
                    .stored = StoredSockets(handover->stored.begin(), handover->stored.end()),
                    .counters = std::move(counters),
                    .control = std::move(control),
                    .predecessor = Predecessor{.handover = std::move(*handover), .memories = std::move(*memories)}};
}

}  // namespace master
