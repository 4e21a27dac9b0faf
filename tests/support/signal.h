// Signal: kill(2) for a process that a test has looked up.
#pragma once

#include <sys/types.h>

#include <csignal>

namespace support {

// False if it was not sent. A process that was not found has the pid 0 or -1, which kill(2) takes for the whole group
// of the test and for every process of the machine: neither is ever signalled.
inline bool send_signal(pid_t pid, int number) { return pid > 0 && ::kill(pid, number) == 0; }

}  // namespace support
