// AskBox: a question the master puts to a worker that may be stuck, and its answer; one at a time.
//
// The master writes the question, then sends kAskSignal to the worker's main thread; the signal handler does what is
// asked with async-signal-safe calls alone, writes the answer, and says kAsked on its channel. So it works while a
// handler of the application spins or blocks, and not while the thread is stuck in the kernel or blocks the signal.
#pragma once

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>

namespace common {

// A real-time signal: never used by the kernel, queued, and not one of those that applications commonly take.
inline int ask_signal() { return SIGRTMIN + 9; }

enum class Ask : std::uint32_t {
  kStack = 1,   // where is the main thread?
  kCloseFd,     // close(2) `fd`
  kShutdownFd,  // shutdown(2) `fd` in both directions
};

inline constexpr std::size_t kAskFramesMax = 64;

struct AskBox {
  // By the master, before the signal.
  std::atomic<std::uint64_t> question;  // number of the question; 0 = none yet
  std::atomic<Ask> ask;
  std::atomic<std::int32_t> fd;
  // By the worker.
  std::atomic<std::uint64_t> answered;  // number of the question that has been answered
  std::atomic<std::int32_t> errnum;     // 0 = done
  std::atomic<std::uint32_t> depth;     // of kStack
  // Innermost first: the instruction that was interrupted, then return addresses.
  std::array<std::atomic<std::uint64_t>, kAskFramesMax> frames;
};

}  // namespace common
