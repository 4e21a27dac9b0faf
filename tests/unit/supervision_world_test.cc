// Supervision in a random world: processes that start, fail, hang, die and refuse to die, and what must hold for all.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "master/supervision.h"

namespace master {
namespace {

using namespace std::chrono_literals;

enum class Life { kQueued, kForked, kReady };  // kQueued: the template has not got to it
enum class Told { kNothing, kDrain, kClose, kKill };
enum class Temper { kCalm, kWild };  // of the world: whether anything goes wrong by itself

struct Process {
  SlotIndex slot = 0;
  Life life = Life::kQueued;
  Told told = Told::kNothing;
  bool stubborn = false;    // heeds nothing but SIGKILL
  bool unkillable = false;  // not even that
};

enum class TemplateLife { kNone, kLoading, kReady };

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {
    settings_.workers.count = pick(1, 5);
    settings_.workers.start_timeout = std::chrono::seconds(pick(1, 10));
    settings_.workers.stop_timeout = std::chrono::seconds(pick(1, 20));
    settings_.workers.unavailable_max = pick(1, 3);
    settings_.restart.failures_max = chance(50) ? 0 : pick(3, 20);
    settings_.restart.backoff_max = 5s;
    supervision_.emplace(settings_);
    open_slots_ = settings_.workers.count;
    tell(event::Started{});
  }

  // One thing happens.
  void turn(Temper temper) {
    switch (pick(0, 9)) {
      case 0: pass_time(); return;
      case 1:
      case 2: move_template(temper); return;
      case 3: answer_open(temper); return;
      case 4:
        if (temper == Temper::kWild) ask_something();
        return;
      default: move_process(temper);
    }
  }

  void stop(StopKind kind) { tell(event::StopAsked{kind}); }
  void wait_for_deadline() {
    reap_killed();
    if (const auto next = supervision_->next_deadline()) now_ = *next;
    tell(event::Tick{});
  }
  bool is_finished() const { return supervision_->phase() == Phase::kFinished; }
  bool is_serving_fully() const { return supervision_->workers_ready() == supervision_->workers_wanted(); }
  std::uint32_t pick(std::uint32_t low, std::uint32_t high) {
    return std::uniform_int_distribution<std::uint32_t>(low, high)(random_);
  }
  std::uint64_t steps() const { return steps_; }
  std::uint64_t recycled() const { return recycled_; }

 private:
  bool chance(std::uint32_t percent) { return pick(1, 100) <= percent; }

  // SIGKILL acts before much time has passed.
  void reap_killed() {
    std::vector<WorkerId> killed;
    for (const auto& [id, process] : processes_) {
      if (process.told == Told::kKill && !process.unkillable) killed.push_back(id);
    }
    for (const WorkerId id : killed) exit(id, ExitCause::kKilled);
    if (template_told_ == SIGKILL) lose_template(TemplatePhase::kLoaded);
  }

  void pass_time() {
    reap_killed();
    now_ += std::chrono::milliseconds(pick(0, 3000));
    tell(event::Tick{});
  }

  void ask_something() {
    if (chance(70)) {
      tell(event::RecycleAsked{pick(0, 6), kNoWorker, static_cast<RecycleReason>(pick(0, kRecycleReasons - 1))});
    } else if (chance(50)) {
      tell(event::ScaleAsked{pick(0, 6)});
    } else {  // nonsense
      const auto first = processes_.begin();
      if (first != processes_.end() && first->second.life == Life::kReady) tell(event::WorkerReady{first->first, 0});
      tell(event::WorkerReady{1'000'000, 0});
      tell(event::SpawnFailed{1'000'000, "nonsense"});
      if (opening_.empty()) tell(event::SlotOpened{pick(0, 9)});
    }
  }

  void answer_open(Temper temper) {
    if (opening_.empty()) return;
    const SlotIndex slot = *opening_.begin();
    opening_.clear();
    if (temper == Temper::kWild && chance(20)) {
      tell(event::SlotOpenFailed{slot, "Address already in use"});
      return;
    }
    ++open_slots_;
    tell(event::SlotOpened{slot});
  }

  void move_template(Temper temper) {
    const bool lost = template_told_ != 0 ? chance(50) : temper == Temper::kWild && chance(4);
    if (template_ == TemplateLife::kNone) return;
    if (lost) {
      const TemplatePhase phase =
          template_ == TemplateLife::kLoading ? TemplatePhase::kLoading : TemplatePhase::kLoaded;
      lose_template(phase);
    } else if (template_ == TemplateLife::kLoading && template_told_ == 0) {
      template_ = TemplateLife::kReady;
      tell(event::TemplateReady{});
    }
  }

  void lose_template(TemplatePhase phase) {
    template_ = TemplateLife::kNone;
    template_told_ = 0;
    std::erase_if(processes_, [](const auto& entry) { return entry.second.life == Life::kQueued; });
    tell(event::TemplateLost{phase, "lost"});
  }

  void move_process(Temper temper) {
    if (processes_.empty()) return;
    auto it = processes_.begin();
    std::advance(it, pick(0, static_cast<std::uint32_t>(processes_.size() - 1)));
    const WorkerId id = it->first;
    Process& process = it->second;
    if (process.told == Told::kKill && process.unkillable) return;
    const bool heeds = process.told == Told::kKill || (process.told != Told::kNothing && !process.stubborn);
    if (process.life == Life::kQueued) {
      fork(id, process, temper);
    } else if (heeds && chance(50)) {
      exit(id, process.told == Told::kKill ? ExitCause::kKilled : ExitCause::kClean);
    } else if (temper == Temper::kWild && chance(process.life == Life::kReady ? 4 : 15)) {
      const ExitCause cause = static_cast<ExitCause>(pick(0, 4));
      exit(id, cause == ExitCause::kFatal && chance(90) ? ExitCause::kCrashed : cause);
    } else if (process.life == Life::kForked && (temper == Temper::kCalm || chance(40))) {
      process.life = Life::kReady;
      tell(event::WorkerReady{id, static_cast<pid_t>(id)});
    }
  }

  void fork(WorkerId id, Process& process, Temper temper) {
    if (template_ != TemplateLife::kReady) return;
    if (temper == Temper::kWild && chance(5)) {
      processes_.erase(id);
      tell(event::SpawnFailed{id, "fork failed"});
      return;
    }
    process.life = Life::kForked;
    tell(event::Spawned{id, static_cast<pid_t>(id)});
  }

  void exit(WorkerId id, ExitCause cause) {
    processes_.erase(id);
    tell(event::WorkerExited{id, cause, pick(0, 1), "gone"});
  }

  void tell(const Event& event) {
    ++steps_;
    const bool was_finished = is_finished();
    const std::uint32_t serving_before = serving();
    std::uint64_t before = 0;
    for (const std::uint64_t count : supervision_->counters().recycled) before += count;
    actions_.clear();
    supervision_->step(event, now_, actions_);
    ASSERT_TRUE(!was_finished || actions_.empty());
    for (const Action& action : actions_) std::visit([this](const auto& it) { act(it); }, action);
    check(event, serving_before);
    for (const std::uint64_t count : supervision_->counters().recycled) recycled_ += count;
    recycled_ -= before;
  }

  // --- actions: each must make sense to whoever has to do it ---------------------------------------------------------

  void act(const action::StartTemplate&) {
    ASSERT_EQ(template_, TemplateLife::kNone) << "two templates";
    template_ = TemplateLife::kLoading;
  }
  void act(const action::StopTemplate& stop) {
    ASSERT_NE(template_, TemplateLife::kNone) << "no template to stop";
    template_told_ = stop.signal;
  }
  void act(const action::Spawn& spawn) {
    ASSERT_EQ(template_, TemplateLife::kReady);
    ASSERT_EQ(template_told_, 0);
    ASSERT_GT(spawn.worker, last_id_);
    ASSERT_LT(spawn.slot, open_slots_) << "no sockets";
    last_id_ = spawn.worker;
    processes_[spawn.worker] = {.slot = spawn.slot, .stubborn = chance(5), .unkillable = chance(1)};
  }
  void act(const action::Drain& drain) {
    ASSERT_TRUE(processes_.contains(drain.worker)) << "drains a dead worker";
    ASSERT_EQ(processes_[drain.worker].told, Told::kNothing);
    processes_[drain.worker].told = Told::kDrain;
  }
  void act(const action::Kill& kill) {
    ASSERT_TRUE(processes_.contains(kill.worker)) << "signals a dead worker";
    Process& process = processes_[kill.worker];
    ASSERT_NE(process.life, Life::kQueued) << "signals a worker without a pid";
    const Told told = kill.signal == SIGKILL ? Told::kKill : Told::kClose;
    ASSERT_LT(process.told, told) << "more gently than before";
    process.told = told;
  }
  void act(const action::Forget& forget) {
    const auto found = processes_.find(forget.worker);
    if (found == processes_.end()) return;  // went with its template
    ASSERT_EQ(found->second.life, Life::kQueued) << "forgets a process";
    processes_.erase(found);
  }
  void act(const action::OpenSlot& open) {
    ASSERT_EQ(open.slot, open_slots_) << "slots open upwards";
    ASSERT_TRUE(opening_.insert(open.slot).second);
  }
  void act(const action::CloseSlot& close) {
    ASSERT_EQ(close.slot + 1, open_slots_) << "slots close downwards";
    --open_slots_;
    for (const auto& [id, process] : processes_) {
      ASSERT_TRUE(process.slot != close.slot || process.unkillable) << "closes under worker " << id;
    }
  }
  void act(const action::ReportReady&) {
    ASSERT_EQ(++reported_, 1);
    ASSERT_TRUE(is_serving_fully());
  }
  void act(const action::Note&) {}
  void act(const action::Finish&) {
    for (const auto& [id, process] : processes_) ASSERT_TRUE(process.unkillable) << "leaves worker " << id << " behind";
  }

  // --- invariants ----------------------------------------------------------------------------------------------------

  std::uint32_t serving() const {
    std::uint32_t count = 0;
    for (const auto& [id, process] : processes_) {
      count += process.life == Life::kReady && process.told == Told::kNothing ? 1 : 0;
    }
    return count;
  }

  void check(const Event& event, std::uint32_t serving_before) {
    const auto deadline = supervision_->next_deadline();
    ASSERT_TRUE(!deadline || *deadline > now_) << "would spin";
    std::map<SlotIndex, int> ready;
    std::map<SlotIndex, int> starting;
    for (const WorkerView& view : supervision_->workers()) {
      if (view.worker == kNoWorker) continue;
      ASSERT_TRUE(processes_.contains(view.worker)) << "shows a dead worker";
      ready[view.slot] += view.state == VisibleState::kReady ? 1 : 0;
      starting[view.slot] += view.state == VisibleState::kStarting ? 1 : 0;
    }
    std::uint32_t replacing = 0;
    for (const auto& [slot, count] : ready) {
      ASSERT_LE(count, 1) << "two serving workers in slot " << slot;
      ASSERT_LE(starting[slot], 1) << "two awaited workers in slot " << slot;
      replacing += count == 1 && starting[slot] == 1 ? 1 : 0;
    }
    ASSERT_LE(replacing, settings_.workers.unavailable_max);
    const Phase phase = supervision_->phase();
    if (phase != Phase::kStartUp && phase != Phase::kServing) return;
    ASSERT_EQ(serving(), supervision_->workers_ready());
    if (std::holds_alternative<event::ScaleAsked>(event) || std::holds_alternative<event::SlotOpenFailed>(event))
      return;
    // A death was already taken out of serving_before: every loss seen here would be a planned one. A worker that
    // became ready was already in it, and may have taken the place of the one it replaces.
    const bool hands_over = std::holds_alternative<event::WorkerReady>(event);
    ASSERT_GE(serving() + (hands_over ? 1 : 0), serving_before) << "a planned action cost a serving worker";
  }

  std::mt19937_64 random_;
  SupervisionSettings settings_;
  std::optional<Supervision> supervision_;
  common::TimePoint now_{1000s};
  Actions actions_;
  std::map<WorkerId, Process> processes_;
  TemplateLife template_ = TemplateLife::kNone;
  int template_told_ = 0;
  WorkerId last_id_ = kNoWorker;
  std::uint32_t open_slots_ = 0;
  std::set<SlotIndex> opening_;
  int reported_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t recycled_ = 0;
};

void expect_calm_heals(World& world) {
  for (int i = 0; i < 4000 && !world.is_finished() && !world.is_serving_fully(); ++i) {
    world.turn(Temper::kCalm);
    if (i % 50 == 49) world.wait_for_deadline();
    if (testing::Test::HasFatalFailure()) return;
  }
  EXPECT_TRUE(world.is_finished() || world.is_serving_fully()) << "does not heal";
}

// Only time passes: whoever heeds nothing must be dealt with by deadlines.
void expect_stops(World& world) {
  for (int i = 0; i < 200 && !world.is_finished(); ++i) {
    world.turn(Temper::kCalm);
    if (i % 3 == 2) world.wait_for_deadline();
    if (testing::Test::HasFatalFailure()) return;
  }
  EXPECT_TRUE(world.is_finished()) << "does not stop";
}

TEST(SupervisionWorld, KeepsItsPromisesWhateverHappens) {
  const char* given = std::getenv("SUPERVISION_SEED");
  const std::uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  const std::uint64_t last = given != nullptr ? first : 2500;
  std::uint64_t steps = 0;
  std::uint64_t recycled = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    SCOPED_TRACE("repeat with SUPERVISION_SEED=" + std::to_string(seed));
    World world(seed);
    for (int i = 0; i < 500 && !testing::Test::HasFatalFailure(); ++i) world.turn(Temper::kWild);
    if (!testing::Test::HasFatalFailure()) expect_calm_heals(world);
    if (!testing::Test::HasFatalFailure()) {
      for (std::uint32_t i = 0; i < 20; ++i) world.turn(Temper::kWild);
      world.stop(static_cast<StopKind>(world.pick(0, 2)));
      expect_stops(world);
    }
    steps += world.steps();
    recycled += world.recycled();
    if (testing::Test::HasFailure()) return;
  }
  if (given != nullptr) return;
  EXPECT_GT(steps, 300'000U);
  EXPECT_GT(recycled, 5'000U) << "the world is too wild to test anything";
}

}  // namespace
}  // namespace master
