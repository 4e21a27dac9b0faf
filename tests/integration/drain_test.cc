// Draining: clients of a worker that leaves notice nothing of it.
#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <vector>

#include "support/process_table.h"
#include "support/supervisor_process.h"

namespace {

using support::get_request;
using support::HttpClient;
using support::HttpRead;
using support::joined;
using support::ReadOutcome;
using support::Status;
using support::SupervisorProcess;

std::vector<std::string> one_worker() { return {"--workers", "1"}; }

std::vector<std::string> grace(const char* duration) { return support::set("timeouts.drain_idle", duration); }

// With clients of a test, which do not close when the server does.
std::vector<std::string> impatient() { return support::set("timeouts.linger", "\"500ms\""); }

// Begins a replacement of the only worker and waits until the old one is draining.
pid_t recycle(SupervisorProcess& server) {
  const pid_t old = server.worker(0);
  EXPECT_EQ(server.control("POST", "/recycle?slot=0").status / 100, 2);
  EXPECT_TRUE(support::wait_until([&] { return server.worker(0) != 0 && server.worker(0) != old; }));
  // The order reaches it after the master has looked at its descriptors; then it gives its listeners up.
  EXPECT_TRUE(support::wait_until([&] { return support::listening_inodes(old).empty(); }));
  return old;
}

HttpClient idle_client(const SupervisorProcess& server) {
  HttpClient client = server.connect();
  EXPECT_TRUE(client.send(get_request("/hello")));
  EXPECT_EQ(client.read().outcome, ReadOutcome::kAnswer);
  return client;
}

bool is_gone(pid_t pid) {
  return support::wait_until([pid] { return !support::process(pid); });
}

TEST(Drain, AnswersAClientThatComesBackInTheGraceAndTellsItToGo) {
  SupervisorProcess server({.arguments = joined({one_worker(), impatient(), grace("\"8s\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient kept = idle_client(server);
  const pid_t old = recycle(server);
  ASSERT_TRUE(kept.send(get_request("/pid")));
  const HttpRead read = kept.read();
  ASSERT_EQ(read.outcome, ReadOutcome::kAnswer);
  EXPECT_EQ(std::stol(read.response.body), old);
  EXPECT_TRUE(read.response.closes());
  EXPECT_EQ(kept.read_to_end().outcome, ReadOutcome::kEnd);
  EXPECT_TRUE(is_gone(old));
}

TEST(Drain, EndsAnIdleConnectionInOrderAfterItsGrace) {
  SupervisorProcess server({.arguments = joined({one_worker(), grace("\"300ms\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  const common::TimePoint before = common::Clock::now();
  HttpClient kept = idle_client(server);
  const pid_t old = recycle(server);
  EXPECT_EQ(kept.read_to_end().outcome, ReadOutcome::kEnd);
  EXPECT_GE(common::Clock::now() - before, std::chrono::milliseconds(300));
  EXPECT_TRUE(support::process(old)) << "it reads on until the client has closed, too";
  {
    const HttpClient closed = std::move(kept);
  }
  EXPECT_TRUE(is_gone(old));
}

TEST(Drain, WaitsForTheFirstWordOfAClientThatHasOnlyConnected) {
  SupervisorProcess server({.arguments = joined({one_worker(), impatient(), grace("\"50ms\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient silent = server.connect();
  ASSERT_TRUE(server.wait_status([](const Status& now) { return now.ready_by_slot().at(0).connections == 1; }));
  const pid_t old = recycle(server);
  EXPECT_TRUE(support::holds_for(std::chrono::milliseconds(500), [&] { return support::process(old).has_value(); }));
  ASSERT_TRUE(silent.send(get_request("/pid")));
  const HttpRead read = silent.read();
  ASSERT_EQ(read.outcome, ReadOutcome::kAnswer);
  EXPECT_EQ(std::stol(read.response.body), old);
  EXPECT_TRUE(is_gone(old));
}

TEST(Drain, FinishesARequestHalfReceivedAndAllThatArePipelinedBehindIt) {
  SupervisorProcess server({.arguments = joined({one_worker(), impatient(), grace("\"50ms\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient slow = idle_client(server);
  const std::string request = get_request("/pid");
  ASSERT_TRUE(slow.send(request.substr(0, 10)));
  const pid_t old = recycle(server);
  EXPECT_TRUE(support::holds_for(std::chrono::milliseconds(300), [&] { return support::process(old).has_value(); }));
  constexpr int kMore = 200;
  std::string rest = request.substr(10);
  for (int i = 0; i < kMore; ++i) rest += request;
  ASSERT_TRUE(slow.send(rest));
  for (int i = 0; i <= kMore; ++i) {
    const HttpRead read = slow.read();
    ASSERT_EQ(read.outcome, ReadOutcome::kAnswer) << i;
    EXPECT_EQ(std::stol(read.response.body), old);
    ASSERT_EQ(read.response.closes(), i == kMore) << i;
  }
  EXPECT_TRUE(is_gone(old));
}

TEST(Drain, GivesASlowReaderItsWholeAnswer) {
  SupervisorProcess server({.arguments = one_worker()});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient slow = server.connect();
  slow.limit_receive_buffer(65536);
  const std::string file = server.directory().write("large", std::string(8'000'000, 'x'));
  ASSERT_TRUE(slow.send(get_request("/file?path=" + file)));
  ASSERT_TRUE(server.wait_status([](const Status& now) { return now.ready_by_slot().at(0).in_flight == 1; }));
  const pid_t old = recycle(server);
  const HttpRead read = slow.read();
  ASSERT_EQ(read.outcome, ReadOutcome::kAnswer);
  EXPECT_EQ(read.response.body.size(), 8'000'000U);
  {
    const HttpClient closed = std::move(slow);
  }
  EXPECT_TRUE(is_gone(old));
}

TEST(Drain, LeavesAPollersConnectionOpenInItsRhythm) {
  SupervisorProcess server({.arguments = joined({one_worker(), impatient(), grace("\"50ms\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient poller = idle_client(server);
  // Its pause may become twice as long: more than a replacement takes and ten times the grace.
  EXPECT_TRUE(support::holds_for(support::patience(std::chrono::seconds(2)), [] { return true; }));
  ASSERT_TRUE(poller.send(get_request("/hello")));
  ASSERT_EQ(poller.read().outcome, ReadOutcome::kAnswer);
  const pid_t old = recycle(server);
  EXPECT_TRUE(support::holds_for(std::chrono::milliseconds(500), [&] { return support::process(old).has_value(); }));
  ASSERT_TRUE(poller.send(get_request("/pid")));
  const HttpRead read = poller.read();
  ASSERT_EQ(read.outcome, ReadOutcome::kAnswer) << "a poller that does not look before it asks lost its request";
  EXPECT_EQ(std::stol(read.response.body), old);
  EXPECT_TRUE(read.response.closes());
}

TEST(Drain, KeepsAllPromisesWhenTheServiceStops) {
  SupervisorProcess server({.arguments = joined({one_worker(), impatient(), grace("\"8s\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient kept = idle_client(server);
  HttpClient begun = idle_client(server);
  const std::string request = get_request("/hello");
  ASSERT_TRUE(begun.send(request.substr(0, 10)));
  const pid_t worker = server.worker(0);
  server.signal(SIGTERM);
  // The status speaks of what the master wants; who has given up its listeners has heard of it.
  ASSERT_TRUE(support::wait_until([&] { return support::listening_inodes(worker).empty(); }));
  ASSERT_TRUE(begun.send(request.substr(10)));
  ASSERT_TRUE(kept.send(request));
  for (HttpClient* client : {&begun, &kept}) {
    const HttpRead read = client->read();
    ASSERT_EQ(read.outcome, ReadOutcome::kAnswer);
    EXPECT_TRUE(read.response.closes());
    EXPECT_EQ(client->read_to_end().outcome, ReadOutcome::kEnd);
  }
  EXPECT_EQ(server.wait_exit(), 0);
}

TEST(Drain, ServesWhatIsQueuedWhenTheMasterDies) {
  SupervisorProcess server({.arguments = joined({one_worker(), impatient(), grace("\"50ms\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient busy = server.connect();
  ASSERT_TRUE(busy.send(get_request("/sleep?ms=700")));
  ASSERT_TRUE(server.wait_status([](const Status& now) { return now.ready_by_slot().at(0).in_flight == 1; }));
  // In its first second it takes one of them a turn, so that the others are still queued when it hears of the death.
  // It goes on for 200 ms only: they are not more than it can take on a machine that is busy otherwise.
  std::vector<HttpClient> queued;
  for (int i = 0; i < 5; ++i) {
    queued.push_back(server.connect());
    ASSERT_TRUE(queued.back().send(get_request("/hello")));
  }
  server.signal(SIGKILL);
  EXPECT_EQ(server.wait_exit(), -SIGKILL);
  EXPECT_EQ(busy.read().outcome, ReadOutcome::kAnswer);
  for (HttpClient& client : queued) EXPECT_EQ(client.read().outcome, ReadOutcome::kAnswer);
  EXPECT_TRUE(support::wait_until([&] { return server.processes().empty(); }));
}

}  // namespace
