// Tests of adoption: which sockets of somebody else are given to a slot each, which are shared, and what may join them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/socket.h>

#include <thread>
#include <utility>
#include <vector>

#include "common/address.h"
#include "common/unique_fd.h"
#include "master/listener_group.h"
#include "master/listening_socket.h"

namespace {

using ::testing::HasSubstr;

enum class Network { kOurs, kAnother };

std::vector<common::UniqueFd> bind_there(common::Address& address, std::size_t count) {
  std::vector<common::UniqueFd> sockets;
  while (sockets.size() < count) {
    auto fd = master::bind_tcp(address);
    if (!fd) return {};
    EXPECT_EQ(listen(fd->get(), 1), 0);
    sockets.push_back(std::move(*fd));
  }
  return sockets;
}

// None if this user may make no network of his own.
std::vector<master::InheritedSocket> activated(std::size_t count, Network network) {
  common::Address address = common::Address::parse("0.0.0.0:0").value();
  std::vector<common::UniqueFd> sockets;
  std::jthread thread([&] {  // a thread can be in another network than its process (unshare(2))
    if (network == Network::kAnother && unshare(CLONE_NEWNET) != 0) return;
    sockets = bind_there(address, count);
  });
  thread.join();
  std::vector<master::InheritedSocket> inherited;
  inherited.reserve(sockets.size());
  for (common::UniqueFd& fd : sockets) {
    inherited.push_back({.fd = std::move(fd), .name = "shop.socket", .address = address});
  }
  return inherited;
}

TEST(ListenerGroupAdoption, BindsWhatSlotsLackBesideASocketOfOurNetwork) {
  const auto group = master::ListenerGroup::adopt(activated(1, Network::kOurs), 2);
  EXPECT_FALSE(group->is_shared());
  EXPECT_EQ(group->size(), 2U);
}

TEST(ListenerGroupAdoption, SharesASingleSocketOfAnotherNetworkWhereNobodyWouldFindOurs) {
  auto inherited = activated(1, Network::kAnother);
  if (inherited.empty()) GTEST_SKIP() << "a network namespace of its own needs root";
  const auto group = master::ListenerGroup::adopt(std::move(inherited), 2);
  EXPECT_TRUE(group->is_shared());
  EXPECT_EQ(group->size(), 1U);
}

TEST(ListenerGroupAdoption, GivesEachSlotASocketOfAnotherNetworkAndRefusesMoreSlotsThanThat) {
  auto inherited = activated(2, Network::kAnother);
  if (inherited.empty()) GTEST_SKIP() << "a network namespace of its own needs root";
  const auto group = master::ListenerGroup::adopt(std::move(inherited), 2);
  EXPECT_FALSE(group->is_shared());
  EXPECT_EQ(group->size(), 2U);
  const auto grown = group->grow(3);
  ASSERT_FALSE(grown);
  EXPECT_THAT(grown.error().message, HasSubstr("of another network namespace (PrivateNetwork=)"));
  EXPECT_EQ(group->size(), 2U);
}

}  // namespace
