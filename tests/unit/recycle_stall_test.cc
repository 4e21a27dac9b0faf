// The recycle policy on workers that stand still, spin, or have lost descriptors.
#include <gtest/gtest.h>

#include "master/recycle_policy.h"

namespace master {
namespace {

using namespace std::chrono_literals;

const common::TimePoint kReady{1000s};
const common::TimePoint kNow = kReady + 1s;  // before recycle.age_min: none of this waits for it

RecycleRules rules() { return {.recycle = {.spin = 10s}, .hang_timeout = 30s, .open_files_soft = 1000}; }

Stall stall(common::Duration lasts, double cpu_share) {
  return {.since = kNow - lasts,
          .until = kNow,
          .cpu_ns = static_cast<std::uint64_t>(static_cast<double>(lasts.count()) * cpu_share)};
}

std::optional<RecycleDecision> decide(const Trends& trends, const RecycleRules& by = rules()) {
  return decide_recycle({}, {.worker = 1, .ready_at = kReady, .trends = trends}, by, kNow);
}

TEST(RecyclePolicy, FindsASpinAtItsTimeWhateverTheAge) {
  EXPECT_FALSE(decide({.stuck = stall(10s - 1ns, 1.0)}));
  const auto decision = decide({.stuck = stall(10s, 1.0)});
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->reason, RecycleReason::kSpin);
  EXPECT_EQ(decision->threshold, "recycle.spin");
  EXPECT_EQ(decision->measured, 10);
  EXPECT_EQ(decision->limit, 10);
}

TEST(RecyclePolicy, TakesAStuckLoopThatUsesAQuarterOfACpuForASpin) {
  EXPECT_FALSE(decide({.stuck = stall(10s, 0.249)}));
  EXPECT_TRUE(decide({.stuck = stall(10s, 0.25)}));
}

TEST(RecyclePolicy, TakesPollingThatUsesATenthOfACpuForASpin) {
  EXPECT_FALSE(decide({.polling = stall(10s, 0.099)}));
  EXPECT_FALSE(decide({.polling = stall(10s - 1ns, 1.0)}));
  EXPECT_EQ(decide({.polling = stall(10s, 0.1)})->reason, RecycleReason::kSpin);
}

TEST(RecyclePolicy, NamesTheSpinOfALoopThatHangsAsWell) {
  const WorkerFacts facts{
      .worker = 1, .ready_at = kReady, .busy_since = kNow - 40s, .trends = {.stuck = stall(40s, 1.0)}};
  EXPECT_EQ(decide_recycle({}, facts, rules(), kNow)->reason, RecycleReason::kSpin);
  WorkerFacts sleeping = facts;
  sleeping.trends.stuck = stall(40s, 0.1);
  EXPECT_EQ(decide_recycle({}, sleeping, rules(), kNow)->reason, RecycleReason::kHang);
}

TEST(RecyclePolicy, TakesAStoppedWorkerForHanging) {
  EXPECT_FALSE(decide({.halted = stall(30s - 1ns, 0)}));
  const auto decision = decide({.halted = stall(30s, 0)});
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->reason, RecycleReason::kHang);
  EXPECT_EQ(decision->threshold, "workers.hang_timeout");
  RecycleRules never = rules();
  never.hang_timeout = 0s;
  EXPECT_FALSE(decide({.halted = stall(30s, 0)}, never));
}

// The whole way of a SIGSTOP to a worker that waits for events.
TEST(RecyclePolicy, NoticesThatAnIdleWorkerWasStopped) {
  SampleWindow window(rules().recycle);
  std::optional<RecycleDecision> decision;
  int second = 0;
  for (; second < 100 && !decision; ++second) {
    const common::TimePoint now = kReady + std::chrono::seconds(second);
    window.push({.at = now, .fds_total = 20, .owned = 15, .baseline = 5, .state = second < 5 ? 'S' : 'T'});
    decision =
        decide_recycle(window.samples(), {.worker = 1, .ready_at = kReady, .trends = window.trends()}, rules(), now);
  }
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->reason, RecycleReason::kHang);
  EXPECT_EQ(second - 1, 35);
}

// The whole way of a handler that never returns, sampled often: CPU time of all threads comes in steps of 10 ms.
TEST(RecyclePolicy, NoticesABurningHandlerAtTheShortestTime) {
  RecycleRules shortest = rules();
  shortest.recycle.spin = 100ms;
  SampleWindow window(shortest.recycle);
  for (std::uint64_t i = 0; i <= 10; ++i) {
    const common::TimePoint now = kReady + i * 10ms;
    const std::uint64_t ticks = i / 2 * 10;  // half of a CPU
    window.push({.at = now, .turns = 1, .busy_since = kReady, .cpu_ns = ticks * 1'000'000});
    const auto decision =
        decide_recycle(window.samples(), {.worker = 1, .ready_at = kReady, .trends = window.trends()}, shortest, now);
    EXPECT_EQ(decision.has_value(), i == 10) << i;
  }
}

// ---- descriptors of the server that the application closed

Sample lost() { return {.fds_total = 14, .owned = 15, .baseline = 5, .turns = 9}; }

std::optional<RecycleDecision> decide(const std::vector<Sample>& samples) {
  return decide_recycle(samples, {.worker = 1, .ready_at = kReady}, rules(), kNow);
}

TEST(RecyclePolicy, ReplacesAWorkerWhoseApplicationClosedOurDescriptors) {
  const std::vector<Sample> samples(4, lost());
  const auto decision = decide(samples);
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->reason, RecycleReason::kHang);
  EXPECT_EQ(decision->threshold, kServerFdsClosed);
  EXPECT_EQ(decision->measured, 14);
  EXPECT_EQ(decision->limit, 15);
}

TEST(RecyclePolicy, WantsThreeLooksAtLostDescriptorsAndOneBefore) {
  EXPECT_FALSE(decide(std::vector<Sample>(3, lost())));
  std::vector<Sample> once_whole(4, lost());
  once_whole[2].fds_total = 15;
  EXPECT_FALSE(decide(once_whole));
}

TEST(RecyclePolicy, DoesNotTakeConnectionsThatComeAndGoForLostDescriptors) {
  std::vector<Sample> turning(4, lost());
  for (std::size_t i = 0; i < turning.size(); ++i) turning[i].turns = i;
  EXPECT_FALSE(decide(turning));
  std::vector<Sample> busy(4, lost());
  for (Sample& sample : busy) sample.busy_since = kNow;
  EXPECT_FALSE(decide(busy));
}

TEST(RecyclePolicy, BelievesAWorkerThatFindsFewerDescriptorsThanItOwns) {
  std::vector<Sample> turning(4, lost());
  for (std::size_t i = 0; i < turning.size(); ++i) {
    turning[i].turns = i;
    turning[i].missing_fds = 1;
  }
  EXPECT_TRUE(decide(turning));
  turning[3].missing_fds = 0;
  EXPECT_FALSE(decide(turning));
}

}  // namespace
}  // namespace master
