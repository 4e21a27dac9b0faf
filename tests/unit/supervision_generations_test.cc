// Supervision: how many former generations drain at once when a rollout has failed half-way.
#include <gtest/gtest.h>

#include "supervision_stage.h"

namespace master {
namespace {

using namespace std::chrono_literals;

std::string load(Stage& stage, Generation generation) {
  stage.tell(event::ReloadAsked{generation, settings_for(2)});
  return stage.tell(event::TemplateReady{generation});
}

// Workers 1 and 2 of generation 1 drain, 4 of the active generation 2 serves slot 1, 5 of the refused generation 3
// serves slot 0, and generation 2 is asked for its successor 7.
void fail_half_way(Stage& stage) {
  stage.serve();
  load(stage, 2);
  stage.ready(3);
  stage.ready(4);
  stage.tell(event::TemplateLost{});
  stage.now += 1s;
  EXPECT_EQ(load(stage, 3), "spawn 5@0 g3") << "one former generation drains";
  EXPECT_EQ(stage.ready(5), "drain 3, spawn 6@1 g3");
  EXPECT_EQ(stage.dies(6, ExitCause::kStartFailed),
            "term-template g3, end g3: the worker in slot 1 failed: killed by SIGSEGV, spawn 7@0 g2");
  stage.tell(event::TemplateLost{TemplatePhase::kLoaded, "", 3});
  EXPECT_EQ(stage.leaves(3), "");
}

TEST(DrainingGenerations, CountOneWhoseWorkerDrainsAsSoonAsItsSuccessorIsReady) {
  Stage stage(2);
  fail_half_way(stage);
  EXPECT_EQ(load(stage, 4), "");
  EXPECT_EQ(stage.ready(7), "drain 5") << "generations 1 and 3 drain";
  EXPECT_EQ(stage.leaves(1), "");
  EXPECT_EQ(stage.leaves(2), "spawn 8@0 g4");
}

TEST(DrainingGenerations, KeepAWorkerOfAThirdOneServing) {
  Stage stage(2);
  fail_half_way(stage);
  EXPECT_EQ(stage.dies(7, ExitCause::kStartFailed), "");
  EXPECT_EQ(load(stage, 4), "") << "of generations 1, 2 and 3 only two may drain in the end";
  EXPECT_EQ(stage.pass(100ms), "") << "nor does generation 2 replace it now";
  EXPECT_EQ(stage.leaves(1), "");
  EXPECT_EQ(stage.leaves(2), "spawn 8@0 g4");
  EXPECT_EQ(stage.ready(8), "drain 5, spawn 9@1 g4");
  EXPECT_EQ(stage.ready(9), "drain 4, commit g4, end g4, term-template g2");
}

}  // namespace
}  // namespace master
