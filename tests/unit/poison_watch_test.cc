// PoisonWatch: the same line again and again is suspected, once; anything else is not.
#include "master/poison_watch.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace {

using master::PoisonWatch;
using master::Suspicion;
using std::chrono::seconds;

const common::TimePoint kStart{seconds(1000)};
constexpr common::Duration kWindow = seconds(60);

TEST(PoisonWatch, SuspectsALineThatWasInHandTwice) {
  PoisonWatch watch;
  EXPECT_FALSE(watch.on_crash("GET /a", kWindow, kStart));
  EXPECT_FALSE(watch.on_crash("GET /b", kWindow, kStart));
  const auto suspicion = watch.on_crash("GET /a", kWindow, kStart + kWindow);
  ASSERT_TRUE(suspicion);
  EXPECT_EQ(suspicion->crashes_with_it, 2U);
  EXPECT_EQ(suspicion->crashes, 3U);
  EXPECT_EQ(master::suspicion_text("GET /a", *suspicion), "\"GET /a\" was in flight in 2 of the last 3 crashes");
}

TEST(PoisonWatch, TellsOfEachLineOnce) {
  PoisonWatch watch;
  watch.on_crash("GET /a", kWindow, kStart);
  EXPECT_EQ(watch.on_crash("GET /a", kWindow, kStart)->news, Suspicion::News::kYes);
  EXPECT_EQ(watch.on_crash("GET /a", kWindow, kStart)->news, Suspicion::News::kNo);
  watch.on_crash("GET /b", kWindow, kStart);
  EXPECT_EQ(watch.on_crash("GET /b", kWindow, kStart)->news, Suspicion::News::kYes);
  const auto again = watch.on_crash("GET /a", kWindow, kStart + kWindow);
  EXPECT_EQ(again->news, Suspicion::News::kNo) << "it never left the window";
  EXPECT_EQ(again->crashes_with_it, 4U);
}

TEST(PoisonWatch, ForgetsWhatIsOlderThanTheWindow) {
  PoisonWatch watch;
  watch.on_crash("GET /a", kWindow, kStart);
  const auto later = kStart + kWindow + std::chrono::nanoseconds(1);
  EXPECT_FALSE(watch.on_crash("GET /a", kWindow, later));
  EXPECT_EQ(watch.on_crash("GET /a", kWindow, later)->crashes, 2U);
  const auto much_later = later + kWindow + std::chrono::nanoseconds(1);
  watch.on_crash("GET /a", kWindow, much_later);
  EXPECT_EQ(watch.on_crash("GET /a", kWindow, much_later)->news, Suspicion::News::kYes) << "it begins anew";
}

TEST(PoisonWatch, CountsCrashesWithoutARequestAndSuspectsNoneOfThem) {
  PoisonWatch watch;
  EXPECT_FALSE(watch.on_crash("", kWindow, kStart));
  EXPECT_FALSE(watch.on_crash("", kWindow, kStart));
  watch.on_crash("GET /a", kWindow, kStart);
  EXPECT_EQ(watch.on_crash("GET /a", kWindow, kStart)->crashes, 4U);
}

TEST(PoisonWatch, RemembersSixteenLinesAndForgetsTheOneSeenLongestAgo) {
  PoisonWatch watch;
  for (std::size_t i = 0; i < PoisonWatch::kLinesMax; ++i) watch.on_crash("GET /" + std::to_string(i), kWindow, kStart);
  EXPECT_TRUE(watch.on_crash("GET /0", kWindow, kStart)) << "all sixteen are known";
  watch.on_crash("GET /new", kWindow, kStart);
  EXPECT_TRUE(watch.on_crash("GET /0", kWindow, kStart)) << "it was seen again";
  EXPECT_FALSE(watch.on_crash("GET /1", kWindow, kStart)) << "it had to go";
}

TEST(PoisonWatch, CountsNoMoreThanItRemembers) {
  PoisonWatch watch;
  std::optional<Suspicion> last;
  for (std::size_t i = 0; i < PoisonWatch::kCrashesMax + 9; ++i) last = watch.on_crash("GET /a", kWindow, kStart);
  EXPECT_EQ(last->crashes_with_it, PoisonWatch::kCrashesMax);
  EXPECT_EQ(last->crashes, PoisonWatch::kCrashesMax);
}

}  // namespace
