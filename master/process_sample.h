// ProcessSample: what the kernel tells of a process from outside, also of one that hangs.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "common/result.h"

namespace master {

struct ProcessSample {
  std::uint64_t fds = 0;  // open descriptors
  std::uint64_t rss_bytes = 0;
  std::uint64_t cpu_ns = 0;  // user and system of all threads, since its start; in steps of a clock tick (10 ms)
  // Time in which the main thread ran or could have run, had there been a free CPU: what it burns must not depend on
  // how busy the machine is. To the nanosecond; 0 = the kernel does not tell (no schedstat).
  std::uint64_t main_cpu_ns = 0;
  // Of the main thread, as in proc(5): R running, S waiting, D uninterruptible, T stopped, t traced, Z ended.
  char state = 'S';
  std::uint64_t open_files_soft = 0;  // RLIMIT_NOFILE; 0 = not allowed to ask (other uid, no CAP_SYS_RESOURCE)
};

// About 20 us, however many descriptors the process has (Linux 6.2; older kernels are asked for a list).
common::Result<ProcessSample> sample_process(pid_t pid);

// Proportional set size in bytes; 0 if it cannot be read. Walks the page tables: dear, for status requests only.
std::uint64_t read_pss(pid_t pid);

}  // namespace master
