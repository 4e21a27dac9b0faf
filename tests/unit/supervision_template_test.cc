// Supervision: the loss of the template, which the workers must not notice.
#include <gtest/gtest.h>

#include "supervision_stage.h"

namespace master {
namespace {

using namespace std::chrono_literals;

TEST(Supervision, StartsALostTemplateAgainWithoutTouchingWorkers) {
  Stage stage(2);
  stage.serve();
  EXPECT_EQ(stage.tell(event::TemplateLost{TemplatePhase::kLoaded, "killed by SIGKILL"}), "");
  EXPECT_EQ(stage.dies(1), "") << "spawns wait for the template";
  EXPECT_EQ(stage.states(), (Lines{"0 starting", "1 ready"}));
  EXPECT_EQ(stage.pass(100ms), "start-template");
  EXPECT_EQ(stage.tell(event::TemplateReady{}), "spawn 3@0");
}

TEST(Supervision, BacksOffWhenTheTemplateKeepsFailing) {
  Stage stage(1);
  stage.serve();
  for (const common::Duration delay : {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms}) {
    stage.tell(event::TemplateLost{TemplatePhase::kLoading, "load() threw"});
    EXPECT_EQ(stage.notes.back().delay, delay);
    EXPECT_EQ(stage.pass(delay), "start-template");
  }
  EXPECT_EQ(stage.supervision.phase(), Phase::kServing);
}

TEST(Supervision, ForgetsTheBackOffOfATemplateThatLivedForAWhile) {
  Stage stage(1);
  stage.serve();
  for (int i = 0; i < 3; ++i) {
    stage.tell(event::TemplateLost{TemplatePhase::kLoaded, "killed by SIGKILL"});
    EXPECT_EQ(stage.notes.back().delay, 100ms);
    stage.wait();
    stage.tell(event::TemplateReady{});
    stage.now += 1s;
  }
  stage.now -= 1ns;
  stage.tell(event::TemplateLost{TemplatePhase::kLoaded, "killed by SIGKILL"});
  EXPECT_EQ(stage.notes.back().delay, 200ms) << "it lived too short";
}

TEST(Supervision, EndsWithThreeWhenTheTemplateKeepsFailingAndNobodyServes) {
  Stage stage(1);
  stage.serve();
  stage.tell(event::TemplateLost{TemplatePhase::kLoaded, ""});
  stage.dies(1);
  for (int i = 0; i < 3; ++i) {
    stage.pass(2s);
    EXPECT_EQ(stage.tell(event::TemplateLost{TemplatePhase::kLoading, "load() threw"}), "");
  }
  stage.pass(2s);
  EXPECT_EQ(stage.tell(event::TemplateLost{TemplatePhase::kLoading, "load() threw"}), "finish 3");
  EXPECT_NE(stage.reason.find("load() threw"), std::string::npos);
}

TEST(Supervision, ForgetsTheWorkersThatALostTemplateHadNotForked) {
  Stage stage(2);
  stage.tell(event::Started{});
  stage.tell(event::TemplateReady{});
  stage.tell(event::Spawned{1, 101});
  EXPECT_EQ(stage.tell(event::TemplateLost{TemplatePhase::kLoaded, ""}), "forget 2");
  EXPECT_EQ(stage.tell(event::WorkerReady{2, 102}), "") << "it reads the end of its channel and leaves";
  stage.tell(event::WorkerReady{1, 101});
  stage.pass(1s);
  EXPECT_EQ(stage.tell(event::TemplateReady{}), "spawn 3@1");
  EXPECT_EQ(stage.ready(3), "report-ready");
  EXPECT_EQ(stage.noted(NoteKind::kRestartLater), 0U) << "not a failure of the slot";
}

TEST(Supervision, KillsATemplateThatDoesNotFork) {
  Stage stage(1);
  stage.serve();
  EXPECT_EQ(stage.dies(1), "spawn 2@0");
  EXPECT_EQ(stage.pass(10s), "forget 2, kill-template");
  EXPECT_EQ(stage.noted(NoteKind::kTemplateSilent), 1U);
  EXPECT_EQ(stage.pass(1s), "") << "one template at a time";
  EXPECT_EQ(stage.tell(event::TemplateLost{TemplatePhase::kLoaded, "killed by SIGKILL"}), "");
  EXPECT_EQ(stage.pass(100ms), "start-template");
  EXPECT_EQ(stage.tell(event::TemplateReady{}), "spawn 3@0");
}

TEST(Supervision, TakesTheWordOfAWorkerBeforeThatOfItsTemplate) {
  Stage stage(1);
  stage.tell(event::Started{});
  stage.tell(event::TemplateReady{});
  EXPECT_EQ(stage.tell(event::WorkerReady{1, 0}), "report-ready");
  EXPECT_EQ(stage.tell(event::TemplateLost{TemplatePhase::kLoaded, ""}), "");
  EXPECT_EQ(stage.states(), Lines{"0 ready"});
}

}  // namespace
}  // namespace master
