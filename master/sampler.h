// Sampler: looks at every worker each recycle.interval, and says what should happen about it.
//
// Thin: it reads /proc, the scoreboard and the workers' memory, and hands that to the pure policies. What it may do by
// itself is small: turn on tracing, and tell a worker a new connection budget when its descriptor limit has changed.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/clock.h"
#include "common/config.h"
#include "master/close_wait_watch.h"
#include "master/listeners.h"
#include "master/load_meter.h"
#include "master/open_files_rule.h"
#include "master/recycle_policy.h"
#include "master/worker_table.h"
#include "master/worker_view.h"

namespace master {

// What is wrong with a worker; the sampler has logged it, once.
struct Finding {
  enum class Kind {
    kRecycle,   // replace it, for decision.reason
    kKill,      // the application has closed descriptors of the server: it can do nothing but harm
    kReport,    // it goes on for now; say what it has open
    kShutdown,  // it goes on; shut these sockets down
  };
  Kind kind = Kind::kReport;
  SlotIndex slot = 0;
  WorkerId worker = kNoWorker;
  RecycleDecision decision{};              // of kRecycle and kKill
  std::vector<CloseWaitSocket> sockets{};  // of kShutdown
};

class Sampler {
 public:
  // OWNERSHIP: the references outlive it.
  Sampler(const common::Config& config, const OpenFilesPlan& open_files, WorkerTable& workers);

  // The configuration it refers to has changed.
  void follow(const common::Config& config);

  std::vector<Finding> look(std::span<const WorkerView> views, pid_t template_pid, common::TimePoint now);

  // able[slot] = its worker takes new connections, as far as it says.
  std::vector<bool> able_slots(std::span<const WorkerView> views, std::uint32_t slots, common::TimePoint now) const;

  // Of every serving worker; after look(), which measures their CPU time.
  std::vector<LoadReading> load_readings(std::span<const WorkerView> views, const Listeners& listeners,
                                         common::TimePoint now) const;

  const CloseWaitWatch& close_wait() const { return close_wait_; }

 private:
  void look_at_close_wait(pid_t template_pid, common::TimePoint now);
  std::optional<Finding> judge(const WorkerView& view, WorkerEntry& entry, common::TimePoint now);
  void follow_limit(WorkerEntry& entry, std::uint64_t open_files_soft) const;
  void arm_trace(WorkerEntry& entry, const RecycleRules& rules) const;
  bool is_halfway(const WorkerEntry& entry) const;
  void measure_one_pss(common::TimePoint now);

  const common::Config& config_;
  WorkerTable& workers_;
  RecycleRules rules_;
  CloseWaitWatch close_wait_;
  WorkerId last_measured_ = kNoWorker;
  common::TimePoint pss_not_before_{};
};

}  // namespace master
