// Listeners, owner: whose their sockets and socket files are.
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>

#include "listeners_stage.h"
#include "support/temporary_directory.h"

namespace {

using listeners_stage::addresses;
using listeners_stage::kBacklog;
using listeners_stage::kNoPatience;
using master::FileOwner;
using master::Listeners;

constexpr uid_t kNobody = 65534;

common::Result<Listeners> open_for(const FileOwner& owner, const std::vector<std::string>& texts) {
  return Listeners::open(addresses(texts), 1, kBacklog, kNoPatience, common::Steering::kHash, owner);
}

void become_nobody() {
  if (::geteuid() == 0 && ::setuid(kNobody) != 0) ::_exit(2);
}

TEST(ListenersOwner, HasTheSocketFilesAlone) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("app.sock");
  const bool is_root = ::geteuid() == 0;
  const FileOwner owner = {.user = is_root ? kNobody : ::geteuid(), .group = is_root ? kNobody : ::getegid()};
  auto listeners = open_for(owner, {"127.0.0.1:0", "unix:" + path});
  ASSERT_TRUE(listeners.has_value()) << listeners.error().message;
  struct stat file{};
  ASSERT_EQ(::stat(path.c_str(), &file), 0);
  EXPECT_EQ(file.st_uid, owner.user);
  EXPECT_EQ(file.st_gid, owner.group);
  ASSERT_EQ(::fstat(listeners->sockets_of(0)[0], &file), 0);
  EXPECT_EQ(file.st_uid, ::geteuid());
}

// The kernel lets only sockets of one owner share a port: whatever else runs as the workers' user takes no connections.
TEST(ListenersOwner, LetsTheWorkersUserJoinNoGroup) {
  if (::geteuid() != 0) GTEST_SKIP() << "has no privileges to drop";
  auto listeners = open_for({.user = kNobody, .group = kNobody}, {"127.0.0.1:0"});
  ASSERT_TRUE(listeners.has_value()) << listeners.error().message;
  EXPECT_EXIT(
      {
        if (::setgroups(0, nullptr) != 0 || ::setgid(kNobody) != 0) ::_exit(2);
        become_nobody();
        const auto opened = listeners->open_slot(1);
        if (!opened) std::cerr << opened.error().message << std::endl;
        ::_exit(opened ? 0 : 1);
      },
      testing::ExitedWithCode(1), "bind: ");
}

TEST(ListenersOwner, GetsNoSocketFileThatCannotBeGivenAway) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("app.sock");
  std::filesystem::permissions(std::filesystem::path(path).parent_path(), std::filesystem::perms::all);
  EXPECT_EXIT(
      {
        become_nobody();
        const auto refused = open_for(FileOwner{0, 0}, std::vector<std::string>(1, "unix:" + path));
        if (!refused) std::cerr << refused.error().message << std::endl;
        ::_exit(refused || std::filesystem::exists(path) ? 1 : 0);
      },
      testing::ExitedWithCode(0), "app\\.sock: chown: ");
}

}  // namespace
