// Fleet's rollout: which slot is to run which generation.
#include <algorithm>
#include <ranges>
#include <set>

#include "common/check.h"
#include "master/fleet.h"

namespace master {
namespace {

// The active generation becomes one of them, so a rollout waits until there is room: no longer than a replacement that
// is under way and a drain may take. Reloads in a row cost memory for two generations more, and no request.
constexpr std::size_t kDrainingGenerationsMax = 2;

}  // namespace

void Fleet::begin_rollout(Generation generation, const SupervisionSettings& settings) {
  CHECK(!rollout_ && generation != generation_);
  rollout_.emplace(Rollout{.generation = generation, .settings = settings});
}

void Fleet::further_rollout(Turn& turn) {
  Rollout& rollout = *rollout_;
  if (rollout.proven) return;
  if (!rollout.trial && leaving_generations().size() < kDrainingGenerationsMax) choose_trial(turn);
  if (!rollout.trial) return;
  const Slot& slot = slots_[*rollout.trial];
  if (slot.serving == kNoWorker || serving_generation(*rollout.trial) != rollout.generation) return;
  rollout.proven = true;
  for (Slot& other : slots_) other.generation = rollout.generation;
}

// A slot that serves, so that nothing is lost if the generation is no good; where none serves the next one that waits.
void Fleet::choose_trial(Turn& turn) {
  const auto is = [&](SlotState state) {
    return [this, state](SlotIndex index) { return slots_[index].state == state; };
  };
  const auto all = std::views::iota(SlotIndex{0}, static_cast<SlotIndex>(slots_.size()));
  for (const SlotState state : {SlotState::kReady, SlotState::kBackoff, SlotState::kWaiting}) {
    const auto found = std::ranges::find_if(all, is(state));
    if (found == all.end()) continue;
    rollout_->trial = *found;
    slots_[*found].generation = rollout_->generation;
    slots_[*found].replace_not_before = common::TimePoint::min();
    if (state == SlotState::kBackoff) apply(*found, SlotEvent::kRetryDue, turn);
    return;
  }
}

bool Fleet::is_rolled_out() const {
  if (!rollout_ || !rollout_->proven) return false;
  for (SlotIndex index = 0; index < wanted_; ++index) {
    if (slots_[index].state != SlotState::kReady || is_outdated(index)) return false;
  }
  return true;
}

void Fleet::commit(Turn& turn) {
  CHECK(is_rolled_out());
  generation_ = rollout_->generation;
  settings_ = rollout_->settings.workers;
  restart_settings_ = rollout_->settings.restart;
  rollout_.reset();
  queue_.limit(settings_.unavailable_max);
  for (Slot& slot : slots_) slot.restart = RestartPolicy(restart_settings_);
  // A range keeps the number that the load has led to.
  scale(settings_.count_max ? std::clamp(wanted_, settings_.count, *settings_.count_max) : settings_.count, turn);
}

// Back-offs of the failed generation say nothing about the one before.
void Fleet::go_back(Turn& turn) {
  if (!rollout_) return;
  const Generation failed = rollout_->generation;
  rollout_.reset();
  for (SlotIndex index = 0; index < slots_.size(); ++index) {
    Slot& slot = slots_[index];
    if (slot.generation != failed) continue;
    slot.generation = generation_;
    slot.replace_not_before = common::TimePoint::min();
    if (slot.awaited != kNoWorker && workers_.at(slot.awaited).generation == failed) {
      apply(index, SlotEvent::kAwaitedWithdrawn, turn);
    }
    // Its worker is of the right generation again: nothing is left of the reason why it waits.
    const bool waits = slot.state == SlotState::kReady && queue_.reason_of(index) == RecycleReason::kReload;
    if (waits && !is_outdated(index)) queue_.remove(index);
    if (slot.state != SlotState::kBackoff) continue;
    slot.restart = RestartPolicy(restart_settings_);
    apply(index, SlotEvent::kRetryDue, turn);
  }
}

// A replacement that had another reason than the reload has it still, and its turn.
void Fleet::withdraw(SlotIndex index, Turn& turn) {
  const WorkerId id = std::exchange(slots_[index].awaited, kNoWorker);
  const std::optional<RecycleReason> reason = queue_.reason_of(index);
  if (reason && *reason != RecycleReason::kReload) {
    queue_.postpone(index);
  } else {
    queue_.remove(index);
  }
  send_away(id, turn, Leave::kClose);
}

bool Fleet::is_outdated(SlotIndex index) const {
  const Slot& slot = slots_[index];
  return slot.state == SlotState::kReady && serving_generation(index) != slot.generation;
}

// Of former ones: those with workers that drain, or that do so as soon as their successors are ready. The active one is
// not among them, nor the one that is rolled out: one of these two is a former one at the end.
std::set<Generation> Fleet::leaving_generations() const {
  std::set<Generation> leaving;
  for (const WorkerRecord& worker : workers_ | std::views::values) {
    const bool leaves = worker.state == WorkerState::kDraining ||
                        (worker.state == WorkerState::kReady && slots_[worker.slot].state == SlotState::kReplacing);
    const bool is_former = worker.generation != generation_ && (!rollout_ || worker.generation != rollout_->generation);
    if (leaves && is_former) leaving.insert(worker.generation);
  }
  return leaving;
}

// A rollout that failed may leave workers behind that serve until they are replaced. They wait too: a rollout has room
// for one former generation beside the one that it makes.
bool Fleet::may_drain(Generation generation) const {
  if (generation == generation_ || (rollout_ && generation == rollout_->generation)) return true;
  std::set<Generation> leaving = leaving_generations();
  leaving.insert(generation);
  return leaving.size() <= kDrainingGenerationsMax - (rollout_ ? 1 : 0);
}

const common::WorkerSettings& Fleet::settings_of(Generation generation) const {
  return rollout_ && rollout_->generation == generation ? rollout_->settings.workers : settings_;
}

}  // namespace master
