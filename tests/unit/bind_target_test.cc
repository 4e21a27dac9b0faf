// BindTarget: the three forms, and what is none of them.
#include "common/bind_target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using common::parse_bind_target;
using ::testing::HasSubstr;

std::string refusal(std::string_view text) {
  const auto target = parse_bind_target(text);
  return target ? "" : target.error().message;
}

TEST(BindTarget, TellsAddressesFromActivatedSocketsAndDescriptors) {
  EXPECT_EQ(std::get<common::Address>(parse_bind_target(":80").value()).text(), "0.0.0.0:80");
  EXPECT_EQ(std::get<common::ActivatedSockets>(parse_bind_target("systemd").value()).name, "");
  EXPECT_EQ(std::get<common::ActivatedSockets>(parse_bind_target("systemd:shop.socket").value()).name, "shop.socket");
  EXPECT_EQ(std::get<common::PassedDescriptor>(parse_bind_target("fd://3").value()).fd, 3);
}

TEST(BindTarget, RefusesStandardStreamsAndWhatIsNoNumber) {
  for (const char* text : {"fd://", "fd://2", "fd://-1", "fd://x", "fd://3x", "fd://99999999999"}) {
    EXPECT_THAT(refusal(text), HasSubstr("must be fd://N")) << text;
  }
}

TEST(BindTarget, RefusesNamesThatNoManagerCanGive) {
  EXPECT_EQ(refusal("systemd:" + std::string(255, 'a')), "");
  for (const std::string& text : {std::string("systemd:"), std::string("systemd:a:b"), std::string("systemd:a\nb"),
                                  "systemd:" + std::string(256, 'a')}) {
    EXPECT_THAT(refusal(text), HasSubstr("must be systemd:NAME")) << text;
  }
}

}  // namespace
