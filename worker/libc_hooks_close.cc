// LibcHooks, ends: whatever closes descriptors by their number; and syscall(2), which opens and closes as well.
#include <fcntl.h>
#include <linux/close_range.h>
#include <mqueue.h>
#include <sys/syscall.h>

#include <array>
#include <climits>

#include "worker/libc_hooks.h"

namespace worker {
namespace {

// Afterwards, for it may have failed; and only if it closed, and closed for the whole process.
void closed_range(long result, unsigned first, unsigned last, unsigned flags) {
  const bool closed = result == 0 && (flags & (CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE)) == 0;
  if (is_tracing() && closed) note_closing_range(first, last);
}

// Calls that answer with a new descriptor and nothing else, among them those that libc has no function for. Not
// bpf(2), whose answer may be a plain 0; not those that fill an array, for which libc's functions are used.
constexpr std::array kOpeningCalls = {
#ifdef SYS_open
    SYS_open,           SYS_creat,         SYS_epoll_create,
    SYS_eventfd,        SYS_inotify_init,
#endif
#ifdef SYS_memfd_secret
    SYS_memfd_secret,
#endif
    SYS_accept,         SYS_accept4,       SYS_dup,
    SYS_dup3,           SYS_epoll_create1, SYS_eventfd2,
    SYS_fanotify_init,  SYS_inotify_init1, SYS_io_uring_setup,
    SYS_memfd_create,   SYS_mq_open,       SYS_open_by_handle_at,
    SYS_openat,         SYS_openat2,       SYS_perf_event_open,
    SYS_pidfd_getfd,    SYS_pidfd_open,    SYS_socket,
    SYS_timerfd_create, SYS_userfaultfd,
};
constexpr std::size_t kCallsMax = 512;
constexpr auto kOpens = [] {
  std::array<bool, kCallsMax> opens{};
  for (const long number : kOpeningCalls) opens[static_cast<std::size_t>(number)] = true;
  return opens;
}();

bool opens(long number, long argument) {
  if (number == SYS_fcntl) return argument == F_DUPFD || argument == F_DUPFD_CLOEXEC;
  return number >= 0 && static_cast<std::size_t>(number) < kCallsMax && kOpens[static_cast<std::size_t>(number)];
}

}  // namespace

LIBC_HOOK(int, close, int fd) {
  closing(fd, LIBC_CALL_SITE());
  return next_close(fd);
}
LIBC_HOOK(int, mq_close, mqd_t queue) {
  closing(queue, LIBC_CALL_SITE());
  return next_mq_close(queue);
}

LIBC_HOOK(int, close_range, unsigned first, unsigned last, int flags) {
  const int result = next_close_range(first, last, flags);
  closed_range(result, first, last, static_cast<unsigned>(flags));
  return result;
}
LIBC_HOOK(void, closefrom, int first) {
  next_closefrom(first);
  closed_range(0, first < 0 ? 0 : static_cast<unsigned>(first), UINT_MAX, 0);
}

LIBC_HOOK(long, syscall, long number, long a, long b, long c, long d, long e, long f) {
  if (is_tracing() && number == SYS_close) note_closing(static_cast<int>(a), LIBC_CALL_SITE());
  const long result = next_syscall(number, a, b, c, d, e, f);
  if (number == SYS_close_range) {
    closed_range(result, static_cast<unsigned>(a), static_cast<unsigned>(b), static_cast<unsigned>(c));
  }
  if (is_tracing() && result >= 0 && opens(number, b)) note_opened(static_cast<int>(result), LIBC_CALL_SITE());
  return result;
}

}  // namespace worker
