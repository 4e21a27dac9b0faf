// Supervision and its fleet: how they are put aside, and how others go on from there.
#include <algorithm>
#include <ranges>

#include "common/check.h"
#include "master/supervision.h"

namespace master {

// Back-offs may be under way: a slot that waits is nothing to lose.
std::string Fleet::unrest() const {
  if (rollout_ || slots_.size() != wanted_) return "slots come and go";
  for (SlotIndex index = 0; index < slots_.size(); ++index) {
    if (slots_[index].sockets != Sockets::kOpen) return "slots come and go";
    if (!queue_.reason_of(index) && !is_outdated(index)) continue;
    return "the worker in slot " + std::to_string(index) + " is to be replaced";
  }
  for (const WorkerRecord& worker : workers_ | std::views::values) {
    if (worker.state == WorkerState::kReady || worker.state == WorkerState::kUnkillable) continue;
    return "worker " + std::to_string(worker.pid) + " in slot " + std::to_string(worker.slot) +
           (worker.state == WorkerState::kStarting ? " starts" : " leaves");
  }
  return "";
}

void Fleet::put_aside(SupervisionState& state) const {
  state.generation = generation_;
  state.last_worker = last_id_;
  state.wanted = wanted_;
  state.counters = counters_;
  for (const WorkerRecord& worker : workers_ | std::views::values) {
    if (worker.state != WorkerState::kReady) continue;
    state.workers.push_back({.id = worker.id,
                             .slot = worker.slot,
                             .pid = worker.pid,
                             .asked_at = worker.asked_at,
                             .ready_at = worker.ready_at});
  }
}

void Fleet::resume(const SupervisionState& state, Turn& turn) {
  CHECK(slots_.empty());
  generation_ = state.generation;
  last_id_ = state.last_worker;
  counters_ = state.counters;
  begin(state.wanted, turn);
  for (const ServingWorker& serving : state.workers) {
    CHECK(serving.slot < slots_.size() && serving.id <= last_id_);
    workers_.emplace(serving.id, WorkerRecord{.id = serving.id,
                                              .slot = serving.slot,
                                              .generation = generation_,
                                              .state = WorkerState::kReady,
                                              .pid = serving.pid,
                                              .asked_at = serving.asked_at,
                                              .ready_at = serving.ready_at,
                                              .deadline = common::TimePoint::max()});
    slots_[serving.slot].serving = serving.id;
    slots_[serving.slot].state = SlotState::kReady;
  }
}

std::string Supervision::unrest() const {
  if (phase_ != Phase::kServing) return "the service is " + std::string(name_of(phase_));
  if (rollout_) return "a reload is under way";
  const bool is_left = std::ranges::any_of(templates_, [this](const auto& entry) {
    return entry.first != fleet_.generation() && entry.second.state() != TemplateState::kGone;
  });
  if (is_left) return "the template of an earlier generation has not ended";
  switch (active_template().state()) {
    case TemplateState::kReady:
    case TemplateState::kBackoff: return fleet_.unrest();
    case TemplateState::kAbsent:
    case TemplateState::kLoading: return "the application is being loaded";
    case TemplateState::kBroken:
    case TemplateState::kTerminating:
    case TemplateState::kKilled:
    case TemplateState::kGone: break;
  }
  return "the template is being replaced";
}

SupervisionState Supervision::state() const {
  CHECK(unrest().empty());
  SupervisionState state;
  state.its_template = template_state() == TemplateState::kReady ? TemplatePresence::kReady : TemplatePresence::kNone;
  state.longest_load = longest_load_;
  fleet_.put_aside(state);
  return state;
}

void Supervision::resume(const SupervisionState& state, common::TimePoint now, Actions& actions) {
  CHECK(phase_ == Phase::kIdle);
  phase_ = Phase::kServing;
  longest_load_ = state.longest_load;
  Turn turn{.now = now, .actions = actions};
  fleet_.resume(state, turn);
  templates_.clear();
  TemplateKeeper& its = templates_.try_emplace(state.generation, state.generation, settings_.restart).first->second;
  Actions launch;
  its.apply(TemplateEvent::kStart, now, launch);
  if (state.its_template == TemplatePresence::kReady) {
    its.apply(TemplateEvent::kReady, now, launch);
  } else {
    actions.insert(actions.end(), launch.begin(), launch.end());
  }
  settle(turn);
}

}  // namespace master
