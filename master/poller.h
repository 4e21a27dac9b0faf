// Poller: epoll, as little of it as the master needs.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "common/clock.h"
#include "common/result.h"
#include "common/unique_fd.h"

namespace master {

struct PollEvent {
  int fd;
  std::uint32_t events;  // EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR
};

// Level-triggered. Descriptors are borrowed: forget() one before it is closed.
class Poller {
 public:
  common::Result<void> open();
  common::Result<void> watch(int fd, std::uint32_t events);
  void change(int fd, std::uint32_t events);
  void forget(int fd);
  int fd() const { return epoll_.get(); }  // for another poller: readable while something is ready here

  // What is ready, at the latest at `until`; valid until the next call. Empty after the deadline or a signal.
  std::span<const PollEvent> wait(std::optional<common::TimePoint> until, common::TimePoint now);

 private:
  static constexpr int kBatch = 64;
  common::UniqueFd epoll_;
  std::array<PollEvent, kBatch> ready_{};
};

}  // namespace master
