// CrashReports: which ends are reported, with what, and that each is reported once.
#include "master/crash_reports.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <csignal>

#include "master/poller.h"
#include "support/deadline.h"

namespace {

using common::Json;
using common::WorkerMemory;
using master::CrashReports;

constexpr int kAborted = SIGABRT;  // as a wait status
constexpr int kKilled = SIGKILL;
constexpr int kExited3 = 3 << 8;

struct CrashReportsTest : testing::Test {
  CrashReportsTest() { EXPECT_TRUE(poller.open()); }
  ~CrashReportsTest() override {
    while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
    }
  }

  void end(int wait_status) {
    reports.on_worker_ended(
        {.worker = 5, .slot = 1, .pid = 77, .generation = 2, .wait_status = wait_status, .memory = &made.memory}, now);
  }
  void write_record() {
    common::CrashBox& box = made.memory.crash();
    box.signal.store(SIGABRT);
    box.sender.store(77);
    box.thread.store(77);
    box.depth.store(1);
    box.frames[0].store(0x1234);
    box.stage.store(common::CrashStage::kRecorded);
  }
  Json last() const { return reports.to_json().empty() ? Json() : reports.to_json().front(); }
  std::size_t count() const { return reports.to_json().size(); }
  void run_until(std::size_t wanted) {
    const support::Deadline deadline;
    while (count() < wanted && !deadline.passed()) {
      inspector.on_time(now);
      for (const master::PollEvent& event : poller.wait(now + std::chrono::milliseconds(5), now)) {
        if (inspector.owns(event.fd)) inspector.on_event(event.fd, now);
      }
      int status = 0;
      const pid_t pid = waitpid(-1, &status, WNOHANG);
      if (pid > 0 && inspector.owns_pid(pid)) inspector.on_child_ended(status);
    }
    EXPECT_EQ(count(), wanted);
  }

  common::TimePoint now{std::chrono::hours(1)};
  WorkerMemory::Made made = WorkerMemory::create(16).value();
  master::Poller poller;
  master::Inspector inspector{poller};
  common::RestartSettings settings;
  CrashReports reports{inspector, settings};
};

TEST_F(CrashReportsTest, ReportsAnAbortWithoutARecord) {
  end(kAborted);
  EXPECT_EQ(last()["what"], "worker crashed");
  EXPECT_EQ(last()["end"], "killed by SIGABRT");
  EXPECT_EQ(last()["slot"], 1);
  EXPECT_EQ(last()["pid"], 77);
  EXPECT_EQ(last()["generation"], 2);
  EXPECT_EQ(last()["cause"], nullptr);
  EXPECT_EQ(last()["request"], nullptr);
}

TEST_F(CrashReportsTest, ReportsOtherEndsOnlyInTheMiddleOfARequest) {
  end(kKilled);
  end(kExited3);
  end(0);
  end(SIGTERM);
  EXPECT_EQ(count(), 0U);
  made.memory.request().begin("GET", "/slow");
  end(kKilled);
  EXPECT_EQ(last()["what"], "worker was killed in the middle of a request");
  EXPECT_EQ(last()["request"], "GET /slow");
  end(kExited3);
  EXPECT_EQ(last()["what"], "worker exited in the middle of a request");
  EXPECT_EQ(last()["end"], "exited with status 3");
  EXPECT_EQ(count(), 2U);
}

TEST_F(CrashReportsTest, SuspectsARequestButNotOfAnEndThatWasExpected) {
  made.memory.request().begin("GET", "/a");
  reports.expect_end(5);
  end(kKilled);
  end(kAborted);
  EXPECT_EQ(last()["suspect"], nullptr);
  end(kAborted);
  EXPECT_EQ(last()["suspect"], "\"GET /a\" was in flight in 2 of the last 2 crashes");
  reports.expect_end(5);
  end(kKilled);
  EXPECT_EQ(last()["suspect"], nullptr);
}

TEST_F(CrashReportsTest, WaitsForNames) {
  write_record();
  end(kAborted);
  EXPECT_EQ(count(), 0U);
  run_until(1);
  EXPECT_EQ(last()["cause"], "SIGABRT raised by the worker itself");
  EXPECT_EQ(last()["thread"], nullptr);
  EXPECT_EQ(last()["stack"], Json::array({"0x1234 (unknown module)"}));
}

TEST_F(CrashReportsTest, NamesAThreadThatIsNotTheMainOne) {
  write_record();
  made.memory.crash().thread.store(78);
  end(kAborted);
  run_until(1);
  EXPECT_EQ(last()["thread"], 78);
}

TEST_F(CrashReportsTest, ReportsWhatWaitsWhenTheMasterLeavesAndNeverTwice) {
  write_record();
  end(kAborted);
  inspector.on_time(now);
  reports.release();
  EXPECT_EQ(count(), 1U);
  EXPECT_EQ(last()["stack"], Json::array({"0x1234 (unknown module)"}));
  reports.release();
  int status = 0;
  const pid_t pid = waitpid(-1, &status, 0);
  ASSERT_TRUE(inspector.owns_pid(pid));
  inspector.on_child_ended(status);
  EXPECT_EQ(count(), 1U);
}

TEST_F(CrashReportsTest, LetsNoMoreThanEightWait) {
  write_record();
  for (std::size_t i = 0; i < CrashReports::kWaitingMax; ++i) end(kAborted);
  EXPECT_EQ(count(), 0U);
  end(kAborted);
  EXPECT_EQ(count(), 1U) << "with offsets, at once";
  run_until(CrashReports::kWaitingMax + 1);
}

TEST_F(CrashReportsTest, ReportsNothingOfAWorkerWithoutMemory) {
  const WorkerMemory none;
  reports.on_worker_ended({.wait_status = kAborted, .memory = &none}, now);
  reports.on_worker_ended({.wait_status = kAborted, .memory = nullptr}, now);
  EXPECT_EQ(count(), 0U);
}

}  // namespace
