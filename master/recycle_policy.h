// The recycle policy: whether a worker that is alive should be replaced, and why.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "common/clock.h"
#include "common/config.h"
#include "master/recycle_reason.h"
#include "master/sample_window.h"
#include "master/worker_id.h"

namespace master {

// What holds for every worker alike.
struct RecycleRules {
  common::RecycleSettings recycle;
  common::Duration hang_timeout{0};     // workers.hang_timeout; 0 = never
  std::uint64_t open_files_soft = 0;    // RLIMIT_NOFILE of the workers, which recycle.fds_used is a part of
};

struct WorkerFacts {
  WorkerId worker = kNoWorker;
  common::TimePoint ready_at{};
  std::optional<common::TimePoint> busy_since{};  // since when its loop has not turned; none = it waits for events
};

struct RecycleDecision {
  RecycleReason reason = RecycleReason::kManual;
  // What was measured and what it reached, jitter included; descriptors, requests, bytes, or seconds.
  double measured = 0;
  double limit = 0;
};

// A limit is reached at the limit itself. Descriptors and memory must have stayed at or above it in each of the last
// recycle.samples samples: a burst that ends by itself is no leak. Requests and age only grow, so one look suffices.
// Several reasons at once: the one that explains most comes first (hang, fds_leaked, fds_used, rss, requests, age).
std::optional<RecycleDecision> decide_recycle(std::span<const Sample> last_samples, const WorkerFacts& facts,
                                              const RecycleRules& rules, common::TimePoint now);

// In [1, 1 + jitter), the same for a worker all its life, spread evenly over workers: those started together do not
// reach their limits together. Not applied to fds_used and hang, which are about safety.
double jitter_factor(WorkerId worker, double jitter);

}  // namespace master
