// Listeners: real sockets on loopback, in slot order, and what stands in the way of opening them.
#include "master/listeners.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <thread>

#include "common/inherited_fds.h"
#include "listeners_stage.h"
#include "support/temporary_directory.h"

namespace {

using common::Address;
using common::UniqueFd;
using listeners_stage::addresses;
using listeners_stage::connect_to;
using listeners_stage::has_queued;
using listeners_stage::kBacklog;
using listeners_stage::kNoPatience;
using master::Listeners;
using testing::HasSubstr;

common::Result<Listeners> open(const std::vector<std::string>& texts, std::uint32_t slots = 2,
                               common::Duration patience = kNoPatience,
                               common::Steering steering = common::Steering::kHash) {
  return Listeners::open(addresses(texts), slots, kBacklog, patience, steering);
}

std::string bound_text(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length), 0);
  return common::format_address(storage, length);
}

int option_of(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  EXPECT_EQ(::getsockopt(fd, level, name, &value, &size), 0);
  return value;
}

enum class Reuse { kNone, kAddress, kPort };

// Somebody else's listener.
UniqueFd listen_on(const std::string& text, Reuse reuse) {
  const Address address = addresses({text}).front();
  UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (reuse != Reuse::kNone) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (reuse == Reuse::kPort) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  EXPECT_EQ(::bind(fd.get(), address.get(), address.length), 0) << text;
  EXPECT_EQ(::listen(fd.get(), 16), 0);
  return fd;
}

// Every new connection goes to the member of the group with this index.
void steer_to(int member, std::uint32_t index) {
  sock_filter code[] = {{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = index}};
  const sock_fprog program{.len = 1, .filter = code};
  ASSERT_EQ(::setsockopt(member, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program), 0);
}

TEST(Listeners, HaveOneSocketPerSlotAndAddress) {
  const auto listeners = open({"127.0.0.1:0", "127.0.0.1:0"}, 3);
  ASSERT_TRUE(listeners.has_value()) << listeners.error().message;
  std::vector<int> all;
  for (master::SlotIndex slot = 0; slot < 3; ++slot) {
    const std::vector<int> own = listeners->sockets_of(slot);
    ASSERT_EQ(own.size(), 2U);
    all.insert(all.end(), own.begin(), own.end());
  }
  std::ranges::sort(all);
  EXPECT_EQ(std::ranges::adjacent_find(all), all.end());
  ASSERT_EQ(listeners->views().size(), 2U);
  EXPECT_EQ(listeners->views()[0].sockets, 3U);
  EXPECT_NE(listeners->views()[0].address, listeners->views()[1].address);
}

TEST(Listeners, BindAllSlotsToThePortTheKernelChose) {
  const auto listeners = open({"127.0.0.1:0"}, 4);
  ASSERT_TRUE(listeners.has_value()) << listeners.error().message;
  const std::string address = listeners->views()[0].address;
  EXPECT_FALSE(address.ends_with(":0")) << address;
  for (master::SlotIndex slot = 0; slot < 4; ++slot) {
    EXPECT_EQ(bound_text(listeners->sockets_of(slot)[0]), address);
  }
}

TEST(Listeners, KeepTheGroupIndexOfASlotEqualToItsNumber) {
  auto listeners = open({"127.0.0.1:0"}, 4);
  ASSERT_TRUE(listeners.has_value()) << listeners.error().message;
  listeners->close_slot(3);
  listeners->close_slot(2);
  ASSERT_TRUE(listeners->open_slot(2).has_value());
  ASSERT_TRUE(listeners->open_slot(3).has_value());
  for (master::SlotIndex slot = 0; slot < 4; ++slot) {
    steer_to(listeners->sockets_of(0)[0], slot);
    const UniqueFd client = connect_to(listeners->views()[0].address);
    for (master::SlotIndex each = 0; each < 4; ++each) {
      const int listener = listeners->sockets_of(each)[0];
      EXPECT_EQ(has_queued(listener), each == slot) << "slot " << each << ", steered to " << slot;
      if (has_queued(listener)) ::close(::accept(listener, nullptr, nullptr));
    }
  }
}

TEST(Listeners, GiveConnectionsNoDelayAndDoNotSurviveExec) {
  const auto listeners = open({"127.0.0.1:0"}, 1);
  ASSERT_TRUE(listeners.has_value()) << listeners.error().message;
  const int listener = listeners->sockets_of(0)[0];
  const UniqueFd client = connect_to(listeners->views()[0].address);
  const UniqueFd accepted(::accept(listener, nullptr, nullptr));
  EXPECT_EQ(option_of(accepted.get(), IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(::fcntl(listener, F_GETFD), FD_CLOEXEC);
}

TEST(Listeners, LeaveIpv4ToOthersWhenTheyAreIpv6) {
  const auto v6 = open({"[::]:0"}, 1);
  if (!v6 && v6.error().errnum == EAFNOSUPPORT) GTEST_SKIP() << "no IPv6 here";
  ASSERT_TRUE(v6.has_value()) << v6.error().message;
  const std::string address = v6->views()[0].address;
  const auto v4 = open({"0.0.0.0" + address.substr(address.rfind(':'))}, 1);
  EXPECT_TRUE(v4.has_value()) << v4.error().message;
}

TEST(Listeners, RefuseAPortThatSomebodyListensOn) {
  for (const Reuse reuse : {Reuse::kNone, Reuse::kAddress, Reuse::kPort}) {
    const UniqueFd other = listen_on("127.0.0.1:0", reuse);
    const std::string address = bound_text(other.get());
    const auto refused = open({address});
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().message, HasSubstr(address));
    EXPECT_THAT(refused.error().message, HasSubstr("in use"));
    EXPECT_EQ(refused.error().errnum, EADDRINUSE);
  }
}

TEST(Listeners, RefuseAPortThatSomebodyHasOnEveryInterface) {
  const UniqueFd other = listen_on("0.0.0.0:0", Reuse::kPort);
  const std::string text = bound_text(other.get());
  EXPECT_FALSE(open({"127.0.0.1" + text.substr(text.rfind(':'))}).has_value());
}

TEST(Listeners, TakeAPortWhoseOldConnectionsStillLive) {
  UniqueFd old = listen_on("127.0.0.1:0", Reuse::kPort);
  const std::string address = bound_text(old.get());
  const UniqueFd client = connect_to(address);
  const UniqueFd draining(::accept(old.get(), nullptr, nullptr));
  old.reset();
  const auto listeners = open({address});
  EXPECT_TRUE(listeners.has_value()) << listeners.error().message;
}

TEST(Listeners, WaitForAPredecessorThatLeaves) {
  const support::TemporaryDirectory directory;
  const std::string address = "unix:" + directory.path("app.sock");
  UniqueFd predecessor = listen_on(address, Reuse::kNone);
  // The connection that asks whether somebody lives there is the sign that open() has found it taken.
  std::thread leaving([&] {
    const UniqueFd probe(::accept(predecessor.get(), nullptr, nullptr));
    predecessor.reset();
  });
  const auto listeners = open({address}, 2, std::chrono::seconds(60));
  leaving.join();
  EXPECT_TRUE(listeners.has_value()) << listeners.error().message;
}

TEST(Listeners, RefuseAnAddressGivenTwice) {
  const auto free = open({"0.0.0.0:0"}, 1)->views()[0].address;
  const std::string port = free.substr(free.rfind(':'));
  const auto refused = open({port, "0.0.0.0" + port});
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, HasSubstr("twice"));
}

TEST(Listeners, NameAnAddressThatIsNotOurs) {
  const auto refused = open({"192.0.2.1:8000"});  // RFC 5737: for documentation, so never an interface's
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, HasSubstr("192.0.2.1:8000"));
  EXPECT_THAT(refused.error().message, HasSubstr("interface"));
}

TEST(Listeners, SayWhatAPrivilegedPortNeeds) {
  int first = 1024;
  std::ifstream("/proc/sys/net/ipv4/ip_unprivileged_port_start") >> first;
  if (first <= 81) GTEST_SKIP() << "every port is free for all here";
  EXPECT_EXIT(
      {
        if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(2);
        const auto refused = open({"127.0.0.1:81"});
        if (!refused) std::cerr << refused.error().message << std::endl;
        ::_exit(refused ? 1 : 0);
      },
      testing::ExitedWithCode(0), "127\\.0\\.0\\.1:81: .*ip_unprivileged_port_start.*CAP_NET_BIND_SERVICE");
}

TEST(Listeners, LeaveNothingBehindWhenTheyCannotOpenAll) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("app.sock");
  const std::vector<int> before = common::open_descriptors();
  EXPECT_FALSE(open({"127.0.0.1:0", "unix:" + path, "unix:" + directory.path("missing/app.sock")}).has_value());
  EXPECT_EQ(common::open_descriptors(), before);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Listeners, ShareAUnixSocketAmongTheSlots) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("app.sock");
  {
    auto listeners = open({"unix:" + path}, 3);
    ASSERT_TRUE(listeners.has_value()) << listeners.error().message;
    EXPECT_EQ(listeners->sockets_of(0), listeners->sockets_of(2));
    EXPECT_EQ(listeners->views()[0].address, "unix:" + path);
    EXPECT_EQ(listeners->views()[0].sockets, 1U);
    ASSERT_EQ(listeners->owned_paths().size(), 1U);
    EXPECT_EQ(listeners->owned_paths()[0].path, path);
    struct stat file{};
    ASSERT_EQ(::stat(path.c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 07777U, 0666U);
    listeners->close_slot(2);
    EXPECT_EQ(listeners->sockets_of(0).size(), 1U);
    const UniqueFd client = connect_to("unix:" + path);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Listeners, ReplaceTheSocketFileOfOneThatIsGone) {
  const support::TemporaryDirectory directory;
  const std::string address = "unix:" + directory.path("app.sock");
  listen_on(address, Reuse::kNone).reset();
  const auto listeners = open({address});
  EXPECT_TRUE(listeners.has_value()) << listeners.error().message;
}

TEST(Listeners, RefuseAUnixPathThatIsTakenOrNoSocket) {
  const support::TemporaryDirectory directory;
  const std::string taken = "unix:" + directory.path("app.sock");
  const UniqueFd other = listen_on(taken, Reuse::kNone);
  const std::string file = directory.write("notes", "precious");
  for (const std::string& address : {taken, "unix:" + file}) {
    const auto refused = open({address});
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().message, HasSubstr(address));
  }
  EXPECT_EQ(std::filesystem::file_size(file), 8U);
  EXPECT_TRUE(std::filesystem::exists(directory.path("app.sock")));
}

TEST(Listeners, LeaveTheSocketFileOfASuccessor) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("app.sock");
  std::optional<Listeners> first(std::move(open({"unix:" + path}).value()));
  std::filesystem::remove(path);
  const UniqueFd successor = listen_on("unix:" + path, Reuse::kNone);
  first.reset();
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(Listeners, HoldAnAbstractNameUntilTheyAreGone) {
  const std::string address = "unix:@supervisor-unit-test-" + std::to_string(::getpid());
  {
    const auto listeners = open({address});
    ASSERT_TRUE(listeners.has_value()) << listeners.error().message;
    EXPECT_TRUE(listeners->owned_paths().empty());
    const auto refused = open({address});
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().message, HasSubstr(address));
  }
  EXPECT_TRUE(open({address}).has_value());
}

}  // namespace
