// RecycleReports: for each worker that is to be replaced, a report of what it has open, logged and remembered.
//
// Begun when the replacement is queued. The replacement starts meanwhile; only the drain of the old worker, which could
// end it at once, waits until it has been looked at. A worker that hangs or spins is asked first where its main thread
// is.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/json.h"
#include "common/result.h"
#include "master/ask_desk.h"
#include "master/inspector.h"
#include "master/recycle_history.h"
#include "master/recycle_policy.h"
#include "master/worker_table.h"

namespace master {

// What an inspection has to know of a worker; nothing if the worker has ended or is not forked yet.
std::vector<InspectionOrder> inspection_orders(const WorkerTable& workers, const std::vector<WorkerId>& wanted,
                                               const std::vector<std::uint64_t>& stack = {});

class RecycleReports {
 public:
  using Drain = std::function<void(WorkerId)>;

  // OWNERSHIP: all references outlive this. `drain` is called for each worker that drain() made wait.
  RecycleReports(Inspector& inspector, AskDesk& desk, WorkerTable& workers, Drain drain)
      : inspector_(inspector), desk_(desk), workers_(workers), drain_(std::move(drain)) {}

  // The numbers that made the policy decide; kept until begin() or the end of the worker.
  void remember(WorkerId worker, const RecycleDecision& decision) { decisions_.insert_or_assign(worker, decision); }
  // A replacement of `worker` is queued.
  void begin(WorkerId worker, RecycleReason reason, common::TimePoint now);
  // It is not to be replaced, but something is wrong with it: only the log tells.
  void report(WorkerId worker);
  // `worker` is to drain: now; or, if its report is under way, after it, but at the latest after `patience`.
  void drain(WorkerId worker, common::Duration patience, common::TimePoint now);
  std::optional<common::TimePoint> next_deadline() const;
  void on_time(common::TimePoint now);
  // Whoever waits drains now: the service stops.
  void release();
  // It has ended; before its memory is unmapped.
  void on_worker_ended(WorkerId worker, std::uint32_t left_open);

  common::Json to_json() const { return history_.to_json(); }
  void resume(common::Json earlier) { history_.resume(std::move(earlier)); }  // what to_json() said elsewhere

 private:
  void submit(WorkerId worker, std::vector<std::uint64_t> stack);
  void on_report(WorkerId worker, const common::Result<common::Json>& reports);
  void tell(WorkerId worker, const common::Json& report) const;

  Inspector& inspector_;
  AskDesk& desk_;
  WorkerTable& workers_;
  RecycleHistory history_;
  Drain drain_;
  std::map<WorkerId, RecycleDecision> decisions_;
  std::multiset<WorkerId> under_way_;  // reports that are not there yet
  std::map<WorkerId, common::TimePoint> to_drain_;  // of those; until when they wait at the most
};

}  // namespace master
