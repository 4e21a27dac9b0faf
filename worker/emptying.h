// Emptying: when the listen queues of a draining worker count as empty for good; pure.
//
// New connections are steered elsewhere before it begins. What can still come is in the queue, or a handshake whose
// last packet is on its way, and that takes a round trip: so the queue has to stay empty for kSettle. A client whose
// packet was lost sends it again after a second; nobody waits so long, it has to connect anew.
#pragma once

#include <algorithm>

#include "common/clock.h"

namespace worker {

class Emptying {
 public:
  static constexpr common::Duration kSettle = std::chrono::milliseconds(200);

  // Over at now + `longest`, whatever is queued then.
  Emptying(common::TimePoint now, common::Duration longest) : quiet_since_(now), until_(now + longest) {}

  void on_accepted(common::TimePoint now) { quiet_since_ = now; }
  void shorten(common::TimePoint now, common::Duration longest) { until_ = std::min(until_, now + longest); }

  // When to look() next.
  common::TimePoint next_deadline() const { return std::min(until_, quiet_since_ + kSettle); }
  enum class Queue { kEmpty, kWaiting };
  enum class Verdict { kGoOn, kOver };
  Verdict look(Queue queue, common::TimePoint now) {
    if (until_ <= now) return Verdict::kOver;
    if (queue == Queue::kWaiting) quiet_since_ = now;
    return quiet_since_ + kSettle <= now ? Verdict::kOver : Verdict::kGoOn;
  }

 private:
  common::TimePoint quiet_since_;
  common::TimePoint until_;
};

}  // namespace worker
