// ServiceTeller: what the master knows, in the manager's words.
#include "master/service_teller.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "master/listeners.h"
#include "master/reload_desk.h"
#include "master/supervision.h"
#include "master/worker_table.h"

namespace master {
namespace {

using Stage = ServiceSituation::Stage;
using Serving = ServiceSituation::Serving;
using Doing = ServiceNumbers::Doing;

Stage stage_of(Phase phase, const ReloadDesk& reload) {
  switch (phase) {
    case Phase::kIdle:
    case Phase::kStartUp: return Stage::kStarting;
    case Phase::kServing: return reload.is_under_way() ? Stage::kReloading : Stage::kServing;
    case Phase::kStopDelayed:
    case Phase::kStopGraceful:
    case Phase::kStopQuick:
    case Phase::kStopImmediate: return Stage::kStopping;
    case Phase::kFinished: return Stage::kStopped;
  }
  return Stage::kStarting;
}

Doing doing_of(const ServiceSources& sources) {
  const Supervision& supervision = sources.supervision;
  if (!supervision.exit_reason().empty()) return Doing::kFailed;
  switch (supervision.phase()) {
    case Phase::kIdle: return Doing::kStarting;
    case Phase::kStartUp:
      return supervision.template_state() == TemplateState::kLoading ? Doing::kLoading : Doing::kStarting;
    case Phase::kServing: return sources.reload.is_under_way() ? Doing::kReloading : Doing::kServing;
    case Phase::kStopDelayed: return Doing::kWaiting;
    case Phase::kStopGraceful: return Doing::kDraining;
    case Phase::kStopQuick:
    case Phase::kStopImmediate: return Doing::kClosing;
    case Phase::kFinished: return Doing::kStopped;
  }
  return Doing::kServing;
}

std::string failure_text(const Supervision& supervision) {
  constexpr int kExitCannotStart = 1;
  const std::string_view what = supervision.exit_code() == kExitCannotStart ? "cannot start: " : "gave up: ";
  return std::string(what) + supervision.exit_reason();
}

// Workers of the new generation are asked for as soon as it is loaded.
void describe_reload(const ServiceSources& sources, ServiceNumbers& numbers) {
  const auto& prepared = sources.reload.prepared();
  if (!prepared) return;
  bool is_loaded = false;
  for (const WorkerView& view : sources.supervision.workers()) {
    if (view.generation != prepared->first) continue;
    is_loaded = true;
    if (view.state == VisibleState::kReady) ++numbers.renewed;
  }
  if (!is_loaded) numbers.loading = prepared->second.config.app_path;
}

// Whoever has turned since the last ping has served since: under load all may be in a slow handler just now.
Serving serving_of(const ServiceSources& sources, std::optional<common::TimePoint> pinged_at, common::TimePoint now) {
  const common::Duration patience = std::max(WorkerTable::kPatience, now - pinged_at.value_or(now));
  for (const WorkerView& view : sources.supervision.workers()) {
    const WorkerEntry* entry = sources.workers.find(view.worker);
    if (view.state != VisibleState::kReady || entry == nullptr) continue;
    if (sources.workers.is_stuck(*entry, now, patience)) continue;
    // One that was stopped while it waited looks idle.
    const bool is_stopped = entry->sample.state == 'T' || entry->sample.state == 't';
    if (!is_stopped) return Serving::kSomebody;
  }
  return Serving::kNobody;
}

}  // namespace

ServiceTeller::ServiceTeller(Systemd& systemd, StoredSockets stored, KeptCounters counters)
    : systemd_(systemd),
      store_(systemd, std::move(stored)),
      counters_(systemd, std::move(counters)),
      notices_(systemd.watchdog()) {}

void ServiceTeller::tell(const ServiceSources& sources, common::TimePoint now) {
  if (!systemd_.listens()) return;
  follow(sources, now);
  const Stage stage = stage_of(sources.supervision.phase(), sources.reload);
  retry_at_ = now + kRetryInterval;
  if (!unsent_.empty() && systemd_.tell(unsent_) == Told::kNotYet) return;
  const bool is_other = stage != status_stage_ || sources.reload.begun() != status_reloads_;
  if (!next_status_ || now >= *next_status_ || is_other) {
    next_status_ = now + ServiceNotices::kStatusInterval;
    status_stage_ = stage;
    status_reloads_ = sources.reload.begun();
    follow_rate(sources, now);
    status_ = status_line(numbers(sources));
  }
  unsent_ = notices_.look({.stage = stage,
                           .serving = serving_of(sources, notices_.pinged_at(), now),
                           .reloads = sources.reload.begun(),
                           .status = status_},
                          now);
  if (!unsent_.empty() && systemd_.tell(unsent_) == Told::kYes) unsent_.clear();
}

void ServiceTeller::follow(const ServiceSources& sources, common::TimePoint now) {
  const Phase phase = sources.supervision.phase();
  if (stage_of(phase, sources.reload) < Stage::kStopping) store_.follow(sources.listeners);
  const auto hurry = phase == Phase::kFinished ? CounterStore::Hurry::kLastTime : CounterStore::Hurry::kNo;
  counters_.follow({.counters = sources.supervision.counters(), .served = sources.workers.served()}, now, hurry);
}

std::optional<common::TimePoint> ServiceTeller::next_deadline() const {
  std::optional<common::TimePoint> next = counters_.next_deadline();
  const auto add = [&next](std::optional<common::TimePoint> time) {
    if (time) next = next ? std::min(*next, *time) : *time;
  };
  if (!unsent_.empty()) {
    add(retry_at_);
    return next;
  }
  add(notices_.next_deadline());
  add(next_status_);
  return next;
}

// Over a second at least: a change of stage has the status written earlier.
void ServiceTeller::follow_rate(const ServiceSources& sources, common::TimePoint now) {
  if (requests_ && now - requests_at_ < ServiceNotices::kStatusInterval) return;
  const std::uint64_t requests = sources.workers.served().requests;
  const double seconds = std::chrono::duration<double>(now - requests_at_).count();
  // A gauge that was not believed in the end may have been shown before.
  const bool is_more = requests_ && requests > *requests_;
  requests_per_second_ = is_more ? static_cast<double>(requests - *requests_) / seconds : 0;
  requests_ = requests;
  requests_at_ = now;
}

ServiceNumbers ServiceTeller::numbers(const ServiceSources& sources) {
  const Supervision& supervision = sources.supervision;
  ServiceNumbers numbers{.doing = doing_of(sources),
                         .workers_ready = supervision.workers_ready(),
                         .workers_wanted = supervision.workers_wanted(),
                         .requests_per_second = requests_per_second_,
                         .reload_error = sources.reload.last_error()};
  if (numbers.doing == Doing::kLoading) numbers.loading = sources.app_path;
  if (numbers.doing == Doing::kFailed) numbers.failure = failure_text(supervision);
  if (numbers.doing == Doing::kReloading) describe_reload(sources, numbers);
  for (const WorkerView& view : supervision.workers()) {
    const WorkerEntry* entry = sources.workers.find(view.worker);
    if (entry == nullptr) continue;
    ++numbers.processes;
    numbers.connections += sources.workers.gauges(*entry).connections.load(std::memory_order_relaxed);
    if (entry->sample.fds < numbers.fds) continue;
    numbers.fds = entry->sample.fds;
    numbers.fds_soft = entry->open_files_soft;
  }
  const auto& recycled = supervision.counters().recycled;
  for (std::size_t i = 0; i < recycled.size(); ++i) {
    numbers.recycled += recycled[i];
    if (recycled_ && recycled[i] > (*recycled_)[i]) last_recycle_ = name_of(static_cast<RecycleReason>(i));
  }
  recycled_ = recycled;
  numbers.last_recycle = last_recycle_;
  return numbers;
}

}  // namespace master
