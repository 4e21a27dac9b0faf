// Systemd: variables and datagrams, as sd_listen_fds(3) and sd_notify(3) document them. Written out, because what
// libsystemd calls waits when the manager does not read, and because every application would inherit its libraries.
#include "master/systemd.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "common/log.h"

namespace master {
namespace {

constexpr int kFirstSocket = 3;  // SD_LISTEN_FDS_START
constexpr int kSocketsMax = 4096;

std::string_view variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

template <typename Number>
std::optional<Number> number_of(std::string_view text) {
  Number number{};
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || rest != text.data() + text.size()) return std::nullopt;
  return number;
}

std::vector<std::string> names_of(std::string_view text) {
  std::vector<std::string> names;
  while (true) {
    const std::size_t end = text.find(':');
    names.emplace_back(text.substr(0, end));
    if (end == text.npos) return names;
    text.remove_prefix(end + 1);
  }
}

std::unexpected<common::Error> wrong(const std::string& what) {
  return common::fail(what + "; start the supervisor by its socket unit, or unset LISTEN_FDS");
}

}  // namespace

Systemd::Systemd() {
  const std::string_view path = variable("NOTIFY_SOCKET");
  sockaddr_un address{};
  // A path, or an abstract name whose NUL is written as "@" (sd_notify(3)).
  if (path.size() < 2 || path.size() >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@')) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path[0] == '@') address.sun_path[0] = '\0';
  common::UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (path[0] == '/' ? 1 : 0));
  if (!fd) return;
  address_length_ = length;
  std::memcpy(&address_, &address, sizeof address);
  socket_ = std::move(fd);
}

common::Result<std::vector<PassedSocket>> Systemd::receive_sockets() {
  const auto pid = number_of<pid_t>(variable("LISTEN_PID"));
  const std::string count_text(variable("LISTEN_FDS"));
  const auto count = number_of<int>(count_text);
  const bool has_names = std::getenv("LISTEN_FDNAMES") != nullptr;
  const std::vector<std::string> names = names_of(variable("LISTEN_FDNAMES"));
  for (const char* name : {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}) unsetenv(name);
  std::vector<PassedSocket> sockets;
  if (pid != getpid() || count_text.empty()) return sockets;
  if (!count || *count < 0 || *count > kSocketsMax)
    return wrong("LISTEN_FDS=" + count_text + " is no number of sockets");
  if (has_names && *count > 0 && names.size() != static_cast<std::size_t>(*count)) {
    return wrong("LISTEN_FDNAMES has " + std::to_string(names.size()) + " names for " + count_text + " sockets");
  }
  for (int i = 0; i < *count; ++i) {
    const int fd = kFirstSocket + i;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
      return wrong("LISTEN_FDS=" + count_text + ": descriptor " + std::to_string(fd) + " is not open");
    sockets.push_back({.fd = common::UniqueFd(fd), .name = has_names ? names[static_cast<std::size_t>(i)] : "unknown"});
  }
  return sockets;
}

std::optional<common::Duration> Systemd::watchdog() const {
  const auto microseconds = number_of<std::int64_t>(variable("WATCHDOG_USEC"));
  const auto pid = number_of<pid_t>(variable("WATCHDOG_PID"));
  if (!microseconds || *microseconds <= 0 || (pid && *pid != getpid())) return std::nullopt;
  return std::chrono::microseconds(*microseconds);
}

Told Systemd::tell(const std::string& words) { return send(words, -1); }

Told Systemd::store(int fd, const std::string& name) {
  // FDPOLL=0: a listening socket may report an error and is still wanted.
  return send("FDSTORE=1\nFDPOLL=0\nFDNAME=" + name, fd);
}

Told Systemd::drop(const std::string& name) { return send("FDSTOREREMOVE=1\nFDNAME=" + name, -1); }

void Systemd::hide() {
  for (const char* name :
       {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "FDSTORE"}) {
    unsetenv(name);
  }
}

Told Systemd::send(const std::string& words, int fd) {
  if (!listens()) return Told::kYes;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  std::string text = words;
  iovec part{.iov_base = text.data(), .iov_len = text.size()};
  msghdr message{};
  message.msg_name = &address_;
  message.msg_namelen = address_length_;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  if (sendmsg(socket_.get(), &message, MSG_NOSIGNAL) >= 0) {
    is_deaf_ = false;
    return Told::kYes;
  }
  if (errno == EAGAIN || errno == ENOBUFS) return Told::kNotYet;
  if (!is_deaf_) {
    common::log(
        common::LogLevel::kWarn, common::LogEvent::kNotifyFailed,
        "the service manager does not hear us: " + common::errno_text(errno) + "; see NOTIFY_SOCKET and NotifyAccess=");
  }
  is_deaf_ = true;
  return Told::kYes;
}

}  // namespace master
