// SocketDiag: what the kernel tells of real sockets on loopback.
#include "master/socket_diag.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "common/address.h"
#include "common/unique_fd.h"
#include "support/deadline.h"

namespace {

using common::UniqueFd;
using master::InetSocket;
using master::TcpState;
using master::UnixSocket;

std::uint64_t inode_of(const UniqueFd& fd) {
  struct stat about{};
  EXPECT_EQ(::fstat(fd.get(), &about), 0);
  return about.st_ino;
}

std::string name_of_end(const UniqueFd& fd, int (*which)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  EXPECT_EQ(which(fd.get(), reinterpret_cast<sockaddr*>(&storage), &size), 0);
  return common::format_address(storage, size);
}

template <typename Socket>
Socket find(const common::Result<std::vector<Socket>>& list, std::uint64_t inode) {
  EXPECT_TRUE(list.has_value()) << list.error().message;
  if (!list) return {};
  const auto found = std::ranges::find(*list, inode, &Socket::inode);
  EXPECT_NE(found, list->end()) << "no socket with inode " << inode << " among " << list->size();
  return found == list->end() ? Socket{} : *found;
}

UniqueFd open_socket(int family, int type) { return UniqueFd(::socket(family, type | SOCK_CLOEXEC, 0)); }

UniqueFd bound(const char* address, int type) {
  const auto parsed = common::Address::parse(address);
  UniqueFd fd = open_socket(parsed->get()->sa_family, type);
  EXPECT_EQ(::bind(fd.get(), parsed->get(), parsed->length), 0) << address;
  return fd;
}

UniqueFd listener(const char* address) {
  UniqueFd fd = bound(address, SOCK_STREAM);
  EXPECT_EQ(::listen(fd.get(), 8), 0);
  return fd;
}

UniqueFd connected_to(const UniqueFd& server, int type) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  EXPECT_EQ(::getsockname(server.get(), reinterpret_cast<sockaddr*>(&storage), &size), 0);
  UniqueFd fd = open_socket(storage.ss_family, type);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size), 0);
  return fd;
}

UniqueFd accepted(const UniqueFd& server) { return UniqueFd(::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

TEST(SocketDiag, FindsASocketWhosePeerHasGone) {
  for (const char* address : {"127.0.0.1:0", "[::1]:0"}) {
    const UniqueFd server = listener(address);
    const UniqueFd client = connected_to(server, SOCK_STREAM);
    EXPECT_EQ(find(master::list_tcp(), inode_of(client)).state, TcpState::kEstablished);
    accepted(server).reset();
    EXPECT_TRUE(
        support::wait_until([&] { return find(master::list_tcp(), inode_of(client)).state == TcpState::kCloseWait; }));
    const InetSocket about = find(master::list_tcp(), inode_of(client));
    EXPECT_EQ(about.local, name_of_end(client, ::getsockname));
    EXPECT_EQ(about.peer, name_of_end(server, ::getsockname));
    const auto inodes = master::list_close_wait();
    ASSERT_TRUE(inodes.has_value()) << inodes.error().message;
    EXPECT_EQ(std::ranges::count(*inodes, inode_of(client)), 1);
    EXPECT_EQ(std::ranges::count(*inodes, inode_of(server)), 0);
  }
}

TEST(SocketDiag, LeavesOutWhatNoProcessHolds) {
  const UniqueFd server = listener("127.0.0.1:0");
  const UniqueFd client = connected_to(server, SOCK_STREAM);  // its other end is not accepted: it has no descriptor yet
  const auto list = master::list_tcp();
  ASSERT_TRUE(list.has_value()) << list.error().message;
  EXPECT_EQ(std::ranges::count(*list, 0U, &InetSocket::inode), 0);
}

TEST(SocketDiag, CountsConnectionsThatWaitForAListener) {
  const UniqueFd server = listener("127.0.0.1:0");
  EXPECT_EQ(find(master::list_tcp(), inode_of(server)).receive_queue, 0U);
  const UniqueFd first = connected_to(server, SOCK_STREAM);
  const UniqueFd second = connected_to(server, SOCK_STREAM);
  const InetSocket about = find(master::list_tcp(), inode_of(server));
  EXPECT_EQ(about.state, TcpState::kListen);
  EXPECT_EQ(about.receive_queue, 2U);
  EXPECT_EQ(about.send_queue, 0U);
  EXPECT_EQ(about.local, name_of_end(server, ::getsockname));
  EXPECT_EQ(about.peer, "");
}

TEST(SocketDiag, MeasuresTheQueuesOfAConnection) {
  const UniqueFd server = listener("127.0.0.1:0");
  const UniqueFd client = connected_to(server, SOCK_STREAM);
  const UniqueFd other = accepted(server);
  ASSERT_EQ(::write(client.get(), "12345", 5), 5);
  EXPECT_TRUE(support::wait_until([&] { return find(master::list_tcp(), inode_of(other)).receive_queue == 5; }));
  // More than both buffers can hold, so that something has to stay with the sender.
  ASSERT_EQ(::fcntl(client.get(), F_SETFL, O_NONBLOCK), 0);
  const std::vector<char> bytes(64 << 10);
  while (::write(client.get(), bytes.data(), bytes.size()) > 0) {
  }
  EXPECT_GT(find(master::list_tcp(), inode_of(client)).send_queue, 0U);
}

TEST(SocketDiag, WritesAnIpv4PeerOfAnIpv6SocketAsIpv4) {
  const UniqueFd server = listener("127.0.0.1:0");
  sockaddr_in v4{};
  socklen_t size = sizeof v4;
  ASSERT_EQ(::getsockname(server.get(), reinterpret_cast<sockaddr*>(&v4), &size), 0);
  sockaddr_in6 mapped{};
  mapped.sin6_family = AF_INET6;
  mapped.sin6_port = v4.sin_port;
  ASSERT_EQ(::inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr), 1);
  const UniqueFd client = open_socket(AF_INET6, SOCK_STREAM);
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&mapped), sizeof mapped), 0);
  const InetSocket about = find(master::list_tcp(), inode_of(client));
  EXPECT_EQ(about.peer, name_of_end(server, ::getsockname));
  EXPECT_EQ(about.local.substr(0, 10), "127.0.0.1:");
}

TEST(SocketDiag, TellsConnectedAndUnconnectedUdpApart) {
  const UniqueFd server = bound("127.0.0.1:0", SOCK_DGRAM);
  const UniqueFd client = connected_to(server, SOCK_DGRAM);
  const InetSocket waiting = find(master::list_udp(), inode_of(server));
  EXPECT_EQ(waiting.state, TcpState::kClose);
  EXPECT_EQ(waiting.peer, "");
  const InetSocket about = find(master::list_udp(), inode_of(client));
  EXPECT_EQ(about.state, TcpState::kEstablished);
  EXPECT_EQ(about.peer, name_of_end(server, ::getsockname));
}

TEST(SocketDiag, JoinsTheTwoEndsOfAUnixPair) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd one(ends[0]);
  UniqueFd two(ends[1]);
  const UnixSocket about = find(master::list_unix(), inode_of(one));
  EXPECT_EQ(about.peer_inode, inode_of(two));
  EXPECT_EQ(about.peer, master::UnixPeer::kThere);
  EXPECT_EQ(about.kind, "SEQPACKET");
  EXPECT_EQ(about.path, "");
  EXPECT_EQ(about.state, TcpState::kEstablished);
  two.reset();
  EXPECT_EQ(find(master::list_unix(), inode_of(one)).peer, master::UnixPeer::kGone);
}

TEST(SocketDiag, NamesUnixListenersAndCountsWhoWaits) {
  const std::string name = "unix:@socket-diag-test-" + std::to_string(::getpid());
  const UniqueFd server = listener(name.c_str());
  const UniqueFd client = connected_to(server, SOCK_STREAM);
  const UnixSocket about = find(master::list_unix(), inode_of(server));
  EXPECT_EQ("unix:" + about.path, name);
  EXPECT_EQ(about.state, TcpState::kListen);
  EXPECT_EQ(about.kind, "STREAM");
  EXPECT_EQ(about.receive_queue, 1U);
  const UniqueFd alone = open_socket(AF_UNIX, SOCK_DGRAM);
  EXPECT_EQ(find(master::list_unix(), inode_of(alone)).peer, master::UnixPeer::kNone);
}

// More than fit into one answer of 32 KiB.
TEST(SocketDiag, ReadsAnswersOfManyParts) {
  std::vector<UniqueFd> sockets;
  sockets.reserve(500);
  for (int i = 0; i < 500; ++i) sockets.push_back(bound("127.0.0.1:0", SOCK_DGRAM));
  const auto list = master::list_udp();
  ASSERT_TRUE(list.has_value()) << list.error().message;
  for (const UniqueFd& fd : sockets) {
    EXPECT_EQ(std::ranges::count(*list, inode_of(fd), &InetSocket::inode), 1);
  }
}

TEST(SocketDiag, SaysThatThereAreNoDescriptorsLeft) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto list = master::list_tcp();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(list.has_value());
  EXPECT_EQ(list.error().errnum, EMFILE);
}

TEST(TcpStateName, IsTheKernels) {
  EXPECT_EQ(name_of(TcpState::kCloseWait), "CLOSE_WAIT");
  EXPECT_EQ(name_of(TcpState::kListen), "LISTEN");
}

}  // namespace
