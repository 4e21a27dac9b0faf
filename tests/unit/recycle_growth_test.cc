// The recycle policy on descriptors over time: the pace of a leak, its close look-alikes, and CLOSE_WAIT.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

#include "master/recycle_policy.h"
#include "master/repeat_guard.h"

namespace master {
namespace {

using namespace std::chrono_literals;

const common::TimePoint kReady{1000s};

RecycleRules rules(std::uint64_t soft = 1024) {
  return {.recycle = {.jitter = 0, .fds_leaked = 0}, .hang_timeout = 30s, .open_files_soft = soft};
}

struct Held {
  double application = 0;
  double connections = 0;
};
using Series = std::function<Held(double second)>;

struct Outcome {
  int second = 0;
  RecycleDecision decision;
};

// What is decided first in ten minutes of a worker's life.
std::optional<Outcome> live(const Series& series, const RecycleRules& by = rules()) {
  SampleWindow window(by.recycle);
  for (int second = 0; second <= 600; ++second) {
    const Held held = series(second);
    const auto application = static_cast<std::uint64_t>(held.application);
    const auto connections = static_cast<std::uint64_t>(held.connections);
    const common::TimePoint now = kReady + std::chrono::seconds(second);
    window.push({.at = now, .fds_total = 20 + application + connections, .owned = 15 + connections, .baseline = 5});
    const auto decision =
        decide_recycle(window.samples(), {.worker = 1, .ready_at = kReady, .trends = window.trends()}, by, now);
    if (decision) return Outcome{second, *decision};
  }
  return std::nullopt;
}

TEST(FdsExhaustion, ReplacesAWorkerBeforeItsDescriptorsRunOut) {
  const auto outcome = live([](double second) { return Held{.application = 10 * second}; });
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->decision.reason, RecycleReason::kFdsLeaked);
  EXPECT_EQ(outcome->decision.threshold, "recycle.fds_exhaustion");
  EXPECT_EQ(outcome->decision.limit, 60);
  EXPECT_LE(outcome->decision.measured, 60);
  EXPECT_GT(outcome->decision.measured, 40);
  EXPECT_EQ(outcome->second, 34);  // the end of start-up and of eight periods
}

TEST(FdsExhaustion, LeavesASlowLeakTimeUntilTheLastMinute) {
  const auto slow = [](double second) { return Held{.application = 6 * second}; };
  const auto outcome = live(slow);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->decision.threshold, "recycle.fds_exhaustion");
  EXPECT_NEAR(outcome->second, (0.8 * 1024 - 20) / 6 - 60, 8);
  RecycleRules off = rules();
  off.recycle.fds_exhaustion = 0s;
  EXPECT_EQ(live(slow, off)->decision.threshold, "recycle.fds_used");
}

TEST(FdsExhaustion, CountsTheConnectionsThatTakeTheSameRoom) {
  const auto leak = [](double connections) {
    return [=](double second) { return Held{.application = 6 * second, .connections = connections}; };
  };
  EXPECT_LT(live(leak(300))->second, live(leak(0))->second);
}

TEST(FdsExhaustion, MeasuresAgainstTheWholeLimitWhenFdsUsedIsOff) {
  RecycleRules whole = rules();
  whole.recycle.fds_used = 0;
  const auto slow = [](double second) { return Held{.application = 6 * second}; };
  EXPECT_GT(live(slow, whole)->second, live(slow)->second + 25);  // 0.2 * 1024 descriptors later
}

TEST(FdsExhaustion, SeesNothingToFearUnderAHighLimit) {
  RecycleRules high = rules(524'288);
  EXPECT_FALSE(live([](double second) { return Held{.application = 100 * second}; }, high));
}

TEST(FdsExhaustion, TakesTheWorkersOwnLimit) {
  SampleWindow window(rules().recycle);
  std::optional<RecycleDecision> decision;
  for (int second = 0; second <= 40 && !decision; ++second) {
    const common::TimePoint now = kReady + std::chrono::seconds(second);
    window.push({.at = now, .fds_total = static_cast<std::uint64_t>(10 * second), .open_files_soft = 1024});
    decision = decide_recycle(window.samples(), {.worker = 1, .ready_at = kReady, .trends = window.trends()},
                              rules(524'288), now);
  }
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->threshold, "recycle.fds_exhaustion");
}

TEST(FdsExhaustion, CountsFromHalfTheHeadRoomAndSixtyFourDescriptorsOn) {
  const auto decide = [](std::uint64_t leaked, std::uint64_t grown) {
    const std::vector<Sample> samples(3, Sample{.fds_total = leaked + 20, .owned = 15, .baseline = 5});
    const WorkerFacts facts{
        .worker = 1, .ready_at = kReady, .trends = {.growth = Growth{.descriptors = grown, .per_second = 1000}}};
    return decide_recycle(samples, facts, rules(), kReady + 60s);
  };
  EXPECT_TRUE(decide(128, 64));
  EXPECT_FALSE(decide(127, 64));
  EXPECT_FALSE(decide(128, 63));
}

// None of these may cost a worker, at the limit of 1024 where they come closest.
TEST(FdsExhaustion, IsNotTrippedByWhatIsNoLeak) {
  std::mt19937 random(1);
  std::uniform_int_distribution<int> noise(0, 500);
  const std::vector<std::pair<const char*, Series>> all = {
      {"plateau", [](double) { return Held{.application = 400}; }},
      {"step", [](double second) { return Held{.application = second < 60 ? 0.0 : 400.0}; }},
      {"pool filled steadily after start-up",
       [](double second) { return Held{.application = std::min(second * 4, 127.0)}; }},
      {"large pool that fills ever slower",
       [](double second) { return Held{.application = 400 * (1 - std::exp(-second / 20))}; }},
      {"burst train", [](double second) { return Held{.application = static_cast<int>(second) % 2 == 0 ? 500.0 : 0}; }},
      {"bursts of three seconds",
       [](double second) { return Held{.application = static_cast<int>(second) % 13 < 3 ? 500.0 : 0}; }},
      {"saw-tooth", [](double second) { return Held{.application = 40 * std::fmod(second, 10)}; }},
      {"slow saw-tooth of a cache", [](double second) { return Held{.application = std::fmod(second, 120)}; }},
      {"noise", [&](double) { return Held{.application = static_cast<double>(noise(random))}; }},
      {"connections up to their budget",
       [](double second) { return Held{.connections = std::min(20 * second, 704.0)}; }},
      {"connections on a pool",
       [](double second) { return Held{.application = 100, .connections = second > 30 ? 600.0 : 0}; }},
      {"a descriptor for each connection",
       [](double second) {
         const double load = std::min(10 * second, 350.0);
         return Held{.application = load, .connections = load};
       }},
  };
  for (const auto& [name, series] : all) {
    const auto outcome = live(series);
    EXPECT_FALSE(outcome) << name << ": " << outcome.value_or(Outcome{}).decision.threshold << " at second "
                          << outcome.value_or(Outcome{}).second;
  }
}

TEST(FdsLeaked, IsNotReachedByBurstsThatTheWorkerSawTheEndOf) {
  RecycleRules by = rules(100'000);
  by.recycle.fds_leaked = 256;
  SampleWindow window(by.recycle);
  for (std::uint64_t second = 0; second <= 600; ++second) {
    const common::TimePoint now = kReady + std::chrono::seconds(second);
    window.push({.at = now,
                 .fds_total = 520,  // whenever the master looks, a handler has 500 open
                 .owned = 15,
                 .baseline = 5,
                 .quiet_fds = 5,
                 .quiet_at = now - 300ms,
                 .turns = second,
                 .busy_since = now - 100ms});
    EXPECT_FALSE(
        decide_recycle(window.samples(), {.worker = 1, .ready_at = kReady, .trends = window.trends()}, by, now));
  }
}

// ---- CLOSE_WAIT

const common::TimePoint kNow = kReady + 60s;

std::optional<RecycleDecision> decide(std::uint64_t aged, const RecycleRules& by, const Trends& trends = {}) {
  const std::vector<Sample> samples = {{.close_wait = CloseWaitCount{.now = 1000, .aged = aged, .oldest = 100s}}};
  return decide_recycle(samples, {.worker = 1, .ready_at = kReady, .trends = trends}, by, kNow);
}

TEST(CloseWait, IsReachedAtItsLimitByAgedSocketsOnly) {
  EXPECT_FALSE(decide(63, rules()));
  const auto decision = decide(64, rules());
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->reason, RecycleReason::kCloseWait);
  EXPECT_EQ(decision->threshold, "recycle.close_wait");
  EXPECT_EQ(decision->measured, 64);
  EXPECT_EQ(decision->limit, 64);
}

TEST(CloseWait, IsNotReachedWhereTheKernelDoesNotTell) {
  const std::vector<Sample> samples(3);
  EXPECT_FALSE(decide_recycle(samples, {.worker = 1, .ready_at = kReady}, rules(), kNow));
}

TEST(CloseWait, IsRaisedByTheWorkersJitter) {
  RecycleRules jittered = rules();
  jittered.recycle.jitter = 1;
  const double limit = 64 * jitter_factor(1, 1);
  ASSERT_GT(limit, 65);
  EXPECT_FALSE(decide(static_cast<std::uint64_t>(std::floor(limit)), jittered));
  EXPECT_TRUE(decide(static_cast<std::uint64_t>(std::ceil(limit)), jittered));
}

TEST(CloseWait, IsNotJudgedWhileTheLoopCannotSayWhichSocketsAreTheServers) {
  EXPECT_TRUE(decide(64, rules(), {.stuck = Stall{.since = kNow, .until = kNow}}));
  EXPECT_FALSE(decide(64, rules(), {.stuck = Stall{.since = kNow - 1s, .until = kNow}}));
}

TEST(CloseWait, RecyclesOnlyWhereThatIsTheAction) {
  using enum common::CloseWaitAction;
  for (const auto action : {kShutdown, kReport}) {
    RecycleRules by = rules();
    by.recycle.close_wait_action = action;
    EXPECT_FALSE(decide(64, by));
    const Sample below{.close_wait = CloseWaitCount{.now = 64, .aged = 63}};
    const Sample at{.close_wait = CloseWaitCount{.now = 64, .aged = 64}};
    EXPECT_FALSE(decide_close_wait(below, {}, by));
    const auto order = decide_close_wait(at, {}, by);
    ASSERT_TRUE(order);
    EXPECT_EQ(order->action, action);
    EXPECT_EQ(order->measured, 64U);
    EXPECT_EQ(order->limit, 64U);
    EXPECT_FALSE(decide_close_wait({}, {}, by));
    by.recycle.close_wait = 0;
    EXPECT_FALSE(decide_close_wait(at, {}, by));
  }
  const Sample at{.close_wait = CloseWaitCount{.now = 64, .aged = 64}};
  EXPECT_FALSE(decide_close_wait(at, {}, rules()));
}

TEST(RepeatGuard, LetsEachReasonThroughOnceUntilItIsForgotten) {
  RepeatGuard guard;
  EXPECT_TRUE(guard.tell(RecycleReason::kFdsLeaked));
  EXPECT_FALSE(guard.tell(RecycleReason::kFdsLeaked));
  EXPECT_TRUE(guard.tell(RecycleReason::kManual));
  guard.forget(RecycleReason::kFdsLeaked);
  EXPECT_TRUE(guard.tell(RecycleReason::kFdsLeaked));
  EXPECT_FALSE(guard.tell(RecycleReason::kManual));
}

}  // namespace
}  // namespace master
