// CrashReports: one record in the log, and one in `status`, for each worker that ended as no worker should.
//
// That is: of a signal that nobody sends a healthy process (SIGSEGV, SIGABRT ...), or of anything in the middle of a
// request. What is known of its end is read at once, from memory that is about to be unmapped; names for the addresses
// of its stack are found by the inspector, and until then the report waits. One thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>

#include "common/clock.h"
#include "common/config.h"
#include "common/json.h"
#include "common/worker_memory.h"
#include "master/crash_history.h"
#include "master/crash_record.h"
#include "master/inspector.h"
#include "master/poison_watch.h"
#include "master/worker_id.h"

namespace master {

struct DeadWorker {
  WorkerId worker = kNoWorker;
  SlotIndex slot = 0;
  pid_t pid = 0;
  std::uint32_t generation = 0;
  int wait_status = 0;  // as by waitpid(2)
  const common::WorkerMemory* memory = nullptr;  // borrowed for the call; null or empty = there is none
};

class CrashReports {
 public:
  static constexpr std::size_t kWaitingMax = 8;  // for names; a worker more is reported with offsets alone

  // OWNERSHIP: both outlive this; the settings may change.
  CrashReports(Inspector& inspector, const common::RestartSettings& settings)
      : inspector_(inspector), settings_(settings) {}
  CrashReports(const CrashReports&) = delete;
  CrashReports& operator=(const CrashReports&) = delete;

  // We kill it, because it did not drain in time: its request will be told, but not suspected, for a long one is no
  // poison.
  void expect_end(WorkerId worker) { expected_.insert(worker); }
  // It has been waited for; for every worker, before its memory is unmapped.
  void on_worker_ended(const DeadWorker& dead, common::TimePoint now);
  // Reports what waits with offsets alone: nobody will ask for names any more, the master is about to leave.
  void release();

  void resume(const common::Json& earlier) { history_.resume(earlier); }  // what to_json() said elsewhere
  common::Json to_json() const { return history_.to_json(); }  // of those that do not wait any more

 private:
  void name_frames(CrashRecord record, CrashReport report);
  void on_names(std::uint64_t number, const common::Result<common::Json>& stack);
  void tell(const CrashReport& report);

  Inspector& inspector_;
  const common::RestartSettings& settings_;
  PoisonWatch poison_;
  CrashHistory history_;
  std::map<std::uint64_t, CrashReport> waiting_;  // their stacks have no names yet
  std::uint64_t last_number_ = 0;
  std::set<WorkerId> expected_;  // to end, and not waited for yet
};

}  // namespace master
