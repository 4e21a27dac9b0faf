// Sample: what was measured of one worker at one moment.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>

#include "common/clock.h"
#include "common/poll_watch.h"
#include "common/scoreboard.h"
#include "master/process_sample.h"

namespace master {

// Sockets of the application whose peer has closed, and which the application has not closed.
struct CloseWaitCount {
  std::uint64_t now = 0;
  std::uint64_t aged = 0;      // for at least recycle.close_wait_age
  common::Duration oldest{0};  // a lower bound: from when it was first seen
};

// How the application's own event loops come back from waiting (common/poll_watch.h).
struct PollCounts {
  std::uint64_t returns = 0;
  std::uint64_t same = 0;
  bool hang_up = false;  // the event says that the other end has gone
};

struct Sample {
  common::TimePoint at{};
  std::uint64_t fds_total = 0;  // open descriptors of the process
  std::uint64_t owned = 0;      // opened by the server itself, connections included
  std::uint64_t baseline = 0;   // the application's when the worker became ready
  std::uint64_t rss = 0;        // bytes
  std::uint64_t requests = 0;   // served since its start
  // The application's descriptors as the worker counted them when no handler ran, and when; the epoch = never.
  std::uint64_t quiet_fds = 0;
  std::uint64_t missing_fds = 0;  // of the server's own, at that moment
  common::TimePoint quiet_at{};
  std::uint64_t turns = 0;                        // of its loop, wholly done
  std::optional<common::TimePoint> busy_since{};  // since when its loop has not turned; none = it waits for events
  std::uint32_t in_flight = 0;
  std::uint64_t cpu_ns = 0;       // all threads, in steps of 10 ms
  std::uint64_t main_cpu_ns = 0;  // of the thread of the loop, waiting for a CPU included
  char state = 'S';               // as in ProcessSample
  std::uint64_t open_files_soft = 0;  // 0 = unknown
  PollCounts polls{};
  std::optional<CloseWaitCount> close_wait{};  // none = the kernel does not tell
  // What cannot have leaked is cut off, by the SampleWindow, which knows the sample before.
  std::uint64_t leaked_at_most = std::numeric_limits<std::uint64_t>::max();

  // Total and owned are not read at the same instant: a connection in between must not look like 2^64 leaks.
  std::uint64_t leaked() const {
    const std::uint64_t expected = owned + baseline;
    return fds_total > expected ? std::min(fds_total - expected, leaked_at_most) : 0;
  }
};

struct SampleSources {
  const ProcessSample& process;
  const common::WorkerGauges& gauges;
  const common::PollWatch* polls = nullptr;  // null: the worker has no memory of that kind
  std::optional<CloseWaitCount> close_wait{};
  std::span<const int> close_wait_fds{};  // of the application
};

// Times from the worker's memory that lie in the future, which only a broken one writes, become `now`.
Sample take_sample(const SampleSources& sources, common::TimePoint now);

}  // namespace master
