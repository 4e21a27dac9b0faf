// LibcHooks, the rest of Linux: descriptors of counters, timers, watches, memory, processes and mounts; epoll's waits.
#include <csignal>
#include <ctime>

#include <sys/epoll.h>
#include <sys/types.h>

#include "worker/libc_hooks.h"

namespace worker {

LIBC_HOOK(int, eventfd, unsigned count, int flags) { return opened(next_eventfd(count, flags), LIBC_CALL_SITE()); }
LIBC_HOOK(int, epoll_create, int size) { return opened(next_epoll_create(size), LIBC_CALL_SITE()); }
LIBC_HOOK(int, epoll_create1, int flags) { return opened(next_epoll_create1(flags), LIBC_CALL_SITE()); }
LIBC_HOOK(int, timerfd_create, int clock, int flags) {
  return opened(next_timerfd_create(clock, flags), LIBC_CALL_SITE());
}
LIBC_HOOK(int, signalfd, int fd, const sigset_t* mask, int flags) {
  const int result = next_signalfd(fd, mask, flags);
  return fd == -1 ? opened(result, LIBC_CALL_SITE()) : result;  // else it changed the mask of `fd`
}
LIBC_HOOK(int, inotify_init, void) { return opened(next_inotify_init(), LIBC_CALL_SITE()); }
LIBC_HOOK(int, inotify_init1, int flags) { return opened(next_inotify_init1(flags), LIBC_CALL_SITE()); }
LIBC_HOOK(int, fanotify_init, unsigned flags, unsigned file_flags) {
  return opened(next_fanotify_init(flags, file_flags), LIBC_CALL_SITE());
}
LIBC_HOOK(int, memfd_create, const char* name, unsigned flags) {
  return opened(next_memfd_create(name, flags), LIBC_CALL_SITE());
}
LIBC_HOOK(int, pidfd_open, pid_t process, unsigned flags) {
  return opened(next_pidfd_open(process, flags), LIBC_CALL_SITE());
}
LIBC_HOOK(int, pidfd_getfd, int process, int fd, unsigned flags) {
  return opened(next_pidfd_getfd(process, fd, flags), LIBC_CALL_SITE());
}
LIBC_HOOK(int, fsopen, const char* name, unsigned flags) { return opened(next_fsopen(name, flags), LIBC_CALL_SITE()); }
LIBC_HOOK(int, fsmount, int fd, unsigned flags, unsigned attributes) {
  return opened(next_fsmount(fd, flags, attributes), LIBC_CALL_SITE());
}
LIBC_HOOK(int, fspick, int directory, const char* path, unsigned flags) {
  return opened(next_fspick(directory, path, flags), LIBC_CALL_SITE());
}
LIBC_HOOK(int, open_tree, int directory, const char* path, unsigned flags) {
  return opened(next_open_tree(directory, path, flags), LIBC_CALL_SITE());
}

static int returned(int epoll_fd, int count, const epoll_event* events, const CallSite& site) {
  if (count > 0 && active_poll_watch.load(std::memory_order_relaxed) != nullptr) {
    note_poll_return(epoll_fd, events[0].events, events[0].data.u64, site);
  }
  return count;
}
LIBC_HOOK(int, epoll_wait, int fd, epoll_event* events, int events_max, int timeout) {
  return returned(fd, next_epoll_wait(fd, events, events_max, timeout), events, LIBC_CALL_SITE());
}
LIBC_HOOK(int, epoll_pwait, int fd, epoll_event* events, int events_max, int timeout, const sigset_t* mask) {
  return returned(fd, next_epoll_pwait(fd, events, events_max, timeout, mask), events, LIBC_CALL_SITE());
}
LIBC_HOOK(int, epoll_pwait2, int fd, epoll_event* events, int events_max, const timespec* timeout,
          const sigset_t* mask) {
  return returned(fd, next_epoll_pwait2(fd, events, events_max, timeout, mask), events, LIBC_CALL_SITE());
}

}  // namespace worker
