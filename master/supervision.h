// Supervision: decides, from events alone, what the master does with its template and its workers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/config.h"
#include "master/fleet.h"
#include "master/restart_policy.h"
#include "master/supervision_action.h"
#include "master/supervision_event.h"
#include "master/template_machine.h"
#include "master/worker_view.h"

namespace master {

//   idle --Started--> start_up --every worker ready--> serving
//     |                  |                                |
//     |                  +-----StopAsked, giving up-------+--> stop_graceful --> stop_quick --> stop_immediate
//     |                                                            |               |               |
//     +------------------------------------------------------------+---------------+---------------+--> finished
enum class Phase {
  kIdle,
  kStartUp,        // a fatal cause or a failed load ends the program, with exit code 1
  kServing,        // no outside fact ends the program, but for a crash loop with no worker ready (exit code 3)
  kStopGraceful,   // workers drain
  kStopQuick,      // workers close
  kStopImmediate,  // workers are killed
  kFinished,       // nothing happens any more
};

struct SupervisionSettings {
  common::WorkerSettings workers;  // count is a number here: `auto` has been resolved
  common::RestartSettings restart;
};

// No clock, no log, no system call: the executor tells events, does the actions in order, and calls again at
// next_deadline(). Actions that have a result (OpenSlot, Spawn, StartTemplate) get it told by a later event, never
// from within. Everything is single-threaded.
class Supervision {
 public:
  explicit Supervision(const SupervisionSettings& settings);

  // Appends to `actions`. After it, next_deadline() lies after `now` (given timeouts and back-offs above zero).
  void step(const Event& event, common::TimePoint now, Actions& actions);
  Actions step(const Event& event, common::TimePoint now);

  std::optional<common::TimePoint> next_deadline() const;

  Phase phase() const { return phase_; }
  TemplateState template_state() const { return template_; }
  std::uint32_t workers_wanted() const { return fleet_.wanted(); }
  std::uint32_t workers_ready() const { return fleet_.ready(); }
  std::uint32_t open_slots() const { return fleet_.open_slots(); }
  const Counters& counters() const { return fleet_.counters(); }
  std::vector<WorkerView> workers() const { return fleet_.views(); }

 private:
  void on(const event::Started&, Turn& turn);
  void on(const event::TemplateReady&, Turn& turn);
  void on(const event::TemplateLost& lost, Turn& turn);
  void on(const event::Spawned& spawned, Turn& turn);
  void on(const event::SpawnFailed& failed, Turn& turn);
  void on(const event::WorkerReady& ready, Turn& turn);
  void on(const event::WorkerExited& exited, Turn& turn);
  void on(const event::SlotOpened& opened, Turn& turn);
  void on(const event::SlotOpenFailed& failed, Turn& turn);
  void on(const event::RecycleAsked& asked, Turn& turn);
  void on(const event::ScaleAsked& asked, Turn& turn);
  void on(const event::StopAsked& asked, Turn& turn);
  void on(const event::Tick&, Turn& turn);

  bool is_active() const { return phase_ == Phase::kStartUp || phase_ == Phase::kServing; }
  void apply(TemplateEvent template_event, Turn& turn);
  void judge(const Failure& failure, Turn& turn);
  void judge(const event::TemplateLost& lost, Turn& turn);
  void give_up(int exit_code, std::string reason, Turn& turn);
  void stop(Phase phase, Turn& turn);
  void settle(Turn& turn);

  SupervisionSettings settings_;
  Phase phase_ = Phase::kIdle;
  int exit_code_ = 0;
  std::string exit_reason_;

  TemplateState template_ = TemplateState::kAbsent;  // written by apply() alone
  std::optional<common::TimePoint> template_deadline_;
  common::TimePoint template_ready_at_;
  RestartPolicy template_restart_;

  Fleet fleet_;
};

}  // namespace master
