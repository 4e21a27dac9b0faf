// CallStack: one walk of the unwinder.
#include "worker/call_stack.h"

#include <unwind.h>

#include <array>
#include <csetjmp>
#include <csignal>

#include "worker/crash_signal.h"

namespace worker {
namespace {

// Behind a return address without unwind tables libgcc looks at the code there. At the end of a stack that a program
// made by hand (fibres) there need not be any: then the walk ends, instead of the program.
constinit thread_local sigjmp_buf* way_out = nullptr;  // of this thread's walk
struct Guarded {
  int signal;
  struct sigaction before;
};
constinit std::array<Guarded, 2> guarded = {{{SIGSEGV, {}}, {SIGBUS, {}}}};

// A fault of somebody else: as if we were not here. The instruction runs again, into whatever was there before us.
void on_fault(int signal, siginfo_t* info, void*) {
  if (way_out != nullptr && info->si_code > 0) siglongjmp(*way_out, 1);
  for (const Guarded& one : guarded) sigaction(one.signal, &one.before, nullptr);
  if (info->si_code <= 0) deliver_again(signal, *info);  // sent, so it would not come by itself
}

constexpr std::size_t kSkippedMax = 32;  // frames of ours further in than `first`; in truth about four

struct Walk {
  std::uintptr_t first;
  std::span<std::uint64_t> frames;
  volatile std::size_t depth = 0;  // read after a jump
  std::size_t skipped = 0;
};

_Unwind_Reason_Code on_frame(_Unwind_Context* context, void* argument) {
  Walk& walk = *static_cast<Walk*>(argument);
  const std::uintptr_t address = _Unwind_GetIP(context);
  if (walk.depth == 0 && address != walk.first) {
    return ++walk.skipped < kSkippedMax ? _URC_NO_REASON : _URC_END_OF_STACK;
  }
  if (address == 0) return _URC_END_OF_STACK;
  walk.frames[walk.depth] = address;
  walk.depth = walk.depth + 1;
  return walk.depth < walk.frames.size() ? _URC_NO_REASON : _URC_END_OF_STACK;
}

}  // namespace

std::size_t unwind_from(const void* first, std::span<std::uint64_t> frames) {
  if (frames.empty()) return 0;
  Walk walk{.first = reinterpret_cast<std::uintptr_t>(first), .frames = frames};
  sigjmp_buf here;
  sigjmp_buf* const outer = way_out;  // a walk in a signal handler may interrupt another one
  if (sigsetjmp(here, 0) == 0) {      // without the mask: the handler blocks nothing (SA_NODEFER)
    way_out = &here;
    _Unwind_Backtrace(on_frame, &walk);
  }
  way_out = outer;
  if (walk.depth > 0) return walk.depth;
  frames[0] = reinterpret_cast<std::uintptr_t>(first);
  return 1;
}

void survive_broken_stacks() {
  struct sigaction action{};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  for (Guarded& one : guarded) {
    struct sigaction present{};
    sigaction(one.signal, nullptr, &present);
    if ((present.sa_flags & SA_SIGINFO) != 0 && present.sa_sigaction == on_fault) continue;
    one.before = present;
    sigaction(one.signal, &action, nullptr);
  }
}

}  // namespace worker
