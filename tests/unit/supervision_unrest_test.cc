// Unrest: what keeps a Supervision from being put aside, by its name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "supervision_stage.h"

namespace master {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(Unrest, IsNothingWhileAllServe) {
  Stage stage(2);
  stage.serve();
  EXPECT_EQ(stage.supervision.unrest(), "");
}

TEST(Unrest, IsAStart) {
  Stage stage(2);
  EXPECT_EQ(stage.supervision.unrest(), "the service is starting");
  stage.tell(event::Started{});
  stage.tell(event::TemplateReady{});
  stage.ready(1);
  EXPECT_EQ(stage.supervision.unrest(), "the service is starting");
  stage.ready(2);
  EXPECT_EQ(stage.supervision.unrest(), "");
}

TEST(Unrest, IsAStop) {
  SupervisionSettings settings = settings_for(1);
  settings.stop_delay = 5s;
  Stage stage(settings);
  stage.serve();
  stage.tell(event::StopAsked{StopKind::kGraceful});
  ASSERT_EQ(stage.supervision.phase(), Phase::kStopDelayed);
  EXPECT_EQ(stage.supervision.unrest(), "the service is stopping");
  stage.pass(5s);
  EXPECT_EQ(stage.supervision.unrest(), "the service is stopping");
}

TEST(Unrest, IsAWorkerThatStarts) {
  Stage stage(2);
  stage.serve();
  stage.dies(2);
  stage.tell(event::Spawned{3, 33});
  EXPECT_EQ(stage.supervision.unrest(), "worker 33 in slot 1 starts");
  stage.ready(3);
  EXPECT_EQ(stage.supervision.unrest(), "");
}

TEST(Unrest, IsAWorkerThatIsToBeReplacedAndOneThatLeaves) {
  Stage stage(2);
  stage.serve();
  stage.recycle(0, RecycleReason::kManual);
  EXPECT_EQ(stage.supervision.unrest(), "the worker in slot 0 is to be replaced");
  EXPECT_EQ(stage.ready(3), "drain 1");
  EXPECT_EQ(stage.supervision.unrest(), "worker 1 in slot 0 leaves");
  stage.leaves(1);
  EXPECT_EQ(stage.supervision.unrest(), "");
}

TEST(Unrest, IsAReplacementThatCannotBeginYet) {
  Stage stage(2);
  stage.serve();
  stage.tell(event::TemplateLost{});
  ASSERT_EQ(stage.supervision.template_state(), TemplateState::kBackoff);
  stage.recycle(1, RecycleReason::kRss);
  EXPECT_EQ(stage.supervision.unrest(), "the worker in slot 1 is to be replaced");
}

TEST(Unrest, IsASlotThatOpensRetiresOrCloses) {
  Stage stage(2);
  stage.serve();
  EXPECT_EQ(stage.tell(event::ScaleAsked{3}), "open @2");
  EXPECT_EQ(stage.supervision.unrest(), "slots come and go");
  EXPECT_EQ(stage.tell(event::SlotOpened{2}), "spawn 3@2");
  EXPECT_EQ(stage.supervision.unrest(), "worker 0 in slot 2 starts");
  stage.ready(3);
  EXPECT_EQ(stage.supervision.unrest(), "");
  EXPECT_EQ(stage.tell(event::ScaleAsked{2}), "retire @2, empty 3");
  stage.leaves(3);
  EXPECT_EQ(stage.supervision.unrest(), "slots come and go")
      << "its socket is there until handshakes have had their time";
  EXPECT_EQ(stage.wait(), "close @2");
  EXPECT_EQ(stage.supervision.unrest(), "");
}

TEST(Unrest, IsAReloadUntilTheLastOfItsPredecessorsHasGone) {
  Stage stage(1);
  stage.serve();
  reload(stage, 2, 1);
  EXPECT_EQ(stage.supervision.unrest(), "a reload is under way");
  stage.tell(event::TemplateReady{2});
  EXPECT_EQ(stage.supervision.unrest(), "a reload is under way");
  EXPECT_EQ(stage.ready(2), "drain 1, commit g2, end g2, term-template");
  EXPECT_EQ(stage.supervision.unrest(), "the template of an earlier generation has not ended");
  stage.tell(event::TemplateLost{});
  EXPECT_EQ(stage.supervision.unrest(), "worker 1 in slot 0 leaves");
  stage.leaves(1);
  EXPECT_EQ(stage.supervision.unrest(), "");
}

TEST(Unrest, IsNotATemplateThatHadGoneWhenItWasReplaced) {
  Stage stage(2);
  stage.serve();
  stage.tell(event::TemplateLost{});
  stage.dies(2);
  reload(stage, 2, 2);
  EXPECT_EQ(stage.tell(event::TemplateReady{2}), "spawn 3@0 g2");
  EXPECT_EQ(stage.ready(3), "drain 1, spawn 4@1 g2");
  stage.leaves(1);
  EXPECT_EQ(stage.ready(4), "commit g2, end g2");
  EXPECT_EQ(stage.supervision.unrest(), "") << "nothing else may happen for a long time";
}

TEST(Unrest, IsATemplateThatLoadsButNotOneThatWaits) {
  Stage stage(1);
  stage.serve();
  stage.tell(event::TemplateLost{});
  EXPECT_EQ(stage.supervision.unrest(), "");
  EXPECT_EQ(stage.wait(), "start-template");
  EXPECT_EQ(stage.supervision.unrest(), "the application is being loaded");
  stage.tell(event::TemplateReady{});
  EXPECT_EQ(stage.supervision.unrest(), "");
}

TEST(Unrest, IsATemplateThatDoesNotFork) {
  Stage stage(2);
  stage.serve();
  EXPECT_EQ(stage.dies(1), "spawn 3@0");
  EXPECT_THAT(stage.wait(), HasSubstr("kill-template"));
  EXPECT_EQ(stage.supervision.unrest(), "the template is being replaced");
}

TEST(Unrest, IsNotASlotThatBacksOffNorAWorkerThatCannotBeKilled) {
  Stage stage(eager_settings(2));
  stage.serve();
  stage.dies(2);
  stage.tell(event::Spawned{3, 3});
  stage.dies(3);
  ASSERT_EQ(stage.states(), (Lines{"0 ready", "1 backoff"}));
  EXPECT_EQ(stage.supervision.unrest(), "");
  stage.recycle(0, RecycleReason::kManual);
  stage.wait();  // slot 1 again
  stage.ready(5);
  stage.ready(4);
  const std::string killed = stage.pass(1h);
  EXPECT_THAT(killed, HasSubstr("kill 1"));
  ASSERT_EQ(stage.states(), (Lines{"0 stopping", "0 ready", "1 ready"}));
  EXPECT_EQ(stage.supervision.unrest(), "");
  const SupervisionState state = stage.supervision.state();
  EXPECT_EQ(state.workers.size(), 2U) << "nobody waits for it any more";
}

}  // namespace
}  // namespace master
