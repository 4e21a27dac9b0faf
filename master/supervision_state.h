// SupervisionState: what one Supervision has to know to go on where another one stopped.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <vector>

#include "common/clock.h"
#include "master/recycle_reason.h"
#include "master/worker_id.h"

namespace master {

struct Counters {
  std::array<std::uint64_t, kRecycleReasons> recycled{};  // by index_of(reason)
  std::uint64_t restarts_crashed = 0;                     // ended by themselves, ready or not
  std::uint64_t restarts_killed = 0;                      // SIGKILL by a stranger

  bool operator==(const Counters&) const = default;
};

// A worker that serves; everybody else has gone before a state is taken.
struct ServingWorker {
  WorkerId id = kNoWorker;
  SlotIndex slot = 0;
  pid_t pid = 0;
  common::TimePoint asked_at{};
  common::TimePoint ready_at{};
};

enum class TemplatePresence { kNone, kReady };

struct SupervisionState {
  Generation generation = kFirstGeneration;
  WorkerId last_worker = kNoWorker;  // ids are never used again
  std::uint32_t wanted = 1;          // slots, all of them open
  TemplatePresence its_template = TemplatePresence::kReady;
  common::Duration longest_load{0};
  Counters counters;
  std::vector<ServingWorker> workers;  // at most one per slot; a slot without one gets one soon
};

}  // namespace master
