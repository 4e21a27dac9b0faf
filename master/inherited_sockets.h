// InheritedSockets: the listening sockets that this process was started with, until the listeners take them.
//
//   activated: bound by whoever started us (socket activation, fd://N): never removed, and not ours to give up
//   stored:    our own of an earlier run, which the service manager has kept (StoredName)
// They are told apart and found by name and by the address they are bound to, never by their position.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/address.h"
#include "common/bind_target.h"
#include "common/result.h"
#include "common/unique_fd.h"
#include "master/stored_name.h"
#include "master/systemd.h"

namespace master {

// kLost: the file by which clients found it has gone, or is another's. It serves no address; clients may wait in it.
enum class Place { kHeld, kLost };

struct InheritedSocket {
  common::UniqueFd fd;
  std::string name;  // "shop.socket", "fd://5", or that of the store
  common::Address address;
  std::optional<StoredName> stored{};  // none: activated. With a file and kHeld: `file` is complete
  Place place = Place::kHeld;
};

class InheritedSockets {
 public:
  InheritedSockets() = default;
  // An activated one that does not listen, or is no stream socket of TCP or AF_UNIX, is an error that names it. A
  // stored one like that is closed.
  static common::Result<InheritedSockets> examine(std::vector<PassedSocket> passed);

  bool any_activated() const;
  // Names that the store holds now, also of what was closed above, with the sockets' cookies.
  const std::vector<std::pair<std::string, std::uint64_t>>& stored_names() const { return stored_names_; }

  // What the texts of listen.bind stand for; fd://N becomes ours here. The error: there is no such socket.
  common::Result<std::vector<common::Address>> resolve(std::span<const std::string> bind);
  // How many workers these addresses are made for: the most activated sockets that one of them has, if several.
  std::optional<std::uint32_t> slots_for(std::span<const common::Address> addresses) const;

  // All that are bound there. For port 0: stored ones that were asked for like that, of one port.
  std::vector<InheritedSocket> take(const common::Address& address);
  bool has(const common::Address& address) const;
  // Whether one of them makes the address look taken.
  bool overlap(const common::Address& address) const;
  std::vector<InheritedSocket> take_rest();

 private:
  common::Result<void> add_descriptor(int fd);
  bool serves(const InheritedSocket& socket, const common::Address& address) const;

  std::vector<InheritedSocket> sockets_;
  std::vector<std::pair<std::string, std::uint64_t>> stored_names_;
};

// SO_COOKIE: never the same for two sockets of a host. 0 = unknown.
std::uint64_t cookie_of(int socket);

}  // namespace master
