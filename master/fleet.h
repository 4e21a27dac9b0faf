// Fleet: every slot with its workers, and what each event means for them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/clock.h"
#include "common/config.h"
#include "master/replacement_queue.h"
#include "master/restart_policy.h"
#include "master/slot_machine.h"
#include "master/supervision_action.h"
#include "master/supervision_event.h"
#include "master/supervision_state.h"
#include "master/turn.h"
#include "master/worker_record.h"
#include "master/worker_view.h"

namespace master {

// Knows nothing of the template and of the service's phases: those are Supervision's. Pure: appends to turn.actions.
class Fleet {
 public:
  using CanFork = std::function<bool(Generation)>;

  Fleet(const common::WorkerSettings& workers, const common::RestartSettings& restart, const Counters& earlier = {});

  // Slots 0 to workers-1, their sockets open.
  void begin(std::uint32_t workers, Turn& turn);

  // One function per event; each is total over the worker's or slot's state. Unknown workers are ignored: they were
  // forgotten, or a message came late.
  void on(const event::Spawned& spawned);
  void on(const event::SpawnFailed& failed, Turn& turn);
  void on(const event::WorkerReady& ready, Turn& turn);
  void on(const event::WorkerExited& exited, Turn& turn);
  void on(const event::SlotOpened& opened, Turn& turn);
  void on(const event::SlotOpenFailed& failed, Turn& turn);
  void on(const event::RecycleAsked& asked, Turn& turn);
  void on_template_lost(Generation generation, Turn& turn);
  void scale(std::uint32_t workers, Turn& turn);

  // A rollout: one slot tries the generation; once its worker is ready the others follow, as any planned replacement
  // does. A worker of the generation that fails is told in turn.failures, and it is for the caller to go back: then
  // every slot wants again what it had before. Its workers have to be forkable.
  void begin_rollout(Generation generation, const SupervisionSettings& settings);
  bool is_rolled_out() const;  // every wanted slot is served by the new generation, and by nothing else
  void commit(Turn& turn);     // its settings are everybody's now, the number of workers included
  void go_back(Turn& turn);
  Generation generation() const { return generation_; }  // the one before the rollout until commit()

  // Instead of begin(). `state` is what put_aside() added to, while there was no unrest.
  void resume(const SupervisionState& state, Turn& turn);
  void put_aside(SupervisionState& state) const;
  std::string unrest() const;  // what is under way; "" = nothing

  // Acts on every worker whose deadline has come.
  void expire(Turn& turn);

  // Does whatever has become possible: retries, spawns, replacements, opening and closing of slots.
  void settle(const CanFork& can_fork, Turn& turn);

  // Nobody is wanted any more; everybody leaves the way turn.leave says, also those who were leaving more gently.
  void dismiss(Turn& turn);

  std::uint32_t wanted() const { return wanted_; }
  std::uint32_t ready() const;  // slots with a serving worker
  bool serves(SlotIndex index) const { return slots_[index].serving != kNoWorker; }
  const RestartPolicy& restart_of(SlotIndex index) const { return slots_[index].restart; }
  std::uint32_t open_slots() const;
  bool is_gone() const;         // but for unkillable workers
  std::optional<common::TimePoint> next_deadline() const;
  const Counters& counters() const { return counters_; }
  std::vector<WorkerView> views() const;  // by slot, then by age, oldest first

 private:
  enum class Sockets { kClosed, kOpening, kOpen, kRetiring };

  struct Slot {
    explicit Slot(const common::RestartSettings& settings) : restart(settings) {}

    SlotState state = SlotState::kVacant;  // written by apply(), and by resume()
    Sockets sockets = Sockets::kClosed;
    Generation generation = kFirstGeneration;  // of the next worker that is asked for
    WorkerId serving = kNoWorker;  // in kReady, kReplacing
    WorkerId awaited = kNoWorker;  // in kStarting, kReplacing
    common::TimePoint retry_at;    // in kBackoff
    common::TimePoint replace_not_before = common::TimePoint::min();  // after an abandoned replacement
    common::TimePoint close_not_before;  // in Sockets::kRetiring
    RestartPolicy restart;
  };

  struct Rollout {
    Generation generation;
    SupervisionSettings settings;
    std::optional<SlotIndex> trial{};  // the slot that tries it
    bool proven = false;               // a worker of it was ready
  };

  void apply(SlotIndex index, SlotEvent slot_event, Turn& turn, std::string_view cause = {});
  void ask(SlotIndex index, Turn& turn);
  void hand_over(SlotIndex index, Turn& turn);
  void back_off(SlotIndex index, Turn& turn, std::string_view cause);
  void abandon(SlotIndex index, Turn& turn, std::string_view cause);
  void leave_slot(SlotIndex index, Turn& turn);

  void fail(SlotIndex index, SlotEvent slot_event, Failure failure, Turn& turn);
  void serving_exited(const WorkerRecord& worker, const event::WorkerExited& exited, Turn& turn);
  void send_away(WorkerId id, Turn& turn, Leave how, Queue queue = Queue::kLeave);
  void kill(WorkerRecord& worker, Turn& turn);
  void forget(WorkerId id, Turn& turn);
  void expire(WorkerRecord& worker, Turn& turn);

  void retire_slot(SlotIndex index, Turn& turn);
  void open_slot_if_due(SlotIndex index, Turn& turn);
  void close_slots(Turn& turn);
  bool may_replace(SlotIndex index) const;
  void choose_trial(Turn& turn);
  void further_rollout(Turn& turn);
  void withdraw(SlotIndex index, Turn& turn);
  Generation serving_generation(SlotIndex index) const { return workers_.at(slots_[index].serving).generation; }
  bool is_outdated(SlotIndex index) const;
  std::set<Generation> leaving_generations() const;
  bool may_drain(Generation generation) const;
  const common::WorkerSettings& settings_of(Generation generation) const;
  bool has_leaver(SlotIndex index) const;
  bool is_healthy(const WorkerRecord& worker, common::TimePoint now) const;

  common::WorkerSettings settings_;
  common::RestartSettings restart_settings_;
  Generation generation_ = kFirstGeneration;
  std::optional<Rollout> rollout_;
  std::uint32_t wanted_ = 0;
  WorkerId last_id_ = kNoWorker;
  std::vector<Slot> slots_;  // those with open sockets are always the first ones
  std::map<WorkerId, WorkerRecord> workers_;
  ReplacementQueue queue_;
  Counters counters_;
};

}  // namespace master
