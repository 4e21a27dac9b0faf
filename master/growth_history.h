// GrowthHistory: at what pace an application has been taking descriptors without giving them back.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/clock.h"
#include "common/config.h"
#include "master/sample.h"

namespace master {

struct Growth {
  std::uint64_t descriptors = 0;  // more than at the beginning of the history
  double per_second = 0;
};

// Time since the worker's start-up is cut into periods, of each of which the lowest marks are kept: what is given back
// within a period leaves no trace. A period has at least recycle.samples samples and lasts at least 1/32 of
// recycle.fds_exhaustion, so eight of them never predict more than four times the time they have seen.
//
// The first recycle.age_min does not enter: that is when pools are filled. Growth is told only if it is steady: each of
// the eight marks is above the one before, by at least a quarter of the mean (of random marks one series in 40,320
// rises so, and a burst is a single step), and the later half has grown by at least two thirds of what the earlier half
// has (a pool that fills slows down). What the server's own descriptors have grown by from the first period to the last
// is taken off: a descriptor per connection is load. Pure.
class GrowthHistory {
 public:
  explicit GrowthHistory(const common::RecycleSettings& settings);

  void note(const Sample& sample);
  // nullopt = none, not steady, or not long enough known.
  std::optional<Growth> growth() const;

 private:
  static constexpr std::size_t kPeriods = 8;

  struct Period {
    common::TimePoint begin{};
    std::uint32_t samples = 0;
    std::uint64_t leaked = 0;  // lowest
    std::uint64_t owned = 0;  // lowest

    void add(const Sample& sample);
  };

  std::uint32_t samples_min_;
  common::Duration length_min_;
  common::Duration start_up_;
  std::optional<common::TimePoint> first_at_{};
  std::array<Period, kPeriods> whole_{};  // the last ones, oldest first
  std::size_t wholes_ = 0;
  Period present_{};
};

}  // namespace master
