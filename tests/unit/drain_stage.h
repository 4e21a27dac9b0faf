// DrainStage: an HTTP server that is told to leave, with real clients and the test's own clock.
#pragma once

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "http_server_stage.h"

namespace test_stage {

inline constexpr common::Duration kGrace = std::chrono::seconds(2);
inline constexpr common::Duration kDrainMax = std::chrono::seconds(40);  // so the last call is at 30 s

class Scripted : public worker::RequestHandler {
 public:
  void handle(const common::Request& request, worker::HttpSession& session) override {
    targets.emplace_back(request.target);
    if (on_request) on_request();
    session.respond(200, {}, body);
  }
  void on_answered(const common::Request&, worker::HttpSession&, int, std::size_t) override {}

  std::vector<std::string> targets;
  std::function<void()> on_request;
  std::string body = "hello\n";
};

inline common::UniqueFd listening_tcp_socket() {
  common::UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
  EXPECT_EQ(listen(fd.get(), 256), 0);
  return fd;
}

inline std::string get(std::string_view target) {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n";
}

inline std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

struct DrainStage : HttpServerStage {
  void start(worker::HttpServerSettings settings = {}) {
    sessions.handler = &handler;
    settings.timeouts.drain_idle = kGrace;
    settings.drain_max = kDrainMax;
    if (settings.connections_max == 0) settings.connections_max = 100;
    serve(settings, listening_tcp_socket());
  }
  common::UniqueFd client() {
    common::UniqueFd fd = connect_to(listener.get());
    const int yes = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
  }
  // A client that has had an answer and keeps its connection.
  common::UniqueFd idle_client() {
    common::UniqueFd fd = client();
    tell(fd, get("/first"));
    settle();
    EXPECT_EQ(count(heard(fd), "HTTP/1.1 200 OK"), 1U);
    return fd;
  }
  static void tell(const common::UniqueFd& fd, std::string_view bytes) {
    EXPECT_EQ(send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  // What has come; "(end)" is the server's FIN, "(reset)" an RST.
  static std::string heard(const common::UniqueFd& fd) {
    std::string text;
    std::array<char, 65536> part{};
    while (true) {
      const ssize_t size = recv(fd.get(), part.data(), part.size(), MSG_DONTWAIT);
      if (size < 0) return errno == EAGAIN ? text : text + "(reset)";
      if (size == 0) return text + "(end)";
      text.append(part.data(), static_cast<std::size_t>(size));
    }
  }
  void handle_completions() {
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
  }
  // Turns the loop until the kernel has nothing more to say; no time passes.
  void settle() {
    for (int idle = 0; idle < 3;) {
      ring->turn(now + std::chrono::milliseconds(2), now);
      idle = ring->has_completions() ? 0 : idle + 1;
      handle_completions();
      server->on_time(now);
    }
  }
  void pass(common::Duration time) {
    now += time;
    settle();
  }
  void drain(const worker::DrainOrder& order = {}) {
    server->drain(order, now);
    settle();
  }

  Scripted handler;
  common::TimePoint now = common::Clock::now();
};

}  // namespace test_stage
