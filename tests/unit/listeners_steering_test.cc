// Listeners, steering: where the kernel really puts new connections while some slots cannot take them.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <iostream>
#include <numeric>

#include "listeners_stage.h"

namespace {

using common::Steering;
using common::UniqueFd;
using listeners_stage::connect_to;
using listeners_stage::kBacklog;
using listeners_stage::kNoPatience;
using master::Listeners;
using master::ListenerSteering;

constexpr int kBatch = 32;  // fits into the queue of one socket

Listeners open(std::uint32_t slots, Steering steering = Steering::kHealth, std::size_t addresses = 1) {
  const std::vector<common::Address> any(addresses, common::Address::parse("127.0.0.1:0").value());
  return std::move(Listeners::open(any, slots, kBacklog, kNoPatience, steering).value());
}

int take_queued(int listener) {
  int taken = 0;
  while (true) {
    const UniqueFd connection(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK));
    if (!connection) return taken;
    ++taken;
  }
}

// How many of `connections` each slot gets. A connection lies in a queue by when connect(2) returns.
std::vector<int> shares(const Listeners& listeners, std::uint32_t slots, int connections, std::size_t address = 0) {
  for (std::uint32_t slot = 0; slot < slots; ++slot) {
    const int listener = listeners.sockets_of(slot)[address];
    EXPECT_EQ(::fcntl(listener, F_SETFL, ::fcntl(listener, F_GETFL) | O_NONBLOCK), 0);
  }
  std::vector<int> taken(slots);
  for (int made = 0; made < connections; made += kBatch) {
    std::vector<UniqueFd> clients;
    for (int i = 0; i < kBatch; ++i) clients.push_back(connect_to(listeners.views()[address].address));
    for (std::uint32_t slot = 0; slot < slots; ++slot) taken[slot] += take_queued(listeners.sockets_of(slot)[address]);
  }
  return taken;
}

TEST(ListenersSteering, GivesExcludedSlotsNothingAndTheOthersEqualShares) {
  Listeners listeners = open(4);
  listeners.steer({true, false, true, false});
  constexpr int kConnections = 2016;
  const std::vector<int> taken = shares(listeners, 4, kConnections);
  EXPECT_EQ(taken[1], 0);
  EXPECT_EQ(taken[3], 0);
  // The standard deviation is 22: seven of them.
  EXPECT_NEAR(taken[0], kConnections / 2, 157);
  EXPECT_EQ(taken[0] + taken[2], kConnections);
}

TEST(ListenersSteering, LetsASlotTakeAgainWhatItTookBefore) {
  Listeners listeners = open(4);
  listeners.steer({true, true, true, false});
  EXPECT_EQ(shares(listeners, 4, 320)[3], 0);
  listeners.steer({true, true, true, true});
  EXPECT_THAT(shares(listeners, 4, 320), testing::Each(testing::Gt(0)));
}

TEST(ListenersSteering, LeavesItToTheKernelWhenNoSlotIsAble) {
  Listeners listeners = open(3);
  listeners.steer({false, true, true});
  listeners.steer({false, false, false});
  EXPECT_THAT(shares(listeners, 3, 320), testing::Each(testing::Gt(0)));
}

TEST(ListenersSteering, AppliesToEveryAddress) {
  Listeners listeners = open(2, Steering::kAuto, 2);
  listeners.steer({false, true});
  EXPECT_THAT(shares(listeners, 2, 96, 0), testing::ElementsAre(0, 96));
  EXPECT_THAT(shares(listeners, 2, 96, 1), testing::ElementsAre(0, 96));
}

TEST(ListenersSteering, TakesASlotThatIsNotMentionedForAble) {
  Listeners listeners = open(3);
  listeners.steer({false});
  const std::vector<int> taken = shares(listeners, 3, 320);
  EXPECT_EQ(taken[0], 0);
  EXPECT_GT(taken[2], 0);
}

TEST(ListenersSteering, IgnoresSlotsThatDoNotExist) {
  Listeners listeners = open(2);
  listeners.steer({true, true, false, true});
  EXPECT_THAT(shares(listeners, 2, 320), testing::Each(testing::Gt(0)));
}

TEST(ListenersSteering, LosesNoConnectionWhenSlotsCloseAndOpen) {
  Listeners listeners = open(4);
  listeners.steer({false, true, true, true});
  listeners.close_slot(3);
  listeners.close_slot(2);
  EXPECT_THAT(shares(listeners, 2, 96), testing::ElementsAre(0, 96)) << "the exclusion outlives the closing";
  ASSERT_TRUE(listeners.open_slot(2).has_value());
  listeners.steer({true, false, true});
  const std::vector<int> taken = shares(listeners, 3, 320);
  EXPECT_EQ(taken[1], 0);
  EXPECT_GT(taken[2], 0) << "the new slot is chosen by its number";
  EXPECT_EQ(taken[0] + taken[2], 320);
}

TEST(ListenersSteering, TakesTheLongestProgramThereIs) {
  Listeners listeners = open(common::kWorkersMax);
  std::vector<bool> able;
  for (std::uint32_t slot = 0; slot < common::kWorkersMax; ++slot) able.push_back(slot % 2 != 0);
  listeners.steer(able);
  EXPECT_EQ(listeners.views()[0].steering, ListenerSteering::kHealth);
  const std::vector<int> taken = shares(listeners, common::kWorkersMax, 96);
  EXPECT_EQ(std::accumulate(taken.begin(), taken.end(), 0), 96);
  for (std::uint32_t slot = 0; slot < common::kWorkersMax; slot += 2) EXPECT_EQ(taken[slot], 0) << slot;
}

TEST(ListenersSteering, IsTheKernelsWhereTheSettingsSaySo) {
  Listeners listeners = open(2, Steering::kHash);
  listeners.steer({false, true});
  EXPECT_EQ(listeners.views()[0].steering, ListenerSteering::kHash);
  EXPECT_GT(shares(listeners, 2, 320)[0], 0);
}

TEST(ListenersSteering, IsNobodysWhereThereIsOneSocket) {
  EXPECT_EQ(open(1).views()[0].steering, ListenerSteering::kNone);
  EXPECT_EQ(open(2).views()[0].steering, ListenerSteering::kHealth);
}

// From now on setsockopt(2) with this option name fails in this process, as in a sandbox.
void forbid_option(std::uint32_t name, std::uint32_t errnum) {
  sock_filter code[] = {
      {.code = BPF_LD | BPF_W | BPF_ABS, .jt = 0, .jf = 0, .k = offsetof(seccomp_data, nr)},
      {.code = BPF_JMP | BPF_JEQ | BPF_K, .jt = 0, .jf = 3, .k = SYS_setsockopt},
      {.code = BPF_LD | BPF_W | BPF_ABS, .jt = 0, .jf = 0, .k = offsetof(seccomp_data, args[2])},
      {.code = BPF_JMP | BPF_JEQ | BPF_K, .jt = 0, .jf = 1, .k = name},
      {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = SECCOMP_RET_ERRNO | errnum},
      {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = SECCOMP_RET_ALLOW},
  };
  const sock_fprog program{.len = std::size(code), .filter = code};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    ::_exit(9);
  }
}

TEST(ListenersSteering, SaysOnceThatTheKernelRefusesAndGoesOnWithItsHash) {
  EXPECT_EXIT(
      {
        forbid_option(SO_ATTACH_REUSEPORT_CBPF, EPERM);
        Listeners listeners = open(2);
        for (int i = 0; i < 3; ++i) listeners.steer({false, true});
        const bool spread = shares(listeners, 2, 320)[0] > 0;
        const bool is_hash = listeners.views()[0].steering == ListenerSteering::kHash;
        ::_exit(spread && is_hash ? 0 : 1);
      },
      testing::ExitedWithCode(0), "^[^\n]*whether it takes them or not[^\n]*Operation not permitted[^\n]*\n$");
}

TEST(ListenersSteering, ReturnsToTheHashWhereAProgramCannotBeDetached) {
  EXPECT_EXIT(
      {
        forbid_option(SO_DETACH_REUSEPORT_BPF, ENOPROTOOPT);
        Listeners listeners = open(2);
        listeners.steer({false, true});
        const bool steered = shares(listeners, 2, 96)[0] == 0;
        listeners.steer({true, true});
        ::_exit(steered && shares(listeners, 2, 320)[0] > 0 ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
