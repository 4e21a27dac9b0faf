// InheritedSockets: what a descriptor is, and which address it serves.
#include "master/inherited_sockets.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "common/log.h"

namespace master {
namespace {

using common::Address;
using common::AddressKind;
using common::Result;

Result<int> option(int fd, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  if (getsockopt(fd, SOL_SOCKET, name, &value, &size) < 0) return common::fail("", errno);
  return value;
}

// Where it listens. The error says only what it is instead.
Result<Address> listening_address(int fd) {
  const auto type = option(fd, SO_TYPE);
  if (!type) return common::fail(type.error().errnum == EBADF ? "it is not open" : "it is not a socket");
  const auto domain = option(fd, SO_DOMAIN);
  if (!domain || (*domain != AF_INET && *domain != AF_INET6 && *domain != AF_UNIX)) {
    return common::fail("it is a socket of neither TCP nor AF_UNIX");
  }
  if (*type != SOCK_STREAM) return common::fail("it is not a stream socket (ListenStream=)");
  const auto listens = option(fd, SO_ACCEPTCONN);
  if (!listens || *listens == 0) return common::fail("it does not listen (Accept= must be no)");
  Address address;
  address.length = sizeof address.storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.length) < 0) {
    return common::fail("getsockname: " + common::errno_text(errno));
  }
  if (*domain != AF_UNIX) return address;
  address.kind = address.text().starts_with("unix:@") ? AddressKind::kUnixAbstract : AddressKind::kUnixPath;
  if (address.text() == "unix:") return common::fail("it has no name");
  return address;
}

std::unexpected<common::Error> refuse(const std::string& name, const std::string& reason) {
  return common::fail("the inherited descriptor " + name + ": " + reason +
                      "; pass listening stream sockets of TCP or AF_UNIX only");
}

// The file of a unix socket must still be that socket's: clients find it by its path.
bool is_in_place(InheritedSocket& socket) {
  if (socket.address.kind != AddressKind::kUnixPath) return true;
  if (!socket.stored->file) return false;
  const auto found = common::OwnedPath::take(socket.address.text().substr(std::string_view("unix:").size()));
  const common::OwnedPath& file = *socket.stored->file;
  if (!found || found->device != file.device || found->inode != file.inode || found->made.tv_sec != file.made.tv_sec ||
      found->made.tv_nsec != file.made.tv_nsec) {
    return false;
  }
  socket.stored->file = *found;
  return true;
}

}  // namespace

std::uint64_t cookie_of(int socket) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  return getsockopt(socket, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

Result<InheritedSockets> InheritedSockets::examine(std::vector<PassedSocket> passed) {
  InheritedSockets result;
  for (PassedSocket& candidate : passed) {
    InheritedSocket socket{.fd = std::move(candidate.fd), .name = std::move(candidate.name), .address = {}};
    socket.stored = parse_stored_name(socket.name);
    if (socket.stored) result.stored_names_.emplace_back(socket.name, cookie_of(socket.fd.get()));
    auto address = listening_address(socket.fd.get());
    if (address) {
      socket.address = *address;
    } else if (!socket.stored) {
      return refuse("\"" + socket.name + "\"", address.error().message);
    }
    if (!address || (socket.stored && socket.stored->address != encode_text(address->text()))) {
      common::log(common::LogLevel::kWarn, common::LogEvent::kSocketStale, "a stored socket cannot be used again",
                  {{"name", socket.name}, {"reason", address ? "it has another address" : address.error().message}});
      continue;
    }
    if (socket.stored && !is_in_place(socket)) {
      common::log(common::LogLevel::kWarn, common::LogEvent::kSocketStale,
                  "the file of a stored socket has gone; a new one is made", {{"address", address->text()}});
      socket.place = Place::kLost;
    }
    result.sockets_.push_back(std::move(socket));
  }
  return result;
}

bool InheritedSockets::any_activated() const {
  return std::ranges::any_of(sockets_, [](const InheritedSocket& socket) { return !socket.stored; });
}

Result<void> InheritedSockets::add_descriptor(int fd) {
  const std::string name = "fd://" + std::to_string(fd);
  const auto is_it = [&](const InheritedSocket& socket) { return socket.fd.get() == fd; };
  if (std::ranges::any_of(sockets_, is_it)) return {};
  auto address = listening_address(fd);
  if (!address) return refuse(name, address.error().message);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  sockets_.push_back({.fd = common::UniqueFd(fd), .name = name, .address = *address});
  return {};
}

Result<std::vector<Address>> InheritedSockets::resolve(std::span<const std::string> bind) {
  std::vector<Address> addresses;
  const auto add = [&](const Address& address) {
    const auto is_it = [&](const Address& other) { return other.text() == address.text(); };
    if (std::ranges::none_of(addresses, is_it)) addresses.push_back(address);
  };
  for (const std::string& text : bind) {
    const auto target = common::parse_bind_target(text);
    if (!target) return std::unexpected(target.error());
    if (const auto* address = std::get_if<Address>(&*target)) addresses.push_back(*address);
    if (const auto* passed = std::get_if<common::PassedDescriptor>(&*target)) {
      if (auto added = add_descriptor(passed->fd); !added) return std::unexpected(added.error());
      for (const InheritedSocket& socket : sockets_) {
        if (socket.fd.get() == passed->fd) add(socket.address);
      }
    }
    const auto* activated = std::get_if<common::ActivatedSockets>(&*target);
    if (activated == nullptr) continue;
    std::size_t found = 0;
    for (const InheritedSocket& socket : sockets_) {
      if (socket.stored || (!activated->name.empty() && socket.name != activated->name)) continue;
      add(socket.address);
      ++found;
    }
    if (found > 0) continue;
    std::string names;
    for (const InheritedSocket& socket : sockets_) {
      if (!socket.stored) names += (names.empty() ? "; there are: " : ", ") + socket.name;
    }
    return common::fail("listen on " + text + ": no such socket was passed to the supervisor (LISTEN_FDS)" +
                        (names.empty() ? "; start it by its socket unit, or give an address" : names));
  }
  return addresses;
}

std::optional<std::uint32_t> InheritedSockets::slots_for(std::span<const Address> addresses) const {
  std::uint32_t most = 0;
  for (const Address& address : addresses) {
    if (address.kind != AddressKind::kTcp) continue;
    const auto sockets = std::ranges::count_if(
        sockets_, [&](const InheritedSocket& socket) { return !socket.stored && serves(socket, address); });
    most = std::max(most, static_cast<std::uint32_t>(sockets));
  }
  return most > 1 ? std::optional(most) : std::nullopt;
}

bool InheritedSockets::serves(const InheritedSocket& socket, const Address& address) const {
  if (socket.place == Place::kLost) return false;
  if (socket.address.text() == address.text()) return true;
  return socket.stored && address.kind == AddressKind::kTcp && address.port() == 0 &&
         socket.stored->asked == encode_text(address.text());
}

std::vector<InheritedSocket> InheritedSockets::take(const Address& address) {
  std::vector<InheritedSocket> taken;
  const auto first = std::ranges::find_if(sockets_, [&](const auto& socket) { return serves(socket, address); });
  if (first == sockets_.end()) return taken;
  const std::string bound = first->address.text();
  for (InheritedSocket& socket : sockets_) {
    if (socket.place == Place::kHeld && socket.address.text() == bound) taken.push_back(std::move(socket));
  }
  std::erase_if(sockets_, [](const InheritedSocket& socket) { return !socket.fd; });
  return taken;
}

bool InheritedSockets::has(const Address& address) const {
  return std::ranges::any_of(sockets_, [&](const auto& socket) { return serves(socket, address); });
}

bool InheritedSockets::overlap(const Address& address) const {
  return std::ranges::any_of(
      sockets_, [&](const auto& socket) { return socket.address.covers(address) || address.covers(socket.address); });
}

std::vector<InheritedSocket> InheritedSockets::take_rest() { return std::exchange(sockets_, {}); }

}  // namespace master
