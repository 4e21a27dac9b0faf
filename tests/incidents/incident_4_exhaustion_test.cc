// Incident 4: no descriptor is left to accept with, the listener stays readable, and the loop spins for ever.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>
#include <vector>

#include "child_process.h"
#include "command.h"
#include "crowd.h"
#include "report.h"
#include "support/process_table.h"
#include "support/supervisor_process.h"

namespace incidents {
namespace {

using common::Json;
using support::Deadline;
using support::get_request;
using support::HttpClient;
using support::HttpRead;
using support::joined;
using support::ReadOutcome;
using support::Status;
using support::SupervisorProcess;

constexpr std::uint64_t kOpenFiles = 40;
constexpr std::size_t kClients = 200;
constexpr double kCalm = 0.05;   // of one processor
constexpr double kSpins = 0.5;   // and that on a machine that has other things to do
constexpr double kLinesASecond = 2;
constexpr auto kExhausted = std::chrono::seconds(2);

std::vector<std::string> no_recycling() {
  return joined({support::set("recycle.fds_leaked", "0"), support::set("recycle.fds_used", "0.0"),
                 support::set("recycle.fds_exhaustion", "\"0s\""), support::set("recycle.close_wait", "0")});
}

// The loop of every tutorial: whatever accept() says, wait for the listener again.
[[noreturn]] void accept_naively(int listener) {
  const int poller = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{.events = EPOLLIN, .data = {.fd = listener}};
  ::epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
  while (true) {
    ::epoll_wait(poller, &event, 1, -1);
    ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  }
}

std::size_t count_lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

// The worker's part of a processor and the server's log lines, while nothing changes.
void expect_calm(SupervisorProcess& server, pid_t worker) {
  const std::size_t lines = count_lines(server.output());
  EXPECT_LE(processor_share(worker, kExhausted), kCalm);
  const double more = static_cast<double>(count_lines(server.output()) - lines);
  EXPECT_LE(more, kLinesASecond * std::chrono::duration<double>(kExhausted).count() + 1) << server.output();
}

// Until one is answered: how soon it is back.
void expect_full_service_within_a_second(const SupervisorProcess& server) {
  const Deadline deadline(std::chrono::seconds(1));
  EXPECT_TRUE(support::wait_until([&] { return server.get("/hello", deadline).status == 200; }, deadline));
  for (int request = 0; request < 20; ++request) EXPECT_EQ(server.get("/hello").status, 200);
}

TEST(Incident4, HappensToALoopThatTakesNoNoticeOfEmfile) {
  common::UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  socklen_t length = sizeof(address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(listener.get(), generic, length), 0);
  ASSERT_EQ(::listen(listener.get(), 1024), 0);
  ASSERT_EQ(::getsockname(listener.get(), generic, &length), 0);
  const ChildProcess server([&] { accept_naively(listener.get()); }, kOpenFiles);
  const Crowd crowd = connect_crowd("127.0.0.1:" + std::to_string(ntohs(address.sin_port)), kClients);
  ASSERT_TRUE(support::wait_until([&] { return support::open_files(server.pid()) >= kOpenFiles; }));
  EXPECT_TRUE(spins(server.pid()));
}

// A served client is idle, and gives way to the next: nobody is left out, however few places there are.
TEST(Incident4, ServesEverybodyOrSaysThatThereIsNoRoom) {
  SupervisorProcess server({.arguments = {"--workers", "1"}, .open_files = kOpenFiles});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  {
    Crowd crowd = connect_crowd(server.address(), kClients);
    for (HttpClient& client : crowd) ASSERT_TRUE(client.send(get_request("/hello")));
    std::size_t served = 0;
    for (HttpClient& client : crowd) {
      const HttpRead read = client.read();
      ASSERT_EQ(read.outcome, ReadOutcome::kAnswer);
      EXPECT_TRUE(read.response.status == 200 || read.response.status == 503) << read.response.status;
      EXPECT_EQ(read.response.has_header("Retry-After"), read.response.status == 503);
      if (read.response.status == 200) ++served;
    }
    EXPECT_GE(served, 5U);
    expect_calm(server, worker);
  }
  expect_full_service_within_a_second(server);
  EXPECT_EQ(server.worker(0), worker);
}

// Silent clients have every place. When they ask at last, each gets an answer, if it was not let go for its silence.
TEST(Incident4, LeavesTheProcessorAloneWhileClientsHaveAllDescriptors) {
  SupervisorProcess server(
      {.arguments = joined({{"--workers", "1"}, support::set("timeouts.header", "\"1h\"")}), .open_files = kOpenFiles});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  {
    Crowd crowd = connect_crowd(server.address(), kClients);
    expect_calm(server, worker);
    std::vector<HttpClient*> asking;
    for (HttpClient& client : crowd) {
      if (client.send(get_request("/hello"))) asking.push_back(&client);
    }
    std::size_t let_go = 0;
    for (HttpClient* const client : asking) {
      const HttpRead read = client->read();
      if (read.outcome != ReadOutcome::kAnswer) ++let_go;
      EXPECT_TRUE(read.outcome != ReadOutcome::kAnswer || read.response.status == 200 || read.response.status == 503)
          << read.response.status;
    }
    EXPECT_LE(let_go, kClients / 10) << "let go without a word";
  }
  expect_full_service_within_a_second(server);
  EXPECT_EQ(server.worker(0), worker);
}

// As above, but they leave without having asked.
TEST(Incident4, ResumesWithinASecondOfTheClientsLeaving) {
  SupervisorProcess server(
      {.arguments = joined({{"--workers", "1"}, support::set("timeouts.header", "\"1h\"")}), .open_files = kOpenFiles});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  {
    const Crowd crowd = connect_crowd(server.address(), kClients);
    expect_calm(server, worker);
    EXPECT_EQ(server.control("GET", "/status").status, 200) << "it answers its operator all the same";
  }
  expect_full_service_within_a_second(server);
  EXPECT_EQ(server.worker(0), worker);
}

TEST(Incident4, TellsClientsAtOnceThatThereIsNoRoomIfThatIsWanted) {
  constexpr std::size_t kRoom = 10;
  SupervisorProcess server({.arguments = joined({{"--workers", "1"},
                                                 support::set("limits.connections", std::to_string(kRoom)),
                                                 support::set("limits.on_full", "\"refuse\""),
                                                 support::set("timeouts.header", "\"1h\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  const Crowd silent = connect_crowd(server.address(), kRoom);
  ASSERT_TRUE(server.wait_status([](const Status& now) { return now.workers.at(0).connections == kRoom; }));
  Crowd crowd = connect_crowd(server.address(), kClients);
  for (HttpClient& client : crowd) {
    client.send(get_request("/hello"));
    const HttpRead read = client.read();
    ASSERT_EQ(read.outcome, ReadOutcome::kAnswer);
    EXPECT_EQ(read.response.status, 503);
    EXPECT_NE(read.response.header("Retry-After"), "");
    EXPECT_TRUE(read.response.closes());
  }
  expect_calm(server, worker);
  EXPECT_TRUE(support::wait_until([&] { return status_of(server).at("workers").at(0).at("refused") == kClients; }))
      << status_of(server).dump(1);
}

TEST(Incident4, ShowsWhatTheLimitIsMadeOf) {
  SupervisorProcess server({.arguments = {"--workers", "1"}, .open_files = 1000});
  ASSERT_TRUE(server.wait_ready(1));
  const Json budget = status_of(server).at("master").at("budget");
  EXPECT_EQ(budget.at("open_files"), 1000);
  EXPECT_EQ(budget.at("connections_max").get<int>(),
            1000 - budget.at("reserve").get<int>() - budget.at("headroom").get<int>());
  EXPECT_EQ(status_of(server).at("workers").at(0).at("accepting"), "yes");
}

// The application has eaten them, nobody may be replaced for it, and the operator frees some by hand.
TEST(Incident4, LeavesTheProcessorAloneWhileTheApplicationHasAllDescriptors) {
  SupervisorProcess server({.arguments = joined({{"--workers", "1"}, no_recycling()}), .open_files = 100});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  server.get("/leak?kind=eventfd&count=200");
  Crowd crowd = connect_crowd(server.address(), 50);
  for (HttpClient& client : crowd) client.send(get_request("/hello"));
  expect_calm(server, worker);
  std::size_t answered = 0;
  for (HttpClient& client : crowd) {
    const HttpRead read = client.read();
    if (read.outcome != ReadOutcome::kAnswer) continue;
    ++answered;
    EXPECT_TRUE(read.response.status == 200 || read.response.status == 503) << read.response.status;
  }
  EXPECT_EQ(answered, crowd.size()) << "everybody is served or told that there is no room";
  crowd.clear();
  int freed = 0;
  const Json inspection = fds_of(server, 0);
  for (const Json& descriptor : inspection.at("descriptors")) {
    if (freed == 20 || descriptor.at("kind") != "eventfd" || descriptor.value("owner", "") == "server") continue;
    const std::string number = std::to_string(descriptor.at("fd").get<int>());
    const CommandResult closed = run_verb(server, {"close-fd", "--slot", "0", "--fd", number});
    EXPECT_EQ(closed.exit_code, 0) << closed.output;
    ++freed;
  }
  EXPECT_EQ(freed, 20);
  expect_full_service_within_a_second(server);
  EXPECT_EQ(server.worker(0), worker);
}

TEST(Incident4, EndsByItselfWhenTheWorkerMayBeReplaced) {
  SupervisorProcess server({.arguments = joined({{"--workers", "1"},
                                                 support::set("recycle.interval", "\"50ms\""),
                                                 support::set("recycle.age_min", "\"0s\"")}),
                            .open_files = 100});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  server.get("/leak?kind=eventfd&count=200");
  EXPECT_TRUE(support::wait_until([&] { return server.get("/hello").status == 200 && server.worker(0) != worker; }));
  EXPECT_EQ(server.status()->recycled_in_all(), 1U);
}

}  // namespace
}  // namespace incidents
