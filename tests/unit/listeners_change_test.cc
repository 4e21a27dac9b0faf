// Listeners, change: what a reload with other addresses does to sockets, files and clients.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>

#include <filesystem>

#include "common/inherited_fds.h"
#include "listeners_stage.h"
#include "support/temporary_directory.h"

namespace {

using common::UniqueFd;
using listeners_stage::addresses;
using listeners_stage::connect_error;
using listeners_stage::connect_to;
using listeners_stage::has_queued;
using listeners_stage::kBacklog;
using listeners_stage::kSettled;
using listeners_stage::kStart;
using master::AddressSet;
using master::Listeners;
using master::ListenerStage;
using testing::ElementsAre;
using testing::HasSubstr;

common::Result<void> begin(Listeners& listeners, const std::vector<std::string>& texts,
                           std::uint32_t backlog = kBacklog) {
  return listeners.begin_change(addresses(texts), backlog);
}

void change(Listeners& listeners, const std::vector<std::string>& texts, std::uint32_t backlog = kBacklog) {
  const auto begun = begin(listeners, texts, backlog);
  ASSERT_TRUE(begun.has_value()) << begun.error().message;
  ASSERT_TRUE(listeners.listen_next().has_value());
  listeners.commit_change(kStart);
}

std::vector<ListenerStage> stages(const Listeners& listeners) {
  std::vector<ListenerStage> result;
  for (const master::ListenerView& view : listeners.views()) result.push_back(view.stage);
  return result;
}

tcp_info info_of(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  EXPECT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
  return info;
}

ino_t inode_of(const std::string& path) {
  struct stat file{};
  return ::stat(path.c_str(), &file) == 0 ? file.st_ino : 0;
}

TEST(ListenersChange, KeepsTheSocketsOfAnAddressThatIsInBothSets) {
  Listeners listeners = listeners_stage::open({"127.0.0.1:0", "127.0.0.1:0"});
  const std::string kept = listeners.views()[1].address;
  const std::vector<int> before = listeners.sockets_of(0);
  const UniqueFd client = connect_to(kept);
  change(listeners, {kept, "127.0.0.1:0"});  // one by what it is bound to, one by what it was asked as
  EXPECT_THAT(listeners.sockets_of(0), ElementsAre(before[1], before[0]));
  EXPECT_FALSE(listeners.any_retiring());
  EXPECT_EQ(has_queued(listeners.sockets_of(0)[0]) + has_queued(listeners.sockets_of(1)[0]), 1);
}

TEST(ListenersChange, GivesAPortToWhoNamesItBeforeWhoTakesAnyPort) {
  Listeners listeners = listeners_stage::open({"127.0.0.1:0"}, 1);
  const int held = listeners.sockets_of(0)[0];
  change(listeners, {"127.0.0.1:0", listeners.views()[0].address});
  ASSERT_EQ(listeners.sockets_of(0).size(), 2U);
  EXPECT_EQ(listeners.sockets_of(0)[1], held);
  change(listeners, {"127.0.0.1:0"});  // the one that was asked for so
  EXPECT_NE(listeners.sockets_of(0)[0], held);
}

TEST(ListenersChange, GivesOldWorkersTheCurrentAndNewWorkersTheNextAddresses) {
  Listeners listeners = listeners_stage::open({"127.0.0.1:0"});
  EXPECT_EQ(listeners.sockets_of(1, AddressSet::kNext), listeners.sockets_of(1));
  const std::vector<int> before = listeners.sockets_of(1);
  ASSERT_TRUE(begin(listeners, {"127.0.0.1:0", "127.0.0.1:0"}).has_value());
  EXPECT_EQ(listeners.sockets_of(1), before);
  EXPECT_EQ(listeners.sockets_of(1, AddressSet::kNext).size(), 2U);
  EXPECT_EQ(listeners.sockets_of(1, AddressSet::kNext)[0], before[0]);
  EXPECT_THAT(stages(listeners), ElementsAre(ListenerStage::kCurrent, ListenerStage::kAdded));
  ASSERT_TRUE(listeners.listen_next().has_value());
  listeners.commit_change(kStart);
  EXPECT_EQ(listeners.sockets_of(1).size(), 2U);
  EXPECT_THAT(stages(listeners), ElementsAre(ListenerStage::kCurrent, ListenerStage::kCurrent));
}

TEST(ListenersChange, RefusesClientsOfANewAddressUntilItsWorkersCome) {
  Listeners listeners = listeners_stage::open({"127.0.0.1:0"});
  ASSERT_TRUE(begin(listeners, {"127.0.0.1:0", "127.0.0.1:0"}).has_value());
  const std::string added = listeners.views()[1].address;
  EXPECT_EQ(connect_error(added), ECONNREFUSED);
  ASSERT_TRUE(listeners.listen_next().has_value());
  EXPECT_EQ(connect_error(added), 0);
}

TEST(ListenersChange, KeepsTheGroupIndexOfASlotEqualToItsNumber) {
  Listeners listeners = listeners_stage::open({"127.0.0.1:0"}, 2);
  ASSERT_TRUE(begin(listeners, {"127.0.0.1:0", "127.0.0.1:0"}).has_value());
  ASSERT_TRUE(listeners.open_slot(2).has_value());  // before and after the addresses listen
  ASSERT_TRUE(listeners.listen_next().has_value());
  ASSERT_TRUE(listeners.open_slot(3).has_value());
  const std::string added = listeners.views()[1].address;
  for (master::SlotIndex slot = 0; slot < 4; ++slot) {
    sock_filter code[] = {{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = slot}};
    const sock_fprog program{.len = 1, .filter = code};
    const int member = listeners.sockets_of(0, AddressSet::kNext)[1];
    ASSERT_EQ(::setsockopt(member, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program), 0);
    const UniqueFd client = connect_to(added);
    for (master::SlotIndex each = 0; each < 4; ++each) {
      const int listener = listeners.sockets_of(each, AddressSet::kNext)[1];
      EXPECT_EQ(has_queued(listener), each == slot) << "slot " << each << ", steered to " << slot;
      if (has_queued(listener)) ::close(::accept(listener, nullptr, nullptr));
    }
  }
}

TEST(ListenersChange, LeavesNothingBehindWhenAnAddressIsTaken) {
  const support::TemporaryDirectory directory;
  const Listeners other = listeners_stage::open({"127.0.0.1:0"}, 1);
  const std::string taken = other.views()[0].address;
  Listeners listeners = listeners_stage::open({"127.0.0.1:0", "unix:" + directory.path("kept.sock")});
  const std::vector<int> before = common::open_descriptors();
  const std::vector<std::vector<std::string>> refusals = {
      {"unix:" + directory.path("new.sock"), "127.0.0.1:0", taken},
      {"127.0.0.1:0", "unix:" + directory.path("new.sock"), "unix:" + directory.path("missing/new.sock")},
      {"127.0.0.1:0", "192.0.2.1:8000"},
  };
  for (const std::vector<std::string>& texts : refusals) {
    const auto refused = begin(listeners, texts);
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().message, HasSubstr(texts.back()));
    EXPECT_THAT(refused.error().message, HasSubstr(";")) << "the fix";
    EXPECT_EQ(common::open_descriptors(), before);
    EXPECT_FALSE(std::filesystem::exists(directory.path("new.sock")));
    EXPECT_TRUE(std::filesystem::exists(directory.path("kept.sock")));
    EXPECT_FALSE(listeners.changing() || listeners.any_retiring());
  }
  change(listeners, {"127.0.0.1:0"});
}

TEST(ListenersChange, RefusesAnAddressGivenTwice) {
  Listeners listeners = listeners_stage::open({"127.0.0.1:0"});
  const std::string held = listeners.views()[0].address;
  const auto refused = begin(listeners, {held, "127.0.0.1:0", held});
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, HasSubstr("twice"));
}

TEST(ListenersChange, GoesFromEveryInterfaceToOneAndBack) {
  const std::string port = listeners_stage::free_port();
  Listeners listeners = listeners_stage::open({port}, 1);
  for (const std::string& next : {"127.0.0.1" + port, "0.0.0.0" + port}) {
    const auto begun = begin(listeners, {next});
    ASSERT_TRUE(begun.has_value()) << begun.error().message;
    const UniqueFd client = connect_to("127.0.0.1" + port);
    EXPECT_TRUE(has_queued(listeners.sockets_of(0)[0])) << "as long as the others do not listen";
    ASSERT_TRUE(listeners.listen_next().has_value());
    listeners.commit_change(kStart);
    const std::vector<UniqueFd> left = listeners.accept_retiring(8);
    ASSERT_EQ(left.size(), 1U);
    listeners.close_retiring(kSettled);
    const UniqueFd later = connect_to("127.0.0.1" + port);
    const UniqueFd accepted(::accept(listeners.sockets_of(0)[0], nullptr, nullptr));
    listeners_stage::expect_connected(later.get(), accepted.get());
  }
}

TEST(ListenersChange, ServesWhoWaitedAtAnAddressThatGoesAndRefusesWhoComesLater) {
  Listeners listeners = listeners_stage::open({"127.0.0.1:0", "127.0.0.1:0"});
  const std::string gone = listeners.views()[1].address;
  const UniqueFd early = connect_to(gone);
  change(listeners, {"127.0.0.1:0"});
  EXPECT_THAT(stages(listeners), ElementsAre(ListenerStage::kCurrent, ListenerStage::kRetiring));
  const UniqueFd late = listeners_stage::client_socket(gone, SOCK_NONBLOCK);
  ASSERT_EQ(listeners_stage::try_connect(late.get(), gone), EINPROGRESS);
  listeners.close_retiring(kSettled);
  ASSERT_TRUE(listeners.any_retiring()) << "somebody waits";
  const std::vector<UniqueFd> left = listeners.accept_retiring(8);
  ASSERT_EQ(left.size(), 1U);
  listeners_stage::expect_connected(early.get(), left[0].get());
  listeners.close_retiring(kSettled - common::Duration(1));
  ASSERT_TRUE(listeners.any_retiring()) << "a handshake may be under way";
  listeners.close_retiring(kSettled);
  EXPECT_FALSE(listeners.any_retiring());
  EXPECT_EQ(listeners_stage::connect_result(late.get()), ECONNREFUSED) << "never connected, so nothing was lost";
}

TEST(ListenersChange, TakesBackAnAddressThatHasNotGoneYet) {
  Listeners listeners = listeners_stage::open({"127.0.0.1:0", "127.0.0.1:0"}, 2);
  const std::string gone = listeners.views()[1].address;
  const int socket = listeners.sockets_of(0)[1];
  std::vector<UniqueFd> early;
  while (!has_queued(socket)) early.push_back(connect_to(gone));
  change(listeners, {"127.0.0.1:0"});
  EXPECT_EQ(listeners.accept_retiring(64).size(), early.size());
  listeners.close_slot(1);
  ASSERT_TRUE(listeners.open_slot(1).has_value());
  change(listeners, {"127.0.0.1:0", gone});
  EXPECT_FALSE(listeners.any_retiring());
  EXPECT_EQ(listeners.sockets_of(0)[1], socket);
  ASSERT_EQ(listeners.sockets_of(1).size(), 2U);
  std::vector<UniqueFd> clients;
  while (!has_queued(socket) && clients.size() < kBacklog) {
    clients.push_back(listeners_stage::client_socket(gone, SOCK_NONBLOCK));
    listeners_stage::try_connect(clients.back().get(), gone);
  }
  EXPECT_TRUE(has_queued(socket)) << "new clients get in again";
  EXPECT_EQ(::fcntl(socket, F_GETFL) & O_NONBLOCK, 0);
}

TEST(ListenersChange, LetsARetiringAddressGoOnRetiringWhenTakingItBackFails) {
  Listeners listeners = listeners_stage::open({"127.0.0.1:0", "127.0.0.1:0"}, 2);
  const std::string gone = listeners.views()[1].address;
  change(listeners, {"127.0.0.1:0"});
  listeners.close_slot(1);
  ASSERT_TRUE(listeners.open_slot(1).has_value());
  const std::vector<int> before = common::open_descriptors();
  ASSERT_FALSE(begin(listeners, {gone, "192.0.2.1:8000"}).has_value());
  EXPECT_EQ(common::open_descriptors(), before);
  ASSERT_TRUE(begin(listeners, {"127.0.0.1:0", gone}).has_value());
  listeners.abandon_change(kSettled);
  EXPECT_EQ(common::open_descriptors(), before);
  listeners.close_retiring(kSettled);
  EXPECT_FALSE(listeners.any_retiring()) << "it has retired since the first change";
}

TEST(ListenersChange, RemovesTheSocketFileOfAnAddressThatGoesAndServesWhoWaited) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("app.sock");
  Listeners listeners = listeners_stage::open({"127.0.0.1:0", "unix:" + path});
  const UniqueFd client = connect_to("unix:" + path);
  change(listeners, {"127.0.0.1:0"});
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_TRUE(listeners.owned_paths().empty());
  // Back again: another file, which the one that goes must leave alone.
  change(listeners, {"127.0.0.1:0", "unix:" + path});
  const std::vector<UniqueFd> left = listeners.accept_retiring(8);
  ASSERT_EQ(left.size(), 1U);
  listeners_stage::expect_connected(client.get(), left[0].get());
  listeners.close_retiring(kSettled);
  EXPECT_FALSE(listeners.any_retiring());
  EXPECT_EQ(connect_error("unix:" + path), 0);
}

TEST(ListenersChange, KeepsTheSocketFileOfAnAddressThatStays) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("app.sock");
  Listeners listeners = listeners_stage::open({"unix:" + path});
  const ino_t before = inode_of(path);
  change(listeners, {"127.0.0.1:0", "unix:" + path});
  EXPECT_EQ(inode_of(path), before);
  ASSERT_TRUE(begin(listeners, {"unix:" + path}).has_value());
  listeners.abandon_change(kStart);
  EXPECT_EQ(inode_of(path), before);
}

TEST(ListenersChange, IsUndoneWithoutATraceBeforeItListens) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("app.sock");
  Listeners listeners = listeners_stage::open({"127.0.0.1:0"});
  const std::vector<int> before = common::open_descriptors();
  ASSERT_TRUE(begin(listeners, {"127.0.0.1:0", "unix:" + path}).has_value());
  EXPECT_EQ(connect_error("unix:" + path), ECONNREFUSED);
  listeners.abandon_change(kStart);
  EXPECT_EQ(common::open_descriptors(), before);
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(listeners.any_retiring() || listeners.changing());
}

TEST(ListenersChange, HandsOnWhoHasConnectedToWhatIsUndone) {
  Listeners listeners = listeners_stage::open({"127.0.0.1:0"});
  ASSERT_TRUE(begin(listeners, {"127.0.0.1:0", "127.0.0.1:0"}).has_value());
  ASSERT_TRUE(listeners.listen_next().has_value());
  const UniqueFd client = connect_to(listeners.views()[1].address);
  listeners.abandon_change(kStart);
  EXPECT_THAT(stages(listeners), ElementsAre(ListenerStage::kCurrent, ListenerStage::kRetiring));
  const std::vector<UniqueFd> left = listeners.accept_retiring(8);
  ASSERT_EQ(left.size(), 1U);
  listeners_stage::expect_connected(client.get(), left[0].get());
  listeners.close_retiring(kSettled);
  EXPECT_FALSE(listeners.any_retiring());
}

TEST(ListenersChange, OpensAndClosesSlotsOfBothSets) {
  Listeners listeners = listeners_stage::open({"127.0.0.1:0"}, 1);
  ASSERT_TRUE(begin(listeners, {"127.0.0.1:0", "127.0.0.1:0"}).has_value());
  ASSERT_TRUE(listeners.open_slot(1).has_value());
  EXPECT_EQ(listeners.sockets_of(1).size(), 1U);
  EXPECT_EQ(listeners.sockets_of(1, AddressSet::kNext).size(), 2U);
  listeners.close_slot(1);
  EXPECT_TRUE(listeners.sockets_of(1, AddressSet::kNext).empty());
  listeners.close_all();
  EXPECT_TRUE(listeners.sockets_of(0, AddressSet::kNext).empty());
  listeners.abandon_change(kStart);
  EXPECT_FALSE(listeners.any_retiring());
}

TEST(ListenersChange, SendsClientsOnlyWhereTheirAddressIsServed) {
  constexpr int kClients = 64;
  for (const common::Steering steering : {common::Steering::kHash, common::Steering::kHealth}) {
    Listeners listeners = listeners_stage::open({"127.0.0.1:0", "127.0.0.1:0"}, 4, steering, 2 * kClients);
    const std::string removed = listeners.views()[1].address;
    ASSERT_TRUE(begin(listeners, {listeners.views()[0].address, "127.0.0.2:0"}).has_value());
    ASSERT_TRUE(listeners.listen_next().has_value());
    listeners.steer({}, {AddressSet::kNext, AddressSet::kCurrent, AddressSet::kNext, AddressSet::kCurrent});
    std::vector<UniqueFd> clients;
    for (int i = 0; i < kClients; ++i) {
      clients.push_back(connect_to(removed));
      clients.push_back(connect_to(listeners.views()[2].address));
    }
    for (master::SlotIndex slot = 0; slot < 4; ++slot) {
      EXPECT_EQ(has_queued(listeners.sockets_of(slot)[1]), slot % 2 != 0) << slot;
      EXPECT_EQ(has_queued(listeners.sockets_of(slot, AddressSet::kNext)[1]), slot % 2 == 0) << slot;
    }
  }
}

TEST(ListenersChange, ChangesTheBacklogOfWhatItKeepsWhenItIsCommitted) {
  Listeners listeners = listeners_stage::open({"127.0.0.1:0"}, 2);
  ASSERT_TRUE(begin(listeners, {"127.0.0.1:0"}, 2 * kBacklog).has_value());
  ASSERT_TRUE(listeners.listen_next().has_value());
  // tcpi_sacked of a listening socket is its backlog: tcp_get_info() in net/ipv4/tcp.c.
  EXPECT_EQ(info_of(listeners.sockets_of(1)[0]).tcpi_sacked, kBacklog);
  listeners.commit_change(kStart);
  EXPECT_EQ(info_of(listeners.sockets_of(1)[0]).tcpi_sacked, 2 * kBacklog);
  ASSERT_TRUE(listeners.open_slot(2).has_value());
  EXPECT_EQ(info_of(listeners.sockets_of(2)[0]).tcpi_sacked, 2 * kBacklog);
}

}  // namespace
