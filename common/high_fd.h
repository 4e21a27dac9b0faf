// HighFd: keeps the server's descriptors out of the low numbers, which an application's select(2) needs.
#pragma once

#include "common/unique_fd.h"

namespace common {

// FD_SETSIZE: select(2) cannot name a descriptor from here on, and FD_SET of one silently writes past its array.
inline constexpr int kHighFdMin = 1024;

// The same open file under a number from kHighFdMin on; the low number is free again. Unchanged when the limit leaves
// less room above than below (RLIMIT_NOFILE under 2 * kHighFdMin), and when there is no descriptor to be had.
// Whatever was registered under the old number (epoll, a ring's operations) must be registered afterwards.
UniqueFd move_high(UniqueFd fd);

}  // namespace common
