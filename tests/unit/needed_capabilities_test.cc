// NeededCapabilities: what is said and refused; what is given up is for the integration tests, which can end a process.
#include "master/needed_capabilities.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace {

using common::Capability;
using common::Identity;
using common::Privileges;
using testing::HasSubstr;

const Privileges kNobodyNamed;
const Privileges kSelf = {.identity = Identity{.user = ::geteuid(), .group = 1, .groups = {}, .name = "self"}};
const Privileges kStranger = {.identity = Identity{.user = ::geteuid() + 1, .group = 1, .groups = {}, .name = "shop"}};
const Privileges kOther = {.identity = Identity{.user = ::geteuid() + 2, .group = 1, .groups = {}, .name = "web"}};

TEST(NeededCapabilities, AreNamedWhenTheyAreMissedByAStrangersMaster) {
  EXPECT_EQ(master::missing_capabilities(kStranger, master::kNeededCapabilities), "");
  const std::string text = master::missing_capabilities(kStranger, {Capability::kSysResource});
  EXPECT_THAT(text, HasSubstr("without CAP_SYS_PTRACE"));
  EXPECT_THAT(text, testing::Not(HasSubstr("CAP_SYS_RESOURCE")));
  EXPECT_THAT(master::missing_capabilities(kStranger, {}), HasSubstr("; without CAP_SYS_RESOURCE"));
}

TEST(NeededCapabilities, AreNotMissedAmongOneUsersProcesses) {
  EXPECT_EQ(master::missing_capabilities(kSelf, {}), "");
  EXPECT_EQ(master::missing_capabilities(kNobodyNamed, {}), "");
}

TEST(NeededCapabilities, LetAReloadNameAnotherUserButNotTheSupervisorsOwn) {
  EXPECT_TRUE(master::check_change(kStranger, kOther));
  EXPECT_TRUE(master::check_change(kNobodyNamed, kStranger));
  EXPECT_TRUE(master::check_change(kSelf, kNobodyNamed));
  for (const Privileges& own : {kSelf, kNobodyNamed}) {
    const auto refused = master::check_change(kStranger, own);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("restart it, or name a user"));
  }
}

TEST(CapabilitySet, HoldsWhatItWasMadeOf) {
  constexpr common::CapabilitySet kTwo = {Capability::kChown, Capability::kSysResource};
  static_assert(kTwo.bits() == (1ULL << 0 | 1ULL << 24));
  static_assert(kTwo.has(Capability::kChown) && !kTwo.has(Capability::kKill));
  static_assert((kTwo & common::CapabilitySet{Capability::kChown}).bits() == 1);
  static_assert(common::CapabilitySet().empty() && !kTwo.empty());
  EXPECT_EQ(common::name_of(Capability::kSysPtrace), "CAP_SYS_PTRACE");
}

}  // namespace
