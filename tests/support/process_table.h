// ProcessTable: what /proc says about processes, so that a server is judged from outside and not by its own word.
//
// Every function reads /proc anew; about a process that is gone they say "nothing" (0, empty or nullopt).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"

namespace support {

struct ProcessEntry {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t session = 0;
  char state = '?';  // 'Z' = dead and not waited for; proc(5)
  common::Duration cpu{0};
};

std::optional<ProcessEntry> process(pid_t pid);
// Processes of the session, and those whose environment holds `marker` ("NAME=VALUE") although they left the session.
std::vector<ProcessEntry> processes_of(pid_t session, std::string_view marker);
std::vector<pid_t> children_of(pid_t parent);

std::size_t open_files(pid_t pid);
// The fewest of some moments: without a control connection that is about to close.
std::size_t open_files_at_rest(pid_t pid);
std::set<std::uint64_t> socket_inodes(pid_t pid);
// TCP sockets in state LISTEN that the process has open, v4 and v6.
std::set<std::uint64_t> listening_inodes(pid_t pid);

bool maps_file(pid_t pid, std::string_view name);
std::uint64_t voluntary_switches(pid_t pid);  // of its main thread: one per sleep it was woken from
std::uint64_t involuntary_switches(pid_t pid);  // of its main thread: work that came before it could sleep
std::uint64_t private_bytes(pid_t pid);       // USS: Private_* of smaps_rollup
// Heap, stacks and what else a process has written. Unlike USS the same while it has a child that shares all of it.
std::uint64_t anonymous_bytes(pid_t pid);

std::string read_text(const std::string& path);

}  // namespace support
