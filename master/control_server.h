// ControlServer: a small HTTP/1.1 responder in the master's own loop; it never blocks and owns few connections.
//
// It answers while every worker is busy, hung or dead. Slow or silent clients cost one of kClientsMax places until
// kPatience is over, or until somebody else needs the place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/http_parser.h"
#include "common/http_response.h"
#include "common/result.h"
#include "common/unique_fd.h"
#include "master/control_socket.h"
#include "master/poller.h"

namespace master {

struct ControlReply {
  int status;
  std::string body;  // JSON
};

class ControlHandler {
 public:
  virtual ~ControlHandler() = default;
  virtual ControlReply handle(std::string_view method, std::string_view path,
                              const std::map<std::string, std::string>& query) = 0;
};

class ControlServer {
 public:
  static constexpr std::size_t kClientsMax = 32;
  static constexpr common::Duration kPatience = std::chrono::seconds(10);
  static constexpr std::size_t kOutputMax = 1024 * 1024;  // unsent bytes past which no more requests are read

  // References outlive the server.
  static common::Result<ControlServer> start(ControlSocket& socket, Poller& poller, ControlHandler& handler);
  ControlServer(ControlServer&&) = default;
  ~ControlServer();

  bool owns(int fd) const;
  void on_event(int fd, std::uint32_t events, common::TimePoint now);
  std::optional<common::TimePoint> next_deadline() const;
  void on_time(common::TimePoint now);
  std::size_t clients() const { return clients_.size(); }

 private:
  struct Client {
    common::UniqueFd fd;
    common::TimePoint deadline;
    std::unique_ptr<common::RequestParser> parser;
    std::string output;
    enum class Fate { kStay, kCloseWhenSent, kGone } fate = Fate::kStay;
  };
  using Clients = std::list<Client>;  // oldest deadline first

  ControlServer(ControlSocket& socket, Poller& poller, ControlHandler& handler)
      : socket_(&socket), poller_(&poller), handler_(&handler) {}
  void accept_clients(common::TimePoint now);
  void read_from(Client& client);
  void feed(Client& client, std::string_view bytes);
  void answer(Client& client, const common::Request& request);
  void write_to(Client& client);
  void drop(Clients::iterator client);

  ControlSocket* socket_;
  Poller* poller_;
  ControlHandler* handler_;
  Clients clients_;
  common::DateCache date_;
};

// "/recycle?slot=1&x=a%20b" -> {"/recycle", {{"slot","1"},{"x","a b"}}}; pure.
std::pair<std::string, std::map<std::string, std::string>> split_target(std::string_view target);

}  // namespace master
