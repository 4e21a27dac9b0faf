// CloseWaitWatch: whose socket counts, from when, and what happens when the kernel does not tell.
#include "master/close_wait_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

#include "common/unique_fd.h"
#include "master/close_wait_book.h"

namespace master {
namespace {

using namespace std::chrono_literals;
using common::UniqueFd;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const common::TimePoint kStart{1000s};

// ---- the book

// Looked at the inodes twice, and searched.
struct Story {
  CloseWaitBook book;
  std::vector<std::uint64_t> listed;

  void look(common::Duration at) { book.note(listed, kStart + at); }
  std::uint64_t counted(WorkerId worker) {
    const auto all = book.by_worker([](WorkerId, int) { return true; });
    return all.contains(worker) ? all.at(worker).size() : 0;
  }
};

TEST(CloseWaitBook, SeeksASocketOnlyWhenItStays) {
  Story story{.book = {}, .listed = {7}};
  story.look(0s);
  EXPECT_FALSE(story.book.wants_search());
  story.look(1s);
  EXPECT_TRUE(story.book.wants_search());
  story.listed = {};
  story.look(2s);
  EXPECT_FALSE(story.book.wants_search());
  story.listed = {7};  // closed, and the number came again
  story.look(3s);
  EXPECT_FALSE(story.book.wants_search());
}

TEST(CloseWaitBook, TakesASocketThatIsListedTwiceInOneLookForOne) {
  Story story{.book = {}, .listed = {7, 7, 0, 0}};
  story.look(0s);
  EXPECT_FALSE(story.book.wants_search());
}

TEST(CloseWaitBook, CountsWhatTheApplicationHoldsAlone) {
  Story story{.book = {}, .listed = {1, 2, 3, 4, 5}};
  story.look(0s);
  story.look(1s);
  story.book.begin_search();
  EXPECT_TRUE(story.book.is_sought(1));
  EXPECT_FALSE(story.book.is_sought(6));
  story.book.found(10, 20, 1, SocketOwner::kApplication);
  story.book.found(10, 21, 2, SocketOwner::kServer);
  story.book.found(10, 22, 3, SocketOwner::kApplication);
  story.book.found(11, 22, 3, SocketOwner::kApplication);  // by two workers
  story.book.found(10, 23, 4, SocketOwner::kApplication);
  story.book.found(10, 24, 4, SocketOwner::kApplication);  // by one, twice
  EXPECT_EQ(story.counted(10), 0U);                        // the search is not over
  story.book.end_search();
  EXPECT_EQ(story.counted(10), 2U);
  EXPECT_EQ(story.counted(11), 0U);
  EXPECT_FALSE(story.book.wants_search());
}

TEST(CloseWaitBook, DoesNotSeekAStrangersSocketAgainUntilAProcessAppears) {
  Story story{.book = {}, .listed = {1}};
  story.look(0s);
  story.look(1s);
  story.book.begin_search();
  story.book.end_search();
  story.look(2s);
  EXPECT_FALSE(story.book.wants_search());
  story.book.seek_unheld();
  EXPECT_TRUE(story.book.wants_search());
}

TEST(CloseWaitBook, LetsGoOfWhatTurnsOutToBeTheServers) {
  Story story{.book = {}, .listed = {1}};
  story.look(0s);
  story.look(1s);
  story.book.begin_search();
  story.book.found(10, 20, 1, SocketOwner::kApplication);
  story.book.end_search();
  EXPECT_TRUE(story.book.by_worker([](WorkerId, int) { return false; }).empty());
  EXPECT_EQ(story.counted(10), 0U);
}

TEST(CloseWaitBook, FollowsAsManySocketsAsItsLimitAndNoMore) {
  Story story;
  for (std::uint64_t inode = 1; inode <= kCloseWaitMax + 1; ++inode) story.listed.push_back(inode);
  story.look(0s);
  story.look(1s);
  story.book.begin_search();
  EXPECT_TRUE(story.book.is_sought(kCloseWaitMax));
  EXPECT_FALSE(story.book.is_sought(kCloseWaitMax + 1));
}

TEST(CloseWaitCount, CountsFromTheAgeItself) {
  const std::vector<CloseWaitSocket> sockets = {{.fd = 3, .inode = 1, .since = kStart},
                                                {.fd = 4, .inode = 2, .since = kStart + 1ns}};
  const CloseWaitCount count = count_close_wait(&sockets, 60s, kStart + 60s);
  EXPECT_EQ(count.now, 2U);
  EXPECT_EQ(count.aged, 1U);
  EXPECT_EQ(count.oldest, 60s);
  EXPECT_EQ(count_close_wait(nullptr, 60s, kStart).now, 0U);
}

// ---- the watch, over real sockets of this process

std::uint64_t inode_of(int fd) {
  struct stat status{};
  EXPECT_EQ(fstat(fd, &status), 0);
  return status.st_ino;
}

// A connection over loopback whose other end has been closed.
UniqueFd close_wait_socket() {
  UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  socklen_t size = sizeof address;
  EXPECT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(listen(listener.get(), 1), 0);
  EXPECT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  UniqueFd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const UniqueFd peer(accept(listener.get(), nullptr, nullptr));
  EXPECT_TRUE(peer);
  return client;
}

class CloseWaitWatchTest : public ::testing::Test {
 protected:
  CloseWaitWatch watch_{[this]() -> common::Result<std::vector<std::uint64_t>> {
    if (errnum_ != 0) return common::fail_errno("socket(AF_NETLINK)", errnum_);
    return listed_;
  }};
  std::vector<std::uint64_t> listed_;
  int errnum_ = 0;
  common::TimePoint now_ = kStart;
  std::vector<SocketHolder> holders_ = {{.id = 5, .pid = getpid(), .ledger = {}}};

  std::optional<std::string> look() {
    now_ += 1s;
    return watch_.look(holders_, now_);
  }
  std::uint64_t count(WorkerId worker = 5) { return watch_.count(worker, 60s, now_).value().now; }
};

TEST_F(CloseWaitWatchTest, FindsASocketWithinTwoLooks) {
  const UniqueFd socket = close_wait_socket();
  listed_ = {inode_of(socket.get()), 1};
  EXPECT_EQ(watch_.count(5, 60s, now_), std::nullopt);  // nobody has looked
  EXPECT_EQ(look(), std::nullopt);
  EXPECT_EQ(count(), 0U);
  look();
  EXPECT_EQ(count(), 1U);
  EXPECT_EQ(count(6), 0U);
  EXPECT_THAT(watch_.descriptors(5), ElementsAre(socket.get()));
  EXPECT_TRUE(watch_.aged(5, 60s, now_).empty());
  now_ = kStart + 1s + 60s;  // since the first look
  const auto aged = watch_.aged(5, 60s, now_);
  ASSERT_EQ(aged.size(), 1U);
  EXPECT_EQ(watch_.count(5, 60s, now_).value().aged, 1U);
  EXPECT_TRUE(is_still(getpid(), aged[0]));
}

TEST_F(CloseWaitWatchTest, ForgetsASocketThatIsClosed) {
  const UniqueFd socket = close_wait_socket();
  listed_ = {inode_of(socket.get())};
  look();
  look();
  const CloseWaitSocket before = watch_.aged(5, 0s, now_).at(0);
  const UniqueFd other(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(dup2(other.get(), socket.get()), socket.get());  // closes it, and its number means another one
  EXPECT_FALSE(is_still(getpid(), before));
  listed_ = {};
  look();
  EXPECT_EQ(count(), 0U);
}

TEST_F(CloseWaitWatchTest, LeavesOutTheServersOwn) {
  const UniqueFd theirs = close_wait_socket();
  const UniqueFd ours = close_wait_socket();
  const UniqueFd noted_late = close_wait_socket();
  std::vector<common::FdEntry> entries(1024);
  const common::FdLedger ledger(entries, {});
  holders_[0].ledger = ledger;
  ledger.note_server(ours.get(), common::FdRole::kConnection, kStart);
  listed_ = {inode_of(theirs.get()), inode_of(ours.get()), inode_of(noted_late.get())};
  look();
  look();
  EXPECT_EQ(count(), 2U);
  ledger.note_server(noted_late.get(), common::FdRole::kConnection, kStart);
  look();
  EXPECT_THAT(watch_.descriptors(5), ElementsAre(theirs.get()));
}

TEST_F(CloseWaitWatchTest, DoesNotCountWhatTheTemplateHoldsAsWell) {
  const UniqueFd inherited = close_wait_socket();
  listed_ = {inode_of(inherited.get())};
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  UniqueFd until_closed(ends[0]);
  UniqueFd alive(ends[1]);
  const pid_t child = fork();
  if (child == 0) {
    alive.reset();
    char byte = 0;
    [[maybe_unused]] const ssize_t size = read(until_closed.get(), &byte, 1);
    _exit(0);
  }
  holders_.push_back({.id = kNoWorker, .pid = child, .ledger = {}});
  look();
  look();
  EXPECT_EQ(count(), 0U);
  alive.reset();
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
}

TEST_F(CloseWaitWatchTest, FindsWhatAWorkerThatAppearsLaterHolds) {
  const UniqueFd socket = close_wait_socket();
  listed_ = {inode_of(socket.get())};
  const std::vector<SocketHolder> later = std::exchange(holders_, {});
  for (int i = 0; i < 5; ++i) look();
  EXPECT_EQ(count(), 0U);
  holders_ = later;
  look();
  EXPECT_EQ(count(), 1U);
}

TEST_F(CloseWaitWatchTest, LetsGoOfAWorkerThatHasGone) {
  const UniqueFd socket = close_wait_socket();
  listed_ = {inode_of(socket.get())};
  look();
  look();
  EXPECT_EQ(count(), 1U);
  holders_.clear();
  look();
  EXPECT_EQ(count(), 0U);
}

TEST_F(CloseWaitWatchTest, SaysOnceThatTheKernelDoesNotTell) {
  errnum_ = EAFNOSUPPORT;
  const auto said = look();
  ASSERT_TRUE(said);
  EXPECT_THAT(*said, HasSubstr("recycle.close_wait has no effect: socket(AF_NETLINK): "));
  EXPECT_THAT(*said, HasSubstr("allow AF_NETLINK"));
  EXPECT_EQ(look(), std::nullopt);
  EXPECT_EQ(watch_.count(5, 60s, now_), std::nullopt);
  EXPECT_TRUE(watch_.aged(5, 0s, now_).empty());
  errnum_ = 0;
  EXPECT_EQ(look(), std::nullopt);
  EXPECT_EQ(count(), 0U);
}

TEST_F(CloseWaitWatchTest, SearchesThousandsOfDescriptorsInSeveralLooks) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_max < 12'000) GTEST_SKIP() << "the hard limit of open files is too low";
  const rlimit high{.rlim_cur = 12'000, .rlim_max = limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &high), 0);
  std::vector<UniqueFd> many;
  many.reserve(10'000);
  for (int i = 0; i < 10'000; ++i) many.emplace_back(dup(STDERR_FILENO));
  const UniqueFd socket = close_wait_socket();
  listed_ = {inode_of(socket.get())};
  int looks = 0;
  while (looks < 10 && (looks == 0 || count() == 0)) {
    now_ += 1h;  // whatever the last look cost
    look();
    ++looks;
  }
  EXPECT_EQ(looks, 4);  // the second begins the search, of 4,096 each
  EXPECT_THAT(watch_.descriptors(5), ElementsAre(socket.get()));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

TEST_F(CloseWaitWatchTest, RestsAHundredTimesAsLongAsALookUsedTheCpu) {
  int lists = 0;
  CloseWaitWatch slow([&]() -> common::Result<std::vector<std::uint64_t>> {
    ++lists;
    const std::clock_t end = std::clock() + CLOCKS_PER_SEC / 1000;
    while (std::clock() < end) {
    }
    return listed_;
  });
  slow.look(holders_, kStart);
  slow.look(holders_, kStart + 99ms);  // it took 1 ms and a little more, and clock(3) counts in microseconds
  EXPECT_EQ(lists, 1);
  slow.look(holders_, kStart + 1h);
  EXPECT_EQ(lists, 2);
}

}  // namespace
}  // namespace master
