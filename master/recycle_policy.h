// The recycle policy: whether a worker that is alive should be replaced, and why.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "common/clock.h"
#include "common/config.h"
#include "master/recycle_reason.h"
#include "master/sample_window.h"
#include "master/worker_id.h"

namespace master {

// What holds for every worker alike.
struct RecycleRules {
  common::RecycleSettings recycle;
  common::Duration hang_timeout{0};   // workers.hang_timeout; 0 = never
  std::uint64_t open_files_soft = 0;  // of the workers, for those whose own is not known
};

struct WorkerFacts {
  WorkerId worker = kNoWorker;
  common::TimePoint ready_at{};
  std::optional<common::TimePoint> busy_since{};  // since when its loop has not turned; none = it waits for events
  Trends trends{};                                // SampleWindow::trends()
};

struct RecycleDecision {
  RecycleReason reason = RecycleReason::kManual;
  // What was measured and what it reached, jitter included; descriptors, requests, bytes, or seconds. Of
  // recycle.fds_exhaustion: the seconds that are left, and those that had to be left.
  double measured = 0;
  double limit = 0;
  std::string_view threshold{};  // the key of that limit; or kServerFdsClosed, which has none
};

inline constexpr std::string_view kServerFdsClosed = "server descriptors closed by the application";

// A limit is reached at the limit itself. Descriptors and memory must have stayed at or above it in each of the last
// recycle.samples samples: a burst that ends by itself is no leak. Requests and age only grow, so one look suffices.
// Several reasons at once: the one that explains most comes first (spin, hang, close_wait, fds_leaked, fds_used, rss,
// requests, age). What makes a worker useless (spin, hang) counts from its first second, the rest from
// recycle.age_min on.
//
// fds_leaked has two thresholds: a number, and a pace (recycle.fds_exhaustion) at which the descriptors would be used
// up in that time. The pace counts only once the application has taken half of its head-room (application_headroom())
// and 64 descriptors within the history (GrowthHistory): by then it is no pool that is being filled.
//
// hang also means: cannot run at all (stopped, traced, stuck in the kernel) for workers.hang_timeout; or has fewer
// descriptors than the server itself opened, because the application closed some of them. Such a worker must go at
// once, without a drain: their numbers come back as the application's files, and the server would write into those.
std::optional<RecycleDecision> decide_recycle(std::span<const Sample> last_samples, const WorkerFacts& facts,
                                              const RecycleRules& rules, common::TimePoint now);

// What is to be done about sockets in CLOSE_WAIT where recycle.close_wait_action is shutdown or report; nullopt =
// nothing, also where the action is to recycle, which decide_recycle() decides.
struct CloseWaitOrder {
  common::CloseWaitAction action = common::CloseWaitAction::kReport;
  std::uint64_t measured = 0;
  std::uint64_t limit = 0;
};
std::optional<CloseWaitOrder> decide_close_wait(const Sample& last, const WorkerFacts& facts,
                                                const RecycleRules& rules);

// In [1, 1 + jitter), the same for a worker all its life, spread evenly over workers: those started together do not
// reach their limits together. Not applied to what is about safety: fds_used, fds_exhaustion, hang and spin.
double jitter_factor(WorkerId worker, double jitter);

}  // namespace master
