// Supervision: planned replacements, new before old.
#include <gtest/gtest.h>

#include "supervision_stage.h"

namespace master {
namespace {

using namespace std::chrono_literals;

TEST(Supervision, ReplacesNewBeforeOld) {
  Stage stage(2);
  stage.serve();
  EXPECT_EQ(stage.recycle(0, RecycleReason::kFdsLeaked, 1), "spawn 3@0");
  EXPECT_EQ(stage.supervision.workers_ready(), 2U);
  EXPECT_EQ(stage.states(), (Lines{"0 ready", "0 starting", "1 ready"}));
  EXPECT_EQ(stage.recycled(RecycleReason::kFdsLeaked), 0U);
  EXPECT_EQ(stage.ready(3), "drain 1");
  EXPECT_EQ(stage.recycled(RecycleReason::kFdsLeaked), 1U);
  EXPECT_EQ(stage.states(), (Lines{"0 draining", "0 ready", "1 ready"}));
  EXPECT_EQ(stage.leaves(1), "");
  EXPECT_EQ(stage.states(), (Lines{"0 ready", "1 ready"}));
  EXPECT_EQ(stage.supervision.counters().restarts_crashed, 0U);
}

TEST(Supervision, KillsAWorkerThatDoesNotFinishDraining) {
  Stage stage(1);
  stage.serve();
  stage.recycle(0, RecycleReason::kHang);
  stage.ready(2);
  EXPECT_EQ(stage.pass(20s - 1ns), "");
  EXPECT_EQ(stage.pass(1ns), "kill 1");
  EXPECT_EQ(stage.noted(NoteKind::kDrainTimedOut), 1U);
  EXPECT_EQ(stage.dies(1, ExitCause::kKilled), "");
  EXPECT_EQ(stage.supervision.counters().restarts_killed, 0U);
}

TEST(Supervision, ReplacesOneAfterTheOther) {
  Stage stage(3);
  stage.serve();
  EXPECT_EQ(stage.recycle(2, RecycleReason::kAge), "spawn 4@2");
  EXPECT_EQ(stage.recycle(0, RecycleReason::kAge), "");
  EXPECT_EQ(stage.recycle(0, RecycleReason::kRss), "");
  EXPECT_EQ(stage.recycle(1, RecycleReason::kManual), "");
  EXPECT_EQ(stage.ready(4), "drain 3, spawn 5@0");
  EXPECT_EQ(stage.ready(5), "drain 1, spawn 6@1");
  EXPECT_EQ(stage.ready(6), "drain 2");
  EXPECT_EQ(stage.recycled(RecycleReason::kAge), 2U);
  EXPECT_EQ(stage.recycled(RecycleReason::kRss), 0U);
  EXPECT_EQ(stage.recycled(RecycleReason::kManual), 1U);
}

TEST(Supervision, ReplacesAsManyAtOnceAsConfigured) {
  SupervisionSettings settings = settings_for(4);
  settings.workers.unavailable_max = 2;
  Stage stage(settings);
  stage.serve();
  EXPECT_EQ(stage.recycle(0, RecycleReason::kAge), "spawn 5@0");
  EXPECT_EQ(stage.recycle(1, RecycleReason::kAge), "spawn 6@1");
  EXPECT_EQ(stage.recycle(2, RecycleReason::kAge), "");
  EXPECT_EQ(stage.ready(6), "drain 2, spawn 7@2");
}

TEST(Supervision, DoesNotReplaceAgainWhileTheFormerWorkerStillDrains) {
  Stage stage(1);
  stage.serve();
  stage.recycle(0, RecycleReason::kManual);
  stage.ready(2);
  EXPECT_EQ(stage.recycle(0, RecycleReason::kManual), "");
  EXPECT_EQ(stage.leaves(1), "spawn 3@0");
}

TEST(Supervision, KeepsTheServingWorkerWhenItsSuccessorFails) {
  Stage stage(1);
  stage.serve();
  stage.recycle(0, RecycleReason::kFdsLeaked);
  EXPECT_EQ(stage.dies(2, ExitCause::kStartFailed), "");
  EXPECT_EQ(stage.states(), Lines{"0 ready"});
  EXPECT_EQ(stage.noted(NoteKind::kReplacementAbandoned), 1U);
  EXPECT_EQ(stage.recycled(RecycleReason::kFdsLeaked), 0U);
  EXPECT_EQ(stage.pass(100ms - 1ns), "");
  EXPECT_EQ(stage.recycle(0, RecycleReason::kFdsLeaked), "") << "not again so soon";
  EXPECT_EQ(stage.pass(1ns), "");
  EXPECT_EQ(stage.recycle(0, RecycleReason::kFdsLeaked), "spawn 3@0");
  EXPECT_EQ(stage.dies(3, ExitCause::kStartFailed), "");
  EXPECT_EQ(stage.pass(100ms), "");
  EXPECT_EQ(stage.recycle(0, RecycleReason::kFdsLeaked), "") << "twice as long the second time";
  EXPECT_EQ(stage.recycle(0, RecycleReason::kManual), "spawn 4@0") << "an operator need not wait";
}

TEST(Supervision, AbandonsAReplacementWhoseSuccessorIsNotReadyInTime) {
  Stage stage(1);
  stage.serve();
  stage.recycle(0, RecycleReason::kAge);
  stage.tell(event::Spawned{2, 102});
  EXPECT_EQ(stage.pass(10s), "kill 2");
  EXPECT_EQ(stage.states(), (Lines{"0 ready", "0 stopping"}));
}

TEST(Supervision, GoesOnForEverWhenOnlyReplacementsFail) {
  Stage stage(1);
  stage.serve();
  for (WorkerId worker = 2; worker < 20; ++worker) {
    EXPECT_EQ(stage.recycle(0, RecycleReason::kManual), "spawn " + std::to_string(worker) + "@0");
    EXPECT_EQ(stage.dies(worker, ExitCause::kStartFailed), "");
  }
  EXPECT_EQ(stage.supervision.phase(), Phase::kServing);
}

TEST(Supervision, LetsTheSuccessorTakeOverWhenTheServingWorkerDies) {
  Stage stage(1);
  stage.serve();
  stage.recycle(0, RecycleReason::kRss);
  EXPECT_EQ(stage.dies(1), "");
  EXPECT_EQ(stage.states(), Lines{"0 starting"});
  EXPECT_EQ(stage.noted(NoteKind::kSuccessorTakesOver), 1U);
  EXPECT_EQ(stage.ready(2), "");
  EXPECT_EQ(stage.recycled(RecycleReason::kRss), 0U) << "it was a crash";
  EXPECT_EQ(stage.supervision.counters().restarts_crashed, 1U);
  EXPECT_EQ(stage.recycle(0, RecycleReason::kRss), "spawn 3@0") << "the queue has forgotten the slot";
}

TEST(Supervision, DropsAQueuedReplacementWhenItsWorkerDies) {
  Stage stage(2);
  stage.serve();
  stage.recycle(0, RecycleReason::kAge);
  stage.recycle(1, RecycleReason::kAge);
  EXPECT_EQ(stage.dies(2), "spawn 4@1");
  stage.ready(4);
  EXPECT_EQ(stage.ready(3), "drain 1");
}

TEST(Supervision, IgnoresAReasonAboutAWorkerThatHasLeft) {
  Stage stage(1);
  stage.serve();
  stage.dies(1);
  EXPECT_EQ(stage.recycle(0, RecycleReason::kRequests, 1), "");
  stage.ready(2);
  EXPECT_EQ(stage.recycle(0, RecycleReason::kRequests, 1), "");
  EXPECT_EQ(stage.recycle(0, RecycleReason::kRequests, 2), "spawn 3@0");
}

TEST(Supervision, RefusesToRecycleByHandWhereNobodyServes) {
  Stage stage(1);
  stage.serve();
  stage.dies(1);
  EXPECT_EQ(stage.recycle(0, RecycleReason::kManual), "");
  EXPECT_EQ(stage.recycle(7, RecycleReason::kManual), "");
  EXPECT_EQ(stage.recycle(7, RecycleReason::kAge), "");
  EXPECT_EQ(stage.noted(NoteKind::kRecycleRefused), 2U);
}

TEST(Supervision, PostponesReplacementsWhileThereIsNoTemplate) {
  Stage stage(2);
  stage.serve();
  stage.recycle(0, RecycleReason::kManual);
  stage.recycle(1, RecycleReason::kAge);
  EXPECT_EQ(stage.tell(event::TemplateLost{TemplatePhase::kLoaded, ""}), "forget 3");
  EXPECT_EQ(stage.noted(NoteKind::kReplacementPostponed), 1U);
  stage.pass(100ms);
  EXPECT_EQ(stage.tell(event::TemplateReady{}), "spawn 4@0") << "it keeps its place";
  stage.ready(4);
  EXPECT_EQ(stage.recycled(RecycleReason::kManual), 1U);
}

TEST(Supervision, ForgetsTheBackOffOfASlotWhoseHealthyWorkerIsReplaced) {
  Stage stage(1);
  stage.tell(event::Started{});
  stage.tell(event::TemplateReady{});
  for (WorkerId worker = 1; worker <= 3; ++worker) {
    stage.dies(worker, ExitCause::kStartFailed);
    stage.wait();
  }
  stage.ready(4);
  stage.now += 1s;
  stage.recycle(0, RecycleReason::kAge);
  stage.ready(5);
  stage.dies(5);
  EXPECT_EQ(stage.notes.back().delay, 100ms);
}

TEST(Supervision, DoesNotGiveUpTheStartOverReplacementsThatFail) {
  Stage stage(2);
  stage.tell(event::Started{});
  stage.tell(event::TemplateReady{});
  stage.ready(1);
  for (WorkerId worker = 3; worker < 20; ++worker) {
    EXPECT_EQ(stage.recycle(0, RecycleReason::kManual), "spawn " + std::to_string(worker) + "@0");
    EXPECT_EQ(stage.dies(worker, ExitCause::kStartFailed), "");
  }
  EXPECT_EQ(stage.ready(2), "report-ready");
}

TEST(Supervision, TellsWhenALeaverCrashes) {
  Stage stage(1);
  stage.serve();
  stage.recycle(0, RecycleReason::kAge);
  stage.ready(2);
  EXPECT_EQ(stage.dies(1), "");
  EXPECT_EQ(stage.noted(NoteKind::kLeaverCrashed), 1U);
}

}  // namespace
}  // namespace master
