// Descriptors: whose they are, what numbers they get, and what happens when somebody touches another's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <string>
#include <vector>

#include "common/json.h"
#include "support/environment.h"
#include "support/signal.h"
#include "support/supervisor_process.h"

namespace {

using common::Json;
using support::Deadline;
using support::get_request;
using support::HttpClient;
using support::joined;
using support::ReadOutcome;
using support::set;
using support::SupervisorProcess;
using testing::HasSubstr;

Json json_of(const SupervisorProcess& server, std::string_view target) {
  const support::HttpResponse answer = server.control("GET", target);
  EXPECT_EQ(answer.status, 200) << answer.body;
  return Json::parse(answer.body, nullptr, false);
}

// The status is polled: a moment later the worker may be another one.
bool is_replaced(SupervisorProcess& server, pid_t was) {
  return server.wait_status(
      [&](const support::Status& now) {
        const auto ready = now.ready_by_slot();
        return ready.contains(0) && ready.at(0).pid != was;
      },
      Deadline(std::chrono::seconds(30)));
}

TEST(Descriptors, OfAnApplicationThatSelectsStayLowHoweverManyClientsThereAre) {
  constexpr int kClients = 1100;
  if (support::raise_open_files() < 2 * kClients) GTEST_SKIP() << "the hard limit of open files is too low";
  SupervisorProcess server({.arguments = {"--workers", "1"}, .app = support::application("uses_select")});
  ASSERT_TRUE(server.wait_ready(1));
  std::vector<HttpClient> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(server.connect());
    ASSERT_TRUE(clients.back().send(get_request("/")));
    ASSERT_EQ(clients.back().read().outcome, ReadOutcome::kAnswer);
  }
  EXPECT_LT(std::stoi(server.get("/").body), 64) << "the next descriptor of the application";
  EXPECT_TRUE(server.wait_output("the application uses select"));
  EXPECT_THAT(server.output(), HasSubstr("uses_select.so"));
}

TEST(Descriptors, AreDividedAnewWhenTheLimitOfAWorkerIsChanged) {
  SupervisorProcess server({.arguments = joined({{"--workers", "1"}, set("recycle.interval", "\"50ms\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  rlimit limit{};
  ASSERT_EQ(prlimit(server.worker(0), RLIMIT_NOFILE, nullptr, &limit), 0);
  if (limit.rlim_cur <= 2048) GTEST_SKIP() << "the hard limit of open files is too low";
  limit.rlim_cur = 2048;
  ASSERT_EQ(prlimit(server.worker(0), RLIMIT_NOFILE, &limit, nullptr), 0);
  // 2048 - 64 in reserve - a quarter for the application
  EXPECT_TRUE(support::wait_until(
      [&] { return json_of(server, "/status").at("workers").at(0).at("connections_max") == 2048 - 64 - 512; }));
  EXPECT_EQ(server.get("/hello").status, 200);
}

TEST(Descriptors, OfAStoppedWorkerCanBeListed) {
  SupervisorProcess server({.arguments = {"--workers", "1"}});
  ASSERT_TRUE(server.wait_ready(1));
  // It stays, so that the worker is not stopped while it closes a connection: that one would be nobody's.
  HttpClient client = server.connect();
  ASSERT_TRUE(client.send(get_request("/leak?kind=eventfd&count=5")));
  ASSERT_EQ(client.read().response.status, 200);
  const pid_t worker = server.worker(0);
  ASSERT_TRUE(support::send_signal(worker, SIGSTOP));
  const Json report = json_of(server, "/fds?slot=0");
  EXPECT_EQ(report.at("pid"), worker);
  EXPECT_EQ(report.at("fds").at("leaked"), 5);
  EXPECT_EQ(report.at("groups").at(0).at("count"), 5);
  EXPECT_EQ(report.at("groups").at(0).at("kind"), "eventfd");
  ASSERT_TRUE(support::send_signal(worker, SIGCONT));
}

// Accepted together with the request of a long handler, they are nobody's until it returns.
TEST(Descriptors, OfClientsThatWaitBehindALongHandlerAreTheServers) {
  constexpr int kClients = 100;
  SupervisorProcess server({.arguments = joined({{"--workers", "1"},
                                                 set("recycle.interval", "\"20ms\""),
                                                 set("recycle.age_min", "\"1ms\""),
                                                 set("recycle.fds_leaked", "40")})});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  // In the first second after it was ready it may share its sockets, and takes one client a turn.
  const double age_s = server.status().value().worker(worker).age_s;
  ASSERT_TRUE(server.wait_status([&](const support::Status& now) { return now.worker(worker).age_s > age_s + 2; }));
  HttpClient first = server.connect();
  HttpClient second = server.connect();
  for (HttpClient* client : {&first, &second}) {
    ASSERT_TRUE(client->send(get_request("/hello")));
    ASSERT_EQ(client->read().outcome, ReadOutcome::kAnswer);
  }
  ASSERT_TRUE(server.wait_status([&](const support::Status& now) { return now.worker(worker).in_flight == 0; }));
  ASSERT_TRUE(first.send(get_request("/sleep?ms=500")));
  ASSERT_TRUE(server.wait_status([&](const support::Status& now) { return now.worker(worker).in_flight == 1; }));
  ASSERT_TRUE(second.send(get_request("/sleep?ms=2500")));
  std::vector<HttpClient> clients;
  for (int i = 0; i < kClients; ++i) clients.push_back(server.connect());
  ASSERT_EQ(first.read().outcome, ReadOutcome::kAnswer);
  // All have been accepted and noted, and the second handler has not returned.
  EXPECT_TRUE(server.wait_status([&](const support::Status& now) {
    return now.worker(worker).fds_owned >= kClients && now.worker(worker).requests == 3;
  }));
  const Json report = json_of(server, "/fds?slot=0");
  EXPECT_EQ(report.at("fds").at("leaked"), 0) << report.at("groups").dump(1);
  ASSERT_EQ(second.read().outcome, ReadOutcome::kAnswer);
  for (HttpClient& client : clients) EXPECT_TRUE(client.send(get_request("/pid")));
  for (HttpClient& client : clients) EXPECT_EQ(client.read().response.body, std::to_string(worker) + "\n");
  EXPECT_EQ(server.status()->recycled_in_all(), 0U);
}

TEST(Descriptors, OfTheServerAreNotClosedOnDemand) {
  SupervisorProcess server({.arguments = {"--workers", "1"}});
  ASSERT_TRUE(server.wait_ready(1));
  int refused = 0;
  const Json report = json_of(server, "/fds?slot=0");
  for (const Json& one : report.at("descriptors")) {
    if (one.at("owner") != "server") continue;
    const auto answer = server.control("POST", "/close-fd?slot=0&fd=" + one.at("fd").dump());
    EXPECT_EQ(answer.status, 409) << answer.body;
    ++refused;
  }
  EXPECT_GE(refused, 4) << "ring, channel, signals, listener";
  EXPECT_EQ(server.get("/hello").status, 200);
}

TEST(Descriptors, ClosedByAnApplicationThatDoesNotOwnThemGetItsWorkerReplaced) {
  SupervisorProcess server({.arguments = joined({{"--workers", "1"}, set("recycle.interval", "\"50ms\"")}),
                            .app = support::application("closes_descriptors")});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  server.get("/close", Deadline(std::chrono::seconds(1)));
  EXPECT_TRUE(is_replaced(server, worker));
  EXPECT_EQ(server.get("/").body, "hello\n");
}

TEST(Descriptors, LeftOpenByTheApplicationAreToldWhenItsWorkerLeaves) {
  SupervisorProcess server({.arguments = {"--workers", "1"}});
  ASSERT_TRUE(server.wait_ready(1));
  ASSERT_EQ(server.get("/leak?kind=eventfd&count=3").status, 200);
  ASSERT_EQ(server.get("/leak?kind=file&count=1").status, 200);
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait_exit(), 0);
  EXPECT_THAT(server.output(),
              HasSubstr("the application leaves descriptors open count=4 kinds=\"3 x anon_inode:[event"));
}

TEST(Descriptors, AllClosedByTheApplicationAreNotWorthALine) {
  SupervisorProcess server({.arguments = {"--workers", "1"}});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient kept = server.connect();
  ASSERT_TRUE(kept.send(get_request("/hello")));
  ASSERT_EQ(kept.read().outcome, ReadOutcome::kAnswer);
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait_exit(), 0);
  EXPECT_THAT(server.output(), testing::Not(HasSubstr("leaves descriptors open")));
}

TEST(Hang, OfAWorkerThatWasStoppedWhileItWaitedIsNoticed) {
  SupervisorProcess server({.arguments = joined({{"--workers", "1"},
                                                 set("recycle.interval", "\"50ms\""),
                                                 set("workers.stop_timeout", "\"1s\""),
                                                 set("workers.hang_timeout", "\"1s\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  ASSERT_TRUE(support::send_signal(worker, SIGSTOP));
  EXPECT_TRUE(is_replaced(server, worker));
  EXPECT_EQ(server.status()->recycled.at("hang"), 1U);
  EXPECT_EQ(server.get("/hello").status, 200);
}

}  // namespace
