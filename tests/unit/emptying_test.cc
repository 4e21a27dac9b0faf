// Emptying: how long a queue has to be empty, and how long anybody waits for that.
#include "worker/emptying.h"

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using worker::Emptying;
using Queue = worker::Emptying::Queue;
using Verdict = worker::Emptying::Verdict;

const common::TimePoint kStart{1000s};

TEST(Emptying, IsOverAfterTheSettleTimeAndNotBefore) {
  Emptying emptying(kStart, 15s);
  EXPECT_EQ(emptying.next_deadline(), kStart + Emptying::kSettle);
  EXPECT_EQ(emptying.look(Queue::kEmpty, kStart + Emptying::kSettle - 1ns), Verdict::kGoOn);
  EXPECT_EQ(emptying.look(Queue::kEmpty, kStart + Emptying::kSettle), Verdict::kOver);
}

TEST(Emptying, BeginsAnewWithEachConnection) {
  Emptying emptying(kStart, 15s);
  emptying.on_accepted(kStart + 150ms);
  EXPECT_EQ(emptying.look(Queue::kEmpty, kStart + 350ms - 1ns), Verdict::kGoOn);
  EXPECT_EQ(emptying.look(Queue::kEmpty, kStart + 350ms), Verdict::kOver);
}

TEST(Emptying, GoesOnWhileSomebodyWaitsInTheQueue) {
  Emptying emptying(kStart, 15s);
  EXPECT_EQ(emptying.look(Queue::kWaiting, kStart + 10s), Verdict::kGoOn);
  EXPECT_EQ(emptying.next_deadline(), kStart + 10s + Emptying::kSettle);
}

TEST(Emptying, IsOverAtTheLatestWhateverComes) {
  Emptying emptying(kStart, 15s);
  emptying.on_accepted(kStart + 15s - 1ns);
  EXPECT_EQ(emptying.next_deadline(), kStart + 15s);
  EXPECT_EQ(emptying.look(Queue::kWaiting, kStart + 15s - 1ns), Verdict::kGoOn);
  EXPECT_EQ(emptying.look(Queue::kWaiting, kStart + 15s), Verdict::kOver);
}

TEST(Emptying, IsShortenedAndNeverProlonged) {
  Emptying emptying(kStart, 15s);
  emptying.on_accepted(kStart + 5s);
  emptying.shorten(kStart + 5s, 100ms);
  emptying.shorten(kStart + 5s, 1h);
  EXPECT_EQ(emptying.next_deadline(), kStart + 5s + 100ms);
}

}  // namespace
