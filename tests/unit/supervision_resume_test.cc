// Supervision that is put aside and resumed: nobody can tell the one that goes on from the one that was there before.
#include <gtest/gtest.h>

#include "supervision_stage.h"

namespace master {
namespace {

using namespace std::chrono_literals;

struct Resumed {
  explicit Resumed(const Stage& before) : Resumed(before, settings_for(before.supervision.workers_wanted())) {}
  Resumed(const Stage& before, const SupervisionSettings& settings) : stage(settings) {
    stage.now = before.now;
    Actions actions;
    stage.supervision.resume(before.supervision.state(), stage.now, actions);
    for (const Action& action : actions) {
      const std::string words = std::visit(Describe{}, action);
      if (!words.empty()) said += (said.empty() ? "" : ", ") + words;
    }
  }

  Stage stage;
  std::string said;
};

TEST(Resume, ShowsWhatWasThereAndDoesNothing) {
  Stage before(3);
  before.serve();
  before.recycle(1, RecycleReason::kRss);
  before.now += 1s;
  before.ready(4);
  before.leaves(2);
  before.dies(3, ExitCause::kKilled);
  before.ready(5);
  before.now += 1h;
  Resumed after(before);
  EXPECT_EQ(after.said, "");
  const Supervision& one = before.supervision;
  const Supervision& other = after.stage.supervision;
  EXPECT_EQ(other.phase(), Phase::kServing);
  EXPECT_EQ(other.template_state(), TemplateState::kReady);
  EXPECT_EQ(other.workers_wanted(), 3U);
  EXPECT_EQ(other.workers_ready(), 3U);
  EXPECT_EQ(other.open_slots(), 3U);
  EXPECT_EQ(other.counters().recycled, one.counters().recycled);
  EXPECT_EQ(other.counters().restarts_killed, 1U);
  EXPECT_EQ(other.counters().restarts_crashed, one.counters().restarts_crashed);
  EXPECT_EQ(other.next_deadline(), std::nullopt);
  EXPECT_EQ(other.unrest(), "");
  const std::vector<WorkerView> was = one.workers();
  const std::vector<WorkerView> is = other.workers();
  ASSERT_EQ(is.size(), was.size());
  for (std::size_t i = 0; i < was.size(); ++i) {
    EXPECT_EQ(is[i].slot, was[i].slot);
    EXPECT_EQ(is[i].worker, was[i].worker);
    EXPECT_EQ(is[i].pid, was[i].pid);
    EXPECT_EQ(is[i].state, was[i].state);
    EXPECT_EQ(is[i].generation, was[i].generation);
    EXPECT_EQ(is[i].asked_at, was[i].asked_at);
    EXPECT_EQ(is[i].ready_at, was[i].ready_at);
  }
}

TEST(Resume, CanBeDoneAgainAndAgain) {
  Stage first(2);
  first.serve();
  Resumed second(first);
  Resumed third(second.stage);
  EXPECT_EQ(third.stage.states(), (Lines{"0 ready", "1 ready"}));
  EXPECT_EQ(third.stage.dies(1), "spawn 3@0");
}

TEST(Resume, ReplacesAWorkerThatIsLostAndGivesNoNumberTwice) {
  Stage before(2);
  before.serve();
  for (WorkerId worker = 3; worker <= 9; ++worker) {
    before.now += 5s;
    before.dies(worker - 1);
    before.ready(worker);
  }
  before.now += 5s;
  Resumed after(before);
  EXPECT_EQ(after.stage.dies(1), "spawn 10@0");
  after.stage.ready(10);
  EXPECT_EQ(after.stage.dies(9), "spawn 11@1");
  EXPECT_EQ(after.stage.supervision.counters().restarts_crashed, 9U);
}

TEST(Resume, StartsAWorkerAtOnceInASlotThatBackedOff) {
  Stage before(eager_settings(2));
  before.serve();
  before.dies(2);
  before.tell(event::Spawned{3, 3});
  before.dies(3);
  ASSERT_EQ(before.states(), (Lines{"0 ready", "1 backoff"}));
  Resumed after(before, eager_settings(2));
  EXPECT_EQ(after.said, "spawn 4@1");
  EXPECT_EQ(after.stage.states(), (Lines{"0 ready", "1 starting"}));
  EXPECT_GT(after.stage.supervision.next_deadline(), after.stage.now);
  after.stage.ready(4);
  EXPECT_EQ(after.stage.supervision.next_deadline(), std::nullopt);
}

TEST(Resume, StartsWorkersInEverySlotWhenNobodyServes) {
  Stage before(eager_settings(2));
  before.serve();
  for (const WorkerId worker : {1U, 2U}) before.dies(worker);
  for (const WorkerId worker : {3U, 4U}) before.tell(event::Spawned{worker, static_cast<pid_t>(worker)});
  for (const WorkerId worker : {3U, 4U}) before.dies(worker);
  ASSERT_EQ(before.states(), (Lines{"0 backoff", "1 backoff"}));
  ASSERT_EQ(before.supervision.unrest(), "");
  Resumed after(before, eager_settings(2));
  EXPECT_EQ(after.said, "spawn 5@0, spawn 6@1");
}

TEST(Resume, StartsATemplateThatBackedOffAndForksFromItOnlyWhenItIsReady) {
  Stage before(2);
  before.serve();
  before.tell(event::TemplateLost{});
  before.dies(2);
  ASSERT_EQ(before.supervision.unrest(), "");
  Resumed after(before);
  EXPECT_EQ(after.said, "start-template");
  EXPECT_EQ(after.stage.supervision.template_state(), TemplateState::kLoading);
  EXPECT_EQ(after.stage.supervision.unrest(), "the application is being loaded");
  EXPECT_EQ(after.stage.tell(event::TemplateReady{}), "spawn 3@1");
  after.stage.ready(3);
  EXPECT_EQ(after.stage.supervision.unrest(), "");
}

TEST(Resume, GoesOnWithItsGeneration) {
  Stage before(1);
  before.serve();
  reload(before, 2, 1);
  before.tell(event::TemplateReady{2});
  before.ready(2);
  before.tell(event::TemplateLost{});
  before.leaves(1);
  before.now += 5s;
  Resumed after(before);
  EXPECT_EQ(after.stage.supervision.generation(), 2U);
  EXPECT_EQ(after.stage.dies(2), "spawn 3@0 g2");
  after.stage.ready(3);
  EXPECT_EQ(reload(after.stage, 2, 1), "end g2: the generation exists already");
  EXPECT_EQ(reload(after.stage, 3, 2), "start-template g3");
  EXPECT_EQ(after.stage.tell(event::TemplateReady{3}), "spawn 4@0 g3");
  EXPECT_EQ(after.stage.ready(4), "drain 3, commit g3, end g3, term-template g2, open @1");
  EXPECT_EQ(after.stage.tell(event::SlotOpened{1}), "spawn 5@1 g3");
}

TEST(Resume, RemembersTheLongestLoad) {
  Stage before(1);
  before.tell(event::Started{});
  before.now += 30s;
  before.tell(event::TemplateReady{});
  before.ready(1);
  before.now += 5s;
  Resumed after(before);
  reload(after.stage, 2, 1);
  EXPECT_EQ(*after.stage.supervision.next_deadline() - after.stage.now, 90s) << "three times as long as it took";
}

TEST(Resume, ScalesBothWays) {
  Stage before(2);
  before.serve();
  before.tell(event::ScaleAsked{3});
  before.tell(event::SlotOpened{2});
  before.ready(3);
  Resumed after(before, settings_for(2));  // that another number was asked for is no setting
  EXPECT_EQ(after.stage.supervision.workers_wanted(), 3U);
  EXPECT_EQ(after.stage.tell(event::ScaleAsked{4}), "open @3");
  EXPECT_EQ(after.stage.tell(event::SlotOpened{3}), "spawn 4@3");
  after.stage.ready(4);
  EXPECT_EQ(after.stage.tell(event::ScaleAsked{1}), "retire @3, empty 4, retire @2, empty 3, retire @1, empty 2");
}

TEST(Resume, RecyclesAndStops) {
  Stage before(2);
  before.serve();
  Resumed after(before);
  EXPECT_EQ(after.stage.recycle(0, RecycleReason::kManual), "spawn 3@0");
  EXPECT_EQ(after.stage.ready(3), "drain 1");
  EXPECT_EQ(after.stage.tell(event::StopAsked{StopKind::kGraceful}), "term-template, drain 3, drain 2");
  after.stage.tell(event::TemplateLost{});
  EXPECT_EQ(after.stage.leaves(1) + after.stage.leaves(2), "");
  EXPECT_EQ(after.stage.leaves(3), "finish 0");
}

TEST(Resume, IgnoresAWorkerOfTheFormerLife) {
  Stage before(eager_settings(1));
  before.serve();
  Resumed after(before, eager_settings(1));
  EXPECT_EQ(after.stage.tell(event::WorkerExited{7, ExitCause::kKilled, 0, "gone"}), "");
  EXPECT_EQ(after.stage.supervision.counters().restarts_killed, 0U);
  EXPECT_EQ(after.stage.tell(event::WorkerReady{1, 1}), "") << "said twice";
  EXPECT_EQ(after.stage.tell(event::Started{}), "");
}

}  // namespace
}  // namespace master
