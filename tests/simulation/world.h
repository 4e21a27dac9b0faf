// World: a seeded random service around a Supervision: its executor, its kernel, its application and its operators.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "doing.h"
#include "master/supervision.h"
#include "population.h"
#include "random_numbers.h"

namespace master {

// Every event it tells is followed by a look at what the Supervision wants done (does it make sense to whoever has to
// do it?) and at all promises. The first promise that is broken ends the world: it keeps still from then on.
class World {
 public:
  explicit World(std::uint64_t seed, std::vector<std::string>* trace = nullptr);

  // One thing happens, or nothing.
  void turn();
  void calm_down() { temper_ = Temper::kCalm; }
  // Until nothing is left to happen: no process has anything to do and no deadline is set.
  void come_to_rest();
  void reload_at_rest();
  void stop();

  bool is_over() const { return !broken_.empty() || is_finished(); }
  bool is_finished() const { return supervision_->phase() == Phase::kFinished; }
  const std::string& broken() const { return broken_; }  // the promise; empty = none
  const Tally& tally() const { return tally_; }
  RandomNumbers& random() { return random_; }

 private:
  using Now = common::TimePoint;

  SupervisionSettings some_settings();
  Quality some_quality();
  void promise(bool kept, std::string_view name);
  void note(const std::string& line);

  // world.cc: what happens. True if something did.
  bool happen(Doing doing);
  bool pass_time();
  bool wait_for_deadline();
  void reap_killed();
  bool move_template();
  bool may_move(const Template& its) const;
  bool lose_template(std::size_t index, TemplatePhase phase);
  bool fork_one();
  bool make_ready();
  bool become_ready(std::size_t index);
  bool leave();
  bool die();
  void exit(std::size_t index, ExitCause cause, std::uint64_t requests);
  bool answer_open();
  // world_operators.cc: what is asked for, also by nobody in his right mind.
  bool ask_recycle();
  bool ask_scale();
  bool ask_reload();
  bool ask_stop();
  bool upgrade();
  void reload(const Quality& quality);
  bool say_nonsense();
  Event some_nonsense();
  void check_rest();

  // world_actions.cc: one function per action.
  void tell(const Event& event);
  void take_actions();
  void act(const action::StartTemplate& start);
  void act(const action::StopTemplate& stop);
  void act(const action::Spawn& spawn);
  void act(const action::Drain& drain);
  void act(const action::Kill& kill);
  void act(const action::Forget& forget);
  void act(const action::OpenSlot& open);
  void act(const action::RetireSlot& retire);
  void act(const action::KeepSlot& keep);
  void act(const action::CloseSlot& close);
  void act(const action::ReportReady&);
  void act(const action::CommitReload& commit);
  void act(const action::EndReload& end);
  void act(const action::Note& it);
  void act(const action::Finish& finish);

  // world_promises.cc: what must hold after every step.
  void check_slots();
  void check_stop();
  void check_rollout();
  void check_patience();
  void check_templates();
  void check_views();
  void check_departures();
  void fail_start(const Process& process);
  bool may_give_up() const;

  Process* find(WorkerId id);
  Template* find_template(Generation generation);
  const SupervisionSettings& settings_of(Generation generation) const;
  SlotHistory& history(SlotIndex slot);
  bool is_active() const;
  bool is_bad(Generation generation) const;
  std::uint32_t accepting() const;
  std::set<Generation> former_that_drain(Because because) const;

  RandomNumbers random_;
  std::vector<std::string>* trace_;
  std::string broken_;
  Temper temper_ = Temper::kWild;
  std::array<std::uint32_t, kDoings> weights_{};
  bool leaps_ = false;
  Now now_{std::chrono::seconds(1000)};
  SupervisionSettings settings_;  // of the active generation
  std::optional<Supervision> supervision_;
  Actions actions_;

  std::vector<Process> processes_;  // by id; whoever the master knows of
  std::vector<WorkerId> strays_;    // forgotten by the master, which they do not know yet
  std::vector<Template> templates_;
  std::vector<SocketSet> sockets_;  // by slot
  std::map<Generation, Quality> qualities_;

  Generation active_ = kFirstGeneration;
  Generation last_generation_ = kFirstGeneration;
  WorkerId last_id_ = kNoWorker;
  std::uint32_t wanted_ = 0;
  std::optional<PendingReload> pending_;
  common::Duration longest_load_{0};
  std::optional<Generation> to_refuse_;     // asked for at the wrong time
  std::optional<Generation> just_committed_;  // in this step
  std::vector<SlotIndex> departures_;       // slots whose one accepting worker was sent away in this step
  std::vector<Generation> silences_;        // templates that did not fork in time, as seen in this step
  std::set<Generation> failures_;  // generations that failed in this step: their load(), or a worker of theirs
  std::map<SlotIndex, SlotHistory> histories_;
  std::vector<Now> template_losses_;  // of the active generation
  Now stop_not_before_{};             // gracefully, that is
  bool fatal_ = false;  // a start failed for ever, or the application did not load
  bool reported_ready_ = false;
  bool gave_up_ = false;
  Tally tally_;
};

}  // namespace master
