// CrashBox: what a worker that dies of a fault says about it with its last breath.
//
// In the worker's shared memory (common/worker_memory.h), written once by a signal handler (worker/crash_recorder.h),
// read by the master after it has waited for the worker. Not every crash leaves one: SIGKILL cannot be caught, an
// application may catch its faults itself, and a thread of its own that has used up its stack has none left to tell.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace common {

inline constexpr std::size_t kCrashFramesMax = 64;
inline constexpr std::size_t kCrashModulesMax = 16;   // libraries that one stack leads through
inline constexpr std::size_t kModulePathMax = 512;    // bytes, with the NUL; a longer path is told as its beginning
inline constexpr std::size_t kIdentityBytes = 4096;   // of the beginning of a module

// A file that was mapped when the worker died. The handler asks the dynamic linker, so it knows what the worker loaded
// after its fork too; once a process has been waited for, the kernel cannot be asked any more.
struct CrashModule {
  std::atomic<std::uint64_t> begin;
  std::atomic<std::uint64_t> end;
  std::atomic<std::uint64_t> identity;  // identity_of() the beginning of it
  std::array<std::atomic<std::uint64_t>, kModulePathMax / sizeof(std::uint64_t)> path;  // text; "" = the program itself
};

enum class CrashStage : std::uint32_t {
  kNone,
  kBegun,  // nothing below is valid yet
  kRecorded,  // the facts are; frames and modules as many as are counted
};

struct CrashBox {
  std::atomic<CrashStage> stage;
  std::atomic<std::int32_t> signal;
  std::atomic<std::int32_t> code;  // siginfo_t::si_code
  std::atomic<std::int32_t> sender;  // a pid, if the signal was sent (code <= 0)
  std::atomic<std::int32_t> thread;  // that died
  std::atomic<std::uint32_t> depth;  // frames that are valid
  std::atomic<std::uint32_t> modules_count;
  std::atomic<std::uint64_t> address;  // siginfo_t::si_addr, if it was not sent
  std::atomic<std::uint64_t> stack_pointer;
  // Innermost first: the instruction that failed, then return addresses.
  std::array<std::atomic<std::uint64_t>, kCrashFramesMax> frames;
  std::array<CrashModule, kCrashModulesMax> modules;
};

// Tells whether a file is the one that was mapped: its first page has its build id, and its table of sections moves
// with nearly every change. Not against forgery (FNV-1a, a word at a time). Async-signal-safe.
constexpr std::uint64_t identity_of(std::span<const std::uint64_t> words) {
  std::uint64_t identity = 0xcbf29ce484222325;
  for (const std::uint64_t word : words) {
    identity = (identity ^ word) * 0x100000001b3;
    identity ^= identity >> 32;
  }
  return identity;
}

}  // namespace common
