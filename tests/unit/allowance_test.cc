// Allowance: so many at once, then so many a second.
#include "worker/allowance.h"

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using worker::Allowance;

const common::TimePoint kStart{1000s};

TEST(Allowance, GivesTheBurstAndNotOneMore) {
  Allowance allowance(3, 10ms);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(allowance.take(kStart));
  EXPECT_FALSE(allowance.take(kStart));
  EXPECT_FALSE(allowance.take(kStart + 10ms - 1ns));
}

TEST(Allowance, EarnsOneEachInterval) {
  Allowance allowance(3, 10ms);
  for (int i = 0; i < 3; ++i) allowance.take(kStart);
  EXPECT_TRUE(allowance.take(kStart + 15ms));
  EXPECT_FALSE(allowance.take(kStart + 15ms));
  EXPECT_TRUE(allowance.take(kStart + 20ms)) << "half an interval was saved";
}

TEST(Allowance, SavesNoMoreThanTheBurst) {
  Allowance allowance(3, 10ms);
  for (int i = 0; i < 3; ++i) allowance.take(kStart);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(allowance.take(kStart + 1h));
  EXPECT_FALSE(allowance.take(kStart + 1h));
}

}  // namespace
