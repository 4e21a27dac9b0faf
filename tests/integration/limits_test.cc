// Limits: with too few descriptors the service stays calm, answers whom it can and recovers by itself.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>
#include <string>
#include <vector>

#include "support/environment.h"
#include "support/process_table.h"
#include "support/supervisor_process.h"

namespace {

namespace fs = std::filesystem;
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

rlimit limit_of(pid_t pid) {
  rlimit limit{};
  EXPECT_EQ(prlimit(pid, RLIMIT_NOFILE, nullptr, &limit), 0);
  return limit;
}

void set_soft_limit(pid_t pid, rlim_t soft) {
  rlimit limit = limit_of(pid);
  limit.rlim_cur = soft;
  ASSERT_EQ(prlimit(pid, RLIMIT_NOFILE, &limit, nullptr), 0);
}

// From now on not one descriptor more than are open.
void exhaust(pid_t pid) {
  rlim_t lowest_free = 0;
  while (fs::exists(fs::symlink_status("/proc/" + std::to_string(pid) + "/fd/" + std::to_string(lowest_free)))) {
    ++lowest_free;
  }
  set_soft_limit(pid, lowest_free);
}

common::Duration processor_time_of(pid_t pid) {
  const auto entry = support::process(pid);
  return entry ? entry->cpu : common::Duration::zero();
}

std::size_t lines_with(const std::string& text, std::string_view part) {
  std::size_t lines = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++lines;
  return lines;
}

// How the answers of clients that ask now are spread.
struct Tally {
  int served = 0;
  int refused = 0;
  int other = 0;
};

Tally ask(std::vector<HttpClient>& clients, Deadline deadline) {
  Tally tally;
  for (HttpClient& client : clients) client.send(get_request("/hello"));
  for (HttpClient& client : clients) {
    const support::HttpRead read = client.read(support::BodyRule::kPresent, deadline);
    const bool refused = read.response.status == 503 && read.response.has_header("Retry-After");
    ++(read.outcome != ReadOutcome::kAnswer ? tally.other
       : read.response.status == 200        ? tally.served
       : refused                            ? tally.refused
                                            : tally.other);
  }
  return tally;
}

// Requests begun and not finished: such connections give way to nobody.
std::vector<HttpClient> busy_clients(const SupervisorProcess& server, int count) {
  std::vector<HttpClient> clients = connected_clients(server, count);
  for (HttpClient& client : clients) client.send("POST /inspect HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1");
  return clients;
}

// A server whose worker has a reserve that keeps its worth when the limit is lowered, and patience with busy clients.
// The master does not look: it would see the limit, and divide what is left so that clients wait instead of being told.
support::SupervisorOptions patient(std::vector<std::string> more = {}) {
  return {.arguments = joined({{"--workers", "1"},
                               support::set("timeouts.body", "\"60s\""),
                               support::set("recycle.fds_leaked", "0"),
                               support::set("recycle.fds_used", "0.0"),
                               support::set("recycle.interval", "\"60s\""),
                               std::move(more)}),
          .open_files = 1000};
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

TEST(Limits, TellAnExtraClientAtOnceWhenNobodyCanGiveWay) {
  SupervisorProcess server(patient());
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  const std::vector<HttpClient> busy = busy_clients(server, 20);
  ASSERT_TRUE(server.wait_status([&](const support::Status& now) { return now.worker(worker).in_flight == 20; }));
  exhaust(worker);
  std::vector<HttpClient> extra = connected_clients(server, 100);
  ASSERT_EQ(extra.size(), 100U);
  const Tally tally = ask(extra, Deadline(std::chrono::seconds(5)));
  EXPECT_EQ(tally.refused, 100) << tally.served << " served, " << tally.other << " other\n" << server.output();
}

TEST(Limits, KeepTheWorkerCalmHoweverManyComeBackAtOnce) {
  SupervisorProcess server(patient());
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  const std::vector<HttpClient> busy = busy_clients(server, 20);
  ASSERT_TRUE(server.wait_status([&](const support::Status& now) { return now.worker(worker).in_flight == 20; }));
  exhaust(worker);
  const auto before = processor_time_of(worker);
  const auto begun = common::Clock::now();
  const std::size_t lines = lines_with(server.output(), "no room");
  int refused = 0;
  const Deadline latest;
  for (Deadline end(std::chrono::seconds(3)); !end.passed() || (refused < 300 && !latest.passed());) {
    std::vector<HttpClient> again = connected_clients(server, 50);
    refused += ask(again, Deadline(std::chrono::seconds(5))).refused;
  }
  const auto passed = common::Clock::now() - begun;
  EXPECT_GE(refused, 300);
  const int share = support::is_sanitized() ? 3 : 10;  // measured: 1 %; a spin takes all of it
  EXPECT_LE(processor_time_of(worker) - before, passed / share) << refused << " refused";
  EXPECT_LE(lines_with(server.output(), "no room") - lines,
            static_cast<std::size_t>(passed / std::chrono::seconds(1)) + 2);
}

TEST(Limits, EndWithoutHelpWithinASecondOfBeingRaised) {
  SupervisorProcess server(patient());
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  const std::vector<HttpClient> busy = busy_clients(server, 20);
  ASSERT_TRUE(server.wait_status([&](const support::Status& now) { return now.worker(worker).in_flight == 20; }));
  exhaust(worker);
  std::vector<HttpClient> extra = connected_clients(server, 10);
  ASSERT_EQ(ask(extra, Deadline(std::chrono::seconds(5))).refused, 10);
  extra.clear();
  set_soft_limit(worker, 1000);
  EXPECT_TRUE(
      support::wait_until([&] { return server.get("/hello").status == 200; }, Deadline(std::chrono::seconds(1))));
  extra = connected_clients(server, 50);
  EXPECT_EQ(ask(extra, Deadline(std::chrono::seconds(5))).served, 50);
}

TEST(Limits, EndWithoutHelpWhenClientsLeave) {
  SupervisorProcess server(patient());
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  std::vector<HttpClient> busy = busy_clients(server, 20);
  ASSERT_TRUE(server.wait_status([&](const support::Status& now) { return now.worker(worker).in_flight == 20; }));
  exhaust(worker);
  std::vector<HttpClient> extra = connected_clients(server, 10);
  ASSERT_EQ(ask(extra, Deadline(std::chrono::seconds(5))).refused, 10);
  extra.clear();
  busy.clear();
  EXPECT_TRUE(
      support::wait_until([&] { return server.get("/hello").status == 200; }, Deadline(std::chrono::seconds(1))));
}

TEST(Limits, OfTheApplicationsMakingAreToldToClientsToo) {
  if (support::is_sanitized()) GTEST_SKIP() << "UBSan opens pipes of its own to look at exceptions";
  support::SupervisorOptions options = patient();
  options.open_files = 100;
  SupervisorProcess server(std::move(options));
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient kept = server.connect();
  ASSERT_TRUE(kept.send(get_request("/leak?kind=file&count=200")));
  kept.read();
  ASSERT_TRUE(kept.send("POST /inspect HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1"));
  std::vector<HttpClient> extra = connected_clients(server, 20);
  const Tally tally = ask(extra, Deadline(std::chrono::seconds(5)));
  EXPECT_GE(tally.refused, 19) << tally.served << " served, " << tally.other << " other";
  expect_calm(server);
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

std::vector<std::string> of_connections(int count, std::string_view on_full) {
  return joined({support::set("limits.connections", std::to_string(count)),
                 support::set("limits.on_full", "\"" + std::string(on_full) + "\"")});
}

TEST(Limits, OfConnectionsAreNotPassedByABurst) {
  SupervisorProcess server(patient(of_connections(20, "evict")));
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  std::vector<HttpClient> busy = busy_clients(server, 100);
  ASSERT_TRUE(server.wait_status([&](const support::Status& now) { return now.worker(worker).connections >= 20; }));
  EXPECT_TRUE(support::holds_for(std::chrono::milliseconds(300), [&] {
    const auto now = server.status();
    return now && now->worker(worker).connections <= 20;
  }));
  expect_calm(server);
  // Each that ends lets one of those in who waited.
  int answered = 0;
  for (HttpClient& client : busy) {
    client.send("23456789");
    answered += client.read().outcome == ReadOutcome::kAnswer ? 1 : 0;
  }
  EXPECT_EQ(answered, 100);
}

TEST(Limits, OfConnectionsMakeSilentClientsGiveWay) {
  SupervisorProcess server(patient(joined({of_connections(20, "evict"), support::set("timeouts.header", "\"60s\"")})));
  ASSERT_TRUE(server.wait_ready(1));
  const std::vector<HttpClient> silent = connected_clients(server, 20);
  const auto begun = common::Clock::now();
  EXPECT_EQ(server.get("/hello").status, 200);
  EXPECT_LE(common::Clock::now() - begun, support::patience(std::chrono::seconds(8))) << "they have a minute";
}

TEST(Limits, OfConnectionsServeTheLastOneAndRefuseTheNext) {
  SupervisorProcess server(patient(of_connections(20, "refuse")));
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  const std::vector<HttpClient> busy = busy_clients(server, 19);
  const auto wait_in_flight = [&](std::uint64_t number) {
    return server.wait_status([&](const support::Status& now) { return now.worker(worker).in_flight == number; });
  };
  ASSERT_TRUE(wait_in_flight(19));
  std::vector<HttpClient> last = connected_clients(server, 1);
  EXPECT_EQ(ask(last, Deadline()).served, 1);
  ASSERT_TRUE(wait_in_flight(19)) << "its answer counts until it is sent";
  last[0].send("POST /inspect HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1");
  ASSERT_TRUE(wait_in_flight(20));
  std::vector<HttpClient> next = connected_clients(server, 30);
  EXPECT_EQ(ask(next, Deadline()).refused, 30);
}

}  // namespace
