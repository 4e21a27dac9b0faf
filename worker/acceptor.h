// Acceptor: a worker's listening sockets, and whether it accepts on them now.
//
// An armed accept waits exclusively: the kernel wakes one waiter per connection, the one that came first. If that one
// is a predecessor in the slot that hangs, or whose accept is cancelled a moment later, nobody else learns of the
// connection. So a worker begins by *watching* its listeners: beside an accept for one connection it has a poll, which
// is woken with everybody else, and then arms the accept anew, because an accept takes what is waiting when it is
// armed. Once it is told that it owns the slot it changes to multishot accept, which is cheaper and wakes nobody else.
// A listener that all workers share (every unix one, an inherited one) is watched for ever. (O_NONBLOCK and accept4(2)
// would be simpler, but io_uring fails an accept on a non-blocking socket with EAGAIN instead of waiting.)
//
//                 start                 pause
//        kHeld <--------> kAccepting ----------> kPaused     stop: from everywhere to kStopped
//                 hold         ^    time, start     |
//          ^                   +--------------------+
//          +---------- hold -----------------------+
//
// While held nothing is accepted but what take_one() asks for; watch() tells when a client waits.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/clock.h"
#include "common/fd_ledger.h"
#include "common/unique_fd.h"
#include "worker/operation.h"

namespace worker {

// What to do after accept failed with `errnum`; pure.
enum class AcceptFailure {
  kRetry,         // it concerned the one connection that is gone (accept(2): treat like EAGAIN)
  kNoDescriptor,  // of the process or of the system: accept fails so even when nobody waits
  kPause,         // no memory, or unknown: an immediate retry would only burn CPU
  kBroken,        // the listener is none any more: nothing will ever be accepted from it
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
  // So many failures in a row that seem to be worth a retry are none: somebody makes every accept fail.
  static constexpr int kRetriesMax = 16;

  // The listeners get high numbers (common/high_fd.h). `ring` outlives the acceptor.
  // Bit i of `shared` = workers of other slots accept from the i-th one, too; of unix listeners that is known.
  Acceptor(AcceptRing& ring, std::vector<common::UniqueFd> listeners, std::uint64_t shared = 0);

  void start();  // from kHeld or kPaused, or at first
  void hold();
  void stop();
  // Accepts no more from this one; its queue is somebody else's.
  void leave(std::uint32_t index);
  // Waits longer each time until accepts succeed again: 10 ms doubling to 1 s.
  void pause(common::TimePoint now);
  void on_time(common::TimePoint now);

  // kMultishot: as many as come. kOnce: one per listener and turn, so that the caller's limit holds.
  void set_repeat(Repeat repeat);
  // Arms everything anew: RLIMIT_NOFILE counts as it was when an accept was submitted.
  void renew();

  // No other process accepts on the slot's sockets any more. A killed predecessor's ring may linger for some
  // milliseconds after waitpid(2), so the change waits for kRingLinger.
  void own_slot(common::TimePoint now);

  // Records what a completion says. Pauses after too many retries; after a failure that is not one the caller holds,
  // pauses or gives up. Then, and when it knows whether it has room for another, it calls go_on().
  void on_accept(const Completion& completion, common::TimePoint now);
  // Arms the listener again unless accepting is over or interrupted.
  void go_on(std::uint32_t index);
  // A watched listener has a connection, or had one.
  void on_readable(const Completion& completion);

  // For kHeld. A listener with a client in its queue and no accept on its way.
  std::optional<std::uint32_t> waiting() const;
  // A completion of Op::kListener will tell when a client comes, or has come.
  void watch();
  // One accept, for a caller who knows what to do with it.
  void take_one(std::uint32_t index);

  // Whether a client is in a queue, and not on its way to us, of a listener that was not left.
  bool has_queue() const;
  // Whether workers of other slots accept from it, too: it may never fall silent.
  bool is_shared(std::uint32_t index) const { return listeners_.at(index).sharing == Sharing::kShared; }
  Mode mode() const { return mode_; }
  std::optional<common::TimePoint> next_deadline() const;
  bool armed() const;  // the kernel may still hand us connections
  std::uint32_t size() const { return static_cast<std::uint32_t>(listeners_.size()); }
  void close_listeners(common::FdLedger ledger);  // only when !armed()
  void note(common::FdLedger ledger, common::TimePoint now) const;

 private:
  static constexpr common::Duration kRingLinger = std::chrono::seconds(1);
  enum class Arm : std::uint8_t { kNone, kArmed, kCancelling };
  enum class Taking : std::uint8_t { kWatching, kAccepting };
  enum class Sharing : std::uint8_t { kOwn, kShared };
  enum class Use : std::uint8_t { kInUse, kLeft };
  struct Listener {
    common::UniqueFd fd;
    Sharing sharing;
    Arm accept;
    Arm watch;
    Repeat repeat;  // of the armed accept
    Use use;
  };
  Taking taking(const Listener& listener) const;
  Repeat wanted_repeat(const Listener& listener) const;
  void cancel(std::uint32_t index);
  void cancel_accept(std::uint32_t index);
  void arm_all();
  void arm(std::uint32_t index);
  void arm_accept(std::uint32_t index, Repeat repeat);
  void arm_watch(std::uint32_t index);
  void cancel_all();

  AcceptRing& ring_;
  std::vector<Listener> listeners_;
  Mode mode_ = Mode::kHeld;
  common::TimePoint resume_at_{};
  std::optional<common::TimePoint> own_at_;  // set once the slot is ours, until taking_ changes
  Taking taking_ = Taking::kWatching;        // of listeners that are not shared
  Repeat repeat_ = Repeat::kMultishot;       // the most that set_repeat() allows
  common::Duration delay_{};
  int retries_ = 0;  // in a row
};

}  // namespace worker
