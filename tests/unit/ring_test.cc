// Ring: real completions, and the words for a ring that is not to be had.
#include "worker/ring.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "common/unique_fd.h"

namespace {

using worker::Completion;
using worker::explain_ring_error;
using worker::Op;
using worker::Ring;

struct SocketPair {
  SocketPair() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    near = common::UniqueFd(ends[0]);
    far = common::UniqueFd(ends[1]);
  }
  common::UniqueFd near;
  common::UniqueFd far;
};

std::optional<Completion> wait_for(Ring& ring) {
  const auto now = common::Clock::now();
  for (auto later = now; later < now + std::chrono::seconds(10); later = common::Clock::now()) {
    if (auto completion = ring.next()) return completion;
    ring.turn(now + std::chrono::seconds(10), later);
  }
  return std::nullopt;
}

TEST(Ring, ReceivesAgainAndAgainFromOneArming) {
  auto ring = Ring::create({.submissions = 8, .completions = 16, .buffers = 4, .buffer_bytes = 64}).value();
  SocketPair sockets;
  ring->arm_receive(sockets.near.get(), {.op = Op::kReceive, .index = 5});
  for (const std::string_view text : {"one", "two"}) {
    ASSERT_EQ(write(sockets.far.get(), text.data(), text.size()), 3);
    const auto completion = wait_for(*ring);
    ASSERT_TRUE(completion);
    EXPECT_EQ(completion->tag.op, Op::kReceive);
    EXPECT_EQ(completion->tag.index, 5U);
    EXPECT_EQ(completion->data, text);
    EXPECT_EQ(completion->more, Completion::More::kYes);
    ring->release(*completion->buffer);
  }
  sockets.far.reset();
  const auto end = wait_for(*ring);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->result, 0);
  EXPECT_EQ(end->more, Completion::More::kNo);
}

TEST(Ring, EndsAReceiveWithoutLosingBytesWhenItsBuffersAreUsedUp) {
  auto ring = Ring::create({.submissions = 8, .completions = 16, .buffers = 2, .buffer_bytes = 4}).value();
  SocketPair sockets;
  ASSERT_EQ(write(sockets.far.get(), "abcdefghij", 10), 10);
  std::string got;
  ring->arm_receive(sockets.near.get(), {.op = Op::kReceive, .index = 0});
  while (got.size() < 10) {
    const auto completion = wait_for(*ring);
    ASSERT_TRUE(completion);
    got += completion->data;
    if (completion->buffer) ring->release(*completion->buffer);
    if (completion->more == Completion::More::kNo) ring->arm_receive(sockets.near.get(), completion->tag);
  }
  EXPECT_EQ(got, "abcdefghij");
}

TEST(Ring, CancelsWhatIsArmed) {
  auto ring = Ring::create({.submissions = 8, .completions = 16, .buffers = 2, .buffer_bytes = 4}).value();
  SocketPair sockets;
  const worker::Tag tag{.op = Op::kReceive, .index = 9};
  ring->arm_receive(sockets.near.get(), tag);
  ring->arm_cancel(tag);
  bool cancelled = false;
  for (int i = 0; i < 2; ++i) {
    const auto completion = wait_for(*ring);
    ASSERT_TRUE(completion);
    if (completion->tag.op == Op::kReceive) cancelled = completion->result == -ECANCELED;
  }
  EXPECT_TRUE(cancelled);
}

TEST(Ring, ReturnsFromATurnAtItsDeadline) {
  auto ring = Ring::create({.submissions = 8, .completions = 16, .buffers = 2, .buffer_bytes = 4}).value();
  const auto now = common::Clock::now();
  ring->turn(now + std::chrono::milliseconds(20), now);
  EXPECT_GE(common::Clock::now(), now + std::chrono::milliseconds(20));
  EXPECT_FALSE(ring->next());
}

TEST(RingTurn, WaitsOutWhatMayPassAndEndsWithARingThatIsGone) {
  using worker::decide_turn_failure;
  using worker::TurnFailure;
  for (const int errnum : {ETIME, EINTR, EBUSY}) EXPECT_EQ(decide_turn_failure(errnum), TurnFailure::kNone) << errnum;
  for (const int errnum : {EAGAIN, ENOMEM}) EXPECT_EQ(decide_turn_failure(errnum), TurnFailure::kWait) << errnum;
  for (const int errnum : {EBADF, EBADR, EBADFD, ENXIO, EINVAL, EOPNOTSUPP}) {
    EXPECT_EQ(decide_turn_failure(errnum), TurnFailure::kBroken) << errnum;
  }
}

TEST(RingTurn, GoesOnWhenTheApplicationHasClosedTheNumberOfTheRing) {
  auto ring = Ring::create({.submissions = 8, .completions = 16, .buffers = 2, .buffer_bytes = 4}).value();
  SocketPair sockets;
  ring->arm_receive(sockets.near.get(), {.op = Op::kReceive, .index = 1});
  close(ring->fd());
  ASSERT_EQ(write(sockets.far.get(), "a", 1), 1);
  const auto completion = wait_for(*ring);
  ASSERT_TRUE(completion) << "it is registered, so the number does not matter";
  EXPECT_EQ(completion->data, "a");
}

TEST(RingError, NamesTheSysctl) {
  EXPECT_NE(explain_ring_error(EPERM, 2, 0).find("kernel.io_uring_disabled is 2"), std::string::npos);
  EXPECT_NE(explain_ring_error(EPERM, 1, 0).find("kernel.io_uring_group"), std::string::npos);
}

TEST(RingError, NamesSeccompWhenTheSysctlAllowsIt) {
  EXPECT_NE(explain_ring_error(EPERM, 0, 2).find("seccomp"), std::string::npos);
  EXPECT_NE(explain_ring_error(ENOSYS, -1, 2).find("seccomp"), std::string::npos);
}

TEST(RingError, NamesTheKernel) {
  EXPECT_NE(explain_ring_error(ENOSYS, -1, 0).find("Linux 6.1"), std::string::npos);
  EXPECT_NE(explain_ring_error(EINVAL, 0, 0).find("Linux 6.1"), std::string::npos);
}

TEST(RingError, NamesTheLimits) {
  EXPECT_NE(explain_ring_error(EMFILE, 0, 0).find("open files limit"), std::string::npos);
  EXPECT_NE(explain_ring_error(ENOMEM, 0, 0).find("memory"), std::string::npos);
}

}  // namespace
