// The one queue of planned replacements: a crowd of workers that all want to be replaced at the same moment.
//
// One reason does not go through it: a worker whose server descriptors the application has closed (kServerFdsClosed)
// is killed at once, however many replacements are under way, because it would write into the application's files.
// That is a death like any other, and its slot gets a new worker at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "supervision_stage.h"

namespace master {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kWorkers = 64;

enum class Trouble { kNone, kSuccessorsFail, kAnythingDies };

struct Plan {
  std::uint64_t seed = 1;
  std::uint32_t unavailable_max = 1;
  Trouble trouble = Trouble::kNone;
};

SupervisionSettings settings_of(const Plan& plan) {
  SupervisionSettings settings = settings_for(kWorkers);
  settings.workers.unavailable_max = plan.unavailable_max;
  return settings;
}

// Workers that become ready, fail, drain and die by themselves, while the sampler asks again with each of its looks.
class Crowd {
 public:
  explicit Crowd(const Plan& plan) : plan_(plan), random_(plan.seed), stage_(settings_of(plan)) {
    stage_.serve();
    for (WorkerId worker = 1; worker <= kWorkers; ++worker) alive_[worker] = static_cast<SlotIndex>(worker - 1);
    reasons_.assign(kWorkers, RecycleReason::kRequests);
    order_.resize(kWorkers);
    std::iota(order_.begin(), order_.end(), 0U);
    std::ranges::shuffle(order_, random_);
  }

  void mix_reasons() {
    for (SlotIndex slot = 0; slot < kWorkers; ++slot) {
      reasons_[slot] = static_cast<RecycleReason>(slot % (index_of(RecycleReason::kManual) + 1));
    }
  }
  // All of them at one instant, in order_.
  void ask() {
    for (const SlotIndex slot : order_) {
      const WorkerId worker = slot + 1;
      if (alive_.contains(worker)) tell(event::RecycleAsked{slot, worker, reasons_[slot]});
    }
  }
  // Until none of the first workers serves, or for a simulated day.
  void replace_all() {
    const common::TimePoint end = stage_.now + 24h;
    common::TimePoint look = stage_.now;
    while (stage_.now < end && !is_done() && !testing::Test::HasFatalFailure()) {
      common::TimePoint next = look;
      if (!pending_.empty()) next = std::min(next, pending_.begin()->first);
      if (const auto deadline = stage_.supervision.next_deadline()) next = std::min(next, *deadline);
      stage_.now = next;
      if (next == look) {
        look += 1s;
        ask();
      } else if (!pending_.empty() && pending_.begin()->first == next) {
        happen();
      } else {
        tell(event::Tick{});
      }
    }
  }
  bool is_done() const {
    return std::ranges::none_of(
               stage_.supervision.workers(),
               [](const WorkerView& view) { return view.state == VisibleState::kReady && view.worker <= kWorkers; }) &&
           stage_.supervision.workers_ready() == kWorkers;
  }
  void die(WorkerId worker) { tell(event::WorkerExited{worker, ExitCause::kKilled, 1, "killed by SIGKILL"}); }

  const std::vector<SlotIndex>& order() const { return order_; }
  const std::vector<SlotIndex>& begun() const { return begun_; }
  std::uint32_t most_at_once() const { return most_; }
  std::uint32_t abandoned() const { return abandoned_; }
  std::uint32_t under_way() const { return under_way_; }
  std::uint64_t recycled(RecycleReason why) const { return stage_.recycled(why); }
  std::uint32_t fewest_ready() const { return fewest_; }
  const std::vector<SlotIndex>& restarted() const { return restarted_; }

 private:
  std::uint32_t pick(std::uint32_t low, std::uint32_t high) {
    return std::uniform_int_distribution<std::uint32_t>(low, high)(random_);
  }
  void later(common::Duration after, Event event) { pending_.emplace(stage_.now + after, std::move(event)); }

  void happen() {
    const Event event = std::move(pending_.begin()->second);
    pending_.erase(pending_.begin());
    if (const auto* ready = std::get_if<event::WorkerReady>(&event); ready && !alive_.contains(ready->worker)) return;
    if (const auto* exit = std::get_if<event::WorkerExited>(&event); exit && !alive_.contains(exit->worker)) return;
    tell(event);
    if (plan_.trouble != Trouble::kAnythingDies || pick(1, 20) > 1) return;
    auto victim = alive_.begin();
    std::advance(victim, pick(0, static_cast<std::uint32_t>(alive_.size() - 1)));
    tell(event::WorkerExited{victim->first, ExitCause::kCrashed, 1, "killed by SIGSEGV"});
  }

  void tell(const Event& event) {
    if (const auto* exit = std::get_if<event::WorkerExited>(&event)) alive_.erase(exit->worker);
    for (const Action& action : stage_.supervision.step(event, stage_.now)) {
      if (const auto* spawn = std::get_if<action::Spawn>(&action)) on_spawn(*spawn);
      if (const auto* drain = std::get_if<action::Drain>(&action)) on_drain(drain->worker);
      if (const auto* kill = std::get_if<action::Kill>(&action)) on_kill(kill->worker);
      if (const auto* note = std::get_if<action::Note>(&action)) {
        abandoned_ += note->kind == NoteKind::kReplacementAbandoned ? 1 : 0;
      }
    }
    check();
  }

  void on_spawn(const action::Spawn& spawn) {
    const bool is_replacement = std::ranges::any_of(stage_.supervision.workers(), [&](const WorkerView& view) {
      return view.slot == spawn.slot && view.state == VisibleState::kReady;
    });
    if (!is_replacement) {
      restarted_.push_back(spawn.slot);
    } else if (seen_.insert(spawn.slot).second) {
      begun_.push_back(spawn.slot);
    }
    alive_[spawn.worker] = spawn.slot;
    const auto pid = static_cast<pid_t>(spawn.worker);
    later(1ms, event::Spawned{spawn.worker, pid});
    const std::uint32_t luck = plan_.trouble == Trouble::kNone ? 100 : pick(1, 100);
    const common::Duration takes = std::chrono::milliseconds(pick(2, 2000));
    if (luck <= 5) return;  // never ready: its time runs out
    if (luck <= 20) {
      const ExitCause cause = luck <= 10 ? ExitCause::kStartFailed : ExitCause::kCrashed;
      later(takes, event::WorkerExited{spawn.worker, cause, 0, "no luck"});
    } else {
      later(takes, event::WorkerReady{spawn.worker, pid});
    }
  }
  // One that hangs or spins does not hear it.
  void on_drain(WorkerId worker) {
    const RecycleReason reason = reasons_[alive_.at(worker)];
    if (reason == RecycleReason::kHang || reason == RecycleReason::kSpin) return;
    later(std::chrono::milliseconds(pick(0, 5000)), event::WorkerExited{worker, ExitCause::kClean, 1, "exit 0"});
  }
  void on_kill(WorkerId worker) { later(1ms, event::WorkerExited{worker, ExitCause::kKilled, 1, "killed by SIGKILL"}); }

  void check() {
    std::map<SlotIndex, std::uint32_t> ready;
    std::set<SlotIndex> starting;
    for (const WorkerView& view : stage_.supervision.workers()) {
      if (view.state == VisibleState::kReady) ++ready[view.slot];
      if (view.state == VisibleState::kStarting && view.worker != kNoWorker) starting.insert(view.slot);
    }
    under_way_ = static_cast<std::uint32_t>(
        std::ranges::count_if(starting, [&](SlotIndex slot) { return ready.contains(slot); }));
    most_ = std::max(most_, under_way_);
    fewest_ = std::min(fewest_, stage_.supervision.workers_ready());
    ASSERT_LE(under_way_, plan_.unavailable_max) << "replacements at the same time";
    for (const auto& [slot, count] : ready) ASSERT_EQ(count, 1U) << "workers that serve in slot " << slot;
  }

  Plan plan_;
  std::mt19937_64 random_;
  Stage stage_;
  std::multimap<common::TimePoint, Event> pending_;
  std::map<WorkerId, SlotIndex> alive_;
  std::vector<RecycleReason> reasons_;  // by slot
  std::vector<SlotIndex> order_;        // in which they ask
  std::vector<SlotIndex> begun_;        // in which their first replacements began
  std::set<SlotIndex> seen_;
  std::vector<SlotIndex> restarted_;
  std::uint32_t most_ = 0;
  std::uint32_t under_way_ = 0;
  std::uint32_t fewest_ = kWorkers;
  std::uint32_t abandoned_ = 0;
};

TEST(Coordinator, ReplacesACrowdNeverMoreThanAllowedAtOnceAndInTheOrderOfAsking) {
  for (const std::uint32_t unavailable_max : {1U, 2U, 3U, 8U, 63U, 64U, 512U}) {
    SCOPED_TRACE(unavailable_max);
    Crowd crowd({.seed = unavailable_max, .unavailable_max = unavailable_max});
    crowd.ask();
    EXPECT_EQ(crowd.under_way(), std::min(unavailable_max, kWorkers)) << "what is allowed is made use of";
    crowd.replace_all();
    EXPECT_TRUE(crowd.is_done());
    EXPECT_EQ(crowd.begun(), crowd.order());
    EXPECT_EQ(crowd.most_at_once(), std::min(unavailable_max, kWorkers));
    EXPECT_EQ(crowd.fewest_ready(), kWorkers) << "new before old";
    EXPECT_EQ(crowd.recycled(RecycleReason::kRequests), kWorkers) << "each once";
  }
}

TEST(Coordinator, LeadsEveryReasonThroughTheSameQueue) {
  Crowd crowd({.unavailable_max = 4});
  crowd.mix_reasons();
  crowd.ask();
  crowd.replace_all();
  EXPECT_TRUE(crowd.is_done());
  EXPECT_EQ(crowd.begun(), crowd.order()) << "no reason overtakes another";
  EXPECT_EQ(crowd.most_at_once(), 4U);
  EXPECT_EQ(crowd.fewest_ready(), kWorkers);
  for (std::size_t i = 0; i <= index_of(RecycleReason::kManual); ++i) {
    const auto reason = static_cast<RecycleReason>(i);
    EXPECT_GE(crowd.recycled(reason), kWorkers / (index_of(RecycleReason::kManual) + 1)) << name_of(reason);
  }
}

// A slot whose successor failed asks again, and then stands at the end of the line.
TEST(Coordinator, ReplacesAllInTheEndWhateverFailsMeanwhile) {
  const char* given = std::getenv("COORDINATOR_SEED");
  const std::uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  const std::uint64_t last = given != nullptr ? first : 60;
  std::uint64_t abandoned = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    SCOPED_TRACE("repeat with COORDINATOR_SEED=" + std::to_string(seed));
    const auto unavailable_max = static_cast<std::uint32_t>(1 + seed % 7);
    Crowd crowd({.seed = seed, .unavailable_max = unavailable_max, .trouble = Trouble::kSuccessorsFail});
    if (seed % 2 == 0) crowd.mix_reasons();
    crowd.ask();
    crowd.replace_all();
    ASSERT_FALSE(testing::Test::HasFatalFailure());
    ASSERT_TRUE(crowd.is_done());
    EXPECT_EQ(crowd.begun(), crowd.order()) << "a failure takes nobody's turn";
    EXPECT_EQ(crowd.fewest_ready(), kWorkers) << "a failed successor costs no worker";
    abandoned += crowd.abandoned();
  }
  EXPECT_GT(abandoned, 2 * (last - first + 1)) << "too little failed to test anything";
}

TEST(Coordinator, KeepsToItsLimitWhileWorkersDieAtRandom) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    const auto unavailable_max = static_cast<std::uint32_t>(1 + seed % 5);
    Crowd crowd({.seed = seed, .unavailable_max = unavailable_max, .trouble = Trouble::kAnythingDies});
    crowd.mix_reasons();
    crowd.ask();
    crowd.replace_all();
    ASSERT_FALSE(testing::Test::HasFatalFailure());
    ASSERT_TRUE(crowd.is_done());
    EXPECT_LE(crowd.most_at_once(), unavailable_max);
  }
}

TEST(Coordinator, DoesNotKeepASlotWaitingWhoseWorkerHadToBeKilled) {
  Crowd crowd({.unavailable_max = 2});
  crowd.ask();
  ASSERT_EQ(crowd.under_way(), 2U);
  const SlotIndex at_the_end = crowd.order().back();
  crowd.die(at_the_end + 1);
  EXPECT_EQ(crowd.restarted(), std::vector{at_the_end}) << "at once, and not as a replacement";
  EXPECT_EQ(crowd.under_way(), 2U);
  crowd.replace_all();
  EXPECT_TRUE(crowd.is_done());
  EXPECT_EQ(crowd.recycled(RecycleReason::kRequests), kWorkers - 1);
}

}  // namespace
}  // namespace master
