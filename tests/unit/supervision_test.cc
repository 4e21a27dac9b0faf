// Supervision: how a service starts, what the death of a worker means, and what is shown of it.
#include <gtest/gtest.h>

#include "supervision_stage.h"

namespace master {
namespace {

using namespace std::chrono_literals;

TEST(Supervision, LoadsTheApplicationBeforeItSpawnsAndReportsReadyOnce) {
  Stage stage(2);
  EXPECT_EQ(stage.tell(event::Started{}), "start-template");
  EXPECT_EQ(stage.states(), (Lines{"0 starting", "1 starting"}));
  EXPECT_EQ(stage.tell(event::TemplateReady{}), "spawn 1@0, spawn 2@1");
  EXPECT_EQ(stage.ready(1), "");
  EXPECT_EQ(stage.supervision.phase(), Phase::kStartUp);
  EXPECT_EQ(stage.ready(2), "report-ready");
  EXPECT_EQ(stage.supervision.phase(), Phase::kServing);
  stage.now += 5s;
  EXPECT_EQ(stage.dies(1), "spawn 3@0");
  EXPECT_EQ(stage.ready(3), "");
}

TEST(Supervision, GivesLoadAllTheTimeItWants) {
  Stage stage(1);
  stage.tell(event::Started{});
  EXPECT_EQ(stage.supervision.next_deadline(), std::nullopt);
  EXPECT_EQ(stage.pass(24h), "");
}

TEST(Supervision, EndsWithOneWhenTheFirstLoadFails) {
  Stage stage(1);
  stage.tell(event::Started{});
  EXPECT_EQ(stage.tell(event::TemplateLost{TemplatePhase::kLoading, "app.so: no such file"}), "finish 1");
  EXPECT_EQ(stage.reason, "app.so: no such file");
}

TEST(Supervision, EndsWithOneAtAFatalCauseBeforeReady) {
  Stage stage(2);
  stage.tell(event::Started{});
  stage.tell(event::TemplateReady{});
  stage.tell(event::Spawned{2, 102});
  EXPECT_EQ(stage.tell(event::WorkerExited{1, ExitCause::kFatal, 0, "io_uring: not permitted"}),
            "term-template, term 2");
  EXPECT_EQ(stage.tell(event::TemplateLost{}), "");
  EXPECT_EQ(stage.dies(2), "finish 1");
  EXPECT_EQ(stage.reason, "io_uring: not permitted");
}

TEST(Supervision, EndsWithThreeWhenAStartKeepsFailing) {
  Stage stage(1);
  stage.tell(event::Started{});
  EXPECT_EQ(stage.tell(event::TemplateReady{}), "spawn 1@0");
  WorkerId worker = 1;
  for (const common::Duration delay : {100ms, 200ms, 400ms, 800ms}) {
    EXPECT_EQ(stage.dies(worker, ExitCause::kStartFailed), "");
    EXPECT_EQ(stage.states(), Lines{"0 backoff"});
    EXPECT_EQ(stage.pass(delay - 1ns), "");
    EXPECT_EQ(stage.pass(1ns), "spawn " + std::to_string(++worker) + "@0");
  }
  EXPECT_EQ(stage.dies(worker, ExitCause::kStartFailed), "term-template");
  EXPECT_EQ(stage.tell(event::TemplateLost{}), "finish 3");
  EXPECT_NE(stage.reason.find("slot 0 failed 5 times before"), std::string::npos) << stage.reason;
  EXPECT_NE(stage.reason.find("killed by SIGSEGV"), std::string::npos) << stage.reason;
}

TEST(Supervision, EndsWithThreeEvenWhenEachFailedStartTakesItsWholeTimeout) {
  SupervisionSettings settings = settings_for(1);
  settings.workers.start_timeout = 30s;
  Stage stage(settings);
  stage.tell(event::Started{});
  stage.tell(event::TemplateReady{});
  for (WorkerId worker = 1; worker <= 4; ++worker) {
    stage.tell(event::Spawned{worker, 100});
    EXPECT_EQ(stage.pass(31s), "kill " + std::to_string(worker) + ", spawn " + std::to_string(worker + 1) + "@0");
    stage.dies(worker, ExitCause::kKilled);
  }
  stage.tell(event::Spawned{5, 100});
  EXPECT_EQ(stage.pass(31s), "kill 5, term-template, kill-template");
  stage.dies(5, ExitCause::kKilled);
  EXPECT_EQ(stage.tell(event::TemplateLost{}), "finish 3");
}

TEST(Supervision, CountsFailuresPerSlotSoThatManyWorkersDoNotUseUpTheAttemptsAtOnce) {
  Stage stage(8);
  stage.tell(event::Started{});
  stage.tell(event::TemplateReady{});
  for (WorkerId worker = 1; worker <= 8; ++worker) EXPECT_EQ(stage.dies(worker), "");
  EXPECT_EQ(stage.supervision.phase(), Phase::kStartUp);
  stage.pass(100ms);
  for (WorkerId worker = 9; worker < 16; ++worker) EXPECT_EQ(stage.ready(worker), "");
  EXPECT_EQ(stage.ready(16), "report-ready");
}

TEST(Supervision, KillsAWorkerThatIsNotReadyInTimeButNotOneThatIsReadyAtTheLastMoment) {
  Stage stage(1);
  stage.tell(event::Started{});
  stage.tell(event::TemplateReady{});
  stage.tell(event::Spawned{1, 101});
  stage.now += 10s;
  EXPECT_EQ(stage.tell(event::WorkerReady{1, 101}), "report-ready");

  Stage late(1);
  late.tell(event::Started{});
  late.tell(event::TemplateReady{});
  late.tell(event::Spawned{1, 101});
  EXPECT_EQ(late.pass(10s), "kill 1");
  EXPECT_EQ(late.tell(event::WorkerReady{1, 101}), "");
  EXPECT_EQ(late.states(), (Lines{"0 stopping", "0 backoff"}));
  EXPECT_EQ(late.pass(100ms), "spawn 2@0");
  EXPECT_EQ(late.dies(1, ExitCause::kKilled), "");
  EXPECT_EQ(late.supervision.counters().restarts_killed, 0U);
  EXPECT_NE(late.notes.front().text.find("workers.start_timeout = 10s"), std::string::npos) << late.notes.front().text;
}

TEST(Supervision, RetriesASpawnThatTheTemplateCouldNotDo) {
  Stage stage(1);
  stage.tell(event::Started{});
  stage.tell(event::TemplateReady{});
  EXPECT_EQ(stage.tell(event::SpawnFailed{1, "fork: Resource temporarily unavailable"}), "");
  EXPECT_EQ(stage.pass(100ms), "spawn 2@0");
  EXPECT_EQ(stage.tell(event::SpawnFailed{1, "again"}), "");
}

TEST(Supervision, ReplacesADeadWorkerAtOnceWhenItWasHealthy) {
  Stage stage(2);
  stage.serve();
  EXPECT_EQ(stage.dies(2, ExitCause::kKilled), "spawn 3@1");
  EXPECT_EQ(stage.supervision.counters().restarts_killed, 1U);
  stage.ready(3);
  EXPECT_EQ(stage.dies(3, ExitCause::kCrashed, 1), "spawn 4@1");  // young, but it served a request
  stage.ready(4);
  stage.now += 1s;
  EXPECT_EQ(stage.dies(4, ExitCause::kClean), "spawn 5@1");  // exit(0) by itself is a crash as well
  EXPECT_EQ(stage.supervision.counters().restarts_crashed, 2U);
  EXPECT_EQ(stage.noted(NoteKind::kRestartNow), 3U);
}

TEST(Supervision, BacksOffWhenAWorkerDiesYoungWithoutHavingServed) {
  Stage stage(2);
  stage.serve();
  stage.dies(2);
  stage.ready(3);
  stage.now += 1s - 1ns;
  EXPECT_EQ(stage.dies(3), "");
  EXPECT_EQ(stage.states(), (Lines{"0 ready", "1 backoff"}));
  ASSERT_EQ(stage.noted(NoteKind::kRestartLater), 1U);
  EXPECT_EQ(stage.notes.back().delay, 100ms);
  EXPECT_EQ(stage.notes.back().worker, 3U);
  EXPECT_EQ(stage.pass(100ms), "spawn 4@1");
  stage.ready(4);
  EXPECT_EQ(stage.dies(4), "");
  EXPECT_EQ(stage.notes.back().delay, 200ms);
  stage.pass(200ms);
  stage.ready(5);
  EXPECT_EQ(stage.dies(5, ExitCause::kCrashed, 1), "spawn 6@1");
  stage.ready(6);
  EXPECT_EQ(stage.dies(6), "");
  EXPECT_EQ(stage.notes.back().delay, 100ms) << "a healthy worker resets the back-off";
}

TEST(Supervision, EndsWithThreeInACrashLoopAndNamesTheLastCause) {
  Stage stage(1);
  stage.serve();
  EXPECT_EQ(stage.dies(1), "spawn 2@0");
  for (WorkerId worker = 2; worker <= 5; ++worker) {
    stage.ready(worker);
    stage.dies(worker);
    stage.pass(2s);
  }
  stage.ready(6);
  EXPECT_EQ(stage.dies(6), "term-template");
  EXPECT_EQ(stage.tell(event::TemplateLost{}), "finish 3");
  EXPECT_NE(stage.reason.find("no worker is ready and slot 0 failed 5 times within restart.window = 60s"),
            std::string::npos)
      << stage.reason;
}

TEST(Supervision, GoesOnForEverWhileAnotherWorkerIsReady) {
  Stage stage(2);
  stage.serve();
  stage.dies(2);
  for (WorkerId worker = 3; worker < 40; ++worker) {
    EXPECT_EQ(stage.dies(worker), "");
    EXPECT_EQ(stage.wait(), "spawn " + std::to_string(worker + 1) + "@1");
  }
  EXPECT_EQ(stage.supervision.phase(), Phase::kServing);
}

TEST(Supervision, TakesAFatalCauseAfterReadyForAFailureLikeOthers) {
  Stage stage(2);
  stage.serve();
  stage.dies(2);
  EXPECT_EQ(stage.dies(3, ExitCause::kFatal), "");
  EXPECT_EQ(stage.pass(100ms), "spawn 4@1");
}

TEST(Supervision, IgnoresStrangersAndRepetitions) {
  Stage stage(1);
  stage.serve();
  EXPECT_EQ(stage.tell(event::WorkerReady{1, 1}), "");
  EXPECT_EQ(stage.tell(event::WorkerReady{99, 1}), "");
  EXPECT_EQ(stage.tell(event::SpawnFailed{1, "late"}), "");
  EXPECT_EQ(stage.tell(event::Spawned{99, 1}), "");
  EXPECT_EQ(stage.dies(99), "");
  EXPECT_EQ(stage.tell(event::SlotOpened{0}), "");
  EXPECT_EQ(stage.tell(event::SlotOpened{7}), "");
  EXPECT_EQ(stage.tell(event::SlotOpenFailed{0, ""}), "");
  EXPECT_EQ(stage.tell(event::SlotOpenFailed{7, ""}), "");
  EXPECT_EQ(stage.tell(event::TemplateReady{}), "");
  EXPECT_EQ(stage.tell(event::Started{}), "");
  EXPECT_EQ(stage.tell(event::Tick{}), "");
  EXPECT_EQ(stage.states(), Lines{"0 ready"});
}

TEST(Supervision, ShowsWhenAWorkerWasAskedForAndBecameReady) {
  Stage stage(1);
  stage.tell(event::Started{});
  stage.tell(event::TemplateReady{});
  const common::TimePoint asked = stage.now;
  stage.tell(event::Spawned{1, 101});
  stage.now += 3s;
  stage.tell(event::WorkerReady{1, 101});
  const std::vector<WorkerView> views = stage.supervision.workers();
  ASSERT_EQ(views.size(), 1U);
  EXPECT_EQ(views[0].worker, 1U);
  EXPECT_EQ(views[0].pid, 101);
  EXPECT_EQ(views[0].asked_at, asked);
  EXPECT_EQ(views[0].ready_at, stage.now);
  EXPECT_EQ(views[0].deadline, std::nullopt);
  EXPECT_EQ(views[0].recycle_planned, std::nullopt);
  stage.recycle(0, RecycleReason::kAge);
  EXPECT_EQ(stage.supervision.workers()[0].recycle_planned, RecycleReason::kAge);
  EXPECT_EQ(stage.supervision.workers()[1].recycle_planned, std::nullopt);
}

}  // namespace
}  // namespace master
