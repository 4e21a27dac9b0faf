// FdLedger: for each descriptor of one worker, who opened it, when and where; the worker writes, the master reads.
//
// It lies in shared memory (common/worker_memory.h), so a worker that hangs can be explained from outside. An entry
// speaks of the descriptor number, not of what is open there now: a descriptor closed behind our back (by a raw system
// call) leaves a stale entry until the number is used again, so readers ask /proc/PID/fd first what is open at all.
//
// Threads: any thread of the worker notes and forgets; every access is a relaxed atomic, because an entry communicates
// nothing but itself. A reader may see an entry half changed; it is a report, not a lock.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/clock.h"

namespace common {

enum class FdOwner : std::uint8_t {
  kUnknown,  // nobody noted it: the application's, opened while nobody looked
  kServer,
  kApplication,
};

// What the server uses a descriptor of its own for.
enum class FdRole : std::uint8_t { kNone, kConnection, kListener, kRing, kChannel, kSignals, kReserve, kLog };
std::string_view role_name(FdRole role);

// When an application's descriptor came to be, as far as it matters for leaks.
enum class FdSince : std::uint8_t {
  kServing,  // after the worker was ready: counts as growth
  kStart,  // before: part of the baseline
};

inline constexpr std::size_t kStackFramesMax = 16;
inline constexpr std::uint32_t kNoStack = 0;

// One place from which descriptors are opened: return addresses, innermost first, of the process that noted them.
struct FdStack {
  std::atomic<std::uint64_t> key;  // what the finder derived it from; 0 = free
  std::atomic<std::uint32_t> depth;  // frames that are valid; 0 = being written
  std::array<std::atomic<std::uint64_t>, kStackFramesMax> frames;
};

struct FdEntry {
  std::atomic<std::uint64_t> opened_at_ns;  // steady_clock; 0 = unknown
  std::atomic<std::uint32_t> stack;  // 1 + index into the stacks; kNoStack = unknown
  std::atomic<std::uint32_t> tags;  // owner | role << 8 | since << 16
};

// A copy of an entry that stands still.
struct FdNote {
  FdOwner owner = FdOwner::kUnknown;
  FdRole role = FdRole::kNone;
  FdSince since = FdSince::kServing;
  std::optional<TimePoint> opened_at{};
  std::vector<std::uint64_t> stack{};  // empty = unknown
};

// All but read() is async-signal-safe. A view; the memory is WorkerMemory's. Descriptors past the end are not noted,
// and read as unknown.
class FdLedger {
 public:
  FdLedger() = default;  // of no descriptors: notes nothing
  FdLedger(std::span<FdEntry> entries, std::span<FdStack> stacks) : entries_(entries), stacks_(stacks) {}

  void note_server(int fd, FdRole role, TimePoint now) const;
  void note_application(int fd, std::uint64_t opened_at_ns, std::uint32_t stack) const;
  void forget(int fd) const;  // before it is closed: afterwards the number may be somebody else's already
  void forget_range(unsigned first, unsigned last) const;  // inclusive, as close_range(2)
  // The worker is ready: `fd` was open before and, unless it is the server's, is the application's.
  void mark_baseline(int fd) const;

  FdNote read(int fd) const;
  // Whether there is anything to forget; inline, because every close(2) of an application asks.
  bool is_noted(int fd) const {
    const FdEntry* const found = entry(fd);
    return found != nullptr && found->tags.load(std::memory_order_relaxed) != 0;
  }
  bool is_server(int fd) const {
    const FdEntry* const found = entry(fd);
    return found != nullptr &&
           (found->tags.load(std::memory_order_relaxed) & 0xff) == static_cast<std::uint32_t>(FdOwner::kServer);
  }

  // The index + 1 of the stack with this key, or kNoStack; lock-free, open addressing.
  std::uint32_t find_stack(std::uint64_t key) const;
  // Adds it; kNoStack when the table is full. Two threads that add the same key at once get the same answer.
  std::uint32_t add_stack(std::uint64_t key, std::span<const std::uint64_t> frames) const;

  std::size_t descriptors() const { return entries_.size(); }

 private:
  // nullptr past the end
  FdEntry* entry(int fd) const {
    return static_cast<std::uint32_t>(fd) < entries_.size() ? &entries_[static_cast<std::uint32_t>(fd)] : nullptr;
  }

  std::span<FdEntry> entries_;
  std::span<FdStack> stacks_;
};

}  // namespace common
