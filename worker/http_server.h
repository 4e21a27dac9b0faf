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
#include "common/messages.h"
#include "common/scoreboard.h"
#include "common/unique_fd.h"
#include "worker/acceptor.h"
#include "worker/admission.h"
#include "worker/connection_table.h"
#include "worker/emptying.h"
#include "worker/http_session.h"
#include "worker/ring.h"
#include "worker/session_pool.h"

namespace worker {

// Which numbers client connections get. kHigh costs two system calls each, and leaves the low ones to an application
// that uses select(2).
enum class ConnectionFds { kAsTheyCome, kHigh };

struct HttpServerSettings {
  common::TimeoutSettings timeouts;
  common::OnFull on_full = common::OnFull::kEvict;
  std::uint32_t connections_max = 0;  // at least 1
  ConnectionFds connections_high = ConnectionFds::kAsTheyCome;
  common::Duration drain_max = std::chrono::seconds(30);  // workers.stop_timeout: then the process is killed
};

// As in the Message that brings it.
struct DrainOrder {
  common::DrainQueue queue = common::DrainQueue::kLeave;
  std::uint64_t sockets = common::kAllSockets;       // of kEmpty
  std::optional<common::Duration> longest = {};      // of kEmpty; null = half of drain_max
};

class HttpServer final : InputProbe {
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

  // Begins to leave, so that no client notices. Accepting ends at once, or when the queues are empty. An answer is the
  // last of its connection once everything that its client has sent is answered. What was promised keeps its time:
  // requests begun, answers on their way, and new connections that have not spoken yet. An idle connection gets FIN
  // after timeouts.drain_idle, or later if its client keeps a rhythm (keeps_its_rhythm), and never while bytes of it
  // wait here or in the kernel. A request that crosses that FIN is not answered and never reaches the application:
  // the client sees an orderly end without a byte, and may repeat it (RFC 9112 9.3.1). That can happen to what is sent
  // between our last look and the arrival of the FIN: microseconds and one trip to the client.
  // At three quarters of drain_max all who are silent get their FIN, so that nobody is killed in the middle.
  // Once more while queues are emptied: in more of a hurry. Otherwise once more is nothing.
  void drain(const DrainOrder& order, common::TimePoint now);
  // A connection that the master accepted from a queue which nobody serves any more. It is served, full or draining.
  // It may be non-blocking: io_uring waits all the same (unlike with a listener).
  void adopt(common::UniqueFd fd, common::TimePoint now);
  // No connection can come any more: close_listeners() is due.
  bool has_stopped() const { return acceptor_.mode() == Acceptor::Mode::kStopped && !acceptor_.armed(); }
  // And none is left, and nobody who is being told that there was no room.
  bool is_empty() const { return has_stopped() && table_.size() == 0 && !admission_.is_telling(); }
  void close_listeners() { admission_.close_listeners(); }  // when no accept is armed; and the reserve
  // Writes the gauges that say how much room there is.
  void publish(common::TimePoint now);
  // Descriptors that the server holds here: listeners, connections, the reserve, clients that were refused.
  std::uint32_t descriptors() const { return table_.size() + admission_.descriptors(); }
  std::uint32_t connections() const { return table_.size(); }
  std::uint32_t in_flight() const;

 private:
  enum class Service { kIfThereIsRoom, kPromised };
  void open_connection(common::UniqueFd fd, Service service, common::TimePoint now);

  void stop_accepting();
  void look_at_queues(common::TimePoint now);
  void last_call(common::TimePoint now);
  bool stays_idle(const Connection& connection, common::TimePoint now);
  bool has_more(int fd) override;

  void on_bytes(Connection& connection, std::string_view bytes, common::TimePoint now);
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

  void give_session_back(Connection& connection);

  Ring& ring_;
  Acceptor& acceptor_;
  SessionContext& sessions_;
  common::WorkerGauges& record_;
  HttpServerSettings settings_;
  common::FdLedger ledger_;
  ConnectionTable table_;
  Admission admission_;
  SessionPool pool_;
  std::optional<Emptying> emptying_;  // while a drain empties the queues
  std::optional<common::TimePoint> last_call_at_;  // while it drains, until then
};

}  // namespace worker
