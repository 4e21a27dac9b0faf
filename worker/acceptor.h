// Acceptor: a worker's listening sockets, and whether it accepts on them now.
//
// TCP listeners belong to one slot and use multishot accept. A unix listener is shared by all workers: there a
// multishot accept would give everything to one of them, so it is armed for one connection at a time.
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
    kPaused,   // until resume_at()
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

  // Records what a completion says; re-arms where wanted.
  void on_accept(const Completion& completion);

  Mode mode() const { return mode_; }
  std::optional<common::TimePoint> resume_at() const;
  bool armed() const;  // the kernel may still hand us connections
  std::uint32_t size() const { return static_cast<std::uint32_t>(listeners_.size()); }
  void close_listeners();  // only when !armed()

 private:
  enum class Arm : std::uint8_t { kNone, kArmed, kCancelling };
  enum class Sharing : std::uint8_t { kOwn, kShared };
  struct Listener {
    common::UniqueFd fd;
    Sharing sharing;
    Arm arm;
  };
  void arm_all();
  void arm(std::uint32_t index);
  void cancel_all();

  Ring& ring_;
  std::vector<Listener> listeners_;
  Mode mode_ = Mode::kHeld;
  common::TimePoint resume_at_{};
  common::Duration delay_{};
};

}  // namespace worker
