// RestartPolicy: when what has failed may be tried again, and when trying has become pointless.
#pragma once

#include <deque>

#include "common/clock.h"
#include "common/config.h"

namespace master {

// One for each slot and one for the template. Counting per slot keeps failures_max independent of the number of
// workers: with a common count, eight workers that fail at once would use up five attempts before the first retry.
class RestartPolicy {
 public:
  explicit RestartPolicy(const common::RestartSettings& settings) : settings_(settings) {}

  // Records a failure and returns how long to wait: backoff_first, doubling to backoff_max with each failure in a row.
  common::Duration on_failure(common::TimePoint now);

  // It worked: the next failure waits backoff_first again. The failures of the window stay counted.
  void on_success() { delay_ = common::Duration::zero(); }

  // What the last failure waits, or zero after a success.
  common::Duration delay() const { return delay_; }

  // failures_max failures within the window that ends now. failures_max = 0: never.
  bool loops(common::TimePoint now) const;

  // failures_max failures however far apart. For a service that never was ready: with a start_timeout as long as half
  // the window, a start that always hangs would never fill a window.
  bool exhausted() const;

 private:
  common::RestartSettings settings_;
  common::Duration delay_{0};
  std::deque<common::TimePoint> failures_;  // the last failures_max, oldest first
};

}  // namespace master
