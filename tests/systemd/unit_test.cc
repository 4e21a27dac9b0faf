// The units as they are installed: checked by systemd, closed as far as they promise, and all of ours works in them.
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <sstream>

#include "booted_test.h"
#include "crowd.h"
#include "service.h"
#include "support/http_client.h"

namespace systemd {
namespace {

using support::fetch;

std::string source(const std::string& name) {
  std::ostringstream text;
  text << std::ifstream(std::string(SUPERVISOR_SYSTEMD_TESTS) + "/../../systemd/" + name).rdbuf();
  return text.str();
}

// What systemd reads of a unit: no comments, no empty lines, the instance's name put in.
std::string directives(const std::string& name, const std::string& instance) {
  std::istringstream lines(source(name));
  std::string all;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.front() == '#' || line.starts_with("Description=")) continue;
    all += std::regex_replace(line, std::regex("%i"), instance) + "\n";
  }
  return all;
}

TEST(Units, PlainServiceIsAnInstanceByAnotherName) {
  EXPECT_EQ(directives("supervisor.service", ""), directives("supervisor@.service", "supervisor"));
}

class UnitTest : public BootedTest {
 protected:
  // "1.1" of "Overall exposure level for supervisor@shop.service: 1.1 OK".
  std::string exposure_of(const Service& service, const std::string& options) {
    const Outcome outcome = container().shell("systemd-analyze security --no-pager " + options + " " + service.unit());
    EXPECT_TRUE(outcome.ok()) << "more exposed than it may be: " << outcome;
    std::smatch found;
    EXPECT_TRUE(std::regex_search(outcome.output, found, std::regex("exposure level for [^:]*: ([0-9.]+)")));
    return found.empty() ? "" : found[1].str();
  }
};

TEST_F(UnitTest, AreVerifiedWithoutAWarning) {
  const Outcome outcome = container().shell(
      "systemd-analyze verify --man=no supervisor.service supervisor@shop.service supervisor@shop.socket");
  EXPECT_EQ(outcome.output, "");
  EXPECT_TRUE(outcome.ok());
}

TEST_F(UnitTest, AreExposedNoMoreThanTheirReadmeSays) {
  const Service plain(container(), "plain", "torture", kTwoWorkers);
  const Service dynamic(container(), "dynamic", "torture", kTwoWorkers);
  const Service alone(container(), "alone", "torture", kTwoWorkers);
  dynamic.take_example("dynamic-user");
  alone.take_example("private-network");
  const std::string readme = source("README.md");
  const std::vector<std::pair<std::string, std::string>> lines = {
      {"| `supervisor@.service` | **", exposure_of(plain, "--threshold=15")},
      {"| with `drop-ins/dynamic-user.conf` | **", exposure_of(dynamic, "--threshold=15")},
      {"| with `drop-ins/private-network.conf` | **", exposure_of(alone, "--threshold=7")}};
  if (container().shell("systemctl --version").output.find("systemd 252 ") == std::string::npos) return;
  for (const auto& [begin, exposure] : lines) {
    EXPECT_NE(readme.find(begin + exposure + "**"), std::string::npos) << begin << ": measured " << exposure;
  }
}

TEST_F(UnitTest, StartShowTheirStateAndStop) {
  const Service service(container(), "shop", "torture", std::string(kTwoWorkers) + kQuickRecycling);
  const Outcome started = service.start();
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_EQ(service.status().ready_by_slot().size(), 2U) << "started before every worker was ready";
  Crowd crowd(kAddress);
  EXPECT_TRUE(crowd.wait_for_answers(2'000));
  EXPECT_TRUE(service.wait_status_text(" req/s, fds "));
  const std::string text = service.show("StatusText");
  EXPECT_TRUE(std::regex_match(text, std::regex(R"(2/2 workers, [0-9,]+ req/s, fds [0-9]+/[0-9]+)"))) << text;
  EXPECT_EQ(crowd.stop().failed(), 0U);
  EXPECT_EQ(fetch(kAddress, "/leak?kind=socket&count=300").status, 200);
  EXPECT_TRUE(service.wait_status_text("1 recycled: fds_leaked")) << service.show("StatusText");
  EXPECT_TRUE(service.stop().ok());
  EXPECT_EQ(service.show("Result"), "success");
  EXPECT_TRUE(container().wait_show(service.unit(), "NFileDescriptorStore", "0"));
}

TEST_F(UnitTest, LimitsArriveAsConfiguredAreRaisedAndShown) {
  const Service service(container(), "shop", "torture", kTwoWorkers);
  ASSERT_TRUE(service.start().ok());
  EXPECT_EQ(service.show("LimitNOFILESoft"), "1024");
  EXPECT_EQ(service.show("LimitNOFILE"), "524288");
  const support::Status status = service.status();
  EXPECT_EQ(status.open_files_soft, status.open_files_hard);
  EXPECT_GT(status.open_files_soft, 1024U);
  EXPECT_TRUE(service.wait_status_text("/" + std::to_string(status.open_files_soft)));
}

TEST_F(UnitTest, LeaveEverythingOfOursWorkingInTheSandbox) {
  const Service service(container(), "shop", "torture", kTwoWorkers);
  ASSERT_TRUE(service.start().ok());  // io_uring, dlopen
  const std::string status = container().run({"/usr/bin/supervisor", "status", "shop"}).output;
  EXPECT_NE(status.find("steering health"), std::string::npos) << status;
  EXPECT_EQ(fetch(kAddress, "/leak?kind=socket&count=3").status, 200);
  const std::string fds = container().run({"/usr/bin/supervisor", "fds", "shop"}).output;
  EXPECT_NE(fds.find("TCP LISTEN on 127.0.0.1:8000"), std::string::npos) << fds;
  EXPECT_NE(fds.find("3 × unix"), std::string::npos) << fds;
  for (const support::WorkerStatus& worker : service.status().workers) EXPECT_GT(worker.rss_bytes, 0U);
  fetch(kAddress, "/crash?how=segv");
  EXPECT_TRUE(service.wait_journal("crash.cc:")) << "no stack with lines";
}

TEST_F(UnitTest, TakeAStopThatCutsAReloadShortForASuccess) {
  const Service service(container(), "shop", "ledger_a",
                        std::string(kTwoWorkers) + "app.load_delay = \"/etc/supervisor/delay\"\n");
  container().write_file("/etc/supervisor/delay", "0");
  ASSERT_TRUE(service.start().ok());
  container().write_file("/etc/supervisor/delay", "60000");
  ASSERT_TRUE(container().systemctl({"reload", "--no-block", service.unit()}).ok());
  EXPECT_TRUE(service.wait_status_text("reloading: loading"));
  ASSERT_TRUE(service.stop().ok());
  EXPECT_EQ(service.show("ActiveState"), "inactive");
  EXPECT_EQ(service.show("Result"), "success");
}

TEST_F(UnitTest, SayWhichLineIsMissingWhereWorkersMayNotBePinned) {
  const Service service(container(), "shop", "torture", std::string(kTwoWorkers) + "workers.pin = true\n");
  ASSERT_TRUE(service.start().ok());
  EXPECT_TRUE(service.wait_journal("needs SystemCallFilter=sched_setaffinity"));
  service.add_drop_in("[Service]\nSystemCallFilter=sched_setaffinity\n");
  ASSERT_TRUE(service.restart().ok());
  EXPECT_EQ(service.journal({"SUPERVISOR_EVENT=pin_refused"}).size(), 2U) << "refused all the same";
}

TEST_F(UnitTest, ServeWithADynamicUserWhoFindsTheSocketsAfterARestart) {
  const Service service(container(), "shop", "torture", kTwoWorkers);
  service.take_example("dynamic-user");
  ASSERT_TRUE(service.start().ok());
  EXPECT_EQ(fetch(kAddress, "/hello").status, 200);
  EXPECT_NE(container().shell("stat -c %U /proc/$(systemctl show -P MainPID supervisor@shop)").output, "supervisor\n");
  Crowd crowd(kAddress);
  EXPECT_TRUE(crowd.wait_for_answers(20));
  EXPECT_TRUE(service.restart().ok());
  EXPECT_TRUE(crowd.wait_for_answers(20));
  const CrowdReport report = crowd.stop();
  EXPECT_EQ(report.failed(), 0U) << report;
}

TEST_F(UnitTest, ServePassedSocketsWithoutANetworkOfTheirOwn) {
  const Service service(container(), "shop", "torture", "");
  service.take_example("private-network");
  service.listen({kAddress, kAddress});
  ASSERT_TRUE(service.start_socket().ok());
  Crowd crowd(kAddress);
  EXPECT_TRUE(crowd.wait_for_answers(200));
  const CrowdReport report = crowd.stop();
  EXPECT_EQ(report.failed(), 0U) << report;
  EXPECT_EQ(service.status().workers.size(), 2U);
}

TEST_F(UnitTest, TakeOptionsFromTheEnvironmentOfADropIn) {
  const Service service(container(), "shop", "torture", kTwoWorkers);
  service.take_example("environment");  // --workers 4
  ASSERT_TRUE(service.start().ok());
  EXPECT_EQ(service.status().workers.size(), 4U);
}

}  // namespace
}  // namespace systemd
