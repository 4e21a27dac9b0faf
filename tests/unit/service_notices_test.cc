// ServiceNotices: which words, and when.
#include "master/service_notices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using master::ServiceNotices;
using master::ServiceSituation;
using Stage = ServiceSituation::Stage;
using Serving = ServiceSituation::Serving;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr common::TimePoint kStart{std::chrono::hours(1)};

TEST(ServiceNotices, TellsEachStageOnceAndNothingAfterStopping) {
  ServiceNotices notices(std::nullopt);
  EXPECT_THAT(notices.look({.stage = Stage::kStarting}, kStart), Not(HasSubstr("READY")));
  EXPECT_EQ(notices.look({.stage = Stage::kServing}, kStart), "READY=1\n");
  EXPECT_EQ(notices.look({.stage = Stage::kServing}, kStart), "");
  EXPECT_EQ(notices.look({.stage = Stage::kReloading, .reloads = 1}, kStart + seconds(1)),
            "RELOADING=1\nMONOTONIC_USEC=3601000000\n");
  EXPECT_EQ(notices.look({.stage = Stage::kServing, .reloads = 1}, kStart + seconds(2)), "READY=1\n");
  EXPECT_THAT(notices.look({.stage = Stage::kStopping, .reloads = 1}, kStart + seconds(3)), HasSubstr("STOPPING=1\n"));
  EXPECT_EQ(notices.look({.stage = Stage::kServing, .reloads = 1}, kStart + seconds(4)), "");
}

TEST(ServiceNotices, TellsOfAReloadThatWasOverBeforeItLooked) {
  ServiceNotices notices(std::nullopt);
  notices.look({.stage = Stage::kServing}, kStart);
  EXPECT_THAT(notices.look({.stage = Stage::kServing, .reloads = 1}, kStart), HasSubstr("RELOADING=1\n"));
  EXPECT_EQ(notices.next_deadline(), kStart);
  EXPECT_EQ(notices.look({.stage = Stage::kServing, .reloads = 1}, kStart), "READY=1\n");
  EXPECT_EQ(notices.next_deadline(), std::nullopt);
}

TEST(ServiceNotices, AsksForMoreTimeAgainAndAgainWhileItStartsOrStops) {
  ServiceNotices notices(std::nullopt);
  const std::string more = "EXTEND_TIMEOUT_USEC=20000000\n";
  EXPECT_EQ(notices.look({}, kStart), more);
  EXPECT_EQ(notices.next_deadline(), kStart + ServiceNotices::kExtensionInterval);
  EXPECT_EQ(notices.look({}, kStart + ServiceNotices::kExtensionInterval - milliseconds(1)), "");
  EXPECT_EQ(notices.look({}, kStart + ServiceNotices::kExtensionInterval), more);
  EXPECT_EQ(notices.look({.stage = Stage::kServing}, kStart + seconds(60)), "READY=1\n");
  EXPECT_EQ(notices.look({.stage = Stage::kStopping}, kStart + seconds(61)), "STOPPING=1\n" + more);
}

TEST(ServiceNotices, HasNoDeadlineBeforeItHasBeenAsked) {
  EXPECT_EQ(ServiceNotices(seconds(1)).next_deadline(), std::nullopt) << "nobody may be listening";
}

TEST(ServiceNotices, ChangesTheStatusAtMostOnceASecond) {
  ServiceNotices notices(std::nullopt);
  EXPECT_EQ(notices.look({.stage = Stage::kServing, .status = "a"}, kStart), "READY=1\nSTATUS=a\n");
  EXPECT_EQ(notices.look({.stage = Stage::kServing, .status = "b"}, kStart + milliseconds(999)), "");
  EXPECT_EQ(notices.look({.stage = Stage::kServing, .status = "b\nc"}, kStart + seconds(1)), "STATUS=b c\n");
  EXPECT_EQ(notices.look({.stage = Stage::kServing, .status = "b\nc"}, kStart + seconds(9)), "") << "nothing new";
}

TEST(ServiceNotices, PingsAtHalfOfThePatienceWhileSomebodyServes) {
  ServiceNotices notices(seconds(10));
  EXPECT_THAT(notices.look({.stage = Stage::kServing}, kStart - seconds(1)), Not(HasSubstr("WATCHDOG")));
  const ServiceSituation able{.stage = Stage::kServing, .serving = Serving::kSomebody};
  EXPECT_EQ(notices.look(able, kStart), "WATCHDOG=1\n");
  EXPECT_EQ(notices.next_deadline(), kStart + seconds(5));
  EXPECT_EQ(notices.look(able, kStart + milliseconds(4999)), "");
  EXPECT_EQ(notices.look({.stage = Stage::kServing}, kStart + seconds(5)), "") << "nobody serves";
  EXPECT_EQ(notices.next_deadline(), kStart + seconds(6)) << "later than now, or the loop would spin";
  EXPECT_EQ(notices.look(able, kStart + seconds(6)), "WATCHDOG=1\n");
}

TEST(StatusLine, SaysWhatThereIs) {
  EXPECT_EQ(master::status_line({.workers_ready = 3, .workers_wanted = 4}), "3/4 workers, 0 req/s");
  EXPECT_EQ(master::status_line({.workers_ready = 4,
                                 .workers_wanted = 4,
                                 .requests_per_second = 1202.6,
                                 .fds = 210,
                                 .fds_soft = 524288,
                                 .recycled = 1,
                                 .last_recycle = "fds_leaked",
                                 .reload_error = "no"}),
            "4/4 workers, 1203 req/s, fds 210/524288, 1 recycled: fds_leaked, reload refused: no");
}

TEST(ServiceNotices, CutsAStatusThatWouldMakeTheMessageTooLongToBeRead) {
  constexpr std::size_t kMost = ServiceNotices::kStatusBytesMax;
  const auto said = [](const std::string& status) {
    return ServiceNotices(std::nullopt).look({.stage = Stage::kServing, .status = status}, kStart);
  };
  const std::string longest(kMost, 'x');
  EXPECT_EQ(said(longest), "READY=1\nSTATUS=" + longest + "\n");
  EXPECT_EQ(said(longest + "y"), "READY=1\nSTATUS=" + longest + "\n");
  const std::string cut = longest.substr(1);
  EXPECT_EQ(said(cut + "\xC3\xA4"), "READY=1\nSTATUS=" + cut + "\n") << "no half of a character";
}

}  // namespace
