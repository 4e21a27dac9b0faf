// FdTrace: from a call of libc to a note in the ledger.
#include "worker/fd_trace.h"

#include <pthread.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <optional>

#include "worker/call_stack.h"

// The limits of the program's code, from the linker.
extern "C" const char program_begin __asm__("__executable_start");
extern "C" const char program_end __asm__("etext");

namespace worker {

// The libc functions we define have no context but these.
struct FdTracer {
  common::FdLedger ledger;
  std::atomic<common::TraceSwitch>* trace = nullptr;
  pid_t process = 0;
};
constinit std::atomic<FdTracer*> active_tracer{nullptr};
constinit std::atomic<common::PollWatch*> active_poll_watch{nullptr};

namespace {

constinit FdTracer tracer;

// True while this thread is inside note_opened(): what unwinding or a signal handler opens meanwhile is not noted.
constinit thread_local bool noting = false;

bool is_ours(const void* return_address) {
  const auto address = reinterpret_cast<std::uintptr_t>(return_address);
  return address >= reinterpret_cast<std::uintptr_t>(&program_begin) &&
         address < reinterpret_cast<std::uintptr_t>(&program_end);
}

// Which stack in the ledger a CallKey has led to. A word is the key with its lower bits, which are the word's own
// number, replaced by the stack: so one load tells all, and no lock is needed. A key that another displaced is
// unwound again.
class PlaceCache {
 public:
  // The stack, or nullopt for a key it does not know. kNoStack = there was no room for it in the ledger.
  std::optional<std::uint32_t> find(std::uint64_t key) const {
    const std::uint64_t word = words_[key & kMask].load(std::memory_order_relaxed);
    if (word == 0 || ((word ^ key) & ~kMask) != 0) return std::nullopt;
    return static_cast<std::uint32_t>(word & kMask);
  }
  void set(std::uint64_t key, std::uint32_t stack) {
    words_[key & kMask].store((key & ~kMask) | stack, std::memory_order_relaxed);
  }
  void clear() {
    for (auto& word : words_) word.store(0, std::memory_order_relaxed);
  }

 private:
  static constexpr std::uint64_t kMask = 8191;
  static_assert(common::kStacksMax <= kMask);
  std::array<std::atomic<std::uint64_t>, kMask + 1> words_{};
};
constinit PlaceCache places;

std::uint32_t unwind(const CallSite& site, std::uint64_t key) {
  const int saved = errno;
  std::array<std::uint64_t, common::kStackFramesMax> room;
  const std::span<const std::uint64_t> frames(room.data(), unwind_from(site.return_address, room));
  learn_code(frames);
  std::uint64_t identity = 0;
  for (const std::uint64_t frame : frames) identity = mixed(identity, frame);
  std::uint32_t stack = tracer.ledger.find_stack(identity);
  if (stack == common::kNoStack) stack = tracer.ledger.add_stack(identity, frames);
  places.set(key, stack);
  errno = saved;
  return stack;
}

std::uint64_t coarse_now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);  // steady_clock's, some milliseconds late, at a quarter of the price
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

// Its descriptors are its own business; the memory is its parent's.
void on_forked_child() { fd_trace_end(); }

}  // namespace

void fd_trace_begin(const common::WorkerMemory& memory, common::FdTrace mode) {
  fd_trace_end();
  // Registered once; pthread_atfork(3) has no counterpart.
  [[maybe_unused]] static const int registered = pthread_atfork(nullptr, nullptr, on_forked_child);
  if (tracer.process != 0) places.clear();  // they speak of another ledger
  tracer = {.ledger = memory.ledger(), .trace = &memory.trace(), .process = getpid()};
  call_key_begin();
  survive_broken_stacks();
  std::array<std::uint64_t, 1> frame;
  unwind_from(__builtin_return_address(0), frame);  // the unwinder's own preparations
  active_poll_watch.store(&memory.polls(), std::memory_order_release);
  if (mode == common::FdTrace::kAlways) memory.trace().store(common::TraceSwitch::kOn, std::memory_order_relaxed);
  if (mode != common::FdTrace::kOff) active_tracer.store(&tracer, std::memory_order_release);
}

void fd_trace_end() {
  active_tracer.store(nullptr, std::memory_order_release);
  active_poll_watch.store(nullptr, std::memory_order_release);
}

void note_opened(int fd, const CallSite& site) {
  const FdTracer* const active = active_tracer.load(std::memory_order_acquire);
  if (active == nullptr || active->trace->load(std::memory_order_relaxed) != common::TraceSwitch::kOn) return;
  if (fd < 0 || noting || is_ours(site.return_address)) return;
  noting = true;
  const std::uint64_t key = call_key(site);
  const std::optional<std::uint32_t> known = places.find(key);
  const std::uint32_t stack = known ? *known : unwind(site, key);
  active->ledger.note_application(fd, coarse_now_ns(), stack);
  noting = false;
}

void note_closing(int fd, const CallSite& site) {
  const FdTracer* const active = active_tracer.load(std::memory_order_acquire);
  if (active == nullptr || !active->ledger.is_noted(fd)) return;
  // An application that closes what is the server's is rare; a vfork(2) child that does is not, and is to be let.
  if (active->ledger.is_server(fd) && !is_ours(site.return_address) && !is_traced_process()) return;
  active->ledger.forget(fd);
}

void note_closing_range(unsigned first, unsigned last) {
  const FdTracer* const active = active_tracer.load(std::memory_order_acquire);
  if (active != nullptr && is_traced_process()) active->ledger.forget_range(first, last);
}

void note_poll_return(int epoll_fd, std::uint32_t events, std::uint64_t data, const CallSite& site) {
  common::PollWatch* const watch = active_poll_watch.load(std::memory_order_acquire);
  if (watch == nullptr || is_ours(site.return_address)) return;
  constexpr auto kRelaxed = std::memory_order_relaxed;
  const bool is_same = watch->epoll_fd.load(kRelaxed) == epoll_fd && watch->data.load(kRelaxed) == data &&
                       watch->events.load(kRelaxed) == events;
  watch->same.store(is_same ? watch->same.load(kRelaxed) + 1 : 1, kRelaxed);
  watch->epoll_fd.store(epoll_fd, kRelaxed);
  watch->data.store(data, kRelaxed);
  watch->events.store(events, kRelaxed);
  watch->returns.fetch_add(1, kRelaxed);
}

bool is_traced_process() { return getpid() == tracer.process; }

}  // namespace worker
