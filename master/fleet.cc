// Fleet: events become slot events, and the effects of slot events become actions.
#include "master/fleet.h"

#include <algorithm>
#include <csignal>
#include <ranges>

#include "common/check.h"

namespace master {

using action::Note;

Fleet::Fleet(const common::WorkerSettings& workers, const common::RestartSettings& restart, const Counters& earlier)
    : settings_(workers), restart_settings_(restart), queue_(workers.unavailable_max), counters_(earlier) {}

void Fleet::begin(std::uint32_t workers, Turn& turn) {
  CHECK(slots_.empty());
  scale(workers, turn);
  for (Slot& slot : slots_) slot.sockets = Sockets::kOpen;
}

void Fleet::scale(std::uint32_t workers, Turn& turn) {
  wanted_ = std::clamp(workers, 1U, common::kWorkersMax);
  const bool is_proven = rollout_ && rollout_->proven;
  while (slots_.size() < wanted_) {
    slots_.emplace_back(restart_settings_).generation = is_proven ? rollout_->generation : generation_;
  }
  for (SlotIndex index = 0; index < wanted_; ++index) {
    if (slots_[index].sockets == Sockets::kRetiring) {
      slots_[index].sockets = Sockets::kOpen;
      turn.act(action::KeepSlot{index});
    }
    apply(index, SlotEvent::kWanted, turn);
  }
  for (SlotIndex index = static_cast<SlotIndex>(slots_.size()); index > wanted_; --index) {
    retire_slot(index - 1, turn);
    apply(index - 1, SlotEvent::kUnwanted, turn);
  }
  if (rollout_ && !rollout_->proven && rollout_->trial && *rollout_->trial >= wanted_) {
    slots_[*rollout_->trial].generation = generation_;  // another one tries it, even if this one is wanted again
    rollout_->trial.reset();
  }
}

void Fleet::on(const event::Spawned& spawned) {
  const auto found = workers_.find(spawned.worker);
  if (found != workers_.end()) found->second.pid = spawned.pid;
}

void Fleet::on(const event::WorkerReady& ready, Turn& turn) {
  const auto found = workers_.find(ready.worker);
  if (found == workers_.end()) return;
  WorkerRecord& worker = found->second;
  if (ready.pid != 0) worker.pid = ready.pid;
  switch (worker.state) {
    case WorkerState::kStarting:
      worker.state = WorkerState::kReady;
      worker.ready_at = turn.now;
      worker.deadline = common::TimePoint::max();
      apply(worker.slot, SlotEvent::kAwaitedReady, turn);
      return;
    case WorkerState::kReady:  // says it twice
    case WorkerState::kDraining:
    case WorkerState::kClosing:
    case WorkerState::kKilled:
    case WorkerState::kUnkillable:  // crossed our order to leave; but it tells that there is a process
      if (!worker.forked()) worker.ready_at = turn.now;
      return;
  }
}

void Fleet::on(const event::SpawnFailed& failed, Turn& turn) {
  const auto found = workers_.find(failed.worker);
  if (found == workers_.end() || found->second.forked()) return;
  const WorkerRecord worker = found->second;
  workers_.erase(found);
  switch (worker.state) {
    case WorkerState::kStarting:
      fail(worker.slot, SlotEvent::kAwaitedFailed,
           {worker.slot, worker.generation, ExitCause::kStartFailed, failed.reason}, turn);
      return;
    case WorkerState::kReady:  // cannot be: whoever was ready is forked
    case WorkerState::kDraining:
    case WorkerState::kClosing:
    case WorkerState::kKilled:
    case WorkerState::kUnkillable: return;  // it was to leave anyway
  }
}

void Fleet::on(const event::WorkerExited& exited, Turn& turn) {
  const auto found = workers_.find(exited.worker);
  if (found == workers_.end()) return;
  const WorkerRecord worker = found->second;
  workers_.erase(found);
  switch (worker.state) {
    case WorkerState::kStarting:
      counters_.restarts_killed += exited.cause == ExitCause::kKilled ? 1 : 0;
      counters_.restarts_crashed += exited.cause == ExitCause::kCrashed || exited.cause == ExitCause::kClean ? 1 : 0;
      fail(worker.slot, SlotEvent::kAwaitedFailed, {worker.slot, worker.generation, exited.cause, exited.reason}, turn);
      return;
    case WorkerState::kReady: serving_exited(worker, exited, turn); return;
    case WorkerState::kDraining:
      if (exited.cause != ExitCause::kClean) {
        turn.act(
            Note{.kind = NoteKind::kLeaverCrashed, .slot = worker.slot, .worker = worker.id, .text = exited.reason});
      }
      return;
    case WorkerState::kClosing:
    case WorkerState::kKilled:
    case WorkerState::kUnkillable: return;  // as told
  }
}

void Fleet::serving_exited(const WorkerRecord& worker, const event::WorkerExited& exited, Turn& turn) {
  ++(exited.cause == ExitCause::kKilled ? counters_.restarts_killed : counters_.restarts_crashed);
  if (exited.requests_served == 0 && !is_healthy(worker, turn.now)) {
    fail(worker.slot, SlotEvent::kServingFailed, {worker.slot, worker.generation, exited.cause, exited.reason}, turn);
    return;
  }
  slots_[worker.slot].restart.on_success();
  apply(worker.slot, SlotEvent::kServingLost, turn, exited.reason);
}

void Fleet::fail(SlotIndex index, SlotEvent slot_event, Failure failure, Turn& turn) {
  // A generation that is only tried fails as a whole, and at once: that says nothing about the slot.
  const bool is_tried = rollout_ && rollout_->generation == failure.generation;
  if (!is_tried) slots_[index].restart.on_failure(turn.now);
  apply(index, slot_event, turn, failure.reason);
  turn.failures.push_back(std::move(failure));
}

void Fleet::on(const event::SlotOpened& opened, Turn& turn) {
  if (opened.slot >= slots_.size()) return;
  Slot& slot = slots_[opened.slot];
  if (slot.sockets != Sockets::kOpening) return;
  slot.sockets = Sockets::kOpen;
  // No longer wanted: clients may have been sent here since it opened. A stop closes all slots at its end.
  if (wanted_ > 0 && opened.slot >= wanted_) retire_slot(opened.slot, turn);
}

void Fleet::on(const event::SlotOpenFailed& failed, Turn& turn) {
  if (failed.slot >= slots_.size() || slots_[failed.slot].sockets != Sockets::kOpening) return;
  slots_[failed.slot].sockets = Sockets::kClosed;
  if (failed.slot >= wanted_) return;  // no longer wanted in the meantime
  scale(failed.slot, turn);
  turn.act(Note{.kind = NoteKind::kScaleRefused, .slot = failed.slot, .workers = wanted_, .text = failed.reason});
}

void Fleet::on(const event::RecycleAsked& asked, Turn& turn) {
  const bool by_hand = asked.reason == RecycleReason::kManual;
  const SlotState state = asked.slot < slots_.size() ? slots_[asked.slot].state : SlotState::kVacant;
  switch (state) {
    case SlotState::kVacant:
    case SlotState::kWaiting:
    case SlotState::kStarting:
    case SlotState::kBackoff:  // what comes there will be new anyway
      if (by_hand) {
        turn.act(Note{.kind = NoteKind::kRecycleRefused, .slot = asked.slot, .reason = asked.reason});
      }
      return;
    case SlotState::kReplacing: return;  // on its way
    case SlotState::kReady: break;
  }
  const Slot& slot = slots_[asked.slot];
  if (asked.worker != kNoWorker && asked.worker != slot.serving) return;  // about a worker that left already
  if (!by_hand && turn.now < slot.replace_not_before) return;
  if (queue_.push(asked.slot, asked.reason) == ReplacementQueue::Pushed::kAlreadyThere) return;
  turn.act(
      Note{.kind = NoteKind::kReplacementQueued, .slot = asked.slot, .worker = slot.serving, .reason = asked.reason});
}

void Fleet::on_template_lost(Generation generation, Turn& turn) {
  std::vector<WorkerRecord> unforked;
  for (const WorkerRecord& worker : workers_ | std::views::values) {
    if (!worker.forked() && worker.generation == generation) unforked.push_back(worker);
  }
  for (const WorkerRecord& worker : unforked) {
    forget(worker.id, turn);
    if (worker.state == WorkerState::kStarting) apply(worker.slot, SlotEvent::kAwaitedUnforked, turn);
  }
}

// The only writer of Slot::state.
void Fleet::apply(SlotIndex index, SlotEvent slot_event, Turn& turn, std::string_view cause) {
  Slot& slot = slots_[index];
  const std::optional<SlotMove> move = decide_slot_move(slot.state, slot_event);
  CHECK(move.has_value());
  slot.state = move->next;
  switch (move->effect) {
    case SlotEffect::kNone: return;
    case SlotEffect::kAsk: ask(index, turn); return;
    case SlotEffect::kPromote: slot.serving = std::exchange(slot.awaited, kNoWorker); return;
    case SlotEffect::kHandOver: hand_over(index, turn); return;
    case SlotEffect::kRestart: {
      const WorkerId lost = slot.serving;
      slot.serving = slot.awaited = kNoWorker;
      queue_.remove(index);
      if (lost == kNoWorker) return;  // never forked: the template's loss is told as such
      turn.act(Note{.kind = NoteKind::kRestartNow, .slot = index, .worker = lost, .text = std::string(cause)});
      return;
    }
    case SlotEffect::kBackOff: back_off(index, turn, cause); return;
    case SlotEffect::kAbandon: abandon(index, turn, cause); return;
    case SlotEffect::kPostpone:
      turn.act(Note{.kind = NoteKind::kReplacementPostponed,
                    .slot = index,
                    .worker = slot.serving,
                    .reason = queue_.reason_of(index)});
      slot.awaited = kNoWorker;
      queue_.postpone(index);
      return;
    case SlotEffect::kWithdraw: withdraw(index, turn); return;
    case SlotEffect::kSucceed:
      slot.serving = kNoWorker;
      queue_.remove(index);
      turn.act(Note{
          .kind = NoteKind::kSuccessorTakesOver, .slot = index, .worker = slot.awaited, .text = std::string(cause)});
      return;
    case SlotEffect::kLeave: leave_slot(index, turn); return;
  }
}

void Fleet::ask(SlotIndex index, Turn& turn) {
  Slot& slot = slots_[index];
  const WorkerId id = ++last_id_;
  workers_.emplace(id, WorkerRecord{.id = id,
                                    .slot = index,
                                    .generation = slot.generation,
                                    .asked_at = turn.now,
                                    .deadline = turn.now + settings_of(slot.generation).start_timeout});
  slot.awaited = id;
  if (slot.serving != kNoWorker) {
    turn.act(
        Note{.kind = NoteKind::kReplacementStarted, .slot = index, .worker = id, .reason = queue_.reason_of(index)});
  }
  turn.act(action::Spawn{id, index, slot.generation});
}

void Fleet::hand_over(SlotIndex index, Turn& turn) {
  Slot& slot = slots_[index];
  const WorkerId old = std::exchange(slot.serving, std::exchange(slot.awaited, kNoWorker));
  const std::optional<RecycleReason> reason = queue_.remove(index);
  CHECK(reason.has_value());
  ++counters_.recycled[index_of(*reason)];
  if (is_healthy(workers_.at(old), turn.now)) slot.restart.on_success();
  turn.act(Note{.kind = NoteKind::kReplacementDone, .slot = index, .worker = old, .reason = reason});
  send_away(old, turn, turn.leave);
}

void Fleet::back_off(SlotIndex index, Turn& turn, std::string_view cause) {
  Slot& slot = slots_[index];
  const WorkerId failed = slot.serving != kNoWorker ? slot.serving : slot.awaited;
  slot.serving = slot.awaited = kNoWorker;
  slot.retry_at = turn.now + slot.restart.delay();
  queue_.remove(index);
  turn.act(Note{.kind = NoteKind::kRestartLater,
                .slot = index,
                .worker = failed,
                .delay = slot.restart.delay(),
                .text = std::string(cause)});
}

void Fleet::abandon(SlotIndex index, Turn& turn, std::string_view cause) {
  Slot& slot = slots_[index];
  const WorkerId failed = std::exchange(slot.awaited, kNoWorker);
  slot.replace_not_before = turn.now + slot.restart.delay();
  turn.act(Note{.kind = NoteKind::kReplacementAbandoned,
                .slot = index,
                .worker = failed,
                .delay = slot.restart.delay(),
                .reason = queue_.remove(index),
                .text = std::string(cause)});
}

void Fleet::leave_slot(SlotIndex index, Turn& turn) {
  Slot& slot = slots_[index];
  queue_.remove(index);
  for (const WorkerId id : {std::exchange(slot.awaited, kNoWorker), std::exchange(slot.serving, kNoWorker)}) {
    const Queue queue = slot.sockets == Sockets::kRetiring ? Queue::kEmpty : Queue::kLeave;
    if (id != kNoWorker) send_away(id, turn, turn.leave, queue);
  }
}

bool Fleet::is_healthy(const WorkerRecord& worker, common::TimePoint now) const {
  return worker.state == WorkerState::kReady && now - worker.ready_at >= kHealthyAge;
}

}  // namespace master
