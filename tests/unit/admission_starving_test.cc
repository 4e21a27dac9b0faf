// Admission: who gives way and who is told 503 when descriptors are short, with real ones and a real limit.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "admission_stage.h"
#include "worker/admission.h"

namespace {

using namespace std::chrono_literals;
using Stage = test_stage::AdmissionStage;
using Armed = test_stage::RecordingRing::Armed;
using test_stage::kStart;
using worker::Acceptor;
using worker::Admission;
using worker::Connection;
using worker::ConnectionState;
using worker::Op;
using Verdict = Admission::Verdict;

// All numbers below the limit are in use while it lives.
class NoDescriptors {
 public:
  NoDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit now = before_;
    now.rlim_cur = static_cast<rlim_t>(common::UniqueFd(dup(0)).get());  // the lowest that is free
    setrlimit(RLIMIT_NOFILE, &now);
  }
  ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_{};
};

// Low numbers for the reserve, so that lowering the limit later does not make it worthless.
struct Starving : testing::Test {
  Starving() {
    getrlimit(RLIMIT_NOFILE, &before);
    rlimit low = before;
    low.rlim_cur = 1000;
    setrlimit(RLIMIT_NOFILE, &low);
    stage.emplace();
    waiting = test_stage::connect_to(stage->listener.get());
  }
  ~Starving() override { setrlimit(RLIMIT_NOFILE, &before); }

  // What the kernel does: it takes the lowest free number, for one client.
  common::UniqueFd taken() { return common::UniqueFd(dup(0)); }

  rlimit before{};
  std::optional<Stage> stage;
  common::UniqueFd waiting;
};

TEST_F(Starving, EvictsBeforeItRefuses) {
  Connection* idle = stage->open();
  stage->table.enter(*idle, ConnectionState::kIdle, stage->now);
  const NoDescriptors none;
  stage->fail(EMFILE);
  EXPECT_EQ(stage->admission.state(stage->now), common::Accepting::kStarving);
  EXPECT_EQ(stage->settle(), idle);
  stage->close(*idle);
  EXPECT_EQ(stage->acceptor.mode(), Acceptor::Mode::kAccepting);
}

TEST_F(Starving, TellsAClientWithAReserveDescriptorAndTakesItBack) {
  const NoDescriptors none;
  stage->fail(EMFILE);
  const std::uint32_t before_telling = stage->admission.descriptors();
  EXPECT_EQ(stage->settle(), nullptr);
  ASSERT_TRUE(stage->ring.is(Op::kAccept, 0, Armed::kOnce));
  common::UniqueFd client = taken();
  ASSERT_TRUE(client) << "the reserve was not given up";
  EXPECT_FALSE(taken()) << "more than one was given up";
  stage->admission.on_accept(stage->ring.complete(Op::kAccept, 0, client.get()), stage->now);
  ASSERT_EQ(stage->admission.judge(stage->now), Verdict::kRefuse);
  stage->admission.refuse(std::move(client), stage->now);
  EXPECT_EQ(stage->admission.descriptors(), before_telling);
  stage->pass(worker::RefusedClients::kKept);
  stage->pass(Admission::kLook);
  EXPECT_EQ(stage->admission.descriptors(), before_telling) << "the reserve is back";
  EXPECT_FALSE(taken());
}

TEST_F(Starving, ServesAClientForWhomADescriptorHasBecomeFree) {
  std::optional<NoDescriptors> none(std::in_place);
  stage->fail(EMFILE);
  stage->settle();
  common::UniqueFd client = taken();
  none.reset();
  stage->admission.on_accept(stage->ring.complete(Op::kAccept, 0, client.get()), stage->now);
  EXPECT_EQ(stage->admission.judge(stage->now), Verdict::kServe);
  EXPECT_EQ(stage->acceptor.mode(), Acceptor::Mode::kAccepting);
}

TEST_F(Starving, PausesWhenEvenTheReserveDoesNotHelp) {
  const NoDescriptors none;
  stage->fail(EMFILE);
  stage->settle();
  stage->fail(ENFILE);
  EXPECT_EQ(stage->acceptor.mode(), Acceptor::Mode::kPaused);
  EXPECT_TRUE(stage->ring.cancelled().empty());
  EXPECT_TRUE(stage->ring.empty());
}

TEST_F(Starving, FindsOutByItselfThatItIsOver) {
  common::UniqueFd(accept(stage->listener.get(), nullptr, nullptr)).reset();  // nobody waits any more
  waiting.reset();
  std::optional<NoDescriptors> none(std::in_place);
  stage->fail(EMFILE);
  stage->settle();
  stage->pass(Admission::kLook);
  EXPECT_EQ(stage->acceptor.mode(), Acceptor::Mode::kHeld);
  none.reset();
  stage->pass(Admission::kLook);
  EXPECT_EQ(stage->acceptor.mode(), Acceptor::Mode::kAccepting);
}

TEST_F(Starving, IsBoundedForClientsThatComeBackAtOnce) {
  const NoDescriptors none;
  stage->fail(EMFILE);
  stage->settle();
  int told = 0;
  for (; stage->ring.has(Op::kAccept) && told < 1000; ++told) {
    common::UniqueFd client = taken();
    ASSERT_TRUE(client);
    stage->admission.on_accept(stage->ring.complete(Op::kAccept, 0, client.get()), stage->now);
    ASSERT_EQ(stage->admission.judge(stage->now), Verdict::kRefuse);
    stage->admission.refuse(std::move(client), stage->now);
    stage->admission.seek_room(stage->now);
  }
  EXPECT_EQ(told, 256) << "within one moment";
  stage->pass(50ms);
  stage->admission.seek_room(stage->now);
  EXPECT_TRUE(stage->ring.has(Op::kAccept)) << "but it goes on";
}

}  // namespace
