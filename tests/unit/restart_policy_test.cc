// RestartPolicy: the claims of the back-off and of the restart intensity.
#include "master/restart_policy.h"

#include <gtest/gtest.h>

namespace master {
namespace {

using namespace std::chrono_literals;

const common::TimePoint kStart{1000s};

common::RestartSettings settings() {
  return {.backoff_first = 100ms, .backoff_max = 450ms, .failures_max = 3, .window = 60s};
}

TEST(RestartPolicy, DoublesTheDelayWithEveryFailureInARowUpToTheMaximum) {
  RestartPolicy policy(settings());
  EXPECT_EQ(policy.on_failure(kStart), 100ms);
  EXPECT_EQ(policy.on_failure(kStart), 200ms);
  EXPECT_EQ(policy.on_failure(kStart), 400ms);
  EXPECT_EQ(policy.on_failure(kStart), 450ms);
  EXPECT_EQ(policy.on_failure(kStart), 450ms);
  EXPECT_EQ(policy.delay(), 450ms);
}

TEST(RestartPolicy, StartsOverAfterASuccess) {
  RestartPolicy policy(settings());
  policy.on_failure(kStart);
  policy.on_failure(kStart);
  policy.on_success();
  EXPECT_EQ(policy.delay(), 0ms);
  EXPECT_EQ(policy.on_failure(kStart), 100ms);
}

TEST(RestartPolicy, NeverWaitsLongerThanTheMaximumEvenAtFirst) {
  common::RestartSettings odd = settings();
  odd.backoff_max = 50ms;
  RestartPolicy policy(odd);
  EXPECT_EQ(policy.on_failure(kStart), 50ms);
  EXPECT_EQ(policy.on_failure(kStart), 50ms);
}

TEST(RestartPolicy, DoesNotOverflowWithTheLargestDurations) {
  common::RestartSettings odd = settings();
  odd.backoff_first = odd.backoff_max = common::Duration::max();
  RestartPolicy policy(odd);
  EXPECT_EQ(policy.on_failure(kStart), common::Duration::max());
  EXPECT_EQ(policy.on_failure(kStart), common::Duration::max());
}

TEST(RestartPolicy, LoopsAtFailuresMaxWithinTheWindowAndNotOneBefore) {
  RestartPolicy policy(settings());
  policy.on_failure(kStart);
  policy.on_failure(kStart + 1s);
  EXPECT_FALSE(policy.loops(kStart + 1s));
  policy.on_failure(kStart + 60s);
  EXPECT_TRUE(policy.loops(kStart + 60s));
}

TEST(RestartPolicy, DoesNotLoopWhenTheOldestFailureIsJustOutsideTheWindow) {
  RestartPolicy policy(settings());
  policy.on_failure(kStart);
  policy.on_failure(kStart + 1s);
  policy.on_failure(kStart + 60s + 1ns);
  EXPECT_FALSE(policy.loops(kStart + 60s + 1ns));
  EXPECT_TRUE(policy.exhausted());
}

TEST(RestartPolicy, CountsOnlyTheLatestFailures) {
  RestartPolicy policy(settings());
  for (int i = 0; i < 100; ++i) policy.on_failure(kStart + i * 31s);
  EXPECT_FALSE(policy.loops(kStart + 99 * 31s));
}

TEST(RestartPolicy, KeepsTheFailuresOfTheWindowThroughASuccess) {
  RestartPolicy policy(settings());
  policy.on_failure(kStart);
  policy.on_failure(kStart);
  policy.on_success();
  policy.on_failure(kStart);
  EXPECT_TRUE(policy.loops(kStart));
}

TEST(RestartPolicy, NeverGivesUpWhenFailuresMaxIsZero) {
  common::RestartSettings never = settings();
  never.failures_max = 0;
  RestartPolicy policy(never);
  for (int i = 0; i < 10; ++i) policy.on_failure(kStart);
  EXPECT_FALSE(policy.loops(kStart));
  EXPECT_FALSE(policy.exhausted());
}

}  // namespace
}  // namespace master
