// CrashSignal: blocked until the handler's return unblocks it.
#include "worker/crash_signal.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace worker {

void deliver_again(int signal, const siginfo_t& info) {
  sigset_t same;
  sigemptyset(&same);
  sigaddset(&same, signal);
  pthread_sigmask(SIG_BLOCK, &same, nullptr);
  const auto thread = syscall(SYS_gettid);
  siginfo_t copy = info;
  if (syscall(SYS_rt_tgsigqueueinfo, getpid(), thread, signal, &copy) == 0) return;
  syscall(SYS_tgkill, getpid(), thread, signal);  // a sandbox may know this one alone
}

void die_of(int signal, const siginfo_t& info) {
  struct sigaction plain{};
  plain.sa_handler = SIG_DFL;
  sigaction(signal, &plain, nullptr);
  deliver_again(signal, info);
}

}  // namespace worker
