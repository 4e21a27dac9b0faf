// ControlServerStage: a control server with real sockets, driven turn by turn with a clock of the test's own.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/unique_fd.h"
#include "master/control_server.h"
#include "master/control_socket.h"
#include "master/poller.h"
#include "support/temporary_directory.h"

namespace control_server_stage {

using common::UniqueFd;
using master::ControlReply;
using master::ControlServer;

inline constexpr std::string_view kRequest = "GET /status HTTP/1.1\r\nHost: x\r\n\r\n";
inline constexpr std::string_view kLater = "GET /later HTTP/1.1\r\nHost: x\r\n\r\n";
inline constexpr std::size_t kLargeBody = 4 * 1024 * 1024;  // more than any socket buffer takes

// Answers at once, but for /later.
class RecordingHandler final : public master::ControlHandler {
 public:
  master::ControlOutcome handle(std::string_view method, std::string_view path,
                                const std::map<std::string, std::string>& query, master::ClientToken client) override {
    std::string line = std::string(method) + " " + std::string(path);
    for (const auto& [key, value] : query) line += " " + key + "=" + value;
    calls.push_back(line);
    tokens.push_back(client);
    if (path == "/later") return master::Deferred{};
    return path == "/large" ? ControlReply{200, std::string(kLargeBody, 'x')} : reply;
  }
  std::vector<std::string> calls;
  std::vector<master::ClientToken> tokens;  // of the calls
  ControlReply reply{200, "{}\n"};
};

class Client {
 public:
  explicit Client(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  void send(std::string_view text) {
    EXPECT_EQ(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT),
              static_cast<ssize_t>(text.size()));
  }
  void end_sending() { EXPECT_EQ(::shutdown(fd_.get(), SHUT_WR), 0); }

  // What has come by now; ended() tells whether the server has closed.
  std::string received() {
    std::string text;
    char buffer[64 * 1024];
    while (true) {
      const ssize_t length = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (length > 0) {
        text.append(buffer, static_cast<std::size_t>(length));
        continue;
      }
      ended_ = length == 0 || errno != EAGAIN;
      return text;
    }
  }
  bool ended() {
    received();
    return ended_;
  }

 private:
  UniqueFd fd_;
  bool ended_ = false;
};

class ControlServerStage : public testing::Test {
 protected:
  ControlServerStage() {
    auto socket = master::ControlSocket::open(path_, 0600);
    EXPECT_TRUE(socket.has_value()) << socket.error().message;
    socket_ = std::make_unique<master::ControlSocket>(std::move(*socket));
    EXPECT_TRUE(poller_.open().has_value());
    auto server = ControlServer::start(*socket_, poller_, handler_);
    EXPECT_TRUE(server.has_value()) << server.error().message;
    server_ = std::make_unique<ControlServer>(std::move(*server));
  }

  // One turn of the loop; false if nothing was ready.
  bool turn() {
    const auto ready = poller_.wait(now_, now_);
    for (const master::PollEvent& event : ready) {
      if (server_->owns(event.fd)) server_->on_event(event.fd, event.events, now_);
    }
    return !ready.empty();
  }
  // Turns until all is quiet. One that never is would be a loop at 100 % CPU.
  void settle() {
    for (int turns = 0; turn(); ++turns) ASSERT_LT(turns, 1000) << "the server spins";
  }
  void pass(common::Duration time) {
    now_ += time;
    server_->on_time(now_);
    settle();
  }
  std::unique_ptr<Client> connect() { return std::make_unique<Client>(path_); }
  std::string ask(std::string_view request) {
    Client client(path_);
    client.send(request);
    settle();
    return client.received();
  }

  const support::TemporaryDirectory directory_;
  const std::string path_ = directory_.path("control.sock");
  common::TimePoint now_{std::chrono::hours(1)};
  RecordingHandler handler_;
  std::unique_ptr<master::ControlSocket> socket_;
  master::Poller poller_;
  std::unique_ptr<ControlServer> server_;
};

}  // namespace control_server_stage
