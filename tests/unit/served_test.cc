// Served: what is believed of a worker's gauges, and that nothing is lost or counted twice when workers come and go.
#include "master/served.h"

#include <gtest/gtest.h>

#include <optional>

#include "master/worker_table.h"

namespace {

using master::gained;
using master::kGainMax;
using master::Served;
using master::WorkerEntry;
using master::WorkerId;

TEST(Served, IsWhatWasGained) {
  EXPECT_EQ(gained({.requests = 3, .connections = 1}, {.requests = 10, .connections = 2}),
            (Served{.requests = 7, .connections = 1}));
}

TEST(Served, IsNothingWhereAGaugeRunsBackwardsOrTooFar) {
  EXPECT_EQ(gained({.requests = 3, .connections = 3}, {.requests = 2, .connections = 4}), (Served{.connections = 1}));
  EXPECT_EQ(gained({}, {.requests = kGainMax, .connections = kGainMax + 1}), (Served{.requests = kGainMax}));
  EXPECT_EQ(gained({}, {.requests = UINT64_MAX}), Served());
}

class Workers : public testing::Test {
 protected:
  WorkerEntry& add(WorkerId id) { return *table_->add(id, 0, common::Channel(), {}); }
  void serve(const WorkerEntry& entry, std::uint64_t requests, std::uint64_t connections) {
    common::WorkerGauges& gauges = scoreboard_.record(entry.record);
    gauges.requests.store(requests);
    gauges.accepted.store(connections);
  }

  common::Scoreboard scoreboard_ = *common::Scoreboard::create();
  std::optional<master::WorkerTable> table_{scoreboard_};
};

TEST_F(Workers, TakeNothingAlongWhenTheyGo) {
  table_->count_from({.requests = 1000, .connections = 100});
  WorkerEntry& first = add(1);
  serve(first, 10, 2);
  EXPECT_EQ(table_->served(), (Served{1010, 102})) << "without waiting for a look";
  serve(add(2), 5, 1);
  table_->count_served();
  EXPECT_EQ(table_->served(), (Served{1015, 103}));
  serve(first, 12, 2);
  table_->remove(1);
  EXPECT_EQ(table_->served(), (Served{1017, 103})) << "also what came after the last look";
  serve(add(3), 1, 1);  // maybe in the record of the first
  table_->count_served();
  table_->remove(3);
  table_->remove(2);
  EXPECT_EQ(table_->served(), (Served{1018, 104}));
  EXPECT_EQ(table_->counted(), table_->served());
}

TEST_F(Workers, AreBelievedAgainAfterNonsense) {
  WorkerEntry& worker = add(1);
  serve(worker, 10, 1);
  table_->count_served();
  serve(worker, UINT64_MAX, 1);
  EXPECT_EQ(table_->served(), (Served{10, 1}));
  table_->count_served();
  serve(worker, 11, 1);
  table_->count_served();
  serve(worker, 13, 1);
  EXPECT_EQ(table_->served(), (Served{12, 1}));
}

TEST_F(Workers, AreNotCountedTwiceByTheNextImage) {
  WorkerEntry& worker = add(1);
  serve(worker, 10, 1);
  table_->count_served();
  serve(worker, 12, 1);
  const Served handed = table_->counted();
  const Served of_worker = worker.counted;
  const std::uint32_t record = worker.record;
  table_.emplace(scoreboard_);
  table_->count_from(handed);
  table_->resume(1, record, {}).counted = of_worker;
  EXPECT_EQ(table_->served(), (Served{12, 1}));
}

}  // namespace
