// Supervision: the slot in which a rollout tries its generation.
#include <gtest/gtest.h>

#include "supervision_stage.h"

namespace master {
namespace {

using namespace std::chrono_literals;

std::string load(Stage& stage, std::uint32_t workers) {
  stage.tell(event::ReloadAsked{2, settings_for(workers)});
  return stage.tell(event::TemplateReady{2});
}

TEST(RolloutTrial, TakesASlotThatServesBeforeOneThatWaits) {
  Stage stage(2);
  stage.serve();
  stage.tell(event::TemplateLost{});
  EXPECT_EQ(stage.dies(1), "");
  EXPECT_EQ(load(stage, 2), "spawn 3@1 g2");
}

TEST(RolloutTrial, TakesASlotThatWaitsWhenNoneServes) {
  Stage stage(2);
  stage.serve();
  stage.tell(event::TemplateLost{});
  stage.dies(1);
  stage.dies(2);
  EXPECT_EQ(load(stage, 2), "spawn 3@0 g2");
  EXPECT_EQ(stage.ready(3), "spawn 4@1 g2");
}

TEST(RolloutTrial, LeavesNoDelayBehindInItsSlotWhenItFails) {
  Stage stage(1);
  stage.serve();
  stage.dies(1);
  stage.ready(2);
  EXPECT_EQ(stage.dies(2), "") << "too young: from now on there is a delay after a failure";
  EXPECT_EQ(stage.pass(100ms), "spawn 3@0");
  stage.ready(3);
  EXPECT_EQ(load(stage, 1), "spawn 4@0 g2");
  stage.dies(4, ExitCause::kStartFailed);
  EXPECT_EQ(stage.recycle(0, RecycleReason::kAge), "spawn 5@0");
}

}  // namespace
}  // namespace master
