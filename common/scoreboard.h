// Scoreboard: shared memory in which every worker writes what it is doing and the master reads it without asking.
//
// One record per worker process (not per slot: during a replacement a slot has two). The master allocates a record
// before the fork and frees it after the worker was reaped. Each member has one writer at a time: the worker of the
// record, with relaxed stores, because nothing but the numbers themselves is communicated. The memory is a memfd: it
// outlives any process that maps it, and its layout is versioned.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/config.h"
#include "common/result.h"
#include "common/unique_fd.h"

namespace common {

// Every counter begins at 0 for a new worker. Cache-line aligned: workers do not share lines.
struct alignas(64) WorkerGauges {
  std::atomic<std::uint64_t> requests;        // answered
  std::atomic<std::uint64_t> accepted;        // connections, ever
  std::atomic<std::uint64_t> turns;           // of the loop
  std::atomic<std::uint64_t> busy_since_ns;   // steady_clock; 0 = waiting in the kernel
  // Time its loop has not waited in the kernel, ever, without the turn that busy_since_ns tells of. The one gauge whose
  // order counts: the worker clears busy_since_ns first and then stores this with release; whoever loads this first,
  // with acquire, may miss the latest turn for a moment, and never counts it twice.
  std::atomic<std::uint64_t> busy_ns;
  std::atomic<std::uint32_t> connections;  // open now
  std::atomic<std::uint32_t> in_flight;  // requests begun and not yet wholly answered
  std::atomic<std::uint32_t> owned_fds;  // descriptors the server itself has open in this process
  std::atomic<std::uint32_t> baseline_fds;  // the application's when the worker became ready
  std::atomic<std::uint64_t> evicted;  // idle connections closed to make room
  std::atomic<std::uint64_t> accept_pauses;  // times accepting had to pause for want of descriptors or memory
  std::atomic<std::uint64_t> refused;  // clients told 503 for want of room
  std::atomic<std::uint32_t> accepting;  // an Accepting
  std::atomic<std::uint32_t> connections_max;
  // The application's descriptors at a moment when no handler ran, and that moment (steady_clock; 0 = never yet).
  std::atomic<std::uint64_t> quiet_at_ns;
  std::atomic<std::uint32_t> quiet_fds;
  std::atomic<std::uint32_t> missing_fds;  // the server's own that were not open at that moment
  std::atomic<std::uint32_t> left_open_fds;  // of the application, beyond the baseline, when the worker left
};

// Whether a worker takes connections, for the master to steer new ones to others.
enum class Accepting : std::uint32_t {
  kYes,
  kFull,  // every place is taken, and nobody can give way
  kStarving,  // the system gives no descriptors or no memory
  kNoMore,  // it drains, and the kernel hands it no more
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "records are shared between processes");

// Two per slot: a serving worker and its successor or a leaver; a few more let slow leavers pile up a little.
inline constexpr std::uint32_t kRecordsMax = 2 * kWorkersMax + 64;

class Scoreboard {
 public:
  static Result<Scoreboard> create();
  // Maps what create() made, in this program or in another of the same layout. Its records go on.
  static Result<Scoreboard> attach(UniqueFd fd);
  Scoreboard(Scoreboard&& other) noexcept;
  Scoreboard& operator=(Scoreboard&&) = delete;
  ~Scoreboard();

  WorkerGauges& record(std::uint32_t index);
  int fd() const { return fd_.get(); }

 private:
  Scoreboard(UniqueFd fd, std::span<WorkerGauges> records) : fd_(std::move(fd)), records_(records) {}

  UniqueFd fd_;
  std::span<WorkerGauges> records_;  // mapped shared
};

}  // namespace common
