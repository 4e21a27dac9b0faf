// WorkerSignals: handlers that only record and wake.
#include "worker/worker_signals.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <utility>

#include "common/high_fd.h"

namespace worker {
namespace {

// Handlers can reach nothing but globals; written in install() before the handlers exist.
volatile std::sig_atomic_t wish = 0;
int wake_fd = -1;
pid_t master_pid = 0;
unsigned orphan_seconds = 0;

// A service manager that stops a unit sends TERM to every process of it (systemd.kill(5), KillMode=control-group), to
// the master too, who then decides when which worker drains: at once, or after stop.delay.
bool is_meant_for_us(const siginfo_t& info) {
  return info.si_pid == master_pid || info.si_pid == getpid() || getppid() != master_pid;
}

void on_signal(int signal, siginfo_t* info, void*) {
  if (!is_meant_for_us(*info)) return;
  const int saved = errno;
  const int before = wish;
  wish = std::max(before, static_cast<int>(signal == SIGQUIT ? SignalWish::kLeave : SignalWish::kDrain));
  if (getppid() != master_pid) alarm(orphan_seconds);
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd, &one, sizeof one);  // full = it is awake already
  errno = saved;
}

void handle(int signal, void (*disposition)(int)) {
  struct sigaction action{};
  action.sa_handler = disposition;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

void heed(int signal) {
  struct sigaction action{};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_RESTART | SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

}  // namespace

common::Result<WorkerSignals> WorkerSignals::install(pid_t master, common::Duration stop_timeout) {
  common::UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return common::fail_errno("eventfd", errno);
  wake = common::move_high(std::move(wake));
  wake_fd = wake.get();
  master_pid = master;
  orphan_seconds = static_cast<unsigned>(std::chrono::ceil<std::chrono::seconds>(stop_timeout).count()) + 1;
  for (const int ignored : {SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGWINCH}) {
    handle(ignored, SIG_IGN);
  }
  for (const int plain : {SIGALRM, SIGCHLD}) handle(plain, SIG_DFL);
  for (const int heeded : {SIGTERM, SIGQUIT}) heed(heeded);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  return WorkerSignals(std::move(wake));
}

SignalWish WorkerSignals::take() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t length = read(wake_.get(), &count, sizeof count);
  return static_cast<SignalWish>(wish);  // only ever grows; heeding it twice does no harm
}

}  // namespace worker
