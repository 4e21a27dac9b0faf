// HttpServer: the life of a connection.
#include "worker/http_server.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "common/check.h"
#include "common/log.h"

namespace worker {
namespace {

constexpr std::size_t kPoolMax = 256;  // sessions kept for reuse; a burst beyond it pays an allocation
constexpr common::Duration kAcceptLogInterval = std::chrono::seconds(1);

constexpr std::string_view kFullAnswer =
    "HTTP/1.1 503 Service Unavailable\r\nServer: supervisor\r\nRetry-After: 1\r\nConnection: close\r\n"
    "Content-Length: 0\r\n\r\n";

Tag tag_of(Op op, const Connection& connection) { return {.op = op, .index = connection.index}; }

// The connection is worthless: let close(2) answer with RST and free the kernel's buffers now, not after its retries.
void discard_on_close(int fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace

HttpServer::HttpServer(Ring& ring, Acceptor& acceptor, SessionContext& sessions, common::WorkerGauges& record,
                       const HttpServerSettings& settings)
    : ring_(ring),
      acceptor_(acceptor),
      sessions_(sessions),
      record_(record),
      settings_(settings),
      table_(settings.timeouts) {
  CHECK(settings.connections_max > 0);
}

std::uint32_t HttpServer::in_flight() const {
  return table_.count(ConnectionState::kBody) + table_.count(ConnectionState::kWriting);
}

std::optional<common::TimePoint> HttpServer::next_deadline() const {
  const auto connections = table_.next_deadline();
  const auto accepts = acceptor_.next_deadline();
  if (!connections || !accepts) return connections ? connections : accepts;
  return std::min(*connections, *accepts);
}

// ---- accepting

void HttpServer::on_accept(const Completion& completion, common::TimePoint now) {
  acceptor_.on_accept(completion);
  if (completion.result >= 0) {
    record_.accepted.store(record_.accepted.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    open_connection(completion.result, now);
  } else if (completion.result != -ECANCELED) {
    on_accept_failure(-completion.result, now);
  }
}

void HttpServer::open_connection(int fd, common::TimePoint now) {
  if (table_.size() >= settings_.connections_max && settings_.on_full == common::OnFull::kRefuse &&
      table_.count(ConnectionState::kIdle) == 0) {
    return refuse_connection(fd);
  }
  Connection& connection = table_.add(fd, now);
  if (sessions_.mode == ServingMode::kDraining) table_.enter(connection, ConnectionState::kIdle, now);
  arm_receive(connection);
  if (table_.size() < settings_.connections_max) return;
  // Full with this one. Make room for the next: an idle connection goes, else clients wait in the listen queue.
  if (!evict_oldest_idle(now) && settings_.on_full == common::OnFull::kEvict) acceptor_.hold();
}

void HttpServer::refuse_connection(int fd) {
  send(fd, kFullAnswer.data(), kFullAnswer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  shutdown(fd, SHUT_WR);
  // Closing with unread bytes would send RST, and the client would not see the answer.
  char unread[4096];
  for (int i = 0; i < 4 && recv(fd, unread, sizeof unread, MSG_DONTWAIT) > 0; ++i) {
  }
  close(fd);
}

void HttpServer::on_accept_failure(int errnum, common::TimePoint now) {
  if (decide_accept_failure(errnum) == AcceptFailure::kRetry) return;
  if (acceptor_.mode() != Acceptor::Mode::kAccepting) return;  // another listener's failure paused us already
  const bool evicted = evict_oldest_idle(now);
  acceptor_.pause(now);
  record_.accept_pauses.store(record_.accept_pauses.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  if (logged_accept_failure_ && now - *logged_accept_failure_ < kAcceptLogInterval) return;
  logged_accept_failure_ = now;
  common::log(common::LogLevel::kWarn, "accept failed, pausing: " + common::errno_text(errnum),
              {{"connections", table_.size()},
               {"evicted_idle", evicted ? 1 : 0},
               {"pauses", record_.accept_pauses.load(std::memory_order_relaxed)}});
}

bool HttpServer::evict_oldest_idle(common::TimePoint now) {
  Connection* oldest = table_.oldest(ConnectionState::kIdle);
  if (oldest == nullptr) return false;
  record_.evicted.store(record_.evicted.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  start_close(*oldest, now);
  return true;
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
  acceptor_.on_time(now);
}

void HttpServer::expire(Connection& connection, common::TimePoint now) {
  switch (expiry_of(connection.state)) {
    case Expiry::kAnswer408:
      if (connection.session && connection.session->phase() != HttpSession::Phase::kBetween) {
        connection.session->refuse(408, "the request did not arrive in time");
        return advance(connection, now);
      }
      // A browser opens connections ahead of need and shows a 408 on one as an error: say nothing. Nothing is unread,
      // so there is nothing to linger for.
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
    if (connection.state == ConnectionState::kHead &&
        (!connection.session || connection.session->phase() == HttpSession::Phase::kBetween)) {
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
        // Only empty lines so far: the parser counts them, and they earn no time.
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

// While we accept nothing for want of room, the first connection that falls idle gives way to those who wait.
void HttpServer::make_room(common::TimePoint now) {
  if (acceptor_.mode() == Acceptor::Mode::kHeld) evict_oldest_idle(now);
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
  ring_.arm_close(connection.fd, {.op = Op::kClose, .index = 0});
  table_.remove(connection);
  if (acceptor_.mode() == Acceptor::Mode::kHeld && table_.size() < settings_.connections_max) acceptor_.start();
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
