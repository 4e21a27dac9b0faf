// HttpServerStage: a server on a real ring, whose loop the test turns, with clients of its own.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "recording_ring.h"
#include "worker/http_server.h"

namespace test_stage {

class Hello : public worker::RequestHandler {
 public:
  void handle(const common::Request&, worker::HttpSession& session) override { session.respond(200, {}, "hello\n"); }
  void on_answered(const common::Request&, worker::HttpSession&, int, std::size_t) override {}
};

struct HttpServerStage : testing::Test {
  HttpServerStage() {
    getrlimit(RLIMIT_NOFILE, &before);
    rlimit now = before;
    now.rlim_cur = std::min<rlim_t>(4096, now.rlim_max);
    setrlimit(RLIMIT_NOFILE, &now);
    sessions.handler = &hello;
  }
  ~HttpServerStage() override {
    ring.reset();
    setrlimit(RLIMIT_NOFILE, &before);
  }

  void serve(const worker::HttpServerSettings& settings, common::UniqueFd socket = listening_unix_socket()) {
    ring = worker::Ring::create({.submissions = 64, .completions = 128, .buffers = 8, .buffer_bytes = 4096}).value();
    std::vector<common::UniqueFd> listeners;
    listeners.push_back(std::move(socket));
    listener = common::UniqueFd(fcntl(listeners[0].get(), F_DUPFD_CLOEXEC, 0));
    acceptor.emplace(*ring, std::move(listeners));
    server.emplace(*ring, *acceptor, sessions, record, settings, common::FdLedger(entries, {}));
    server->start(common::Clock::now());
  }

  // Runs the loop until `done`; false if that does not come.
  template <typename Done>
  bool run_until(Done done) {
    const auto end = common::Clock::now() + std::chrono::seconds(10);
    for (auto now = common::Clock::now(); !done(); now = common::Clock::now()) {
      if (now > end) return false;
      ring->turn(std::min(server->next_deadline().value_or(end), now + std::chrono::milliseconds(10)), now);
      now = common::Clock::now();
      while (const auto completion = ring->next()) {
        switch (completion->tag.op) {
          case worker::Op::kAccept: server->on_accept(*completion, now); break;
          case worker::Op::kListener: server->on_listener(*completion, now); break;
          case worker::Op::kReceive: server->on_receive(*completion, now); break;
          case worker::Op::kSend: server->on_send(*completion, now); break;
          case worker::Op::kClose:
          case worker::Op::kCancel:
          case worker::Op::kChannel:
          case worker::Op::kSignal: break;
        }
      }
      server->on_time(now);
    }
    return true;
  }
  common::UniqueFd client() { return connect_to(listener.get()); }
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
  std::vector<int> noted(common::FdRole role) const {
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
  std::optional<worker::HttpServer> server;
};

}  // namespace test_stage
