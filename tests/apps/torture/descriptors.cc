// Descriptors that are never closed: opening them.
#include "descriptors.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>

#include "parameters.h"

namespace torture {
namespace {

[[noreturn]] void throw_errno(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

int checked(int result, const char* what) {
  if (result < 0) throw_errno(what);
  return result;
}

void open_one(std::string_view kind) {
  if (kind == "file") {
    checked(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), "open");
  } else if (kind == "socket") {
    checked(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  } else if (kind == "eventfd") {
    checked(eventfd(0, EFD_CLOEXEC), "eventfd");
  } else {
    throw BadParameter("kind=" + std::string(kind) + ": must be file, socket, pipe or eventfd");
  }
}

// Both ends count, so an odd count leaves the last pipe with one.
void open_pipes(std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; i += 2) {
    int ends[2];
    checked(pipe2(ends, O_CLOEXEC), "pipe2");
    if (i + 1 == count) close(ends[1]);
  }
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int connect_to(std::uint16_t port) {
  const int fd = checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const sockaddr_in address = loopback(port);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    close(fd);
    errno = error;
    throw_errno("connect");
  }
  return fd;
}

// The client end of a connection whose server end has been closed.
int close_wait_socket() {
  const int listener = checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  checked(bind(listener, reinterpret_cast<sockaddr*>(&address), size), "bind");
  checked(listen(listener, 1), "listen");
  checked(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
  const int client = connect_to(ntohs(address.sin_port));
  close(checked(accept(listener, nullptr, nullptr), "accept"));
  close(listener);
  return client;
}

}  // namespace

supervisor::Response leak(std::string_view kind, std::uint64_t count) {
  if (kind == "pipe") {
    open_pipes(count);
  } else {
    for (std::uint64_t i = 0; i < count; ++i) open_one(kind);
  }
  return {200, "leaked " + std::to_string(count) + "\n"};
}

supervisor::Response leak_peer(std::uint16_t port) {
  connect_to(port);
  return {200, "leaked 1\n"};
}

void spin() {
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLRDHUP;
  const int poller = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  checked(epoll_ctl(poller, EPOLL_CTL_ADD, close_wait_socket(), &event), "epoll_ctl");
  for (;;) epoll_wait(poller, &event, 1, -1);
}

}  // namespace torture
