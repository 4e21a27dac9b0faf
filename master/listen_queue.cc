// ListenQueue: poll(2) and accept4(2).
#include "master/listen_queue.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>

#include "master/socket_program.h"

namespace master {
namespace {

constexpr suseconds_t kWaitMicroseconds = 1000;

std::vector<int> readable(std::span<const int> listeners) {
  std::vector<pollfd> entries;
  entries.reserve(listeners.size());
  for (const int fd : listeners) entries.push_back({.fd = fd, .events = POLLIN, .revents = 0});
  std::vector<int> ready;
  if (poll(entries.data(), entries.size(), 0) <= 0) return ready;
  for (const pollfd& entry : entries) {
    if ((entry.revents & POLLIN) != 0) ready.push_back(entry.fd);
  }
  return ready;
}

// socket(7): also for accept(2), and inherited by what is accepted. A ring does not wait in a call, so workers do not
// notice. Zero = for ever.
void limit_wait(int fd, suseconds_t microseconds) {
  const timeval limit{.tv_sec = 0, .tv_usec = microseconds};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

// A connection that failed in the queue (accept(2), "Error handling") is one less to take; the others end the taking.
bool is_of_one_connection(int errnum) {
  switch (errnum) {
    case EAGAIN:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EBADF:
    case ENOTSOCK:
    case EINVAL: return false;
  }
  return true;
}

}  // namespace

bool queues_are_empty(std::span<const int> listeners) { return readable(listeners).empty(); }

std::vector<common::UniqueFd> accept_from(std::span<const int> listeners, std::size_t most) {
  std::vector<common::UniqueFd> taken;
  std::size_t failed = 0;
  for (const int listener : readable(listeners)) {
    limit_wait(listener, kWaitMicroseconds);
    if (fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK) < 0) continue;
    while (taken.size() < most && failed < most) {
      common::UniqueFd connection(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
      if (connection) {
        detach_filter(connection.get());
        limit_wait(connection.get(), 0);
        taken.push_back(std::move(connection));
      } else if (is_of_one_connection(errno)) {
        ++failed;
      } else {
        break;
      }
    }
  }
  return taken;
}

void make_blocking(std::span<const int> listeners) {
  for (const int listener : listeners) {
    limit_wait(listener, 0);
    const int flags = fcntl(listener, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) != 0) fcntl(listener, F_SETFL, flags & ~O_NONBLOCK);
  }
}

}  // namespace master
