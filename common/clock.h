// Time as this project speaks it: steady_clock points and chrono durations, passed in as `now`.
#pragma once

#include <chrono>
#include <cstdint>

namespace common {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = std::chrono::nanoseconds;

// For the scoreboard: steady_clock is CLOCK_MONOTONIC, so the number means the same in every process of this boot.
inline std::uint64_t nanoseconds_of(TimePoint point) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(point.time_since_epoch()).count());
}

// A wait that ends too early wakes for nothing: always round up.
inline std::int64_t ceil_milliseconds(Duration duration) {
  return duration <= Duration::zero() ? 0 : std::chrono::ceil<std::chrono::milliseconds>(duration).count();
}

}  // namespace common
