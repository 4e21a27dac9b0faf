// Everything that can be replaced, replaced in turn under one clientele: what one leaves behind must not harm the next.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "drivers.h"

namespace lifecycle {
namespace {

struct Step {
  void (*drive)(Trial& trial, int count);
  int quick;
  int full;
  int longest;
};

// The counts are those of all rounds together.
constexpr auto kSteps = std::to_array<Step>({
    {recycle_workers, 12, 300, 1000},
    {reload, 4, 50, 200},
    {upgrade, 2, 20, 40},
    {scale, 4, 100, 200},
    {fail_reloads, 4, 20, 40},
});

TEST(LifecycleLedger, LosesNothingWhateverIsReplaced) {
  Trial trial;
  ASSERT_TRUE(trial.begin());
  const int rounds = times(2, 10, 10);
  for (int round = 0; round < rounds; ++round) {
    for (const Step& step : kSteps) {
      step.drive(trial, std::max(times(step.quick, step.full, step.longest) / rounds, 1));
      ASSERT_FALSE(HasFatalFailure()) << "in round " << round;
    }
  }
  trial.expect_nothing_lost();
}

}  // namespace
}  // namespace lifecycle
