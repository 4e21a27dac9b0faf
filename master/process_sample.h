// ProcessSample: what /proc tells of a process from outside, also of one that hangs.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "common/result.h"

namespace master {

struct ProcessSample {
  std::uint64_t fds = 0;        // open descriptors
  std::uint64_t rss_bytes = 0;
  std::uint64_t cpu_ns = 0;     // user and system, since its start; in steps of a clock tick (10 ms)
};

// A few microseconds, however many descriptors the process has (Linux 6.2; older kernels are asked for a list).
common::Result<ProcessSample> sample_process(pid_t pid);

// Proportional set size in bytes; 0 if it cannot be read. Walks the page tables: dear, for status requests only.
std::uint64_t read_pss(pid_t pid);

}  // namespace master
