// CallStack: one walk of the unwinder.
#include "worker/call_stack.h"

#include <unwind.h>

namespace worker {
namespace {

constexpr std::size_t kSkippedMax = 32;  // frames of ours further in than `first`; in truth about four

struct Walk {
  std::uintptr_t first;
  std::span<std::uint64_t> frames;
  std::size_t depth = 0;
  std::size_t skipped = 0;
};

_Unwind_Reason_Code on_frame(_Unwind_Context* context, void* argument) {
  Walk& walk = *static_cast<Walk*>(argument);
  const std::uintptr_t address = _Unwind_GetIP(context);
  if (walk.depth == 0 && address != walk.first) {
    return ++walk.skipped < kSkippedMax ? _URC_NO_REASON : _URC_END_OF_STACK;
  }
  if (address == 0) return _URC_END_OF_STACK;
  walk.frames[walk.depth++] = address;
  return walk.depth < walk.frames.size() ? _URC_NO_REASON : _URC_END_OF_STACK;
}

}  // namespace

std::size_t unwind_from(const void* first, std::span<std::uint64_t> frames) {
  if (frames.empty()) return 0;
  Walk walk{.first = reinterpret_cast<std::uintptr_t>(first), .frames = frames};
  _Unwind_Backtrace(on_frame, &walk);
  if (walk.depth == 0) frames[walk.depth++] = walk.first;
  return walk.depth;
}

}  // namespace worker
