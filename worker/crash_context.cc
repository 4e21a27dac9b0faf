// CrashContext: where each kind of machine keeps its registers.
#include "worker/crash_context.h"

namespace worker {

#if defined(__x86_64__)

CodePosition position_of(const ucontext_t& context) {
  return {.program_counter = static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RIP]),
          .stack_pointer = static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RSP])};
}

void set_position(ucontext_t& context, const CodePosition& position) {
  context.uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(position.program_counter);
  context.uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(position.stack_pointer);
}

// A call has pushed its return address, and no more.
CodePosition caller_of(const ucontext_t& context) {
  const std::uintptr_t top = position_of(context).stack_pointer;
  return {.program_counter = *reinterpret_cast<const std::uintptr_t*>(top),
          .stack_pointer = top + sizeof(std::uintptr_t)};
}

#elif defined(__aarch64__)

CodePosition position_of(const ucontext_t& context) {
  return {.program_counter = context.uc_mcontext.pc, .stack_pointer = context.uc_mcontext.sp};
}

void set_position(ucontext_t& context, const CodePosition& position) {
  context.uc_mcontext.pc = position.program_counter;
  context.uc_mcontext.sp = position.stack_pointer;
}

CodePosition caller_of(const ucontext_t& context) {
  constexpr int kLinkRegister = 30;
  return {.program_counter = context.uc_mcontext.regs[kLinkRegister], .stack_pointer = context.uc_mcontext.sp};
}

#elif defined(__riscv)

CodePosition position_of(const ucontext_t& context) {
  return {.program_counter = context.uc_mcontext.__gregs[REG_PC], .stack_pointer = context.uc_mcontext.__gregs[REG_SP]};
}

void set_position(ucontext_t& context, const CodePosition& position) {
  context.uc_mcontext.__gregs[REG_PC] = position.program_counter;
  context.uc_mcontext.__gregs[REG_SP] = position.stack_pointer;
}

CodePosition caller_of(const ucontext_t& context) {
  return {.program_counter = context.uc_mcontext.__gregs[REG_RA], .stack_pointer = position_of(context).stack_pointer};
}

#else
#error "say where this machine's ucontext_t keeps the program counter and the stack pointer"
#endif

}  // namespace worker
