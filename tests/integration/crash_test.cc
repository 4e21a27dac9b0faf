// Crashes: whatever way a worker dies, the log and the status say how, where, and of which request.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "common/json.h"
#include "support/signal.h"
#include "support/supervisor_process.h"

namespace {

using common::Json;
using support::application;
using support::joined;
using support::set;
using support::SupervisorOptions;
using support::SupervisorProcess;

SupervisorOptions of(const std::string& app, int workers = 1) {
  return {.arguments = joined({{"--workers", std::to_string(workers)},
                               set("restart.backoff_first", "\"10ms\""),
                               set("restart.backoff_max", "\"50ms\""),
                               set("restart.failures_max", "50")}),
          .app = application(app)};
}

Json crashes_of(const SupervisorProcess& server) {
  const Json status = Json::parse(server.control("GET", "/status").body, nullptr, false);
  return status.is_object() && status.contains("crashes") ? status["crashes"] : Json::array();
}

// The newest of `count` reports.
Json wait_crash(SupervisorProcess& server, std::size_t count = 1) {
  Json list;
  support::wait_until([&] { return (list = crashes_of(server)).size() >= count; });
  EXPECT_EQ(list.size(), count);
  return list.empty() ? Json::object() : list.front();
}

// Its only worker is asked, and another one takes its place.
Json crash(SupervisorProcess& server, const std::string& target, std::size_t count = 1) {
  EXPECT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  EXPECT_NE(server.get(target).status, 200);
  Json report = wait_crash(server, count);
  EXPECT_EQ(report["pid"], worker);
  EXPECT_EQ(report["slot"], 0);
  EXPECT_EQ(report["request"], "GET " + target);
  EXPECT_TRUE(support::wait_until([&] { return server.worker(0) != 0 && server.worker(0) != worker; }));
  return report;
}

std::string frame(const Json& report, std::size_t index) {
  const Json& stack = report["stack"];
  return index < stack.size() ? stack[index].get<std::string>() : "";
}

bool has_frame(const Json& report, std::string_view part) {
  for (const Json& each : report["stack"]) {
    if (each.get<std::string>().find(part) != std::string::npos) return true;
  }
  return false;
}

// The line of the log that has all of `parts`.
bool has_line(SupervisorProcess& server, const std::vector<std::string>& parts) {
  return support::wait_until([&] {
    const std::string output = server.output();
    for (std::size_t begin = 0; begin < output.size();) {
      const std::size_t end = std::min(output.find('\n', begin), output.size());
      const std::string_view line(output.data() + begin, end - begin);
      if (std::ranges::all_of(parts, [&](const std::string& part) { return line.find(part) != line.npos; })) {
        return true;
      }
      begin = end + 1;
    }
    return false;
  });
}

TEST(Crashes, TellOfAFaultWithItsPlaceAndItsRequest) {
  SupervisorProcess server(of("torture"));
  const Json report = crash(server, "/crash?how=segv");
  EXPECT_EQ(report["what"], "worker crashed");
  EXPECT_EQ(report["generation"], 1);
  EXPECT_EQ(report["end"].get<std::string>().substr(0, 17), "killed by SIGSEGV");
  EXPECT_EQ(report["cause"], "SIGSEGV (SEGV_MAPERR) at address 0x40");
  EXPECT_EQ(report["thread"], nullptr);
  EXPECT_EQ(frame(report, 0).substr(0, 11), "torture.so!") << report;
  EXPECT_TRUE(has_frame(report, "write_to_unmapped_page")) << report;
  EXPECT_TRUE(has_frame(report, "(crash.cc:")) << report;
  EXPECT_FALSE(has_frame(report, "worker::")) << "ends with the application: " << report;
  EXPECT_TRUE(
      has_line(server, {"worker crashed", "slot=0", "pid=" + report["pid"].dump(), "killed by SIGSEGV",
                        "at address 0x40", "request=\"GET /crash?how=segv\"", "write_to_unmapped_page", "(crash.cc:"}));
}

TEST(Crashes, TellOfAnAbort) {
  SupervisorProcess server(of("torture"));
  const Json report = crash(server, "/crash?how=abort");
  EXPECT_EQ(report["end"].get<std::string>().substr(0, 17), "killed by SIGABRT");
  EXPECT_EQ(report["cause"], "SIGABRT raised by the worker itself");
  EXPECT_TRUE(has_frame(report, "abort")) << report;
  EXPECT_TRUE(has_frame(report, "torture.so!torture::crash")) << report;
}

TEST(Crashes, TellTheRequestOfAWorkerThatWasKilled) {
  SupervisorProcess server(of("torture"));
  const Json report = crash(server, "/crash?how=kill");
  EXPECT_EQ(report["what"], "worker was killed in the middle of a request");
  EXPECT_EQ(report["end"], "killed by SIGKILL");
  EXPECT_EQ(report["cause"], nullptr);
  EXPECT_EQ(report["stack"], Json::array());
}

TEST(Crashes, TellTheRequestOfAWorkerThatExited) {
  SupervisorProcess server(of("torture"));
  const Json report = crash(server, "/crash?how=exit");
  EXPECT_EQ(report["what"], "worker exited in the middle of a request");
  EXPECT_EQ(report["end"], "exited with status 0");
}

TEST(Crashes, DoNotComeOfAnException) {
  SupervisorProcess server(of("torture"));
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  EXPECT_EQ(server.get("/crash?how=throw").status, 500);
  EXPECT_EQ(server.get("/hello").status, 200);
  EXPECT_EQ(server.worker(0), worker);
  EXPECT_EQ(crashes_of(server), Json::array());
}

TEST(Crashes, TellNothingOfAWorkerThatWasKilledBetweenRequests) {
  SupervisorProcess server(of("torture"));
  ASSERT_TRUE(server.wait_ready(1));
  EXPECT_EQ(server.get("/hello").status, 200);
  const pid_t worker = server.worker(0);
  ASSERT_TRUE(support::send_signal(worker, SIGKILL));
  ASSERT_TRUE(support::wait_until([&] { return server.worker(0) != 0 && server.worker(0) != worker; }));
  EXPECT_EQ(crashes_of(server), Json::array()) << "there is nothing to say but what the restart says";
}

TEST(Crashes, TellWhoSentASignalToAnIdleWorker) {
  SupervisorProcess server(of("torture"));
  ASSERT_TRUE(server.wait_ready(1));
  ASSERT_TRUE(support::send_signal(server.worker(0), SIGSEGV));
  const Json report = wait_crash(server);
  EXPECT_EQ(report["cause"], "SIGSEGV sent by process " + std::to_string(::getpid()));
  EXPECT_EQ(report["request"], nullptr);
  EXPECT_FALSE(report["stack"].empty());
}

TEST(Crashes, TellOfAStackThatIsUsedUp) {
  SupervisorProcess server(of("stack_overflow"));
  const Json report = crash(server, "/deep");
  EXPECT_EQ(report["end"].get<std::string>().substr(0, 17), "killed by SIGSEGV");
  EXPECT_NE(report["cause"].get<std::string>().find("the stack is used up"), std::string::npos) << report;
  EXPECT_TRUE(has_frame(report, "stack_overflow.so!descend")) << report;
  EXPECT_TRUE(has_frame(report, " times")) << report;
}

TEST(Crashes, TellWhereACallToNowhereCameFrom) {
  SupervisorProcess server(of("calls_nowhere"));
  const Json report = crash(server, "/");
  EXPECT_EQ(frame(report, 0), "0x0 (unknown module)");
  EXPECT_EQ(frame(report, 1).substr(0, 40), "calls_nowhere.so!call_what_was_forgotten") << report;
}

TEST(Crashes, TellOfALibraryThatOnlyTheWorkerHasLoaded) {
  SupervisorProcess server(of("loads_late"));
  const Json report = crash(server, "/");
  EXPECT_EQ(frame(report, 0).substr(0, 25), "crash_late.so!crash_late+") << report;
  EXPECT_EQ(frame(report, 1).substr(0, 20), "loads_late.so!handle") << report;
}

TEST(Crashes, AreTheApplicationsWhenItCatchesThem) {
  SupervisorProcess server(of("catches_faults"));
  const Json report = crash(server, "/");
  EXPECT_TRUE(server.wait_output("the application caught it"));
  EXPECT_EQ(report["what"], "worker exited in the middle of a request");
  EXPECT_EQ(report["end"], "exited with status 42");
  EXPECT_EQ(report["cause"], nullptr);
}

TEST(Crashes, ThatFollowTheSameRequestMakeItSuspectOnceAndByName) {
  SupervisorProcess server(of("torture"));
  EXPECT_EQ(crash(server, "/crash?how=segv", 1)["suspect"], nullptr);
  EXPECT_EQ(crash(server, "/crash?how=exit", 2)["suspect"], nullptr);
  EXPECT_EQ(crash(server, "/crash?how=segv", 3)["suspect"],
            "\"GET /crash?how=segv\" was in flight in 2 of the last 3 crashes");
  EXPECT_EQ(crash(server, "/crash?how=segv", 4)["suspect"],
            "\"GET /crash?how=segv\" was in flight in 3 of the last 4 crashes");
  const std::string output = server.output();
  constexpr std::string_view kWarning = "the same request was in hand";
  const std::size_t first = output.find(kWarning);
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(output.find(kWarning, first + 1), std::string::npos) << "once for each line";
}

TEST(Crashes, LeaveNoRequestBehindThatWasAnswered) {
  SupervisorProcess server(of("torture"));
  ASSERT_TRUE(server.wait_ready(1));
  EXPECT_EQ(server.get("/hello").status, 200);
  ASSERT_TRUE(support::send_signal(server.worker(0), SIGABRT));
  EXPECT_EQ(wait_crash(server)["request"], nullptr);
}

TEST(Crashes, AreReportedBeforeTheMasterGivesUp) {
  SupervisorOptions options = of("torture");
  options.arguments = joined({options.arguments, set("restart.failures_max", "1")});
  SupervisorProcess server(std::move(options));
  ASSERT_TRUE(server.wait_ready(1));
  // Of a worker that has been ready for a second it does not give up: then the next one is asked.
  pid_t asked = 0;
  ASSERT_TRUE(support::wait_until([&] {
    const pid_t worker = server.worker(0);
    if (worker != 0 && worker != asked) server.get("/crash?how=abort");
    asked = worker;
    return !server.running();
  }));
  EXPECT_EQ(server.wait_exit(), 3);
  EXPECT_TRUE(has_line(server, {"worker crashed", "GET /crash?how=abort", "torture.so"})) << server.output();
}

TEST(Crashes, LeaveACoreWhereLimitsAllowOne) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_CORE, &limit), 0);
  std::string pattern;
  std::getline(std::ifstream("/proc/sys/kernel/core_pattern"), pattern);
  if (limit.rlim_max == 0 || pattern.empty() || pattern.front() == '|' || pattern.front() == '/') {
    GTEST_SKIP() << "cores go elsewhere here: " << pattern;
  }
  if (support::is_sanitized()) GTEST_SKIP() << "sanitizers switch cores off";
  const support::TemporaryDirectory directory;
  SupervisorOptions options = of("torture");
  options.launcher = {"/bin/sh", "-c", "ulimit -S -c \"$(ulimit -H -c)\"; cd \"$0\" && exec \"$@\"",
                      directory.path("")};
  SupervisorProcess server(std::move(options));
  const Json report = crash(server, "/crash?how=segv");
  EXPECT_EQ(report["end"], "killed by SIGSEGV (core dumped)");
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory.path(""))) {
    bytes = std::max(bytes, entry.file_size());
  }
  EXPECT_GT(bytes, 0U);
  EXPECT_LT(bytes, std::uintmax_t{64} << 20) << "the memory shared with the master is no part of it";
}

}  // namespace
