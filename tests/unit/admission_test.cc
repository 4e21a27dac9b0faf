// Admission: who comes in, who gives way and who is told 503 when places are short.
#include "worker/admission.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

#include "admission_stage.h"

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

TEST(Admission, TakesAsManyAsThereArePlacesAndHoldsWithTheLast) {
  Stage stage;
  stage.open();
  stage.open();
  EXPECT_EQ(stage.acceptor.mode(), Acceptor::Mode::kAccepting);
  stage.open();
  EXPECT_EQ(stage.acceptor.mode(), Acceptor::Mode::kHeld);
  EXPECT_EQ(stage.admission.state(stage.now), common::Accepting::kFull);
}

TEST(Admission, HasNoAcceptOnItsWayThatCouldBringOneTooMany) {
  Stage stage;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(stage.ring.is(Op::kAccept, 0, Armed::kOnce)) << i;
    stage.open();
  }
  EXPECT_FALSE(stage.ring.has(Op::kAccept));
}

TEST(Admission, SendsNobodyAwayWhileNobodyWaits) {
  Stage stage;
  for (int i = 0; i < 3; ++i) stage.table.enter(*stage.open(), ConnectionState::kIdle, stage.now);
  EXPECT_EQ(stage.settle(), nullptr);
  EXPECT_TRUE(stage.ring.has(Op::kListener)) << "but it watches";
  EXPECT_FALSE(stage.ring.has(Op::kAccept));
  EXPECT_EQ(stage.admission.state(stage.now), common::Accepting::kYes) << "an idle one would give way";
}

TEST(Admission, MakesTheLongestIdleGiveWayToAClientThatWaits) {
  Stage stage;
  Connection* first = stage.open();
  for (Connection* one : {first, stage.open(), stage.open()}) {
    stage.table.enter(*one, ConnectionState::kIdle, stage.now);
  }
  const auto client = test_stage::connect_to(stage.listener.get());
  EXPECT_EQ(stage.settle(), first);
  stage.close(*first);
  EXPECT_EQ(stage.acceptor.mode(), Acceptor::Mode::kAccepting);
  EXPECT_EQ(stage.record.evicted.load(), 1U);
}

TEST(Admission, EvictsOneAtATime) {
  Stage stage;
  Connection* first = stage.open();
  for (Connection* one : {first, stage.open(), stage.open()}) {
    stage.table.enter(*one, ConnectionState::kIdle, stage.now);
  }
  const auto client = test_stage::connect_to(stage.listener.get());
  ASSERT_EQ(stage.settle(), first);
  stage.table.enter(*first, ConnectionState::kClosing, stage.now);
  EXPECT_EQ(stage.settle(), nullptr) << "room is on its way";
}

TEST(Admission, MakesASilentOneGiveWayAfterASecondWithoutAnyFurtherEvent) {
  Stage stage;
  Connection* first = stage.open();
  stage.open();
  stage.open();
  const auto client = test_stage::connect_to(stage.listener.get());
  EXPECT_EQ(stage.settle(), nullptr);
  Connection* leaver = nullptr;
  for (int turns = 0; leaver == nullptr && turns < 20; ++turns) {
    const auto next = stage.admission.next_deadline();
    ASSERT_TRUE(next) << "nothing would wake the worker";
    stage.pass(std::max(*next - stage.now, common::Duration::zero()));
    leaver = stage.admission.seek_room(stage.now);
  }
  ASSERT_EQ(leaver, first);
  EXPECT_GE(stage.now, kStart + worker::kSilentMin);
  EXPECT_LE(stage.now, kStart + worker::kSilentMin + Admission::kLook);
}

TEST(Admission, LetsClientsWaitWhileEverybodyIsBusy) {
  Stage stage;
  for (int i = 0; i < 3; ++i) stage.table.enter(*stage.open(), ConnectionState::kBody, stage.now);
  const auto client = test_stage::connect_to(stage.listener.get());
  EXPECT_EQ(stage.settle(), nullptr);
  stage.pass(1h);
  EXPECT_EQ(stage.settle(), nullptr);
  EXPECT_EQ(stage.record.refused.load(), 0U);
  EXPECT_EQ(stage.admission.state(stage.now), common::Accepting::kFull);
}

TEST(Admission, RefusesTheOnePastTheLimitWhenConfiguredSo) {
  Stage stage(common::OnFull::kRefuse);
  for (int i = 0; i < 3; ++i) ASSERT_NE(stage.open(), nullptr) << i;
  EXPECT_EQ(stage.open(), nullptr);
  EXPECT_EQ(stage.acceptor.mode(), Acceptor::Mode::kAccepting);
}

TEST(Admission, RefusesNobodyWhileAnIdleOneCanGiveWay) {
  Stage stage(common::OnFull::kRefuse);
  Connection* first = stage.open();
  stage.table.enter(*first, ConnectionState::kIdle, stage.now);
  stage.open();
  stage.open();
  ASSERT_NE(stage.open(), nullptr);
  EXPECT_EQ(stage.admission.seek_room(stage.now), first);
}

TEST(Admission, TellsARefusedClientThatHasSentItsRequestAndClosesLater) {
  Stage stage(common::OnFull::kRefuse, 1);
  std::array<int, 2> ends{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const common::UniqueFd client(ends[0]);
  ASSERT_EQ(write(client.get(), "GET / HTTP/1.1\r\n\r\n", 18), 18);
  stage.admission.refuse(common::UniqueFd(ends[1]), stage.now);
  std::array<char, 1024> answer{};
  const ssize_t size = read(client.get(), answer.data(), answer.size());
  ASSERT_GT(size, 0);
  const std::string text(answer.data(), static_cast<std::size_t>(size));
  EXPECT_TRUE(text.starts_with("HTTP/1.1 503 ")) << text;
  EXPECT_NE(text.find("\r\nRetry-After: 1\r\n"), std::string::npos);
  EXPECT_EQ(read(client.get(), answer.data(), answer.size()), 0) << "our FIN, and no reset";
  EXPECT_EQ(stage.record.refused.load(), 1U);
  const std::uint32_t before = stage.admission.descriptors();
  stage.pass(worker::RefusedClients::kKept);
  EXPECT_EQ(stage.admission.descriptors(), before - 1);
}

TEST(Admission, FollowsAChangedBudget) {
  Stage stage;
  for (int i = 0; i < 3; ++i) stage.table.enter(*stage.open(), ConnectionState::kIdle, stage.now);
  stage.settle();
  stage.admission.set_places(4, stage.now);
  EXPECT_EQ(stage.acceptor.mode(), Acceptor::Mode::kAccepting);
  stage.admission.set_places(2, stage.now);
  EXPECT_EQ(stage.acceptor.mode(), Acceptor::Mode::kHeld);
  Connection* leaver = stage.admission.seek_room(stage.now);
  ASSERT_NE(leaver, nullptr) << "one is too many now";
  stage.close(*leaver);
  EXPECT_EQ(stage.admission.seek_room(stage.now), nullptr);
  EXPECT_EQ(stage.table.size(), 2U);
}

TEST(Admission, PausesForWantOfMemory) {
  Stage stage;
  stage.fail(ENOMEM);
  EXPECT_EQ(stage.acceptor.mode(), Acceptor::Mode::kPaused);
  EXPECT_EQ(stage.record.accept_pauses.load(), 1U);
  EXPECT_EQ(stage.admission.state(stage.now), common::Accepting::kStarving);
  stage.pass(10ms);
  EXPECT_EQ(stage.acceptor.mode(), Acceptor::Mode::kAccepting);
  EXPECT_EQ(stage.admission.state(stage.now), common::Accepting::kYes);
}

TEST(AdmissionDeathTest, EndsAWorkerWhoseListenerIsGone) {
  Stage stage;
  EXPECT_EXIT(stage.fail(EBADF), testing::ExitedWithCode(70), "");
}

}  // namespace
