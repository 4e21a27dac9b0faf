// LoadMeter: differences between two readings.
#include "master/load_meter.h"

#include <algorithm>
#include <utility>

namespace master {
namespace {

double share(std::uint64_t before_ns, std::uint64_t now_ns, common::Duration passed) {
  if (now_ns <= before_ns) return 0;
  return std::min(1.0, static_cast<double>(now_ns - before_ns) / static_cast<double>(passed.count()));
}

// The queue is first come, first served: whom so many accepts did not reach has waited all the time.
std::uint64_t overdue(const LoadReading& before, const LoadReading& now) {
  const std::uint64_t accepted = now.accepted - std::min(now.accepted, before.accepted);
  return std::min(now.queued, before.queued - std::min(before.queued, accepted));
}

}  // namespace

std::vector<WorkerLoad> LoadMeter::note(std::span<const LoadReading> readings) {
  std::vector<WorkerLoad> loads;
  std::map<WorkerId, LoadReading> present;
  for (const LoadReading& now : readings) {
    present.emplace(now.worker, now);
    const auto before = before_.find(now.worker);
    if (before == before_.end() || now.at <= before->second.at) continue;
    const common::Duration passed = now.at - before->second.at;
    const double loop = share(before->second.busy_ns, now.busy_ns, passed);
    const double cpu = share(before->second.main_cpu_ns, now.main_cpu_ns, passed);
    const bool is_full = now.accepting == common::Accepting::kFull;
    loads.push_back({.busy = is_full ? 1.0 : std::max(loop, cpu), .overdue = overdue(before->second, now)});
  }
  before_ = std::move(present);
  return loads;
}

}  // namespace master
