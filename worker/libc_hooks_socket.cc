// LibcHooks, sockets and pipes: whatever makes a descriptor of a connection, and what receives one through it.
#include <sys/socket.h>

#include <cstring>
#include <ctime>

#include "worker/libc_hooks.h"

namespace worker {
namespace {

// Each descriptor that came with a message, once the kernel has taken it apart.
void note_received(msghdr* message, const CallSite& site) {
  if (!is_tracing()) return;
  for (cmsghdr* part = CMSG_FIRSTHDR(message); part != nullptr; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      note_opened(fd, site);
    }
  }
}

}  // namespace

LIBC_HOOK(int, socket, int domain, int type, int protocol) {
  return opened(next_socket(domain, type, protocol), LIBC_CALL_SITE());
}
LIBC_HOOK(int, socketpair, int domain, int type, int protocol, int* ends) {
  return opened_pair(next_socketpair(domain, type, protocol, ends), ends, LIBC_CALL_SITE());
}
LIBC_HOOK(int, accept, int listener, sockaddr* address, socklen_t* length) {
  return opened(next_accept(listener, address, length), LIBC_CALL_SITE());
}
LIBC_HOOK(int, accept4, int listener, sockaddr* address, socklen_t* length, int flags) {
  return opened(next_accept4(listener, address, length, flags), LIBC_CALL_SITE());
}
LIBC_HOOK(int, pipe, int* ends) { return opened_pair(next_pipe(ends), ends, LIBC_CALL_SITE()); }
LIBC_HOOK(int, pipe2, int* ends, int flags) { return opened_pair(next_pipe2(ends, flags), ends, LIBC_CALL_SITE()); }

LIBC_HOOK(ssize_t, recvmsg, int fd, msghdr* message, int flags) {
  const ssize_t length = next_recvmsg(fd, message, flags);
  if (length >= 0) note_received(message, LIBC_CALL_SITE());
  return length;
}
LIBC_HOOK(int, recvmmsg, int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout) {
  const int received = next_recvmmsg(fd, messages, count, flags, timeout);
  for (int i = 0; i < received; ++i) note_received(&messages[i].msg_hdr, LIBC_CALL_SITE());
  return received;
}

}  // namespace worker
