// Served: how many requests were answered and connections accepted, by a worker or by all there ever were. Pure.
#pragma once

#include <cstdint>

namespace master {

struct Served {
  std::uint64_t requests = 0;
  std::uint64_t connections = 0;

  bool operator==(const Served&) const = default;
};

// More than any worker can serve between two looks at it, even if the master was stopped for hours.
inline constexpr std::uint64_t kGainMax = std::uint64_t{1} << 32;

// What a worker's gauges have gained since `before`. They are the worker's to write, so none of it is believed: a gauge
// that runs backwards, or further than kGainMax, has gained nothing.
Served gained(const Served& before, const Served& now);

Served operator+(const Served& one, const Served& other);

}  // namespace master
