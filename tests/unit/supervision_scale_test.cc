// Supervision: more and fewer slots, whatever they are doing.
#include <gtest/gtest.h>

#include "supervision_stage.h"

namespace master {
namespace {

using namespace std::chrono_literals;

TEST(Supervision, ScalesUpBySlotsThatOpenOneAfterTheOther) {
  Stage stage(1);
  stage.serve();
  EXPECT_EQ(stage.tell(event::ScaleAsked{3}), "open @1");
  EXPECT_EQ(stage.tell(event::SlotOpened{1}), "spawn 2@1, open @2");
  EXPECT_EQ(stage.tell(event::SlotOpened{2}), "spawn 3@2");
  EXPECT_EQ(stage.supervision.workers_wanted(), 3U);
  stage.ready(2);
  EXPECT_EQ(stage.ready(3), "") << "ready is reported once";
}

TEST(Supervision, StaysAtWhatCouldBeOpened) {
  Stage stage(1);
  stage.serve();
  stage.tell(event::ScaleAsked{4});
  stage.tell(event::SlotOpened{1});
  EXPECT_EQ(stage.tell(event::SlotOpenFailed{2, "bind: Address already in use"}), "");
  EXPECT_EQ(stage.supervision.workers_wanted(), 2U);
  EXPECT_EQ(stage.noted(NoteKind::kScaleRefused), 1U);
  EXPECT_EQ(stage.notes.back().workers, 2U);
  stage.ready(2);
  EXPECT_EQ(stage.tell(event::ScaleAsked{3}), "open @2") << "asked again, tried again";
}

TEST(Supervision, ScalesDownFromTheTopAndClosesASlotWhenItsWorkersHaveGone) {
  Stage stage(3);
  stage.serve();
  EXPECT_EQ(stage.tell(event::ScaleAsked{1}), "drain 3, drain 2");
  EXPECT_EQ(stage.leaves(2), "") << "slots close from the top";
  EXPECT_EQ(stage.supervision.open_slots(), 3U);
  EXPECT_EQ(stage.leaves(3), "close @2, close @1");
  EXPECT_EQ(stage.supervision.open_slots(), 1U);
  EXPECT_EQ(stage.states(), Lines{"0 ready"});
}

TEST(Supervision, TakesASlotBackThatIsStillDraining) {
  Stage stage(2);
  stage.serve();
  stage.tell(event::ScaleAsked{1});
  EXPECT_EQ(stage.tell(event::ScaleAsked{2}), "spawn 3@1");
  stage.ready(3);
  EXPECT_EQ(stage.leaves(2), "");
  EXPECT_EQ(stage.states(), (Lines{"0 ready", "1 ready"}));
}

TEST(Supervision, ScalesDownSlotsInEveryState) {
  SupervisionSettings settings = settings_for(5);
  settings.workers.unavailable_max = 5;
  Stage stage(settings);
  stage.serve();
  stage.recycle(1, RecycleReason::kAge);  // replacing, worker 6
  stage.tell(event::Spawned{6, 106});
  EXPECT_EQ(stage.dies(3), "spawn 7@2");  // starting, forked
  stage.tell(event::Spawned{7, 107});
  EXPECT_EQ(stage.dies(4), "spawn 8@3");
  EXPECT_EQ(stage.dies(8), "");  // backoff
  EXPECT_EQ(stage.dies(5), "spawn 9@4");  // starting, not forked
  EXPECT_EQ(stage.tell(event::ScaleAsked{1}), "drain 9, drain 7, drain 6, drain 2");
  EXPECT_EQ(stage.states(), (Lines{"0 ready", "1 draining", "1 draining", "2 draining", "4 draining"}));
  EXPECT_EQ(stage.tell(event::SpawnFailed{9, "fork: no memory"}), "close @4, close @3");
  EXPECT_EQ(stage.tell(event::WorkerReady{7, 107}), "");
  EXPECT_EQ(stage.leaves(7), "close @2");
  EXPECT_EQ(stage.leaves(6), "");
  EXPECT_EQ(stage.leaves(2), "close @1");
  EXPECT_EQ(stage.supervision.next_deadline(), std::nullopt);
}

TEST(Supervision, ScalesDownWhileASlotIsBeingOpened) {
  Stage stage(1);
  stage.serve();
  EXPECT_EQ(stage.tell(event::ScaleAsked{3}), "open @1");
  EXPECT_EQ(stage.tell(event::ScaleAsked{1}), "");
  EXPECT_EQ(stage.tell(event::SlotOpened{1}), "close @1");
}

TEST(Supervision, DoesNotScaleUpAgainBecauseASlotThatIsNoLongerWantedCouldNotBeOpened) {
  Stage stage(1);
  stage.serve();
  stage.tell(event::ScaleAsked{3});
  EXPECT_EQ(stage.tell(event::SlotOpened{1}), "spawn 2@1, open @2");
  EXPECT_EQ(stage.tell(event::ScaleAsked{1}), "drain 2");
  EXPECT_EQ(stage.tell(event::SlotOpenFailed{2, "bind: Address already in use"}), "");
  EXPECT_EQ(stage.supervision.workers_wanted(), 1U);
  EXPECT_EQ(stage.noted(NoteKind::kScaleRefused), 0U);
  EXPECT_EQ(stage.leaves(2), "close @1");
}

TEST(Supervision, LetsOtherReplacementsGoOnWhenTheSlotUnderWayIsScaledAway) {
  Stage stage(2);
  stage.serve();
  EXPECT_EQ(stage.recycle(1, RecycleReason::kAge), "spawn 3@1");
  EXPECT_EQ(stage.recycle(0, RecycleReason::kAge), "");
  EXPECT_EQ(stage.tell(event::ScaleAsked{1}), "drain 3, drain 2, spawn 4@0");
}

TEST(Supervision, KeepsTheNumberOfWorkersWithinItsLimits) {
  Stage stage(1);
  stage.serve();
  EXPECT_EQ(stage.tell(event::ScaleAsked{0}), "");
  EXPECT_EQ(stage.supervision.workers_wanted(), 1U);
  stage.tell(event::ScaleAsked{common::kWorkersMax + 1});
  EXPECT_EQ(stage.supervision.workers_wanted(), common::kWorkersMax);
}

TEST(Supervision, ReportsReadyForTheNumberThatIsWantedByThen) {
  Stage stage(2);
  stage.tell(event::Started{});
  stage.tell(event::TemplateReady{});
  stage.ready(1);
  EXPECT_EQ(stage.tell(event::ScaleAsked{1}), "drain 2, report-ready");
}

}  // namespace
}  // namespace master
