// Deadline: a point in time by which something a test waits for must have happened.
#pragma once

#include <poll.h>

#include <ctime>

#include "common/clock.h"
#include "support/environment.h"

namespace support {

class Deadline {
 public:
  // `wait` is what an idle machine needs with ample room; it grows with the patience of the run.
  explicit Deadline(common::Duration wait = std::chrono::seconds(10)) : end_(common::Clock::now() + patience(wait)) {}

  common::Duration left() const { return end_ - common::Clock::now(); }
  bool passed() const { return left() <= common::Duration::zero(); }
  int poll_milliseconds() const { return static_cast<int>(common::ceil_milliseconds(left())); }

 private:
  common::TimePoint end_;
};

// For facts that nothing announces (a line in /proc, a number in the status): asks again every few milliseconds.
template <typename Predicate>
bool wait_until(Predicate predicate, Deadline deadline = Deadline()) {
  constexpr timespec kInterval{.tv_sec = 0, .tv_nsec = 5'000'000};
  while (!predicate()) {
    if (deadline.passed()) return predicate();
    ::ppoll(nullptr, 0, &kInterval, nullptr);
  }
  return true;
}

// Whether `predicate` stays true for the whole of `span`: for claims that something does not happen.
template <typename Predicate>
bool holds_for(common::Duration span, Predicate predicate) {
  const common::TimePoint end = common::Clock::now() + span;
  constexpr timespec kInterval{.tv_sec = 0, .tv_nsec = 5'000'000};
  while (common::Clock::now() < end) {
    if (!predicate()) return false;
    ::ppoll(nullptr, 0, &kInterval, nullptr);
  }
  return true;
}

}  // namespace support
