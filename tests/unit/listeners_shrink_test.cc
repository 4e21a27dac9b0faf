// Listeners, shrinking: slots that end while clients connect all the time, and nobody notices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstddef>
#include <thread>

#include "listeners_crowd.h"
#include "listeners_stage.h"

namespace {

using common::Steering;
using common::UniqueFd;
using listeners_stage::Clients;
using listeners_stage::connect_to;
using listeners_stage::has_queued;
using listeners_stage::kClientsEach;
using listeners_stage::kClientThreads;
using listeners_stage::kDeadlineMilliseconds;
using listeners_stage::kSettled;
using listeners_stage::kStart;
using listeners_stage::Workers;
using master::Listeners;
using master::SlotIndex;

constexpr std::uint32_t kRoomForAll = 1024;
constexpr SlotIndex kMost = 6;

void grow(Listeners& listeners, Workers& workers) {
  for (SlotIndex slot = 1; slot < kMost; ++slot) {
    ASSERT_TRUE(listeners.open_slot(slot).has_value());
    workers.take(listeners, slot);
  }
}

bool all_drained(const Listeners& listeners) {
  for (SlotIndex slot = 1; slot < kMost; ++slot) {
    if (!listeners.is_drained(slot, kSettled)) return false;
  }
  return true;
}

// The order that master/listeners.h prescribes; handshakes are known to be over when every client has begun anew.
void shrink_gently(Listeners& listeners, Workers& workers, const Clients& clients) {
  for (SlotIndex slot = 1; slot < kMost; ++slot) listeners.retire_slot(slot, kStart);
  for (SlotIndex slot = 1; slot < kMost; ++slot) workers.leave(slot);
  const auto before = clients.rounds();
  const auto give_up_at = common::Clock::now() + std::chrono::milliseconds(kDeadlineMilliseconds);
  while (!clients.have_begun_anew_since(before) || !all_drained(listeners)) {
    ASSERT_LT(common::Clock::now(), give_up_at);
    for (SlotIndex slot = 1; slot < kMost; ++slot) {
      for (const UniqueFd& connection : listeners.accept_queued(slot, 64)) Workers::serve(connection);
    }
    std::this_thread::yield();
  }
  for (SlotIndex slot = kMost - 1; slot > 0; --slot) listeners.close_slot(slot);
}

void expect_nothing_lost_in(int cycles, Steering steering) {
  Listeners listeners = listeners_stage::open({"127.0.0.1:0"}, 1, steering, kRoomForAll);
  Workers workers;
  workers.take(listeners, 0);
  Clients clients(listeners.views()[0].address);
  for (int cycle = 0; cycle < cycles && !testing::Test::HasFailure(); ++cycle) {
    grow(listeners, workers);
    shrink_gently(listeners, workers, clients);
  }
  clients.stop();
  EXPECT_EQ(clients.ledger().refused, 0);
  EXPECT_EQ(clients.ledger().reset, 0);
  EXPECT_EQ(clients.ledger().forgotten, 0);
  EXPECT_GE(clients.ledger().served, cycles * kClientThreads * kClientsEach);
}

TEST(ListenersShrink, LosesNoneOfFourHundredClientsInFiftyTimesOneToSixAndBack) {
  expect_nothing_lost_in(50, Steering::kHash);
}

TEST(ListenersShrink, LosesNobodyWhereTheSlotsAreSteeredAnyway) { expect_nothing_lost_in(10, Steering::kHealth); }

TEST(ListenersShrink, ResetsClientsOfASlotThatIsClosedWithoutRetiring) {
  Listeners listeners = listeners_stage::open({"127.0.0.1:0"}, 1, Steering::kHash, kRoomForAll);
  Workers workers;
  workers.take(listeners, 0);
  Clients clients(listeners.views()[0].address);
  grow(listeners, workers);
  for (SlotIndex slot = kMost - 1; slot > 0; --slot) {
    workers.leave(slot);
    pollfd queue{.fd = listeners.sockets_of(slot)[0], .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&queue, 1, kDeadlineMilliseconds), 1);
    listeners.close_slot(slot);
  }
  clients.stop();
  EXPECT_GT(clients.ledger().reset, 0) << "or the tests above prove nothing";
}

// How many of 32 new clients come to each slot.
std::vector<int> shares(Listeners& listeners, std::uint32_t slots) {
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 32; ++i) clients.push_back(connect_to(listeners.views()[0].address));
  std::vector<int> taken(slots);
  for (SlotIndex slot = 0; slot < slots; ++slot) {
    const int listener = listeners.sockets_of(slot)[0];
    for (; has_queued(listener); ++taken[slot]) ::close(::accept(listener, nullptr, nullptr));
  }
  return taken;
}

TEST(ListenersShrink, SendsNobodyToASlotThatRetiresWhateverIsAble) {
  for (const Steering steering : {Steering::kHash, Steering::kHealth}) {
    Listeners listeners = listeners_stage::open({"127.0.0.1:0"}, 3, steering);
    listeners.retire_slot(2, kStart);
    for (const std::vector<bool>& able : std::vector<std::vector<bool>>{{true, true, true}, {false, false, true}, {}}) {
      listeners.steer(able);
      EXPECT_THAT(shares(listeners, 3), testing::ElementsAre(testing::Gt(0), testing::Gt(0), 0));
    }
  }
}

TEST(ListenersShrink, StillObeysAbleAmongTheSlotsThatStay) {
  Listeners listeners = listeners_stage::open({"127.0.0.1:0"}, 3, Steering::kHealth);
  listeners.retire_slot(2, kStart);
  listeners.steer({true, false, true});
  EXPECT_THAT(shares(listeners, 3), testing::ElementsAre(32, 0, 0));
}

TEST(ListenersShrink, LetsASlotTakeAgainThatIsKeptAfterAll) {
  Listeners listeners = listeners_stage::open({"127.0.0.1:0"}, 2);
  listeners.retire_slot(1, kStart);
  EXPECT_TRUE(listeners.accept_queued(1, 8).empty());
  listeners.un_retire(1);
  EXPECT_GT(shares(listeners, 2)[1], 0);
  EXPECT_EQ(::fcntl(listeners.sockets_of(1)[0], F_GETFL) & O_NONBLOCK, 0);
  EXPECT_FALSE(listeners.is_drained(1, kSettled));
}

TEST(ListenersShrink, IsDrainedWhenTheQueueIsEmptyAndHandshakesAreOver) {
  Listeners listeners = listeners_stage::open({"127.0.0.1:0"}, 2);
  EXPECT_FALSE(listeners.is_drained(1, kSettled)) << "does not retire";
  std::vector<UniqueFd> clients;
  while (listeners.queue_is_empty(1)) clients.push_back(connect_to(listeners.views()[0].address));
  listeners.retire_slot(1, kStart);
  EXPECT_FALSE(listeners.is_drained(1, kSettled));
  EXPECT_EQ(listeners.accept_queued(1, 8).size(), 1U);
  EXPECT_TRUE(listeners.queue_is_empty(1));
  listeners.retire_slot(1, kSettled);  // a second time: the first counts
  EXPECT_FALSE(listeners.is_drained(1, kSettled - common::Duration(1)));
  EXPECT_TRUE(listeners.is_drained(1, kSettled));
}

TEST(ListenersShrink, TakesNoMoreConnectionsThanAskedForOfAllAddressesTogether) {
  Listeners listeners = listeners_stage::open({"127.0.0.1:0", "127.0.0.1:0"}, 1);
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 3; ++i) {
    for (const master::ListenerView& view : listeners.views()) clients.push_back(connect_to(view.address));
  }
  listeners.retire_slot(0, kStart);
  EXPECT_EQ(listeners.accept_queued(0, 4).size(), 4U);
  EXPECT_FALSE(listeners.queue_is_empty(0));
  const std::vector<UniqueFd> rest = listeners.accept_queued(0, 4);
  ASSERT_EQ(rest.size(), 2U);
  EXPECT_EQ(::fcntl(rest[0].get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(::fcntl(rest[0].get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_TRUE(listeners.accept_queued(0, 4).empty()) << "and does not wait for more";
}

TEST(ListenersShrink, NeverWaitsForeverEvenIfAWorkerMakesTheSocketBlockingMeanwhile) {
  Listeners listeners = listeners_stage::open({"127.0.0.1:0"}, 1);
  const int listener = listeners.sockets_of(0)[0];
  const UniqueFd client = connect_to(listeners.views()[0].address);
  EXPECT_TRUE(listeners.accept_queued(0, 4).empty()) << "does not retire";
  listeners.retire_slot(0, kStart);
  const std::vector<UniqueFd> taken = listeners.accept_queued(0, 4);
  ASSERT_EQ(taken.size(), 1U);
  ASSERT_EQ(::fcntl(listener, F_SETFL, ::fcntl(listener, F_GETFL) & ~O_NONBLOCK), 0);
  EXPECT_EQ(::accept(listener, nullptr, nullptr), -1);
  EXPECT_EQ(errno, EAGAIN);
  timeval limit{};
  socklen_t size = sizeof limit;
  ASSERT_EQ(::getsockopt(taken[0].get(), SOL_SOCKET, SO_RCVTIMEO, &limit, &size), 0);
  EXPECT_EQ(limit.tv_usec, 0) << "a connection waits as any other";
  listeners.un_retire(0);
  ASSERT_EQ(::getsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, &size), 0);
  EXPECT_EQ(limit.tv_usec, 0);
}

TEST(ListenersShrink, LeavesSharedSocketsToTheOtherSlots) {
  const std::string address = "unix:@supervisor-shrink-test-" + std::to_string(::getpid());
  Listeners listeners = listeners_stage::open({address}, 2);
  const UniqueFd client = connect_to(address);
  listeners.retire_slot(1, kStart);
  EXPECT_TRUE(listeners.is_drained(1, kSettled));
  EXPECT_TRUE(listeners.accept_queued(1, 8).empty());
  listeners.close_slot(1);
  EXPECT_TRUE(has_queued(listeners.sockets_of(0)[0]));
}

// From now on setsockopt(2) with this option name fails in this process, as in a sandbox.
void forbid_option(std::uint32_t name) {
  sock_filter code[] = {
      {.code = BPF_LD | BPF_W | BPF_ABS, .jt = 0, .jf = 0, .k = offsetof(seccomp_data, nr)},
      {.code = BPF_JMP | BPF_JEQ | BPF_K, .jt = 0, .jf = 3, .k = SYS_setsockopt},
      {.code = BPF_LD | BPF_W | BPF_ABS, .jt = 0, .jf = 0, .k = offsetof(seccomp_data, args[2])},
      {.code = BPF_JMP | BPF_JEQ | BPF_K, .jt = 0, .jf = 1, .k = name},
      {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = SECCOMP_RET_ERRNO | EPERM},
      {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = SECCOMP_RET_ALLOW},
  };
  const sock_fprog program{.len = std::size(code), .filter = code};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    ::_exit(9);
  }
}

// 32 clients begin to connect to a slot that retires or its sibling; then it is closed. Whether all come through.
bool nobody_is_lost_when_slot_one_closes(Listeners& listeners) {
  const std::string address = listeners.views()[0].address;
  listeners.retire_slot(1, kStart);
  listeners.steer({});
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 32; ++i) {
    clients.push_back(listeners_stage::client_socket(address, SOCK_NONBLOCK));
    listeners_stage::try_connect(clients.back().get(), address);
  }
  if (!listeners.is_drained(1, kSettled)) return false;
  listeners.close_slot(1);
  for (const UniqueFd& client : clients) {
    if (listeners_stage::connect_result(client.get()) != 0) return false;
  }
  return true;
}

TEST(ListenersShrink, LetsClientsWaitAndSaysSoOnceWhereTheKernelRefusesTheProgram) {
  EXPECT_EXIT(
      {
        forbid_option(SO_ATTACH_REUSEPORT_CBPF);
        Listeners listeners = listeners_stage::open({"127.0.0.1:0"}, 2);
        ::_exit(nobody_is_lost_when_slot_one_closes(listeners) ? 0 : 1);
      },
      testing::ExitedWithCode(0), "^[^\n]*may wait a few seconds[^\n]*Operation not permitted[^\n]*\n$");
}

TEST(ListenersShrink, SaysThatClientsMayBeResetWhereTheKernelRefusesEveryProgram) {
  EXPECT_EXIT(
      {
        forbid_option(SO_ATTACH_REUSEPORT_CBPF);
        forbid_option(SO_ATTACH_FILTER);
        Listeners listeners = listeners_stage::open({"127.0.0.1:0"}, 3);
        for (const SlotIndex slot : {2U, 1U}) listeners.retire_slot(slot, kStart);
        for (const SlotIndex slot : {2U, 1U}) listeners.close_slot(slot);
        ::_exit(0);
      },
      testing::ExitedWithCode(0), "^[^\n]*may be reset[^\n]*\n[^\n]*may wait a few seconds[^\n]*\n$");
}

}  // namespace
