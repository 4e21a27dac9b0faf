// Incident 2: the application leaks sockets whose peer has gone, event loops, unix sockets, until it can open nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "closing_peer.h"
#include "command.h"
#include "report.h"
#include "support/load_generator.h"
#include "support/process_table.h"
#include "support/supervisor_process.h"

namespace incidents {
namespace {

using common::Json;
using support::Deadline;
using support::joined;
using support::LoadGenerator;
using support::LoadReport;
using support::Status;
using support::SupervisorProcess;
using testing::HasSubstr;

// Decisions after tenths of a second instead of tens of seconds.
std::vector<std::string> eager() {
  return joined({support::set("recycle.interval", "\"50ms\""), support::set("recycle.samples", "2"),
                 support::set("recycle.age_min", "\"0s\""), support::set("recycle.jitter", "0.0"),
                 support::set("fds.trace", "\"always\"")});
}

std::vector<std::string> no_recycling() {
  return joined({support::set("recycle.fds_leaked", "0"), support::set("recycle.fds_used", "0.0"),
                 support::set("recycle.fds_exhaustion", "\"0s\""), support::set("recycle.close_wait", "0")});
}

// As a client session per request does that is never closed: the peer gives up, and we stay in CLOSE_WAIT.
void leak_sockets(const SupervisorProcess& server, ClosingPeer& peer, int count) {
  for (int index = 0; index < count; ++index) {
    ASSERT_EQ(server.get("/leak-peer?port=" + std::to_string(peer.port())).status, 200) << "socket " << index;
  }
  ASSERT_EQ(peer.close_all(), count);
}

TEST(Incident2, ComesBackWithoutRecycling) {
  SupervisorProcess server({.arguments = joined({{"--workers", "1"}, eager(), no_recycling()}), .open_files = 100});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  ClosingPeer peer;
  const std::string target = "/leak-peer?port=" + std::to_string(peer.port());
  // The connection of the request before may have had the last descriptor, and be closed by the time of the next.
  EXPECT_TRUE(support::wait_until([&] {
    const bool exhausted = server.get(target).status != 200 && server.get("/file?path=/etc/passwd").status != 200;
    peer.close_all();
    return exhausted;
  })) << "the application can still open files";
  EXPECT_EQ(server.worker(0), worker);
}

TEST(Incident2, IsToldWhileItHappensByKindStatePeerAndLine) {
  SupervisorProcess server({.arguments = joined({{"--workers", "1"}, eager(), no_recycling()})});
  ASSERT_TRUE(server.wait_ready(1));
  ClosingPeer peer;
  leak_sockets(server, peer, 30);
  ASSERT_EQ(server.get("/leak?kind=epoll&count=5").status, 200);
  ASSERT_EQ(server.get("/leak?kind=socket&count=7").status, 200);
  // Not while the connection of the last request is being closed.
  ASSERT_TRUE(server.wait_status([](const Status& now) { return now.workers.at(0).connections == 0; }));

  const Json inspection = fds_of(server, 0);
  const Json sockets = groups_opened_at(inspection, "tcp");
  ASSERT_EQ(sockets.size(), 1U) << inspection.dump(1);
  EXPECT_EQ(sockets[0].at("count"), 30);
  EXPECT_EQ(sockets[0].at("state"), "CLOSE_WAIT");
  EXPECT_EQ(sockets[0].at("peer"), peer.address());
  EXPECT_EQ(sockets[0].at("owner"), "application");
  EXPECT_GE(sockets[0].at("oldest_s").get<double>(), 0.0);
  EXPECT_LE(sockets[0].at("oldest_s").get<double>(), 60.0);
  EXPECT_EQ(inspection.at("groups").at(0), sockets[0]) << "the worst group comes first";
  EXPECT_EQ(count_opened_at(inspection, "epoll"), 5) << inspection.dump(1);
  EXPECT_EQ(count_opened_at(inspection, "socket"), 7) << inspection.dump(1);
  EXPECT_EQ(inspection.at("fds").at("leaked"), 42);
  EXPECT_THAT(groups_opened_at(inspection, "epoll").at(0).at("kind").get<std::string>(), HasSubstr("epoll"));
  EXPECT_THAT(groups_opened_at(inspection, "socket").at(0).at("text").get<std::string>(), HasSubstr("STREAM"));

  const CommandResult told = run_verb(server, {"fds", "--slot", "0"});
  EXPECT_EQ(told.exit_code, 0) << told.output;
  EXPECT_THAT(told.output, HasSubstr("30 × TCP CLOSE_WAIT to " + peer.address()));
  EXPECT_THAT(told.output, HasSubstr("descriptors.cc:"));
}

TEST(Incident2, ShowsInTheStatusWhatIsInCloseWait) {
  SupervisorProcess server({.arguments = joined({{"--workers", "1"}, eager(), no_recycling()})});
  ASSERT_TRUE(server.wait_ready(1));
  ClosingPeer peer;
  leak_sockets(server, peer, 12);
  EXPECT_TRUE(support::wait_until([&] {
    const Json fds = status_of(server).at("workers").at(0).at("fds");
    return fds.at("close_wait") == 12 && fds.at("leaked") == 12;
  })) << status_of(server).dump(1);
}

TEST(Incident2, EndsWithAReplacementThatNoRequestNotices) {
  SupervisorProcess server({.arguments = joined({{"--workers", "2"},
                                                 eager(),
                                                 support::set("recycle.close_wait", "0"),
                                                 support::set("recycle.fds_leaked", "60")})});
  ASSERT_TRUE(server.wait_ready(2));
  ClosingPeer peer;
  LoadGenerator load({.address = server.address()});
  const std::string target = "/leak-peer?port=" + std::to_string(peer.port());
  EXPECT_TRUE(server.wait_status([&](const Status& now) {
    for (int index = 0; index < 10; ++index) EXPECT_EQ(server.get(target).status, 200);
    peer.close_all();
    return now.recycled.at("fds_leaked") >= 1;
  }));
  const LoadReport report = load.stop();
  EXPECT_EQ(report.failed(), 0U) << report;
  const Json recycle = wait_recycle(server, "fds_leaked");
  EXPECT_GE(recycle.value("measured", 0.0), 60.0);
  EXPECT_EQ(recycle.value("limit", 0.0), 60.0);
  const Json groups = groups_opened_at(recycle, "tcp");
  ASSERT_GE(groups.size(), 1U) << recycle.dump(1);
  EXPECT_EQ(groups[0].at("peer"), peer.address());
  EXPECT_TRUE(support::wait_until([&] { return !support::process(recycle.value("pid", 0)); })) << "it is still there";
  EXPECT_THAT(server.output(), HasSubstr("descriptors.cc:")) << "the log has to name the place too";
  EXPECT_EQ(server.status()->crashed + server.status()->killed, 0U);
}

TEST(Incident2, EndsAlreadyWithAFewSocketsWhosePeerHasLongGone) {
  SupervisorProcess server({.arguments = joined({{"--workers", "1"},
                                                 eager(),
                                                 no_recycling(),
                                                 support::set("recycle.close_wait", "20"),
                                                 support::set("recycle.close_wait_age", "\"200ms\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  ClosingPeer peer;
  leak_sockets(server, peer, 19);
  EXPECT_TRUE(support::holds_for(std::chrono::milliseconds(800), [&] {
    const common::Result<Status> now = server.status();
    return now && now->recycled_in_all() == 0;
  })) << "one below the limit";
  leak_sockets(server, peer, 1);
  EXPECT_TRUE(server.wait_status([](const Status& now) { return now.recycled.at("close_wait") == 1; }));
  EXPECT_EQ(wait_recycle(server, "close_wait").value("measured", 0.0), 20.0);
}

TEST(Incident2, CanBeEndedByShuttingThoseSocketsDown) {
  SupervisorProcess server({.arguments = joined({{"--workers", "1"},
                                                 eager(),
                                                 no_recycling(),
                                                 support::set("recycle.close_wait", "20"),
                                                 support::set("recycle.close_wait_age", "\"200ms\""),
                                                 support::set("recycle.close_wait_action", "\"shutdown\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  ClosingPeer peer;
  leak_sockets(server, peer, 25);
  EXPECT_TRUE(support::wait_until([&] {
    return status_of(server).at("workers").at(0).at("fds").at("close_wait") == 0;
  })) << status_of(server).dump(1);
  EXPECT_EQ(server.worker(0), worker) << "nobody was to be replaced";
  EXPECT_EQ(server.get("/hello").status, 200);
}

// It has nothing to finish and could leave at once; the report is what the replacement is for.
TEST(Incident2, IsReportedAlsoWhenTheWorkerIsIdle) {
  SupervisorProcess server(
      {.arguments = joined({{"--workers", "1"}, eager(), support::set("recycle.fds_leaked", "40")})});
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(server.wait_ready(1));
    const pid_t worker = server.worker(0);
    ASSERT_EQ(server.get("/leak?kind=epoll&count=60").status, 200);
    ASSERT_TRUE(support::wait_until([&] { return !support::process(worker) && server.worker(0) != 0; }));
    const Json recycle = wait_recycle(server, "fds_leaked");
    EXPECT_EQ(recycle.value("pid", 0), worker) << "round " << round;
    EXPECT_EQ(count_opened_at(recycle, "epoll"), 60) << "round " << round;
  }
}

TEST(Incident2, IsToldAtTheEndOfAWorkerThatLeavesSomethingOpen) {
  SupervisorProcess server({.arguments = joined({{"--workers", "1"}, eager()})});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  ASSERT_EQ(server.get("/leak?kind=epoll&count=11").status, 200);
  ASSERT_EQ(server.control("POST", "/recycle?slot=0").status / 100, 2);
  ASSERT_TRUE(support::wait_until([&] { return !support::process(worker); }));
  EXPECT_TRUE(support::wait_until([&] { return status_of(server).at("recycles").at(0).at("left_open") == 11; }))
      << status_of(server).dump(1);
}

}  // namespace
}  // namespace incidents
