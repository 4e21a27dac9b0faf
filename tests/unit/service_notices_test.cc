// ServiceNotices: which words, and when.
#include "master/service_notices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using master::ServiceNotices;
using master::ServiceNumbers;
using master::ServiceSituation;
using master::status_line;
using Doing = ServiceNumbers::Doing;
using Stage = ServiceSituation::Stage;
using Serving = ServiceSituation::Serving;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using namespace std::string_literals;

constexpr common::TimePoint kStart{std::chrono::hours(1)};

TEST(ServiceNotices, TellsEachStageOnceAndNothingAfterStopping) {
  ServiceNotices notices(std::nullopt);
  EXPECT_THAT(notices.look({.stage = Stage::kStarting}, kStart), Not(HasSubstr("READY")));
  EXPECT_EQ(notices.look({.stage = Stage::kServing}, kStart), "READY=1\n");
  EXPECT_EQ(notices.look({.stage = Stage::kServing}, kStart), "");
  EXPECT_EQ(notices.look({.stage = Stage::kReloading, .reloads = 1}, kStart + seconds(1)),
            "RELOADING=1\nMONOTONIC_USEC=3601000000\nEXTEND_TIMEOUT_USEC=20000000\n");
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

TEST(ServiceNotices, AsksForMoreTimeAgainAndAgainWhileItStartsReloadsOrStops) {
  ServiceNotices notices(std::nullopt);
  const std::string more = "EXTEND_TIMEOUT_USEC=20000000\n";
  EXPECT_EQ(notices.look({}, kStart), more);
  EXPECT_EQ(notices.next_deadline(), kStart + ServiceNotices::kExtensionInterval);
  EXPECT_EQ(notices.look({}, kStart + ServiceNotices::kExtensionInterval - milliseconds(1)), "");
  EXPECT_EQ(notices.look({}, kStart + ServiceNotices::kExtensionInterval), more);
  EXPECT_EQ(notices.look({.stage = Stage::kServing}, kStart + seconds(60)), "READY=1\n");
  EXPECT_EQ(notices.next_deadline(), std::nullopt);
  const ServiceSituation reloading{.stage = Stage::kReloading, .reloads = 1};
  EXPECT_THAT(notices.look(reloading, kStart + seconds(61)), EndsWith("\n" + more));
  EXPECT_EQ(notices.next_deadline(), kStart + seconds(61) + ServiceNotices::kExtensionInterval);
  EXPECT_EQ(notices.look(reloading, kStart + seconds(61) + ServiceNotices::kExtensionInterval), more);
  EXPECT_EQ(notices.look({.stage = Stage::kServing, .reloads = 1}, kStart + seconds(70)), "READY=1\n");
  EXPECT_EQ(notices.look({.stage = Stage::kStopping, .reloads = 1}, kStart + seconds(71)), "STOPPING=1\n" + more);
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

TEST(ServiceNotices, EndsWithAStopAndTellsOfOneThatWasOverBeforeItLooked) {
  ServiceNotices slow(std::nullopt);
  slow.look({.stage = Stage::kServing}, kStart);
  slow.look({.stage = Stage::kStopping, .status = "draining"}, kStart);
  EXPECT_EQ(slow.look({.stage = Stage::kStopped, .status = "stopped"}, kStart), "STATUS=stopped\n") << "at once";
  EXPECT_EQ(slow.look({.stage = Stage::kServing, .status = "stopped"}, kStart + seconds(9)), "");
  ServiceNotices quick(std::nullopt);
  quick.look({.status = "loading"}, kStart);
  EXPECT_EQ(quick.look({.stage = Stage::kStopped, .status = "cannot start: no"}, kStart),
            "STOPPING=1\nSTATUS=cannot start: no\n");
}

ServiceNumbers busy() {
  return {.workers_ready = 4,
          .workers_wanted = 4,
          .requests_per_second = 1202.6,
          .fds = 210,
          .fds_soft = 524288,
          .recycled = 1,
          .last_recycle = "fds_leaked"};
}
constexpr std::string_view kBusy = "4/4 workers, 1,203 req/s, fds 210/524288, 1 recycled: fds_leaked";

TEST(StatusLine, SaysWhatThereIs) {
  EXPECT_EQ(status_line({.workers_ready = 3, .workers_wanted = 4}), "3/4 workers, 0 req/s");
  EXPECT_EQ(status_line(busy()), kBusy);
  ServiceNumbers earlier = busy();
  earlier.last_recycle = "";
  EXPECT_THAT(status_line(earlier), EndsWith(", 1 recycled")) << "before this master began: why is not known";
}

TEST(StatusLine, GroupsTheDigitsOfTheRate) {
  const auto said = [](double rate) {
    return status_line({.workers_ready = 1, .workers_wanted = 1, .requests_per_second = rate});
  };
  EXPECT_EQ(said(999.4), "1/1 workers, 999 req/s");
  EXPECT_EQ(said(999.6), "1/1 workers, 1,000 req/s");
  EXPECT_EQ(said(123456), "1/1 workers, 123,456 req/s");
  EXPECT_EQ(said(1234567), "1/1 workers, 1,234,567 req/s");
}

TEST(StatusLine, SaysWhatIsUnderWay) {
  ServiceNumbers numbers = busy();
  const auto said = [&](Doing doing) {
    numbers.doing = doing;
    return status_line(numbers);
  };
  numbers.workers_ready = 1;
  numbers.loading = "/srv/app.so";
  EXPECT_EQ(said(Doing::kLoading), "loading /srv/app.so");
  EXPECT_EQ(said(Doing::kStarting), "starting: 1/4 workers");
  EXPECT_THAT(said(Doing::kReloading), StartsWith("reloading: loading /srv/app.so, 1/4 workers, 1,203 req/s"));
  numbers.loading = "";
  numbers.renewed = 2;
  EXPECT_THAT(said(Doing::kReloading), StartsWith("reloading: 2 of 4 replaced, 1/4 workers, 1,203 req/s"));
  EXPECT_THAT(said(Doing::kWaiting), StartsWith("stopping soon: 1/4 workers"));
  numbers.processes = 3;
  numbers.connections = 12;
  EXPECT_EQ(said(Doing::kDraining), "draining: 3 workers, 12 connections");
  numbers.processes = 1;
  numbers.connections = 1;
  EXPECT_EQ(said(Doing::kClosing), "closing: 1 worker, 1 connection");
  numbers.failure = "cannot start: no database";
  EXPECT_EQ(said(Doing::kFailed), "cannot start: no database");
  EXPECT_EQ(said(Doing::kStopped), "stopped");
}

TEST(StatusLine, BeginsWithARefusedReloadAndHasRoomForTheRest) {
  ServiceNumbers numbers = busy();
  numbers.reload_error = "no";
  EXPECT_EQ(status_line(numbers), "reload refused: no; " + std::string(kBusy));
  numbers.reload_error = std::string(5000, 'x');
  EXPECT_THAT(status_line(numbers), StartsWith("reload refused: xxx"));
  EXPECT_THAT(master::status_words(status_line(numbers)), EndsWith("...; " + std::string(kBusy) + "\n"));
  numbers.doing = Doing::kReloading;
  EXPECT_THAT(status_line(numbers), Not(HasSubstr("refused"))) << "the next one is under way";
}

TEST(StatusWords, AreOneLineOfUtf8) {
  EXPECT_EQ(master::status_words("a\nb"), "STATUS=a b\n");
  EXPECT_EQ(master::status_words("a\x1b[2J\tb\r\0"s), "STATUS=a\\x1b[2J b\\x0d\\x00\n")
      << "or a NUL would cost the message";
  EXPECT_EQ(master::status_words("no \xFF\"\\"), "STATUS=no \xEF\xBF\xBD\"\\\n") << "or the manager would not read it";
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
