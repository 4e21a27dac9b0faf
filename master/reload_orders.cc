// Master: reloads, from the word of the operator to the answer.
#include <algorithm>
#include <csignal>

#include "common/log.h"
#include "master/accounts.h"
#include "master/master.h"
#include "master/needed_capabilities.h"
#include "master/usable_cpus.h"

namespace master {
namespace {

// For workers that are busy, or hang: somebody waits for the answer.
constexpr common::Duration kSettlingMax = std::chrono::seconds(1);

// The keys that only a new process can follow, of those that differ.
std::string restart_keys(const common::Config& now, const common::Config& next) {
  std::string keys;
  const auto add = [&](bool differs, std::string_view key) {
    if (differs) keys += (keys.empty() ? "" : ", ") + std::string(key);
  };
  add(now.control.socket != next.control.socket && !next.control.socket.empty(), "control.socket");
  add(now.control.mode != next.control.mode, "control.mode");
  add(now.limits.open_files != next.limits.open_files, "limits.open_files");
  return keys;
}

std::string joined(const std::vector<std::string>& mistakes) {
  std::string text;
  for (const std::string& mistake : mistakes) text += (text.empty() ? "" : "; ") + mistake;
  return text;
}

}  // namespace

const GenerationParts& Master::parts_of(Generation generation) const {
  const auto& prepared = reload_.prepared();
  return prepared && prepared->first == generation ? prepared->second : active_;
}

AddressSet Master::addresses_of(Generation generation) const {
  const auto& prepared = reload_.prepared();
  return prepared && prepared->first == generation ? AddressSet::kNext : AddressSet::kCurrent;
}

// Clients may connect to new addresses from when there is an application to serve them. False: there cannot be any.
bool Master::prepare_workers(TemplateEntry& entry) {
  if (addresses_of(entry.generation) != AddressSet::kNext) return true;
  const auto listening = parts_.listeners.listen_next();
  if (listening) return true;
  entry.last_words = LastWords{.stage = common::Stage::kNone, .errnum = 0, .text = listening.error().message};
  kill(entry.pid, SIGKILL);  // its end ends the reload, with these words
  return false;
}

// Clients that wait at an address which is no longer configured were told that somebody would serve them. Activated
// sockets beyond the workers stay for ever.
void Master::sweep_addresses(common::TimePoint now) {
  const bool is_taken =
      std::ranges::any_of(supervision_.workers(), [this](const auto& view) { return takes_clients(view); });
  std::vector<common::UniqueFd> clients;
  if (is_taken) clients = parts_.listeners.accept_retiring(common::kAdoptMax);  // else they wait where they are
  const std::size_t found = clients.size();
  hand_on(std::move(clients));
  parts_.listeners.close_retiring(now);
  sweep_.plan({.sockets = parts_.listeners.retiring_sockets(),
               .revision = parts_.listeners.revision(),
               .clients = found,
               .is_held_back = !is_taken,
               .may_close = parts_.listeners.any_retiring()},
              now);
}

ControlOutcome Master::reload(ClientToken client) {
  if (supervision_.phase() >= Phase::kStopGraceful) return reload_reply(0, "the service stops", Refusal::kStopping);
  reload_.ask(client);
  return Deferred{};
}

// Once a turn. What is asked for before the service is ready waits until it is.
void Master::begin_reload() {
  if (!reload_.is_due() || supervision_.phase() == Phase::kStartUp) return;
  reload_.begin();
  const Generation generation = last_generation_ + 1;
  common::log(common::LogLevel::kInfo, common::LogEvent::kReloadStarted, "reload begins", {{"generation", generation}});
  if (supervision_.phase() != Phase::kServing) return end_reload(generation, "the service stops");
  auto parts = prepare_reload();
  if (!parts) return end_reload(generation, parts.error().message);
  last_generation_ = generation;
  const SupervisionSettings settings = settings_of(parts->config);
  reload_.prepare(generation, std::move(*parts));
  feed(event::ReloadAsked{.generation = generation, .settings = settings});
}

// All that can be wrong with it before anything is tried.
common::Result<GenerationParts> Master::prepare_reload() {
  auto loaded = parts_.load_config();
  if (!loaded) return common::fail(joined(loaded.error()));
  common::Config& next = *loaded;
  next.workers = resolve_workers(next.workers, parts_.listeners.slots_activated().value_or(usable_cpus()));
  if (const std::string keys = restart_keys(active_.config, next); !keys.empty()) {
    common::log(common::LogLevel::kWarn, common::LogEvent::kReloadKeysIgnored,
                "a reload cannot change these keys; restart the supervisor for them", {{"keys", keys}});
  }
  auto privileges = resolve_privileges(next.security);
  if (!privileges) return std::unexpected(privileges.error());
  if (auto possible = check_change(active_.privileges, *privileges); !possible) {
    return std::unexpected(possible.error());
  }
  next.control = active_.config.control;
  next.limits.open_files = active_.config.limits.open_files;
  if (const auto refused = refuse_open_files(
          parts_.open_files.soft, next.workers.count_max.value_or(next.workers.count), next.listen.bind.size())) {
    return common::fail(*refused);
  }
  const ConnectionBudget budget = decide_connections({.open_files_soft = parts_.open_files.soft,
                                                      .reserve = next.limits.open_files_reserve,
                                                      .configured = next.limits.connections});
  if (budget.warning) common::log(common::LogLevel::kWarn, common::LogEvent::kLimitLowered, *budget.warning);
  const auto addresses = parts_.listeners.resolve(next.listen.bind);
  if (!addresses) return std::unexpected(addresses.error());
  if (auto begun = parts_.listeners.begin_change(*addresses, next.listen.backlog); !begun) {
    return std::unexpected(begun.error());
  }
  return GenerationParts{.config = std::move(next), .budget = budget, .privileges = *std::move(privileges)};
}

void Master::commit_reload() {
  parts_.listeners.commit_change(common::Clock::now());
  active_ = reload_.prepared()->second;
  if (auto kept = keep_needed_capabilities(active_.privileges); !kept) {
    common::log(common::LogLevel::kError, common::LogEvent::kRightsKept,
                "root's other rights are kept: " + kept.error().message);
  }
  sampler_.follow(active_.config);
  follower_.follow(active_.config);
  common::log_start(active_.config.log.level, active_.config.log.format);
}

void Master::end_reload(const action::EndReload& end) {
  if (!end.error.empty() && parts_.listeners.changing()) parts_.listeners.abandon_change(common::Clock::now());
  sweep_.ask();
  if (!end.error.empty()) return end_reload(end.generation, end.error);
  settling_ = Settling{.generation = end.generation, .until = common::Clock::now() + kSettlingMax};
}

// They were told to leave a moment ago. One that is busy hears of it later.
bool Master::old_workers_accept() const {
  return std::ranges::any_of(workers_, [this](const auto& it) {
    const WorkerEntry& entry = it.second;
    if (entry.generation == supervision_.generation() || entry.progress == WorkerEntry::Progress::kStarting)
      return false;
    const auto accepting = workers_.gauges(entry).accepting.load(std::memory_order_relaxed);
    return accepting != static_cast<std::uint32_t>(common::Accepting::kNoMore);
  });
}

void Master::end_reload(Generation generation, const std::string& error) {
  settling_.reset();
  if (error.empty()) {
    common::log(common::LogLevel::kInfo, common::LogEvent::kReloadDone, "reloaded", {{"generation", generation}});
  } else {
    common::log(common::LogLevel::kError, common::LogEvent::kReloadRefused,
                "reload refused, everything stays as it was", {{"reason", error}});
  }
  const auto refusal = supervision_.phase() >= Phase::kStopDelayed ? Refusal::kStopping : Refusal::kServing;
  for (const ClientToken client : reload_.end(error)) {
    control_->reply(client, reload_reply(generation, error, refusal), common::Clock::now());
  }
}

}  // namespace master
