// Allowance: how often something may be done, as so many a second with a burst; pure.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/clock.h"

namespace worker {

class Allowance {
 public:
  // `burst` at once, then one each `interval`; what is not used is saved up to `burst`.
  Allowance(std::uint32_t burst, common::Duration interval) : burst_(burst), left_(burst), interval_(interval) {}

  // Whether it may be done now; counts it if so.
  bool take(common::TimePoint now) {
    const auto earned = (now - counted_at_) / interval_;
    if (earned >= burst_ - left_) {
      left_ = burst_;
      counted_at_ = now;
    } else if (earned > 0) {
      left_ += static_cast<std::uint32_t>(earned);
      counted_at_ += earned * interval_;
    }
    if (left_ == 0) return false;
    --left_;
    return true;
  }

 private:
  std::uint32_t burst_;
  std::uint32_t left_;
  common::Duration interval_;
  common::TimePoint counted_at_{};  // until here everything earned is in left_
};

}  // namespace worker
