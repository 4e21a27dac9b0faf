// Fleet: every slot with its workers, and what each event means for them.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
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
#include "master/worker_record.h"
#include "master/worker_view.h"

namespace master {

struct Counters {
  std::array<std::uint64_t, kRecycleReasons> recycled{};  // by index_of(reason)
  std::uint64_t restarts_crashed = 0;                     // ended by themselves, ready or not
  std::uint64_t restarts_killed = 0;                      // SIGKILL by a stranger
};

// A worker that was not ready in time, could not start, or died too young.
struct Failure {
  SlotIndex slot = 0;
  ExitCause cause = ExitCause::kCrashed;
  std::string reason;
};

// How whoever has to leave is told.
enum class Leave { kDrain, kClose, kKill };

// One step of Supervision: what its parts share while it lasts.
struct Turn {
  common::TimePoint now;
  Actions& actions;
  Leave leave = Leave::kDrain;
  std::vector<Failure> failures{};                     // for Supervision to judge
  std::optional<WorkerRecord> template_silent_about{};  // a worker that the template did not fork in time

  // Built in place: a temporary variant per action costs a copy, and g++ 12 takes its unused part for uninitialized.
  template <typename Kind>
  void act(Kind action) {
    actions.emplace_back(std::in_place_type<Kind>, std::move(action));
  }
};

// Knows nothing of the template and of the service's phases: those are Supervision's. Pure: appends to turn.actions.
class Fleet {
 public:
  enum class Forking { kPossible, kImpossible };

  Fleet(const common::WorkerSettings& workers, const common::RestartSettings& restart);

  // Slots 0 to workers-1, their sockets open.
  void begin(std::uint32_t workers, Turn& turn);

  // One function per event; each is total over the worker's or slot's state. Unknown workers are ignored: they were
  // forgotten, or a message came late.
  void on(const event::Spawned& spawned);
  void on(const event::SpawnFailed& failed, Turn& turn);
  void on(const event::WorkerReady& ready, Turn& turn);
  void on(const event::WorkerExited& exited, Turn& turn);
  void on(const event::SlotOpened& opened);
  void on(const event::SlotOpenFailed& failed, Turn& turn);
  void on(const event::RecycleAsked& asked, Turn& turn);
  void on_template_lost(Turn& turn);
  void scale(std::uint32_t workers, Turn& turn);

  // Acts on every worker whose deadline has come.
  void expire(Turn& turn);

  // Does whatever has become possible: retries, spawns, replacements, opening and closing of slots.
  void settle(Forking forking, Turn& turn);

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
  enum class Sockets { kClosed, kOpening, kOpen };

  struct Slot {
    explicit Slot(const common::RestartSettings& settings) : restart(settings) {}

    SlotState state = SlotState::kVacant;  // written by apply() alone
    Sockets sockets = Sockets::kClosed;
    WorkerId serving = kNoWorker;  // in kReady, kReplacing
    WorkerId awaited = kNoWorker;  // in kStarting, kReplacing
    common::TimePoint retry_at;    // in kBackoff
    common::TimePoint replace_not_before = common::TimePoint::min();  // after an abandoned replacement
    RestartPolicy restart;
  };

  void apply(SlotIndex index, SlotEvent slot_event, Turn& turn, std::string_view cause = {});
  void ask(SlotIndex index, Turn& turn);
  void hand_over(SlotIndex index, Turn& turn);
  void back_off(SlotIndex index, Turn& turn, std::string_view cause);
  void abandon(SlotIndex index, Turn& turn, std::string_view cause);
  void leave_slot(SlotIndex index, Turn& turn);

  void fail(SlotIndex index, SlotEvent slot_event, Failure failure, Turn& turn);
  void serving_exited(const WorkerRecord& worker, const event::WorkerExited& exited, Turn& turn);
  void send_away(WorkerId id, Turn& turn, Leave how);
  void kill(WorkerRecord& worker, Turn& turn);
  void forget(WorkerId id, Turn& turn);
  void expire(WorkerRecord& worker, Turn& turn);

  void open_slot_if_due(SlotIndex index, Turn& turn);
  void close_slots(Turn& turn);
  bool may_replace(SlotIndex index) const;
  bool has_leaver(SlotIndex index) const;
  bool is_healthy(const WorkerRecord& worker, common::TimePoint now) const;

  common::WorkerSettings settings_;
  common::RestartSettings restart_settings_;
  std::uint32_t wanted_ = 0;
  WorkerId last_id_ = kNoWorker;
  std::vector<Slot> slots_;  // those with open sockets are always the first ones
  std::map<WorkerId, WorkerRecord> workers_;
  ReplacementQueue queue_;
  Counters counters_;
};

}  // namespace master
