// WorkerTable: whose loop does not turn.
#include "master/worker_table.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>

namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST(WorkerTable, TakesAWorkerForStuckWhenItsLoopHasNotTurnedForLongerThanThePatience) {
  constexpr common::TimePoint kSince{std::chrono::hours(1)};
  common::Scoreboard scoreboard = *common::Scoreboard::create();
  master::WorkerTable table(scoreboard);
  const master::WorkerEntry& worker = *table.add(1, 0, common::Channel(), {});
  std::atomic<std::uint64_t>& busy_since = scoreboard.record(worker.record).busy_since_ns;
  EXPECT_FALSE(table.is_stuck(worker, kSince + seconds(99))) << "it waits in the kernel";
  busy_since.store(common::nanoseconds_of(kSince));
  for (const common::Duration patience :
       {common::Duration(master::WorkerTable::kPatience), common::Duration(seconds(30))}) {
    EXPECT_FALSE(table.is_stuck(worker, kSince + patience, patience));
    EXPECT_TRUE(table.is_stuck(worker, kSince + patience + nanoseconds(1), patience));
  }
  busy_since.store(UINT64_MAX);
  EXPECT_TRUE(table.is_stuck(worker, kSince)) << "nonsense of a worker is no sign of life";
}

}  // namespace
