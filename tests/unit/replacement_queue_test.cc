// ReplacementQueue: its order, its cap, and that a slot is in it once.
#include "master/replacement_queue.h"

#include <gtest/gtest.h>

namespace master {
namespace {

bool anyone(SlotIndex) { return true; }
bool nobody(SlotIndex) { return false; }

TEST(ReplacementQueue, TakesSlotsInTheOrderInWhichTheyCame) {
  ReplacementQueue queue(8);
  for (const SlotIndex slot : {3U, 0U, 2U}) queue.push(slot, RecycleReason::kAge);
  EXPECT_EQ(queue.begin_next(anyone), 3U);
  EXPECT_EQ(queue.begin_next(anyone), 0U);
  EXPECT_EQ(queue.begin_next(anyone), 2U);
  EXPECT_EQ(queue.begin_next(anyone), std::nullopt);
}

TEST(ReplacementQueue, HasAtMostSoManyUnderWay) {
  ReplacementQueue queue(2);
  for (const SlotIndex slot : {0U, 1U, 2U}) queue.push(slot, RecycleReason::kAge);
  EXPECT_EQ(queue.begin_next(anyone), 0U);
  EXPECT_EQ(queue.begin_next(anyone), 1U);
  EXPECT_EQ(queue.begin_next(anyone), std::nullopt);
  EXPECT_EQ(queue.remove(1), RecycleReason::kAge);
  EXPECT_EQ(queue.begin_next(anyone), 2U);
}

TEST(ReplacementQueue, MovesEvenWithAMaximumOfZero) {
  ReplacementQueue queue(0);
  queue.push(0, RecycleReason::kAge);
  queue.push(1, RecycleReason::kAge);
  EXPECT_EQ(queue.begin_next(anyone), 0U);
  EXPECT_EQ(queue.begin_next(anyone), std::nullopt);
}

TEST(ReplacementQueue, KeepsTheFirstReasonOfASlotWaitingOrUnderWay) {
  ReplacementQueue queue(1);
  EXPECT_EQ(queue.push(0, RecycleReason::kRss), ReplacementQueue::Pushed::kQueued);
  EXPECT_EQ(queue.push(0, RecycleReason::kHang), ReplacementQueue::Pushed::kAlreadyThere);
  queue.begin_next(anyone);
  EXPECT_EQ(queue.push(0, RecycleReason::kManual), ReplacementQueue::Pushed::kAlreadyThere);
  EXPECT_EQ(queue.remove(0), RecycleReason::kRss);
  EXPECT_EQ(queue.push(0, RecycleReason::kManual), ReplacementQueue::Pushed::kQueued);
}

TEST(ReplacementQueue, PassesOverSlotsThatMayNotBeginAndKeepsTheirPlace) {
  ReplacementQueue queue(3);
  for (const SlotIndex slot : {0U, 1U, 2U}) queue.push(slot, RecycleReason::kAge);
  EXPECT_EQ(queue.begin_next(nobody), std::nullopt);
  EXPECT_EQ(queue.begin_next([](SlotIndex slot) { return slot == 1; }), 1U);
  EXPECT_EQ(queue.begin_next(anyone), 0U);
}

TEST(ReplacementQueue, PutsAPostponedSlotFirst) {
  ReplacementQueue queue(1);
  queue.push(0, RecycleReason::kManual);
  queue.push(1, RecycleReason::kAge);
  queue.begin_next(anyone);
  queue.postpone(0);
  EXPECT_EQ(queue.under_way(), 0U);
  EXPECT_EQ(queue.begin_next(anyone), 0U);
  EXPECT_EQ(queue.reason_of(0), RecycleReason::kManual);
}

TEST(ReplacementQueue, RemovesWaitingSlotsAndKnowsNothingOfOthers) {
  ReplacementQueue queue(1);
  queue.push(4, RecycleReason::kHang);
  EXPECT_EQ(queue.remove(4), RecycleReason::kHang);
  EXPECT_EQ(queue.remove(4), std::nullopt);
  EXPECT_EQ(queue.waiting(), 0U);
}

}  // namespace
}  // namespace master
