// Inspector: what becomes of inspections that work, hang, crash and flood; in real processes.
#include "master/inspector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <vector>

#include "common/inherited_fds.h"
#include "support/deadline.h"
#include "support/environment.h"

namespace {

using common::Json;
using common::Result;
using master::InspectionOrder;
using master::Inspector;
using testing::HasSubstr;

using Inspected = std::span<const InspectionOrder>;

Json pids_of(Inspected orders, common::TimePoint) {
  Json reports = Json::array();
  for (const InspectionOrder& order : orders) reports.push_back({{"pid", order.pid}});
  return reports;
}

Json hang(Inspected, common::TimePoint) {
  while (true) pause();
}

class InspectorTest : public testing::Test {
 protected:
  InspectorTest() : fds_before_(common::open_descriptors()) { EXPECT_TRUE(poller_.open().has_value()); }
  ~InspectorTest() override {
    inspector_.reset();
    // No process is left, but one that a test has not waited for.
    while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
    }
    EXPECT_EQ(common::open_descriptors().size(), fds_before_.size() + 1);  // and the poller
  }

  void start(Inspector::Inspection inspection) {
    inspector_ = std::make_unique<Inspector>(poller_, std::move(inspection));
  }
  Inspector::Orders order_of(pid_t pid) {
    return [this, pid] {
      ++orders_made_;
      return std::vector<InspectionOrder>{{.pid = pid}};
    };
  }
  Result<void> submit(pid_t pid = 7) {
    return inspector_->submit(order_of(pid), Inspector::Listing::kAll,
                              [this](Result<Json> result) { results_.push_back(std::move(result)); });
  }
  // Turns of the loop in the test's own time, until there are `count` results and no process.
  void run_until(std::size_t count) {
    const support::Deadline deadline(std::chrono::seconds(20));
    while (results_.size() < count && !deadline.passed()) {
      inspector_->on_time(now_);
      for (const master::PollEvent& event : poller_.wait(now_ + std::chrono::milliseconds(5), now_)) {
        if (inspector_->owns(event.fd)) inspector_->on_event(event.fd, now_);
      }
      reap();
    }
    EXPECT_EQ(results_.size(), count);
  }
  void reap() {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid > 0 && inspector_->owns_pid(pid)) inspector_->on_child_ended(status);
  }
  // Waits for the process that was killed.
  void reap_killed() {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, 0);
    ASSERT_TRUE(inspector_->owns_pid(pid));
    EXPECT_EQ(WTERMSIG(status), SIGKILL);
    inspector_->on_child_ended(status);
    EXPECT_FALSE(inspector_->owns_pid(pid));
  }
  std::string failure() { return results_.at(0) ? "none" : results_[0].error().message; }

  const std::vector<int> fds_before_;
  common::TimePoint now_{std::chrono::hours(1)};
  master::Poller poller_;
  std::unique_ptr<Inspector> inspector_;
  std::vector<Result<Json>> results_;
  int orders_made_ = 0;
};

TEST_F(InspectorTest, HandsBackWhatTheInspectionFound) {
  start(pids_of);
  ASSERT_TRUE(submit(42));
  EXPECT_LE(inspector_->next_deadline().value(), now_);  // it wants its turn at once
  EXPECT_EQ(orders_made_, 0);
  run_until(1);
  EXPECT_EQ(results_[0].value(), Json::array({{{"pid", 42}}}));
  EXPECT_EQ(inspector_->next_deadline(), std::nullopt);
}

TEST_F(InspectorTest, MakesOrdersWhenTheirTurnHasComeAndKeepsTheirOrder) {
  start(pids_of);
  for (const pid_t pid : {1, 2, 3}) ASSERT_TRUE(submit(pid));
  inspector_->on_time(now_);
  EXPECT_EQ(orders_made_, 1);
  EXPECT_EQ(inspector_->next_deadline(), now_ + Inspector::kPatience);
  run_until(3);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(results_[i].value()[0]["pid"], i + 1);
}

TEST_F(InspectorTest, NeedsNoProcessWhenThereIsNothingToInspect) {
  start(hang);
  ASSERT_TRUE(inspector_->submit([] { return std::vector<InspectionOrder>{}; }, Inspector::Listing::kAll,
                                 [this](Result<Json> result) { results_.push_back(std::move(result)); }));
  inspector_->on_time(now_);
  EXPECT_EQ(results_.at(0).value(), Json::array());
}

// What the child is, told by itself.
Json describe_itself(Inspected, common::TimePoint) {
  Json fds = Json::array();
  for (const int fd : common::open_descriptors()) fds.push_back(fd);
  rlimit core{};
  getrlimit(RLIMIT_CORE, &core);
  sigset_t blocked;
  sigprocmask(SIG_BLOCK, nullptr, &blocked);
  struct sigaction pipe_action{};
  sigaction(SIGPIPE, nullptr, &pipe_action);
  return Json::array({{{"fds", fds},
                       {"core", core.rlim_max},
                       {"nice", getpriority(PRIO_PROCESS, 0)},
                       {"alarm", alarm(0)},
                       {"term_blocked", sigismember(&blocked, SIGTERM) == 1},
                       {"pipe_default", pipe_action.sa_handler == SIG_DFL}}});
}

TEST_F(InspectorTest, RunsAsAProcessThatHasNothingOfTheMasters) {
  sigset_t set;
  sigset_t before;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, &before);
  const auto pipe_before = std::signal(SIGPIPE, SIG_IGN);
  const common::UniqueFd of_the_master(dup(STDERR_FILENO));
  start(describe_itself);
  ASSERT_TRUE(submit());
  run_until(1);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  std::signal(SIGPIPE, pipe_before);
  const Json report = results_[0].value()[0];
  EXPECT_EQ(report["fds"].size(), 4U) << report;  // the standard streams and its pipe
  EXPECT_EQ(report["core"], 0);
  EXPECT_EQ(report["nice"], std::min(getpriority(PRIO_PROCESS, 0) + 5, 19));
  EXPECT_GT(report["alarm"], 10);
  EXPECT_EQ(report["term_blocked"], false);
  EXPECT_EQ(report["pipe_default"], true);
}

TEST_F(InspectorTest, KillsAnInspectionThatHangs) {
  start(hang);
  ASSERT_TRUE(submit());
  inspector_->on_time(now_);
  inspector_->on_time(now_ + Inspector::kPatience - std::chrono::nanoseconds(1));
  EXPECT_TRUE(results_.empty());
  now_ += Inspector::kPatience;
  inspector_->on_time(now_);
  ASSERT_EQ(results_.size(), 1U);
  EXPECT_EQ(failure(), "the inspection did not end in 10 s and was killed");
  EXPECT_EQ(results_[0].error().errnum, ETIMEDOUT);
  reap_killed();
  EXPECT_EQ(results_.size(), 1U);
}

TEST_F(InspectorTest, BeginsNothingBeforeTheKilledOneHasEnded) {
  start(hang);
  ASSERT_TRUE(submit());
  inspector_->on_time(now_);
  now_ += Inspector::kPatience;
  inspector_->on_time(now_);
  ASSERT_TRUE(submit());
  inspector_->on_time(now_);
  EXPECT_EQ(orders_made_, 1);
  reap_killed();
  inspector_->on_time(now_);
  EXPECT_EQ(orders_made_, 2);
}

TEST_F(InspectorTest, RefusesJobsWhileTheKernelDoesNotLetOneEnd) {
  start(hang);
  ASSERT_TRUE(submit());
  inspector_->on_time(now_);
  now_ += Inspector::kPatience;
  inspector_->on_time(now_);  // killed, but nobody waits for it: as if it did not end
  ASSERT_TRUE(submit());
  inspector_->on_time(now_ + Inspector::kKillPatience - std::chrono::nanoseconds(1));
  EXPECT_EQ(results_.size(), 1U);
  inspector_->on_time(now_ + Inspector::kKillPatience);
  ASSERT_EQ(results_.size(), 2U);
  EXPECT_THAT(results_[1].error().message, HasSubstr("is stuck in the kernel"));
  EXPECT_THAT(submit().error().message, HasSubstr("is stuck in the kernel"));
  EXPECT_EQ(inspector_->next_deadline(), std::nullopt);
  reap_killed();
  EXPECT_TRUE(submit());
}

TEST_F(InspectorTest, SaysHowAnInspectionCrashed) {
  start([](Inspected, common::TimePoint) -> Json {
    std::signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
    return {};
  });
  ASSERT_TRUE(submit());
  ASSERT_TRUE(submit());
  run_until(2);
  EXPECT_EQ(failure(), "the inspection failed: its process killed by SIGSEGV");
}

TEST_F(InspectorTest, SaysWhatAnInspectionThrew) {
  start([](Inspected, common::TimePoint) -> Json { throw std::runtime_error("no such section"); });
  ASSERT_TRUE(submit());
  run_until(1);
  EXPECT_EQ(failure(), "the inspection failed: no such section");
}

TEST_F(InspectorTest, DoesNotBelieveAProcessThatLeavesInTheMiddle) {
  start([](Inspected, common::TimePoint) -> Json { _exit(0); });
  ASSERT_TRUE(submit());
  run_until(1);
  EXPECT_EQ(failure(), "the inspection ended with a report that is not whole");
}

TEST_F(InspectorTest, RefusesAReportThatIsNoList) {
  start([](Inspected, common::TimePoint) -> Json { return {{"a", 1}}; });
  ASSERT_TRUE(submit());
  run_until(1);
  EXPECT_EQ(failure(), "the inspection ended with a report that is not whole");
}

// A list with one text, of `bytes` in all.
Json report_of_size(std::size_t bytes) { return Json::array({std::string(bytes - 4, 'x')}); }

TEST_F(InspectorTest, TakesAReportOfTheLargestSizeAndNoneLarger) {
  start([](Inspected orders, common::TimePoint) {
    return report_of_size(Inspector::kReportBytesMax + (orders[0].pid == 1 ? 0 : 1));
  });
  ASSERT_TRUE(submit(1));
  run_until(1);
  ASSERT_TRUE(results_[0]) << failure();
  EXPECT_EQ(results_[0].value()[0].get_ref<const std::string&>().size(), Inspector::kReportBytesMax - 4);
  ASSERT_TRUE(submit(2));
  run_until(2);
  ASSERT_FALSE(results_[1]);
  EXPECT_EQ(results_[1].error().errnum, EMSGSIZE);
  EXPECT_THAT(results_[1].error().message, HasSubstr("more than 16 MiB"));
}

TEST_F(InspectorTest, LeavesTheSingleDescriptorsOutOfAReportThatIsTooLarge) {
  start([](Inspected orders, common::TimePoint) {
    Json reports = Json::array({{{"groups", {1}}, {"descriptors", ""}}});
    const std::size_t rest = Inspector::kReportBytesMax - reports.dump().size();
    reports[0]["descriptors"] = std::string(orders[0].pid == 1 ? rest : rest + 1, 'x');
    return reports;
  });
  ASSERT_TRUE(submit(1));
  ASSERT_TRUE(submit(2));
  run_until(2);
  EXPECT_TRUE(results_[0].value()[0].contains("descriptors"));
  EXPECT_EQ(results_[1].value().dump(), R"([{"groups":[1],"descriptors_omitted":true}])");
}

TEST_F(InspectorTest, ListsSingleDescriptorsOnlyForWhoeverWantsThem) {
  start([](Inspected, common::TimePoint) { return Json::array({{{"groups", {1}}, {"descriptors", {1, 2}}}, 5}); });
  ASSERT_TRUE(submit());
  ASSERT_TRUE(inspector_->submit(order_of(7), Inspector::Listing::kGroups,
                                 [this](Result<Json> result) { results_.push_back(std::move(result)); }));
  run_until(2);
  EXPECT_EQ(results_[0].value().dump(), R"([{"groups":[1],"descriptors":[1,2]},5])");
  EXPECT_EQ(results_[1].value().dump(), R"([{"groups":[1]},5])");
}

TEST_F(InspectorTest, KeepsWhatIsNotUtf8FromBreakingAReport) {
  start([](Inspected, common::TimePoint) { return Json::array({"\xff/x"}); });
  ASSERT_TRUE(submit());
  run_until(1);
  EXPECT_EQ(results_[0].value()[0], "\ufffd/x");
}

TEST_F(InspectorTest, HasSixtyFourPlacesToWait) {
  start(hang);
  ASSERT_TRUE(submit());
  inspector_->on_time(now_);
  for (std::size_t i = 0; i < Inspector::kJobsMax; ++i) ASSERT_TRUE(submit()) << i;
  EXPECT_EQ(submit().error().message, "64 inspections wait already; try again later");
  EXPECT_TRUE(results_.empty());
}

TEST_F(InspectorTest, LetsWhoeverIsToldSubmitAnew) {
  start(pids_of);
  ASSERT_TRUE(inspector_->submit(order_of(1), Inspector::Listing::kAll,
                                 [this](const Result<Json>&) { EXPECT_TRUE(submit(2)); }));
  run_until(1);
  EXPECT_EQ(results_[0].value()[0]["pid"], 2);
}

TEST_F(InspectorTest, TellsThatNoProcessCanBeMade) {
  if (support::is_sanitized()) GTEST_SKIP() << "UBSan opens pipes of its own to look at objects";
  start(pids_of);
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_TRUE(submit());
  setrlimit(RLIMIT_NOFILE, &none);
  inspector_->on_time(now_);
  setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_EQ(results_.size(), 1U);
  EXPECT_THAT(failure(), HasSubstr("pipe for an inspection: Too many open files"));
}

TEST_F(InspectorTest, KillsItsProcessWhenItGoes) {
  start(hang);
  ASSERT_TRUE(submit());
  inspector_->on_time(now_);
  inspector_.reset();
  int status = 0;
  ASSERT_GT(waitpid(-1, &status, 0), 0);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_TRUE(results_.empty());
}

}  // namespace
