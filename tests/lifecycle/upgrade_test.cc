// Upgrading the supervisor under all eight kinds of clients: the master becomes another image of itself, and no client
// can tell.
#include <gtest/gtest.h>

#include "drivers.h"

namespace lifecycle {
namespace {

TEST(LifecycleLedger, LosesNothingWhileTheMasterIsUpgraded) {
  Trial trial;
  ASSERT_TRUE(trial.begin());
  upgrade(trial, times(3, 20, 100));
  // The master that came last is as able as the first.
  recycle_workers(trial, trial.service().options().workers);
  trial.expect_nothing_lost();
}

}  // namespace
}  // namespace lifecycle
