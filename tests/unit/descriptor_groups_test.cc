// DescriptorGroups: which descriptors belong together, which group comes first, and the words for it.
#include "master/descriptor_groups.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace {

using common::FdOwner;
using common::FdRole;
using common::FdSince;
using common::TimePoint;
using master::DescriptorKind;
using master::Direction;
using master::group_descriptors;
using master::OpenDescriptor;
using std::chrono::seconds;

const TimePoint kNow = TimePoint(seconds(10'000));
const char* const kPlace = "shop.so!RedisPool::connect+0x4c (redis_pool.cc:88)";

OpenDescriptor close_wait(int fd, seconds age) {
  OpenDescriptor socket{.fd = fd, .kind = DescriptorKind::kTcp, .state = "CLOSE_WAIT"};
  socket.local = "127.0.0.1:" + std::to_string(40'000 + fd);
  socket.peer = "127.0.0.1:6379";
  socket.opened_at = kNow - age;
  socket.place = kPlace;
  return socket;
}

OpenDescriptor plain(int fd, DescriptorKind kind, std::string path = "") {
  return {.fd = fd, .kind = kind, .path = std::move(path)};
}

OpenDescriptor from_start(OpenDescriptor descriptor) {
  descriptor.since = FdSince::kStart;
  return descriptor;
}

OpenDescriptor of_server(OpenDescriptor descriptor, FdRole role) {
  descriptor.owner = FdOwner::kServer;
  descriptor.role = role;
  return descriptor;
}

std::vector<std::string> texts_of(const std::vector<OpenDescriptor>& list) {
  const auto groups = group_descriptors(list);
  std::vector<std::string> texts;
  texts.reserve(groups.size());
  for (const auto& group : groups) texts.push_back(text_of(group, kNow));
  return texts;
}

using Texts = std::vector<std::string>;

TEST(DescriptorGroups, TellALeakAsUsersReadIt) {
  std::vector<OpenDescriptor> list;
  for (int i = 0; i < 312; ++i) list.push_back(close_wait(i, seconds(501 + i)));
  EXPECT_EQ(texts_of(list), Texts{"312 × TCP CLOSE_WAIT to 127.0.0.1:6379, oldest 812 s, opened at "
                                  "shop.so!RedisPool::connect+0x4c (redis_pool.cc:88)"});
}

TEST(DescriptorGroups, AreOfOneOwnerStageKindStatePeerAndPlace) {
  const OpenDescriptor original = close_wait(5, seconds(1));
  std::vector<OpenDescriptor> list(7, original);
  list[1].since = FdSince::kStart;
  list[2].kind = DescriptorKind::kUdp;
  list[3].state = "ESTABLISHED";
  list[4].peer = "127.0.0.1:6380";
  list[5].place = "shop.so!other";
  list[6].owner = FdOwner::kServer;
  EXPECT_EQ(group_descriptors(list).size(), 7U);
  list = {original, original};
  list[1].local = "127.0.0.1:1";
  list[1].fd = 6;
  list[1].opened_at.reset();
  list[1].receive_queue = 5;
  list[0].receive_queue = 7;
  const auto groups = group_descriptors(list);
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0].members, (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(groups[0].oldest, original.opened_at);
  EXPECT_EQ(groups[0].local, "");  // not the same for all
  EXPECT_EQ(groups[0].receive_queue, 12U);
}

TEST(DescriptorGroups, PutGrowthBeforeTheStartBeforeTheServerAndThenTheMany) {
  const std::vector<OpenDescriptor> list = {
      from_start(plain(0, DescriptorKind::kPipe)),
      of_server(plain(3, DescriptorKind::kIoUring), FdRole::kRing),
      of_server(plain(4, DescriptorKind::kUnix), FdRole::kConnection),
      of_server(plain(5, DescriptorKind::kUnix), FdRole::kConnection),
      of_server(plain(6, DescriptorKind::kUnix), FdRole::kConnection),
      plain(7, DescriptorKind::kEventfd),
      plain(8, DescriptorKind::kTimerfd),
      plain(9, DescriptorKind::kTimerfd),
      from_start(plain(10, DescriptorKind::kMemfd, "x")),
      from_start(plain(11, DescriptorKind::kMemfd, "x")),
      from_start(plain(12, DescriptorKind::kMemfd, "x")),
  };
  const std::string unknown = ", opened at: unknown (before tracing began)";
  EXPECT_EQ(texts_of(list), (Texts{"2 × timerfd" + unknown, "1 × eventfd" + unknown, "3 × memfd x", "1 × pipe",
                                   "3 × client connections, unix", "1 × ring, io_uring"}));
}

TEST(DescriptorGroups, PutTheOldestFirstAmongEqualCounts) {
  std::vector<OpenDescriptor> list = {close_wait(5, seconds(1)), close_wait(6, seconds(3)), close_wait(7, seconds(2)),
                                      close_wait(8, seconds(0))};
  for (OpenDescriptor& each : list) each.peer = "10.0.0.1:" + std::to_string(each.fd);
  list[3].opened_at.reset();
  std::vector<std::size_t> order;
  for (const auto& group : group_descriptors(list)) order.push_back(group.members.front());
  EXPECT_EQ(order, (std::vector<std::size_t>{1, 2, 0, 3}));
}

TEST(DescriptorGroups, TellTheServersConnectionsAsOne) {
  std::vector<OpenDescriptor> list;
  for (int i = 0; i < 210; ++i) {
    OpenDescriptor each{.fd = i, .kind = DescriptorKind::kTcp, .state = "ESTABLISHED"};
    each.peer = "10.0.0." + std::to_string(i) + ":5000";
    each.direction = Direction::kAccepted;
    list.push_back(of_server(each, FdRole::kConnection));
  }
  OpenDescriptor listener{.fd = 300, .kind = DescriptorKind::kTcp, .state = "LISTEN"};
  listener.local = "127.0.0.1:8000";
  list.push_back(of_server(listener, FdRole::kListener));
  EXPECT_EQ(texts_of(list),
            (Texts{"210 × client connections, TCP ESTABLISHED", "1 × listener, TCP LISTEN on 127.0.0.1:8000"}));
}

TEST(DescriptorGroups, ForgetThePortsOfClientsThatTheApplicationAccepted) {
  std::vector<OpenDescriptor> list = {close_wait(5, seconds(9)), close_wait(6, seconds(3))};
  for (OpenDescriptor& each : list) {
    each.direction = Direction::kAccepted;
    each.peer = "10.0.0.7:" + std::to_string(30'000 + each.fd);
    each.local = "127.0.0.1:9000";
  }
  EXPECT_EQ(texts_of(list),
            Texts{"2 × TCP CLOSE_WAIT from 10.0.0.7 on 127.0.0.1:9000, oldest 9 s, opened at " + std::string(kPlace)});
}

TEST(DescriptorGroups, JoinFilesWhosePathsDifferInNumbers) {
  std::vector<OpenDescriptor> list;
  for (int i = 0; i < 40; ++i) {
    OpenDescriptor file = plain(i, DescriptorKind::kFile, "/var/tmp/x-" + std::to_string(i * 97) + ".png");
    file.deleted = true;
    file.place = "a.so!f";
    list.push_back(file);
  }
  EXPECT_EQ(texts_of(list), Texts{"40 × file /var/tmp/x-*.png (deleted), opened at a.so!f"});
  list.resize(1);
  EXPECT_EQ(texts_of(list), Texts{"1 × file /var/tmp/x-0.png (deleted), opened at a.so!f"});
}

TEST(DescriptorGroups, JoinRandomNamesOfOneDirectoryOnlyWhenTheyAreMany) {
  const char* const names[] = {"kQzXyW", "pLmOtr", "zzTopQ", "QwErTy", "mNbVcX"};
  static_assert(std::size(names) == master::kPathsApartMax + 1);
  std::vector<OpenDescriptor> list;
  for (const char* name : names) {
    list.push_back(plain(10 + static_cast<int>(list.size()), DescriptorKind::kFile, "/tmp/up-" + std::string(name)));
  }
  list.push_back(plain(50, DescriptorKind::kFile, "/etc/hosts"));
  const auto groups = group_descriptors(list);
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].path, "/tmp/up-*");
  EXPECT_EQ(groups[0].members, (std::vector<std::size_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(groups[1].path, "/etc/hosts");
  list.erase(list.begin());
  EXPECT_EQ(group_descriptors(list).size(), 5U);
}

TEST(DescriptorGroups, AreOneForManyPeersButForThoseThatHaveAGoodPart) {
  std::vector<OpenDescriptor> list;
  const auto add = [&](int count, const std::string& peer) {
    for (int i = 0; i < count; ++i) {
      list.push_back({.fd = static_cast<int>(list.size()),
                      .kind = DescriptorKind::kTcp,
                      .state = "CLOSE_WAIT",
                      .peer = peer,
                      .place = "crawler.so!fetch"});
    }
  };
  for (std::size_t i = 0; i < master::kPeersApartMax; ++i) add(1, "10.0.0." + std::to_string(10 + i) + ":443");
  add(20, "127.0.0.1:6379");
  EXPECT_EQ(group_descriptors(list).size(), master::kPeersApartMax + 1);
  add(1, "10.0.0.99:443");
  const auto groups = group_descriptors(list);
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].peer, "127.0.0.1:6379");
  EXPECT_EQ(groups[1].peer, "10.0.0.*:443");
  EXPECT_EQ(groups[1].members.size(), master::kPeersApartMax + 1);
}

TEST(DescriptorGroups, IgnoreTheNamesOfPeersThatHaveNone) {
  OpenDescriptor one{.fd = 3, .kind = DescriptorKind::kUnix, .inode = 7, .state = "STREAM"};
  OpenDescriptor two = one;
  two.inode = 8;
  two.peer_fd = 3;
  EXPECT_EQ(group_descriptors(std::vector{one, two}).size(), 1U);
  two.peer = "/run/redis.sock";
  EXPECT_EQ(texts_of({from_start(two)}), Texts{"1 × unix STREAM to /run/redis.sock"});
}

TEST(DescriptorGroups, TellWhatAnEpollWatches) {
  OpenDescriptor epoll{.fd = 3, .kind = DescriptorKind::kEpoll, .watches_total = 3, .watches_close_wait = 1};
  std::vector<OpenDescriptor> list(9, from_start(epoll));
  EXPECT_EQ(texts_of(list), Texts{"9 × epoll watching 3 descriptors, 1 of them TCP CLOSE_WAIT"});
  epoll.watches_total = 1;
  epoll.watches_close_wait = 0;
  EXPECT_EQ(text_of(epoll), "epoll watching 1 descriptor");
}

TEST(DescriptorGroups, AreNoneForNoDescriptors) { EXPECT_TRUE(group_descriptors({}).empty()); }

TEST(DescriptorText, NamesEveryKind) {
  struct Case {
    DescriptorKind kind;
    const char* text;
  };
  const Case cases[] = {{DescriptorKind::kFile, "file /p"},
                        {DescriptorKind::kCharacterDevice, "character device /p"},
                        {DescriptorKind::kDirectory, "directory /p"},
                        {DescriptorKind::kBlockDevice, "block device /p"},
                        {DescriptorKind::kPipe, "pipe /p"},
                        {DescriptorKind::kMemfd, "memfd /p"},
                        {DescriptorKind::kBpf, "/p"},
                        {DescriptorKind::kOther, "/p"},
                        {DescriptorKind::kOtherSocket, "socket /p"},
                        {DescriptorKind::kUnix, "unix on /p"},
                        {DescriptorKind::kTcp, "TCP"},
                        {DescriptorKind::kUdp, "UDP"}};
  for (const Case& each : cases) EXPECT_EQ(text_of(plain(3, each.kind, "/p")), each.text);
}

TEST(DescriptorText, LeavesOutTheStateOfUdp) {
  OpenDescriptor socket{.fd = 3, .kind = DescriptorKind::kUdp, .state = "CLOSE", .local = "0.0.0.0:53"};
  EXPECT_EQ(text_of(socket), "UDP on 0.0.0.0:53");
}

TEST(DescriptorText, IsFreeOfControlCharacters) {
  EXPECT_EQ(text_of(plain(3, DescriptorKind::kFile, "/tmp/a\nb\x1b[2J\x7f\xc3\xa9")), "file /tmp/a?b?[2J?\xc3\xa9");
}

TEST(PathPattern, ReplacesNumbersOnly) {
  struct Case {
    const char* path;
    const char* pattern;
  };
  const Case cases[] = {{"/var/tmp/x-1234.png", "/var/tmp/x-*.png"},
                        {"/proc/4711/maps", "/proc/*/maps"},
                        {"/a/550e8400-e29b-41d4-a716-446655440000", "/a/*-*-*-*-*"},
                        {"/a/cafe/face", "/a/cafe/face"},
                        {"/a/page12of34", "/a/page*of*"},
                        {"/a/d41d8cd98f00b204", "/a/*"},
                        {"", ""},
                        {"7", "*"},
                        {"/\xc3\xa9"
                         "1",
                         "/\xc3\xa9*"}};
  for (const Case& each : cases) EXPECT_EQ(master::path_pattern(each.path), each.pattern) << each.path;
}

}  // namespace
