// The recycle policy: low-water marks over the last samples against jittered limits.
#include "master/recycle_policy.h"

#include <algorithm>

namespace master {
namespace {

double seconds(common::Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::optional<RecycleDecision> reached(RecycleReason reason, double measured, double limit) {
  if (limit <= 0 || measured < limit) return std::nullopt;  // 0 = off
  return RecycleDecision{reason, measured, limit};
}

// The smallest value of the last `count` samples; 0, which reaches no limit, while there are fewer.
template <typename Measure>
double low_water(std::span<const Sample> samples, std::size_t count, Measure measure) {
  if (samples.empty() || samples.size() < count) return 0;
  double lowest = measure(samples.back());
  for (const Sample& sample : samples.last(count)) lowest = std::min(lowest, measure(sample));
  return lowest;
}

}  // namespace

double jitter_factor(WorkerId worker, double jitter) {
  // splitmix64's finalizer: consecutive ids give unrelated numbers.
  std::uint64_t bits = worker + 0x9e3779b97f4a7c15U;
  bits = (bits ^ (bits >> 30U)) * 0xbf58476d1ce4e5b9U;
  bits = (bits ^ (bits >> 27U)) * 0x94d049bb133111ebU;
  bits ^= bits >> 31U;
  constexpr double kUnit = 1.0 / 9007199254740992.0;  // 2^-53: as many bits as a double's fraction holds
  return 1.0 + jitter * (static_cast<double>(bits >> 11U) * kUnit);
}

std::optional<RecycleDecision> decide_recycle(std::span<const Sample> last_samples, const WorkerFacts& facts,
                                              const RecycleRules& rules, common::TimePoint now) {
  using enum RecycleReason;
  const common::RecycleSettings& settings = rules.recycle;
  if (facts.busy_since) {
    const auto hang = reached(kHang, seconds(now - *facts.busy_since), seconds(rules.hang_timeout));
    if (hang) return hang;
  }
  const common::Duration age = now - facts.ready_at;
  if (age < settings.age_min) return std::nullopt;

  const double factor = jitter_factor(facts.worker, settings.jitter);
  const std::size_t count = std::max(settings.samples, 1U);
  const auto low = [&](auto measure) { return low_water(last_samples, count, measure); };
  const double leaked = low([](const Sample& sample) { return static_cast<double>(sample.leaked()); });
  const double total = low([](const Sample& sample) { return static_cast<double>(sample.fds_total); });
  const double rss = low([](const Sample& sample) { return static_cast<double>(sample.rss); });
  const double requests = last_samples.empty() ? 0 : static_cast<double>(last_samples.back().requests);

  if (const auto it = reached(kFdsLeaked, leaked, settings.fds_leaked * factor)) return it;
  if (const auto it = reached(kFdsUsed, total, settings.fds_used * static_cast<double>(rules.open_files_soft))) {
    return it;
  }
  if (const auto it = reached(kRss, rss, static_cast<double>(settings.rss) * factor)) return it;
  if (const auto it = reached(kRequests, requests, static_cast<double>(settings.requests) * factor)) return it;
  return reached(kAge, seconds(age), seconds(settings.age) * factor);
}

}  // namespace master
