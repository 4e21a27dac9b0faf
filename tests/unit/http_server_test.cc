// HttpServer: connections through a real ring, and what is noted about their descriptors.
#include "worker/http_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>

#include <array>
#include <string>
#include <vector>

#include "recording_ring.h"
#include "worker/high_fd.h"

namespace {

using namespace std::chrono_literals;
using common::FdRole;
using worker::HttpServer;
using worker::Op;

class Hello : public worker::RequestHandler {
 public:
  void handle(const common::Request&, worker::HttpSession& session) override { session.respond(200, {}, "hello\n"); }
  void on_answered(const common::Request&, worker::HttpSession&, int, std::size_t) override {}
};

struct Serving : testing::Test {
  Serving() {
    getrlimit(RLIMIT_NOFILE, &before);
    rlimit now = before;
    now.rlim_cur = std::min<rlim_t>(4096, now.rlim_max);
    setrlimit(RLIMIT_NOFILE, &now);
    sessions.handler = &hello;
  }
  ~Serving() override {
    ring.reset();
    setrlimit(RLIMIT_NOFILE, &before);
  }

  void serve(const worker::HttpServerSettings& settings) {
    ring = worker::Ring::create({.submissions = 64, .completions = 128, .buffers = 8, .buffer_bytes = 4096}).value();
    std::vector<common::UniqueFd> listeners;
    listeners.push_back(test_stage::listening_unix_socket());
    listener = common::UniqueFd(fcntl(listeners[0].get(), F_DUPFD_CLOEXEC, 0));
    acceptor.emplace(*ring, std::move(listeners));
    server.emplace(*ring, *acceptor, sessions, record, settings, common::FdLedger(entries, {}));
    server->start(common::Clock::now());
  }

  // Runs the loop until `done`; false if that does not come.
  template <typename Done>
  bool run_until(Done done) {
    const auto end = common::Clock::now() + 10s;
    for (auto now = common::Clock::now(); !done(); now = common::Clock::now()) {
      if (now > end) return false;
      ring->turn(std::min(server->next_deadline().value_or(end), now + 10ms), now);
      now = common::Clock::now();
      while (const auto completion = ring->next()) {
        switch (completion->tag.op) {
          case Op::kAccept: server->on_accept(*completion, now); break;
          case Op::kListener: server->on_listener(*completion, now); break;
          case Op::kReceive: server->on_receive(*completion, now); break;
          case Op::kSend: server->on_send(*completion, now); break;
          case Op::kClose:
          case Op::kCancel:
          case Op::kChannel:
          case Op::kSignal: break;
        }
      }
      server->on_time(now);
    }
    return true;
  }
  common::UniqueFd client() { return test_stage::connect_to(listener.get()); }
  static void ask(const common::UniqueFd& client) {
    constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    EXPECT_EQ(write(client.get(), kRequest.data(), kRequest.size()), static_cast<ssize_t>(kRequest.size()));
  }
  // The status line's number, once it is here; 0 for an end without one.
  int status(const common::UniqueFd& client) {
    std::array<char, 512> text{};
    ssize_t size = -1;
    EXPECT_TRUE(run_until([&] {
      size = recv(client.get(), text.data(), text.size(), MSG_DONTWAIT);
      return size >= 0;
    }));
    return size > 12 ? std::stoi(std::string(text.data() + 9, 3)) : 0;
  }
  std::vector<int> noted(FdRole role) const {
    std::vector<int> fds;
    const common::FdLedger ledger(const_cast<std::vector<common::FdEntry>&>(entries), {});
    for (int fd = 0; fd < static_cast<int>(entries.size()); ++fd) {
      if (ledger.read(fd).role == role) fds.push_back(fd);
    }
    return fds;
  }

  rlimit before{};
  Hello hello;
  worker::SessionContext sessions;
  common::WorkerGauges record{};
  std::vector<common::FdEntry> entries = std::vector<common::FdEntry>(4096);
  common::UniqueFd listener;
  std::unique_ptr<worker::Ring> ring;
  std::optional<worker::Acceptor> acceptor;
  std::optional<HttpServer> server;
};

TEST_F(Serving, NotesItsDescriptorsAndForgetsThem) {
  serve({.connections_max = 10});
  EXPECT_EQ(noted(FdRole::kListener).size(), 1U);
  EXPECT_EQ(noted(FdRole::kReserve).size(), worker::ReserveFds::kWanted);
  for (const FdRole role : {FdRole::kListener, FdRole::kReserve}) {
    EXPECT_GE(noted(role).front(), worker::kHighFdMin) << "the low numbers are the application's";
  }
  common::UniqueFd one = client();
  ask(one);
  EXPECT_EQ(status(one), 200);
  EXPECT_EQ(noted(FdRole::kConnection).size(), 1U);
  EXPECT_EQ(server->descriptors(), 1 + worker::ReserveFds::kWanted + 1);
  one.reset();
  EXPECT_TRUE(run_until([&] { return server->connections() == 0; }));
  EXPECT_TRUE(noted(FdRole::kConnection).empty());
}

TEST_F(Serving, ForgetsItsListenersWhenItGivesThemUp) {
  serve({.connections_max = 10});
  server->drain(common::Clock::now());
  ASSERT_TRUE(run_until([&] { return !acceptor->armed(); }));
  server->close_listeners();
  EXPECT_TRUE(noted(FdRole::kListener).empty());
  EXPECT_TRUE(noted(FdRole::kReserve).empty());
  EXPECT_EQ(server->descriptors(), 0U);
}

TEST_F(Serving, PutsConnectionsHighWhereAnApplicationNeedsTheLowNumbers) {
  serve({.connections_max = 10, .connections_high = worker::ConnectionFds::kHigh});
  const common::UniqueFd one = client();
  ask(one);
  EXPECT_EQ(status(one), 200);
  ASSERT_EQ(noted(FdRole::kConnection).size(), 1U);
  EXPECT_GE(noted(FdRole::kConnection)[0], worker::kHighFdMin);
}

TEST_F(Serving, ServesTheLastPlaceAndRefusesTheNext) {
  serve({.on_full = common::OnFull::kRefuse, .connections_max = 2});
  const common::UniqueFd first = client();
  const common::UniqueFd second = client();
  ASSERT_TRUE(run_until([&] { return server->connections() == 2; }));
  const common::UniqueFd third = client();
  ask(third);
  EXPECT_EQ(status(third), 503);
  ask(second);
  EXPECT_EQ(status(second), 200);
  EXPECT_EQ(record.refused.load(), 1U);
  server->publish(common::Clock::now());
  EXPECT_EQ(record.connections_max.load(), 2U);
}

TEST_F(Serving, LetsAClientThatWaitsInAsSoonAsOneFallsIdle) {
  serve({.connections_max = 1});
  const common::UniqueFd first = client();
  ASSERT_TRUE(run_until([&] { return server->connections() == 1; }));
  const common::UniqueFd second = client();
  ask(second);
  ask(first);
  EXPECT_EQ(status(first), 200);
  EXPECT_EQ(status(second), 200);
  EXPECT_EQ(status(first), 0) << "it gave way";
  EXPECT_EQ(record.evicted.load(), 1U);
}

TEST_F(Serving, LetsClientsInWhoWaitedWhenTheBudgetRises) {
  serve({.connections_max = 1});
  const common::UniqueFd first = client();
  ASSERT_TRUE(run_until([&] { return server->connections() == 1; }));
  const common::UniqueFd second = client();
  server->set_connections_max(2, common::Clock::now());
  EXPECT_TRUE(run_until([&] { return server->connections() == 2; }));
}

}  // namespace
