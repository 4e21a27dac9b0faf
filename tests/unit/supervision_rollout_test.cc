// Supervision: reloads, which make a new generation the active one, or change nothing.
#include <gtest/gtest.h>

#include "supervision_stage.h"

namespace master {
namespace {

using namespace std::chrono_literals;

std::string lose_template(Stage& stage, Generation generation, TemplatePhase phase, const std::string& reason) {
  return stage.tell(event::TemplateLost{phase, reason, generation});
}

// Up to the moment when the trial worker of generation 2 is asked for in slot 0.
void try_generation_2(Stage& stage, std::uint32_t workers) {
  stage.serve();
  reload(stage, 2, workers);
  EXPECT_EQ(stage.tell(event::TemplateReady{2}), "spawn " + std::to_string(workers + 1) + "@0 g2");
}

// Of a service of one worker: generation 3 serves.
void leave_two_draining(Stage& stage) {
  stage.serve();
  for (Generation generation = 2; generation <= 3; ++generation) {
    reload(stage, generation, 1);
    stage.tell(event::TemplateReady{generation});
    stage.ready(generation);
    lose_template(stage, generation - 1, TemplatePhase::kLoaded, "");
    stage.now += 1s;
  }
}

TEST(Rollout, TakesSlotAfterSlotNewBeforeOld) {
  Stage stage(3);
  stage.serve();
  EXPECT_EQ(reload(stage, 2, 3), "start-template g2");
  EXPECT_EQ(stage.supervision.rollout(), 2U);
  EXPECT_EQ(stage.tell(event::TemplateReady{2}), "spawn 4@0 g2");
  EXPECT_EQ(stage.supervision.generation(), 1U);
  EXPECT_EQ(stage.ready(4), "drain 1, spawn 5@1 g2");
  EXPECT_EQ(stage.ready(5), "drain 2, spawn 6@2 g2");
  EXPECT_EQ(stage.ready(6), "drain 3, commit g2, end g2, term-template");
  EXPECT_EQ(stage.supervision.generation(), 2U);
  EXPECT_EQ(stage.supervision.rollout(), std::nullopt);
  EXPECT_EQ(stage.recycled(RecycleReason::kReload), 3U);
  EXPECT_EQ(stage.tell(event::TemplateLost{}), "");
  EXPECT_EQ(stage.leaves(1) + stage.leaves(2) + stage.leaves(3), "");
  EXPECT_EQ(stage.states(), (Lines{"0 ready", "1 ready", "2 ready"}));
  stage.now += 1s;
  EXPECT_EQ(stage.dies(5), "spawn 7@1 g2");
}

TEST(Rollout, ReplacesAsManyAtOnceAsTheActiveSettingsAllowOnceOneIsReady) {
  SupervisionSettings settings = settings_for(3);
  settings.workers.unavailable_max = 2;
  Stage stage(settings);
  stage.serve();
  reload(stage, 2, 3);
  EXPECT_EQ(stage.tell(event::TemplateReady{2}), "spawn 4@0 g2") << "one tries it, alone";
  EXPECT_EQ(stage.ready(4), "drain 1, spawn 5@1 g2, spawn 6@2 g2");
}

TEST(Rollout, ChangesNothingWhenTheApplicationDoesNotLoad) {
  Stage stage(2);
  stage.serve();
  reload(stage, 2, 2);
  EXPECT_EQ(lose_template(stage, 2, TemplatePhase::kLoading, "load() threw"), "end g2: load() threw");
  EXPECT_EQ(stage.states(), (Lines{"0 ready", "1 ready"}));
  EXPECT_EQ(stage.supervision.next_deadline(), std::nullopt) << "it is not tried again";
  EXPECT_EQ(stage.dies(1), "spawn 3@0") << "the old template is still there";
  EXPECT_EQ(reload(stage, 3, 2), "start-template g3");
}

TEST(Rollout, ChangesNothingWhenTheFirstWorkerFails) {
  Stage stage(2);
  try_generation_2(stage, 2);
  EXPECT_EQ(stage.dies(3, ExitCause::kStartFailed),
            "term-template g2, end g2: the worker in slot 0 failed: killed by SIGSEGV");
  EXPECT_EQ(stage.states(), (Lines{"0 ready", "1 ready"}));
  EXPECT_EQ(stage.pass(2s), "kill-template g2");
  lose_template(stage, 2, TemplatePhase::kLoaded, "");
  EXPECT_EQ(stage.supervision.next_deadline(), std::nullopt);
  EXPECT_EQ(stage.recycle(0, RecycleReason::kAge), "spawn 4@0") << "it was not the slot's fault";
}

TEST(Rollout, ChangesNothingWhenTheFirstWorkerIsNotReadyInTime) {
  Stage stage(1);
  try_generation_2(stage, 1);
  stage.tell(event::Spawned{2, 102});
  EXPECT_EQ(stage.pass(10s),
            "kill 2, term-template g2, "
            "end g2: the worker in slot 0 failed: not ready within workers.start_timeout = 10s");
}

TEST(Rollout, GoesBackWhenALaterWorkerFails) {
  Stage stage(3);
  try_generation_2(stage, 3);
  EXPECT_EQ(stage.ready(4), "drain 1, spawn 5@1 g2");
  EXPECT_EQ(stage.dies(5, ExitCause::kStartFailed),
            "term-template g2, end g2: the worker in slot 1 failed: killed by SIGSEGV, spawn 6@0");
  EXPECT_EQ(stage.supervision.workers_ready(), 3U) << "what the failed generation serves, it serves until replaced";
  EXPECT_EQ(stage.ready(6), "drain 4");
  EXPECT_EQ(stage.supervision.generation(), 1U);
}

TEST(Rollout, GoesBackWhenAWorkerDiesTooYoung) {
  Stage stage(2);
  try_generation_2(stage, 2);
  EXPECT_EQ(stage.ready(3), "drain 1, spawn 4@1 g2");
  stage.tell(event::Spawned{4, 104});
  EXPECT_EQ(stage.dies(3),
            "term 4, term-template g2, end g2: the worker in slot 0 failed: killed by SIGSEGV, spawn 5@0");
  EXPECT_EQ(stage.states(), (Lines{"0 draining", "0 starting", "1 ready", "1 stopping"}));
}

TEST(Rollout, GoesBackWhenItsTemplateIsLostAndReplacesNobodyWhoWasNotReplaced) {
  Stage stage(3);
  try_generation_2(stage, 3);
  EXPECT_EQ(stage.ready(4), "drain 1, spawn 5@1 g2");
  EXPECT_EQ(lose_template(stage, 2, TemplatePhase::kLoaded, "killed by SIGKILL"),
            "forget 5, end g2: killed by SIGKILL, spawn 6@0");
  EXPECT_EQ(stage.ready(6), "drain 4") << "slots 1 and 2 serve the right generation";
  EXPECT_EQ(stage.recycled(RecycleReason::kReload), 2U);
}

TEST(Rollout, ReplacesACrashedWorkerFromTheOldTemplateUntilTheNewOneIsProven) {
  Stage stage(2);
  stage.serve();
  reload(stage, 2, 2);
  EXPECT_EQ(stage.dies(2), "spawn 3@1");
  EXPECT_EQ(stage.tell(event::TemplateReady{2}), "spawn 4@0 g2");
  EXPECT_EQ(stage.dies(3, ExitCause::kCrashed), "") << "it never was ready, and backs off";
  EXPECT_EQ(stage.pass(100ms), "spawn 5@1");
  EXPECT_EQ(stage.ready(4), "drain 1");
  EXPECT_EQ(stage.ready(5), "spawn 6@1 g2") << "ready, and out of date already";
  EXPECT_EQ(stage.ready(6), "drain 5, commit g2, end g2, term-template");
}

TEST(Rollout, OpensMoreSlotsAfterTheCommit) {
  Stage stage(1);
  stage.serve();
  reload(stage, 2, 3);
  EXPECT_EQ(stage.tell(event::TemplateReady{2}), "spawn 2@0 g2");
  EXPECT_EQ(stage.ready(2), "drain 1, commit g2, end g2, term-template, open @1");
  EXPECT_EQ(stage.tell(event::SlotOpened{1}), "spawn 3@1 g2, open @2");
  EXPECT_EQ(stage.tell(event::SlotOpened{2}), "spawn 4@2 g2");
  EXPECT_EQ(stage.supervision.workers_wanted(), 3U);
}

TEST(Rollout, ClosesSlotsAfterTheCommit) {
  Stage stage(2);
  stage.serve();
  reload(stage, 2, 1);
  stage.tell(event::TemplateReady{2});
  EXPECT_EQ(stage.ready(3), "drain 1, spawn 4@1 g2");
  EXPECT_EQ(stage.ready(4), "drain 2, retire @1, empty 4, commit g2, end g2, term-template");
  stage.tell(event::TemplateLost{});
  EXPECT_EQ(stage.leaves(4) + stage.leaves(2) + stage.leaves(1), "");
  EXPECT_EQ(stage.pass(kHandshakePatience), "close @1");
}

TEST(Rollout, RepairsAServiceThatNobodyServes) {
  Stage stage(2);
  stage.serve();
  stage.dies(1);
  stage.dies(2);
  stage.dies(3);
  stage.dies(4);
  EXPECT_EQ(stage.states(), (Lines{"0 backoff", "1 backoff"}));
  EXPECT_EQ(reload(stage, 2, 2), "start-template g2");
  EXPECT_EQ(stage.tell(event::TemplateReady{2}), "spawn 5@0 g2") << "it does not wait for the back-off";
  EXPECT_EQ(stage.ready(5), "");
  EXPECT_EQ(stage.pass(100ms), "spawn 6@1 g2");
  EXPECT_EQ(stage.ready(6), "commit g2, end g2, term-template");
}

TEST(Rollout, GoesOnTryingTheOldGenerationWhenTheRepairFails) {
  Stage stage(1);
  stage.serve();
  stage.dies(1);
  stage.dies(2);
  reload(stage, 2, 1);
  EXPECT_EQ(stage.tell(event::TemplateReady{2}), "spawn 3@0 g2");
  EXPECT_EQ(stage.dies(3), "term-template g2, end g2: the worker in slot 0 failed: killed by SIGSEGV, spawn 4@0");
}

TEST(Rollout, DoesNotCountFailedReloadsTowardsACrashLoop) {
  Stage stage(1);
  stage.serve();
  WorkerId worker = 2;
  for (Generation generation = 2; generation < 12; ++generation) {
    reload(stage, generation, 1);
    stage.tell(event::TemplateReady{generation});
    stage.dies(worker++, ExitCause::kStartFailed);
  }
  stage.dies(1);
  EXPECT_EQ(stage.dies(worker), "") << "the first failure of the active generation";
  EXPECT_EQ(stage.supervision.phase(), Phase::kServing);
  EXPECT_EQ(stage.notes.back().delay, 100ms);
}

TEST(Rollout, EndsWithTheService) {
  Stage stage(2);
  try_generation_2(stage, 2);
  EXPECT_EQ(stage.tell(event::StopAsked{StopKind::kGraceful}),
            "term-template, term-template g2, end g2: the service stops, drain 3, drain 1, drain 2");
  EXPECT_EQ(stage.tell(event::TemplateLost{}), "");
  EXPECT_EQ(lose_template(stage, 2, TemplatePhase::kLoaded, ""), "forget 3");
  EXPECT_EQ(stage.leaves(1), "");
  EXPECT_EQ(stage.leaves(2), "finish 0");
}

TEST(Rollout, WaitsWhileTwoFormerGenerationsDrain) {
  Stage stage(1);
  leave_two_draining(stage);
  EXPECT_EQ(stage.states(), (Lines{"0 draining", "0 draining", "0 ready"}));
  reload(stage, 4, 1);
  EXPECT_EQ(stage.tell(event::TemplateReady{4}), "") << "requests of two former generations are still answered";
  EXPECT_EQ(stage.dies(1, ExitCause::kClean), "spawn 4@0 g4");
  EXPECT_EQ(stage.ready(4), "drain 3, commit g4, end g4, term-template g3");
}

TEST(Rollout, WaitsNoLongerThanADrainMayTake) {
  Stage stage(1);
  leave_two_draining(stage);
  reload(stage, 4, 1);
  stage.tell(event::TemplateReady{4});
  const std::optional<common::TimePoint> drained = stage.supervision.next_deadline();
  ASSERT_TRUE(drained.has_value());
  EXPECT_EQ(stage.pass(*drained - stage.now), "kill 1, spawn 4@0 g4");
}

TEST(Rollout, IsRefusedWhenLoadTakesTooLong) {
  Stage stage(1);
  stage.serve();
  reload(stage, 2, 1);
  EXPECT_EQ(stage.pass(10s - 1ms), "");
  EXPECT_EQ(
      stage.pass(1ms),
      "term-template g2, end g2: load() takes longer than workers.start_timeout, and than three times the longest "
      "load so far; raise workers.start_timeout");
}

TEST(Rollout, MayLoadForThreeTimesAsLongAsTheStartDid) {
  Stage stage(1);
  stage.tell(event::Started{});
  stage.now += 40s;
  stage.serve();
  reload(stage, 2, 1);
  EXPECT_EQ(stage.pass(120s - 1ms), "");
  EXPECT_NE(stage.pass(1ms), "");
}

TEST(Rollout, GivesNewSlotsTheOldGenerationUntilTheNewOneIsProven) {
  Stage stage(1);
  try_generation_2(stage, 1);
  EXPECT_EQ(stage.tell(event::ScaleAsked{3}), "open @1");
  EXPECT_EQ(stage.tell(event::SlotOpened{1}), "spawn 3@1, open @2");
  EXPECT_EQ(stage.ready(2), "drain 1");
  EXPECT_EQ(stage.tell(event::SlotOpened{2}), "spawn 4@2 g2");
  EXPECT_EQ(stage.ready(4), "");
  EXPECT_EQ(stage.ready(3), "spawn 5@1 g2");
  EXPECT_EQ(stage.ready(5), "drain 3, retire @2, empty 4, retire @1, empty 5, commit g2, end g2, term-template")
      << "the number of workers is the one of the new settings";
}

TEST(Rollout, LetsAnotherSlotTryWhenTheFirstIsScaledAway) {
  Stage stage(2);
  stage.serve();
  EXPECT_EQ(stage.recycle(0, RecycleReason::kAge), "spawn 3@0");
  reload(stage, 2, 2);
  EXPECT_EQ(stage.tell(event::TemplateReady{2}), "") << "slot 1 is next";
  EXPECT_EQ(stage.tell(event::ScaleAsked{1}), "retire @1, empty 2");
  EXPECT_EQ(stage.ready(3), "drain 1, spawn 4@0 g2") << "slot 0 tries it";
  EXPECT_EQ(stage.tell(event::ScaleAsked{2}), "keep @1, spawn 5@1") << "and slot 1 does not any more";
}

TEST(Rollout, StillDoesAReplacementThatItWithdrewWhenItFailed) {
  Stage stage(3);
  try_generation_2(stage, 3);
  EXPECT_EQ(stage.recycle(1, RecycleReason::kManual), "");
  EXPECT_EQ(stage.ready(4), "drain 1, spawn 5@1 g2");
  EXPECT_EQ(lose_template(stage, 2, TemplatePhase::kLoaded, "killed by SIGKILL"),
            "forget 5, end g2: killed by SIGKILL, spawn 6@1");
  EXPECT_EQ(stage.ready(6), "drain 2, spawn 7@0");
  EXPECT_EQ(stage.recycled(RecycleReason::kManual), 1U);
}

TEST(Rollout, RefusesAReloadAtTheWrongTime) {
  Stage stage(1);
  EXPECT_EQ(reload(stage, 2, 1), "end g2: the service is not ready yet, or about to stop");
  stage.serve();
  EXPECT_EQ(reload(stage, 1, 1), "end: the generation exists already");
  EXPECT_EQ(reload(stage, 3, 1), "start-template g3");
  EXPECT_EQ(reload(stage, 4, 1), "end g4: another reload is under way");
  stage.tell(event::StopAsked{StopKind::kGraceful});
  EXPECT_EQ(reload(stage, 5, 1), "end g5: the service is not ready yet, or about to stop");
}

TEST(Rollout, TakesNoNoticeOfATemplateThatIsReadyTwice) {
  Stage stage(1);
  try_generation_2(stage, 1);
  EXPECT_EQ(stage.tell(event::TemplateReady{2}), "");
  EXPECT_EQ(stage.ready(2), "drain 1, commit g2, end g2, term-template");
}

TEST(Rollout, KillsBothTemplatesWhenNeitherForks) {
  Stage stage(2);
  stage.serve();
  reload(stage, 2, 2);
  EXPECT_EQ(stage.dies(2), "spawn 3@1");
  EXPECT_EQ(stage.tell(event::TemplateReady{2}), "spawn 4@0 g2");
  EXPECT_EQ(stage.pass(10s),
            "forget 3, forget 4, kill-template, kill-template g2, "
            "end g2: the worker in slot 0 failed: not forked by the template within workers.start_timeout = 10s");
  EXPECT_EQ(stage.noted(NoteKind::kTemplateSilent), 2U);
}

}  // namespace
}  // namespace master
