// Supervision's rollouts: how a generation becomes the active one, or does not.
#include <algorithm>
#include <ranges>

#include "common/check.h"
#include "master/supervision.h"

namespace master {

std::string_view name_of(Phase phase) {
  switch (phase) {
    case Phase::kIdle:
    case Phase::kStartUp: return "starting";
    case Phase::kServing: return "ready";
    case Phase::kStopDelayed:
    case Phase::kStopGraceful:
    case Phase::kStopQuick:
    case Phase::kStopImmediate:
    case Phase::kFinished: return "stopping";
  }
  return "";
}

SupervisionSettings settings_of(const common::Config& config) {
  return {.workers = config.workers, .restart = config.restart, .stop_delay = config.stop.delay};
}

TemplateKeeper& Supervision::keeper(Generation generation) {
  const auto found = templates_.find(generation);
  CHECK(found != templates_.end());
  return found->second;
}

std::optional<Generation> Supervision::rollout() const {
  if (!rollout_) return std::nullopt;
  return rollout_->generation;
}

void Supervision::expire_templates(Turn& turn) {
  for (TemplateKeeper& its : templates_ | std::views::values) {
    if (its.deadline() && *its.deadline() <= turn.now) {
      its.apply(TemplateEvent::kDeadline, turn.now, turn.actions);
    }
  }
  for (const auto& [generation, unforked] : turn.silences) {
    turn.act(action::Note{.kind = NoteKind::kTemplateSilent, .slot = unforked.slot, .worker = unforked.id});
    if (templates_.contains(generation)) {
      keeper(generation).apply(TemplateEvent::kUnresponsive, turn.now, turn.actions);
    }
  }
  std::erase_if(templates_, [this](const auto& entry) {
    return entry.first != fleet_.generation() && entry.second.state() == TemplateState::kGone;
  });
}

// Without an end, a load() that hangs would keep every later reload waiting. What loads for minutes has shown it
// before, at the start, which is as patient as whoever started us.
common::Duration Supervision::decide_load_patience(common::Duration start_timeout) const {
  constexpr int kLongestLoadFactor = 3;
  return std::max(start_timeout, kLongestLoadFactor * longest_load_);
}

std::optional<common::TimePoint> Supervision::load_deadline() const {
  if (!rollout_ || templates_.at(rollout_->generation).state() != TemplateState::kLoading) return std::nullopt;
  return rollout_->loaded_by;
}

void Supervision::expire_load(Turn& turn) {
  const auto deadline = load_deadline();
  if (!deadline || turn.now < *deadline) return;
  refuse_rollout(
      "load() takes longer than workers.start_timeout, and than three times the longest load so far; raise "
      "workers.start_timeout",
      turn);
}

void Supervision::settle_fleet(Turn& turn) {
  const auto can_fork = [this](Generation generation) {
    const auto found = templates_.find(generation);
    return found != templates_.end() && found->second.state() == TemplateState::kReady;
  };
  fleet_.settle(can_fork, turn);
}

// Only now is the old template not needed any more: until here it could replace what crashed.
void Supervision::commit_rollout(Turn& turn) {
  const Generation old = fleet_.generation();
  settings_ = rollout_->settings;
  rollout_.reset();
  fleet_.commit(turn);
  turn.act(action::CommitReload{fleet_.generation()});
  turn.act(action::EndReload{.generation = fleet_.generation()});
  keeper(old).apply(TemplateEvent::kStop, turn.now, turn.actions);
}

void Supervision::refuse_rollout(const std::string& reason, Turn& turn) {
  const Generation failed = rollout_->generation;
  rollout_.reset();
  fleet_.go_back(turn);
  keeper(failed).apply(TemplateEvent::kStop, turn.now, turn.actions);
  turn.act(action::EndReload{.generation = failed, .error = reason});
}

}  // namespace master
