// CrashRecorder: as little as possible, the surest first, and nothing that a fault in the middle could spoil.
#include "worker/crash_recorder.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csetjmp>
#include <csignal>

#include "worker/call_stack.h"
#include "worker/crash_context.h"
#include "worker/crash_signal.h"
#include "worker/dynamic_linker.h"

namespace worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::array<int, 5> kSignals = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

constexpr std::size_t kUnwindRoom = std::size_t{32} * 1024;  // the unwinder was seen to take 13 KiB of a signal stack
constexpr std::size_t kStackBytes = std::size_t{128} * 1024;  // beside what the kernel puts there
constexpr std::size_t kGuardBytes = 4096;  // mprotect rounds up to what a page is here
constexpr int kParkMilliseconds = 2000;

// A signal handler has no context but globals; written before the handler exists.
constinit common::CrashBox* box = nullptr;
constinit pid_t recorded_process = 0;

constexpr pid_t kNobody = 0;
constexpr pid_t kRecordedAlready = -1;
constinit std::atomic<pid_t> recorder{kNobody};  // the thread that records
sigjmp_buf give_up_recording;  // of that thread

// A small signal stack of the application's must not be overrun.
bool has_room_to_unwind() {
  stack_t current{};
  if (sigaltstack(nullptr, &current) < 0 || (current.ss_flags & SS_ONSTACK) == 0) return true;
  return reinterpret_cast<std::uintptr_t>(&current) - reinterpret_cast<std::uintptr_t>(current.ss_sp) > kUnwindRoom;
}

void record_facts(int signal, const siginfo_t& info, const CodePosition& at, pid_t thread) {
  box->stage.store(common::CrashStage::kBegun, kRelaxed);
  box->signal.store(signal, kRelaxed);
  box->code.store(info.si_code, kRelaxed);
  const bool was_sent = info.si_code <= 0;
  box->sender.store(was_sent ? info.si_pid : 0, kRelaxed);
  box->address.store(was_sent ? 0 : reinterpret_cast<std::uintptr_t>(info.si_addr), kRelaxed);
  box->thread.store(thread, kRelaxed);
  box->stack_pointer.store(at.stack_pointer, kRelaxed);
  box->frames[0].store(at.program_counter, kRelaxed);
  box->depth.store(1, kRelaxed);
  box->modules_count.store(0, kRelaxed);
  box->stage.store(common::CrashStage::kRecorded, std::memory_order_release);
}

void add_frames(std::span<const std::uint64_t> frames) {
  std::uint32_t depth = box->depth.load(kRelaxed);
  for (const std::uint64_t frame : frames) {
    if (depth == common::kCrashFramesMax) break;
    box->frames[depth++].store(frame, kRelaxed);
  }
  box->depth.store(depth, kRelaxed);
}

// Where no code is, no unwind tables are either: then the walk begins where the call came from. `context` is what the
// walk begins with; whoever calls this puts it back.
void record_frames(ucontext_t& context, const CodePosition& at) {
  std::array<std::uint64_t, common::kCrashFramesMax> frames;
  survive_broken_stacks();  // the fault has undone it
  if (object_around(at.program_counter)) {
    const std::size_t depth = unwind_from(reinterpret_cast<const void*>(at.program_counter), frames);
    return add_frames(std::span(frames).first(depth).subspan(1));
  }
  const CodePosition caller = caller_of(context);
  if (!object_around(caller.program_counter)) return;
  set_position(context, caller);
  add_frames(std::span(frames).first(unwind_from(reinterpret_cast<const void*>(caller.program_counter), frames)));
}

void record_path(common::CrashModule& module, const char* path) {
  std::size_t read = 0;
  bool is_over = false;
  for (auto& word : module.path) {
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < sizeof bytes; ++i, ++read) {
      is_over = is_over || path[read] == '\0' || read == common::kModulePathMax - 1;
      if (!is_over) reinterpret_cast<unsigned char*>(&bytes)[i] = static_cast<unsigned char>(path[read]);
    }
    word.store(bytes, kRelaxed);
    if (is_over) return;
  }
}

bool is_recorded(std::uintptr_t address, std::uint32_t count) {
  return std::ranges::any_of(std::span(box->modules).first(count), [&](const common::CrashModule& module) {
    return module.begin.load(kRelaxed) <= address && address < module.end.load(kRelaxed);
  });
}

void record_modules() {
  const std::uint32_t depth = box->depth.load(kRelaxed);
  std::uint32_t count = 0;
  for (std::uint32_t i = 0; i < depth && count < common::kCrashModulesMax; ++i) {
    const std::uintptr_t address = box->frames[i].load(kRelaxed);
    const auto object = is_recorded(address, count) ? std::nullopt : object_around(address);
    if (!object) continue;
    common::CrashModule& module = box->modules[count];
    module.begin.store(object->begin, kRelaxed);
    module.end.store(object->end, kRelaxed);
    record_path(module, object->path);
    const auto* const words = reinterpret_cast<const std::uint64_t*>(object->begin);
    module.identity.store(common::identity_of({words, common::kIdentityBytes / sizeof *words}), kRelaxed);
    box->modules_count.store(++count, std::memory_order_release);
  }
}

// A fault while this thread records (a stack or a heap that is all rubble): what is recorded by then has to do.
void record(int signal, const siginfo_t& info, ucontext_t& context, const CodePosition& at, pid_t thread) {
  record_facts(signal, info, at, thread);
  if (sigsetjmp(give_up_recording, 0) == 0) {  // without the mask: the handler blocks nothing (SA_NODEFER)
    if (has_room_to_unwind()) record_frames(context, at);
    record_modules();
  }
  set_position(context, at);
  recorder.store(kRecordedAlready, std::memory_order_release);
}

void on_crash(int signal, siginfo_t* info, void* context) {
  if (getpid() == recorded_process) {
    const auto thread = static_cast<pid_t>(syscall(SYS_gettid));
    pid_t present = kNobody;
    if (recorder.compare_exchange_strong(present, thread)) {
      auto& interrupted = *static_cast<ucontext_t*>(context);
      record(signal, *info, interrupted, position_of(interrupted), thread);
    } else if (present == thread) {
      siglongjmp(give_up_recording, 1);
    } else if (present != kRecordedAlready) {
      poll(nullptr, 0, kParkMilliseconds);  // another thread died first, and is about to end us all
    }
  }
  die_of(signal, *info);
}

void provide_signal_stack() {
  stack_t present{};
  if (sigaltstack(nullptr, &present) < 0 || (present.ss_flags & SS_DISABLE) == 0) return;
  const auto of_kernel = static_cast<std::size_t>(std::max<long>(sysconf(_SC_MINSIGSTKSZ), MINSIGSTKSZ));
  const std::size_t bytes = kStackBytes + of_kernel;
  void* const room = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) return;
  mprotect(room, kGuardBytes, PROT_NONE);
  stack_t stack{};
  stack.ss_sp = room;
  stack.ss_size = bytes;
  sigaltstack(&stack, nullptr);
}

}  // namespace

void record_crashes(const common::WorkerMemory& memory) {
  box = &memory.crash();
  recorded_process = getpid();
  recorder.store(kNobody, kRelaxed);
  provide_signal_stack();
  std::array<std::uint64_t, 1> frame;
  unwind_from(__builtin_return_address(0), frame);  // the unwinder's own preparations
  struct sigaction action{};
  action.sa_sigaction = on_crash;
  action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  for (const int signal : kSignals) {
    struct sigaction present{};
    if (sigaction(signal, nullptr, &present) == 0 && present.sa_handler == SIG_DFL) sigaction(signal, &action, nullptr);
  }
}

}  // namespace worker
