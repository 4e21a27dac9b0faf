// RecycleReports: a worker is looked at before it drains, but never for long.
#include "master/recycle_reports.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <vector>

#include "common/scoreboard.h"
#include "master/poller.h"

namespace master {
namespace {

using namespace std::chrono_literals;

constexpr common::TimePoint kNow{1000s};

// A worker whose inspection has been asked for, and does not come: nobody lets the inspector run.
class RecycleReportsTest : public testing::Test {
 protected:
  RecycleReportsTest() {
    EXPECT_TRUE(poller_.open().has_value());
    workers_.add(1, 0, common::Channel(), common::RecycleSettings{})->pid = 1;
    workers_.add(2, 1, common::Channel(), common::RecycleSettings{})->pid = 1;
  }

  Poller poller_;
  common::Scoreboard scoreboard_ = *common::Scoreboard::create();
  WorkerTable workers_{scoreboard_};
  Inspector inspector_{poller_, [](auto, auto) { return common::Json::array(); }};
  AskDesk desk_;
  std::vector<WorkerId> drained_;
  RecycleReports reports_{inspector_, desk_, workers_, [this](WorkerId worker) { drained_.push_back(worker); }};
};

TEST_F(RecycleReportsTest, LetAWorkerDrainAtOnceOfWhomNothingIsAwaited) {
  reports_.begin(1, RecycleReason::kManual, kNow);
  reports_.drain(2, 2s, kNow);
  EXPECT_EQ(drained_, std::vector<WorkerId>{2});
}

TEST_F(RecycleReportsTest, HoldTheDrainNoLongerThanAllowed) {
  reports_.begin(1, RecycleReason::kManual, kNow);
  reports_.drain(1, 2s, kNow);
  EXPECT_EQ(reports_.next_deadline(), kNow + 2s);
  reports_.on_time(kNow + 2s - 1ns);
  EXPECT_TRUE(drained_.empty());
  reports_.on_time(kNow + 2s);
  EXPECT_EQ(drained_, std::vector<WorkerId>{1});
  EXPECT_FALSE(reports_.next_deadline());
}

TEST_F(RecycleReportsTest, DrainOnceWhenTheReportComesAndNotBeforeTheLastOne) {
  reports_.report(1);
  reports_.report(1);
  reports_.drain(1, 1h, kNow);
  const auto begun = common::Clock::now();
  int ended = 0;
  while (ended < 2 && common::Clock::now() < begun + 20s) {
    const auto now = common::Clock::now();
    inspector_.on_time(now);
    for (const PollEvent& ready : poller_.wait(now + 10ms, now)) inspector_.on_event(ready.fd, now);
    int wait_status = 0;
    const pid_t pid = waitpid(-1, &wait_status, WNOHANG);
    if (pid <= 0) continue;
    ASSERT_TRUE(inspector_.owns_pid(pid));
    inspector_.on_child_ended(wait_status);
    EXPECT_EQ(drained_.size(), static_cast<std::size_t>(ended)) << "after report " << ended + 1;
    ++ended;
  }
  EXPECT_EQ(drained_, std::vector<WorkerId>{1});
  reports_.on_time(kNow + 2h);
  EXPECT_EQ(drained_.size(), 1U);
}

TEST_F(RecycleReportsTest, AskForOneReportWhereOneIsOnItsWay) {
  reports_.report(1);
  reports_.begin(1, RecycleReason::kManual, kNow);
  reports_.drain(1, 1h, kNow);
  const auto begun = common::Clock::now();
  while (drained_.empty() && common::Clock::now() < begun + 20s) {
    const auto now = common::Clock::now();
    inspector_.on_time(now);
    for (const PollEvent& ready : poller_.wait(now + 10ms, now)) inspector_.on_event(ready.fd, now);
    int wait_status = 0;
    if (waitpid(-1, &wait_status, WNOHANG) > 0) inspector_.on_child_ended(wait_status);
  }
  EXPECT_EQ(drained_, std::vector<WorkerId>{1});
  EXPECT_FALSE(inspector_.next_deadline()) << "nothing is left to do";
}

TEST_F(RecycleReportsTest, LetEverybodyDrainWhenTheServiceStops) {
  reports_.begin(1, RecycleReason::kManual, kNow);
  reports_.begin(2, RecycleReason::kManual, kNow);
  reports_.drain(1, 2s, kNow);
  reports_.drain(2, 2s, kNow);
  reports_.release();
  EXPECT_EQ(drained_, (std::vector<WorkerId>{1, 2}));
}

TEST_F(RecycleReportsTest, ForgetAWorkerThatHasEnded) {
  reports_.begin(1, RecycleReason::kManual, kNow);
  reports_.drain(1, 2s, kNow);
  reports_.on_worker_ended(1, 0);
  EXPECT_FALSE(reports_.next_deadline());
  reports_.on_time(kNow + 1h);
  EXPECT_TRUE(drained_.empty());
}

}  // namespace
}  // namespace master
