// Incident 5: a socket in CLOSE_WAIT in a level-triggered loop: epoll_wait() returns at once, for ever.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "child_process.h"
#include "command.h"
#include "report.h"
#include "support/load_generator.h"
#include "support/process_table.h"
#include "support/supervisor_process.h"

namespace incidents {
namespace {

using common::Json;
using support::Deadline;
using support::get_request;
using support::HttpClient;
using support::joined;
using support::LoadGenerator;
using support::LoadReport;
using support::Status;
using support::SupervisorProcess;
using testing::HasSubstr;

constexpr double kRests = 0.05;  // of one processor

std::vector<std::string> looking_for_spins(std::string_view span) {
  return joined({support::set("recycle.interval", "\"100ms\""), support::set("recycle.age_min", "\"0s\""),
                 support::set("recycle.spin", span), support::set("workers.hang_timeout", "\"0s\""),
                 support::set("workers.stop_timeout", "\"3s\""), support::set("fds.trace", "\"always\"")});
}

std::vector<std::string> workers(int count) { return {"--workers", std::to_string(count)}; }

std::uint64_t in_flight(const Status& status) {
  std::uint64_t sum = 0;
  for (const support::WorkerStatus& worker : status.workers) sum += worker.in_flight;
  return sum;
}

[[noreturn]] void poll_naively(int fd) {
  const int poller = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  ::epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
  while (true) ::epoll_wait(poller, &event, 1, -1);
}

TEST(Incident5, HappensToALoopWhosePeerHasGone) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  common::UniqueFd kept(ends[0]);
  common::UniqueFd(ends[1]).reset();
  const ChildProcess program([&] { poll_naively(kept.get()); }, {});
  EXPECT_TRUE(spins(program.pid()));
}

TEST(Incident5, IsFoundAndNamedAndEndsWithAReplacement) {
  SupervisorProcess server({.arguments = joined({workers(2), looking_for_spins("\"1s\"")})});
  ASSERT_TRUE(server.wait_ready(2));
  HttpClient victim = server.connect();
  ASSERT_TRUE(victim.send(get_request("/spin")));
  const common::TimePoint begin = common::Clock::now();
  ASSERT_TRUE(server.wait_status([](const Status& now) { return now.recycled.at("spin") == 1; })) << server.output();
  EXPECT_LE(common::Clock::now() - begin, support::patience(std::chrono::seconds(4)));
  const Json recycle = wait_recycle(server, "spin");
  ASSERT_TRUE(recycle.contains("spinning") && recycle.at("spinning").is_object()) << recycle.dump(1);
  EXPECT_THAT(recycle.at("spinning").dump(), HasSubstr("CLOSE_WAIT"));
  EXPECT_TRUE(recycle.at("spinning").at("fd").is_number()) << recycle.dump(1);
  EXPECT_THAT(recycle.value("stack", Json()).dump(), HasSubstr("torture::")) << recycle.dump(1);
  EXPECT_THAT(server.output(), HasSubstr("spin"));
  const pid_t spinner = recycle.value("pid", 0);
  EXPECT_TRUE(support::wait_until([&] { return !support::process(spinner); })) << "it spins on";
  EXPECT_TRUE(server.wait_ready(2));
  EXPECT_EQ(server.get("/hello").status, 200);
}

// Connections that wait for the worker that spins are served by its successor, all others at once by the other worker.
TEST(Incident5, HoldsUpNobodyForLongerThanItTakesToFindIt) {
  SupervisorProcess server({.arguments = joined({workers(2), looking_for_spins("\"1s\"")})});
  ASSERT_TRUE(server.wait_ready(2));
  HttpClient victim = server.connect();
  ASSERT_TRUE(victim.send(get_request("/spin")));
  ASSERT_TRUE(server.wait_status([](const Status& now) { return in_flight(now) == 1; }));
  LoadGenerator load({.address = server.address(), .threads = 4});
  EXPECT_TRUE(server.wait_status([](const Status& now) { return now.recycled.at("spin") == 1; }));
  EXPECT_TRUE(load.wait_for_answers(200));
  const LoadReport report = load.stop();
  EXPECT_EQ(report.failed(), 0U) << report;
}

TEST(Incident5, IsFoundInABackgroundThreadWhileRequestsAreAnswered) {
  // It could drain at once, and waits at most a quarter of that for its report.
  SupervisorProcess server({.arguments = joined({workers(1), looking_for_spins("\"1s\""),
                                                 support::set("workers.stop_timeout", "\"10s\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t spinner = server.worker(0);
  LoadGenerator load({.address = server.address(), .threads = 1});
  ASSERT_EQ(server.get("/spin-thread").status, 200);
  EXPECT_TRUE(server.wait_status([](const Status& now) { return now.recycled.at("spin") == 1; })) << server.output();
  EXPECT_TRUE(support::wait_until([&] { return !support::process(spinner); })) << "it spins on";
  const LoadReport report = load.stop();
  EXPECT_EQ(report.failed(), 0U) << report;
  EXPECT_THAT(wait_recycle(server, "spin").value("spinning", Json()).dump(), HasSubstr("CLOSE_WAIT"));
}

TEST(Incident5, IsNotSeenInAWorkerThatIsOnlyBusy) {
  SupervisorProcess server({.arguments = joined({workers(1), looking_for_spins("\"1s\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  LoadGenerator load({.address = server.address(), .threads = 4, .target = "/burn?ms=5"});
  EXPECT_TRUE(support::holds_for(std::chrono::seconds(3), [&] {
    const common::Result<Status> now = server.status();
    return now && now->recycled_in_all() == 0;
  }));
  const LoadReport report = load.stop();
  EXPECT_EQ(report.failed(), 0U) << report;
}

// Nobody looks for it, so it spins on, which is what happened; then the operator closes the descriptor, without gdb.
TEST(Incident5, ComesBackWithoutTheDetectorAndEndsWhenTheDescriptorIsClosed) {
  SupervisorProcess server({.arguments = joined({workers(1), looking_for_spins("\"0s\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t spinner = server.worker(0);
  HttpClient victim = server.connect();
  ASSERT_TRUE(victim.send(get_request("/spin")));
  EXPECT_TRUE(spins(spinner));
  ASSERT_EQ(server.worker(0), spinner) << "somebody has found it after all";

  const Json inspection = fds_of(server, 0);
  const Json groups = groups_opened_at(inspection, "tcp");
  ASSERT_EQ(groups.size(), 1U) << inspection.dump(1);
  EXPECT_EQ(groups[0].at("state"), "CLOSE_WAIT");
  const int guilty = groups[0].at("fds").at(0);
  const CommandResult closed = run_verb(server, {"close-fd", "--slot", "0", "--fd", std::to_string(guilty)});
  EXPECT_EQ(closed.exit_code, 0) << closed.output;
  EXPECT_TRUE(support::wait_until([&] { return processor_share(spinner, std::chrono::milliseconds(300)) <= kRests; }));
  EXPECT_EQ(server.worker(0), spinner);
  EXPECT_EQ(server.status()->recycled_in_all(), 0U);
}

TEST(Incident5, DoesNotMakeTheServersOwnDescriptorsTheOperatorsToClose) {
  SupervisorProcess server({.arguments = workers(1)});
  ASSERT_TRUE(server.wait_ready(1));
  int tried = 0;
  const Json inspection = fds_of(server, 0);
  for (const Json& descriptor : inspection.at("descriptors")) {
    if (descriptor.value("owner", "") != "server") continue;
    ++tried;
    const std::string number = std::to_string(descriptor.at("fd").get<int>());
    const CommandResult closed = run_verb(server, {"close-fd", "--slot", "0", "--fd", number});
    EXPECT_NE(closed.exit_code, 0) << "descriptor " << number << ": " << closed.output;
  }
  EXPECT_GE(tried, 2) << "a ring and a listener at the least";
  EXPECT_EQ(server.get("/hello").status, 200);
}

}  // namespace
}  // namespace incidents
