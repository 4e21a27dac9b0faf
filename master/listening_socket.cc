// ListeningSocket: socket(2), bind(2) and listen(2), and the words for what they refuse.
#include "master/listening_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "common/log.h"
#include "master/unix_path.h"

namespace master {
namespace {

using common::Address;
using common::AddressKind;
using common::Result;
using common::UniqueFd;

constexpr int kRetryMilliseconds = 50;
constexpr int kUnsentLowWater = 128 * 1024;  // bytes

// Who may connect to a unix path is for its directory to say, as for a TCP port it is for the network.
constexpr mode_t kPathMode = 0666;

std::string_view fix_of(const Address& address, int errnum) {
  const bool is_tcp = address.kind == AddressKind::kTcp;
  switch (errnum) {
    case EADDRINUSE: return "; in use by another process: stop it (ss -ltnxp shows which) or choose another --bind";
    case EACCES:
      return is_tcp ? "; ports below net.ipv4.ip_unprivileged_port_start need root or CAP_NET_BIND_SERVICE"
                    : "; the directory must be writable for the supervisor's user";
    case EROFS: return "; choose a path that is writable";
    case ENOENT: return "; its directory does not exist: create it or choose another path";
    case EADDRNOTAVAIL: return "; no interface of this host has that address";
    case EAFNOSUPPORT: return "; the kernel has this address family turned off";
    case EMFILE: return "; raise the open files limit (ulimit -n, LimitNOFILE=) or use fewer workers";
  }
  return "";
}

std::unexpected<common::Error> explain(const Address& address, std::string_view reason, int errnum) {
  std::string message = "listen on " + address.text() + ": ";
  message += reason;
  message += fix_of(address, errnum);
  return common::fail(std::move(message), errnum);
}

std::unexpected<common::Error> explain_call(const Address& address, std::string_view call, int errnum) {
  return explain(address, std::string(call) + ": " + common::errno_text(errnum), errnum);
}

Result<UniqueFd> make_socket(const Address& address) {
  UniqueFd fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return explain_call(address, "socket", errno);
  return fd;
}

struct Option {
  int level;
  int name;
  int value;
};

Result<void> set_options(int fd, const Address& address, std::initializer_list<Option> options) {
  for (const Option& option : options) {
    if (setsockopt(fd, option.level, option.name, &option.value, sizeof option.value) < 0) {
      return explain_call(address, "setsockopt", errno);
    }
  }
  if (address.storage.ss_family != AF_INET6) return {};
  const int on = 1;
  if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) return {};
  return explain_call(address, "setsockopt", errno);
}

// Two groups of the same user would silently share a port, each getting half of the connections. A socket without
// SO_REUSEPORT can be bound only where nobody listens; established connections of a predecessor do not count.
Result<Holder> probe_bind(const Address& address) {
  auto probe = make_socket(address);
  if (!probe) return std::unexpected(probe.error());
  if (auto set = set_options(probe->get(), address, {{SOL_SOCKET, SO_REUSEADDR, 1}}); !set) {
    return std::unexpected(set.error());
  }
  if (bind(probe->get(), address.get(), address.length) == 0) return Holder::kNobody;
  if (errno == EADDRINUSE) return Holder::kSomebody;
  return explain_call(address, "bind", errno);
}

}  // namespace

std::unexpected<common::Error> in_use(const Address& address) { return explain_call(address, "bind", EADDRINUSE); }

Result<Holder> find_holder(const Address& address) {
  switch (address.kind) {
    case AddressKind::kTcp: return address.port() == 0 ? Holder::kNobody : probe_bind(address);
    case AddressKind::kUnixAbstract: return probe_bind(address);
    case AddressKind::kUnixPath: break;
  }
  const auto state = inspect_path(address);
  if (!state) return explain(address, state.error().message, state.error().errnum);
  return state->kind == PathState::Kind::kTaken ? Holder::kSomebody : Holder::kNobody;
}

Result<void> wait_until_free(const Address& address, common::TimePoint give_up_at) {
  for (bool first = true;; first = false) {
    const auto holder = find_holder(address);
    if (!holder) return std::unexpected(holder.error());
    if (*holder == Holder::kNobody) return {};
    if (common::Clock::now() >= give_up_at) return in_use(address);
    if (first) {
      common::log(common::LogLevel::kWarn, common::LogEvent::kAddressInUse,
                  "the address is in use; waiting for a predecessor to leave", {{"address", address.text()}});
    }
    poll(nullptr, 0, kRetryMilliseconds);  // no event tells that an address becomes free
  }
}

Result<void> check_distinct(std::span<const Address> addresses) {
  // Texts, because ":80" is "0.0.0.0:80".
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (addresses[i].kind == AddressKind::kTcp && addresses[i].port() == 0) continue;
    for (const Address& earlier : addresses.first(i)) {
      if (earlier.text() != addresses[i].text()) continue;
      return explain(earlier, "given twice; remove one --bind", EINVAL);
    }
  }
  return {};
}

Result<UniqueFd> bind_tcp(Address& address) {
  auto fd = make_socket(address);
  if (!fd) return fd;
  // The last two are inherited by what is accepted. A sender is woken when so little is left to send: a slow reader
  // makes visible progress each timeouts.write, and its connection holds less kernel memory (tcp(7), Linux 3.12).
  const auto set = set_options(fd->get(), address,
                               {{SOL_SOCKET, SO_REUSEADDR, 1},
                                {SOL_SOCKET, SO_REUSEPORT, 1},
                                {IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsentLowWater},
                                {IPPROTO_TCP, TCP_NODELAY, 1}});
  if (!set) return std::unexpected(set.error());
  if (bind(fd->get(), address.get(), address.length) < 0) return explain_call(address, "bind", errno);
  // Port 0: the first slot's port is the port of all.
  address.length = sizeof address.storage;
  if (getsockname(fd->get(), reinterpret_cast<sockaddr*>(&address.storage), &address.length) < 0) {
    return explain_call(address, "getsockname", errno);
  }
  return fd;
}

void adopt_options(int fd, const Address& address) {
  if (address.kind != AddressKind::kTcp) return;
  const Option options[] = {{IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsentLowWater}, {IPPROTO_TCP, TCP_NODELAY, 1}};
  // For speed alone, so that a kernel's refusal is no reason to serve nobody.
  for (const Option& option : options) setsockopt(fd, option.level, option.name, &option.value, sizeof option.value);
}

Result<void> check_joinable(int fd) {
  int shares_port = 0;
  socklen_t size = sizeof shares_port;
  if (getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &shares_port, &size) < 0 || shares_port == 0) {
    return common::fail("bound without SO_REUSEPORT (ReusePort=)");
  }
  // SO_NETNS_COOKIE (Linux 5.14) is the same for all sockets of a namespace. Without it there is nothing to compare.
  const auto network_of = [](int socket) {
    std::uint64_t cookie = 0;
    socklen_t length = sizeof cookie;
    getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length);
    return cookie;
  };
  const UniqueFd ours(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!ours) return common::fail_errno("socket", errno);
  if (network_of(fd) != network_of(ours.get())) return common::fail("of another network namespace (PrivateNetwork=)");
  return {};
}

Result<BoundUnix> bind_unix(const Address& address, std::optional<FileOwner> owner) {
  auto fd = make_socket(address);
  if (!fd) return std::unexpected(fd.error());
  if (address.kind == AddressKind::kUnixAbstract) {
    if (bind(fd->get(), address.get(), address.length) < 0) return explain_call(address, "bind", errno);
    return BoundUnix{.fd = std::move(*fd), .path = std::nullopt};
  }
  const auto state = inspect_path(address);
  if (!state) return explain(address, state.error().message, state.error().errnum);
  if (state->kind == PathState::Kind::kTaken) return in_use(address);
  auto path = bind_path(fd->get(), address, *state, owner ? owner->mode : kPathMode, owner);
  if (!path) return explain(address, path.error().message, path.error().errnum);
  return BoundUnix{.fd = std::move(*fd), .path = std::move(*path)};
}

Result<void> start_listening(int fd, const Address& address, std::uint32_t backlog) {
  if (::listen(fd, static_cast<int>(backlog)) == 0) return {};
  return explain_call(address, "listen", errno);
}

}  // namespace master
