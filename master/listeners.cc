// Listeners: binding, with the checks that tell an operator what is in the way.
#include "master/listeners.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "common/check.h"
#include "common/log.h"
#include "master/steering.h"
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

std::uint16_t port_of(const Address& address) {
  // sin_port and sin6_port lie at the same place.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port);
}

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

Result<void> attach_program(int member, std::vector<sock_filter> program) {
  const sock_fprog whole{.len = static_cast<unsigned short>(program.size()), .filter = program.data()};
  if (setsockopt(member, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &whole, sizeof whole) == 0) return {};
  return common::fail_errno("SO_ATTACH_REUSEPORT_CBPF", errno);
}

// Linux 5.3; a sandbox may know only how to attach.
bool detach_program(int member) {
  const int unused = 0;
  return setsockopt(member, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof unused) == 0 || errno == ENOENT;
}

enum class Holder { kNobody, kSomebody };

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

Result<Holder> find_holder(const Address& address) {
  switch (address.kind) {
    case AddressKind::kTcp: return port_of(address) == 0 ? Holder::kNobody : probe_bind(address);
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
    if (common::Clock::now() >= give_up_at) return explain_call(address, "bind", EADDRINUSE);
    if (first) {
      common::log(common::LogLevel::kWarn, "the address is in use; waiting for a predecessor to leave",
                  {{"address", address.text()}});
    }
    poll(nullptr, 0, kRetryMilliseconds);  // no event tells that an address becomes free
  }
}

// The same port twice would be one group with two sockets for each slot. Texts, because ":80" is "0.0.0.0:80".
Result<void> check_distinct(std::span<const Address> addresses) {
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (addresses[i].kind == AddressKind::kTcp && port_of(addresses[i]) == 0) continue;
    for (const Address& earlier : addresses.first(i)) {
      if (earlier.text() != addresses[i].text()) continue;
      return explain(earlier, "given twice; remove one --bind", EINVAL);
    }
  }
  return {};
}

}  // namespace

std::string_view name_of(ListenerSteering steering) {
  switch (steering) {
    case ListenerSteering::kNone: return "none";
    case ListenerSteering::kHash: return "hash";
    case ListenerSteering::kHealth: return "health";
  }
  return "";
}

Result<void> Listeners::open_unix(Listener& listener) const {
  const Address& address = listener.address;
  auto fd = make_socket(address);
  if (!fd) return std::unexpected(fd.error());
  if (address.kind == AddressKind::kUnixPath) {
    const auto state = inspect_path(address);
    if (!state) return explain(address, state.error().message, state.error().errnum);
    if (state->kind == PathState::Kind::kTaken) return explain_call(address, "bind", EADDRINUSE);
    auto owned = bind_path(fd->get(), address, *state, kPathMode);
    if (!owned) return explain(address, owned.error().message, owned.error().errnum);
    listener.path.push_back(std::move(*owned));
  } else if (bind(fd->get(), address.get(), address.length) < 0) {
    return explain_call(address, "bind", errno);
  }
  if (::listen(fd->get(), static_cast<int>(backlog_)) < 0) return explain_call(address, "listen", errno);
  listener.sockets.push_back(std::move(*fd));
  return {};
}

Result<UniqueFd> Listeners::open_tcp(Address& address) const {
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
  if (::listen(fd->get(), static_cast<int>(backlog_)) < 0) return explain_call(address, "listen", errno);
  // Port 0: the first slot's port is the port of all.
  address.length = sizeof address.storage;
  if (getsockname(fd->get(), reinterpret_cast<sockaddr*>(&address.storage), &address.length) < 0) {
    return explain_call(address, "getsockname", errno);
  }
  return fd;
}

Result<Listeners> Listeners::open(std::span<const Address> addresses, std::uint32_t slots, std::uint32_t backlog,
                                  common::Duration patience, common::Steering steering) {
  if (auto distinct = check_distinct(addresses); !distinct) return std::unexpected(distinct.error());
  const auto give_up_at = common::Clock::now() + patience;
  // All of them before the first is opened: what is found listening is certainly not ours.
  for (const Address& address : addresses) {
    if (auto free = wait_until_free(address, give_up_at); !free) return std::unexpected(free.error());
  }
  Listeners result;
  result.backlog_ = backlog;
  for (const Address& address : addresses) {
    Listener& listener = result.listeners_.emplace_back();
    listener.address = address;
    if (address.kind == AddressKind::kTcp) continue;
    if (auto opened = result.open_unix(listener); !opened) return std::unexpected(opened.error());
  }
  for (SlotIndex slot = 0; slot < slots; ++slot) {
    if (auto opened = result.open_slot(slot); !opened) return std::unexpected(opened.error());
  }
  if (steering != common::Steering::kHash) result.try_steering();
  return result;
}

Listeners::~Listeners() {
  for (const common::OwnedPath& path : owned_paths()) common::remove_owned_path(path);
}

Result<void> Listeners::open_slot(SlotIndex slot) {
  CHECK(slot == slots_);
  for (Listener& listener : listeners_) {
    if (listener.address.kind != AddressKind::kTcp) continue;
    auto fd = open_tcp(listener.address);
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
  // Before the kernel counts anew: the program must not name what is gone.
  std::vector<bool> able = steered_ ? *steered_ : std::vector<bool>();
  able.resize(slots_, true);
  able[slot] = false;
  steer(able);
  for (Listener& listener : listeners_) {
    if (listener.address.kind == AddressKind::kTcp && !listener.sockets.empty()) listener.sockets.pop_back();
  }
  --slots_;
}

void Listeners::close_all() {
  steer({});  // workers that still drain close theirs one by one, which changes what the others are called
  for (Listener& listener : listeners_) listener.sockets.clear();
}

void Listeners::steer(const std::vector<bool>& able) {
  if (health_ == Health::kUnwanted) return;
  std::vector<bool> wanted = able;
  wanted.resize(slots_, true);
  const std::vector<sock_filter> program = steering_program(wanted);
  if (program.empty()) wanted.clear();
  if (steered_ == wanted) return;
  if (auto attached = attach(program); !attached) return give_up_steering(attached.error());
  steered_ = std::move(wanted);
  health_ = Health::kWorks;
}

// The program is the group's, so one member of each is enough.
Result<void> Listeners::attach(const std::vector<sock_filter>& program) const {
  for (const Listener& listener : listeners_) {
    if (listener.address.kind != AddressKind::kTcp || listener.sockets.empty()) continue;
    const int member = listener.sockets.front().get();
    if (program.empty() && detach_program(member)) continue;
    if (auto attached = attach_program(member, program.empty() ? no_choice_program() : program); !attached) {
      return common::fail(listener.address.text() + ": " + attached.error().message, attached.error().errnum);
    }
  }
  return {};
}

void Listeners::try_steering() {
  health_ = Health::kWorks;
  auto tried = attach(no_choice_program());
  if (tried) tried = attach({});
  if (!tried) give_up_steering(tried.error());
}

void Listeners::give_up_steering(const common::Error& error) {
  if (health_ == Health::kWorks) {
    common::log(common::LogLevel::kWarn, "new connections go to every worker, whether it takes them or not: " +
                                             error.message + "; allow it, or set listen.steering = \"hash\"");
  }
  health_ = Health::kFails;
  steered_.reset();
  // As many groups as possible back to the kernel's choice: an old program is worse.
  if (attach({})) steered_ = std::vector<bool>();
}

std::vector<int> Listeners::sockets_of(SlotIndex slot) const {
  std::vector<int> fds;
  fds.reserve(listeners_.size());
  for (const Listener& listener : listeners_) {
    const std::size_t index = listener.address.kind == AddressKind::kTcp ? slot : 0;
    if (index < listener.sockets.size()) fds.push_back(listener.sockets[index].get());
  }
  return fds;
}

std::vector<ListenerView> Listeners::views() const {
  std::vector<ListenerView> views;
  views.reserve(listeners_.size());
  for (const Listener& listener : listeners_) {
    const auto steering = listener.sockets.size() < 2 ? ListenerSteering::kNone
                          : health_ == Health::kWorks ? ListenerSteering::kHealth
                                                      : ListenerSteering::kHash;
    views.push_back({.address = listener.address.text(), .sockets = listener.sockets.size(), .steering = steering});
  }
  return views;
}

std::vector<common::OwnedPath> Listeners::owned_paths() const {
  std::vector<common::OwnedPath> paths;
  for (const Listener& listener : listeners_) paths.insert(paths.end(), listener.path.begin(), listener.path.end());
  return paths;
}

}  // namespace master
