// CapturedOutput: a pipe, an eventfd to stop, and a thread between them.
#include "support/captured_output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>

namespace support {

CapturedOutput::CapturedOutput() : stop_event_(::eventfd(0, EFD_CLOEXEC)) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0 || !stop_event_) throw std::runtime_error("no descriptors for a pipe");
  read_end_.reset(ends[0]);
  write_end_.reset(ends[1]);
  ::fcntl(read_end_.get(), F_SETFL, O_NONBLOCK);
  thread_ = std::thread([this] { collect(); });
}

CapturedOutput::~CapturedOutput() {
  ::eventfd_write(stop_event_.get(), 1);
  thread_.join();
}

std::string CapturedOutput::text() {
  drain();
  const std::lock_guard lock(mutex_);
  return text_;
}

void CapturedOutput::collect() {
  pollfd entries[2] = {{.fd = read_end_.get(), .events = POLLIN, .revents = 0},
                       {.fd = stop_event_.get(), .events = POLLIN, .revents = 0}};
  while (entries[1].revents == 0) {
    ::poll(entries, 2, -1);
    if (drain() == Pipe::kEnded) return;
  }
}

CapturedOutput::Pipe CapturedOutput::drain() {
  char bytes[4096];
  const std::lock_guard lock(mutex_);
  while (true) {
    const ssize_t count = ::read(read_end_.get(), bytes, sizeof(bytes));
    if (count > 0) {
      text_.append(bytes, static_cast<std::size_t>(count));
    } else if (count == 0) {
      return Pipe::kEnded;
    } else if (errno != EINTR) {
      return Pipe::kOpen;  // EAGAIN: empty for now
    }
  }
}

}  // namespace support
