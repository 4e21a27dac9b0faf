// Listeners: binding, with the checks that tell an operator what is in the way.
#include "master/listeners.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "common/check.h"
#include "common/clock.h"

namespace master {
namespace {

using common::Address;
using common::AddressKind;
using common::Result;
using common::UniqueFd;

// Workers of a master that was killed drain for a moment, and hold their sockets that long.
constexpr common::Duration kPredecessorPatience = std::chrono::seconds(3);
constexpr int kRetryMilliseconds = 50;

std::uint16_t port_of(const Address& address) {
  // sin_port and sin6_port lie at the same place.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port);
}

std::unexpected<common::Error> explain(const Address& address, const char* call, int errnum) {
  std::string message = "listen on " + address.text() + ": " + call + ": " + common::errno_text(errnum);
  if (errnum == EADDRINUSE) message += "; another process has it: stop that one or choose another --bind";
  if (errnum == EACCES && address.kind == AddressKind::kTcp) {
    message += "; ports below net.ipv4.ip_unprivileged_port_start need root or CAP_NET_BIND_SERVICE";
  }
  if (errnum == EACCES && address.kind == AddressKind::kUnixPath) message += "; the directory must be writable";
  if (errnum == ENOENT) message += "; the directory does not exist";
  if (errnum == EADDRNOTAVAIL) message += "; no interface of this host has that address";
  if (errnum == EMFILE) message += "; raise the open files limit (ulimit -n, LimitNOFILE=) or use fewer workers";
  return common::fail(std::move(message), errnum);
}

Result<UniqueFd> make_socket(const Address& address) {
  UniqueFd fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return explain(address, "socket", errno);
  return fd;
}

void set_flag(int fd, int level, int option) {
  const int on = 1;
  CHECK(setsockopt(fd, level, option, &on, sizeof on) == 0);
}

// Two groups of the same user would silently share a port, each getting half of the connections. A socket without
// SO_REUSEPORT can be bound only where nobody listens.
Result<void> check_unused(const Address& address) {
  const auto give_up_at = common::Clock::now() + kPredecessorPatience;
  while (true) {
    auto probe = make_socket(address);
    if (!probe) return std::unexpected(probe.error());
    set_flag(probe->get(), SOL_SOCKET, SO_REUSEADDR);
    if (address.storage.ss_family == AF_INET6) set_flag(probe->get(), IPPROTO_IPV6, IPV6_V6ONLY);
    if (bind(probe->get(), address.get(), address.length) == 0) return {};
    if (errno != EADDRINUSE || common::Clock::now() >= give_up_at) return explain(address, "bind", errno);
    poll(nullptr, 0, kRetryMilliseconds);  // no event tells that a port becomes free
  }
}

Result<UniqueFd> open_unix(const Address& address, std::uint32_t backlog) {
  auto fd = make_socket(address);
  if (!fd) return fd;
  const std::string path = address.text().substr(std::string_view("unix:").size());
  if (address.kind == AddressKind::kUnixPath) {
    auto probe = make_socket(address);
    if (!probe) return probe;
    if (connect(probe->get(), address.get(), address.length) == 0) return explain(address, "bind", EADDRINUSE);
    // ECONNREFUSED: a socket file that nobody listens on any more. Anything else that is no socket is not ours to take.
    struct stat file {};
    if (errno == ECONNREFUSED && lstat(path.c_str(), &file) == 0 && S_ISSOCK(file.st_mode)) unlink(path.c_str());
  }
  if (bind(fd->get(), address.get(), address.length) < 0) return explain(address, "bind", errno);
  // As for a TCP port, who may connect is for the application to decide; restrict it by the directory.
  if (address.kind == AddressKind::kUnixPath) chmod(path.c_str(), 0666);
  if (listen(fd->get(), static_cast<int>(backlog)) < 0) return explain(address, "listen", errno);
  return fd;
}

}  // namespace

Result<UniqueFd> Listeners::open_tcp(Address& address, std::uint32_t backlog) {
  auto fd = make_socket(address);
  if (!fd) return fd;
  set_flag(fd->get(), SOL_SOCKET, SO_REUSEADDR);
  set_flag(fd->get(), SOL_SOCKET, SO_REUSEPORT);
  set_flag(fd->get(), IPPROTO_TCP, TCP_NODELAY);  // inherited by what is accepted
  if (address.storage.ss_family == AF_INET6) set_flag(fd->get(), IPPROTO_IPV6, IPV6_V6ONLY);
  if (bind(fd->get(), address.get(), address.length) < 0) return explain(address, "bind", errno);
  if (listen(fd->get(), static_cast<int>(backlog)) < 0) return explain(address, "listen", errno);
  // Port 0: the first slot's port is the port of all.
  address.length = sizeof address.storage;
  CHECK(getsockname(fd->get(), reinterpret_cast<sockaddr*>(&address.storage), &address.length) == 0);
  return fd;
}

Result<Listeners> Listeners::open(std::span<const Address> addresses, std::uint32_t slots, std::uint32_t backlog) {
  Listeners result;
  result.backlog_ = backlog;
  for (const Address& address : addresses) {
    Listener& listener = result.listeners_.emplace_back();
    listener.address = address;
    if (address.kind == AddressKind::kTcp) {
      if (port_of(address) == 0) continue;
      if (auto unused = check_unused(address); !unused) return std::unexpected(unused.error());
      continue;
    }
    auto fd = open_unix(address, backlog);
    if (!fd) return std::unexpected(fd.error());
    listener.sockets.push_back(std::move(*fd));
    if (address.kind == AddressKind::kUnixPath) {
      auto owned = common::OwnedPath::take(address.text().substr(std::string_view("unix:").size()));
      if (owned) listener.path.push_back(std::move(*owned));
    }
  }
  for (SlotIndex slot = 0; slot < slots; ++slot) {
    if (auto opened = result.open_slot(slot); !opened) return std::unexpected(opened.error());
  }
  return result;
}

Listeners::~Listeners() {
  for (const common::OwnedPath& path : owned_paths()) common::remove_owned_path(path);
}

Result<void> Listeners::open_slot(SlotIndex slot) {
  CHECK(slot == slots_);
  for (Listener& listener : listeners_) {
    if (listener.address.kind != AddressKind::kTcp) continue;
    auto fd = open_tcp(listener.address, backlog_);
    if (!fd) {
      for (Listener& undo : listeners_) {
        if (undo.address.kind == AddressKind::kTcp && undo.sockets.size() > slot) undo.sockets.pop_back();
      }
      return std::unexpected(fd.error());
    }
    listener.sockets.push_back(std::move(*fd));
  }
  ++slots_;
  return {};
}

void Listeners::close_slot(SlotIndex slot) {
  CHECK(slots_ > 0 && slot == slots_ - 1);
  for (Listener& listener : listeners_) {
    if (listener.address.kind == AddressKind::kTcp) listener.sockets.pop_back();
  }
  --slots_;
}

std::vector<int> Listeners::sockets_of(SlotIndex slot) const {
  std::vector<int> fds;
  for (const Listener& listener : listeners_) {
    const std::size_t index = listener.address.kind == AddressKind::kTcp ? slot : 0;
    if (index < listener.sockets.size()) fds.push_back(listener.sockets[index].get());
  }
  return fds;
}

std::vector<ListenerView> Listeners::views() const {
  std::vector<ListenerView> views;
  for (const Listener& listener : listeners_) {
    views.push_back({.address = listener.address.text(), .sockets = listener.sockets.size()});
  }
  return views;
}

std::vector<common::OwnedPath> Listeners::owned_paths() const {
  std::vector<common::OwnedPath> paths;
  for (const Listener& listener : listeners_) paths.insert(paths.end(), listener.path.begin(), listener.path.end());
  return paths;
}

}  // namespace master
