// DescriptorList: what is read of a process that has one descriptor of each kind.
#include "master/descriptor_list.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "common/clock.h"
#include "descriptor_target.h"
#include "master/socket_table.h"
#include "support/environment.h"
#include "support/temporary_directory.h"

namespace {

using common::FdOwner;
using common::FdSince;
using master::classify_link;
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

TEST(ClassifyLink, KnowsEveryKindByItsLink) {
  struct Case {
    const char* link;
    DescriptorKind kind;
    std::uint64_t inode;
    const char* path;
  };
  const Case cases[] = {
      {"/var/log/x", DescriptorKind::kFile, 0, "/var/log/x"},
      {"socket:[123]", DescriptorKind::kOtherSocket, 123, ""},
      {"pipe:[77]", DescriptorKind::kPipe, 77, ""},
      {"anon_inode:[eventfd]", DescriptorKind::kEventfd, 0, ""},
      {"anon_inode:[eventpoll]", DescriptorKind::kEpoll, 0, ""},
      {"anon_inode:[timerfd]", DescriptorKind::kTimerfd, 0, ""},
      {"anon_inode:[signalfd]", DescriptorKind::kSignalfd, 0, ""},
      {"anon_inode:inotify", DescriptorKind::kInotify, 0, ""},
      {"anon_inode:[io_uring]", DescriptorKind::kIoUring, 0, ""},
      {"anon_inode:[pidfd]", DescriptorKind::kPidfd, 0, ""},
      {"pidfd:[4711]", DescriptorKind::kPidfd, 0, ""},
      {"anon_inode:[userfaultfd]", DescriptorKind::kUserfaultfd, 0, ""},
      {"anon_inode:bpf-map", DescriptorKind::kBpf, 0, "bpf-map"},
      {"anon_inode:[perf_event]", DescriptorKind::kOther, 0, "perf_event"},
      {"/memfd:a b (deleted)", DescriptorKind::kMemfd, 0, "a b"},
      {"/memfd:no memfd", DescriptorKind::kFile, 0, "/memfd:no memfd"},
      {"net:[4026531840]", DescriptorKind::kOther, 0, "net:[4026531840]"},
      {"socket:[", DescriptorKind::kOtherSocket, 0, ""},
      {"", DescriptorKind::kOther, 0, ""},
  };
  for (const Case& each : cases) {
    const OpenDescriptor descriptor = classify_link(9, each.link);
    EXPECT_EQ(descriptor.kind, each.kind) << each.link;
    EXPECT_EQ(descriptor.inode, each.inode) << each.link;
    EXPECT_EQ(descriptor.path, each.path) << each.link;
    EXPECT_EQ(descriptor.fd, 9);
  }
  EXPECT_TRUE(classify_link(9, "/a (deleted)").deleted);
  EXPECT_EQ(classify_link(9, "/a (deleted)").path, "/a");
  EXPECT_FALSE(classify_link(9, "/memfd:x (deleted)").deleted);
}

TEST(ParseWatches, ReadsWhatAnEpollWatches) {
  const auto list = master::parse_watches(
      "pos:\t0\nflags:\t02\n"
      "tfd:        4 events:     2019 data: ffffffffffffffff  pos:0 ino:c354ad sdev:f\n"
      "tfd:       30 events:       19 data:               1e\n"
      "tfd: rubbish\n");
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0].fd, 4);
  EXPECT_EQ(list[0].events, 0x2019U);
  EXPECT_EQ(list[0].data, ~std::uint64_t{0});
  EXPECT_EQ(list[1].fd, 30);
  EXPECT_EQ(list[1].data, 30U);
}

TEST(DescriptorList, TellsFilesAndDevicesApart) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.write("a file", "x");
  const auto opened = [](const std::string& name) {
    return seen([&] { return ::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
  };
  EXPECT_EQ(opened(path).kind, DescriptorKind::kFile);
  EXPECT_EQ(opened(path).path, path);
  EXPECT_EQ(opened(directory.path("")).kind, DescriptorKind::kDirectory);
  EXPECT_EQ(opened("/dev/null").kind, DescriptorKind::kCharacterDevice);
  ASSERT_EQ(::mkfifo(directory.path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(opened(directory.path("fifo")).kind, DescriptorKind::kPipe);
}

TEST(DescriptorList, TellsThatAFileHasNoNameAnyMore) {
  const support::TemporaryDirectory directory;
  const auto removed = [&](const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    ::unlink(path.c_str());
    return fd;
  };
  const std::string path = directory.write("gone", "x");
  const OpenDescriptor gone = seen([&] { return removed(path); });
  EXPECT_TRUE(gone.deleted);
  EXPECT_EQ(gone.path, path);
  const std::string odd = directory.write("odd (deleted)", "x");
  const OpenDescriptor there = seen([&] { return ::open(odd.c_str(), O_RDONLY | O_CLOEXEC); });
  EXPECT_FALSE(there.deleted);
  EXPECT_EQ(there.path, odd);
}

TEST(DescriptorList, AsksEventDescriptorsForTheirNumbers) {
  const OpenDescriptor event = seen([] { return ::eventfd(0x1234, EFD_CLOEXEC); });
  EXPECT_EQ(event.kind, DescriptorKind::kEventfd);
  EXPECT_EQ(event.count, 0x1234U);
  const OpenDescriptor watcher = seen([] {
    const int fd = ::inotify_init1(IN_CLOEXEC);
    ::inotify_add_watch(fd, "/tmp", IN_CREATE);
    ::inotify_add_watch(fd, "/", IN_CREATE);
    return fd;
  });
  EXPECT_EQ(watcher.kind, DescriptorKind::kInotify);
  EXPECT_EQ(watcher.count, 2U);
}

TEST(DescriptorList, KnowsOtherDescriptorsWithoutAFile) {
  EXPECT_EQ(seen([] { return ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC); }).kind, DescriptorKind::kTimerfd);
  EXPECT_EQ(seen([] {
              sigset_t none;
              ::sigemptyset(&none);
              return ::signalfd(-1, &none, SFD_CLOEXEC);
            }).kind,
            DescriptorKind::kSignalfd);
  const OpenDescriptor memory = seen([] { return ::memfd_create("cache", MFD_CLOEXEC); });
  EXPECT_EQ(memory.kind, DescriptorKind::kMemfd);
  EXPECT_EQ(memory.path, "cache");
  EXPECT_EQ(seen([] { return static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)); }).kind,
            DescriptorKind::kPidfd);
}

TEST(DescriptorList, ListsWhatAnEpollWatchesAndWhichPeersHaveGone) {
  const DescriptorTarget target([] {
    int ends[2];
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return -1;
    for (const int fd : ends) {
      epoll_event event{};
      event.events = EPOLLIN | EPOLLRDHUP;
      event.data.u64 = 1000 + static_cast<std::uint64_t>(fd);
      if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) return -1;
    }
    return epoll;
  });
  auto list = read_descriptors(target.pid());
  ASSERT_TRUE(list.has_value()) << list.error().message;
  const OpenDescriptor epoll = find(*list, target.told());
  EXPECT_EQ(epoll.kind, DescriptorKind::kEpoll);
  EXPECT_EQ(epoll.watches_total, 2U);
  ASSERT_EQ(epoll.watches.size(), 2U);
  const int watched = epoll.watches[0].fd;
  EXPECT_EQ(epoll.watches[0].data, 1000U + static_cast<unsigned>(watched));
  EXPECT_EQ(epoll.watches[0].events & (EPOLLIN | EPOLLRDHUP | EPOLLOUT), EPOLLIN | EPOLLRDHUP);
  // As if the kernel had said so: which is tested in inspection_test.cc.
  for (OpenDescriptor& each : *list) {
    if (each.fd != watched) continue;
    each.kind = DescriptorKind::kTcp;
    each.state = "CLOSE_WAIT";
  }
  SocketTable().describe(target.pid(), *list);
  EXPECT_EQ(find(*list, target.told()).watches_close_wait, 1U);
  EXPECT_EQ(master::read_watches(target.pid(), target.told()).size(), 2U);
  EXPECT_TRUE(master::read_watches(target.pid(), 100'000).empty());
}

TEST(DescriptorList, KeepsALimitedNumberOfWatches) {
  const DescriptorTarget target([] {
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    const int event = ::eventfd(0, EFD_CLOEXEC);
    epoll_event about{};
    for (std::size_t i = 0; i <= master::kWatchesMax; ++i) {
      if (::epoll_ctl(epoll, EPOLL_CTL_ADD, ::dup(event), &about) != 0) return -1;
    }
    return epoll;
  });
  ASSERT_GE(target.told(), 0) << "the limit of open files is too low";
  const auto list = read_descriptors(target.pid());
  ASSERT_TRUE(list.has_value()) << list.error().message;
  EXPECT_EQ(find(*list, target.told()).watches.size(), master::kWatchesMax);
  EXPECT_EQ(find(*list, target.told()).watches_total, master::kWatchesMax + 1);
}

TEST(DescriptorList, SaysThatTheProcessHasEnded) {
  DescriptorTarget target([] { return 0; });
  EXPECT_TRUE(read_descriptors(target.pid()).has_value());
  target.end();
  const auto zombie = read_descriptors(target.pid());
  EXPECT_FALSE(zombie.has_value());
  target.reap();
  const auto gone = read_descriptors(target.pid());
  ASSERT_FALSE(gone.has_value());
  EXPECT_EQ(gone.error().errnum, ENOENT);
  EXPECT_EQ(gone.error().message, "process " + std::to_string(target.pid()) + " has ended");
}

TEST(DescriptorList, SaysThatItMayNotLook) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
  const DescriptorTarget stranger([] {
    if (::setresuid(65534, 65534, 65534) != 0) return -1;
    const auto list = read_descriptors(::getppid());
    return list.has_value() ? 0 : list.error().errnum;
  });
  EXPECT_EQ(stranger.told(), EACCES);
}

TEST(DescriptorList, SurvivesDescriptorsThatComeAndGo) {
  const DescriptorTarget target([] {
    std::thread([] {
      for (;;) {
        int fds[64];
        for (int& fd : fds) fd = ::eventfd(0, EFD_CLOEXEC);
        for (const int fd : fds) ::close(fd);
      }
    }).detach();
    return 0;
  });
  for (int i = 0; i < 200; ++i) {
    const auto list = read_descriptors(target.pid());
    ASSERT_TRUE(list.has_value()) << list.error().message;
    for (const OpenDescriptor& each : *list) EXPECT_NE(each.kind, DescriptorKind::kOther) << each.path;
  }
}

TEST(DescriptorList, IsQuickWithNineteenThousandSockets) {
  constexpr int kCount = 19'000;  // hard limits of 20,000 are common
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_max < kCount + 100) GTEST_SKIP() << "the hard limit of open files is too low";
  const DescriptorTarget target([&] {
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return errno;
    int ends[2];
    for (int i = 0; i < kCount; i += 2) {
      if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return errno;
    }
    return 0;
  });
  ASSERT_EQ(target.told(), 0);
  const common::TimePoint start = common::Clock::now();
  auto list = read_descriptors(target.pid());
  ASSERT_TRUE(list.has_value()) << list.error().message;
  SocketTable::read().describe(target.pid(), *list);
  const common::Duration took = common::Clock::now() - start;
  EXPECT_GE(list->size(), static_cast<std::size_t>(kCount));
  RecordProperty("milliseconds", std::to_string(took / std::chrono::milliseconds(1)));
  EXPECT_LT(took, support::patience(std::chrono::seconds(2)));
}

TEST(JoinLedger, GivesEachDescriptorItsOwner) {
  std::vector<common::FdEntry> entries(16);
  std::vector<common::FdStack> stacks(4);
  const common::FdLedger ledger(entries, stacks);
  const common::TimePoint now{std::chrono::seconds(5)};
  const std::uint64_t frames[] = {11, 12};
  ledger.note_server(5, common::FdRole::kRing, now);
  ledger.note_application(6, common::nanoseconds_of(now), ledger.add_stack(7, frames));
  ledger.note_application(7, common::nanoseconds_of(now), 0);
  ledger.mark_baseline(7);
  std::vector<OpenDescriptor> list;
  for (const int fd : {2, 5, 6, 7, 8, 99}) list.push_back({.fd = fd});
  join_ledger(ledger, list);
  EXPECT_EQ(list[0].owner, FdOwner::kApplication);
  EXPECT_EQ(list[0].since, FdSince::kStart);  // a standard stream
  EXPECT_EQ(list[1].owner, FdOwner::kServer);
  EXPECT_EQ(list[1].role, common::FdRole::kRing);
  EXPECT_EQ(list[2].owner, FdOwner::kApplication);
  EXPECT_EQ(list[2].since, FdSince::kServing);
  EXPECT_EQ(list[2].opened_at, now);
  EXPECT_EQ(list[2].stack, (std::vector<std::uint64_t>{11, 12}));
  EXPECT_EQ(list[3].since, FdSince::kStart);
  for (const std::size_t unknown : {4U, 5U}) {
    EXPECT_EQ(list[unknown].owner, FdOwner::kApplication);
    EXPECT_EQ(list[unknown].since, FdSince::kServing);
    EXPECT_FALSE(list[unknown].opened_at.has_value());
  }
}

}  // namespace
