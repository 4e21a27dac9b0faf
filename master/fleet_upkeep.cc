// Fleet's upkeep: deadlines, leavers, what has become possible, and views.
#include <algorithm>
#include <csignal>
#include <ranges>
#include <tuple>

#include "common/check.h"
#include "master/fleet.h"

namespace master {
namespace {

// "30s", or "1500ms" where seconds would round.
std::string text_of(common::Duration duration) {
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
  return milliseconds % 1000 == 0 ? std::to_string(milliseconds / 1000) + "s" : std::to_string(milliseconds) + "ms";
}

}  // namespace

void Fleet::expire(Turn& turn) {
  std::vector<WorkerId> due;
  for (const WorkerRecord& worker : workers_ | std::views::values) {
    if (worker.deadline <= turn.now) due.push_back(worker.id);
  }
  for (const WorkerId id : due) {
    if (const auto found = workers_.find(id); found != workers_.end()) expire(found->second, turn);
  }
  for (SlotIndex index = 0; index < slots_.size(); ++index) {
    const Slot& slot = slots_[index];
    if (slot.state == SlotState::kBackoff && slot.retry_at <= turn.now) apply(index, SlotEvent::kRetryDue, turn);
  }
}

void Fleet::expire(WorkerRecord& worker, Turn& turn) {
  const WorkerRecord was = worker;
  switch (worker.state) {
    case WorkerState::kStarting:
      if (!worker.forked()) turn.silences.insert_or_assign(was.generation, was);
      send_away(was.id, turn, Leave::kKill);  // `worker` may be gone from here
      fail(was.slot, SlotEvent::kAwaitedFailed,
           {was.slot, was.generation, ExitCause::kStartFailed,
            std::string(was.forked() ? "not ready" : "not forked by the template") +
                " within workers.start_timeout = " + text_of(settings_of(was.generation).start_timeout)},
           turn);
      return;
    case WorkerState::kDraining:
      turn.act(action::Note{.kind = NoteKind::kDrainTimedOut, .slot = was.slot, .worker = was.id});
      send_away(was.id, turn, Leave::kKill);
      return;
    case WorkerState::kClosing: send_away(was.id, turn, Leave::kKill); return;
    case WorkerState::kKilled:
      worker.state = WorkerState::kUnkillable;
      worker.deadline = common::TimePoint::max();
      turn.act(action::Note{.kind = NoteKind::kUnkillable, .slot = was.slot, .worker = was.id});
      return;
    case WorkerState::kReady:
    case WorkerState::kUnkillable: CHECK(worker.deadline == common::TimePoint::max()); return;
  }
}

// Never more gently than before: whoever was told to close is not told to drain.
void Fleet::send_away(WorkerId id, Turn& turn, Leave how, Queue queue) {
  WorkerRecord& worker = workers_.at(id);
  if (how != Leave::kDrain && !worker.forked()) {
    forget(id, turn);
    return;
  }
  switch (worker.state) {
    case WorkerState::kStarting:
    case WorkerState::kReady:
      if (how == Leave::kDrain) {
        worker.state = WorkerState::kDraining;
        worker.deadline = turn.now + settings_.stop_timeout;
        turn.act(action::Drain{id, queue});
        return;
      }
      [[fallthrough]];
    case WorkerState::kDraining:
      if (how == Leave::kClose) {
        worker.state = WorkerState::kClosing;
        worker.deadline = turn.now + kClosePatience;
        turn.act(action::Kill{id, SIGTERM});
        return;
      }
      [[fallthrough]];
    case WorkerState::kClosing:
      if (how == Leave::kKill) kill(worker, turn);
      return;
    case WorkerState::kKilled:
    case WorkerState::kUnkillable: return;
  }
}

void Fleet::kill(WorkerRecord& worker, Turn& turn) {
  worker.state = WorkerState::kKilled;
  worker.deadline = turn.now + kKillPatience;
  turn.act(action::Kill{worker.id, SIGKILL});
}

void Fleet::forget(WorkerId id, Turn& turn) {
  workers_.erase(id);
  turn.act(action::Forget{id});
}

void Fleet::dismiss(Turn& turn) {
  wanted_ = 0;
  rollout_.reset();
  for (Slot& slot : slots_) {
    if (slot.sockets == Sockets::kRetiring) slot.sockets = Sockets::kOpen;  // closed with all others, at the end
  }
  for (SlotIndex index = 0; index < slots_.size(); ++index) apply(index, SlotEvent::kUnwanted, turn);
  std::vector<WorkerId> leavers;
  for (const WorkerId id : workers_ | std::views::keys) leavers.push_back(id);
  for (const WorkerId id : leavers) send_away(id, turn, turn.leave);
}

void Fleet::settle(const CanFork& can_fork, Turn& turn) {
  if (rollout_) further_rollout(turn);
  for (SlotIndex index = 0; index < slots_.size(); ++index) {
    const Slot& slot = slots_[index];
    if (slot.state != SlotState::kWaiting) continue;
    open_slot_if_due(index, turn);
    if (slot.sockets == Sockets::kOpen && can_fork(slot.generation)) apply(index, SlotEvent::kForkable, turn);
  }
  for (SlotIndex index = 0; index < slots_.size(); ++index) {
    if (!is_outdated(index) || turn.now < slots_[index].replace_not_before) continue;
    queue_.push(index, RecycleReason::kReload);  // or it is in for another reason, which will do as well
  }
  const auto may_begin = [&](SlotIndex index) { return may_replace(index) && can_fork(slots_[index].generation); };
  while (const std::optional<SlotIndex> next = queue_.begin_next(may_begin)) apply(*next, SlotEvent::kReplace, turn);
  close_slots(turn);
}

// One after the other, upwards: when one cannot be opened, none above it has been.
void Fleet::open_slot_if_due(SlotIndex index, Turn& turn) {
  Slot& slot = slots_[index];
  if (slot.sockets != Sockets::kClosed || index == 0 || slots_[index - 1].sockets != Sockets::kOpen) return;
  slot.sockets = Sockets::kOpening;
  turn.act(action::OpenSlot{index});
}

void Fleet::retire_slot(SlotIndex index, Turn& turn) {
  Slot& slot = slots_[index];
  if (slot.sockets != Sockets::kOpen) return;
  slot.sockets = Sockets::kRetiring;
  slot.close_not_before = turn.now + kHandshakePatience;
  turn.act(action::RetireSlot{index});
}

// From the top down, and only after the last worker has gone, and whoever had begun to connect to it has had time.
void Fleet::close_slots(Turn& turn) {
  while (!slots_.empty() && slots_.back().state == SlotState::kVacant) {
    const auto index = static_cast<SlotIndex>(slots_.size() - 1);
    const Slot& slot = slots_.back();
    if (slot.sockets == Sockets::kOpening || has_leaver(index)) return;
    if (slot.sockets == Sockets::kRetiring && slot.close_not_before > turn.now) return;
    if (slot.sockets != Sockets::kClosed) turn.act(action::CloseSlot{index});
    slots_.pop_back();
  }
}

// Not while the one before last still drains: a slot whose workers drain slowly would pile them up. A rollout does not
// wait for them; what limits it is the number of generations that drain.
bool Fleet::may_replace(SlotIndex index) const {
  if (slots_[index].state != SlotState::kReady) return false;
  return is_outdated(index) ? may_drain(serving_generation(index)) : !has_leaver(index);
}

bool Fleet::has_leaver(SlotIndex index) const {
  return std::ranges::any_of(workers_ | std::views::values, [index](const WorkerRecord& worker) {
    return worker.slot == index && worker.is_leaver() && worker.state != WorkerState::kUnkillable;
  });
}

std::uint32_t Fleet::ready() const {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(slots_, [](const Slot& slot) { return slot.serving != kNoWorker; }));
}

std::uint32_t Fleet::open_slots() const {
  return static_cast<std::uint32_t>(std::ranges::count_if(
      slots_, [](const Slot& slot) { return slot.sockets == Sockets::kOpen || slot.sockets == Sockets::kRetiring; }));
}

bool Fleet::is_gone() const {
  return std::ranges::all_of(workers_ | std::views::values,
                             [](const WorkerRecord& worker) { return worker.state == WorkerState::kUnkillable; });
}

std::optional<common::TimePoint> Fleet::next_deadline() const {
  auto next = common::TimePoint::max();
  for (const WorkerRecord& worker : workers_ | std::views::values) next = std::min(next, worker.deadline);
  for (const Slot& slot : slots_) {
    if (slot.state == SlotState::kBackoff) next = std::min(next, slot.retry_at);
  }
  for (SlotIndex index = 0; index < slots_.size(); ++index) {
    if (is_outdated(index) && !queue_.reason_of(index)) next = std::min(next, slots_[index].replace_not_before);
  }
  // Below the last slot nothing can be closed, and with a leaver in it neither: its end is the event then.
  if (!slots_.empty() && slots_.back().state == SlotState::kVacant && slots_.back().sockets == Sockets::kRetiring &&
      !has_leaver(static_cast<SlotIndex>(slots_.size() - 1))) {
    next = std::min(next, slots_.back().close_not_before);
  }
  if (next == common::TimePoint::max()) return std::nullopt;
  return next;
}

std::vector<WorkerView> Fleet::views() const {
  std::vector<WorkerView> views;
  for (const WorkerRecord& worker : workers_ | std::views::values) {
    WorkerView& view = views.emplace_back(WorkerView{.slot = worker.slot,
                                                     .generation = worker.generation,
                                                     .worker = worker.id,
                                                     .pid = worker.pid,
                                                     .state = visible(worker.state),
                                                     .asked_at = worker.asked_at});
    if (worker.ready_at != common::TimePoint{}) view.ready_at = worker.ready_at;
    if (worker.deadline != common::TimePoint::max()) view.deadline = worker.deadline;
    if (worker.state == WorkerState::kReady) view.recycle_planned = queue_.reason_of(worker.slot);
  }
  for (SlotIndex index = 0; index < slots_.size(); ++index) {
    const std::optional<VisibleState> state = visible(slots_[index].state);
    if (!state) continue;
    WorkerView& view =
        views.emplace_back(WorkerView{.slot = index, .generation = slots_[index].generation, .state = *state});
    if (slots_[index].state == SlotState::kBackoff) view.deadline = slots_[index].retry_at;
  }
  std::ranges::sort(
      views, {}, [](const WorkerView& view) { return std::tuple(view.slot, view.worker == kNoWorker, view.worker); });
  return views;
}

}  // namespace master
