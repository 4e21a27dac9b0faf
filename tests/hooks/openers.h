// The openers of the library, declared for its table.
#pragma once

#include <cerrno>

#include "opener.h"

// Each is exported, so that dladdr(3) knows it by name, and not inlined or called by a jump: it has to be on the stack.
#define OPENER(name) extern "C" __attribute__((visibility("default"), noinline)) int name([[maybe_unused]] Opened* out)

inline constexpr int kFreeNumber = 57;  // a descriptor that nobody has open

inline int one(Opened* out, int fd) {
  out->fds[0] = fd;
  return fd < 0 ? errno : 0;
}
inline int two(Opened*, int result) { return result < 0 ? errno : 0; }

#define OPENERS_OF_FILES(ROW)                         \
  ROW(open, by_open, close)                           \
  ROW(open64, by_open64, close_range)                 \
  ROW(openat, by_openat, closefrom)                   \
  ROW(openat64, by_openat64, syscall)                 \
  ROW(creat, by_creat, close)                         \
  ROW(creat64, by_creat64, close)                     \
  ROW(__open_2, by_open_2, close)                     \
  ROW(__open64_2, by_open64_2, close)                 \
  ROW(__openat_2, by_openat_2, close)                 \
  ROW(__openat64_2, by_openat64_2, close)             \
  ROW(open_by_handle_at, by_open_by_handle_at, close) \
  ROW(mkstemp, by_mkstemp, close)                     \
  ROW(mkstemp64, by_mkstemp64, close)                 \
  ROW(mkostemp, by_mkostemp, close)                   \
  ROW(mkostemp64, by_mkostemp64, close)               \
  ROW(mkstemps, by_mkstemps, close)                   \
  ROW(mkstemps64, by_mkstemps64, close)               \
  ROW(mkostemps, by_mkostemps, close)                 \
  ROW(mkostemps64, by_mkostemps64, close)             \
  ROW(shm_open, by_shm_open, close)                   \
  ROW(mq_open, by_mq_open, mq_close)                  \
  ROW(__mq_open_2, by_mq_open_2, mq_close)            \
  ROW(posix_openpt, by_posix_openpt, close)           \
  ROW(getpt, by_getpt, close)                         \
  ROW(openpty, by_openpty, close)                     \
  ROW(forkpty, by_forkpty, close)                     \
  ROW(dup, by_dup, close)                             \
  ROW(dup2, by_dup2, close)                           \
  ROW(dup3, by_dup3, close)                           \
  ROW(fcntl, by_fcntl, close)                         \
  ROW(fcntl, by_fcntl_cloexec, close)                 \
  ROW(fcntl64, by_fcntl64, close)                     \
  ROW(opendir, by_opendir, closedir)                  \
  ROW(fopen, by_fopen, fclose)                        \
  ROW(fopen64, by_fopen64, fclose)                    \
  ROW(tmpfile, by_tmpfile, fclose)                    \
  ROW(tmpfile64, by_tmpfile64, fclose)                \
  ROW(popen, by_popen, pclose)                        \
  ROW(freopen, by_freopen, fclose)                    \
  ROW(freopen64, by_freopen64, fclose)                \
  ROW(syscall, by_syscall, close)

#define OPENERS_OF_EVENTS(ROW)                  \
  ROW(socket, by_socket, close)                 \
  ROW(socketpair, by_socketpair, close)         \
  ROW(accept, by_accept, close)                 \
  ROW(accept4, by_accept4, close)               \
  ROW(pipe, by_pipe, close)                     \
  ROW(pipe2, by_pipe2, close)                   \
  ROW(recvmsg, by_recvmsg, close)               \
  ROW(recvmmsg, by_recvmmsg, close)             \
  ROW(eventfd, by_eventfd, close)               \
  ROW(epoll_create, by_epoll_create, close)     \
  ROW(epoll_create1, by_epoll_create1, close)   \
  ROW(timerfd_create, by_timerfd_create, close) \
  ROW(signalfd, by_signalfd, close)             \
  ROW(inotify_init, by_inotify_init, close)     \
  ROW(inotify_init1, by_inotify_init1, close)   \
  ROW(fanotify_init, by_fanotify_init, close)   \
  ROW(memfd_create, by_memfd_create, close)     \
  ROW(pidfd_open, by_pidfd_open, close)         \
  ROW(pidfd_getfd, by_pidfd_getfd, close)       \
  ROW(fsopen, by_fsopen, close)                 \
  ROW(fsmount, by_fsmount, close)               \
  ROW(fspick, by_fspick, close)                 \
  ROW(open_tree, by_open_tree, close)

#define DECLARE_OPENER(function, place, closing) OPENER(place);
OPENERS_OF_FILES(DECLARE_OPENER)
OPENERS_OF_EVENTS(DECLARE_OPENER)
#undef DECLARE_OPENER
