// Acceptor: a worker's listening sockets, and whether it accepts on them now.
//
// An armed accept waits exclusively: the kernel wakes one waiter per connection, the one that came first. If that one
// is a predecessor in the slot that hangs, or whose accept is cancelled a moment later, nobody else learns of the
// connection. So a worker begins by *watching* its listeners: beside an accept for one connection it has a poll, which
// is woken with everybody else, and then arms the accept anew, because an accept takes what is waiting when it is
// armed. Once it is told that it owns the slot it changes to multishot accept, which is cheaper and wakes nobody else.
// A unix listener is shared by all workers, and watched for ever. (O_NONBLOCK and accept4(2) would be simpler, but
// io_uring fails an accept on a non-blocking socket with EAGAIN instead of waiting.)
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/clock.h"
#include "common/unique_fd.h"
#include "worker/ring.h"

namespace worker {

// What to do after accept failed with `errnum`; pure.
enum class AcceptFailure {
  kRetry,  // it concerned the one connection that is gone (accept(2): treat like EAGAIN)
  kPause,  // no descriptor or no memory: an immediate retry would only burn CPU
};
AcceptFailure decide_accept_failure(int errnum);

class Acceptor {
 public:
  enum class Mode {
    kAccepting,
    kPaused,   // for a while
    kHeld,     // no room; until hold() is followed by start()
    kStopped,  // for good
  };

  Acceptor(Ring& ring, std::vector<common::UniqueFd> listeners);

  void start();  // from kHeld or at first
  void hold();
  void stop();
  // Waits longer each time until accepts succeed again: 10 ms doubling to 1 s.
  void pause(common::TimePoint now);
  void on_time(common::TimePoint now);

  // No other process accepts on the slot's sockets any more. A killed predecessor's ring may linger for some
  // milliseconds after waitpid(2), so the change waits for kRingLinger.
  void own_slot(common::TimePoint now);

  // Records what a completion says; re-arms where wanted.
  void on_accept(const Completion& completion);
  // A watched listener has a connection, or had one.
  void on_readable(const Completion& completion);

  Mode mode() const { return mode_; }
  std::optional<common::TimePoint> next_deadline() const;
  bool armed() const;  // the kernel may still hand us connections
  std::uint32_t size() const { return static_cast<std::uint32_t>(listeners_.size()); }
  void close_listeners();  // only when !armed()

 private:
  static constexpr common::Duration kRingLinger = std::chrono::seconds(1);
  enum class Arm : std::uint8_t { kNone, kArmed, kCancelling };
  enum class Taking : std::uint8_t { kWatching, kAccepting };
  enum class Sharing : std::uint8_t { kOwn, kShared };
  struct Listener {
    common::UniqueFd fd;
    Sharing sharing;
    Arm accept;
    Arm watch;
  };
  Taking taking(const Listener& listener) const;
  void cancel(std::uint32_t index);
  void arm_all();
  void arm(std::uint32_t index);
  void cancel_all();

  Ring& ring_;
  std::vector<Listener> listeners_;
  Mode mode_ = Mode::kHeld;
  common::TimePoint resume_at_{};
  std::optional<common::TimePoint> own_at_;  // set once the slot is ours, until taking_ changes
  Taking taking_ = Taking::kWatching;        // of listeners that are not shared
  common::Duration delay_{};
};

}  // namespace worker
