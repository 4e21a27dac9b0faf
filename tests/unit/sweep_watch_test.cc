// SweepWatch: who wakes the master, and when the clock has to.
#include "master/sweep_watch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "common/address.h"

namespace {

using common::TimePoint;
using common::UniqueFd;
using master::SweepWatch;
using std::chrono::milliseconds;

constexpr TimePoint kNow = TimePoint() + std::chrono::hours(1);

// A socket that listens, and whoever connects to it.
class Listener {
 public:
  Listener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    const auto address = common::Address::parse("127.0.0.1:0");
    EXPECT_EQ(bind(fd_.get(), address->get(), address->length), 0);
    EXPECT_EQ(listen(fd_.get(), 8), 0);
  }
  void connect() {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    auto* name = reinterpret_cast<sockaddr*>(&storage);
    ASSERT_EQ(getsockname(fd_.get(), name, &length), 0);
    clients_.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(clients_.back().get(), name, length), 0);
  }
  void accept() { EXPECT_TRUE(UniqueFd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC))); }
  int fd() const { return fd_.get(); }
  UniqueFd copy() const { return UniqueFd(dup(fd_.get())); }

 private:
  UniqueFd fd_;
  std::vector<UniqueFd> clients_;
};

struct SweepWatchTest : testing::Test {
  SweepWatchTest() { EXPECT_TRUE(poller.open()); }

  // Whether somebody wakes the master now, who is told to the watch.
  bool is_woken() {
    bool woken = false;
    for (const master::PollEvent& event : poller.wait(TimePoint(), kNow)) {
      if (!watch.owns(event.fd)) continue;
      watch.on_event();
      woken = true;
    }
    return woken;
  }
  void plan(std::vector<int> sockets, std::size_t clients = 0, bool may_close = false) {
    watch.plan({.sockets = std::move(sockets),
                .revision = revision,
                .clients = clients,
                .is_held_back = is_held_back,
                .may_close = may_close},
               kNow);
  }

  master::Poller poller;
  SweepWatch watch{poller};
  std::uint64_t revision = 1;
  bool is_held_back = false;
  Listener one;
  Listener other;
};

TEST_F(SweepWatchTest, HasNothingToDoAtFirst) {
  EXPECT_EQ(watch.deadline(), TimePoint::max());
  EXPECT_FALSE(watch.owns(-1));
  watch.ask();
  EXPECT_LE(watch.deadline(), kNow);
  plan({});
  EXPECT_EQ(watch.deadline(), TimePoint::max());
}

TEST_F(SweepWatchTest, WaitsForAClientWithoutAClock) {
  plan({one.fd(), other.fd()});
  EXPECT_EQ(watch.deadline(), TimePoint::max());
  EXPECT_FALSE(is_woken());
  other.connect();
  EXPECT_TRUE(is_woken());
  EXPECT_LE(watch.deadline(), kNow);
  other.accept();
  plan({one.fd(), other.fd()}, 1);
  EXPECT_EQ(watch.deadline(), TimePoint::max());
  EXPECT_FALSE(is_woken());
  one.connect();
  EXPECT_TRUE(is_woken()) << "and again";
}

TEST_F(SweepWatchTest, LooksByTheClockAtWhatIsToBeClosed) {
  plan({one.fd()}, 0, true);
  EXPECT_EQ(watch.deadline(), kNow + milliseconds(100));
  one.connect();
  EXPECT_TRUE(is_woken()) << "by clients too";
  one.accept();
  plan({one.fd()}, 1, true);
  EXPECT_EQ(watch.deadline(), kNow + milliseconds(100));
  plan({}, 0, true);
  EXPECT_EQ(watch.deadline(), kNow + milliseconds(100));
}

// As when accept() fails for want of descriptors: the socket stays ready, and would wake the master without end.
TEST_F(SweepWatchTest, RestsAfterItWasWokenInVain) {
  plan({one.fd()});
  one.connect();
  ASSERT_TRUE(is_woken());
  plan({one.fd()});
  EXPECT_FALSE(is_woken());
  EXPECT_EQ(watch.deadline(), kNow + milliseconds(100));
  plan({one.fd()});  // it is that time
  EXPECT_TRUE(is_woken());
}

TEST_F(SweepWatchTest, LooksForWorkersByTheClockWhileClientsAreHeldBack) {
  plan({one.fd()});
  one.connect();
  ASSERT_TRUE(is_woken());
  is_held_back = true;
  plan({one.fd()});
  EXPECT_FALSE(is_woken());
  EXPECT_EQ(watch.deadline(), kNow + milliseconds(10));
  plan({});
  EXPECT_EQ(watch.deadline(), TimePoint::max()) << "nobody can be there";
}

TEST_F(SweepWatchTest, LooksOftenWhereItCannotWatch) {
  plan({-1});
  EXPECT_EQ(watch.deadline(), kNow + milliseconds(100));
  plan({-1}, 3);
  EXPECT_EQ(watch.deadline(), kNow + milliseconds(2));
}

// The other holders of a socket keep it alive: it would go on waking whoever only closed a number.
TEST_F(SweepWatchTest, ForgetsASocketThatIsNoLongerItsOwn) {
  plan({one.fd(), other.fd()});
  const UniqueFd held = one.copy();
  one.connect();
  plan({other.fd()});
  EXPECT_FALSE(is_woken());
  plan({});
  other.connect();
  EXPECT_FALSE(is_woken());
}

TEST_F(SweepWatchTest, WatchesAnotherSocketOfTheSameNumber) {
  const UniqueFd held = one.copy();
  plan({one.fd()});
  const int number = one.fd();
  ASSERT_EQ(dup3(other.fd(), number, O_CLOEXEC), number);
  ++revision;
  plan({number});
  other.connect();
  EXPECT_TRUE(is_woken());
}

}  // namespace
