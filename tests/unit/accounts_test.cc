// Accounts: every way to name who runs the application, by a book of accounts that exist nowhere.
#include "master/accounts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <utility>

namespace {

using common::Capability;
using common::CapabilitySet;
using common::Identity;
using common::Privileges;
using common::Result;
using master::OwnRights;
using master::UserAccount;
using testing::ElementsAre;
using testing::HasSubstr;

class Book : public master::AccountBook {
 public:
  Result<std::optional<UserAccount>> user(const std::string& name) const override {
    if (broken) return common::fail("looking up user: the directory is down");
    for (const UserAccount& each : users) {
      if (each.name == name) return each;
    }
    return std::nullopt;
  }
  Result<std::optional<UserAccount>> user(uid_t id) const override {
    if (broken) return common::fail("looking up user: the directory is down");
    for (const UserAccount& each : users) {
      if (each.id == id) return each;
    }
    return std::nullopt;
  }
  Result<std::optional<gid_t>> group(const std::string& name) const override {
    if (broken) return common::fail("looking up group: the directory is down");
    const auto found = groups.find(name);
    return found == groups.end() ? std::nullopt : std::optional(found->second);
  }
  Result<std::vector<gid_t>> groups_of(const std::string& user_name, gid_t primary) const override {
    if (user_name == "shop") return std::vector<gid_t>{primary, 44, 100};
    return std::vector<gid_t>{primary};
  }

  bool broken = false;
  std::vector<UserAccount> users = {{"root", 0, 0}, {"shop", 900, 901}, {"1234", 700, 701}};
  std::map<std::string, gid_t> groups = {{"root", 0}, {"shop", 901}, {"web", 33}, {"77", 770}};
};

constexpr CapabilitySet kAll = CapabilitySet::of_bits(~0ULL);
constexpr OwnRights kRoot = {.user = 0, .group = 0, .capabilities = kAll};
constexpr OwnRights kShop = {.user = 900, .group = 901, .capabilities = {}};

Result<Privileges> resolve(const std::string& user, const std::string& group, const OwnRights& own = kRoot,
                           const Book& book = {}) {
  return master::resolve_privileges({.user = user, .group = group, .umask = std::nullopt}, book, own);
}
Identity identity_of(const std::string& user, const std::string& group, const OwnRights& own = kRoot) {
  const auto privileges = resolve(user, group, own);
  EXPECT_TRUE(privileges) << privileges.error().message;
  return privileges && privileges->identity ? *privileges->identity : Identity{};
}
std::string mistake(const std::string& user, const std::string& group, const OwnRights& own = kRoot,
                    const Book& book = {}) {
  const auto privileges = resolve(user, group, own, book);
  return privileges ? "" : privileges.error().message;
}

TEST(Accounts, ThatNobodyNamesChangeNothing) {
  const auto privileges = resolve("", "");
  ASSERT_TRUE(privileges);
  EXPECT_EQ(*privileges, Privileges{});
  EXPECT_FALSE(master::owner_of_listener(*privileges));
  EXPECT_FALSE(master::owner_of_control(*privileges));
}

TEST(Accounts, LeaveTheUmaskToItself) {
  const auto privileges = master::resolve_privileges({.user = "", .group = "", .umask = 027}, Book(), kShop);
  ASSERT_TRUE(privileges);
  EXPECT_EQ(privileges->umask, 027U);
  EXPECT_FALSE(privileges->identity);
}

TEST(Accounts, GiveTheUserItsPrimaryAndAllItsOtherGroups) {
  const Identity identity = identity_of("shop", "");
  EXPECT_EQ(identity.user, 900U);
  EXPECT_EQ(identity.group, 901U);
  EXPECT_THAT(identity.groups.value_or(std::vector<gid_t>()), ElementsAre(901, 44, 100));
  EXPECT_EQ(identity.name, "shop");
}

TEST(Accounts, PutTheNamedGroupInThePlaceOfThePrimaryOne) {
  const Identity identity = identity_of("shop", "web");
  EXPECT_EQ(identity.group, 33U);
  EXPECT_THAT(identity.groups.value_or(std::vector<gid_t>()), ElementsAre(33, 44, 100));
}

TEST(Accounts, OfAGroupAloneKeepTheUser) {
  const Identity identity = identity_of("", "web");
  EXPECT_EQ(identity.user, 0U);
  EXPECT_EQ(identity.group, 33U);
}

TEST(Accounts, MayBeNamedByTheirIds) {
  EXPECT_EQ(identity_of("900", "").group, 901U);
  EXPECT_EQ(identity_of("900", "").name, "shop");
  EXPECT_EQ(identity_of("4711", "33").user, 4711U);
  EXPECT_EQ(identity_of("4711", "33").name, "4711");
  EXPECT_THAT(identity_of("4711", "33").groups.value_or(std::vector<gid_t>()), ElementsAre(33));
  EXPECT_EQ(identity_of("shop", "4712").group, 4712U) << "a group need not be in the book";
}

TEST(Accounts, WhoseNamesAreDigitsCountBeforeIds) {
  EXPECT_EQ(identity_of("1234", "").user, 700U);
  EXPECT_EQ(identity_of("shop", "77").group, 770U);
}

TEST(Accounts, HaveIdsBelowTheOneThatMeansUnchanged) {
  EXPECT_EQ(identity_of("4294967294", "4294967294").user, 4294967294U);
  EXPECT_THAT(mistake("4294967295", "33"), HasSubstr("there is no user '4294967295'"));
  EXPECT_THAT(mistake("shop", "4294967295"), HasSubstr("there is no group '4294967295'"));
  EXPECT_THAT(mistake("-1", "33"), HasSubstr("there is no user '-1'"));
  EXPECT_THAT(mistake("33x", "33"), HasSubstr("there is no user '33x'"));
}

TEST(Accounts, ThatDoNotExistAreNamedWithTheKeyAndTheFix) {
  EXPECT_EQ(mistake("shpo", ""),
            "security.user: there is no user 'shpo'; create it (useradd --system shpo), or name another");
  EXPECT_EQ(mistake("shop", "wbe"),
            "security.group: there is no group 'wbe'; create it (groupadd --system wbe), or name another");
  EXPECT_EQ(mistake("4711", ""),
            "security.user: no account with the id 4711 was found, so its group is not known; name one with "
            "security.group");
}

TEST(Accounts, OfOthersAreForRoot) {
  EXPECT_EQ(mistake("root", "", kShop),
            "security.user: only root may run the application as 'root', and this is uid 900; start as root or as that "
            "user, or remove the key");
  EXPECT_EQ(mistake("shop", "web", kShop),
            "security.group: only root may run the application with group 'web', and this is uid 900 with gid 901; "
            "start as root or with that group, or remove the key");
}

TEST(Accounts, OfOneselfAreForEverybody) {
  const Identity identity = identity_of("shop", "", kShop);
  EXPECT_EQ(identity.user, 900U);
  EXPECT_EQ(identity.group, 901U);
  EXPECT_FALSE(identity.groups) << "who may not change them keeps them";
  EXPECT_EQ(identity_of("shop", "shop", kShop).group, 901U);
  EXPECT_EQ(identity_of("", "901", kShop).user, 900U);
}

TEST(Accounts, KeepTheGroupTheyWereStartedWithUnlessOneIsNamed) {
  const OwnRights started_with_web = {.user = 900, .group = 33, .capabilities = {}};
  EXPECT_EQ(identity_of("shop", "", started_with_web).group, 33U);
  EXPECT_EQ(identity_of("shop", "web", started_with_web).group, 33U);
  EXPECT_THAT(mistake("shop", "shop", started_with_web), HasSubstr("with group 'shop'"));
}

TEST(Accounts, NeedTheThreeCapabilitiesOfAChangeOfUser) {
  constexpr CapabilitySet kJustEnough = {Capability::kSetuid, Capability::kSetgid, Capability::kKill};
  EXPECT_EQ(mistake("shop", "", {.user = 0, .group = 0, .capabilities = kJustEnough}), "");
  EXPECT_EQ(mistake("shop", "", {.user = 0, .group = 0, .capabilities = {Capability::kSetgid, Capability::kSetuid}}),
            "security.user: root may not run the application as 'shop' here, for want of CAP_KILL; add it (docker run "
            "--cap-add, CapabilityBoundingSet=), or start as that user");
  EXPECT_THAT(mistake("shop", "", {.user = 0, .group = 0, .capabilities = {Capability::kKill}}),
              HasSubstr("CAP_SETUID, CAP_SETGID"));
  EXPECT_EQ(mistake("shop", "", {.user = 5, .group = 5, .capabilities = kJustEnough}), "")
      << "the capabilities count, not being root";
}

TEST(Accounts, CanBeIdsWhileTheNameServiceIsDown) {
  Book down;
  down.broken = true;
  EXPECT_EQ(mistake("shop", "", kRoot, down),
            "security.user: looking up user: the directory is down; repair the name service, or write the id");
  EXPECT_EQ(mistake("900", "901", kRoot, down), "");
}

TEST(Accounts, OwnTheSocketsOfTheApplicationAndShareTheControlSocket) {
  const auto privileges = resolve("shop", "web");
  ASSERT_TRUE(privileges);
  EXPECT_EQ(master::owner_of_listener(*privileges), (master::FileOwner{.user = 900, .group = 33}));
  EXPECT_EQ(master::owner_of_control(*privileges), (master::FileOwner{.user = ::geteuid(), .group = 33}));
}

TEST(SystemAccounts, KnowRootAndNobodyElseByANonsenseName) {
  const master::SystemAccounts book;
  const auto root = book.user("root");
  ASSERT_TRUE(root);
  ASSERT_TRUE(*root);
  EXPECT_EQ((*root)->id, 0U);
  EXPECT_EQ((*root)->group, 0U);
  const auto by_id = book.user(uid_t{0});
  ASSERT_TRUE(by_id && *by_id);
  EXPECT_EQ((*by_id)->name, "root");
  EXPECT_EQ(book.user("no such user").value(), std::nullopt);
  EXPECT_EQ(book.group("root").value(), gid_t{0});
  EXPECT_EQ(book.group("no such group").value(), std::nullopt);
  EXPECT_THAT(book.groups_of("root", 4711).value(), testing::Contains(gid_t{4711}));
}

}  // namespace
