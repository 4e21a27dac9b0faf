// HttpServer: the life of a connection.
#include "worker/http_server.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/check.h"
#include "common/high_fd.h"

namespace worker {
namespace {

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
      admission_(acceptor, table_, record, ledger, {.places = settings.connections_max, .on_full = settings.on_full}),
      pool_(sessions) {
  sessions_.input = this;
}

std::uint32_t HttpServer::in_flight() const {
  return table_.count(ConnectionState::kBody) + table_.count(ConnectionState::kWriting);
}

std::optional<common::TimePoint> HttpServer::next_deadline() const {
  std::optional<common::TimePoint> next = last_call_at_;
  if (emptying_) next = std::min(next.value_or(emptying_->next_deadline()), emptying_->next_deadline());
  for (const auto& other : {table_.next_deadline(), admission_.next_deadline()}) {
    if (other) next = std::min(next.value_or(*other), *other);
  }
  return next;
}

void HttpServer::publish(common::TimePoint now) {
  const bool is_over = acceptor_.mode() == Acceptor::Mode::kStopped && !acceptor_.armed();
  const common::Accepting accepting = is_over ? common::Accepting::kNoMore : admission_.state(now);
  record_.accepting.store(static_cast<std::uint32_t>(accepting), std::memory_order_relaxed);
  record_.connections_max.store(admission_.places(), std::memory_order_relaxed);
}

// ---- accepting

void HttpServer::on_accept(const Completion& completion, common::TimePoint now) {
  admission_.on_accept(completion, now);
  if (completion.result >= 0) {
    if (emptying_ && !acceptor_.is_shared(completion.tag.index)) emptying_->on_accepted(now);
    open_connection(common::UniqueFd(completion.result), Service::kIfThereIsRoom, now);
  }
  acceptor_.go_on(completion.tag.index);  // not before it is known whether there is room for another
  make_room(now);
}

void HttpServer::on_listener(const Completion& completion, common::TimePoint now) {
  admission_.on_readable(completion, now);
  make_room(now);
}

void HttpServer::adopt(common::UniqueFd fd, common::TimePoint now) {
  open_connection(std::move(fd), Service::kPromised, now);
  make_room(now);
}

void HttpServer::open_connection(common::UniqueFd fd, Service service, common::TimePoint now) {
  record_.accepted.store(record_.accepted.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  const Admission::Verdict verdict = admission_.judge(now);
  if (verdict == Admission::Verdict::kRefuse && service == Service::kIfThereIsRoom) {
    return admission_.refuse(std::move(fd), now);
  }
  if (settings_.connections_high == ConnectionFds::kHigh) fd = common::move_high(std::move(fd));
  ledger_.note_server(fd.get(), common::FdRole::kConnection, now);
  Connection& connection = table_.add(fd.release(), now);
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
    on_bytes(connection, completion.data, now);
  } else if (completion.result == 0) {
    connection.input = Connection::Input::kEnded;
  } else if (completion.result != -ENOBUFS && completion.result != -ECANCELED) {
    connection.input = Connection::Input::kBroken;
  }
  if (completion.buffer) ring_.release(*completion.buffer);
  advance(connection, now);
}

void HttpServer::on_bytes(Connection& connection, std::string_view bytes, common::TimePoint now) {
  if (connection.state == ConnectionState::kLingering || connection.state == ConnectionState::kClosing) return;
  if (connection.state == ConnectionState::kIdle) {
    connection.pause_max = std::max(connection.pause_max, now - connection.idle_since);
  }
  if (!connection.session) connection.session = pool_.take(connection.fd, connection.answered);
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
  if (last_call_at_ && *last_call_at_ <= now) last_call(now);
  if (emptying_ && emptying_->next_deadline() <= now) look_at_queues(now);
  admission_.on_time(now);
  make_room(now);
}

void HttpServer::expire(Connection& connection, common::TimePoint now) {
  if (is_silent(connection.state) && (has_more(connection.fd) || stays_idle(connection, now))) {
    return table_.enter(connection, connection.state, now);
  }
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
        connection.idle_since = now;
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

void HttpServer::give_session_back(Connection& connection) {
  if (!connection.session) return;
  connection.answered = connection.session->answered();
  pool_.give_back(std::move(connection.session));
}

}  // namespace worker
