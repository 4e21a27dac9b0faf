// Poller: epoll_create1, epoll_ctl, epoll_wait.
#include "master/poller.h"

#include <algorithm>
#include <cerrno>
#include <limits>

#include "common/check.h"

namespace master {

common::Result<void> Poller::open() {
  epoll_ = common::UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) return common::fail_errno("epoll_create1", errno);
  return {};
}

common::Result<void> Poller::watch(int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) < 0) return common::fail_errno("epoll_ctl", errno);
  return {};
}

void Poller::change(int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0);
}

// Needed although close(2) removes a descriptor, too: not while a forked child still holds the same open file.
void Poller::forget(int fd) { CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr) == 0); }

std::span<const PollEvent> Poller::wait(std::optional<common::TimePoint> until, common::TimePoint now) {
  int timeout = -1;
  if (until) {
    timeout = static_cast<int>(
        std::min<std::int64_t>(common::ceil_milliseconds(*until - now), std::numeric_limits<int>::max()));
  }
  std::array<epoll_event, kBatch> events;
  const int count = epoll_wait(epoll_.get(), events.data(), kBatch, timeout);
  CHECK(count >= 0 || errno == EINTR);
  for (int i = 0; i < count; ++i) {
    const auto index = static_cast<std::size_t>(i);
    ready_[index] = {.fd = events[index].data.fd, .events = events[index].events};
  }
  return {ready_.data(), static_cast<std::size_t>(std::max(count, 0))};
}

}  // namespace master
