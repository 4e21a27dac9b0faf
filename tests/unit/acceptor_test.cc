// Acceptor: which failures of accept are passing, and what is armed after which order of events.
#include "worker/acceptor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <random>

#include "recording_ring.h"

namespace {

using namespace std::chrono_literals;
using test_stage::RecordingRing;
using worker::AcceptFailure;
using worker::Acceptor;
using worker::Completion;
using worker::decide_accept_failure;
using worker::Op;
using worker::Repeat;
using Armed = RecordingRing::Armed;

const common::TimePoint kStart{1000s};

common::UniqueFd listening_tcp_socket() {
  common::UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
  EXPECT_EQ(listen(fd.get(), 64), 0);
  return fd;
}

std::vector<common::UniqueFd> listeners(int count) {
  std::vector<common::UniqueFd> all(static_cast<std::size_t>(count));
  std::ranges::generate(all, listening_tcp_socket);
  return all;
}

struct Accepting : testing::Test {
  // As after own_slot() and the time for a predecessor's ring to go.
  void own() {
    acceptor.own_slot(kStart);
    acceptor.on_time(kStart + 1s);
    settle();
  }
  void accept(int result) { on_accept(ring.complete(Op::kAccept, 0, result)); }
  void on_accept(const Completion& completion) {
    acceptor.on_accept(completion, kStart);
    acceptor.go_on(completion.tag.index);
  }
  void settle() {
    while (true) {
      const std::vector<Completion> all = ring.cancelled();
      if (all.empty()) return;
      for (const Completion& completion : all) {
        if (completion.tag.op == Op::kAccept) on_accept(completion);
        if (completion.tag.op == Op::kListener) acceptor.on_readable(completion);
      }
    }
  }

  RecordingRing ring;
  Acceptor acceptor{ring, listeners(1)};
};

TEST(AcceptFailure, IsRetriedAtOnceWhenOnlyTheNewConnectionFailed) {
  for (const int errnum : {ECONNABORTED, EPROTO, EHOSTUNREACH, ENETUNREACH, ENETDOWN, EPERM, EINTR, EAGAIN}) {
    EXPECT_EQ(decide_accept_failure(errnum), AcceptFailure::kRetry) << errnum;
  }
}

TEST(AcceptFailure, IsNotRetriedAtOnceWhenSomethingIsShortOrUnknown) {
  for (const int errnum : {EMFILE, ENFILE}) {
    EXPECT_EQ(decide_accept_failure(errnum), AcceptFailure::kNoDescriptor) << errnum;
  }
  for (const int errnum : {ENOBUFS, ENOMEM, 9999}) {
    EXPECT_EQ(decide_accept_failure(errnum), AcceptFailure::kPause) << errnum;
  }
}

TEST(AcceptFailure, IsFinalWhenTheListenerIsNone) {
  for (const int errnum : {EBADF, ENOTSOCK, EINVAL}) {
    EXPECT_EQ(decide_accept_failure(errnum), AcceptFailure::kBroken) << errnum;
  }
}

TEST_F(Accepting, WatchesWhileTheSlotMayHaveAnotherAndThenTakesAllThatCome) {
  acceptor.start();
  EXPECT_TRUE(ring.is(Op::kAccept, 0, Armed::kOnce));
  EXPECT_TRUE(ring.is(Op::kListener, 0, Armed::kOnce));
  own();
  EXPECT_TRUE(ring.is(Op::kAccept, 0, Armed::kMultishot));
  EXPECT_FALSE(ring.has(Op::kListener));
}

TEST(Acceptor, WatchesWhatItIsToldToShareForEver) {
  RecordingRing ring;
  Acceptor acceptor(ring, listeners(2), 0b10);
  EXPECT_FALSE(acceptor.is_shared(0));
  EXPECT_TRUE(acceptor.is_shared(1));
  acceptor.own_slot(kStart);
  acceptor.on_time(kStart + 1s);
  acceptor.start();
  EXPECT_TRUE(ring.is(Op::kAccept, 0, Armed::kMultishot));
  EXPECT_TRUE(ring.is(Op::kAccept, 1, Armed::kOnce));
  EXPECT_TRUE(ring.is(Op::kListener, 1, Armed::kOnce));
}

TEST_F(Accepting, ArmsAnewWhenAWatchedListenerHasAConnection) {
  acceptor.start();
  acceptor.on_readable(ring.complete(Op::kListener, 0, 1));
  EXPECT_TRUE(ring.is(Op::kAccept, 0, Armed::kCancelling));
  settle();
  EXPECT_TRUE(ring.is(Op::kAccept, 0, Armed::kOnce));
  EXPECT_TRUE(ring.is(Op::kListener, 0, Armed::kOnce));
}

TEST_F(Accepting, ArmsAMultishotAnewWhenItEnds) {
  own();
  acceptor.start();
  accept(7);
  EXPECT_EQ(ring.armings(), 1);
  on_accept(ring.end(Op::kAccept, 0, 8));
  EXPECT_EQ(ring.armings(), 2);
  EXPECT_TRUE(ring.is(Op::kAccept, 0, Armed::kMultishot));
}

TEST_F(Accepting, ArmsNothingAfterAFailureUntilToldTo) {
  own();
  acceptor.start();
  acceptor.on_accept(ring.complete(Op::kAccept, 0, -EMFILE), kStart);
  EXPECT_TRUE(ring.empty());
  acceptor.hold();
  acceptor.go_on(0);
  EXPECT_TRUE(ring.empty());
}

TEST_F(Accepting, PausesLongerEachTimeUntilOneSucceeds) {
  own();
  acceptor.start();
  common::TimePoint now = kStart;
  for (const common::Duration expected : {10ms, 20ms, 40ms, 80ms, 160ms, 320ms, 640ms, 1000ms, 1000ms}) {
    acceptor.on_accept(ring.complete(Op::kAccept, 0, -ENOMEM), now);
    acceptor.pause(now);
    EXPECT_EQ(acceptor.next_deadline(), now + expected);
    acceptor.on_time(now + expected - 1ns);
    EXPECT_TRUE(ring.empty());
    now += expected;
    acceptor.on_time(now);
    EXPECT_TRUE(ring.has(Op::kAccept));
  }
  acceptor.on_accept(ring.complete(Op::kAccept, 0, 7), now);
  acceptor.on_accept(ring.complete(Op::kAccept, 0, -ENOMEM), now);
  acceptor.pause(now);
  EXPECT_EQ(acceptor.next_deadline(), now + 10ms);
}

TEST_F(Accepting, PausesAfterAsManyRetriesInARowAsAreAllowedAndNotBefore) {
  own();
  acceptor.start();
  for (int i = 0; i < Acceptor::kRetriesMax - 1; ++i) accept(-EPERM);
  EXPECT_EQ(acceptor.mode(), Acceptor::Mode::kAccepting);
  accept(7);
  for (int i = 0; i < Acceptor::kRetriesMax - 1; ++i) accept(-EPERM);
  EXPECT_EQ(acceptor.mode(), Acceptor::Mode::kAccepting) << "a success begins the count anew";
  accept(-EPERM);
  EXPECT_EQ(acceptor.mode(), Acceptor::Mode::kPaused);
  EXPECT_TRUE(ring.empty());
}

TEST(Acceptor, MakesAListenerBlockAgainThatSomebodyMadeNonBlocking) {
  RecordingRing ring;
  std::vector<common::UniqueFd> one = listeners(1);
  const common::UniqueFd same(fcntl(one[0].get(), F_DUPFD_CLOEXEC, 0));
  Acceptor acceptor(ring, std::move(one));
  acceptor.start();
  fcntl(same.get(), F_SETFL, O_NONBLOCK);
  acceptor.on_accept(ring.complete(Op::kAccept, 0, -EAGAIN), kStart);
  acceptor.go_on(0);
  EXPECT_EQ(fcntl(same.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_TRUE(ring.has(Op::kAccept));
}

TEST_F(Accepting, TakesOneByOneOnceToldTo) {
  own();
  acceptor.start();
  acceptor.set_repeat(Repeat::kOnce);
  EXPECT_TRUE(ring.is(Op::kAccept, 0, Armed::kCancelling));
  accept(7);  // came before the cancellation
  EXPECT_TRUE(ring.is(Op::kAccept, 0, Armed::kCancelling));
  settle();
  EXPECT_TRUE(ring.is(Op::kAccept, 0, Armed::kOnce));
  acceptor.set_repeat(Repeat::kMultishot);
  EXPECT_TRUE(ring.is(Op::kAccept, 0, Armed::kOnce)) << "the next one is soon enough";
  accept(8);
  EXPECT_TRUE(ring.is(Op::kAccept, 0, Armed::kMultishot));
}

TEST_F(Accepting, SubmitsAnewToSeeANewLimit) {
  own();
  acceptor.start();
  const int before = ring.armings();
  acceptor.renew();
  settle();
  EXPECT_EQ(ring.armings(), before + 1);
  EXPECT_TRUE(ring.is(Op::kAccept, 0, Armed::kMultishot));
}

TEST_F(Accepting, TakesExactlyOneWhileHeld) {
  own();
  acceptor.start();
  acceptor.hold();
  EXPECT_FALSE(acceptor.waiting()) << "an accept is on its way still";
  settle();
  EXPECT_TRUE(ring.empty());
  acceptor.take_one(0);
  accept(7);
  EXPECT_TRUE(ring.empty());
}

TEST(Acceptor, SaysOnWhichListenerAClientWaits) {
  RecordingRing ring;
  std::vector<common::UniqueFd> three = listeners(3);
  const common::UniqueFd second(fcntl(three[1].get(), F_DUPFD_CLOEXEC, 0));
  Acceptor acceptor(ring, std::move(three));
  EXPECT_EQ(acceptor.waiting(), std::nullopt);
  const common::UniqueFd client = test_stage::connect_to(second.get());
  EXPECT_EQ(acceptor.waiting(), 1U);
}

TEST(Acceptor, LeavesOneListenerAndGoesOnWithTheOthers) {
  RecordingRing ring;
  std::vector<common::UniqueFd> two = listeners(2);
  const common::UniqueFd first(fcntl(two[0].get(), F_DUPFD_CLOEXEC, 0));
  Acceptor acceptor(ring, std::move(two));
  acceptor.start();
  acceptor.leave(0);
  for (const Completion& completion : ring.cancelled()) {
    if (completion.tag.op == Op::kListener) {
      acceptor.on_readable(completion);
    } else {
      acceptor.on_accept(completion, kStart);
      acceptor.go_on(completion.tag.index);
    }
  }
  EXPECT_FALSE(ring.has(Op::kAccept, 0));
  EXPECT_FALSE(ring.has(Op::kListener, 0));
  EXPECT_TRUE(ring.has(Op::kAccept, 1));
  const common::UniqueFd client = test_stage::connect_to(first.get());
  EXPECT_FALSE(acceptor.has_queue()) << "that queue is somebody else's";
  acceptor.hold();
  EXPECT_EQ(acceptor.waiting(), std::nullopt);
}

TEST(Acceptor, SaysWhetherAnybodyIsQueued) {
  RecordingRing ring;
  std::vector<common::UniqueFd> two = listeners(2);
  const common::UniqueFd second(fcntl(two[1].get(), F_DUPFD_CLOEXEC, 0));
  Acceptor acceptor(ring, std::move(two));
  EXPECT_FALSE(acceptor.has_queue());
  const common::UniqueFd client = test_stage::connect_to(second.get());
  EXPECT_TRUE(acceptor.has_queue());
}

TEST_F(Accepting, StopsForGood) {
  acceptor.start();
  acceptor.stop();
  acceptor.start();
  acceptor.hold();
  acceptor.pause(kStart);
  acceptor.renew();
  acceptor.on_time(kStart + 1h);
  settle();
  EXPECT_EQ(acceptor.mode(), Acceptor::Mode::kStopped);
  EXPECT_FALSE(acceptor.armed());
}

// Any order of wishes and completions: never armed twice (the ring insists), and in the end what the mode says.
TEST(Acceptor, ArmsNothingTwiceInWhateverOrderThingsHappen) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    RecordingRing ring;
    std::vector<common::UniqueFd> two = listeners(1);
    two.push_back(test_stage::listening_unix_socket());
    Acceptor acceptor(ring, std::move(two));
    common::TimePoint now = kStart;
    const auto on_accept = [&](const Completion& completion) {
      acceptor.on_accept(completion, now);
      acceptor.go_on(completion.tag.index);
    };
    const auto complete = [&](Op op, std::uint32_t index, int result) {
      if (!ring.has(op, index)) return;
      if (op == Op::kListener) return acceptor.on_readable(ring.complete(op, index, 1));
      on_accept(ring.complete(op, index, result));
    };
    const auto settle = [&] {
      for (auto all = ring.cancelled(); !all.empty(); all = ring.cancelled()) {
        for (const Completion& one : all) {
          one.tag.op == Op::kAccept ? on_accept(one) : acceptor.on_readable(one);
        }
      }
    };
    for (int step = 0; step < 100; ++step, now += 50ms) {
      const std::uint32_t index = random() % 2;
      switch (random() % 13) {
        case 0: acceptor.start(); break;
        case 1: acceptor.hold(); break;
        case 2: acceptor.pause(now); break;
        case 3: acceptor.on_time(now); break;
        case 4: acceptor.own_slot(now); break;
        case 5: acceptor.renew(); break;
        case 6: acceptor.set_repeat(random() % 2 == 0 ? Repeat::kOnce : Repeat::kMultishot); break;
        case 7: settle(); break;
        case 8: complete(Op::kAccept, index, 7); break;
        case 9: complete(Op::kAccept, index, -ECONNABORTED); break;
        case 10: complete(Op::kListener, index, 1); break;
        case 11:
          if (acceptor.mode() == Acceptor::Mode::kHeld) acceptor.watch();
          break;
        case 12:
          if (acceptor.mode() == Acceptor::Mode::kHeld && !ring.has(Op::kAccept, index)) acceptor.take_one(index);
          break;
      }
    }
    acceptor.start();
    settle();
    for (const std::uint32_t index : {0U, 1U}) EXPECT_TRUE(ring.has(Op::kAccept, index)) << "seed " << seed;
    acceptor.stop();
    settle();
    EXPECT_FALSE(acceptor.armed()) << "seed " << seed;
    EXPECT_TRUE(ring.empty()) << "seed " << seed;
  }
}

}  // namespace
