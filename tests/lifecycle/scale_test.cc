// Scaling under all eight kinds of clients: slots come and go, and what waits at one that goes is served all the same.
#include <gtest/gtest.h>

#include "drivers.h"

namespace lifecycle {
namespace {

TEST(LifecycleLedger, LosesNothingWhileWorkersBecomeMoreAndFewer) {
  Trial trial;
  ASSERT_TRUE(trial.begin());
  scale(trial, times(10, 100, 200));  // fifty times there and back
  trial.expect_nothing_lost();
}

}  // namespace
}  // namespace lifecycle
