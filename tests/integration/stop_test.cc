// Stopping: how each way to end the service, or a part of it, treats the work in hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "support/load_generator.h"
#include "support/process_table.h"
#include "support/signal.h"
#include "support/supervisor_process.h"
#include "support/waiting_clients.h"

namespace {

using support::Deadline;
using support::get_request;
using support::HttpClient;
using support::HttpRead;
using support::HttpResponse;
using support::joined;
using support::LoadGenerator;
using support::LoadMode;
using support::LoadReport;
using support::ReadOutcome;
using support::Status;
using support::SupervisorProcess;
using ::testing::HasSubstr;

std::vector<std::string> workers(int count) { return {"--workers", std::to_string(count)}; }

// A client whose request is in a handler.
HttpClient sleeping_client(SupervisorProcess& server, int milliseconds) {
  HttpClient client = server.connect();
  EXPECT_TRUE(client.send(get_request("/sleep?ms=" + std::to_string(milliseconds))));
  EXPECT_TRUE(server.wait_status([](const Status& now) {
    std::uint64_t in_flight = 0;
    for (const support::WorkerStatus& worker : now.workers) in_flight += worker.in_flight;
    return in_flight == 1;
  }));
  return client;
}

TEST(Stop, FinishesTheRequestInFlightOnTerm) {
  SupervisorProcess server({.arguments = workers(2)});
  ASSERT_TRUE(server.wait_ready(2));
  HttpClient client = sleeping_client(server, 500);
  server.signal(SIGTERM);
  const HttpRead read = client.read();
  ASSERT_EQ(read.outcome, ReadOutcome::kAnswer);
  EXPECT_EQ(read.response.status, 200);
  EXPECT_EQ(client.read_to_end().outcome, ReadOutcome::kEnd);
  EXPECT_EQ(server.wait_exit(), 0);
}

TEST(Stop, AnswersTheNextRequestOfAnOpenConnectionAndClosesIt) {
  SupervisorProcess server({.arguments = workers(1)});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient client = server.connect();
  ASSERT_TRUE(client.send(get_request("/hello")));
  ASSERT_FALSE(client.read().response.closes());
  server.signal(SIGTERM);
  bool closes = false;
  while (!closes) {  // the first ones may be answered before the worker has heard of it
    ASSERT_TRUE(client.send(get_request("/hello")));
    const HttpRead read = client.read();
    ASSERT_EQ(read.outcome, ReadOutcome::kAnswer) << "a request was lost";
    closes = read.response.closes();
  }
  EXPECT_EQ(client.read_to_end().outcome, ReadOutcome::kEnd);
  EXPECT_EQ(server.wait_exit(), 0);
}

TEST(Stop, LeavesItToTheMasterWhatAServiceManagerSendsToEveryProcess) {
  SupervisorProcess server({.arguments = joined({workers(1), support::set("stop.delay", "\"5m\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  HttpClient client = server.connect();
  for (const int signal : {SIGTERM, SIGQUIT}) {
    ASSERT_TRUE(support::send_signal(worker, signal));
    ASSERT_TRUE(client.send(get_request("/hello")));
    const HttpRead read = client.read();
    ASSERT_EQ(read.outcome, ReadOutcome::kAnswer);
    EXPECT_FALSE(read.response.closes()) << "signal " << signal << " made the worker drain";
  }
  // As systemd.kill(5) says of control-group.
  for (const pid_t process : server.processes()) support::send_signal(process, SIGTERM);
  ASSERT_TRUE(server.wait_output("stopping after stop.delay"));
  ASSERT_TRUE(client.send(get_request("/hello")));
  EXPECT_FALSE(client.read().response.closes()) << "stop.delay was cut short";
  EXPECT_EQ(server.get("/hello").status, 200);
  server.signal(SIGQUIT);
  EXPECT_EQ(server.wait_exit(), 0);
}

TEST(Stop, KillsAWorkerThatDoesNotFinishInTime) {
  SupervisorProcess server({.arguments = joined({workers(1), support::set("workers.stop_timeout", "\"500ms\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient client = sleeping_client(server, 60'000);
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait_exit(Deadline(std::chrono::seconds(10))), 0);
  EXPECT_NE(client.read().outcome, ReadOutcome::kAnswer);
}

TEST(Stop, DoesNotWaitForOpenConnectionsOnInt) {
  SupervisorProcess server({.arguments = workers(2)});
  ASSERT_TRUE(server.wait_ready(2));
  HttpClient idle = server.connect();
  ASSERT_TRUE(idle.send(get_request("/hello")));
  ASSERT_EQ(idle.read().outcome, ReadOutcome::kAnswer);
  HttpClient begun = server.connect();
  ASSERT_TRUE(begun.send("GET /he"));
  server.signal(SIGINT);
  EXPECT_EQ(server.wait_exit(Deadline(std::chrono::seconds(5))), 0);
}

TEST(Stop, IsImmediateOnTheSecondInt) {
  SupervisorProcess server({.arguments = workers(2)});
  ASSERT_TRUE(server.wait_ready(2));
  const HttpClient client = sleeping_client(server, 60'000);
  server.signal(SIGINT);
  ASSERT_TRUE(support::wait_until([&] {
    const common::Result<Status> now = server.status();
    return !now || now->ready_by_slot().empty();
  }));
  server.signal(SIGINT);
  EXPECT_EQ(server.wait_exit(Deadline(std::chrono::seconds(3))), 0);
}

TEST(Stop, LetsWorkersFinishWhenTheMasterIsKilled) {
  SupervisorProcess server({.arguments = workers(2)});
  ASSERT_TRUE(server.wait_ready(2));
  HttpClient client = sleeping_client(server, 500);
  server.signal(SIGKILL);
  EXPECT_EQ(server.wait_exit(), -SIGKILL);
  const HttpRead read = client.read();
  ASSERT_EQ(read.outcome, ReadOutcome::kAnswer);
  EXPECT_EQ(read.response.status, 200);
  EXPECT_TRUE(support::wait_until([&] { return server.processes().empty(); })) << "workers outlive their master";
}

TEST(Stop, LeavesNothingOfAnIdleServiceWhoseMasterIsKilled) {
  SupervisorProcess server({.arguments = workers(4)});
  ASSERT_TRUE(server.wait_ready(4));
  server.signal(SIGKILL);
  EXPECT_EQ(server.wait_exit(), -SIGKILL);
  EXPECT_TRUE(support::wait_until([&] { return server.processes().empty(); }));
  EXPECT_TRUE(support::wait_until([&] { return !std::filesystem::exists(server.control_path()); }));
}

TEST(Scale, AddsAndRemovesAWorkerBySignal) {
  SupervisorProcess server({.arguments = workers(2)});
  ASSERT_TRUE(server.wait_ready(2));
  server.signal(SIGTTIN);
  ASSERT_TRUE(server.wait_ready(3));
  EXPECT_EQ(support::listening_inodes(server.pid()).size(), 3U);
  server.signal(SIGTTOU);
  ASSERT_TRUE(server.wait_ready(2));
  EXPECT_TRUE(server.wait_status([](const Status& now) { return now.workers.size() == 2; }));
  EXPECT_TRUE(support::wait_until([&] { return support::listening_inodes(server.pid()).size() == 2; }))
      << "clients would queue up at a socket that nobody serves";
  EXPECT_EQ(server.get("/hello").status, 200);
}

TEST(Scale, LosesNoRequestOfOpenConnections) {
  SupervisorProcess server({.arguments = workers(3)});
  ASSERT_TRUE(server.wait_ready(3));
  LoadGenerator load({.address = server.address(), .mode = LoadMode::kKeepAlive, .threads = 3});
  ASSERT_TRUE(load.wait_for_answers(50));
  for (const int count : {1, 4, 2}) {
    EXPECT_EQ(server.control("POST", "/scale?workers=" + std::to_string(count)).status / 100, 2);
    ASSERT_TRUE(server.wait_ready(static_cast<std::size_t>(count))) << count;
    ASSERT_TRUE(load.wait_for_answers(50));
  }
  const LoadReport report = load.stop();
  // New connections are opened along the way, and one may stand in the queue of the socket that is closed.
  EXPECT_EQ(report.failed() - report.cut_off(), 0U) << report;
  EXPECT_LE(report.cut_off(), 3U) << report;
}

TEST(Scale, RefusesANumberItCannotServe) {
  SupervisorProcess server({.arguments = workers(1)});
  ASSERT_TRUE(server.wait_ready(1));
  for (const char* number : {"0", "-1", "100000", "many", ""}) {
    EXPECT_EQ(server.control("POST", std::string("/scale?workers=") + number).status, 400) << number;
  }
  EXPECT_TRUE(server.wait_ready(1));
}

TEST(Scale, IsRefusedWhileWorkersLeaveForGood) {
  SupervisorProcess server({.arguments = workers(1)});
  ASSERT_TRUE(server.wait_ready(1));
  support::WaitingClients client(server.address(), 1, "/sleep?ms=1500");
  ASSERT_TRUE(server.wait_status([](const support::Status& now) { return now.workers.at(0).in_flight == 1; }));
  ASSERT_EQ(server.control("POST", "/stop").status, 202);
  const HttpResponse refused = server.control("POST", "/scale?workers=4");
  EXPECT_EQ(refused.status, 409);
  EXPECT_THAT(refused.body, HasSubstr("the service stops"));
  EXPECT_EQ(client.lost(), 0);
  EXPECT_EQ(server.wait_exit(), 0);
}

TEST(Control, AnswersOtherRequestsHonestly) {
  SupervisorProcess server({.arguments = workers(1)});
  ASSERT_TRUE(server.wait_ready(1));
  EXPECT_EQ(server.control("GET", "/nothing").status, 404);
  EXPECT_EQ(server.control("GET", "/stop").status, 405);
  EXPECT_EQ(server.control("POST", "/recycle?slot=7").status / 100, 4);
  EXPECT_TRUE(server.running());
}

}  // namespace
