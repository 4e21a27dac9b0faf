// World: what operators ask for, what makes no sense, and what is expected of a world in which nothing happens.
#include <algorithm>
#include <csignal>

#include "world.h"

namespace master {

using namespace std::chrono_literals;

namespace {

// Of simulated time: every patience of the settings, for one worker after the other, several times over.
constexpr common::Duration kRestWithin = std::chrono::minutes(20);
constexpr int kRestSteps = 20'000;

constexpr int kLoadFactor = 3;  // a load() of a rollout may take so many times the longest so far

}  // namespace

bool World::ask_recycle() {
  const SlotIndex slot = random_.pick(0, static_cast<std::uint32_t>(sockets_.size()));
  event::RecycleAsked asked{
      .slot = slot,
      .reason = static_cast<RecycleReason>(random_.pick(0, kRecycleReasons - 2))};  // kReload is not asked for
  if (random_.chance(30)) asked.worker = random_.pick(1, static_cast<std::uint32_t>(last_id_) + 1);
  for (Process& process : processes_) {
    const bool meant = asked.worker == kNoWorker || asked.worker == process.id;
    if (process.slot == slot && process.accepts() && meant) process.recycle_asked = true;
  }
  if (asked.reason == RecycleReason::kManual) history(slot).failed_at.reset();
  tell(asked);
  return true;
}

bool World::ask_scale() {
  const std::uint32_t workers = random_.pick(0, 6);
  if (is_active()) wanted_ = std::max(workers, 1U);
  tell(event::ScaleAsked{workers});
  return true;
}

bool World::ask_reload() {
  if (random_.chance(5)) {  // a generation that there is already
    to_refuse_ = active_;
    tell(event::ReloadAsked{active_, some_settings()});
    return true;
  }
  reload(random_.chance(60) ? Quality{} : some_quality());
  return true;
}

void World::reload(const Quality& quality) {
  const Generation generation = ++last_generation_;
  const event::ReloadAsked asked{.generation = generation, .settings = some_settings()};
  const bool legal = supervision_->phase() == Phase::kServing && !pending_;
  if (!legal) {
    to_refuse_ = generation;
    tell(asked);
    return;
  }
  qualities_[generation] = quality;
  pending_ =
      PendingReload{.generation = generation,
                    .settings = asked.settings,
                    .loaded_by = now_ + std::max(asked.settings.workers.start_timeout, kLoadFactor * longest_load_)};
  tell(asked);
  promise(!is_active() || !pending_ || find_template(generation) != nullptr, "a reload begins with its template");
}

// The master becomes another image of itself as soon as nothing is under way.
bool World::upgrade() {
  if (!supervision_->unrest().empty()) return false;
  const SupervisionState state = supervision_->state();
  const Counters counters = supervision_->counters();
  promise(!pending_, "a reload is under way, and that is unrest");
  for (const Process& it : processes_) {
    promise(it.accepts() || it.is_given_up(now_), "whoever does not serve yet, or any more, is unrest");
    promise(!it.accepts() || !it.recycle_queued, "a replacement that is queued is unrest");
  }
  promise(state.workers.size() == accepting(), "whoever serves goes on");
  promise(sockets_.size() == wanted_, "a slot that comes or goes is unrest");
  // What the next image does not know: whoever cannot be killed, back-offs, and what they were for.
  std::erase_if(processes_, [](const Process& it) { return it.told != Told::kNothing; });
  histories_.clear();
  template_losses_.clear();
  supervision_.emplace(settings_);
  note("upgrade");
  supervision_->resume(state, now_, actions_);
  const bool is_quiet = actions_.empty();
  take_actions();
  promise(temper_ == Temper::kWild || is_quiet, "nobody notices an upgrade at rest");
  promise(supervision_->phase() == Phase::kServing, "an upgraded service serves");
  promise(supervision_->generation() == active_, "an upgrade keeps the generation");
  promise(supervision_->counters().restarts_crashed == counters.restarts_crashed &&
              supervision_->counters().restarts_killed == counters.restarts_killed,
          "an upgrade keeps the counters");
  check_views();
  ++tally_.upgraded;
  return true;
}

bool World::ask_stop() {
  const auto kind = static_cast<StopKind>(random_.pick(0, 2));
  const Phase before = supervision_->phase();
  if (before == Phase::kServing && kind == StopKind::kGraceful) stop_not_before_ = now_ + settings_.stop_delay;
  tell(event::StopAsked{kind});
  const Phase quick = before == Phase::kStopQuick ? Phase::kStopImmediate : Phase::kStopQuick;
  const Phase least = kind == StopKind::kGraceful ? before : kind == StopKind::kQuick ? quick : Phase::kStopImmediate;
  promise(supervision_->phase() >= std::max(before, least), "a stop is as quick as it was asked to be");
  promise(!is_active() || supervision_->phase() == Phase::kStopDelayed, "a stop begins at once");
  return true;
}

bool World::say_nonsense() {
  tell(some_nonsense());
  return true;
}

// What comes late, twice or from a stranger.
Event World::some_nonsense() {
  const Process* some =
      processes_.empty() ? nullptr : &processes_[random_.pick(0, static_cast<std::uint32_t>(processes_.size() - 1))];
  const WorkerId id = some != nullptr && some->life == Life::kReady ? some->id : 1'000'000;
  const WorkerId stray = strays_.empty() ? 1'000'000 : strays_.back();
  const Generation generation = random_.pick(0, last_generation_ + 1);
  const Template* its = find_template(generation);
  switch (random_.pick(0, 9)) {
    case 0: return event::WorkerReady{id, 0};
    case 1: return event::SpawnFailed{id, "nonsense"};
    case 2: return event::Spawned{id, static_cast<pid_t>(id)};
    case 3: return event::SlotOpened{random_.chance(50) ? 0 : random_.pick(6, 9)};
    case 4: return event::SlotOpenFailed{random_.pick(6, 9), "nonsense"};
    case 5: return event::WorkerReady{stray, static_cast<pid_t>(stray)};
    case 6:
      if (!strays_.empty()) strays_.pop_back();
      return event::WorkerExited{stray, ExitCause::kClean, 0, "its channel has ended"};
    case 7:
      if (its == nullptr || its->loaded || its->told != 0) return event::TemplateReady{generation};  // says it twice
      return event::Tick{};
    case 8:
      if (its == nullptr) return event::TemplateLost{TemplatePhase::kLoaded, "told twice", generation};
      return event::Tick{};
    default: return event::Started{};
  }
}

void World::come_to_rest() {
  const Now since = pending_ ? std::max(now_, pending_->loaded_by) : now_;
  for (int step = 0; !is_over(); ++step) {
    promise(step < kRestSteps && now_ - since <= kRestWithin, "a calm world comes to rest");
    const std::uint32_t first = random_.pick(0, 4);
    bool happened = false;
    for (std::uint32_t i = 0; i < 5 && !happened; ++i) happened = happen(static_cast<Doing>((first + i) % 5 + 1));
    if (!happened && random_.chance(50)) happened = happen(Doing::kTemplate);
    const bool moves = std::ranges::any_of(templates_, [this](const Template& it) { return may_move(it); });
    if (!happened && !moves && !wait_for_deadline()) break;
  }
  if (!is_over() && is_active()) check_rest();
}

void World::check_rest() {
  promise(supervision_->phase() == Phase::kServing && reported_ready_, "a calm world serves");
  promise(!pending_ && !supervision_->rollout(), "a rollout ends");
  promise(supervision_->generation() == active_, "the active generation is the last one committed");
  promise(!supervision_->next_deadline(), "at rest there is nothing to wait for");
  promise(accepting() == wanted_, "a calm world is served by as many workers as are wanted");
  promise(sockets_.size() == wanted_, "a calm world has no slot too many");
  for (const Process& process : processes_) {
    const bool stuck = process.told == Told::kKill && process.unkillable;
    promise(stuck || process.accepts(), "a calm world has no worker that does not serve");
    promise(stuck || process.generation == active_, "a calm world runs one generation");
    promise(stuck || !process.recycle_queued, "a replacement that was queued takes place");
  }
  for (const Template& its : templates_) {
    const bool stuck = its.told == SIGKILL && its.unkillable;
    promise(stuck || (its.generation == active_ && its.forks()), "a calm world has one template, which is ready");
  }
  const Template* its = find_template(active_);
  promise(its != nullptr && its->forks(), "a calm world can fork");
}

void World::reload_at_rest() {
  if (is_over() || supervision_->phase() != Phase::kServing) return;
  if (random_.chance(50)) promise(upgrade(), "an upgrade at rest takes place");
  promise(!supervision_->next_deadline(), "at rest there is nothing to wait for");
  const std::uint32_t kind = random_.pick(0, 7);
  Quality quality{.good_starts = random_.pick(0, wanted_ - 1)};
  if (kind == 0) quality.loads_fail = 100;
  if (kind == 1) quality.loads_hang = 100;
  if (kind == 2) quality.silent = 100;
  if (kind == 3) quality.starts_fail = 100;
  if (kind == 4) quality.starts_hang = 100;
  const auto living = [this] {
    std::vector<WorkerId> ids(processes_.size());
    std::ranges::transform(processes_, ids.begin(), &Process::id);
    return ids;
  };
  const std::vector<WorkerId> before = living();
  const Generation old = active_;
  reload(quality);
  come_to_rest();
  if (is_over()) return;
  promise(active_ == (kind <= 4 ? old : last_generation_), "a reload ends as it has to");
  promise(kind > 2 || before == living(), "a generation that never had a worker costs none of the old one");
}

void World::stop() {
  if (is_over()) return;
  ask_stop();
  const Now until = now_ + 5s + 20s + kClosePatience + kKillPatience;
  for (int step = 0; !is_over(); ++step) {
    const bool stuck = random_.chance(50) ? !happen(static_cast<Doing>(random_.pick(1, 4))) && step > 1000
                                          : !wait_for_deadline() && step > 1000;
    if (random_.chance(3)) ask_stop();
    promise(!stuck && now_ <= until, "every stop ends");
  }
}

}  // namespace master
