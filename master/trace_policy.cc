// The trace policy: the recycle limits, at a fraction of their height.
#include "master/trace_policy.h"

#include <algorithm>
#include <cstdint>

namespace master {
namespace {

constexpr std::uint64_t kSuspiciousMin = 8;  // descriptors; a log file reopened and a connection kept are no leak
constexpr std::uint64_t kLeakedPart = 16;    // of recycle.fds_leaked
constexpr std::uint64_t kCloseWaitPart = 4;  // of recycle.close_wait
constexpr double kUsedPart = 0.75;           // of recycle.fds_used

// The smallest of `samples`; 0, as when the worker became ready, of none.
template <typename Measure>
std::uint64_t lowest(std::span<const Sample> samples, Measure measure) {
  if (samples.empty()) return 0;
  std::uint64_t value = measure(samples.front());
  for (const Sample& sample : samples) value = std::min(value, measure(sample));
  return value;
}

std::uint64_t leaked_of(const Sample& sample) { return sample.leaked(); }
std::uint64_t total_of(const Sample& sample) { return sample.fds_total; }

}  // namespace

std::string_view name_of(TraceCause cause) {
  switch (cause) {
    case TraceCause::kConfigured: return "fds.trace = always";
    case TraceCause::kGrowth: return "descriptors grow";
    case TraceCause::kCloseWait: return "sockets stay in CLOSE_WAIT";
    case TraceCause::kFull: return "descriptors run short";
  }
  return "";
}

std::optional<TraceCause> decide_trace(std::span<const Sample> samples, const TraceFacts& facts,
                                       const RecycleRules& rules) {
  if (facts.now == common::TraceSwitch::kOn || facts.setting == common::FdTrace::kOff) return std::nullopt;
  if (facts.setting == common::FdTrace::kAlways) return TraceCause::kConfigured;
  const common::RecycleSettings& settings = rules.recycle;
  const std::size_t count = std::max(settings.samples, 1U);
  if (samples.size() < count) return std::nullopt;
  const Sample& last = samples.back();
  if (settings.close_wait != 0 && last.close_wait &&
      last.close_wait->now * kCloseWaitPart >= std::max<std::uint64_t>(settings.close_wait, kCloseWaitPart)) {
    return TraceCause::kCloseWait;
  }
  const std::uint64_t leaked = lowest(samples.last(count), leaked_of);
  if (leaked < kSuspiciousMin) return std::nullopt;
  const bool grows = leaked > lowest(samples.first(samples.size() - count), leaked_of);
  if (grows && leaked * kLeakedPart >= settings.fds_leaked) return TraceCause::kGrowth;
  const auto soft = static_cast<double>(last.open_files_soft != 0 ? last.open_files_soft : rules.open_files_soft);
  const double used_max = kUsedPart * settings.fds_used * soft;
  if (used_max > 0 && static_cast<double>(lowest(samples.last(count), total_of)) >= used_max) return TraceCause::kFull;
  return std::nullopt;
}

}  // namespace master
