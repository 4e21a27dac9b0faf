// ChildProcess: a process of a test that runs one function, in a session of its own and with limits of its own.
//
// The function runs in a copy of a process that may have threads: it may use system calls and execve(2), and little
// else. The process and all that it started are killed when the test ends.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>

#include "common/clock.h"

namespace incidents {

class ChildProcess {
 public:
  // `open_files` becomes both limits; none = those of the test.
  ChildProcess(const std::function<void()>& body, std::optional<std::uint64_t> open_files);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

// The part of one processor that a process used for `span`, from now on: 1 = all of it. Threads count together.
double processor_share(pid_t pid, common::Duration span);
// Whether it wants a processor for nearly all of some half second, before a deadline. What it gets is another matter on
// a machine that has other things to do: waiting for a processor counts as well.
bool spins(pid_t pid);

}  // namespace incidents
