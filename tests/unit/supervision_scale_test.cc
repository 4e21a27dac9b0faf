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
  EXPECT_EQ(stage.tell(event::ScaleAsked{1}), "retire @2, empty 3, retire @1, empty 2");
  stage.pass(kHandshakePatience);
  EXPECT_EQ(stage.leaves(2), "") << "slots close from the top";
  EXPECT_EQ(stage.supervision.open_slots(), 3U);
  EXPECT_EQ(stage.leaves(3), "close @2, close @1");
  EXPECT_EQ(stage.supervision.open_slots(), 1U);
  EXPECT_EQ(stage.states(), Lines{"0 ready"});
}

TEST(Supervision, ClosesASlotOnlyWhenNobodyCanBeConnectingToItAnyMore) {
  Stage stage(2);
  stage.serve();
  stage.tell(event::ScaleAsked{1});
  EXPECT_EQ(stage.leaves(2), "");
  EXPECT_EQ(stage.pass(kHandshakePatience - 1ns), "");
  EXPECT_EQ(stage.pass(1ns), "close @1");
  EXPECT_EQ(stage.supervision.next_deadline(), std::nullopt);
}

TEST(Supervision, TakesASlotBackThatIsStillDraining) {
  Stage stage(2);
  stage.serve();
  stage.tell(event::ScaleAsked{1});
  EXPECT_EQ(stage.tell(event::ScaleAsked{2}), "keep @1, spawn 3@1");
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
  EXPECT_EQ(stage.tell(event::ScaleAsked{1}),
            "retire @4, empty 9, retire @3, retire @2, empty 7, retire @1, empty 6, empty 2");
  stage.pass(kHandshakePatience);
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
  EXPECT_EQ(stage.tell(event::SlotOpened{1}), "retire @1");
  EXPECT_EQ(stage.pass(kHandshakePatience), "close @1");
}

TEST(Supervision, DoesNotScaleUpAgainBecauseASlotThatIsNoLongerWantedCouldNotBeOpened) {
  Stage stage(1);
  stage.serve();
  stage.tell(event::ScaleAsked{3});
  EXPECT_EQ(stage.tell(event::SlotOpened{1}), "spawn 2@1, open @2");
  EXPECT_EQ(stage.tell(event::ScaleAsked{1}), "retire @1, empty 2");
  EXPECT_EQ(stage.tell(event::SlotOpenFailed{2, "bind: Address already in use"}), "");
  EXPECT_EQ(stage.supervision.workers_wanted(), 1U);
  EXPECT_EQ(stage.noted(NoteKind::kScaleRefused), 0U);
  EXPECT_EQ(stage.leaves(2), "");
  EXPECT_EQ(stage.pass(kHandshakePatience), "close @1");
}

TEST(Supervision, LetsOtherReplacementsGoOnWhenTheSlotUnderWayIsScaledAway) {
  Stage stage(2);
  stage.serve();
  EXPECT_EQ(stage.recycle(1, RecycleReason::kAge), "spawn 3@1");
  EXPECT_EQ(stage.recycle(0, RecycleReason::kAge), "");
  EXPECT_EQ(stage.tell(event::ScaleAsked{1}), "retire @1, empty 3, empty 2, spawn 4@0");
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
  EXPECT_EQ(stage.tell(event::ScaleAsked{1}), "retire @1, empty 2, report-ready");
}

TEST(Scale, RetiresDownwardsAndClosesWhenHandshakesAreOver) {
  Stage stage(3);
  stage.serve();
  EXPECT_EQ(stage.tell(event::ScaleAsked{1}), "retire @2, empty 3, retire @1, empty 2");
  EXPECT_EQ(stage.leaves(2) + stage.leaves(3), "") << "a client's handshake may have begun";
  EXPECT_EQ(stage.pass(kHandshakePatience - 1ns), "");
  EXPECT_EQ(stage.pass(1ns), "close @2, close @1");
  EXPECT_EQ(stage.supervision.next_deadline(), std::nullopt);
}

TEST(Scale, ClosesASlotOnlyWhenItsLastWorkerHasLeft) {
  Stage stage(3);
  stage.serve();
  stage.tell(event::ScaleAsked{1});
  EXPECT_EQ(stage.pass(kHandshakePatience), "");
  EXPECT_EQ(stage.leaves(2), "") << "the highest first";
  EXPECT_EQ(stage.leaves(3), "close @2, close @1");
}

TEST(Scale, KeepsRetiredSlotsThatAreWantedAgainUpwards) {
  Stage stage(3);
  stage.serve();
  stage.tell(event::ScaleAsked{1});
  EXPECT_EQ(stage.tell(event::ScaleAsked{3}), "keep @1, keep @2, spawn 4@1, spawn 5@2");
  EXPECT_EQ(stage.ready(4) + stage.ready(5) + stage.leaves(2) + stage.leaves(3), "");
  EXPECT_EQ(stage.pass(kHandshakePatience), "");
  EXPECT_EQ(stage.supervision.open_slots(), 3U);
}

TEST(Scale, RetiresASlotThatOpensWhenItIsNoLongerWantedUnlessTheServiceStops) {
  Stage stage(1);
  stage.serve();
  EXPECT_EQ(stage.tell(event::ScaleAsked{2}), "open @1");
  stage.tell(event::ScaleAsked{1});
  EXPECT_EQ(stage.tell(event::SlotOpened{1}), "retire @1");
  EXPECT_EQ(stage.pass(kHandshakePatience), "close @1");
  EXPECT_EQ(stage.tell(event::ScaleAsked{2}), "open @1");
  stage.tell(event::StopAsked{StopKind::kGraceful});
  EXPECT_EQ(stage.tell(event::SlotOpened{1}), "") << "all slots close at the end";
  stage.tell(event::TemplateLost{});
  EXPECT_EQ(stage.pass(kHandshakePatience), "");
}

}  // namespace
}  // namespace master
