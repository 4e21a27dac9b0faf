// The recycle policy: low-water marks over the last samples against jittered limits.
#include "master/recycle_policy.h"

#include <algorithm>

#include "master/open_files_rule.h"

namespace master {
namespace {

constexpr double kStuckCpuShare = 0.25;  // less than that, and a loop that does not turn waits for something: a hang
// Coming back from waiting a thousand times a second is no crime by itself. A tenth, because on a crowded machine, or
// under a CPU quota, a thread that burns all it can get does not get more.
constexpr double kPollingCpuShare = 0.1;
constexpr std::uint64_t kGrowthMin = 64;  // descriptors; fewer say nothing about a pace
constexpr std::size_t kMissingSamples = 3;  // at least: the answer is a SIGKILL

double seconds(common::Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::optional<RecycleDecision> reached(RecycleReason reason, std::string_view threshold, double measured,
                                       double limit) {
  if (limit <= 0 || measured < limit) return std::nullopt;  // 0 = off
  return RecycleDecision{reason, measured, limit, threshold};
}

// The smallest value of the last `count` samples; 0, which reaches no limit, while there are fewer.
template <typename Measure>
double low_water(std::span<const Sample> samples, std::size_t count, Measure measure) {
  if (samples.empty() || samples.size() < count) return 0;
  double lowest = measure(samples.back());
  for (const Sample& sample : samples.last(count)) lowest = std::min(lowest, measure(sample));
  return lowest;
}

std::optional<RecycleDecision> decide_spin(const Trends& trends, const common::RecycleSettings& settings) {
  const auto burns = [&](const std::optional<Stall>& stall, double share) -> std::optional<RecycleDecision> {
    if (!stall || stall->cpu_share() < share) return std::nullopt;
    return reached(RecycleReason::kSpin, "recycle.spin", seconds(stall->lasts()), seconds(settings.spin));
  };
  if (const auto stuck = burns(trends.stuck, kStuckCpuShare)) return stuck;
  return burns(trends.polling, kPollingCpuShare);
}

// Total and owned are read one after the other, while connections come and go. They can be compared where nothing has
// come in between: the worker compared them itself, or its loop waits as it did one sample ago.
bool misses_server_fds(const Sample& before, const Sample& sample) {
  if (sample.fds_total >= sample.owned) return false;
  return sample.missing_fds > 0 || (!sample.busy_since && sample.turns == before.turns);
}

std::optional<RecycleDecision> decide_lost_fds(std::span<const Sample> samples, std::uint32_t configured) {
  const std::size_t count = std::max<std::size_t>(configured, kMissingSamples);
  if (samples.size() < count + 1) return std::nullopt;
  for (std::size_t i = samples.size() - count; i < samples.size(); ++i) {
    if (!misses_server_fds(samples[i - 1], samples[i])) return std::nullopt;
  }
  const Sample& last = samples.back();
  return RecycleDecision{RecycleReason::kHang, static_cast<double>(last.fds_total), static_cast<double>(last.owned),
                         kServerFdsClosed};
}

std::optional<RecycleDecision> decide_hang(std::span<const Sample> samples, const WorkerFacts& facts,
                                           const RecycleRules& rules, common::TimePoint now) {
  const double limit = seconds(rules.hang_timeout);
  const auto hang = [&](common::Duration lasts) {
    return reached(RecycleReason::kHang, "workers.hang_timeout", seconds(lasts), limit);
  };
  if (facts.busy_since) {
    if (const auto it = hang(now - *facts.busy_since)) return it;
  }
  if (facts.trends.halted) {
    if (const auto it = hang(facts.trends.halted->lasts())) return it;
  }
  return decide_lost_fds(samples, rules.recycle.samples);
}

// The loop notes which sockets are the server's when it gets them: what was accepted since it last turned may look
// like the application's.
std::uint64_t aged_close_wait(const Sample& last, const WorkerFacts& facts) {
  const bool is_stuck = facts.trends.stuck && facts.trends.stuck->lasts() > common::Duration::zero();
  return last.close_wait && !is_stuck ? last.close_wait->aged : 0;
}

std::optional<RecycleDecision> decide_close_wait_recycle(const Sample& last, const WorkerFacts& facts,
                                                         const common::RecycleSettings& settings, double factor) {
  if (settings.close_wait_action != common::CloseWaitAction::kRecycle) return std::nullopt;
  const auto aged = static_cast<double>(aged_close_wait(last, facts));
  return reached(RecycleReason::kCloseWait, "recycle.close_wait", aged, settings.close_wait * factor);
}

struct Descriptors {  // low-water marks
  double leaked = 0;
  double total = 0;
  std::uint64_t soft = 0;
};

std::optional<RecycleDecision> decide_exhaustion(const Descriptors& low, const std::optional<Growth>& growth,
                                                 const common::RecycleSettings& settings) {
  if (settings.fds_exhaustion <= common::Duration::zero() || !growth) return std::nullopt;
  const double half_headroom = static_cast<double>(application_headroom(low.soft)) / 2;
  if (growth->descriptors < kGrowthMin || low.leaked < half_headroom) return std::nullopt;
  const double ceiling = static_cast<double>(low.soft) * (settings.fds_used > 0 ? settings.fds_used : 1);
  const double left = std::max(ceiling - low.total, 0.0) / growth->per_second;
  const double limit = seconds(settings.fds_exhaustion);
  if (left > limit) return std::nullopt;
  return RecycleDecision{RecycleReason::kFdsLeaked, left, limit, "recycle.fds_exhaustion"};
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
  if (const auto it = decide_spin(facts.trends, settings)) return it;
  if (const auto it = decide_hang(last_samples, facts, rules, now)) return it;
  const common::Duration age = now - facts.ready_at;
  if (age < settings.age_min) return std::nullopt;

  const Sample none;
  const Sample& last = last_samples.empty() ? none : last_samples.back();
  const double factor = jitter_factor(facts.worker, settings.jitter);
  const std::size_t count = std::max(settings.samples, 1U);
  const auto low = [&](auto measure) { return low_water(last_samples, count, measure); };
  const Descriptors fds{.leaked = low([](const Sample& sample) { return static_cast<double>(sample.leaked()); }),
                        .total = low([](const Sample& sample) { return static_cast<double>(sample.fds_total); }),
                        .soft = last.open_files_soft != 0 ? last.open_files_soft : rules.open_files_soft};
  const double rss = low([](const Sample& sample) { return static_cast<double>(sample.rss); });

  if (const auto it = decide_close_wait_recycle(last, facts, settings, factor)) return it;
  if (const auto it = reached(kFdsLeaked, "recycle.fds_leaked", fds.leaked, settings.fds_leaked * factor)) return it;
  if (const auto it = decide_exhaustion(fds, facts.trends.growth, settings)) return it;
  const double used_max = settings.fds_used * static_cast<double>(fds.soft);
  if (const auto it = reached(kFdsUsed, "recycle.fds_used", fds.total, used_max)) return it;
  if (const auto it = reached(kRss, "recycle.rss", rss, static_cast<double>(settings.rss) * factor)) return it;
  const auto requests = static_cast<double>(last.requests);
  const double requests_max = static_cast<double>(settings.requests) * factor;
  if (const auto it = reached(kRequests, "recycle.requests", requests, requests_max)) return it;
  return reached(kAge, "recycle.age", seconds(age), seconds(settings.age) * factor);
}

std::optional<CloseWaitOrder> decide_close_wait(const Sample& last, const WorkerFacts& facts,
                                                const RecycleRules& rules) {
  const common::RecycleSettings& settings = rules.recycle;
  if (settings.close_wait == 0 || settings.close_wait_action == common::CloseWaitAction::kRecycle) return std::nullopt;
  const std::uint64_t aged = aged_close_wait(last, facts);
  if (aged < settings.close_wait) return std::nullopt;
  return CloseWaitOrder{settings.close_wait_action, aged, settings.close_wait};
}

}  // namespace master
