// HttpClient: non-blocking sockets, poll(2) and just enough HTTP to read an answer.
#include "support/http_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>

namespace support {
namespace {

constexpr std::size_t kReadBytes = 64 * 1024;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

SocketAddress unix_address(std::string_view path) {
  SocketAddress result;
  auto* address = reinterpret_cast<sockaddr_un*>(&result.storage);
  address->sun_family = AF_UNIX;
  path = path.substr(0, sizeof(address->sun_path) - 1);
  std::memcpy(address->sun_path, path.data(), path.size());
  std::size_t length = offsetof(sockaddr_un, sun_path) + path.size();
  if (path.starts_with('@')) {
    address->sun_path[0] = '\0';
  } else {
    ++length;
  }
  result.length = static_cast<socklen_t>(length);
  return result;
}

common::Result<SocketAddress> parse_address(std::string_view text) {
  if (text.starts_with("unix:")) return unix_address(text.substr(5));
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return common::fail("no port in " + std::string(text));
  std::uint16_t port = 0;
  std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
  std::string host(text.substr(0, colon));
  SocketAddress result;
  if (host.starts_with('[')) {
    host = host.substr(1, host.size() - 2);
    auto* address = reinterpret_cast<sockaddr_in6*>(&result.storage);
    address->sin6_family = AF_INET6;
    address->sin6_port = htons(port);
    result.length = sizeof(*address);
    if (::inet_pton(AF_INET6, host.c_str(), &address->sin6_addr) == 1) return result;
  } else {
    auto* address = reinterpret_cast<sockaddr_in*>(&result.storage);
    address->sin_family = AF_INET;
    address->sin_port = htons(port);
    result.length = sizeof(*address);
    if (::inet_pton(AF_INET, host.c_str(), &address->sin_addr) == 1) return result;
  }
  return common::fail("not an address: " + std::string(text));
}

bool wait_for(int fd, short events, const Deadline& deadline) {
  pollfd entry{.fd = fd, .events = events, .revents = 0};
  while (!deadline.passed()) {
    const int ready = ::poll(&entry, 1, deadline.poll_milliseconds());
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
  return false;
}

// unix(7) sockets answer EAGAIN at once when the listener's queue is full, and cannot be polled for it.
int connect_until(int fd, const SocketAddress& address, const Deadline& deadline) {
  while (::connect(fd, address.get(), address.length) != 0) {
    if (errno == EINPROGRESS) {
      if (!wait_for(fd, POLLOUT, deadline)) return ETIMEDOUT;
      int error = 0;
      socklen_t length = sizeof(error);
      ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
      return error;
    }
    if (errno != EAGAIN || address.family() != AF_UNIX) return errno;
    if (deadline.passed()) return ETIMEDOUT;
    ::poll(nullptr, 0, 1);
  }
  return 0;
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

bool equals_ignoring_case(std::string_view left, std::string_view right) {
  return left.size() == right.size() && ::strncasecmp(left.data(), right.data(), left.size()) == 0;
}

// `head` without its last empty line. False if it is not the head of an HTTP/1 answer.
bool parse_head(std::string_view head, HttpResponse& response) {
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  if (!head.starts_with(kVersion)) return false;
  const char* const digits = head.data() + kVersion.size();
  if (std::from_chars(digits, head.data() + head.size(), response.status).ptr != digits + 3) return false;
  std::size_t line = head.find("\r\n");
  while (line != std::string_view::npos) {
    const std::size_t begin = line + 2;
    line = head.find("\r\n", begin);
    const std::string_view field = head.substr(begin, line == std::string_view::npos ? line : line - begin);
    const std::size_t colon = field.find(':');
    if (colon == std::string_view::npos) return false;
    response.headers.emplace_back(field.substr(0, colon), trimmed(field.substr(colon + 1)));
  }
  return true;
}

bool never_has_body(int status) { return status < 200 || status == 204 || status == 304; }

}  // namespace

std::string_view HttpResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equals_ignoring_case(key, name)) return value;
  }
  return {};
}

bool HttpResponse::has_header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equals_ignoring_case(key, name)) return true;
  }
  return false;
}

bool HttpResponse::closes() const { return equals_ignoring_case(header("Connection"), "close"); }

common::Result<HttpClient> HttpClient::connect(const std::string& address, Deadline deadline,
                                               const std::string& source) {
  const common::Result<SocketAddress> peer = parse_address(address);
  if (!peer) return std::unexpected(peer.error());
  common::UniqueFd fd(::socket(peer->family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return common::fail("socket failed", errno);
  const int on = 1;
  if (peer->family() != AF_UNIX) ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (!source.empty()) {
    const common::Result<SocketAddress> own = parse_address(source);
    if (!own) return std::unexpected(own.error());
    // Port 0 is then chosen by connect(2) for this peer, not reserved for all of them.
    ::setsockopt(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (::bind(fd.get(), own->get(), own->length) != 0) return common::fail("bind " + source + " failed", errno);
  }
  const int error = connect_until(fd.get(), *peer, deadline);
  if (error != 0) return common::fail("connect " + address + ": " + std::strerror(error), error);
  return HttpClient(std::move(fd));
}

bool HttpClient::send(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno != EAGAIN && errno != EINTR) {
      return false;
    } else if (!wait_for(socket_.get(), POLLOUT, deadline)) {
      return false;
    }
  }
  return true;
}

std::size_t HttpClient::send_some(std::string_view bytes) {
  const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  return sent > 0 ? static_cast<std::size_t>(sent) : 0;
}

ReadOutcome HttpClient::receive(std::size_t bytes_max, Deadline deadline) {
  char bytes[kReadBytes];
  while (true) {
    const ssize_t count = ::recv(socket_.get(), bytes, std::min(bytes_max, sizeof(bytes)), 0);
    if (count > 0) {
      buffer_.append(bytes, static_cast<std::size_t>(count));
      return ReadOutcome::kAnswer;
    }
    if (count == 0) return ReadOutcome::kEnd;
    if (errno != EAGAIN && errno != EINTR) return ReadOutcome::kReset;
    if (!wait_for(socket_.get(), POLLIN, deadline)) return ReadOutcome::kTimeout;
  }
}

HttpRead HttpClient::read(BodyRule rule, Deadline deadline) {
  std::size_t head = 0;
  while ((head = buffer_.find("\r\n\r\n")) == std::string::npos) {
    const ReadOutcome outcome = receive(kReadBytes, deadline);
    if (outcome != ReadOutcome::kAnswer) return {outcome, {}};
  }
  HttpRead result{ReadOutcome::kAnswer, {}};
  if (!parse_head(std::string_view(buffer_).substr(0, head), result.response)) return {ReadOutcome::kMalformed, {}};
  buffer_.erase(0, head + 4);
  if (rule == BodyRule::kNone || never_has_body(result.response.status)) return result;
  if (!result.response.has_header("Content-Length")) {
    HttpRead rest = read_to_end(deadline);
    result.outcome = rest.outcome == ReadOutcome::kEnd ? ReadOutcome::kAnswer : rest.outcome;
    result.response.body = std::move(rest.response.body);
    return result;
  }
  const std::string_view length_text = result.response.header("Content-Length");
  std::size_t length = 0;
  const auto parsed = std::from_chars(length_text.data(), length_text.data() + length_text.size(), length);
  if (parsed.ec != std::errc()) return {ReadOutcome::kMalformed, {}};
  while (buffer_.size() < length) {
    const ReadOutcome outcome = receive(kReadBytes, deadline);
    if (outcome != ReadOutcome::kAnswer) return {outcome, std::move(result.response)};
  }
  result.response.body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  return result;
}

HttpRead HttpClient::read_to_end(Deadline deadline) {
  ReadOutcome outcome = ReadOutcome::kAnswer;
  while (outcome == ReadOutcome::kAnswer) outcome = receive(kReadBytes, deadline);
  HttpRead result{outcome, {}};
  result.response.body = std::exchange(buffer_, {});
  return result;
}

void HttpClient::half_close() { ::shutdown(socket_.get(), SHUT_WR); }

void HttpClient::abort() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  socket_.reset();
}

void HttpClient::limit_receive_buffer(int bytes) {
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

std::string get_request(std::string_view target, std::string_view extra) {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: test\r\n" + std::string(extra) + "\r\n";
}

HttpResponse fetch(const std::string& address, std::string_view target, Deadline deadline, std::string_view method) {
  common::Result<HttpClient> client = HttpClient::connect(address, deadline);
  if (!client) return {.status = 0, .headers = {}, .body = client.error().message};
  std::string request = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: test\r\n";
  if (method == "POST") request += "Content-Length: 0\r\n";
  request += "Connection: close\r\n\r\n";
  if (!client->send(request, deadline)) return {.status = 0, .headers = {}, .body = "could not send the request"};
  HttpRead answer = client->read(method == "HEAD" ? BodyRule::kNone : BodyRule::kPresent, deadline);
  switch (answer.outcome) {
    case ReadOutcome::kAnswer: return std::move(answer.response);
    case ReadOutcome::kEnd: return {.status = 0, .headers = {}, .body = "the connection ended before the answer"};
    case ReadOutcome::kReset: return {.status = 0, .headers = {}, .body = "the connection was reset"};
    case ReadOutcome::kTimeout: return {.status = 0, .headers = {}, .body = "no answer until the deadline"};
    case ReadOutcome::kMalformed: break;
  }
  return {.status = 0, .headers = {}, .body = "the answer is not HTTP"};
}

}  // namespace support
