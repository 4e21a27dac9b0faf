// Exit status: causes and words for every way a process can end.
#include "master/exit_status.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

namespace {

using master::ExitCause;
using master::explain_exit;
using master::LastWords;

int exited(int code) { return W_EXITCODE(code, 0); }
int killed(int signal) { return W_EXITCODE(0, signal); }

TEST(ExitStatus, CallsStatusZeroClean) { EXPECT_EQ(explain_exit(exited(0), {}).cause, ExitCause::kClean); }

TEST(ExitStatus, CallsAnyOtherStatusACrash) {
  const auto ending = explain_exit(exited(3), {});
  EXPECT_EQ(ending.cause, ExitCause::kCrashed);
  EXPECT_EQ(ending.reason, "exited with status 3");
}

TEST(ExitStatus, NamesTheSignal) {
  const auto ending = explain_exit(killed(SIGSEGV), {});
  EXPECT_EQ(ending.cause, ExitCause::kCrashed);
  EXPECT_EQ(ending.reason, "killed by SIGSEGV");
  EXPECT_EQ(explain_exit(killed(SIGSEGV) | WCOREFLAG, {}).reason, "killed by SIGSEGV (core dumped)");
}

TEST(ExitStatus, TellsKillFromCrash) { EXPECT_EQ(explain_exit(killed(SIGKILL), {}).cause, ExitCause::kKilled); }

TEST(ExitStatus, PrefersTheLastWords) {
  const auto ending =
      explain_exit(exited(1), LastWords{.stage = common::Stage::kWorkerStart, .errnum = 0, .text = "no database"});
  EXPECT_EQ(ending.cause, ExitCause::kStartFailed);
  EXPECT_EQ(ending.reason, "worker_start: no database");
}

TEST(ExitStatus, TakesAForbiddenRingForFatalAndAFullTableForPassing) {
  const auto ring = [](int errnum) {
    return explain_exit(exited(1), LastWords{.stage = common::Stage::kRing, .errnum = errnum, .text = "x"}).cause;
  };
  EXPECT_EQ(ring(EPERM), ExitCause::kFatal);
  EXPECT_EQ(ring(ENOSYS), ExitCause::kFatal);
  EXPECT_EQ(ring(EMFILE), ExitCause::kStartFailed);
  EXPECT_EQ(ring(ENOMEM), ExitCause::kStartFailed);
}

}  // namespace
