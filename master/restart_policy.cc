// RestartPolicy: exponential back-off beside a sliding window of failures.
#include "master/restart_policy.h"

#include <algorithm>

namespace master {

common::Duration RestartPolicy::on_failure(common::TimePoint now) {
  const bool first = delay_ == common::Duration::zero();
  // Compared before doubling: backoff_max may be close to the largest duration.
  const bool at_most_half = delay_ <= settings_.backoff_max / 2;
  delay_ = std::min(first          ? settings_.backoff_first
                    : at_most_half ? delay_ * 2
                                   : settings_.backoff_max,
                    settings_.backoff_max);
  failures_.push_back(now);
  while (failures_.size() > settings_.failures_max) failures_.pop_front();
  return delay_;
}

bool RestartPolicy::exhausted() const {
  return settings_.failures_max > 0 && failures_.size() >= settings_.failures_max;
}

bool RestartPolicy::loops(common::TimePoint now) const {
  return exhausted() && now - failures_.front() <= settings_.window;
}

}  // namespace master
