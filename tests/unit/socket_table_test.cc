// SocketTable: sockets of a real process, and those that the kernel's tables lack.
#include "master/socket_table.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <vector>

#include "common/unique_fd.h"
#include "descriptor_target.h"
#include "master/descriptor_list.h"

namespace {

using master::DescriptorKind;
using master::OpenDescriptor;
using master::read_descriptors;
using master::SocketTable;

OpenDescriptor find(const std::vector<OpenDescriptor>& list, int fd) {
  for (const OpenDescriptor& each : list) {
    if (each.fd == fd) return each;
  }
  ADD_FAILURE() << "descriptor " << fd << " is not among " << list.size();
  return {};
}

// The one descriptor that a process opens by `open`, as it is told.
OpenDescriptor seen(const std::function<int()>& open) {
  const DescriptorTarget target(open);
  EXPECT_GE(target.told(), 0);
  auto list = read_descriptors(target.pid());
  EXPECT_TRUE(list.has_value()) << list.error().message;
  if (!list) return {};
  SocketTable::read().describe(target.pid(), *list);
  return find(*list, target.told());
}

TEST(SocketTable, NamesTheSocketsThatNobodyIsConnectedTo) {
  const OpenDescriptor tcp = seen([] { return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); });
  EXPECT_EQ(tcp.kind, DescriptorKind::kTcp);
  EXPECT_EQ(tcp.state, "CLOSE");
  EXPECT_EQ(seen([] { return ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0); }).kind, DescriptorKind::kUdp);
  const OpenDescriptor local = seen([] { return ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); });
  EXPECT_EQ(local.kind, DescriptorKind::kUnix);
  EXPECT_EQ(local.state, "STREAM");
  EXPECT_EQ(seen([] { return ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0); }).kind, DescriptorKind::kNetlink);
}

TEST(SocketTable, FindsTheOtherEndOfAUnixPair) {
  const DescriptorTarget target([] {
    int ends[2];
    return ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0 ? ends[0] : -1;
  });
  auto list = read_descriptors(target.pid());
  ASSERT_TRUE(list.has_value()) << list.error().message;
  SocketTable::read().describe(target.pid(), *list);
  const OpenDescriptor one = find(*list, target.told());
  EXPECT_EQ(one.kind, DescriptorKind::kUnix);
  EXPECT_EQ(find(*list, one.peer_fd).peer_fd, one.fd);
  EXPECT_EQ(seen([] {
              int ends[2];
              if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return -1;
              ::close(ends[1]);
              return ends[0];
            }).state,
            "STREAM peer gone");
}

TEST(SocketTable, DropsASocketThatWasClosedMeanwhile) {
  const DescriptorTarget target([] { return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); });
  auto list = read_descriptors(target.pid());
  ASSERT_TRUE(list.has_value()) << list.error().message;
  const std::size_t before = list->size();
  for (OpenDescriptor& each : *list) {
    if (each.fd == target.told()) each.inode += 1;  // as if the number had been used again
  }
  SocketTable::read().describe(target.pid(), *list);
  EXPECT_EQ(list->size(), before - 1);
}

TEST(SocketTable, TellsAcceptedConnectionsFromOthers) {
  const DescriptorTarget target([] {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(listener, any, size) != 0 || ::listen(listener, 1) != 0) return -1;
    if (::getsockname(listener, any, &size) != 0 || ::connect(client, any, size) != 0) return -1;
    return ::accept(listener, nullptr, nullptr);
  });
  auto list = read_descriptors(target.pid());
  ASSERT_TRUE(list.has_value()) << list.error().message;
  SocketTable::read().describe(target.pid(), *list);
  const OpenDescriptor accepted = find(*list, target.told());
  EXPECT_EQ(accepted.direction, master::Direction::kAccepted);
  int others = 0;
  for (const OpenDescriptor& each : *list) {
    if (each.kind != DescriptorKind::kTcp || each.fd == accepted.fd) continue;
    EXPECT_EQ(each.direction, master::Direction::kUnknown);
    EXPECT_TRUE(each.state == "LISTEN" || each.peer == accepted.local) << each.state << " " << each.peer;
    ++others;
  }
  EXPECT_EQ(others, 2);
}

TEST(SocketTable, KnowsKindsEvenWithoutTheKernelsTables) {
  const DescriptorTarget target([] { return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); });
  auto list = read_descriptors(target.pid());
  ASSERT_TRUE(list.has_value()) << list.error().message;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const SocketTable empty = SocketTable::read();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_EQ(empty.complaints().size(), 1U);  // the same three times
  empty.describe(target.pid(), *list);
  EXPECT_EQ(find(*list, target.told()).kind, DescriptorKind::kTcp);
  EXPECT_EQ(find(*list, target.told()).state, "");  // it may be connected
}

}  // namespace
