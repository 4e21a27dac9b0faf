// LeftOpen: what an application has not closed by the time its worker leaves.
#pragma once

#include <cstdint>
#include <string>

#include "common/fd_ledger.h"

namespace worker {

struct LeftOpen {
  std::uint32_t count = 0;
  std::string text;  // by kind, most first: "12 x anon_inode:[eventfd], 3 x socket, 1 x /var/tmp/a.png"; bounded
};

// The descriptors that are neither the server's nor part of the baseline. Reads /proc/self/fd.
LeftOpen find_left_open(const common::FdLedger& ledger);

}  // namespace worker
