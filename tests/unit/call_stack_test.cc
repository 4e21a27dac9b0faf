// CallStack: a walk that cannot go on ends there, and hurts nobody.
#include "worker/call_stack.h"

#include <gtest/gtest.h>

#include <array>
#include <csetjmp>
#include <csignal>
#include <cstdint>

namespace worker {
namespace {

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)

constinit std::jmp_buf back_to_test;
constinit std::size_t depth = 0;

[[gnu::noinline]] void walk() {
  std::array<std::uint64_t, 16> frames{};
  depth = unwind_from(__builtin_return_address(0), frames);
}

// Never returns: there is nowhere to return to.
[[gnu::noinline]] void fibre() {
  walk();
  std::longjmp(back_to_test, 1);
}

// As on a stack that a program made by hand: the outermost return address is no address of code.
[[gnu::noinline]] void run_with_return_address(std::uintptr_t address) {
  depth = 0;
  if (setjmp(back_to_test) != 0) return;
  asm volatile(
      "andq $-16, %%rsp\n"
      "pushq %0\n"
      "jmp *%1\n"
      :
      : "r"(address), "r"(&fibre)
      : "memory");
  __builtin_unreachable();
}

TEST(CallStack, EndsWhereAStackMadeByHandEnds) {
  survive_broken_stacks();
  for (const std::uintptr_t address : {std::uintptr_t{0xdeadbeef}, std::uintptr_t{1}, std::uintptr_t{0x7fff00000000}}) {
    run_with_return_address(address);
    EXPECT_GE(depth, 1U) << address;
    EXPECT_LE(depth, 3U) << address;
  }
}

TEST(CallStackDeathTest, LeavesFaultsThatAreNoWalksToWhoeverHadThem) {
  survive_broken_stacks();
  const volatile std::uintptr_t nowhere = 8;  // volatile: the compiler must not see what this is about
  EXPECT_EXIT(*reinterpret_cast<volatile int*>(nowhere) = 1, testing::KilledBySignal(SIGSEGV), "");
  EXPECT_EXIT(raise(SIGSEGV), testing::KilledBySignal(SIGSEGV), "");
}

#endif

}  // namespace
}  // namespace worker
