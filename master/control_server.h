// ControlServer: a small HTTP/1.1 responder in the master's own loop; it never blocks and owns few connections.
//
// It answers while every worker is busy, hung or dead. Every client has a deadline at every moment, and one turn of the
// loop does at most one read, one request and one send for it, so that none can hold up the master: neither by silence,
// nor by not reading its answers, nor by sending requests without end.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/http_parser.h"
#include "common/http_response.h"
#include "common/result.h"
#include "common/unique_fd.h"
#include "master/control_handler.h"
#include "master/control_socket.h"
#include "master/poller.h"

namespace master {

class ControlServer {
 public:
  static constexpr std::size_t kClientsMax = 32;  // one more takes the place of the longest idle one, or is told 503
  static constexpr std::size_t kRequestBodyMax = 64 * 1024;  // bytes
  static constexpr common::Duration kPatience = std::chrono::seconds(10);  // for a request, and for its answer
  static constexpr common::Duration kIdleMax = std::chrono::seconds(60);  // between requests
  static constexpr common::Duration kWaitMax =
      std::chrono::hours(1);  // for a deferred answer, which has its own deadline
  static constexpr common::Duration kLingerMax = std::chrono::seconds(1);  // for the client to end, too
  static constexpr common::Duration kAcceptPause = std::chrono::milliseconds(100);  // when out of descriptors

  // References outlive the server.
  static common::Result<ControlServer> start(ControlSocket& socket, Poller& poller, ControlHandler& handler);
  ControlServer(ControlServer&&) = default;
  ControlServer& operator=(ControlServer&&) = delete;
  ~ControlServer();  // closes all clients; the socket stays watched

  bool owns(int fd) const;
  // `events` only wake: the state decides what is tried, so that an event of a descriptor's former life does no harm.
  void on_event(int fd, std::uint32_t events, common::TimePoint now);
  std::optional<common::TimePoint> next_deadline() const;
  void on_time(common::TimePoint now);
  // The answer the handler deferred. It is sent from a later turn, so nothing of the handler's is called from here.
  // The client may have gone in the meantime: then nobody is told.
  void reply(ClientToken client, const ControlReply& reply, common::TimePoint now);
  std::size_t clients() const { return clients_.size(); }
  bool is_quiet() const;  // no client waits for anything
  // For the next image of the program, while it is quiet: nothing of what they have sent has been read.
  std::vector<int> hand_over() const;
  void resume(common::UniqueFd client, common::TimePoint now) { add(std::move(client), now); }

 private:
  /*
   *   kIdle --a byte--> kReading --whole, or refused--> kSending --all sent--> kIdle
   *     |                |  | too slow: 408 ------------^ ^  | |
   *     |                |  `--deferred--> kWaiting ------'  | `--refused--> kLingering --its end--> kClosed
   *     |                |                    | reply(), 504 |
   *     `----------------`--------------------`--------------`--> kClosed: gone, idle for too long, last answer sent
   */
  enum class State : std::uint8_t {
    kIdle,  // nothing of a request is here
    kReading,  // a part of a request is here
    kWaiting,  // a request is with the handler; what follows it stays in the socket
    kSending,  // an answer is not sent yet, or more requests have been read already
    kLingering,  // our side is ended; what still comes is thrown away, so that the answer is not lost to a reset
    kClosed,  // to be dropped before the turn ends
  };
  enum class Fate : std::uint8_t { kStays, kCloses, kLingers };  // once the output is sent
  enum class Peer : std::uint8_t { kThere, kGone };

  // What a request wants to know of its answer.
  struct Reception {
    ClientToken token;
    common::BodySending sending;
    common::ConnectionOption connection;
  };

  struct Client {
    Client(common::UniqueFd taken, common::TimePoint until);
    common::UniqueFd fd;
    State state = State::kIdle;
    Fate fate = Fate::kStays;
    common::TimePoint deadline;
    std::uint32_t watched;  // what the poller was told
    common::RequestParser parser;
    std::optional<Reception> asked;  // the request the handler has and has not answered
    std::string input;  // read, but not parsed; empty in kIdle and kReading
    std::string output;
    std::size_t sent = 0;  // of output
  };
  using Clients = std::list<Client>;

  ControlServer(ControlSocket& socket, Poller& poller, ControlHandler& handler)
      : socket_(&socket), poller_(&poller), handler_(&handler) {}
  static common::Duration patience_of(State state);

  void accept_client(common::TimePoint now);
  void add(common::UniqueFd fd, common::TimePoint now);
  void pause_accepting(common::TimePoint now);
  bool drop_longest_idle();

  void proceed(Clients::iterator client, common::TimePoint now);
  State advance(Client& client);
  static Peer receive(Client& client);
  static Peer discard(Client& client);
  static Peer look(const Client& client);
  static Peer flush(Client& client);
  static State state_after_sending(Client& client);
  void enter(Client& client, State next, common::TimePoint now);
  void take_request(Client& client);
  void answer(Client& client, const common::Request& request);
  void append_answer(Client& client, const ControlReply& reply);
  void refuse(Client& client, int status, std::string_view reason);
  void drop(Clients::iterator client);

  ControlSocket* socket_;
  Poller* poller_;
  ControlHandler* handler_;
  Clients clients_;
  std::optional<common::TimePoint> accept_again_;  // set while accepting is paused
  ClientToken last_token_ = 0;
  common::DateCache date_;
};

}  // namespace master
