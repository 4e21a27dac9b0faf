// HighFd: which numbers the server's own descriptors get.
#include "common/high_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include <algorithm>

#include "worker/ring.h"

namespace {

using common::kHighFdMin;
using common::move_high;

// A soft limit of open files while it lives.
class Limit {
 public:
  explicit Limit(rlim_t soft) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit now{.rlim_cur = std::min(soft, before_.rlim_max), .rlim_max = before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &now);
  }
  ~Limit() { setrlimit(RLIMIT_NOFILE, &before_); }
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;

 private:
  rlimit before_{};
};

common::UniqueFd event() { return common::UniqueFd(eventfd(0, EFD_CLOEXEC)); }

TEST(HighFd, IsUsedFromALimitOfTwiceTheLowNumbersOnAndNotBelow) {
  {
    const Limit limit(2047);
    EXPECT_LT(move_high(event()).get(), kHighFdMin);
  }
  const Limit limit(2048);
  const common::UniqueFd high = move_high(event());
  EXPECT_GE(high.get(), kHighFdMin);
  EXPECT_EQ(fcntl(high.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST(HighFd, FreesTheLowNumber) {
  const Limit limit(2048);
  common::UniqueFd low = event();
  const int number = low.get();
  const common::UniqueFd high = move_high(std::move(low));
  EXPECT_EQ(fcntl(number, F_GETFD), -1);
}

TEST(HighFd, LeavesAHighOneAndNoneAlone) {
  const Limit limit(4096);
  common::UniqueFd high = move_high(event());
  const int number = high.get();
  EXPECT_EQ(move_high(std::move(high)).get(), number);
  EXPECT_FALSE(move_high(common::UniqueFd()));
}

TEST(HighFd, HoldsARingThatWorks) {
  const Limit limit(4096);
  auto ring = worker::Ring::create({.submissions = 8, .completions = 16, .buffers = 4, .buffer_bytes = 64}).value();
  EXPECT_GE(ring->fd(), kHighFdMin);
  const common::UniqueFd fd = event();
  eventfd_write(fd.get(), 1);
  ring->arm_readable(fd.get(), {.op = worker::Op::kSignal, .index = 3});
  const auto now = common::Clock::now();
  ring->turn(now + std::chrono::seconds(10), now);
  const auto completion = ring->next();
  ASSERT_TRUE(completion);
  EXPECT_EQ(completion->tag.index, 3U);
}

}  // namespace
