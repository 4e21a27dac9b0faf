// CrashContext: the registers of a thread that a signal interrupted, as far as its stack begins with them.
#pragma once

#include <ucontext.h>

#include <cstdint>

namespace worker {

struct CodePosition {
  std::uintptr_t program_counter = 0;
  std::uintptr_t stack_pointer = 0;
};

CodePosition position_of(const ucontext_t& context);
// Unwinding from a handler begins there.
void set_position(ucontext_t& context, const CodePosition& position);

// Where the thread would be had the function returned that it has just entered: where a call through a pointer to
// nowhere came from. Reads the stack, which may fault.
CodePosition caller_of(const ucontext_t& context);

}  // namespace worker
