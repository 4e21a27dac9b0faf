// Descriptors that are never closed, or not at once: opening them.
//
// Each kind is opened on a line of its own that ends in "// leak: KIND": a report of a leak has to name that line, and
// a test finds its number here. The result is looked at before it is returned, or the compiler might make a jump of
// the call, and the line would not be on the stack.
#include "descriptors.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "parameters.h"

namespace torture {
namespace {

[[noreturn]] void throw_errno(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

int checked(int result, const char* what) {
  if (result < 0) throw_errno(what);
  return result;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int connect_to(std::uint16_t port) {
  const int fd = checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");  // leak: tcp
  const sockaddr_in address = loopback(port);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    close(fd);
    errno = error;
    throw_errno("connect");
  }
  return fd;
}

// A listener on the port of this process's first one if it is free, as one server that many connect to would have.
int listen_on_loopback(sockaddr_in& address) {
  static std::uint16_t usual_port = 0;
  const int listener = checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const int on = 1;
  socklen_t size = sizeof address;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);  // beside connections that are not quite over
  address = loopback(usual_port);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0) {
    address = loopback(0);
    checked(bind(listener, reinterpret_cast<sockaddr*>(&address), size), "bind");
  }
  checked(listen(listener, 1), "listen");
  checked(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
  usual_port = ntohs(address.sin_port);
  return listener;
}

// The client end of a connection whose server end has been closed.
int close_wait_socket() {
  sockaddr_in address = {};
  const int listener = listen_on_loopback(address);
  const int client = connect_to(ntohs(address.sin_port));
  close(checked(accept(listener, nullptr, nullptr), "accept"));
  close(listener);
  return client;
}

// "pipe" gives the reading end of a pipe whose writing end is closed.
int open_one(std::string_view kind) {
  if (kind == "file") return checked(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), "open");  // leak: file
  if (kind == "socket") return checked(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");  // leak: socket
  if (kind == "eventfd") return checked(eventfd(0, EFD_CLOEXEC), "eventfd");  // leak: eventfd
  if (kind == "epoll") return checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");  // leak: epoll
  if (kind == "timerfd")
    return checked(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), "timerfd_create");  // leak: timerfd
  if (kind == "inotify") return checked(inotify_init1(IN_CLOEXEC), "inotify_init1");  // leak: inotify
  if (kind == "memfd") return checked(memfd_create("torture", MFD_CLOEXEC), "memfd_create");  // leak: memfd
  if (kind == "tcp") return close_wait_socket();
  throw BadParameter("kind=" + std::string(kind) +
                     ": must be file, socket, pipe, eventfd, epoll, timerfd, inotify, memfd or tcp");
}

// Both ends count, so an odd count leaves the last pipe with one.
void open_pipes(std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; i += 2) {
    int ends[2];
    checked(pipe2(ends, O_CLOEXEC), "pipe2");  // leak: pipe
    if (i + 1 == count) close(ends[1]);
  }
}

// A level-triggered loop that is told again and again of what it does not look at.
[[noreturn]] void poll_for_ever(int fd) {
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLRDHUP;
  event.data.fd = fd;
  const int poller = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  checked(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
  for (;;) epoll_wait(poller, &event, 1, -1);
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

supervisor::Response leak_sometimes(std::string_view kind, std::uint64_t every) {
  static std::map<std::string, std::uint64_t, std::less<>> requests;  // of this worker, whose handlers are inline
  const std::uint64_t number = ++requests[std::string(kind)];
  return number % every == 0 ? leak(kind, 1) : supervisor::Response{200, "leaked 0\n"};
}

supervisor::Response leak_peer(std::uint16_t port) {
  connect_to(port);
  return {200, "leaked 1\n"};
}

supervisor::Response open_files(std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) close(checked(open("/dev/null", O_RDONLY | O_CLOEXEC), "open"));
  return {200, "opened and closed " + std::to_string(count) + "\n"};
}

supervisor::Response burst(std::uint64_t count, std::uint64_t milliseconds) {
  std::vector<int> fds;
  for (std::uint64_t i = 0; i < count; ++i) {
    const int fd = eventfd(0, EFD_CLOEXEC);
    if (fd >= 0) fds.push_back(fd);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  for (const int fd : fds) close(fd);
  return {200, "opened and closed " + std::to_string(fds.size()) + "\n"};
}

void spin() { poll_for_ever(close_wait_socket()); }

supervisor::Response spin_thread() {
  std::thread(poll_for_ever, close_wait_socket()).detach();
  return {200, "spinning\n"};
}

}  // namespace torture
