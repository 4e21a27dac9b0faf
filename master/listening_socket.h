// ListeningSocket: one socket bound to an address, with the checks that tell an operator what is in the way.
//
// Binding and listening are two steps: a socket that is bound holds its address, but clients are refused there as if
// nobody had it. Every error names the address, the reason and the fix. Only wait_until_free() blocks.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "common/address.h"
#include "common/clock.h"
#include "common/owned_path.h"
#include "common/result.h"
#include "common/unique_fd.h"
#include "master/file_owner.h"

namespace master {

enum class Holder { kNobody, kSomebody };

// Who listens at `address`, this process included; on a TCP port also who listens there on every interface.
common::Result<Holder> find_holder(const common::Address& address);

// Start-up only: blocks until nobody listens there, or gives up with EADDRINUSE.
common::Result<void> wait_until_free(const common::Address& address, common::TimePoint give_up_at);

// The same address twice, port 0 excepted, would be one group with two sockets for each slot.
common::Result<void> check_distinct(std::span<const common::Address> addresses);

// For a group of sockets that share a port (SO_REUSEPORT). Afterwards the port of `address` is a real one. The socket
// stays our user's, whoever serves it: the kernel lets nobody join a group of another user.
common::Result<common::UniqueFd> bind_tcp(common::Address& address);

// What bind_tcp() does for what will be accepted, for a socket that somebody else has bound.
void adopt_options(int fd, const common::Address& address);

// Whether sockets of ours beside this one would get a part of its clients. That they can be bound is not enough: those
// of a socket unit lie in another network namespace if the service has PrivateNetwork=.
common::Result<void> check_joinable(int fd);

struct BoundUnix {
  common::UniqueFd fd;
  std::optional<common::OwnedPath> path;  // none for an abstract name
};

// Removes a stale file. Changes the umask for a moment: for a process of one thread.
common::Result<BoundUnix> bind_unix(const common::Address& address, std::optional<FileOwner> owner);

// Or, if it listens already, changes its backlog.
common::Result<void> start_listening(int fd, const common::Address& address, std::uint32_t backlog);

std::unexpected<common::Error> in_use(const common::Address& address);

}  // namespace master
