// World: the executor's side: does each action, if it makes sense.
#include <algorithm>
#include <csignal>
#include <variant>

#include "trace.h"
#include "world.h"

namespace master {

void World::promise(bool kept, std::string_view name) {
  if (kept || !broken_.empty()) return;
  broken_ = name;
  note("BROKEN: " + broken_);
}

void World::note(const std::string& line) {
  if (trace_ != nullptr) trace_->push_back(line);
}

void World::tell(const Event& event) {
  if (!broken_.empty()) return;
  const bool was_finished = is_finished();
  const bool was_active = is_active();
  if (trace_ != nullptr) note(words_of(event, now_));
  supervision_->step(event, now_, actions_);
  promise(!was_finished || actions_.empty(), "nothing happens after the end");
  if (was_finished) to_refuse_.reset();
  take_actions();
  promise(!was_active || is_active() || !pending_, "a reload is answered before the service stops");
}

// After a step: does what it said, and looks at everything.
void World::take_actions() {
  departures_.clear();
  silences_.clear();
  just_committed_.reset();
  ++tally_.steps;
  for (const Action& action : actions_) {
    if (trace_ != nullptr) note("    " + words_of(action));
    std::visit([this](const auto& it) { act(it); }, action);
  }
  actions_.clear();
  promise(!to_refuse_, "a reload at the wrong time is answered at once");
  const auto deadline = supervision_->next_deadline();
  promise(!deadline || *deadline > now_, "the next deadline is in the future");
  check_departures();
  check_patience();
  check_templates();
  check_stop();
  if (is_active()) check_slots();
  if (is_active()) check_rollout();
  if (tally_.steps % 16 == 0 && !is_finished()) check_views();
  failures_.clear();
}

void World::act(const action::StartTemplate& start) {
  promise(find_template(start.generation) == nullptr, "one template for a generation");
  promise(start.generation == active_ || (pending_ && start.generation == pending_->generation),
          "a template is started for a generation that is wanted");
  promise(start.generation != active_ || template_losses_.empty() ||
              now_ >= template_losses_.back() + settings_.restart.backoff_first,
          "a template that was lost is started again after its back-off");
  const Quality& quality = qualities_[start.generation];
  const bool bad = is_bad(start.generation);
  templates_.push_back({.generation = start.generation,
                        .doomed = bad && random_.chance(quality.loads_fail),
                        .hangs = bad && random_.chance(quality.loads_hang),
                        .silent = bad && random_.chance(quality.silent),
                        .unkillable = random_.chance(2),
                        .started_at = now_});
}

void World::act(const action::StopTemplate& stop) {
  Template* its = find_template(stop.generation);
  promise(its != nullptr, "only a living template is stopped");
  if (its == nullptr) return;
  promise(stop.signal == SIGKILL ? its->told != SIGKILL : its->told == 0, "a template is not told twice");
  // For whoever waits for its end before the next one starts an unkillable one would be for ever.
  if (its->told == 0 && stop.signal == SIGKILL && its->generation == active_) its->unkillable = false;
  its->told = stop.signal;
  its->told_at = now_;
}

void World::act(const action::Spawn& spawn) {
  const Template* its = find_template(spawn.generation);
  promise(spawn.worker > last_id_, "no worker's name is used twice");
  promise(its != nullptr && its->forks(), "workers are asked of a template that is ready");
  promise(spawn.slot < sockets_.size() && sockets_[spawn.slot].state == SlotSockets::kOpen,
          "a worker is asked for where the sockets are open");
  promise(spawn.slot < wanted_, "no worker is asked for in a slot that is not wanted");
  const bool is_trial = pending_ && pending_->generation == spawn.generation && !pending_->proven;
  std::set<Generation> draining = former_that_drain(Because::kReplaced);
  draining.erase(spawn.generation);  // those of a trial that was cut short
  promise(!is_trial || draining.size() < kDrainingGenerationsMax,
          "nothing is tried while two former generations drain");
  bool repeats = false;  // replaces a worker of its own generation
  bool drains = false;
  for (const Process& other : processes_) {
    promise(!is_trial || other.told != Told::kNothing || other.generation != spawn.generation,
            "one worker tries a new generation, alone");
    if (other.slot != spawn.slot) continue;
    promise(!other.awaited(), "a slot awaits one worker");
    promise(!other.accepts() || other.generation != spawn.generation || other.recycle_asked,
            "nobody is replaced without a reason");
    repeats = repeats || (other.accepts() && other.generation == spawn.generation);
    drains = drains || (other.told != Told::kNothing && !other.is_given_up(now_));
  }
  promise(!repeats || !drains, "nobody is replaced while the one before still drains");
  const SlotHistory& past = history(spawn.slot);
  promise(!past.failed_at || past.failed_generation != spawn.generation ||
              now_ >= *past.failed_at + settings_.restart.backoff_first,
          "a start that failed is repeated after its back-off");
  last_id_ = spawn.worker;
  const common::TimePoint until = now_ + settings_of(spawn.generation).workers.start_timeout;
  processes_.push_back({.id = spawn.worker,
                        .slot = spawn.slot,
                        .generation = spawn.generation,
                        .stubborn = random_.chance(5),
                        .unkillable = random_.chance(1),
                        .patience_from = until,
                        .patience_to = until});
}

void World::act(const action::Drain& drain) {
  Process* it = find(drain.worker);
  promise(it != nullptr && it->told == Told::kNothing, "only a living worker is told to drain, once");
  if (it == nullptr) return;
  promise(it->accepts() || it->slot >= wanted_ || !is_active(), "who was not ready yet drains where nobody is wanted");
  const bool replaced = std::ranges::any_of(processes_, [&](const Process& other) {
    return other.id != it->id && other.slot == it->slot && other.accepts();
  });
  if (it->accepts() && replaced) ++tally_.handed_over;
  // A commit later in this step may change what is wanted.
  if (it->accepts() && !replaced && it->slot < wanted_) departures_.push_back(it->slot);
  promise((drain.queue == Queue::kEmpty) == (sockets_[it->slot].state == SlotSockets::kRetired),
          "the queue of a slot is emptied if it has no next worker");
  it->scaled_away = drain.queue == Queue::kEmpty;
  it->told = Told::kDrain;
  it->told_at = now_;
  // Until a commit in this very step the executor cannot know whose settings are meant.
  common::Duration other = settings_.workers.stop_timeout;
  if (pending_) other = pending_->settings.workers.stop_timeout;
  it->patience_from = now_ + std::min(settings_.workers.stop_timeout, other);
  it->patience_to = now_ + std::max(settings_.workers.stop_timeout, other);
}

void World::act(const action::Kill& kill) {
  Process* it = find(kill.worker);
  const Told told = kill.signal == SIGKILL ? Told::kKill : Told::kClose;
  promise(it != nullptr && it->life != Life::kQueued, "only a living process is sent a signal");
  if (it == nullptr) return;
  promise(it->told < told, "nobody is told more gently than before, or twice");
  if (is_active()) {
    promise(!it->accepts(), "no serving worker is killed");
    promise(told != Told::kKill || now_ >= it->patience_from, "nobody is killed before the time");
    promise(told != Told::kClose || it->awaited(), "only who was not ready yet is told to close");
  }
  if (it->awaited() && now_ >= it->patience_from) fail_start(*it);
  it->told = told;
  it->told_at = now_;
  it->patience_from = now_ + kClosePatience;
  it->patience_to = told == Told::kKill ? Now::max() : it->patience_from;
}

void World::act(const action::Forget& forget) {
  Process* it = find(forget.worker);
  promise(it != nullptr && it->life == Life::kQueued, "only who was not forked is forgotten");
  if (it == nullptr) return;
  const Template* its = find_template(it->generation);
  if (it->awaited() && now_ >= it->patience_from && its != nullptr) {
    silences_.push_back(it->generation);
    fail_start(*it);
  }
  if (strays_.size() < 3 && random_.chance(30)) strays_.push_back(it->id);
  processes_.erase(processes_.begin() + (it - processes_.data()));
}

void World::act(const action::OpenSlot& open) {
  promise(open.slot == sockets_.size() && sockets_.back().state == SlotSockets::kOpen, "slots open upwards, in turn");
  promise(open.slot < wanted_, "only a slot that is wanted is opened");
  sockets_.push_back({});
}

void World::act(const action::RetireSlot& retire) {
  const bool known = retire.slot < sockets_.size();
  promise(known && sockets_[retire.slot].state == SlotSockets::kOpen, "an open slot is retired, once");
  if (!known) return;
  for (std::size_t above = retire.slot + 1; above < sockets_.size(); ++above) {
    promise(sockets_[above].state != SlotSockets::kOpen, "slots retire from the highest down");
  }
  sockets_[retire.slot] = {.state = SlotSockets::kRetired, .retired_at = now_};
  history(retire.slot).failed_at.reset();  // whoever wants it again wants it now
}

void World::act(const action::KeepSlot& keep) {
  const bool known = keep.slot < sockets_.size();
  promise(known && sockets_[keep.slot].state == SlotSockets::kRetired, "a retired slot is kept");
  promise(keep.slot > 0 && sockets_[keep.slot - 1].state == SlotSockets::kOpen, "slots are kept from the lowest up");
  if (known) sockets_[keep.slot].state = SlotSockets::kOpen;
}

void World::act(const action::CloseSlot& close) {
  promise(close.slot + 1 == sockets_.size() && close.slot > 0, "slots close from the highest down");
  if (close.slot + 1 != sockets_.size()) return;
  const SocketSet& set = sockets_.back();
  promise(set.state == SlotSockets::kRetired, "a slot retires before it closes");
  promise(now_ >= set.retired_at + kHandshakePatience, "a slot closes when handshakes have had their time");
  for (const Process& it : processes_) {
    promise(it.slot != close.slot || it.is_given_up(now_), "a slot closes without workers");
  }
  sockets_.pop_back();
  histories_.erase(close.slot);
}

void World::act(const action::ReportReady&) {
  promise(!reported_ready_, "ready is reported once");
  promise(accepting() == wanted_, "ready means that every worker is");
  reported_ready_ = true;
}

void World::act(const action::CommitReload& commit) {
  promise(pending_ && pending_->generation == commit.generation && pending_->proven, "a rollout is committed");
  if (!pending_) return;
  const common::WorkerSettings& workers = pending_->settings.workers;
  const std::uint32_t wanted = std::clamp(wanted_, workers.count, workers.count_max.value_or(workers.count));
  std::uint32_t served = 0;
  for (const Process& it : processes_) {
    promise(!it.accepts() || it.generation == commit.generation, "a commit finds the new generation only");
    promise(!it.awaited(), "a commit finds nobody awaited");
    served += it.accepts() ? 1 : 0;
  }
  promise(served >= std::min(wanted, wanted_), "a commit finds every slot served");
  active_ = commit.generation;
  settings_ = pending_->settings;
  wanted_ = wanted;
  just_committed_ = commit.generation;
  template_losses_.clear();
  histories_.clear();
}

void World::act(const action::EndReload& end) {
  if (to_refuse_ == end.generation) {
    promise(!end.error.empty(), "a reload at the wrong time is refused");
    to_refuse_.reset();
    return;
  }
  promise(pending_ && pending_->generation == end.generation, "a reload is answered once");
  promise(end.error.empty() == (just_committed_ == end.generation), "a reload succeeds when it was committed");
  ++(end.error.empty() ? tally_.committed : tally_.refused);
  const Template* its = find_template(end.generation);
  const bool hangs = its != nullptr && !its->loaded && pending_ && now_ >= pending_->loaded_by;
  const bool for_load = end.error.starts_with("load() takes longer");
  promise(!for_load || hangs, "a load() is refused when its time is up");
  promise(for_load || !hangs || !is_active(), "a load() whose time is up is told as such");
  promise(end.error.empty() || for_load || !is_active() || failures_.contains(end.generation),
          "a reload is refused for a reason");
  for (const WorkerView& view : supervision_->workers()) {
    const bool waits = view.state == VisibleState::kBackoff && is_active();
    promise(!waits || history(view.slot).failed_generation != end.generation,
            "a refused generation leaves no back-off");
  }
  for (auto& [slot, past] : histories_) past.failed_at.reset();
  pending_.reset();
}

void World::act(const action::Note& it) {
  if (it.kind == NoteKind::kGivingUp) {
    promise(may_give_up(), "giving up needs a reason");
    promise(!gave_up_ && departures_.empty(), "who stops already does not give up");
    gave_up_ = true;
  }
  Process* serving = nullptr;
  for (Process& process : processes_) serving = process.slot == it.slot && process.accepts() ? &process : serving;
  if (serving == nullptr) return;
  if (it.kind == NoteKind::kReplacementQueued) serving->recycle_queued = true;
  if (it.kind == NoteKind::kReplacementAbandoned) serving->recycle_queued = false;
}

void World::act(const action::Finish& finish) {
  promise((finish.exit_code != 0) == gave_up_, "the exit code tells whether the service gave up");
  for (const Process& it : processes_) {
    promise(it.is_given_up(now_), "the end leaves no worker behind");
  }
  for (const Template& it : templates_) {
    promise(it.told == SIGKILL && now_ >= it.told_at + kKillPatience, "the end leaves no template behind");
  }
}

}  // namespace master
