// AcceptQueue: the connections that the kernel has completed and nobody has accepted yet.
#pragma once

#include <cstdint>
#include <span>

namespace master {

// The sum over listening sockets. A unix socket counts as empty: the kernel does not tell.
std::uint64_t queued_on(std::span<const int> sockets);

}  // namespace master
