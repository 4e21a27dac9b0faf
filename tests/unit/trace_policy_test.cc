// The trace policy: when tracing begins, and when it does not.
#include "master/trace_policy.h"

#include <gtest/gtest.h>

#include <vector>

namespace master {
namespace {

using common::FdTrace;
using common::TraceSwitch;

RecycleRules rules() { return {.recycle = {.jitter = 0}, .hang_timeout = {}, .open_files_soft = 1000}; }

std::vector<Sample> leaking(const std::vector<std::uint64_t>& series) {
  std::vector<Sample> samples;
  samples.reserve(series.size());
  for (const std::uint64_t leaked : series) samples.push_back({.fds_total = 20 + leaked, .owned = 15, .baseline = 5});
  return samples;
}

std::optional<TraceCause> decide(const std::vector<Sample>& samples, const RecycleRules& by = rules()) {
  return decide_trace(samples, {}, by);
}

TEST(TracePolicy, FollowsTheSetting) {
  const std::vector<Sample> leak = leaking({0, 0, 0, 100, 100, 100});
  EXPECT_EQ(decide_trace({}, {.setting = FdTrace::kAlways}, rules()), TraceCause::kConfigured);
  EXPECT_EQ(decide_trace(leak, {.setting = FdTrace::kAuto}, rules()), TraceCause::kGrowth);
  EXPECT_EQ(decide_trace(leak, {.setting = FdTrace::kOff}, rules()), std::nullopt);
}

TEST(TracePolicy, NeverSwitchesAgain) {
  for (const auto setting : {FdTrace::kAuto, FdTrace::kAlways, FdTrace::kOff}) {
    EXPECT_EQ(decide_trace(leaking({0, 0, 0, 100, 100, 100}), {.setting = setting, .now = TraceSwitch::kOn}, rules()),
              std::nullopt);
  }
}

TEST(TracePolicy, BeginsAtASixteenthOfTheLeakLimit) {
  EXPECT_EQ(decide(leaking({0, 0, 0, 15, 15, 15})), std::nullopt);
  EXPECT_EQ(decide(leaking({0, 0, 0, 16, 16, 16})), TraceCause::kGrowth);
}

TEST(TracePolicy, DoesNotBeginBelowEightDescriptors) {
  for (const std::uint32_t limit : {0U, 1U, 64U}) {
    RecycleRules low = rules();
    low.recycle.fds_leaked = limit;
    EXPECT_EQ(decide(leaking({0, 0, 0, 7, 7, 7}), low), std::nullopt) << limit;
    EXPECT_EQ(decide(leaking({0, 0, 0, 8, 8, 8}), low), TraceCause::kGrowth) << limit;
  }
}

TEST(TracePolicy, IgnoresBurstsAndWhatDoesNotGrow) {
  EXPECT_EQ(decide(leaking({0, 0, 0, 500, 0, 500})), std::nullopt);
  EXPECT_EQ(decide(leaking({100, 100, 100, 100, 100, 100})), std::nullopt);
  EXPECT_EQ(decide(leaking({100, 100, 100, 101, 101, 101})), TraceCause::kGrowth);
}

TEST(TracePolicy, BeginsWithTheFirstSamplesOfAFastLeak) {
  EXPECT_EQ(decide(leaking({100, 200})), std::nullopt);
  EXPECT_EQ(decide(leaking({100, 200, 300})), TraceCause::kGrowth);
}

TEST(TracePolicy, BeginsAtAQuarterOfTheCloseWaitLimit) {
  const auto close_wait = [](std::uint64_t now, std::uint32_t limit) {
    RecycleRules by = rules();
    by.recycle.close_wait = limit;
    std::vector<Sample> samples(3);
    samples.back().close_wait = CloseWaitCount{.now = now};
    return decide(samples, by);
  };
  EXPECT_EQ(close_wait(15, 64), std::nullopt);
  EXPECT_EQ(close_wait(16, 64), TraceCause::kCloseWait);
  EXPECT_EQ(close_wait(0, 1), std::nullopt);
  EXPECT_EQ(close_wait(1, 1), TraceCause::kCloseWait);
  EXPECT_EQ(close_wait(1000, 0), std::nullopt);
}

TEST(TracePolicy, BeginsWhenThreeQuartersOfFdsUsedAreInUseAndTheApplicationHasAPart) {
  const auto full = [](std::uint64_t total, std::uint64_t application) {
    RecycleRules half = rules();
    half.recycle.fds_used = 0.5;
    const Sample sample{.fds_total = total, .owned = total - 5 - application, .baseline = 5};
    return decide(std::vector<Sample>(6, sample), half);
  };
  EXPECT_EQ(full(374, 8), std::nullopt);
  EXPECT_EQ(full(375, 8), TraceCause::kFull);
  EXPECT_EQ(full(375, 7), std::nullopt);
  EXPECT_EQ(full(490, 0), std::nullopt);  // load alone
}

TEST(TraceCause, HasWords) {
  EXPECT_EQ(name_of(TraceCause::kGrowth), "descriptors grow");
  EXPECT_EQ(name_of(TraceCause::kConfigured), "fds.trace = always");
}

}  // namespace
}  // namespace master
