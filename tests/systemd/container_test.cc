// What every other test here builds on: the container boots, runs our program as a unit, and leaves nothing behind.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>

#include "booted_test.h"
#include "crowd.h"
#include "network.h"
#include "support/http_client.h"
#include "support/process_table.h"
#include "support/status.h"
#include "support/temporary_directory.h"

namespace systemd {
namespace {

using support::wait_until;

constexpr const char* kAddress = "127.0.0.1:8000";
constexpr const char* kTracesVariable = "SUPERVISOR_TEST_TRACES";

// Nothing but the program: units that are installed have tests of their own.
constexpr const char* kUnit = R"([Service]
Type=notify
NotifyAccess=main
RuntimeDirectory=supervisor/plain
LimitNOFILE=1024:524288
ExecStart=/usr/bin/supervisor --workers 2 --bind 127.0.0.1:8000 /usr/lib/supervisor-test/torture.so
)";

class ContainerTest : public BootedTest {};

TEST_F(ContainerTest, IsRunningWithoutAFailedUnit) {
  EXPECT_EQ(container().systemctl({"is-system-running"}).output, "running\n");
  EXPECT_EQ(container().systemctl({"list-units", "--failed", "--no-legend"}).output, "");
}

TEST_F(ContainerTest, HasTheBuildInstalled) {
  const Outcome outcome = container().run({"/usr/bin/supervisor", "--version"});
  EXPECT_TRUE(outcome.ok()) << outcome;
  EXPECT_NE(outcome.output.find("supervisor"), std::string::npos) << outcome;
}

TEST_F(ContainerTest, RunsOurProgramAsAUnitFromStartToStop) {
  container().write_unit("plain.service", kUnit);
  const Outcome started = container().systemctl({"start", "plain"});
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_EQ(container().show("plain", "ActiveState"), "active");
  Outcome status;
  EXPECT_TRUE(wait_until([&] {
    status = container().systemctl({"status", "plain"});
    return status.output.find("Status: \"2/2 workers") != std::string::npos;
  })) << status;
  EXPECT_EQ(support::fetch(kAddress, "/hello").status, 200);
  const pid_t master = container().main_pid("plain");
  EXPECT_GT(master, 0);
  EXPECT_GE(support::children_of(master).size(), 2U);
  EXPECT_TRUE(container().wait_journal("plain", "Started plain.service"));

  Crowd crowd(kAddress);
  EXPECT_TRUE(crowd.wait_for_answers(20)) << crowd.report();
  const CrowdReport report = crowd.stop();
  EXPECT_EQ(report.failed(), 0U) << report;

  EXPECT_TRUE(container().systemctl({"stop", "plain"}).ok());
  EXPECT_EQ(container().show("plain", "Result"), "success");
  EXPECT_EQ(container().show("plain", "ExecMainStatus"), "0");
  EXPECT_FALSE(container().journal("plain").empty());
}

// The machine may allow less than the unit asks for: then systemd takes what it can get.
TEST_F(ContainerTest, HandsOnTheLimitOfOpenFilesAndTheMasterRaisesIt) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const std::uint64_t hard = std::min<std::uint64_t>(limit.rlim_max, 524'288);
  container().write_unit("plain.service", kUnit);
  EXPECT_EQ(container().show("plain", "LimitNOFILESoft"), "1024");
  EXPECT_EQ(container().show("plain", "LimitNOFILE"), "524288");
  ASSERT_TRUE(container().systemctl({"start", "plain"}).ok());

  const Outcome outcome =
      container().run({"/usr/bin/supervisor", "status", "--json", "--control", "/run/supervisor/plain/control.sock"});
  const common::Result<support::Status> status = support::parse_status(outcome.output);
  ASSERT_TRUE(status) << status.error().message << "\n" << outcome;
  EXPECT_EQ(status->open_files_hard, hard);
  EXPECT_EQ(status->open_files_soft, hard);
  const std::string control = "unix:" + container().outside("/run/supervisor/plain/control.sock");
  EXPECT_EQ(support::fetch(control, "/status").status, 200);
}

// A sandbox that this machine silently left out would make every later claim about the units worthless.
TEST_F(ContainerTest, SandboxesAUnitForReal) {
  const std::vector<std::string> launch = {"systemd-run",
                                           "--quiet",
                                           "--wait",
                                           "--pipe",
                                           "--property=DynamicUser=yes",
                                           "--property=PrivateTmp=yes",
                                           "--property=ProtectSystem=strict",
                                           "--property=ProtectProc=invisible",
                                           "--property=RestrictNamespaces=yes",
                                           "--property=PrivateNetwork=yes",
                                           "--property=SystemCallFilter=~mknodat",
                                           "--property=SystemCallErrorNumber=EPERM"};
  const auto run = [&](const char* script) {
    std::vector<std::string> command = launch;
    command.insert(command.end(), {"/bin/bash", "-c", script});
    return container().run(command);
  };
  EXPECT_NE(run("id -u").output, "0\n");
  EXPECT_TRUE(run("touch /tmp/mine").ok());
  EXPECT_EQ(container().shell("ls /tmp/mine").exit, 2);
  EXPECT_FALSE(run("touch /usr/bin/mine").ok());
  EXPECT_FALSE(run("unshare --user true").ok());
  EXPECT_FALSE(run("mkfifo /tmp/pipe").ok());
  EXPECT_EQ(run("ls -d /proc/1").exit, 2);
  EXPECT_NE(run("cat /proc/net/dev").output.find("lo:"), std::string::npos);
  EXPECT_EQ(run("true").output, "");
}

// Not a test: the process that the next test starts and kills.
TEST_F(ContainerTest, DISABLED_WaitsToBeKilled) {
  const char* const path = std::getenv(kTracesVariable);
  ASSERT_NE(path, nullptr);
  container().write_unit("plain.service", kUnit);
  ASSERT_TRUE(container().systemctl({"start", "plain"}).ok());
  std::ofstream(path) << container().traces() << std::flush;
  while (true) ::pause();
}

TEST(ContainerKeeper, LeavesNothingBehindWhenTheTestIsKilled) {
  const common::Result<std::string> root = root_file_system();
  if (!root) GTEST_SKIP() << "no container: " << root.error().message;
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("traces");
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::setenv(kTracesVariable, path.c_str(), 1);
    ::execl("/proc/self/exe", "systemd_tests", "--gtest_also_run_disabled_tests",
            "--gtest_filter=ContainerTest.DISABLED_WaitsToBeKilled", nullptr);
    ::_exit(127);
  }
  Traces traces;
  const auto is_booted = [&] {
    std::ifstream file(path);
    return static_cast<bool>(file >> traces);
  };
  const bool has_booted = wait_until(is_booted, support::Deadline(std::chrono::seconds(60)));
  EXPECT_TRUE(has_booted);
  if (has_booted) {  // processes, a control group, a directory: the search is not blind
    EXPECT_GE(leftovers(traces).size(), 5U);
  }
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  if (!has_booted) return;
  wait_until([&] { return leftovers(traces).empty(); }, support::Deadline(std::chrono::seconds(30)));
  EXPECT_EQ(leftovers(traces), std::vector<std::string>());
}

}  // namespace
}  // namespace systemd
