// The recycle policy: each limit, one below it, and what must not count as a leak.
#include "master/recycle_policy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace master {
namespace {

using namespace std::chrono_literals;

const common::TimePoint kReady{1000s};
const common::TimePoint kNow = kReady + 60s;

RecycleRules rules() {
  RecycleRules rules{.recycle = {}, .hang_timeout = 30s, .open_files_soft = 1000};
  rules.recycle.jitter = 0;
  return rules;
}

WorkerFacts facts() { return {.worker = 1, .ready_at = kReady}; }

Sample leaking(std::uint64_t leaked) { return {.fds_total = 20 + leaked, .owned = 15, .baseline = 5}; }

std::vector<Sample> three(const Sample& sample) { return {sample, sample, sample}; }

std::optional<RecycleReason> decide(const std::vector<Sample>& samples, const RecycleRules& rules,
                                    const WorkerFacts& facts, common::TimePoint now = kNow) {
  const std::optional<RecycleDecision> decision = decide_recycle(samples, facts, rules, now);
  if (!decision) return std::nullopt;
  return decision->reason;
}

TEST(RecyclePolicy, LeavesAHealthyWorkerAlone) {
  EXPECT_EQ(decide(three(leaking(0)), rules(), facts()), std::nullopt);
  EXPECT_EQ(decide({}, rules(), facts()), std::nullopt);
}

TEST(RecyclePolicy, FindsALeakAtItsLimitAndNotOneBelow) {
  EXPECT_EQ(decide(three(leaking(255)), rules(), facts()), std::nullopt);
  EXPECT_EQ(decide(three(leaking(256)), rules(), facts()), RecycleReason::kFdsLeaked);
}

TEST(RecyclePolicy, SaysWhatItMeasured) {
  const auto decision = decide_recycle(three(leaking(300)), facts(), rules(), kNow);
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->measured, 300);
  EXPECT_EQ(decision->limit, 256);
  EXPECT_EQ(decision->threshold, "recycle.fds_leaked");
}

TEST(RecyclePolicy, IgnoresAGrowthThatLastsFewerSamplesThanConfigured) {
  EXPECT_EQ(decide({leaking(300), leaking(300)}, rules(), facts()), std::nullopt);
  EXPECT_EQ(decide({leaking(300), leaking(255), leaking(300)}, rules(), facts()), std::nullopt);
  EXPECT_EQ(decide({leaking(0), leaking(300), leaking(300), leaking(300)}, rules(), facts()),
            RecycleReason::kFdsLeaked);
}

TEST(RecyclePolicy, TakesOneSampleWhenThatIsConfigured) {
  RecycleRules one = rules();
  for (const std::uint32_t samples : {0U, 1U}) {
    one.recycle.samples = samples;
    EXPECT_EQ(decide({leaking(256)}, one, facts()), RecycleReason::kFdsLeaked);
  }
}

TEST(RecyclePolicy, DoesNotTakeConnectionsForALeak) {
  const Sample busy{.fds_total = 5020, .owned = 5015, .baseline = 5};
  RecycleRules wide = rules();
  wide.open_files_soft = 100000;
  EXPECT_EQ(decide(three(busy), wide, facts()), std::nullopt);
}

TEST(RecyclePolicy, CountsNoLeakWhenTheServerOwnsMoreThanWasSeen) {
  const Sample race{.fds_total = 10, .owned = 15, .baseline = 5};
  EXPECT_EQ(race.leaked(), 0U);
  EXPECT_EQ(decide(three(race), rules(), facts()), std::nullopt);
}

TEST(RecyclePolicy, FindsAFullTableAtThePartOfTheSoftLimitAndNotOneBelow) {
  EXPECT_EQ(decide(three({.fds_total = 799, .owned = 790, .baseline = 5}), rules(), facts()), std::nullopt);
  EXPECT_EQ(decide(three({.fds_total = 800, .owned = 790, .baseline = 5}), rules(), facts()), RecycleReason::kFdsUsed);
}

TEST(RecyclePolicy, NamesTheLeakWhenItFilledTheTable) {
  EXPECT_EQ(decide(three(leaking(900)), rules(), facts()), RecycleReason::kFdsLeaked);
}

TEST(RecyclePolicy, WaitsForTheMinimumAge) {
  EXPECT_EQ(decide(three(leaking(900)), rules(), facts(), kReady + 10s - 1ns), std::nullopt);
  EXPECT_EQ(decide(three(leaking(900)), rules(), facts(), kReady + 10s), RecycleReason::kFdsLeaked);
}

TEST(RecyclePolicy, ReachesRequestsWithOneSample) {
  RecycleRules by_requests = rules();
  by_requests.recycle.requests = 1000;
  EXPECT_EQ(decide({{.requests = 999}}, by_requests, facts()), std::nullopt);
  EXPECT_EQ(decide({{.requests = 1000}}, by_requests, facts()), RecycleReason::kRequests);
}

TEST(RecyclePolicy, ReachesAgeWithoutASample) {
  RecycleRules by_age = rules();
  by_age.recycle.age = 60s;
  EXPECT_EQ(decide({}, by_age, facts(), kReady + 60s - 1ns), std::nullopt);
  EXPECT_EQ(decide({}, by_age, facts(), kReady + 60s), RecycleReason::kAge);
}

TEST(RecyclePolicy, ReachesMemoryOnlyWhenItStays) {
  RecycleRules by_rss = rules();
  by_rss.recycle.rss = 1 << 20;
  const Sample big{.rss = 1 << 20};
  const Sample small{.rss = (1 << 20) - 1};
  EXPECT_EQ(decide({big, small, big}, by_rss, facts()), std::nullopt);
  EXPECT_EQ(decide(three(big), by_rss, facts()), RecycleReason::kRss);
}

TEST(RecyclePolicy, TakesZeroForOff) {
  RecycleRules off = rules();
  off.recycle.fds_leaked = 0;
  off.recycle.fds_used = 0;
  off.recycle.fds_exhaustion = 0s;
  off.recycle.close_wait = 0;
  off.recycle.spin = 0s;
  off.hang_timeout = 0s;
  const Sample dreadful{.fds_total = 100000,
                        .rss = 1ULL << 40U,
                        .requests = 1ULL << 40U,
                        .close_wait = CloseWaitCount{1'000'000, 1'000'000, 1000h}};
  const Stall long_ago{.since = kReady, .until = kReady + 1h, .cpu_ns = 3'600'000'000'000};
  WorkerFacts stuck = facts();
  stuck.busy_since = kReady;
  stuck.trends = {.halted = long_ago, .stuck = {}, .polling = long_ago, .growth = Growth{100'000, 1000}};
  EXPECT_EQ(decide(three(dreadful), off, stuck, kReady + 1000h), std::nullopt);
}

TEST(RecyclePolicy, FindsAHangAtItsTimeoutWhateverTheAge) {
  WorkerFacts stuck = facts();
  RecycleRules old_only = rules();
  old_only.recycle.age_min = 1h;
  stuck.busy_since = kNow - 30s + 1ns;
  EXPECT_EQ(decide({}, old_only, stuck), std::nullopt);
  stuck.busy_since = kNow - 30s;
  EXPECT_EQ(decide({}, old_only, stuck), RecycleReason::kHang);
  EXPECT_EQ(decide(three(leaking(900)), rules(), stuck), RecycleReason::kHang);
}

TEST(RecyclePolicy, RaisesLimitsByTheWorkersOwnJitter) {
  RecycleRules jittered = rules();
  jittered.recycle.jitter = 0.5;
  jittered.recycle.fds_used = 0;
  const double limit = 256 * jitter_factor(1, 0.5);
  ASSERT_GT(limit, 257);
  EXPECT_EQ(decide(three(leaking(static_cast<std::uint64_t>(std::floor(limit)))), jittered, facts()), std::nullopt);
  EXPECT_EQ(decide(three(leaking(static_cast<std::uint64_t>(std::ceil(limit)))), jittered, facts()),
            RecycleReason::kFdsLeaked);
}

// Workers of one age, served alike by the kernel, reach both at the same moment if nothing spreads them.
TEST(RecyclePolicy, SpreadsRequestsAndAgeOverWorkersThatBeganTogether) {
  RecycleRules by_requests = rules();
  RecycleRules by_age = rules();
  by_requests.recycle.jitter = by_age.recycle.jitter = 0.1;
  by_requests.recycle.requests = 10'000;
  by_age.recycle.age = 1000s;
  std::vector<int> tenths(10);
  for (WorkerId worker = 1; worker <= 64; ++worker) {
    WorkerFacts one = facts();
    one.worker = worker;
    const double factor = jitter_factor(worker, 0.1);
    const auto requests = static_cast<std::uint64_t>(std::ceil(10'000 * factor));
    EXPECT_EQ(decide({{.requests = requests - 1}}, by_requests, one), std::nullopt) << worker;
    EXPECT_EQ(decide({{.requests = requests}}, by_requests, one), RecycleReason::kRequests) << worker;
    const common::TimePoint due = kReady + std::chrono::ceil<common::Duration>(1000s * factor);
    EXPECT_EQ(decide({}, by_age, one, due - 1ms), std::nullopt) << worker;
    EXPECT_EQ(decide({}, by_age, one, due + 1ms), RecycleReason::kAge) << worker;
    ++tenths[static_cast<std::size_t>((factor - 1) * 100)];
  }
  for (const int workers : tenths) EXPECT_LE(workers, 16) << "a quarter of them within a tenth of the time";
}

TEST(RecyclePolicy, DoesNotJitterTheSafetyLimits) {
  RecycleRules jittered = rules();
  jittered.recycle.jitter = 1;
  EXPECT_EQ(decide(three({.fds_total = 800, .owned = 790, .baseline = 5}), jittered, facts()), RecycleReason::kFdsUsed);
  WorkerFacts stuck = facts();
  stuck.busy_since = kNow - 30s;
  EXPECT_EQ(decide({}, jittered, stuck), RecycleReason::kHang);
}

TEST(JitterFactor, StaysInItsRangeIsStableAndSpreads) {
  int low = 0;
  for (WorkerId worker = 1; worker <= 1000; ++worker) {
    const double factor = jitter_factor(worker, 0.1);
    EXPECT_GE(factor, 1.0);
    EXPECT_LT(factor, 1.1);
    EXPECT_EQ(factor, jitter_factor(worker, 0.1));
    EXPECT_EQ(jitter_factor(worker, 0), 1.0);
    low += factor < 1.05 ? 1 : 0;
  }
  EXPECT_GT(low, 400);
  EXPECT_LT(low, 600);
}

TEST(RecycleReason, HasTheNamesOfTheContract) {
  EXPECT_EQ(name_of(RecycleReason::kFdsLeaked), "fds_leaked");
  EXPECT_EQ(name_of(RecycleReason::kCloseWait), "close_wait");
  EXPECT_EQ(name_of(RecycleReason::kManual), "manual");
}

}  // namespace
}  // namespace master
