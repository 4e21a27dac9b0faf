// FdLedger: notes as relaxed stores, and the table of stacks.
#include "common/fd_ledger.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

namespace common {
namespace {

constexpr std::uint32_t kOwnerMask = 0xff;
constexpr int kRoleShift = 8;
constexpr int kSinceShift = 16;

constexpr std::uint32_t tags_of(FdOwner owner, FdRole role, FdSince since) {
  return static_cast<std::uint32_t>(owner) | static_cast<std::uint32_t>(role) << kRoleShift |
         static_cast<std::uint32_t>(since) << kSinceShift;
}

// What lies in shared memory may be anything: a number that is none of ours reads as the first of its kind.
template <typename Enum>
constexpr Enum checked(std::uint32_t value, Enum last) {
  value &= kOwnerMask;
  return value <= static_cast<std::uint32_t>(last) ? static_cast<Enum>(value) : Enum{};
}

FdOwner owner_of(std::uint32_t tags) { return checked(tags, FdOwner::kApplication); }

// The tags say that the rest is valid, so they are cleared first and written last.
void write(FdEntry& entry, std::uint64_t opened_at_ns, std::uint32_t stack, std::uint32_t tags) {
  entry.stack.store(stack, std::memory_order_relaxed);
  entry.opened_at_ns.store(opened_at_ns, std::memory_order_relaxed);
  entry.tags.store(tags, std::memory_order_relaxed);
}

void clear(FdEntry& entry) {
  if (entry.tags.load(std::memory_order_relaxed) == 0) return;
  entry.tags.store(0, std::memory_order_relaxed);
  entry.stack.store(kNoStack, std::memory_order_relaxed);
  entry.opened_at_ns.store(0, std::memory_order_relaxed);
}

constexpr std::size_t kPage = 4096;
static_assert(kPage % sizeof(FdEntry) == 0);

// Gives the whole pages in it back to the system, which makes them zero: even reading a page of a sparse file that
// nobody has written would make it exist. Returns them; none if the memory is no shared file's.
std::span<FdEntry> drop_pages(std::span<FdEntry> entries) {
  const auto begin = reinterpret_cast<std::uintptr_t>(entries.data());
  const std::uintptr_t first = (begin + kPage - 1) / kPage * kPage;
  const std::uintptr_t last = (begin + entries.size_bytes()) / kPage * kPage;
  if (first >= last) return {};
  const int saved = errno;
  const bool dropped = madvise(reinterpret_cast<void*>(first), last - first, MADV_REMOVE) == 0;
  errno = saved;
  if (!dropped) return {};
  return entries.subspan((first - begin) / sizeof(FdEntry), (last - first) / sizeof(FdEntry));
}

// 0 marks a free place in the table.
std::uint64_t usable(std::uint64_t key) { return key == 0 ? 1 : key; }

}  // namespace

std::string_view role_name(FdRole role) {
  switch (role) {
    case FdRole::kNone: return "none";
    case FdRole::kConnection: return "connection";
    case FdRole::kListener: return "listener";
    case FdRole::kRing: return "ring";
    case FdRole::kChannel: return "channel";
    case FdRole::kSignals: return "signals";
    case FdRole::kReserve: return "reserve";
    case FdRole::kLog: return "log";
  }
  return "unknown";
}

void FdLedger::note_server(int fd, FdRole role, TimePoint now) const {
  FdEntry* const found = entry(fd);
  if (found != nullptr) write(*found, nanoseconds_of(now), kNoStack, tags_of(FdOwner::kServer, role, {}));
}

void FdLedger::note_application(int fd, std::uint64_t opened_at_ns, std::uint32_t stack) const {
  FdEntry* const found = entry(fd);
  if (found != nullptr) write(*found, opened_at_ns, stack, tags_of(FdOwner::kApplication, FdRole::kNone, {}));
}

void FdLedger::forget(int fd) const {
  FdEntry* const found = entry(fd);
  if (found != nullptr) clear(*found);
}

void FdLedger::forget_range(unsigned first, unsigned last) const {
  if (first > last || first >= entries_.size()) return;
  const std::size_t end = std::min<std::size_t>(last, entries_.size() - 1) + 1;
  const std::span<FdEntry> range = entries_.subspan(first, end - first);
  const std::span<FdEntry> dropped = drop_pages(range);
  const std::size_t before = dropped.empty() ? range.size() : static_cast<std::size_t>(&dropped[0] - &range[0]);
  for (FdEntry& each : range.first(before)) clear(each);
  for (FdEntry& each : range.subspan(before + dropped.size())) clear(each);
}

void FdLedger::mark_baseline(int fd) const {
  FdEntry* const found = entry(fd);
  if (found == nullptr || is_server(fd)) return;
  // What is noted already keeps its place and time.
  found->tags.store(tags_of(FdOwner::kApplication, FdRole::kNone, FdSince::kStart), std::memory_order_relaxed);
}

FdNote FdLedger::read(int fd) const {
  FdNote note;
  const FdEntry* const found = entry(fd);
  if (found == nullptr) return note;
  const std::uint32_t tags = found->tags.load(std::memory_order_relaxed);
  note.owner = owner_of(tags);
  if (note.owner == FdOwner::kUnknown) return note;
  note.role = checked(tags >> kRoleShift, FdRole::kLog);
  note.since = checked(tags >> kSinceShift, FdSince::kStart);
  const auto opened_at = static_cast<std::int64_t>(found->opened_at_ns.load(std::memory_order_relaxed));
  if (opened_at > 0) note.opened_at = TimePoint(std::chrono::nanoseconds(opened_at));
  const std::uint32_t place = found->stack.load(std::memory_order_relaxed);
  if (place == kNoStack || place > stacks_.size()) return note;
  const FdStack& stack = stacks_[place - 1];
  const std::size_t depth = std::min<std::size_t>(stack.depth.load(std::memory_order_acquire), kStackFramesMax);
  for (std::size_t i = 0; i < depth; ++i) note.stack.push_back(stack.frames[i].load(std::memory_order_relaxed));
  return note;
}

std::uint32_t FdLedger::find_stack(std::uint64_t key) const {
  key = usable(key);
  for (std::size_t probe = 0; probe < stacks_.size(); ++probe) {
    const std::size_t index = (key + probe) % stacks_.size();
    const std::uint64_t there = stacks_[index].key.load(std::memory_order_relaxed);
    if (there == key) return static_cast<std::uint32_t>(index + 1);
    if (there == 0) return kNoStack;
  }
  return kNoStack;
}

std::uint32_t FdLedger::add_stack(std::uint64_t key, std::span<const std::uint64_t> frames) const {
  key = usable(key);
  for (std::size_t probe = 0; probe < stacks_.size(); ++probe) {
    const std::size_t index = (key + probe) % stacks_.size();
    FdStack& stack = stacks_[index];
    std::uint64_t there = 0;
    if (stack.key.compare_exchange_strong(there, key, std::memory_order_relaxed)) {
      const std::size_t depth = std::min(frames.size(), kStackFramesMax);
      for (std::size_t i = 0; i < depth; ++i) stack.frames[i].store(frames[i], std::memory_order_relaxed);
      stack.depth.store(static_cast<std::uint32_t>(depth), std::memory_order_release);
      return static_cast<std::uint32_t>(index + 1);
    }
    if (there == key) return static_cast<std::uint32_t>(index + 1);
  }
  return kNoStack;
}

}  // namespace common
