// ControlServer: accepting, reading, answering, all without waiting.
#include "master/control_server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>

namespace master {
namespace {

constexpr common::RequestLimits kLimits{
    .request_line_max = 4096, .header_bytes_max = 16 * 1024, .headers_max = 100, .body_max = 64 * 1024};

std::string percent_decoded(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ptr == text.data() + i + 3) {
      result += static_cast<char>(value);
      i += 2;
    } else {
      result += text[i] == '+' ? ' ' : text[i];
    }
  }
  return result;
}

}  // namespace

std::pair<std::string, std::map<std::string, std::string>> split_target(std::string_view target) {
  const auto mark = target.find('?');
  std::map<std::string, std::string> query;
  std::string_view rest = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  while (!rest.empty()) {
    const auto end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    const auto equals = std::min(pair.find('='), pair.size());
    const std::string_view value = equals < pair.size() ? pair.substr(equals + 1) : std::string_view();
    if (!pair.empty()) query[percent_decoded(pair.substr(0, equals))] = percent_decoded(value);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {percent_decoded(target.substr(0, mark)), std::move(query)};
}

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

void ControlServer::on_event(int fd, std::uint32_t events, common::TimePoint now) {
  if (fd == socket_->fd()) return accept_clients(now);
  const auto client = std::ranges::find_if(clients_, [fd](const Client& each) { return each.fd.get() == fd; });
  if (client == clients_.end()) return;
  date_.update(std::time(nullptr));
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read_from(*client);
  write_to(*client);
  if (client->fate == Client::Fate::kGone) return drop(client);
  const bool full = client->output.size() > kOutputMax;
  poller_->change(fd, (full ? 0U : EPOLLIN) | (client->output.empty() ? 0U : EPOLLOUT));
}

void ControlServer::accept_clients(common::TimePoint now) {
  while (true) {
    common::UniqueFd fd(accept4(socket_->fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd && errno == ECONNABORTED) continue;
    if (!fd) {
      // Out of descriptors: give up a client, so that the listener does not stay readable for ever.
      if (errno == EMFILE && !clients_.empty()) drop(clients_.begin());
      return;
    }
    if (clients_.size() >= kClientsMax) drop(clients_.begin());
    if (!poller_->watch(fd.get(), EPOLLIN)) return;
    clients_.push_back({.fd = std::move(fd),
                        .deadline = now + kPatience,
                        .parser = std::make_unique<common::RequestParser>(kLimits),
                        .output = {}});
  }
}

void ControlServer::read_from(Client& client) {
  std::array<char, 16 * 1024> buffer;
  const ssize_t length = read(client.fd.get(), buffer.data(), buffer.size());
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (length <= 0) {
    client.fate = client.output.empty() ? Client::Fate::kGone : Client::Fate::kCloseWhenSent;
    return;
  }
  feed(client, {buffer.data(), static_cast<std::size_t>(length)});
}

void ControlServer::feed(Client& client, std::string_view bytes) {
  while (!bytes.empty() && client.fate == Client::Fate::kStay) {
    const auto outcome = client.parser->feed(bytes);
    bytes.remove_prefix(outcome.consumed);
    switch (outcome.status) {
      case common::RequestParser::Status::kNeedMore: return;
      case common::RequestParser::Status::kHead:
        if (client.parser->request().expects_continue && bytes.empty()) client.output += common::kContinue;
        break;
      case common::RequestParser::Status::kMessage:
        answer(client, client.parser->request());
        client.parser->next();
        break;
      case common::RequestParser::Status::kRefused: {
        const auto& refusal = client.parser->refusal();
        common::append_refusal(client.output, refusal.status, refusal.reason, date_);
        client.fate = Client::Fate::kCloseWhenSent;
        return;
      }
    }
  }
}

void ControlServer::answer(Client& client, const common::Request& request) {
  const auto [path, query] = split_target(request.target);
  const ControlReply reply = handler_->handle(request.method, path, query);
  static constexpr std::array<common::Field, 1> kFields{{{"Content-Type", "application/json"}}};
  const auto connection = !request.keep_alive          ? common::ConnectionOption::kClose
                          : request.minor_version == 0 ? common::ConnectionOption::kKeepAlive
                                                       : common::ConnectionOption::kImplicit;
  const auto sending = request.is_head ? common::BodySending::kOmit : common::BodySending::kSend;
  common::append_response(client.output, {.status = reply.status, .fields = kFields}, reply.body, sending, connection,
                          date_);
  if (!request.keep_alive) client.fate = Client::Fate::kCloseWhenSent;
}

void ControlServer::write_to(Client& client) {
  while (!client.output.empty()) {
    const ssize_t sent = send(client.fd.get(), client.output.data(), client.output.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) {
      client.fate = Client::Fate::kGone;
      return;
    }
    client.output.erase(0, static_cast<std::size_t>(sent));
  }
  if (client.fate == Client::Fate::kCloseWhenSent) client.fate = Client::Fate::kGone;
}

std::optional<common::TimePoint> ControlServer::next_deadline() const {
  if (clients_.empty()) return std::nullopt;
  return clients_.front().deadline;
}

void ControlServer::on_time(common::TimePoint now) {
  while (!clients_.empty() && clients_.front().deadline <= now) drop(clients_.begin());
}

void ControlServer::drop(Clients::iterator client) {
  poller_->forget(client->fd.get());
  clients_.erase(client);
}

}  // namespace master
