// Supervision: decides, from events alone, what the master does with its template and its workers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/config.h"
#include "master/fleet.h"
#include "master/supervision_action.h"
#include "master/supervision_event.h"
#include "master/supervision_state.h"
#include "master/template_keeper.h"
#include "master/worker_view.h"

namespace master {

//   idle --Started--> start_up --every worker ready--> serving --StopAsked--> stop_delayed
//     |                  |                                |                       |  deadline
//     |                  +-----StopAsked, giving up-------+-----------------------+--> stop_graceful
//     |                                                                                   |
//     |                                   finished <--+-- stop_immediate <-- stop_quick <-+
//     +-----------------------------------------------+       (each of them, when all have gone)
enum class Phase {
  kIdle,
  kStartUp,  // a fatal cause or a failed load ends the program, with exit code 1
  kServing,  // no outside fact ends the program, but for a crash loop with no worker ready (exit code 3)
  kStopDelayed,  // serves as before, but is not ready any more for those that ask
  kStopGraceful,  // workers drain
  kStopQuick,  // workers close
  kStopImmediate,  // workers are killed
  kFinished,  // nothing happens any more
};

// What `status` calls them: "starting", "ready", "stopping".
std::string_view name_of(Phase phase);

SupervisionSettings settings_of(const common::Config& config);

// No clock, no log, no system call: the executor tells events, does the actions in order, and calls again at
// next_deadline(). Actions that have a result (OpenSlot, Spawn, StartTemplate) get it told by a later event, never
// from within. Everything is single-threaded.
class Supervision {
 public:
  // `earlier`: what other masters of this service have counted.
  explicit Supervision(const SupervisionSettings& settings, const Counters& earlier = {});

  // Appends to `actions`. After it, next_deadline() lies after `now` (given timeouts and back-offs above zero).
  void step(const Event& event, common::TimePoint now, Actions& actions);
  Actions step(const Event& event, common::TimePoint now);

  std::optional<common::TimePoint> next_deadline() const;

  // What is under way that a state could not tell; "" = at rest.
  std::string unrest() const;
  SupervisionState state() const;  // at rest only
  // Instead of event::Started: goes on where the Supervision of `state` stopped, with the same settings. Histories of
  // failures begin anew, and a back-off ends.
  void resume(const SupervisionState& state, common::TimePoint now, Actions& actions);

  Phase phase() const { return phase_; }
  TemplateState template_state() const { return active_template().state(); }
  Generation generation() const { return fleet_.generation(); }
  std::optional<Generation> rollout() const;  // that is under way
  std::uint32_t workers_wanted() const { return fleet_.wanted(); }
  std::uint32_t workers_ready() const { return fleet_.ready(); }
  std::uint32_t open_slots() const { return fleet_.open_slots(); }
  const Counters& counters() const { return fleet_.counters(); }
  int exit_code() const { return exit_code_; }
  const std::string& exit_reason() const { return exit_reason_; }  // "" = it has not given up
  std::vector<WorkerView> workers() const { return fleet_.views(); }

 private:
  void on(const event::Started&, Turn& turn);
  void on(const event::TemplateReady& ready, Turn& turn);
  void on(const event::TemplateLost& lost, Turn& turn);
  void on(const event::Spawned& spawned, Turn& turn);
  void on(const event::SpawnFailed& failed, Turn& turn);
  void on(const event::WorkerReady& ready, Turn& turn);
  void on(const event::WorkerExited& exited, Turn& turn);
  void on(const event::SlotOpened& opened, Turn& turn);
  void on(const event::SlotOpenFailed& failed, Turn& turn);
  void on(const event::RecycleAsked& asked, Turn& turn);
  void on(const event::ScaleAsked& asked, Turn& turn);
  void on(const event::ReloadAsked& asked, Turn& turn);
  void on(const event::StopAsked& asked, Turn& turn);
  void on(const event::Tick&, Turn& turn);

  bool is_active() const {
    return phase_ == Phase::kStartUp || phase_ == Phase::kServing || phase_ == Phase::kStopDelayed;
  }
  TemplateKeeper& keeper(Generation generation);  // of a generation that has one
  const TemplateKeeper& active_template() const { return templates_.at(fleet_.generation()); }
  void expire_templates(Turn& turn);
  void expire_load(Turn& turn);
  std::optional<common::TimePoint> load_deadline() const;
  common::Duration decide_load_patience(common::Duration start_timeout) const;
  void commit_rollout(Turn& turn);
  void refuse_rollout(const std::string& reason, Turn& turn);
  void judge(const Failure& failure, Turn& turn);
  void judge(const event::TemplateLost& lost, Turn& turn);
  void give_up(int exit_code, std::string reason, Turn& turn);
  void stop(Phase phase, Turn& turn);
  void settle(Turn& turn);
  void settle_fleet(Turn& turn);

  SupervisionSettings settings_;
  Phase phase_ = Phase::kIdle;
  std::optional<common::TimePoint> stop_at_;  // in kStopDelayed
  int exit_code_ = 0;
  std::string exit_reason_;

  struct Rollout {
    Generation generation;
    SupervisionSettings settings;
    common::TimePoint loaded_by;
  };

  // The active one, that of the rollout, and those that are told to go but have not gone.
  std::map<Generation, TemplateKeeper> templates_;
  std::optional<Rollout> rollout_;
  common::Duration longest_load_{0};
  Fleet fleet_;
};

}  // namespace master
