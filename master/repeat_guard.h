// RepeatGuard: which reasons have been told of one worker already; it may stay at its limit for long.
#pragma once

#include <array>
#include <utility>

#include "master/recycle_reason.h"

namespace master {

class RepeatGuard {
 public:
  // Whether `reason` has not been told since it was last forgotten; it counts as told from now on.
  bool tell(RecycleReason reason) { return !std::exchange(told_[index_of(reason)], true); }
  // It no longer holds: the next time is news.
  void forget(RecycleReason reason) { told_[index_of(reason)] = false; }

 private:
  std::array<bool, kRecycleReasons> told_{};
};

}  // namespace master
