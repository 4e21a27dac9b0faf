// OwnStack: the part of memory that may be read as the stack of the calling thread.
#pragma once

#include <cstdint>

namespace worker {

struct StackBounds {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;

  bool contain(std::uintptr_t address) const { return begin <= address && address < end; }
};

// A hook on libc has no context but these. Constant from the start: no thread has to construct its own.
extern constinit StackBounds main_stack;
extern constinit thread_local StackBounds thread_stack;

// Learns the main thread's; before the others.
void own_stack_begin();
std::uintptr_t look_up_own_stack_end(std::uintptr_t address);

// The end of the calling thread's stack if `address`, which lies in a frame of the caller, is on it: everything between
// can be read. 0 if it is somewhere else, as on the stack of a signal handler or of a fibre, or unknown.
//
// Async-signal-safe, for pthread_getattr_np(3) allocates; the first call of a thread reads /proc/self/maps (50 us).
inline std::uintptr_t own_stack_end(std::uintptr_t address) {
  if (main_stack.contain(address)) return main_stack.end;
  return thread_stack.contain(address) ? thread_stack.end : look_up_own_stack_end(address);
}

}  // namespace worker
