// Control client: connect, send, read to the end, each with the same deadline.
#include "master/control_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "common/address.h"
#include "common/format.h"
#include "common/unique_fd.h"

namespace master {
namespace {

using common::fail;
using common::Result;

struct Explanation {
  int errnum;
  std::string_view text;
};

constexpr std::array<Explanation, 5> kExplanations = {
    {{ENOENT, "there is none; is the supervisor running? Say where with --control PATH"},
     {ECONNREFUSED, "nobody listens; it was left behind by a supervisor that is gone"},
     {EACCES, "permission denied; run as the supervisor's user, or see control.mode"},
     {ENOTSOCK, "is not a socket; give the path of a control socket"},
     {EMSGSIZE, "the answer has more than 17 MiB; is this a supervisor's control socket?"}}};

std::unexpected<common::Error> explain(const std::string& path, int errnum, std::chrono::seconds patience) {
  std::string text = common::errno_text(errnum);
  for (const Explanation& known : kExplanations) {
    if (known.errnum == errnum) text = known.text;
  }
  if (errnum == ETIMEDOUT) {
    text = common::format("no answer within {} s; the supervisor is stopped or stuck", patience.count());
  }
  return fail(common::format("control socket {}: {}", path, text), errnum);
}

// 0, or the errno of what went wrong.
int wait_for(int fd, short events, common::TimePoint deadline) {
  while (true) {
    const auto left = common::ceil_milliseconds(deadline - common::Clock::now());
    if (left == 0) return ETIMEDOUT;
    pollfd entry{.fd = fd, .events = events, .revents = 0};
    const int count = ::poll(&entry, 1, static_cast<int>(left));
    if (count > 0) return 0;
    if (count < 0 && errno != EINTR) return errno;
  }
}

// A unix socket connects at once or, when the backlog is full, says EAGAIN: then asking again is all one can do.
int connect_before(int fd, const sockaddr_un& address, common::TimePoint deadline) {
  while (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return errno;
    if (common::Clock::now() >= deadline) return ETIMEDOUT;
    ::poll(nullptr, 0, 10);
  }
  return 0;
}

int send_all(int fd, std::string_view text, common::TimePoint deadline) {
  while (!text.empty()) {
    const ssize_t count = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      if (const int error = wait_for(fd, POLLOUT, deadline)) return error;
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

int receive_all(int fd, std::string& text, common::TimePoint deadline) {
  char buffer[16 * 1024];
  while (text.size() <= kControlReplyMax) {
    if (const int error = wait_for(fd, POLLIN, deadline)) return error;
    const ssize_t count = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (count == 0) return 0;
    if (count > 0) {
      text.append(buffer, static_cast<std::size_t>(count));
    } else if (errno != EAGAIN && errno != EINTR) {
      return errno;
    }
  }
  return EMSGSIZE;
}

}  // namespace

Result<ControlAnswer> ask_control(const std::string& path, std::string_view method, std::string_view target,
                                  common::TimePoint now, std::chrono::seconds patience) {
  const common::TimePoint deadline = now + patience;
  if (path.empty() || path.size() > common::kUnixPathMax) {
    return fail(
        common::format("control socket {}: a path has 1 to {} bytes; use a shorter one", path, common::kUnixPathMax));
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const common::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return common::fail_errno("socket for the control connection", errno);
  if (const int error = connect_before(fd.get(), address, deadline)) return explain(path, error, patience);
  const std::string question = common::format(
      "{} {} HTTP/1.1\r\nHost: supervisor\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", method, target);
  if (const int error = send_all(fd.get(), question, deadline)) return explain(path, error, patience);
  std::string text;
  if (const int error = receive_all(fd.get(), text, deadline)) return explain(path, error, patience);
  auto answer = parse_control_answer(text);
  if (!answer) return fail(common::format("control socket {}: {}", path, answer.error().message));
  return answer;
}

Result<ControlAnswer> parse_control_answer(std::string_view text) {
  constexpr std::string_view kStart = "HTTP/1.1 ";
  constexpr std::size_t kStatusDigits = 3;
  const std::size_t head_end = text.find("\r\n\r\n");
  ControlAnswer answer;
  const std::string_view digits = text.substr(std::min(kStart.size(), text.size()), kStatusDigits);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), answer.status);
  if (!text.starts_with(kStart) || head_end == text.npos || error != std::errc() ||
      end != digits.data() + kStatusDigits) {
    return fail("the answer is not HTTP; is this a supervisor's control socket?");
  }
  answer.body = text.substr(head_end + 4);
  return answer;
}

}  // namespace master
