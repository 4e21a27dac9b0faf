// ControlServer: accepting, reading, answering, all without waiting.
#include "master/control_server.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <span>
#include <utility>

#include "common/check.h"
#include "master/request_target.h"

namespace master {
namespace {

constexpr common::RequestLimits kLimits{.request_line_max = 4096,
                                        .header_bytes_max = 16 * 1024,
                                        .headers_max = 100,
                                        .body_max = ControlServer::kRequestBodyMax};
constexpr std::size_t kReadBytes = 16 * 1024;

void append_reply(std::string& output, const ControlReply& reply, common::BodySending sending,
                  common::ConnectionOption connection, const common::DateCache& date) {
  const std::array<common::Field, 2> fields{{{"Content-Type", "application/json"}, {"Allow", reply.allow}}};
  const std::size_t count = reply.allow.empty() ? 1 : 2;
  common::append_response(output, {.status = reply.status, .fields = std::span(fields).first(count)}, reply.body,
                          sending, connection, date);
}

}  // namespace

ControlServer::Client::Client(common::UniqueFd taken, common::TimePoint until)
    : fd(std::move(taken)), deadline(until), watched(EPOLLIN), parser(kLimits) {}

common::Result<ControlServer> ControlServer::start(ControlSocket& socket, Poller& poller, ControlHandler& handler) {
  if (auto watched = poller.watch(socket.fd(), EPOLLIN); !watched) return std::unexpected(watched.error());
  return ControlServer(socket, poller, handler);
}

ControlServer::~ControlServer() {
  while (!clients_.empty()) drop(clients_.begin());
}

bool ControlServer::owns(int fd) const {
  return fd == socket_->fd() ||
         std::ranges::any_of(clients_, [fd](const Client& client) { return client.fd.get() == fd; });
}

bool ControlServer::is_quiet() const {
  return std::ranges::all_of(clients_, [](const Client& client) { return client.state == State::kIdle; });
}

std::vector<int> ControlServer::hand_over() const {
  std::vector<int> fds;
  for (const Client& client : clients_) fds.push_back(client.fd.get());
  return fds;
}

void ControlServer::on_event(int fd, std::uint32_t /*events*/, common::TimePoint now) {
  date_.update(std::time(nullptr));
  if (fd == socket_->fd()) return accept_client(now);
  const auto client = std::ranges::find_if(clients_, [fd](const Client& each) { return each.fd.get() == fd; });
  if (client != clients_.end()) proceed(client, now);
}

// ---- accepting

// One in a turn: while more wait, the listener wakes us again. Trying until the queue is empty would not do: without
// descriptors accept4(2) says EMFILE on an empty queue as well, and we would make room for nobody.
void ControlServer::accept_client(common::TimePoint now) {
  common::UniqueFd fd(accept4(socket_->fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (fd) return add(std::move(fd), now);
  switch (errno) {
    case EAGAIN:
    case EINTR:
    case ECONNABORTED: return;  // concerned a client that is gone
  }
  // Out of descriptors or memory: the queue stays, and with it the event. Make room, or look away for a while.
  if (!drop_longest_idle()) pause_accepting(now);
}

void ControlServer::add(common::UniqueFd fd, common::TimePoint now) {
  if (clients_.size() >= kClientsMax && !drop_longest_idle()) {
    std::string refusal;
    append_reply(refusal, control_error(503, "too many connections to the control socket; try again"),
                 common::BodySending::kSend, common::ConnectionOption::kClose, date_);
    // Fits into the empty buffer of a new socket; one that is gone already needs no answer.
    [[maybe_unused]] const auto sent = send(fd.get(), refusal.data(), refusal.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return;
  }
  if (!poller_->watch(fd.get(), EPOLLIN)) return;  // no memory for it: the client sees its connection end
  clients_.emplace_back(std::move(fd), now + patience_of(State::kIdle));
}

void ControlServer::pause_accepting(common::TimePoint now) {
  poller_->change(socket_->fd(), 0);
  accept_again_ = now + kAcceptPause;
}

bool ControlServer::drop_longest_idle() {
  auto longest = clients_.end();
  for (auto client = clients_.begin(); client != clients_.end(); ++client) {
    if (client->state != State::kIdle && client->state != State::kLingering) continue;
    if (longest == clients_.end() || client->deadline < longest->deadline) longest = client;
  }
  if (longest == clients_.end()) return false;
  drop(longest);
  return true;
}

void ControlServer::drop(Clients::iterator client) {
  poller_->forget(client->fd.get());
  clients_.erase(client);
}

// ---- time

common::Duration ControlServer::patience_of(State state) {
  switch (state) {
    case State::kIdle: return kIdleMax;
    case State::kReading:
    case State::kSending: return kPatience;
    case State::kWaiting: return kWaitMax;
    case State::kLingering: return kLingerMax;
    case State::kClosed: return common::Duration::zero();
  }
  return common::Duration::zero();
}

std::optional<common::TimePoint> ControlServer::next_deadline() const {
  std::optional<common::TimePoint> next = accept_again_;
  for (const Client& client : clients_) next = std::min(next.value_or(client.deadline), client.deadline);
  return next;
}

void ControlServer::on_time(common::TimePoint now) {
  date_.update(std::time(nullptr));
  if (accept_again_ && *accept_again_ <= now) {
    accept_again_.reset();
    poller_->change(socket_->fd(), EPOLLIN);
  }
  for (auto client = clients_.begin(); client != clients_.end();) {
    const auto each = client++;
    if (each->deadline > now) continue;
    switch (each->state) {
      case State::kReading: refuse(*each, 408, "the request did not arrive in time"); break;
      case State::kWaiting: refuse(*each, 504, "what was asked for did not happen in time"); break;
      case State::kIdle:
      case State::kSending:
      case State::kLingering:
      case State::kClosed: drop(each); continue;
    }
    enter(*each, State::kSending, now);
    proceed(each, now);
  }
}

// ---- one client

void ControlServer::proceed(Clients::iterator client, common::TimePoint now) {
  enter(*client, advance(*client), now);
  if (client->state == State::kClosed) drop(client);
}

// The only writer of a client's state.
void ControlServer::enter(Client& client, State next, common::TimePoint now) {
  // A request that trickles in, or an answer that trickles out, gains no time by that; each idle time is a new one.
  if (next != client.state || next == State::kIdle) client.deadline = now + patience_of(next);
  client.state = next;
  if (next == State::kClosed) return;
  // Nothing but the end of both sides is told of a client that waits: it may have ended its own, and be listening.
  const std::uint32_t wanted = next == State::kSending ? EPOLLOUT : next == State::kWaiting ? 0U : EPOLLIN;
  if (wanted != client.watched) poller_->change(client.fd.get(), wanted);
  client.watched = wanted;
}

ControlServer::State ControlServer::advance(Client& client) {
  switch (client.state) {
    case State::kIdle:
    case State::kReading:
      if (receive(client) == Peer::kGone) return State::kClosed;
      break;
    case State::kSending:
      if (flush(client) == Peer::kGone) return State::kClosed;
      break;
    case State::kWaiting: return look(client) == Peer::kGone ? State::kClosed : State::kWaiting;
    case State::kLingering: return discard(client) == Peer::kGone ? State::kClosed : State::kLingering;
    case State::kClosed: return State::kClosed;
  }
  if (client.output.empty() && client.fate == Fate::kStays) take_request(client);
  if (flush(client) == Peer::kGone) return State::kClosed;
  return state_after_sending(client);
}

ControlServer::State ControlServer::state_after_sending(Client& client) {
  if (!client.output.empty()) return State::kSending;
  if (client.asked) return State::kWaiting;
  switch (client.fate) {
    case Fate::kStays: break;
    case Fate::kCloses: return State::kClosed;
    case Fate::kLingers: shutdown(client.fd.get(), SHUT_WR); return State::kLingering;
  }
  if (!client.input.empty()) return State::kSending;  // is writable, so the loop comes back at once
  return client.parser.begun() ? State::kReading : State::kIdle;
}

ControlServer::Peer ControlServer::receive(Client& client) {
  std::array<char, kReadBytes> buffer;
  const ssize_t length = recv(client.fd.get(), buffer.data(), buffer.size(), 0);
  if (length > 0) client.input.append(buffer.data(), static_cast<std::size_t>(length));
  if (length > 0 || (length < 0 && (errno == EAGAIN || errno == EINTR))) return Peer::kThere;
  return Peer::kGone;  // what it asked has been answered before; half a request is nothing
}

ControlServer::Peer ControlServer::discard(Client& client) {
  const Peer peer = receive(client);
  client.input.clear();
  return peer;
}

// Asks the kernel: the event that woke us may be of a descriptor that had this number before.
ControlServer::Peer ControlServer::look(const Client& client) {
  pollfd ended{.fd = client.fd.get(), .events = 0, .revents = 0};
  return ::poll(&ended, 1, 0) == 1 ? Peer::kGone : Peer::kThere;
}

ControlServer::Peer ControlServer::flush(Client& client) {
  if (client.output.empty()) return Peer::kThere;
  const std::string_view rest = std::string_view(client.output).substr(client.sent);
  const ssize_t length = send(client.fd.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
  if (length < 0) return errno == EAGAIN || errno == EINTR ? Peer::kThere : Peer::kGone;
  client.sent += static_cast<std::size_t>(length);
  if (client.sent == client.output.size()) {
    client.output.clear();
    client.sent = 0;
  }
  return Peer::kThere;
}

// Takes input until there is something to send: one request at most, because an answer can be dear.
void ControlServer::take_request(Client& client) {
  while (!client.input.empty() && client.output.empty() && !client.asked) {
    const auto outcome = client.parser.feed(client.input);
    switch (outcome.status) {
      case common::RequestParser::Status::kNeedMore: client.input.clear(); break;
      case common::RequestParser::Status::kHead:
        client.input.erase(0, outcome.consumed);
        if (client.parser.request().expects_continue && client.input.empty()) client.output += common::kContinue;
        break;
      case common::RequestParser::Status::kMessage:
        answer(client, client.parser.request());
        client.parser.next();
        client.input.erase(0, outcome.consumed);  // not before: the request may point into it
        break;
      case common::RequestParser::Status::kRefused:
        refuse(client, client.parser.refusal().status, client.parser.refusal().reason);
        break;
    }
  }
}

void ControlServer::answer(Client& client, const common::Request& request) {
  client.asked = Reception{
      .token = ++last_token_,
      .sending = request.is_head ? common::BodySending::kOmit : common::BodySending::kSend,
      .connection = !request.keep_alive          ? common::ConnectionOption::kClose
                    : request.minor_version == 0 ? common::ConnectionOption::kKeepAlive
                                                 : common::ConnectionOption::kImplicit,
  };
  if (!request.keep_alive) client.fate = Fate::kCloses;
  const auto target = RequestTarget::parse(request.target);
  if (!target)
    return append_answer(client, control_error(400,
                                               "the target must be a path, with every key of a query "
                                               "once"));
  const auto outcome = handler_->handle(request.method, target->path, target->query, client.asked->token);
  if (const auto* reply = std::get_if<ControlReply>(&outcome)) append_answer(client, *reply);
}

void ControlServer::append_answer(Client& client, const ControlReply& reply) {
  CHECK(client.asked.has_value());  // else the handler has answered twice
  append_reply(client.output, reply, client.asked->sending, client.asked->connection, date_);
  client.asked.reset();
}

void ControlServer::reply(ClientToken token, const ControlReply& reply, common::TimePoint now) {
  const auto client =
      std::ranges::find_if(clients_, [token](const Client& each) { return each.asked && each.asked->token == token; });
  if (client == clients_.end()) return;
  date_.update(std::time(nullptr));
  append_answer(*client, reply);
  // In any other state the handler is still at it, and whoever called it goes on.
  if (client->state == State::kWaiting) enter(*client, State::kSending, now);
}

void ControlServer::refuse(Client& client, int status, std::string_view reason) {
  client.input.clear();
  client.asked.reset();
  client.fate = Fate::kLingers;
  append_reply(client.output, control_error(status, reason), common::BodySending::kSend,
               common::ConnectionOption::kClose, date_);
}

}  // namespace master
