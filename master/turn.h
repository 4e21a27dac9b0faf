// Turn: one step of Supervision, what its parts share while it lasts.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/clock.h"
#include "master/supervision_action.h"
#include "master/supervision_event.h"
#include "master/worker_record.h"

namespace master {

// A worker that was not ready in time, could not start, or died too young.
struct Failure {
  SlotIndex slot = 0;
  Generation generation = kFirstGeneration;
  ExitCause cause = ExitCause::kCrashed;
  std::string reason;
};

// How whoever has to leave is told.
enum class Leave { kDrain, kClose, kKill };

struct Turn {
  common::TimePoint now;
  Actions& actions;
  Leave leave = Leave::kDrain;
  std::vector<Failure> failures{};                     // for Supervision to judge
  std::map<Generation, WorkerRecord> silences{};  // of each template that did not fork in time, a worker it owes

  // Built in place: a temporary variant per action costs a copy, and g++ 12 takes its unused part for uninitialized.
  template <typename Kind>
  void act(Kind action) {
    actions.emplace_back(std::in_place_type<Kind>, std::move(action));
  }
};

}  // namespace master
