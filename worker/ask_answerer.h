// AskAnswerer: answers the master's questions in a signal handler, so also while the application keeps the thread.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "common/result.h"
#include "common/worker_memory.h"

namespace worker {

// One per process. Before it is installed and after it is gone the master must not ask: an unhandled real-time signal
// ends a process.
class AskAnswerer {
 public:
  // In the main thread: questions are about it. Answers are announced on `channel_fd`. Gives the thread a signal stack
  // of its own, so that also a thread that has used up its stack can answer, and unblocks the signal.
  // OWNERSHIP: memory and channel stay until the process ends.
  static common::Result<AskAnswerer> install(const common::WorkerMemory& memory, int channel_fd);

  AskAnswerer(AskAnswerer&& other) noexcept : stack_(std::exchange(other.stack_, {})) {}
  AskAnswerer& operator=(AskAnswerer&&) = delete;
  ~AskAnswerer();  // from now on the signal is ignored

 private:
  explicit AskAnswerer(std::span<std::byte> stack) : stack_(stack) {}

  std::span<std::byte> stack_;  // mapped, with a page below it that cannot be touched
};

}  // namespace worker
