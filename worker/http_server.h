// HttpServer: all client connections of one worker, from accept to close.
//
// Control flow: on_*() records what the kernel reported, advance() is the one switch over a connection's state and
// decides what comes next, ConnectionTable::enter() writes it down with its deadline. Closing is a join: shutdown(2),
// wait for what is in flight, close once.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "common/clock.h"
#include "common/config.h"
#include "common/scoreboard.h"
#include "worker/acceptor.h"
#include "worker/connection_table.h"
#include "worker/http_session.h"
#include "worker/ring.h"

namespace worker {

struct HttpServerSettings {
  common::TimeoutSettings timeouts;
  common::OnFull on_full = common::OnFull::kEvict;
  std::uint32_t connections_max = 0;  // at least 1
};

class HttpServer {
 public:
  // All references outlive the server.
  HttpServer(Ring& ring, Acceptor& acceptor, SessionContext& sessions, common::WorkerGauges& record,
             const HttpServerSettings& settings);

  void on_accept(const Completion& completion, common::TimePoint now);
  void on_receive(const Completion& completion, common::TimePoint now);
  void on_send(const Completion& completion, common::TimePoint now);
  void on_time(common::TimePoint now);
  std::optional<common::TimePoint> next_deadline() const;

  // No new connections; every answer is the last of its connection; idle connections get a short grace.
  void drain(common::TimePoint now);
  // Nothing is left: no connection, and no accept armed that could bring one.
  bool is_empty() const { return table_.size() == 0 && !acceptor_.armed(); }
  std::uint32_t connections() const { return table_.size(); }
  std::uint32_t in_flight() const;

 private:
  void open_connection(int fd, common::TimePoint now);
  void refuse_connection(int fd);
  void on_accept_failure(int errnum, common::TimePoint now);
  bool evict_oldest_idle(common::TimePoint now);

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
  ConnectionTable table_;
  std::vector<std::unique_ptr<HttpSession>> pool_;
  std::optional<common::TimePoint> logged_accept_failure_;  // one line a second, however often it happens
};

}  // namespace worker
