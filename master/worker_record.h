// WorkerRecord: what the master remembers of one worker process.
#pragma once

#include <sys/types.h>

#include "common/clock.h"
#include "master/worker_id.h"

namespace master {

//   starting --ready--> ready --drain--> draining --deadline--> killed --deadline--> unkillable
//      |                  |                 |                     ^
//      |                  +-----------------+---SIGTERM--> closing+ (deadline)
//      +-- every arrow of `ready` leaves from here as well; any state ends with the process
enum class WorkerState {
  kStarting,    // asked for; deadline = workers.start_timeout
  kReady,       // accepts connections; no deadline
  kDraining,    // told to finish and leave; deadline = workers.stop_timeout
  kClosing,     // told to leave at once (SIGTERM); deadline = kClosePatience
  kKilled,      // SIGKILL sent; deadline = kKillPatience
  kUnkillable,  // stuck in the kernel; nobody waits for it, but its exit is still taken note of
};

// A quick stop's grace: enough to answer what is half written, little for an operator who waits.
inline constexpr common::Duration kClosePatience = std::chrono::seconds(2);

// SIGKILL acts at once, unless the process is in uninterruptible sleep (a dead NFS server). A stop must end even then.
inline constexpr common::Duration kKillPatience = std::chrono::seconds(5);

// A worker that was ready this long, or served a request, is healthy: its death says nothing about the next start.
inline constexpr common::Duration kHealthyAge = std::chrono::seconds(1);

// A slot that is to be closed keeps its sockets so long after the kernel was told to choose others: who had sent the
// first packet of a handshake by then has sent the last one, even if one packet was lost (the kernel repeats its answer
// after a second, RFC 6298 section 2).
inline constexpr common::Duration kHandshakePatience = std::chrono::milliseconds(1500);

struct WorkerRecord {
  WorkerId id = kNoWorker;
  SlotIndex slot = 0;
  Generation generation = kFirstGeneration;
  WorkerState state = WorkerState::kStarting;
  pid_t pid = 0;  // 0 until the template or the worker told it
  common::TimePoint asked_at{};
  common::TimePoint ready_at{};  // from kReady on; a worker told to leave before that keeps the epoch
  common::TimePoint deadline = common::TimePoint::max();

  // Whether the template forked it, as far as we know; a worker's own word may overtake the template's.
  bool forked() const { return pid != 0 || ready_at != common::TimePoint{}; }
  bool is_leaver() const { return state != WorkerState::kStarting && state != WorkerState::kReady; }
};

}  // namespace master
