// World: what its processes and its kernel do.
#include "world.h"

#include <algorithm>
#include <csignal>
#include <utility>

namespace master {

using namespace std::chrono_literals;

World::World(std::uint64_t seed, std::vector<std::string>* trace) : random_(seed), trace_(trace) {
  // Each world has its own mix, some things never happen in it: troubles that need quiet to unfold get it.
  constexpr std::array<std::uint32_t, 4> kWeights{0, 1, 3, 10};
  for (std::uint32_t& weight : weights_) weight = kWeights[random_.pick(0, 3)];
  for (const Doing doing : {Doing::kTime, Doing::kTemplate, Doing::kFork, Doing::kReady, Doing::kLeave, Doing::kOpen}) {
    weights_[static_cast<std::size_t>(doing)] = random_.pick(2, 20);
  }
  weights_[static_cast<std::size_t>(Doing::kStop)] = random_.chance(95) ? 0 : 1;
  leaps_ = random_.chance(20);
  settings_ = some_settings();
  if (random_.chance(20)) qualities_[active_] = some_quality();
  wanted_ = settings_.workers.count;
  sockets_.assign(wanted_, SocketSet{.state = SlotSockets::kOpen});
  supervision_.emplace(settings_);
  tell(event::Started{});
}

SupervisionSettings World::some_settings() {
  SupervisionSettings settings;
  settings.workers.count = random_.pick(1, 5);
  if (random_.chance(20)) settings.workers.count_max = settings.workers.count + random_.pick(0, 2);
  settings.workers.start_timeout = std::chrono::seconds(random_.pick(1, 10));
  settings.workers.stop_timeout = std::chrono::seconds(random_.pick(1, 20));
  settings.workers.unavailable_max = random_.pick(0, 3);
  settings.restart.failures_max = random_.chance(50) ? 0 : random_.pick(2, 8);
  settings.restart.backoff_max = std::chrono::seconds(random_.pick(1, 5));
  if (random_.chance(20)) settings.stop_delay = std::chrono::milliseconds(random_.pick(1, 5000));
  return settings;
}

Quality World::some_quality() {
  const auto some = [this] { return random_.chance(70) ? 0U : random_.chance(50) ? 30U : 100U; };
  return {.loads_fail = some(),
          .loads_hang = some(),
          .silent = some() / 2,
          .starts_fail = some(),
          .starts_hang = some(),
          .good_starts = random_.pick(0, 4)};
}

void World::turn() {
  std::uint32_t sum = 0;
  for (const std::uint32_t weight : weights_) sum += weight;
  std::uint32_t drawn = random_.pick(0, sum - 1);
  std::size_t chosen = 0;
  while (drawn >= weights_[chosen]) drawn -= weights_[chosen++];
  happen(static_cast<Doing>(chosen));
}

bool World::happen(Doing doing) {
  if (is_over()) return false;
  switch (doing) {
    case Doing::kTime: return pass_time();
    case Doing::kTemplate: return move_template();
    case Doing::kFork: return fork_one();
    case Doing::kReady: return make_ready();
    case Doing::kLeave: return leave();
    case Doing::kOpen: return answer_open();
    case Doing::kDie: return die();
    case Doing::kRecycle: return ask_recycle();
    case Doing::kScale: return ask_scale();
    case Doing::kReload: return ask_reload();
    case Doing::kUpgrade: return upgrade();
    case Doing::kNoise: return say_nonsense();
    case Doing::kStop: return ask_stop();
  }
  return false;
}

bool World::pass_time() {
  if (random_.chance(95)) reap_killed();
  const auto next = supervision_->next_deadline();
  const std::uint32_t how = random_.pick(0, 3);
  if (how == 0 || !next) {
    now_ += std::chrono::milliseconds(random_.pick(0, 4000));
  } else if (how == 1) {
    now_ += std::chrono::milliseconds(random_.pick(0, 300));
  } else {
    constexpr common::Duration kLongest =
        1000h;  // a patience is made of what took long before, and the clock has an end
    now_ =
        std::clamp(*next, now_, now_ + kLongest) + (how == 2 ? 0ms : std::chrono::milliseconds(random_.pick(0, 3000)));
  }
  if (leaps_ && random_.chance(5)) now_ += std::chrono::hours(random_.pick(1, 1000));
  if (random_.chance(70)) tell(event::Tick{});  // else the next event is told before what has become due
  return true;
}

bool World::wait_for_deadline() {
  reap_killed();
  const auto next = supervision_->next_deadline();
  if (!next || is_over()) return false;
  now_ = std::max(now_, *next);
  tell(event::Tick{});
  return true;
}

// SIGKILL acts before much time has passed.
void World::reap_killed() {
  for (std::size_t index = processes_.size(); index > 0; --index) {
    const auto dies = [](const Process& it) { return it.told == Told::kKill && !it.unkillable; };
    if (index <= processes_.size() && dies(processes_[index - 1])) exit(index - 1, ExitCause::kKilled, 0);
  }
  for (std::size_t index = templates_.size(); index > 0; --index) {
    if (index > templates_.size()) continue;
    const Template& its = templates_[index - 1];
    if (its.told == SIGKILL && !its.unkillable) {
      lose_template(index - 1, its.loaded ? TemplatePhase::kLoaded : TemplatePhase::kLoading);
    }
  }
}

bool World::move_template() {
  if (templates_.empty()) return false;
  const std::size_t index = random_.pick(0, static_cast<std::uint32_t>(templates_.size() - 1));
  Template& its = templates_[index];
  const TemplatePhase phase = its.loaded ? TemplatePhase::kLoaded : TemplatePhase::kLoading;
  if (!may_move(its)) return false;
  if (its.told != 0) return lose_template(index, phase);
  if (its.loaded) return temper_ == Temper::kWild && random_.chance(5) && lose_template(index, phase);
  if (its.doomed) return lose_template(index, phase);
  its.loaded = true;
  longest_load_ = std::max(longest_load_, now_ - its.started_at);
  tell(event::TemplateReady{its.generation});
  return true;
}

bool World::may_move(const Template& its) const {
  if (its.told == SIGKILL) return !its.unkillable;
  if (its.told == SIGTERM) return !its.silent;
  if (its.loaded) return temper_ == Temper::kWild;  // it may die
  return its.doomed || !its.hangs || !is_bad(its.generation);
}

bool World::lose_template(std::size_t index, TemplatePhase phase) {
  const Template lost = templates_[index];
  templates_.erase(templates_.begin() + static_cast<std::ptrdiff_t>(index));
  if (lost.generation == active_ && is_active()) template_losses_.push_back(now_);
  if (phase == TemplatePhase::kLoading) fatal_ = true;
  failures_.insert(lost.generation);
  tell(event::TemplateLost{phase, "lost", lost.generation});
  const bool was_given_up = lost.told == SIGKILL && now_ - lost.told_at >= kKillPatience;
  const auto is_left = [&](const Process& it) { return it.generation == lost.generation && it.life == Life::kQueued; };
  promise(was_given_up || std::ranges::none_of(processes_, is_left),
          "what a lost template has not forked is forgotten");
  return true;
}

bool World::fork_one() {
  std::vector<std::size_t> queued;
  for (std::size_t index = 0; index < processes_.size(); ++index) {
    const Template* its = find_template(processes_[index].generation);
    const bool forks = its != nullptr && its->loaded && !its->silent && its->told != SIGKILL;
    if (processes_[index].life == Life::kQueued && forks) queued.push_back(index);
  }
  if (queued.empty()) return false;
  const std::size_t index = queued[random_.pick(0, static_cast<std::uint32_t>(queued.size() - 1))];
  Process& process = processes_[index];
  const WorkerId id = process.id;
  if (temper_ == Temper::kWild && random_.chance(3)) {
    const Process gone = process;
    processes_.erase(processes_.begin() + static_cast<std::ptrdiff_t>(index));
    if (gone.awaited()) fail_start(gone);
    tell(event::SpawnFailed{id, "fork: no memory"});
    return true;
  }
  Quality& quality = qualities_[process.generation];
  if (quality.good_starts > 0) {
    --quality.good_starts;
  } else if (is_bad(process.generation)) {
    process.doomed = random_.chance(quality.starts_fail);
    process.hangs = random_.chance(quality.starts_hang);
  }
  process.life = Life::kForked;
  if (!process.doomed && !process.hangs && random_.chance(10)) return become_ready(index);  // its word comes first
  tell(event::Spawned{id, static_cast<pid_t>(id)});
  return true;
}

bool World::make_ready() {
  std::vector<std::size_t> starting;
  for (std::size_t index = 0; index < processes_.size(); ++index) {
    if (processes_[index].life == Life::kForked && !processes_[index].hangs) starting.push_back(index);
  }
  if (starting.empty()) return false;
  return become_ready(starting[random_.pick(0, static_cast<std::uint32_t>(starting.size() - 1))]);
}

bool World::become_ready(std::size_t index) {
  Process& process = processes_[index];
  if (process.doomed) {
    exit(index, static_cast<ExitCause>(random_.pick(0, random_.chance(5) ? 4 : 2)), 0);
    return true;
  }
  process.life = Life::kReady;
  process.ready_at = now_;
  if (process.told == Told::kNothing) {
    process.patience_to = Now::max();
    history(process.slot).failed_at.reset();
    if (pending_ && process.generation == pending_->generation) pending_->proven = true;
  }
  tell(event::WorkerReady{process.id, random_.chance(50) ? static_cast<pid_t>(process.id) : 0});
  return true;
}

bool World::leave() {
  std::vector<std::size_t> leavers;
  for (std::size_t index = 0; index < processes_.size(); ++index) {
    const Process& it = processes_[index];
    const bool heeds = it.told == Told::kKill ? !it.unkillable : it.told != Told::kNothing && !it.stubborn;
    if (heeds && it.life != Life::kQueued) leavers.push_back(index);
  }
  if (leavers.empty()) return false;
  const std::size_t index = leavers[random_.pick(0, static_cast<std::uint32_t>(leavers.size() - 1))];
  const bool killed = processes_[index].told == Told::kKill;
  const ExitCause cause = random_.chance(90) ? ExitCause::kClean : ExitCause::kCrashed;
  exit(index, killed ? ExitCause::kKilled : cause, 1);
  return true;
}

bool World::die() {
  if (processes_.empty()) return false;
  const std::size_t index = random_.pick(0, static_cast<std::uint32_t>(processes_.size() - 1));
  const Process& process = processes_[index];
  if (process.life == Life::kQueued || (process.told == Told::kKill && process.unkillable)) return false;
  exit(index, static_cast<ExitCause>(random_.pick(0, random_.chance(3) ? 4 : 2)), random_.pick(0, 1));
  return true;
}

void World::exit(std::size_t index, ExitCause cause, std::uint64_t requests) {
  const Process gone = processes_[index];
  processes_.erase(processes_.begin() + static_cast<std::ptrdiff_t>(index));
  const bool young = gone.accepts() && requests == 0 && now_ - gone.ready_at < kHealthyAge;
  if (gone.awaited() || young) {
    fail_start(gone);
    if (cause == ExitCause::kFatal) fatal_ = true;
  } else if (gone.accepts()) {
    history(gone.slot).failed_at.reset();  // whoever died healthy has its successor at once
  }
  tell(event::WorkerExited{gone.id, cause, requests, "gone"});
}

bool World::answer_open() {
  if (sockets_.empty() || sockets_.back().state != SlotSockets::kOpening) return false;
  const auto slot = static_cast<SlotIndex>(sockets_.size() - 1);
  if (temper_ == Temper::kWild && random_.chance(20)) {
    sockets_.pop_back();
    if (is_active()) wanted_ = std::min(wanted_, std::max(slot, 1U));
    tell(event::SlotOpenFailed{slot, "bind: Address already in use"});
    return true;
  }
  sockets_.back().state = SlotSockets::kOpen;
  tell(event::SlotOpened{slot});
  return true;
}

}  // namespace master
