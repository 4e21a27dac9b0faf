// World: what holds after every step, whatever has happened.
#include <algorithm>
#include <array>
#include <csignal>
#include <numeric>
#include <set>

#include "world.h"

namespace master {
namespace {

constexpr std::size_t kSlotsMax = 16;

}  // namespace

Process* World::find(WorkerId id) {
  const auto found = std::ranges::find(processes_, id, &Process::id);
  return found == processes_.end() ? nullptr : &*found;
}

Template* World::find_template(Generation generation) {
  const auto found = std::ranges::find(templates_, generation, &Template::generation);
  return found == templates_.end() ? nullptr : &*found;
}

const SupervisionSettings& World::settings_of(Generation generation) const {
  return pending_ && pending_->generation == generation ? pending_->settings : settings_;
}

SlotHistory& World::history(SlotIndex slot) { return histories_[slot]; }

bool World::is_active() const {
  switch (supervision_->phase()) {
    case Phase::kStartUp:
    case Phase::kServing:
    case Phase::kStopDelayed: return true;
    case Phase::kIdle:
    case Phase::kStopGraceful:
    case Phase::kStopQuick:
    case Phase::kStopImmediate:
    case Phase::kFinished: return false;
  }
  return false;
}

bool World::is_bad(Generation generation) const { return temper_ == Temper::kWild || generation != active_; }

std::set<Generation> World::former_that_drain(Because because) const {
  std::set<Generation> draining;
  for (const Process& it : processes_) {
    if (it.told != Told::kDrain || it.generation == active_) continue;
    if (because == Because::kAny || !it.scaled_away) draining.insert(it.generation);
  }
  return draining;
}

std::uint32_t World::accepting() const {
  return static_cast<std::uint32_t>(std::ranges::count_if(processes_, &Process::accepts));
}

void World::fail_start(const Process& process) {
  failures_.insert(process.generation);
  SlotHistory& past = history(process.slot);
  past.failed_at = now_;
  past.failed_generation = process.generation;
  if (!pending_ || process.generation != pending_->generation) past.failures.push_back(now_);
}

// At most what a crash loop is made of: the Supervision may count less, never more.
bool World::may_give_up() const {
  const std::uint32_t most = settings_.restart.failures_max;
  const auto loops = [&](const std::vector<Now>& failures) {
    if (most == 0 || failures.size() < most) return false;
    return !reported_ready_ || now_ - failures[failures.size() - most] <= settings_.restart.window;
  };
  if (reported_ready_ && accepting() > 0) return false;
  if (!reported_ready_ && fatal_) return true;
  return loops(template_losses_) ||
         std::ranges::any_of(histories_, [&](const auto& entry) { return loops(entry.second.failures); });
}

// Replacements are planned: they never cost a worker that serves.
void World::check_departures() {
  if (!is_active()) return;
  for (const SlotIndex slot : departures_) promise(slot >= wanted_, "a worker that serves leaves to its successor");
  const auto& recycled = supervision_->counters().recycled;
  promise(std::accumulate(recycled.begin(), recycled.end(), std::uint64_t{0}) == tally_.handed_over,
          "what was recycled is counted");
}

void World::check_slots() {
  std::array<std::uint8_t, kSlotsMax> accepts{};
  std::array<std::uint8_t, kSlotsMax> awaited{};
  std::uint32_t under_way = 0;
  std::uint32_t served = 0;
  for (const Process& it : processes_) {
    accepts[it.slot] = static_cast<std::uint8_t>(accepts[it.slot] + (it.accepts() ? 1 : 0));
    awaited[it.slot] = static_cast<std::uint8_t>(awaited[it.slot] + (it.awaited() ? 1 : 0));
  }
  for (std::size_t slot = 0; slot < kSlotsMax; ++slot) {
    promise(accepts[slot] <= 1, "a slot has one worker that accepts");
    promise(awaited[slot] <= 1, "a slot awaits one worker");
    served += accepts[slot];
    under_way += accepts[slot] == 1 && awaited[slot] == 1 ? 1 : 0;
  }
  for (std::size_t slot = 0; slot < sockets_.size(); ++slot) {
    const SlotSockets state = sockets_[slot].state;
    promise(state == SlotSockets::kOpening || (state == SlotSockets::kOpen) == (slot < wanted_),
            "a slot is retired while it is not wanted");
  }
  const auto open =
      std::ranges::count_if(sockets_, [](const SocketSet& it) { return it.state != SlotSockets::kOpening; });
  promise(under_way <= std::max(settings_.workers.unavailable_max, 1U), "no more replacements at once than allowed");
  promise(served == supervision_->workers_ready(), "the number of ready workers is the true one");
  promise(wanted_ == supervision_->workers_wanted(), "as many workers are wanted as were asked for");
  promise(static_cast<std::uint32_t>(open) == supervision_->open_slots(), "the number of open slots is the true one");
  promise(former_that_drain(Because::kReplaced).size() <= kDrainingGenerationsMax,
          "two former generations drain, no more");
  promise(pending_.has_value() == supervision_->rollout().has_value(), "a rollout is one that was asked for");
}

void World::check_rollout() {
  if (!pending_) return;
  const Template* its = find_template(pending_->generation);
  promise(!failures_.contains(pending_->generation), "a generation that fails is refused at once");
  promise(its != nullptr && its->told == 0, "a rollout has its template");
  if (its == nullptr) return;
  promise(its->loaded || now_ < pending_->loaded_by, "a load() of a rollout ends in time");
  if (!its->loaded || pending_->proven || former_that_drain(Because::kAny).size() >= kDrainingGenerationsMax) return;
  // A slot that has to wait for its own reasons may be the one that is to try it.
  const bool is_quiet = accepting() == wanted_ && std::ranges::none_of(processes_, [this](const Process& it) {
                          return it.awaited() || (it.accepts() && it.generation != active_);
                        });
  promise(!is_quiet, "a generation is tried as soon as it can be");
  const bool opens = std::ranges::any_of(sockets_, [](auto& it) { return it.state == SlotSockets::kOpening; });
  const bool waits = accepting() == 0 && !opens && std::ranges::none_of(processes_, &Process::awaited) &&
                     std::ranges::none_of(supervision_->workers(),
                                          [](const WorkerView& view) { return view.state == VisibleState::kBackoff; });
  promise(!waits, "a generation is tried where all others fail");
}

void World::check_stop() {
  const Phase phase = supervision_->phase();
  promise(phase != Phase::kStopDelayed || now_ < stop_not_before_, "a stop begins when its delay is over");
  promise(phase != Phase::kStopGraceful || now_ >= stop_not_before_, "a stop does not begin before its delay is over");
  if (is_active() || is_finished()) return;
  const Told least = phase == Phase::kStopGraceful ? Told::kDrain
                     : phase == Phase::kStopQuick  ? Told::kClose
                                                   : Told::kKill;
  for (const Process& it : processes_) promise(it.told >= least, "a stop leaves nobody out");
}

void World::check_patience() {
  if (is_finished()) return;
  for (const Process& it : processes_) promise(now_ < it.patience_to, "patience with a worker ends in time");
}

void World::check_templates() {
  if (is_finished()) return;
  for (const Template& it : templates_) {
    const bool wanted = it.generation == active_ || (pending_ && it.generation == pending_->generation);
    promise(it.told != 0 || (wanted && is_active()), "a template that is not wanted is stopped");
    promise(it.told != SIGTERM || now_ < it.told_at + kClosePatience, "patience with a template ends in time");
  }
  for (const Generation generation : silences_) {
    const Template* its = find_template(generation);
    promise(its == nullptr || its->told != 0, "a template that does not fork is killed");
  }
}

void World::check_views() {
  for (const WorkerView& view : supervision_->workers()) {
    if (view.worker == kNoWorker) continue;
    const Process* it = find(view.worker);
    promise(it != nullptr && it->slot == view.slot && it->generation == view.generation, "the status shows the truth");
    if (it == nullptr) return;
    promise((view.state == VisibleState::kReady) == it->accepts(), "the status shows who serves");
    promise((view.state == VisibleState::kStarting) == it->awaited(), "the status shows who is awaited");
  }
}

}  // namespace master
