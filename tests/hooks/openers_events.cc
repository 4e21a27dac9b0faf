// The openers of sockets, pipes and what only Linux has.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "openers.h"

// glibc 2.36 forgot to say that these are C's.
extern "C" {
#include <sys/pidfd.h>
}

namespace {

// A listener with one client in its queue.
struct Listening {
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  int client = socket(AF_UNIX, SOCK_STREAM, 0);

  Listening() {
    const sa_family_t any = AF_UNIX;  // the kernel chooses an abstract name
    sockaddr_storage name{};
    socklen_t length = sizeof name;
    if (bind(listener, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, reinterpret_cast<sockaddr*>(&name), &length) != 0 ||
        connect(client, reinterpret_cast<const sockaddr*>(&name), length) != 0) {
      close(listener);
    }
  }
  ~Listening() {
    close(client);
    close(listener);
  }
};

struct Passing {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  char byte = 'x';
  iovec bytes{.iov_base = &byte, .iov_len = 1};
  mmsghdr message{};
  int ends[2] = {-1, -1};

  Passing() {
    message.msg_hdr.msg_iov = &bytes;
    message.msg_hdr.msg_iovlen = 1;
    message.msg_hdr.msg_control = control;
    message.msg_hdr.msg_controllen = sizeof control;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return;
    cmsghdr* const part = CMSG_FIRSTHDR(&message.msg_hdr);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    const int passed = STDERR_FILENO;
    std::memcpy(CMSG_DATA(part), &passed, sizeof passed);
    sendmsg(ends[0], &message.msg_hdr, 0);
    std::memset(control, 0, sizeof control);
    message.msg_hdr.msg_controllen = sizeof control;
  }
  int take() {
    close(ends[0]);
    close(ends[1]);
    const cmsghdr* const part = CMSG_FIRSTHDR(&message.msg_hdr);
    int fd = -1;
    if (part != nullptr) std::memcpy(&fd, CMSG_DATA(part), sizeof fd);
    return fd;
  }
};

}  // namespace

OPENER(by_socket) { return one(out, socket(AF_INET, SOCK_STREAM, 0)); }
OPENER(by_socketpair) { return two(out, socketpair(AF_UNIX, SOCK_STREAM, 0, out->fds)); }
OPENER(by_accept) {
  const Listening listening;
  return one(out, accept(listening.listener, nullptr, nullptr));
}
OPENER(by_accept4) {
  const Listening listening;
  return one(out, accept4(listening.listener, nullptr, nullptr, SOCK_CLOEXEC));
}
OPENER(by_pipe) { return two(out, pipe(out->fds)); }
OPENER(by_pipe2) { return two(out, pipe2(out->fds, O_CLOEXEC)); }
OPENER(by_recvmsg) {
  Passing passing;
  recvmsg(passing.ends[1], &passing.message.msg_hdr, 0);
  return one(out, passing.take());
}
OPENER(by_recvmmsg) {
  Passing passing;
  recvmmsg(passing.ends[1], &passing.message, 1, 0, nullptr);
  return one(out, passing.take());
}

OPENER(by_eventfd) { return one(out, eventfd(0, EFD_CLOEXEC)); }
OPENER(by_epoll_create) { return one(out, epoll_create(1)); }
OPENER(by_epoll_create1) { return one(out, epoll_create1(EPOLL_CLOEXEC)); }
OPENER(by_timerfd_create) { return one(out, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)); }
OPENER(by_signalfd) {
  sigset_t mask;
  sigemptyset(&mask);
  return one(out, signalfd(-1, &mask, SFD_CLOEXEC));
}
OPENER(by_inotify_init) { return one(out, inotify_init()); }
OPENER(by_inotify_init1) { return one(out, inotify_init1(IN_CLOEXEC)); }
OPENER(by_fanotify_init) { return one(out, fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_CLOEXEC, O_RDONLY)); }
OPENER(by_memfd_create) { return one(out, memfd_create("hooks", MFD_CLOEXEC)); }
OPENER(by_pidfd_open) { return one(out, pidfd_open(getpid(), 0)); }
OPENER(by_pidfd_getfd) {
  const int process = pidfd_open(getpid(), 0);
  const int fd = pidfd_getfd(process, STDERR_FILENO, 0);
  const int result = one(out, fd);
  close(process);
  return result;
}
OPENER(by_fsopen) { return one(out, fsopen("tmpfs", FSOPEN_CLOEXEC)); }
OPENER(by_fsmount) {
  const int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
  if (context < 0) return errno;
  fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0);
  const int result = one(out, fsmount(context, FSMOUNT_CLOEXEC, 0));
  close(context);
  return result;
}
OPENER(by_fspick) { return one(out, fspick(AT_FDCWD, "/", FSPICK_CLOEXEC)); }
OPENER(by_open_tree) { return one(out, open_tree(AT_FDCWD, "/", OPEN_TREE_CLOEXEC)); }
