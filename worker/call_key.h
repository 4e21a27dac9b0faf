// CallKey: a number that tells one path of calls from another, without unwinding; about 0.1 us instead of 3.
//
// The return address alone does not tell paths apart: all that opens through one line of a library would look like the
// first that did. The chain of frame pointers ends at the first function that was built without them, as Debian's
// libstdc++ was. So the key is made of everything cheap that differs: the return address, how deep the stack is, every
// word near its top that points into code, and the chain as far as it holds. Words that an earlier call left behind
// change a key now and then; that costs another unwinding and no more.
#pragma once

#include <cstdint>
#include <span>

namespace worker {

// A call into libc as its hook sees it.
struct CallSite {
  const void* return_address;
  const std::uintptr_t* frame;  // the hook's own record: the caller's frame pointer, then the return address
};

void call_key_begin();

// Never 0. Async-signal-safe; reads nothing outside the calling thread's stack.
std::uint64_t call_key(const CallSite& site);

// Addresses that unwinding brought: of a library that was loaded later, perhaps. Async-signal-safe.
void learn_code(std::span<const std::uint64_t> frames);

// 64 bits from as many; each bit of the result depends on both.
constexpr std::uint64_t mixed(std::uint64_t key, std::uint64_t word) {
  key = (key ^ word) * 0x9e3779b97f4a7c15ULL;  // 2^64 divided by the golden ratio: an odd number without a pattern
  return key ^ (key >> 32U);
}

}  // namespace worker
