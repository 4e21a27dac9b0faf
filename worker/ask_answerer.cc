// AskAnswerer: nothing but async-signal-safe calls between a question and its answer.
#include "worker/ask_answerer.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "common/messages.h"
#include "worker/call_stack.h"

namespace worker {
namespace {

constexpr std::size_t kStackBytes = std::size_t{128} * 1024;  // the unwinder wants a tenth of it
constexpr std::size_t kGuardBytes = 4096;                     // mmap rounds up to what a page is here
constexpr auto kRelaxed = std::memory_order_relaxed;

// A signal handler has no context but globals; written before the handler exists.
struct Answering {
  common::AskBox* box = nullptr;
  common::FdLedger ledger;
  int channel = -1;
  pid_t process = 0;
  pid_t thread = 0;
  common::Message announcement;
};
constinit Answering answering;

pid_t this_thread() { return static_cast<pid_t>(syscall(SYS_gettid)); }

const void* interrupted_at(const ucontext_t& context) {
#if defined(__x86_64__)
  return reinterpret_cast<const void*>(context.uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return reinterpret_cast<const void*>(context.uc_mcontext.pc);
#elif defined(__riscv)
  return reinterpret_cast<const void*>(context.uc_mcontext.__gregs[REG_PC]);
#else
#error "say where this machine's ucontext_t keeps the program counter"
#endif
}

void take_stack(common::AskBox& box, const ucontext_t& context) {
  std::array<std::uint64_t, common::kAskFramesMax> frames;
  const std::size_t depth = unwind_from(interrupted_at(context), frames);
  for (std::size_t i = 0; i < depth; ++i) box.frames[i].store(frames[i], kRelaxed);
  box.depth.store(static_cast<std::uint32_t>(depth), kRelaxed);
}

// The system calls themselves: a sanitizer's or a hook's close(2) is no place to be in a handler.
int end_descriptor(common::Ask ask, int fd) {
  if (syscall(SYS_fcntl, fd, F_GETFD) < 0) return errno;
  if (answering.ledger.is_server(fd)) return EPERM;
  if (ask == common::Ask::kShutdownFd) return syscall(SYS_shutdown, fd, SHUT_RDWR) < 0 ? errno : 0;
  answering.ledger.forget(fd);
  return syscall(SYS_close, fd) < 0 ? errno : 0;
}

int answer(common::AskBox& box, const ucontext_t& context) {
  const common::Ask ask = box.ask.load(kRelaxed);
  switch (ask) {
    case common::Ask::kStack: take_stack(box, context); return 0;
    case common::Ask::kCloseFd:
    case common::Ask::kShutdownFd: return end_descriptor(ask, box.fd.load(kRelaxed));
  }
  return EINVAL;
}

void on_ask(int signal, siginfo_t*, void* context) {
  const int saved = errno;
  if (getpid() != answering.process) return;  // a child of the application, which inherited the handler
  if (this_thread() != answering.thread) {
    // Sent to the process while the main thread blocks it: the question is for that thread.
    syscall(SYS_tgkill, answering.process, answering.thread, signal);
    errno = saved;
    return;
  }
  common::AskBox& box = *answering.box;
  const std::uint64_t question = box.question.load(std::memory_order_acquire);
  if (question != box.answered.load(kRelaxed)) {  // else somebody else's signal
    box.depth.store(0, kRelaxed);
    box.errnum.store(answer(box, *static_cast<const ucontext_t*>(context)), kRelaxed);
    box.answered.store(question, std::memory_order_release);
    // A full channel does not matter: whoever reads it wakes up, and finds the answer in the box.
    syscall(SYS_sendto, answering.channel, &answering.announcement, offsetof(common::Message, text) + 1,
            MSG_DONTWAIT | MSG_NOSIGNAL, nullptr, 0);
  }
  errno = saved;
}

}  // namespace

common::Result<AskAnswerer> AskAnswerer::install(const common::WorkerMemory& memory, int channel_fd) {
  void* const room = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) return common::fail_errno("mmap of the signal stack", errno);
  AskAnswerer answerer({static_cast<std::byte*>(room), kStackBytes});
  mprotect(room, kGuardBytes, PROT_NONE);
  stack_t stack{};
  stack.ss_sp = room;
  stack.ss_size = kStackBytes;
  if (sigaltstack(&stack, nullptr) < 0) return common::fail_errno("sigaltstack", errno);

  answering.box = &memory.ask();
  answering.ledger = memory.ledger();
  answering.channel = channel_fd;
  answering.process = getpid();
  answering.thread = this_thread();
  answering.announcement.type = common::MessageType::kAsked;
  std::array<std::uint64_t, 1> frame;
  unwind_from(__builtin_return_address(0), frame);  // the unwinder's own preparations

  struct sigaction action{};
  action.sa_sigaction = on_ask;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  if (sigaction(common::ask_signal(), &action, nullptr) < 0) return common::fail_errno("sigaction", errno);
  sigset_t asked;
  sigemptyset(&asked);
  sigaddset(&asked, common::ask_signal());
  pthread_sigmask(SIG_UNBLOCK, &asked, nullptr);
  return answerer;
}

AskAnswerer::~AskAnswerer() {
  if (stack_.empty()) return;
  struct sigaction action{};
  action.sa_handler = SIG_IGN;
  sigaction(common::ask_signal(), &action, nullptr);
  stack_t installed{};
  sigaltstack(nullptr, &installed);
  if (installed.ss_sp == stack_.data()) {  // else the application has put its own in place
    installed.ss_flags = SS_DISABLE;
    sigaltstack(&installed, nullptr);
  }
  munmap(stack_.data(), stack_.size());
}

}  // namespace worker
