// WorkerView: one line of `status`: a worker, or a slot that has none at the moment.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string_view>

#include "common/clock.h"
#include "master/recycle_reason.h"
#include "master/slot_machine.h"
#include "master/worker_id.h"
#include "master/worker_record.h"

namespace master {

// The states of the contract.
enum class VisibleState { kStarting, kReady, kDraining, kStopping, kBackoff };

struct WorkerView {
  SlotIndex slot = 0;
  Generation generation = kFirstGeneration;  // that it runs, or that the slot waits for
  WorkerId worker = kNoWorker;  // kNoWorker: a slot that waits or backs off
  pid_t pid = 0;                // 0: not forked yet, as far as we know
  VisibleState state = VisibleState::kStarting;
  std::optional<common::TimePoint> asked_at{};     // of a worker
  std::optional<common::TimePoint> ready_at{};     // of a worker that is or was ready
  std::optional<common::TimePoint> deadline{};     // when patience ends, or the back-off
  std::optional<RecycleReason> recycle_planned{};  // of a serving worker whose replacement waits or is under way
};

constexpr VisibleState visible(WorkerState state) {
  switch (state) {
    case WorkerState::kStarting: return VisibleState::kStarting;
    case WorkerState::kReady: return VisibleState::kReady;
    case WorkerState::kDraining: return VisibleState::kDraining;
    case WorkerState::kClosing:
    case WorkerState::kKilled:
    case WorkerState::kUnkillable: return VisibleState::kStopping;
  }
  return VisibleState::kStopping;
}

// Of a slot without a worker; nullopt = there is nothing to show, or the slot's workers show it.
constexpr std::optional<VisibleState> visible(SlotState state) {
  switch (state) {
    case SlotState::kWaiting: return VisibleState::kStarting;
    case SlotState::kBackoff: return VisibleState::kBackoff;
    case SlotState::kVacant:
    case SlotState::kStarting:
    case SlotState::kReady:
    case SlotState::kReplacing: return std::nullopt;
  }
  return std::nullopt;
}

constexpr std::string_view name_of(VisibleState state) {
  switch (state) {
    case VisibleState::kStarting: return "starting";
    case VisibleState::kReady: return "ready";
    case VisibleState::kDraining: return "draining";
    case VisibleState::kStopping: return "stopping";
    case VisibleState::kBackoff: return "backoff";
  }
  return "";
}

}  // namespace master
