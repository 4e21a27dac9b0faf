// UpgradeDesk: one upgrade at a time, whose patience ends.
#include "master/upgrade_desk.h"

#include <gtest/gtest.h>

namespace master {
namespace {

using namespace std::chrono_literals;

using State = UpgradeDesk::State;

constexpr common::TimePoint kStart{1000s};
constexpr common::Duration kPatience = 30s;

common::Json status(std::string_view state, const common::Json& error, int count) {
  return {{"state", state}, {"last_error", error}, {"count", count}};
}

TEST(UpgradeDesk, IsIdleUntilItIsAsked) {
  const UpgradeDesk desk;
  EXPECT_EQ(desk.state(), State::kIdle);
  EXPECT_EQ(desk.deadline(), std::nullopt);
  EXPECT_FALSE(desk.is_late(common::TimePoint::max()));
  EXPECT_FALSE(desk.owns_pid(0));
  EXPECT_EQ(desk.to_json(), status("ok", nullptr, 0));
}

TEST(UpgradeDesk, WaitsThenChecksThenIsReady) {
  UpgradeDesk desk;
  desk.ask(kStart, kPatience);
  EXPECT_EQ(desk.state(), State::kWaiting);
  EXPECT_EQ(desk.to_json(), status("running", nullptr, 0));
  desk.begin_check(77, kStart + 1s);
  EXPECT_EQ(desk.state(), State::kChecking);
  EXPECT_TRUE(desk.owns_pid(77));
  EXPECT_FALSE(desk.owns_pid(78));
  EXPECT_EQ(desk.to_json(), status("running", nullptr, 0));
  desk.pass();
  EXPECT_EQ(desk.state(), State::kReady);
  EXPECT_FALSE(desk.owns_pid(77)) << "it has been waited for, and the number may be another's now";
  EXPECT_EQ(desk.pid(), 0);
  EXPECT_EQ(desk.to_json(), status("running", nullptr, 0));
}

TEST(UpgradeDesk, IsLateAtItsDeadlineAndNotBefore) {
  UpgradeDesk desk;
  desk.ask(kStart, kPatience);
  EXPECT_EQ(desk.deadline(), kStart + kPatience);
  EXPECT_FALSE(desk.is_late(kStart + kPatience - 1ns));
  EXPECT_TRUE(desk.is_late(kStart + kPatience));
}

TEST(UpgradeDesk, GivesACheckAPatienceOfItsOwn) {
  UpgradeDesk desk;
  desk.ask(kStart, kPatience);
  desk.begin_check(77, kStart + 29s);
  EXPECT_EQ(desk.deadline(), kStart + 29s + UpgradeDesk::kCheckPatience) << "it took long to get that far";
  desk.pass();
  EXPECT_EQ(desk.deadline(), kStart + kPatience) << "to be executed it has the time it was given at first";
}

TEST(UpgradeDesk, IsNotAskedTwiceAtATime) {
  UpgradeDesk desk;
  desk.ask(kStart, kPatience);
  desk.ask(kStart + 10s, kPatience);
  EXPECT_EQ(desk.deadline(), kStart + kPatience);
  desk.begin_check(77, kStart + 11s);
  desk.ask(kStart + 12s, kPatience);
  EXPECT_EQ(desk.state(), State::kChecking);
  EXPECT_TRUE(desk.owns_pid(77));
  desk.pass();
  desk.ask(kStart + 13s, kPatience);
  EXPECT_EQ(desk.state(), State::kReady);
}

TEST(UpgradeDesk, RemembersWhyItFailedUntilItSucceeds) {
  for (const State when : {State::kWaiting, State::kChecking, State::kReady}) {
    UpgradeDesk desk;
    desk.resume(4);
    desk.ask(kStart, kPatience);
    if (when != State::kWaiting) desk.begin_check(77, kStart);
    if (when == State::kReady) desk.pass();
    desk.end("no such file");
    EXPECT_EQ(desk.state(), State::kIdle);
    EXPECT_EQ(desk.deadline(), std::nullopt);
    EXPECT_FALSE(desk.owns_pid(77));
    EXPECT_EQ(desk.to_json(), status("failed", "no such file", 4));
    desk.ask(kStart + 1h, kPatience);
    EXPECT_EQ(desk.to_json(), status("running", "no such file", 4));
    EXPECT_EQ(desk.deadline(), kStart + 1h + kPatience);
    desk.end("");
    EXPECT_EQ(desk.to_json(), status("ok", nullptr, 4));
  }
}

TEST(UpgradeDesk, GoesOnCountingWhereTheImageBeforeItStopped) {
  UpgradeDesk desk;
  desk.resume(3);
  EXPECT_EQ(desk.count(), 3U);
  EXPECT_EQ(desk.to_json(), status("ok", nullptr, 3));
}

}  // namespace
}  // namespace master
