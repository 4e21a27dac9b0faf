// Tests of the reload desk: what whoever asked for a reload is answered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "master/reload_desk.h"

namespace {

using ::testing::HasSubstr;

TEST(ReloadReply, TellsByItsStatusWhetherItWasDoneRefusedOrTooLate) {
  EXPECT_EQ(master::reload_reply(2, "", master::Refusal::kServing).status, 200);
  EXPECT_EQ(master::reload_reply(2, "no such key", master::Refusal::kServing).status, 409);
  const master::ControlReply late = master::reload_reply(2, "the service stops", master::Refusal::kStopping);
  EXPECT_EQ(late.status, 410);
  EXPECT_THAT(late.body, HasSubstr("the service stops"));
}

}  // namespace
