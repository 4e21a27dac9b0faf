// HttpServer: all client connections of one worker, from accept to close.
//
// Control flow: on_*() records what the kernel reported, advance() is the one switch over a connection's state and
// decides what comes next, ConnectionTable::enter() writes it down with its deadline. Closing is a join: shutdown(2),
// wait for what is in flight, close once. Who may come in, and who goes for want of room, is Admission's to say.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "common/clock.h"
#include "common/config.h"
#include "common/fd_ledger.h"
#include "common/scoreboard.h"
#include "common/unique_fd.h"
#include "worker/acceptor.h"
#include "worker/admission.h"
#include "worker/connection_table.h"
#include "worker/http_session.h"
#include "worker/ring.h"

namespace worker {

// Which numbers client connections get. kHigh costs two system calls each, and leaves the low ones to an application
// that uses select(2).
enum class ConnectionFds { kAsTheyCome, kHigh };

struct HttpServerSettings {
  common::TimeoutSettings timeouts;
  common::OnFull on_full = common::OnFull::kEvict;
  std::uint32_t connections_max = 0;  // at least 1
  ConnectionFds connections_high = ConnectionFds::kAsTheyCome;
};

class HttpServer {
 public:
  // All references outlive the server.
  HttpServer(Ring& ring, Acceptor& acceptor, SessionContext& sessions, common::WorkerGauges& record,
             const HttpServerSettings& settings, common::FdLedger ledger = {});

  // Takes the reserve descriptors and begins to accept.
  void start(common::TimePoint now) { admission_.start(now); }

  void on_accept(const Completion& completion, common::TimePoint now);
  void on_listener(const Completion& completion, common::TimePoint now);
  void on_receive(const Completion& completion, common::TimePoint now);
  void on_send(const Completion& completion, common::TimePoint now);
  void on_time(common::TimePoint now);
  std::optional<common::TimePoint> next_deadline() const;

  // The budget or RLIMIT_NOFILE has changed. Connections that are too many now go if they can be spared.
  void set_connections_max(std::uint32_t connections_max, common::TimePoint now);

  // No new connections; every answer is the last of its connection; idle connections get a short grace.
  void drain(common::TimePoint now);
  // Nothing is left: no connection, and no accept armed that could bring one.
  bool is_empty() const { return table_.size() == 0 && !acceptor_.armed(); }
  void close_listeners() { admission_.close_listeners(); }  // when no accept is armed; and the reserve
  // Writes the gauges that say how much room there is.
  void publish(common::TimePoint now);
  // Descriptors that the server holds here: listeners, connections, the reserve, clients that were refused.
  std::uint32_t descriptors() const { return table_.size() + admission_.descriptors(); }
  std::uint32_t connections() const { return table_.size(); }
  std::uint32_t in_flight() const;

 private:
  void open_connection(common::UniqueFd fd, common::TimePoint now);

  void on_bytes(Connection& connection, std::string_view bytes);
  void advance(Connection& connection, common::TimePoint now);
  void advance_reading(Connection& connection, common::TimePoint now);
  void advance_writing(Connection& connection, common::TimePoint now);
  void wait_for_input(Connection& connection, common::TimePoint now);
  void make_room(common::TimePoint now);
  void arm_send(Connection& connection);
  void arm_receive(Connection& connection);
  void half_close(Connection& connection, common::TimePoint now);
  void start_close(Connection& connection, common::TimePoint now);
  void finish_close(Connection& connection);
  void expire(Connection& connection, common::TimePoint now);

  std::unique_ptr<HttpSession> take_session(Connection& connection);
  void give_session_back(Connection& connection);

  Ring& ring_;
  Acceptor& acceptor_;
  SessionContext& sessions_;
  common::WorkerGauges& record_;
  HttpServerSettings settings_;
  common::FdLedger ledger_;
  ConnectionTable table_;
  Admission admission_;
  std::vector<std::unique_ptr<HttpSession>> pool_;
};

}  // namespace worker
