// Limits: with too few descriptors the service stays calm, answers whom it can and recovers by itself.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/environment.h"
#include "support/process_table.h"
#include "support/supervisor_process.h"

namespace {

using support::Deadline;
using support::get_request;
using support::HttpClient;
using support::joined;
using support::ReadOutcome;
using support::SupervisorProcess;

constexpr std::uint64_t kFew = 40;

common::Duration processor_time(const SupervisorProcess& server) {
  common::Duration sum{0};
  for (const pid_t pid : server.processes()) {
    if (const auto entry = support::process(pid)) sum += entry->cpu;
  }
  return sum;
}

// A loop that retries without a pause takes all of the second.
void expect_calm(const SupervisorProcess& server) {
  const common::Duration before = processor_time(server);
  support::holds_for(std::chrono::seconds(1), [] { return true; });
  EXPECT_LE(processor_time(server) - before, std::chrono::milliseconds(300));
}

std::vector<HttpClient> connected_clients(const SupervisorProcess& server, int count) {
  std::vector<HttpClient> clients;
  for (int index = 0; index < count; ++index) {
    common::Result<HttpClient> client = HttpClient::connect(server.address());
    if (client) clients.push_back(std::move(*client));
  }
  return clients;
}

TEST(Limits, EvictIdleConnectionsWhenThereIsNoRoom) {
  SupervisorProcess server({.arguments = {"--workers", "1"}, .open_files = kFew});
  ASSERT_TRUE(server.wait_ready(1));
  std::vector<HttpClient> clients;
  for (int index = 0; index < 100; ++index) {
    common::Result<HttpClient> client = HttpClient::connect(server.address());
    ASSERT_TRUE(client.has_value()) << client.error().message;
    ASSERT_TRUE(client->send(get_request("/hello")));
    ASSERT_EQ(client->read().outcome, ReadOutcome::kAnswer) << "client " << index;
    clients.push_back(std::move(*client));
  }
  expect_calm(server);
  EXPECT_EQ(server.get("/hello").status, 200);
}

TEST(Limits, DoNotMakeTheServerSpinWhileSilentClientsTakeAllRoom) {
  SupervisorProcess server(
      {.arguments = joined({{"--workers", "1"}, support::set("timeouts.header", "\"3s\"")}), .open_files = kFew});
  ASSERT_TRUE(server.wait_ready(1));
  const std::vector<HttpClient> clients = connected_clients(server, 100);
  ASSERT_EQ(clients.size(), 100U);
  expect_calm(server);
  EXPECT_EQ(server.control("GET", "/status").status, 200) << "it answers its operator all the same";
}

TEST(Limits, LetTheServiceRecoverWhenClientsLeave) {
  SupervisorProcess server({.arguments = {"--workers", "1"}, .open_files = kFew});
  ASSERT_TRUE(server.wait_ready(1));
  {
    const std::vector<HttpClient> clients = connected_clients(server, 100);
    EXPECT_EQ(server.control("GET", "/status").status, 200);
  }
  EXPECT_EQ(server.get("/hello").status, 200);
  expect_calm(server);
}

TEST(Limits, KeepAnApplicationThatTakesAllDescriptorsFromMakingTheServerSpin) {
  SupervisorProcess server(
      {.arguments = joined(
           {{"--workers", "1"}, support::set("recycle.fds_leaked", "0"), support::set("recycle.fds_used", "0.0")}),
       .open_files = 100});
  ASSERT_TRUE(server.wait_ready(1));
  server.get("/leak?kind=file&count=200");
  const std::vector<HttpClient> clients = connected_clients(server, 20);
  expect_calm(server);
  EXPECT_EQ(server.control("GET", "/status").status, 200);
}

TEST(Limits, AreRestoredByAReplacementWhenAnApplicationTakesAllDescriptors) {
  if (support::is_sanitized()) GTEST_SKIP() << "UBSan opens pipes of its own to look at exceptions";
  SupervisorProcess server({.arguments = joined({{"--workers", "1"},
                                                 support::set("recycle.interval", "\"50ms\""),
                                                 support::set("recycle.age_min", "\"0s\"")}),
                            .open_files = 100});
  ASSERT_TRUE(server.wait_ready(1));
  server.get("/leak?kind=file&count=200");
  EXPECT_TRUE(server.wait_status([](const support::Status& now) { return now.recycled_in_all() >= 1; }));
  EXPECT_TRUE(support::wait_until([&] { return server.get("/hello").status == 200; }));
}

TEST(Limits, AreNamedWhenTheyAreTooLowToStart) {
  SupervisorProcess server({.arguments = {"--workers", "2"}, .open_files = 12});
  EXPECT_EQ(server.wait_exit(), 1);
  EXPECT_NE(server.output().find("open files"), std::string::npos) << server.output();
}

TEST(Limits, OfTwentyEitherServeOrAreRefused) {
  SupervisorProcess server({.arguments = {"--workers", "1"}, .open_files = 20});
  if (server.wait_ready(1)) {
    EXPECT_EQ(server.get("/hello").status, 200);
  } else {
    EXPECT_EQ(server.wait_exit(), 1);
    EXPECT_NE(server.output().find("open files"), std::string::npos) << server.output();
  }
}

TEST(Limits, OfConnectionsMakeTheLongestIdleOneGiveWay) {
  SupervisorProcess server({.arguments = {"--workers", "1", "--set", "limits.connections=20"}});
  ASSERT_TRUE(server.wait_ready(1));
  std::vector<support::HttpClient> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(server.connect());  // full before any of them is idle
  for (support::HttpClient& client : clients) ASSERT_TRUE(client.send(support::get_request("/hello")));
  for (support::HttpClient& client : clients) client.read();
  EXPECT_EQ(server.get("/hello").status, 200);
}

}  // namespace
