// AdaptiveScale: each rule, at its limit and just short of it.
#include "master/adaptive_scale.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace master {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::uint32_t kGrow = 5;
constexpr std::uint32_t kShrink = 60;
constexpr std::uint32_t kSettle = 5;

// A fleet of idle or busy workers that does what is decided, if it is told to.
class Fleet {
 public:
  Fleet(std::uint32_t min, std::uint32_t max, std::uint32_t workers)
      : wanted(workers), scale({.min = min, .max = max, .interval = 1s}) {
    observe(0, kSettle);
  }

  // The last of `times` observations decides; the ones before must not.
  std::optional<std::uint32_t> observe(std::vector<WorkerLoad> loads, std::uint32_t times = 1,
                                       Movement movement = Movement::kNone) {
    for (std::uint32_t i = 0; i < times; ++i) {
      const auto decision = scale.observe(loads, wanted, movement);
      reason = decision ? decision->reason : "";
      if (decision && i + 1 == times) return decision->workers;
      EXPECT_FALSE(decision) << "after " << i + 1 << " of " << times << ": " << reason;
    }
    return std::nullopt;
  }
  std::optional<std::uint32_t> observe(double busy, std::uint32_t times = 1) {
    return observe(std::vector<WorkerLoad>(wanted, {.busy = busy}), times);
  }

  std::uint32_t wanted;
  AdaptiveScale scale;
  std::string reason;
};

TEST(AdaptiveScale, GrowsByOneAfterFiveBusyObservations) {
  Fleet fleet(2, 8, 4);
  EXPECT_EQ(fleet.observe(0.75, kGrow), 5U);
  EXPECT_EQ(fleet.reason, "busy 0.75 over 5s -> 5 workers");
}

TEST(AdaptiveScale, DoesNotGrowBelowTheLimitOrForFewerObservations) {
  Fleet fleet(2, 8, 4);
  EXPECT_EQ(fleet.observe(0.74, 100), std::nullopt);
  EXPECT_EQ(fleet.observe(0.9, kGrow - 1), std::nullopt);
  EXPECT_EQ(fleet.observe(0.74, 1), std::nullopt);
  EXPECT_EQ(fleet.observe(0.9, kGrow - 1), std::nullopt);
  EXPECT_EQ(fleet.observe(0.9, 1), 5U);
}

TEST(AdaptiveScale, GrowsByHalfWhenEveryWorkerIsSaturated) {
  for (const auto& [workers, next] : std::vector<std::pair<std::uint32_t, std::uint32_t>>{
           {1, 2}, {2, 3}, {3, 4}, {4, 6}, {5, 7}, {9, 13}, {15, 16}}) {
    Fleet fleet(1, 16, workers);
    EXPECT_EQ(fleet.observe(0.95, kGrow), next) << workers;
  }
  Fleet fleet(1, 16, 4);
  EXPECT_EQ(fleet.observe({{.busy = 1}, {.busy = 1}, {.busy = 1}, {.busy = 0.94}}, kGrow), 5U) << "one still has time";
}

TEST(AdaptiveScale, GrowsForClientsWhoStayInLineIfTheWorkersAreHalfBusy) {
  Fleet fleet(2, 8, 2);
  EXPECT_EQ(fleet.observe({{.busy = 0.99, .overdue = 3}, {.busy = 0}}, 100), std::nullopt)
      << "they wait for one of two";
  EXPECT_EQ(fleet.observe({{.busy = 1, .overdue = 3}, {.busy = 0}}, kGrow), 3U);
  EXPECT_EQ(fleet.reason, "busy 0.50 over 5s, 3 clients in line for longer than 1s -> 3 workers");
}

TEST(AdaptiveScale, ForgetsALineThatHasGoneInBetween) {
  Fleet fleet(2, 8, 2);
  const std::vector<WorkerLoad> line{{.busy = 0.6, .overdue = 1}, {.busy = 0.6}};
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(fleet.observe(line, kGrow - 1), std::nullopt);
    EXPECT_EQ(fleet.observe(0.6), std::nullopt);
  }
}

TEST(AdaptiveScale, ShrinksByOneAfterAMinuteInWhichTheRestWouldBeIdle) {
  Fleet fleet(2, 8, 5);
  EXPECT_EQ(fleet.observe(0.39, kShrink), 4U);
  EXPECT_EQ(fleet.reason, "busy 0.39 over 1m -> 4 workers");
}

TEST(AdaptiveScale, SpeaksOfOneWorkerInTheSingular) {
  Fleet fleet(1, 8, 2);
  EXPECT_EQ(fleet.observe(0.1, kShrink), 1U);
  EXPECT_EQ(fleet.reason, "busy 0.10 over 1m -> 1 worker");
}

TEST(AdaptiveScale, DoesNotShrinkWhenTheRestWouldBeHalfBusy) {
  Fleet fleet(2, 8, 5);
  EXPECT_EQ(fleet.observe(0.4, 500), std::nullopt);
}

TEST(AdaptiveScale, DoesNotShrinkForAWindowThatWouldHaveMadeTheRestGrow) {
  Fleet fleet(2, 8, 5);
  EXPECT_EQ(fleet.observe(0.1, 30), std::nullopt);
  EXPECT_EQ(fleet.observe(0.6, kGrow), std::nullopt) << "0.75 of four";
  EXPECT_EQ(fleet.observe(0.1, kShrink - kGrow), std::nullopt);
  EXPECT_EQ(fleet.observe(0.1), 4U) << "as soon as no five in a row are left of it";
}

TEST(AdaptiveScale, TakesNoNoticeOfAShorterBurst) {
  Fleet fleet(2, 8, 5);
  EXPECT_EQ(fleet.observe(0.1, 30), std::nullopt);
  EXPECT_EQ(fleet.observe(0.6, kGrow - 1), std::nullopt);
  EXPECT_EQ(fleet.observe(0.1, kShrink - 30 - kGrow + 1), 4U);
}

TEST(AdaptiveScale, DoesNotShrinkWhileAnyClientHasStayedInLine) {
  Fleet fleet(2, 8, 2);
  fleet.wanted = 3;
  fleet.observe(0, kSettle);
  EXPECT_EQ(fleet.observe({{.busy = 0.1, .overdue = 1}, {.busy = 0}, {.busy = 0}}, 1), std::nullopt);
  EXPECT_EQ(fleet.observe(0.01, kShrink - 1), std::nullopt);
  EXPECT_EQ(fleet.observe(0.01), 2U);
}

TEST(AdaptiveScale, StaysInItsRange) {
  Fleet fleet(2, 4, 4);
  EXPECT_EQ(fleet.observe(1, 500), std::nullopt);
  fleet.wanted = 2;
  EXPECT_EQ(fleet.observe(0, 500), std::nullopt);
  EXPECT_EQ(fleet.scale.clamp(1), 2U);
  EXPECT_EQ(fleet.scale.clamp(2), 2U);
  EXPECT_EQ(fleet.scale.clamp(4), 4U);
  EXPECT_EQ(fleet.scale.clamp(5), 4U);
}

TEST(AdaptiveScale, BringsANumberOutsideTheRangeIntoItAtOnce) {
  AdaptiveScale scale({.min = 2, .max = 4});
  const std::vector<WorkerLoad> none;
  EXPECT_EQ(scale.observe(none, 7, Movement::kUnderWay), std::nullopt);
  const auto less = scale.observe(none, 7, Movement::kNone);
  ASSERT_TRUE(less);
  EXPECT_EQ(less->workers, 4U);
  EXPECT_EQ(less->reason, "workers.count is 2:4 -> 4 workers");
  EXPECT_EQ(scale.observe(none, 1, Movement::kNone)->workers, 2U);
}

TEST(AdaptiveScale, DecidesNothingWhileTheFleetMoves) {
  Fleet fleet(2, 8, 4);
  const std::vector<WorkerLoad> busy(4, {.busy = 1});
  EXPECT_EQ(fleet.observe(busy, 100, Movement::kUnderWay), std::nullopt);
  EXPECT_EQ(fleet.observe(1, kGrow - 1), std::nullopt);
  EXPECT_EQ(fleet.observe(busy, 10, Movement::kUnderWay), std::nullopt);
  EXPECT_EQ(fleet.observe(1), 6U) << "what was observed before still counts";
}

TEST(AdaptiveScale, WaitsForTheLoadOfEveryWorker) {
  Fleet fleet(2, 8, 4);
  EXPECT_EQ(fleet.observe(std::vector<WorkerLoad>(3, {.busy = 1}), 100), std::nullopt);
  EXPECT_EQ(fleet.observe(std::vector<WorkerLoad>(), 100), std::nullopt);
}

TEST(AdaptiveScale, IgnoresTheFirstObservationsAfterAChange) {
  Fleet fleet(2, 8, 4);
  ASSERT_EQ(fleet.observe(0.8, kGrow), 5U);
  fleet.wanted = 5;
  EXPECT_EQ(fleet.observe(0.8, kSettle + kGrow), 6U);
}

TEST(AdaptiveScale, BeginsAnewWhenAnOperatorHasScaled) {
  Fleet fleet(2, 8, 4);
  EXPECT_EQ(fleet.observe(0.8, kGrow - 1), std::nullopt);
  fleet.wanted = 3;
  EXPECT_EQ(fleet.observe(0.8, kSettle + kGrow), 4U);
  fleet.wanted = 8;
  EXPECT_EQ(fleet.observe(0, kSettle + kShrink), 7U) << "an operator's number stays for a while";
}

TEST(AdaptiveScale, WaitsTwiceAsLongAfterEachShrinkThatHadToBeUndone) {
  Fleet fleet(1, 8, 3);
  std::uint32_t settle = 0;
  for (const std::uint32_t windows : {1, 2, 4, 8, 16, 16}) {
    EXPECT_EQ(fleet.observe(0.2, settle + windows * kShrink), 2U) << windows;
    fleet.wanted = 2;
    settle = kSettle;
    EXPECT_EQ(fleet.observe(0.8, settle + kGrow), 3U);
    fleet.wanted = 3;
  }
  EXPECT_EQ(fleet.observe(0.2, settle + 16 * kShrink), 2U);
  fleet.wanted = 2;
  EXPECT_EQ(fleet.observe(0.1, settle + 16 * kShrink), 1U);
  fleet.wanted = 1;
  EXPECT_EQ(fleet.observe(0.8, settle + kGrow), 2U);
  fleet.wanted = 2;
  EXPECT_EQ(fleet.observe(0.1, settle + 2 * kShrink), 1U) << "two in a row were no mistake";
}

TEST(AdaptiveScale, ForgetsItsMistakesWhenAnOperatorScales) {
  Fleet fleet(1, 8, 3);
  ASSERT_EQ(fleet.observe(0.2, kShrink), 2U);
  fleet.wanted = 2;
  ASSERT_EQ(fleet.observe(0.8, kSettle + kGrow), 3U);
  fleet.wanted = 5;
  EXPECT_EQ(fleet.observe(0.1, kSettle + kShrink), 4U) << "after one window, not two";
}

TEST(AdaptiveScale, DoesNotGrowForALineThatGetsShorter) {
  Fleet fleet(2, 8, 2);
  for (std::uint64_t line = 100; line > 0; --line) {
    EXPECT_EQ(fleet.observe({{.busy = 0.7, .overdue = line}, {.busy = 0.7}}), std::nullopt);
  }
  EXPECT_EQ(fleet.observe({{.busy = 0.7, .overdue = 1}, {.busy = 0.7}}, kGrow - 1), 3U) << "one of them is no less";
}

TEST(AdaptiveScale, DoesNotInsistOnAGrowthThatWasTakenBack) {
  Fleet fleet(2, 8, 4);
  ASSERT_EQ(fleet.observe(0.8, kGrow), 5U);
  EXPECT_EQ(fleet.observe(0.8, kShrink + kGrow), 5U) << "its sockets could not be opened";
}

TEST(AdaptiveScale, TakesTheNumbersOfTheSettings) {
  const ScaleRules rules = scale_rules({.count = 3, .count_max = 9}, 250ms);
  EXPECT_EQ(rules.min, 3U);
  EXPECT_EQ(rules.max, 9U);
  AdaptiveScale scale(rules);
  const std::vector<WorkerLoad> busy(3, {.busy = 0.8});
  std::optional<ScaleDecision> decision;
  for (std::uint32_t i = 0; i < kSettle + kGrow; ++i) decision = scale.observe(busy, 3, Movement::kNone);
  ASSERT_TRUE(decision);
  EXPECT_THAT(decision->reason, HasSubstr("busy 0.80 over 1250ms"));
}

TEST(Movement, IsUnderWayUnlessEveryWantedWorkerServesAndNoneIsStarted) {
  using enum VisibleState;
  const auto movement = [](const std::vector<VisibleState>& states) {
    std::vector<WorkerView> views;
    for (const VisibleState state : states) views.push_back({.state = state});
    return movement_of(views, 2);
  };
  EXPECT_EQ(movement({kReady, kReady}), Movement::kNone);
  EXPECT_EQ(movement({kReady, kReady, kDraining, kStopping}), Movement::kNone);
  EXPECT_EQ(movement({kReady}), Movement::kUnderWay);
  EXPECT_EQ(movement({kReady, kReady, kReady}), Movement::kUnderWay);
  EXPECT_EQ(movement({kReady, kReady, kStarting}), Movement::kUnderWay);
  EXPECT_EQ(movement({kReady, kBackoff}), Movement::kUnderWay);
  EXPECT_EQ(movement_of({}, 0), Movement::kUnderWay) << "the service stops";
}

}  // namespace
}  // namespace master
