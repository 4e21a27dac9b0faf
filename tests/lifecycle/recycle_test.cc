// Recycling under all eight kinds of clients: a worker is replaced on demand, and no client can tell.
#include <gtest/gtest.h>

#include "drivers.h"

namespace lifecycle {
namespace {

TEST(LifecycleLedger, LosesNothingWhileWorkersAreRecycled) {
  Trial trial;
  ASSERT_TRUE(trial.begin());
  recycle_workers(trial, times(30, 300, 1000));
  trial.expect_nothing_lost();
}

}  // namespace
}  // namespace lifecycle
