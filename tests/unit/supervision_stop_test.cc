// Supervision: every way to stop, and that each of them ends.
#include <gtest/gtest.h>

#include "supervision_stage.h"

namespace master {
namespace {

using namespace std::chrono_literals;

TEST(Supervision, StopsGracefully) {
  Stage stage(2);
  stage.serve();
  EXPECT_EQ(stage.tell(event::StopAsked{StopKind::kGraceful}), "term-template, drain 1, drain 2");
  EXPECT_EQ(stage.tell(event::StopAsked{StopKind::kGraceful}), "");
  EXPECT_EQ(stage.dies(1), "");
  EXPECT_EQ(stage.recycle(1, RecycleReason::kManual), "");
  EXPECT_EQ(stage.tell(event::ScaleAsked{4}), "");
  EXPECT_EQ(stage.tell(event::TemplateLost{}), "");
  EXPECT_EQ(stage.leaves(2), "finish 0");
  EXPECT_EQ(stage.supervision.phase(), Phase::kFinished);
  EXPECT_EQ(stage.reason, "");
  EXPECT_EQ(stage.tell(event::Tick{}), "");
  EXPECT_EQ(stage.supervision.next_deadline(), std::nullopt);
}

TEST(Supervision, KillsWhatHasNotStoppedAfterStopTimeout) {
  Stage stage(1);
  stage.serve();
  stage.tell(event::StopAsked{StopKind::kGraceful});
  stage.tell(event::TemplateLost{});
  EXPECT_EQ(stage.pass(20s), "kill 1");
  EXPECT_EQ(stage.dies(1, ExitCause::kKilled), "finish 0");
}

TEST(Supervision, EndsEvenIfAProcessCannotBeKilled) {
  Stage stage(1);
  stage.serve();
  stage.tell(event::StopAsked{StopKind::kQuick});
  EXPECT_EQ(stage.pass(2s), "kill 1, kill-template");
  EXPECT_EQ(stage.pass(5s - 1ns), "");
  EXPECT_EQ(stage.pass(1ns), "finish 0");
  EXPECT_EQ(stage.noted(NoteKind::kUnkillable), 1U);
}

TEST(Supervision, StopsQuicklyAndAtOnceTheSecondTime) {
  Stage stage(2);
  stage.serve();
  EXPECT_EQ(stage.tell(event::StopAsked{StopKind::kQuick}), "term-template, term 1, term 2");
  EXPECT_EQ(stage.dies(2), "");
  EXPECT_EQ(stage.tell(event::StopAsked{StopKind::kGraceful}), "");
  EXPECT_EQ(stage.tell(event::StopAsked{StopKind::kQuick}), "kill-template, kill 1");
  EXPECT_EQ(stage.tell(event::StopAsked{StopKind::kQuick}), "");
  EXPECT_EQ(stage.tell(event::TemplateLost{}), "");
  EXPECT_EQ(stage.dies(1, ExitCause::kKilled), "finish 0");
}

TEST(Supervision, GoesFromAGracefulStopToAQuickOne) {
  Stage stage(1);
  stage.serve();
  stage.recycle(0, RecycleReason::kManual);
  stage.ready(2);
  EXPECT_EQ(stage.tell(event::StopAsked{StopKind::kGraceful}), "term-template, drain 2");
  EXPECT_EQ(stage.tell(event::StopAsked{StopKind::kQuick}), "term 1, term 2");
  stage.leaves(1);
  stage.leaves(2);
  EXPECT_EQ(stage.tell(event::TemplateLost{}), "finish 0");
}

TEST(Supervision, StopsWhileTheApplicationStillLoads) {
  Stage stage(2);
  stage.tell(event::Started{});
  EXPECT_EQ(stage.tell(event::StopAsked{StopKind::kGraceful}), "term-template");
  EXPECT_EQ(stage.tell(event::TemplateReady{}), "");
  EXPECT_EQ(stage.pass(2s), "kill-template");
  EXPECT_EQ(stage.tell(event::TemplateLost{TemplatePhase::kLoading, "killed"}), "finish 0");
}

TEST(Supervision, StopsBeforeItHasStarted) {
  Stage stage(1);
  EXPECT_EQ(stage.tell(event::StopAsked{StopKind::kGraceful}), "finish 0");
}

TEST(Supervision, StopsWithoutATemplate) {
  Stage stage(1);
  stage.serve();
  stage.tell(event::TemplateLost{TemplatePhase::kLoaded, ""});
  EXPECT_EQ(stage.tell(event::StopAsked{StopKind::kGraceful}), "drain 1");
  EXPECT_EQ(stage.leaves(1), "finish 0");
}

TEST(Supervision, StopsWorkersThatAreNotForkedYet) {
  Stage graceful(2);
  graceful.tell(event::Started{});
  graceful.tell(event::TemplateReady{});
  EXPECT_EQ(graceful.tell(event::StopAsked{StopKind::kGraceful}), "term-template, drain 1, drain 2");
  graceful.tell(event::Spawned{1, 101});
  EXPECT_EQ(graceful.tell(event::TemplateLost{}), "forget 2");
  EXPECT_EQ(graceful.leaves(1), "finish 0");

  Stage quick(1);
  quick.tell(event::Started{});
  quick.tell(event::TemplateReady{});
  EXPECT_EQ(quick.tell(event::StopAsked{StopKind::kQuick}), "term-template, forget 1");
  EXPECT_EQ(quick.tell(event::TemplateLost{}), "finish 0");
}

TEST(Supervision, KeepsTheExitCodeOfAGivenUpServiceThatIsStoppedMeanwhile) {
  Stage stage(2);
  stage.tell(event::Started{});
  stage.tell(event::TemplateReady{});
  stage.tell(event::Spawned{2, 102});
  stage.dies(1, ExitCause::kFatal);
  EXPECT_EQ(stage.tell(event::StopAsked{StopKind::kQuick}), "kill-template, kill 2");
  stage.tell(event::TemplateLost{});
  EXPECT_EQ(stage.dies(2, ExitCause::kKilled), "finish 1");
}

TEST(Supervision, ServesOnForTheDelayOfAStop) {
  SupervisionSettings settings = settings_for(2);
  settings.stop_delay = 15s;
  Stage stage(settings);
  stage.serve();
  EXPECT_EQ(stage.tell(event::StopAsked{StopKind::kGraceful}), "");
  EXPECT_EQ(stage.supervision.phase(), Phase::kStopDelayed);
  EXPECT_EQ(stage.dies(1), "spawn 3@0") << "what dies is replaced";
  stage.ready(3);
  EXPECT_EQ(stage.pass(10s), "");
  EXPECT_EQ(stage.tell(event::StopAsked{StopKind::kGraceful}), "") << "asking again changes nothing";
  EXPECT_EQ(stage.tell(event::ReloadAsked{2, settings}), "end g2: the service is not ready yet, or about to stop");
  EXPECT_EQ(stage.pass(5s - 1ns), "");
  EXPECT_EQ(stage.pass(1ns), "term-template, drain 3, drain 2");
}

TEST(Supervision, DoesNotDelayAQuickStop) {
  SupervisionSettings settings = settings_for(1);
  settings.stop_delay = 15s;
  Stage stage(settings);
  stage.serve();
  stage.tell(event::StopAsked{StopKind::kGraceful});
  EXPECT_EQ(stage.tell(event::StopAsked{StopKind::kQuick}), "term-template, term 1");
}

TEST(Supervision, DoesNotDelayTheStopOfAServiceThatIsNotReady) {
  SupervisionSettings settings = settings_for(1);
  settings.stop_delay = 15s;
  Stage stage(settings);
  stage.tell(event::Started{});
  EXPECT_EQ(stage.tell(event::StopAsked{StopKind::kGraceful}), "term-template");
}

}  // namespace
}  // namespace master
