// CallKey: one pass over the words of the stack, with a map of the pages that hold code.
#include "worker/call_key.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "worker/dynamic_linker.h"
#include "worker/own_stack.h"

// Reads words of frames that are not its own.
#define READS_FOREIGN_FRAMES __attribute__((no_sanitize("address", "thread", "undefined"), noinline))

namespace worker {
namespace {

// Frames that open descriptors are small; behind a std::ifstream the caller is among the first 12 words. Where
// the application's frames are large, the chain reaches further out.
constexpr std::size_t kScannedWords = 24;
constexpr std::size_t kFoundMax = 6;  // addresses in the key, together

// Libraries lie close together, below and a little above libc; so do not others' stacks, heaps and the program.
constexpr std::uintptr_t kPage = 4096;
constexpr std::uintptr_t kBelowLibc = std::uintptr_t{896} << 20U;
constexpr std::size_t kPages = (std::size_t{1} << 30U) / kPage;

class CodeMap {
 public:
  void begin() {
    origin_ = (reinterpret_cast<std::uintptr_t>(&::getpid) - kBelowLibc) / kPage * kPage;
    std::array<CodeRange, 256> ranges;
    const std::size_t count = code_of_all(ranges);
    for (std::size_t i = 0; i < count; ++i) add(ranges[i]);
  }

  void add(const CodeRange& range) {
    for (std::uintptr_t page = range.begin; page < range.end; page += kPage) {
      const std::uintptr_t index = (page - origin_) / kPage;
      if (index < kPages) words_[index / 64].fetch_or(std::uint64_t{1} << (index % 64), std::memory_order_relaxed);
    }
  }

  bool contains(std::uintptr_t address) const {
    const std::uintptr_t index = (address - origin_) / kPage;
    return index < kPages && (words_[index / 64].load(std::memory_order_relaxed) >> (index % 64) & 1) != 0;
  }

 private:
  std::uintptr_t origin_ = 0;
  std::array<std::atomic<std::uint64_t>, kPages / 64> words_{};
};

constinit CodeMap code;  // a hook has no context but this; 32 KiB, of which the pages in use exist

}  // namespace

void call_key_begin() {
  own_stack_begin();
  code.begin();
}

READS_FOREIGN_FRAMES std::uint64_t call_key(const CallSite& site) {
  std::uint64_t key = mixed(0, reinterpret_cast<std::uintptr_t>(site.return_address));
  const auto here = reinterpret_cast<std::uintptr_t>(site.frame);
  const std::uintptr_t end = own_stack_end(here);
  if (end == 0 || end - here < 2 * sizeof(std::uintptr_t)) return key | 1;
  key = mixed(key, end - here);
  // One multiplication a word: this runs at every open(2).
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15ULL;
  const std::uintptr_t* const caller = site.frame + 2;
  const std::size_t words = std::min<std::size_t>((end - here) / sizeof(std::uintptr_t) - 2, kScannedWords);
  std::uint64_t near = 0;
  std::size_t found = 0;
  for (std::size_t i = 0; i < words && found < kFoundMax; ++i) {
    if (!code.contains(caller[i])) continue;
    near = near * kOdd + caller[i];
    ++found;
  }
  std::uint64_t chain = 0;
  const std::uintptr_t* record = site.frame;
  for (std::size_t i = found; i < kFoundMax; ++i) {
    const std::uintptr_t next = record[0];
    const bool is_further_out = next > reinterpret_cast<std::uintptr_t>(record) && next < end - 2 * sizeof next;
    if (!is_further_out || next % sizeof next != 0) break;
    record = reinterpret_cast<const std::uintptr_t*>(next);
    if (!code.contains(record[1])) break;
    chain = chain * kOdd + record[1];
  }
  return mixed(mixed(key, near), chain) | 1;
}

void learn_code(std::span<const std::uint64_t> frames) {
  for (const std::uint64_t frame : frames) {
    if (code.contains(frame)) continue;
    std::array<CodeRange, 4> ranges;
    const std::size_t count = code_around(frame, ranges);
    for (std::size_t i = 0; i < count; ++i) code.add(ranges[i]);
  }
}

}  // namespace worker
