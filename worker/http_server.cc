// HttpServer: the life of a connection.
#include "worker/http_server.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/check.h"
#include "worker/high_fd.h"

namespace worker {
namespace {

constexpr std::size_t kPoolMax = 256;  // sessions kept for reuse; a burst beyond it pays an allocation

Tag tag_of(Op op, const Connection& connection) { return {.op = op, .index = connection.index}; }

// The connection is worthless: let close(2) answer with RST and free the kernel's buffers now, not after its retries.
void discard_on_close(int fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace

HttpServer::HttpServer(Ring& ring, Acceptor& acceptor, SessionContext& sessions, common::WorkerGauges& record,
                       const HttpServerSettings& settings, common::FdLedger ledger)
    : ring_(ring),
      acceptor_(acceptor),
      sessions_(sessions),
      record_(record),
      settings_(settings),
      ledger_(ledger),
      table_(settings.timeouts),
      admission_(acceptor, table_, record, ledger, {.places = settings.connections_max, .on_full = settings.on_full}) {}

std::uint32_t HttpServer::in_flight() const {
  return table_.count(ConnectionState::kBody) + table_.count(ConnectionState::kWriting);
}

std::optional<common::TimePoint> HttpServer::next_deadline() const {
  const auto connections = table_.next_deadline();
  const auto admission = admission_.next_deadline();
  if (!connections || !admission) return connections ? connections : admission;
  return std::min(*connections, *admission);
}

void HttpServer::publish(common::TimePoint now) {
  record_.accepting.store(static_cast<std::uint32_t>(admission_.state(now)), std::memory_order_relaxed);
  record_.connections_max.store(admission_.places(), std::memory_order_relaxed);
}

// ---- accepting

void HttpServer::on_accept(const Completion& completion, common::TimePoint now) {
  admission_.on_accept(completion, now);
  if (completion.result >= 0) open_connection(common::UniqueFd(completion.result), now);
  acceptor_.go_on(completion.tag.index);  // not before it is known whether there is room for another
  make_room(now);
}

void HttpServer::on_listener(const Completion& completion, common::TimePoint now) {
  admission_.on_readable(completion, now);
  make_room(now);
}

void HttpServer::open_connection(common::UniqueFd fd, common::TimePoint now) {
  record_.accepted.store(record_.accepted.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  if (admission_.judge(now) == Admission::Verdict::kRefuse) return admission_.refuse(std::move(fd), now);
  if (settings_.connections_high == ConnectionFds::kHigh) fd = move_high(std::move(fd));
  ledger_.note_server(fd.get(), common::FdRole::kConnection, now);
  Connection& connection = table_.add(fd.release(), now);
  if (sessions_.mode == ServingMode::kDraining) table_.enter(connection, ConnectionState::kIdle, now);
  arm_receive(connection);
  admission_.on_opened(now);
}

void HttpServer::set_connections_max(std::uint32_t connections_max, common::TimePoint now) {
  admission_.set_places(connections_max, now);
  make_room(now);
}

// ---- what the kernel reports

void HttpServer::on_receive(const Completion& completion, common::TimePoint now) {
  Connection& connection = table_.at(completion.tag.index);
  if (completion.more == Completion::More::kNo) connection.receive = ReceiveArm::kNone;
  if (completion.result > 0) {
    on_bytes(connection, completion.data);
  } else if (completion.result == 0) {
    connection.input = Connection::Input::kEnded;
  } else if (completion.result != -ENOBUFS && completion.result != -ECANCELED) {
    connection.input = Connection::Input::kBroken;
  }
  if (completion.buffer) ring_.release(*completion.buffer);
  advance(connection, now);
}

void HttpServer::on_bytes(Connection& connection, std::string_view bytes) {
  if (connection.state == ConnectionState::kLingering || connection.state == ConnectionState::kClosing) return;
  if (!connection.session) connection.session = take_session(connection);
  connection.session->receive(bytes);
}

void HttpServer::on_send(const Completion& completion, common::TimePoint now) {
  Connection& connection = table_.at(completion.tag.index);
  connection.sending = Connection::Sending::kNo;
  if (completion.result < 0) {
    connection.input = Connection::Input::kBroken;
  } else {
    connection.sent += static_cast<std::size_t>(completion.result);
  }
  advance(connection, now);
}

void HttpServer::on_time(common::TimePoint now) {
  while (Connection* late = table_.expired(now)) expire(*late, now);
  admission_.on_time(now);
  make_room(now);
}

void HttpServer::expire(Connection& connection, common::TimePoint now) {
  switch (expiry_of(connection.state)) {
    case Expiry::kAnswer408:
      if (connection.session && connection.session->phase() != HttpSession::Phase::kBetween) {
        connection.session->refuse(408, "the request did not arrive in time");
        return advance(connection, now);
      }
      // Empty lines and no request: nothing to answer.
      return start_close(connection, now);
    case Expiry::kHalfClose: return half_close(connection, now);
    case Expiry::kClose: return start_close(connection, now);
    case Expiry::kAbort: discard_on_close(connection.fd); return start_close(connection, now);
  }
}

void HttpServer::drain(common::TimePoint now) {
  sessions_.mode = ServingMode::kDraining;
  acceptor_.stop();
  table_.shorten_idle(settings_.timeouts.drain_idle, now);
  // A new connection that has said nothing yet is as idle as a kept one.
  table_.for_each([&](Connection& connection) {
    const bool is_blank = connection.state == ConnectionState::kHead &&
                          (!connection.session || connection.session->phase() == HttpSession::Phase::kBetween);
    if (connection.state == ConnectionState::kNew || is_blank) {
      table_.enter(connection, ConnectionState::kIdle, now);
    }
  });
}

// ---- what comes next

void HttpServer::advance(Connection& connection, common::TimePoint now) {
  if (connection.input == Connection::Input::kBroken && connection.state != ConnectionState::kClosing) {
    return start_close(connection, now);
  }
  switch (connection.state) {
    case ConnectionState::kNew:
    case ConnectionState::kHead:
    case ConnectionState::kBody:
    case ConnectionState::kIdle: return advance_reading(connection, now);
    case ConnectionState::kWriting: return advance_writing(connection, now);
    case ConnectionState::kLingering:
      if (connection.input == Connection::Input::kEnded) return start_close(connection, now);
      return arm_receive(connection);
    case ConnectionState::kClosing: return finish_close(connection);
  }
}

void HttpServer::advance_reading(Connection& connection, common::TimePoint now) {
  if (connection.session && connection.session->take_output()) {
    connection.sent = 0;
    arm_send(connection);
    return table_.enter(connection, ConnectionState::kWriting, now);
  }
  if (connection.input == Connection::Input::kEnded) return start_close(connection, now);
  wait_for_input(connection, now);
}

void HttpServer::advance_writing(Connection& connection, common::TimePoint now) {
  if (connection.sending == Connection::Sending::kYes) {
    if (!connection.session->wants_input() && connection.receive == ReceiveArm::kArmed) {
      connection.receive = ReceiveArm::kCancelling;
      ring_.arm_cancel(tag_of(Op::kReceive, connection));
    }
    return;
  }
  const bool all_sent = connection.sent == connection.session->sending().size();
  if (all_sent && connection.session->take_output()) connection.sent = 0;
  if (connection.sent < connection.session->sending().size()) {
    arm_send(connection);
    return table_.enter(connection, ConnectionState::kWriting, now);
  }
  connection.answered = connection.session->answered();
  if (connection.session->phase() == HttpSession::Phase::kOver) return half_close(connection, now);
  if (connection.input == Connection::Input::kEnded) return start_close(connection, now);
  wait_for_input(connection, now);
}

void HttpServer::wait_for_input(Connection& connection, common::TimePoint now) {
  if (connection.session) {
    switch (connection.session->phase()) {
      case HttpSession::Phase::kBetween:
        // Only empty lines so far: the parser counts them, and they earn no time. But it is not silent.
        if (connection.state == ConnectionState::kNew) {
          table_.enter(connection, ConnectionState::kHead, now);
          break;
        }
        if (connection.state == ConnectionState::kHead || connection.state == ConnectionState::kIdle) break;
        give_session_back(connection);
        table_.enter(connection, ConnectionState::kIdle, now);
        make_room(now);
        break;
      case HttpSession::Phase::kHead:
        if (connection.state != ConnectionState::kHead) table_.enter(connection, ConnectionState::kHead, now);
        break;
      case HttpSession::Phase::kBody: {
        const std::uint64_t received = connection.session->received();
        if (connection.state != ConnectionState::kBody || received - connection.body_mark >= kBodyProgress) {
          connection.body_mark = received;
          table_.enter(connection, ConnectionState::kBody, now);
        }
        break;
      }
      case HttpSession::Phase::kOver: CHECK(connection.session->phase() != HttpSession::Phase::kOver);
    }
  }
  if (connection.state != ConnectionState::kClosing) arm_receive(connection);
}

void HttpServer::make_room(common::TimePoint now) {
  while (Connection* leaver = admission_.seek_room(now)) start_close(*leaver, now);
}

void HttpServer::arm_send(Connection& connection) {
  connection.sending = Connection::Sending::kYes;
  ring_.arm_send(connection.fd, connection.session->sending().substr(connection.sent), tag_of(Op::kSend, connection));
}

void HttpServer::arm_receive(Connection& connection) {
  if (connection.receive != ReceiveArm::kNone || connection.input != Connection::Input::kOpen) return;
  connection.receive = ReceiveArm::kArmed;
  ring_.arm_receive(connection.fd, tag_of(Op::kReceive, connection));
}

void HttpServer::half_close(Connection& connection, common::TimePoint now) {
  give_session_back(connection);
  if (connection.input == Connection::Input::kEnded) return start_close(connection, now);
  // Closing with unread bytes would make the kernel send RST, which can destroy the answer on its way (RFC 9112 9.6).
  shutdown(connection.fd, SHUT_WR);
  table_.enter(connection, ConnectionState::kLingering, now);
  arm_receive(connection);
  make_room(now);
}

void HttpServer::start_close(Connection& connection, common::TimePoint now) {
  table_.enter(connection, ConnectionState::kClosing, now);
  // Completes an armed receive and a blocked send at once; without it close(2) would not even send FIN while armed.
  if (connection.receive != ReceiveArm::kNone || connection.sending == Connection::Sending::kYes) {
    shutdown(connection.fd, SHUT_RDWR);
  }
  finish_close(connection);
}

void HttpServer::finish_close(Connection& connection) {
  if (connection.receive != ReceiveArm::kNone || connection.sending == Connection::Sending::kYes) return;
  give_session_back(connection);
  ledger_.forget(connection.fd);
  ring_.arm_close(connection.fd, {.op = Op::kClose, .index = 0});
  table_.remove(connection);
  admission_.on_closed();
}

std::unique_ptr<HttpSession> HttpServer::take_session(Connection& connection) {
  std::unique_ptr<HttpSession> session;
  if (pool_.empty()) {
    session = std::make_unique<HttpSession>(sessions_);
  } else {
    session = std::move(pool_.back());
    pool_.pop_back();
  }
  session->reset(connection.fd, connection.answered);
  return session;
}

void HttpServer::give_session_back(Connection& connection) {
  if (!connection.session) return;
  connection.answered = connection.session->answered();
  connection.session->reset(-1, 0);  // gives large buffers back now, not when it is used again
  if (pool_.size() < kPoolMax) pool_.push_back(std::move(connection.session));
  connection.session.reset();
}

}  // namespace worker
