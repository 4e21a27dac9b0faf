// LoadMeter: how busy each worker was between two looks at it.
//
// Two measures of busy, because neither sees all. The loop's own time counts a handler that sleeps or waits for a
// database, and misses what the kernel does for the worker inside io_uring_enter(2): with small answers that is most
// of it. The CPU time of the loop's thread counts that, and misses what sleeps. The larger of the two is at most too
// small: a worker that sleeps in handlers and moves much data besides may be full and look half busy. Then its clients
// wait in line, which is seen as such.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "common/clock.h"
#include "common/scoreboard.h"
#include "master/worker_id.h"

namespace master {

// What was read of one serving worker at one moment. None of it is believed: it may jump, or run backwards.
struct LoadReading {
  WorkerId worker = kNoWorker;
  common::TimePoint at{};
  std::uint64_t busy_ns = 0;      // time its loop has not waited, ever, the present turn included
  std::uint64_t main_cpu_ns = 0;  // as in ProcessSample
  std::uint64_t accepted = 0;     // connections, ever
  std::uint64_t queued = 0;       // connections that wait in the sockets of its slot
  common::Accepting accepting = common::Accepting::kYes;
};

struct WorkerLoad {
  double busy = 0;            // part of the time, 0 to 1; 1 too for one whose connections are at their limit
  std::uint64_t overdue = 0;  // clients in its queue that were there at the look before already
};

// Pure: no clock, no system call.
class LoadMeter {
 public:
  // The readings of all serving workers at this moment. A worker that is new here has no load yet and is left out.
  std::vector<WorkerLoad> note(std::span<const LoadReading> readings);

 private:
  std::map<WorkerId, LoadReading> before_;  // of those in the last call
};

}  // namespace master
