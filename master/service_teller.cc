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

Stage stage_of(Phase phase, const ReloadDesk& reload) {
  switch (phase) {
    case Phase::kIdle:
    case Phase::kStartUp: return Stage::kStarting;
    case Phase::kServing: return reload.is_under_way() ? Stage::kReloading : Stage::kServing;
    case Phase::kStopDelayed:
    case Phase::kStopGraceful:
    case Phase::kStopQuick:
    case Phase::kStopImmediate:
    case Phase::kFinished: return Stage::kStopping;
  }
  return Stage::kStarting;
}

Serving serving_of(const ServiceSources& sources, common::TimePoint now) {
  for (const WorkerView& view : sources.supervision.workers()) {
    const WorkerEntry* entry = sources.workers.find(view.worker);
    if (view.state != VisibleState::kReady || entry == nullptr || sources.workers.is_stuck(*entry, now)) continue;
    // One that was stopped while it waited looks idle.
    const bool is_stopped = entry->sample.state == 'T' || entry->sample.state == 't';
    if (!is_stopped) return Serving::kSomebody;
  }
  return Serving::kNobody;
}

}  // namespace

ServiceTeller::ServiceTeller(Systemd& systemd, StoredSockets stored)
    : systemd_(systemd), store_(systemd, std::move(stored)), notices_(systemd.watchdog()) {}

void ServiceTeller::tell(const ServiceSources& sources, common::TimePoint now) {
  if (!systemd_.listens()) return;
  const Stage stage = stage_of(sources.supervision.phase(), sources.reload);
  if (stage != Stage::kStopping) store_.follow(sources.listeners);
  retry_at_ = now + kRetryInterval;
  if (!unsent_.empty() && systemd_.tell(unsent_) == Told::kNotYet) return;
  if (now >= next_status_) {
    next_status_ = now + ServiceNotices::kStatusInterval;
    status_ = status_line(numbers(sources, now));
  }
  unsent_ = notices_.look(
      {.stage = stage, .serving = serving_of(sources, now), .reloads = sources.reload.begun(), .status = status_}, now);
  if (!unsent_.empty() && systemd_.tell(unsent_) == Told::kYes) unsent_.clear();
}

std::optional<common::TimePoint> ServiceTeller::next_deadline() const {
  if (!unsent_.empty()) return retry_at_;
  return notices_.next_deadline();
}

ServiceNumbers ServiceTeller::numbers(const ServiceSources& sources, common::TimePoint now) {
  ServiceNumbers numbers{.workers_ready = sources.supervision.workers_ready(),
                         .workers_wanted = sources.supervision.workers_wanted(),
                         .reload_error = sources.reload.last_error()};
  std::uint64_t requests = 0;
  for (const WorkerView& view : sources.supervision.workers()) {
    const WorkerEntry* entry = sources.workers.find(view.worker);
    if (entry == nullptr) continue;
    requests += sources.workers.gauges(*entry).requests.load(std::memory_order_relaxed);
    if (entry->sample.fds < numbers.fds) continue;
    numbers.fds = entry->sample.fds;
    numbers.fds_soft = entry->open_files_soft;
  }
  const double seconds = std::chrono::duration<double>(now - requests_at_).count();
  // A worker that has left took its count along.
  if (requests > requests_) numbers.requests_per_second = static_cast<double>(requests - requests_) / seconds;
  requests_ = requests;
  requests_at_ = now;
  const auto& recycled = sources.supervision.counters().recycled;
  for (std::size_t i = 0; i < recycled.size(); ++i) {
    numbers.recycled += recycled[i];
    if (recycled[i] > recycled_[i]) last_recycle_ = name_of(static_cast<RecycleReason>(i));
  }
  recycled_ = recycled;
  numbers.last_recycle = last_recycle_;
  return numbers;
}

}  // namespace master
