// HttpServer: clients who are in a listen queue when a drain begins.
#include <gtest/gtest.h>

#include "drain_stage.h"

namespace {

using namespace std::chrono_literals;
using common::DrainQueue;
using common::FdRole;
using common::UniqueFd;
using test_stage::count;
using test_stage::get;
using test_stage::kDrainMax;
using test_stage::kGrace;
using worker::Emptying;
using Draining = test_stage::DrainStage;

TEST_F(Draining, AcceptsEverythingThatIsQueuedBeforeItLeaves) {
  start();
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(client());
  drain({.queue = DrainQueue::kEmpty});
  EXPECT_FALSE(server->has_stopped());
  pass(Emptying::kSettle);
  EXPECT_TRUE(server->has_stopped());
  server->close_listeners();
  for (const UniqueFd& one : clients) tell(one, get("/queued"));
  settle();
  for (const UniqueFd& one : clients) EXPECT_EQ(count(heard(one), "Connection: close"), 1U);
}

TEST_F(Draining, LeavesTheQueueToASuccessor) {
  start();
  settle();
  drain();
  EXPECT_TRUE(server->has_stopped());
  const UniqueFd queued = client();
  settle();
  EXPECT_EQ(server->connections(), 0U);
  EXPECT_GE(UniqueFd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)).get(), 0);
}

TEST_F(Draining, AcceptsUntilTheQueueHasBeenEmptyForTheSettleTime) {
  start();
  drain({.queue = DrainQueue::kEmpty});
  pass(Emptying::kSettle - 1ms);
  const UniqueFd late = client();
  settle();
  pass(Emptying::kSettle - 1ms);
  EXPECT_EQ(server->connections(), 1U);
  EXPECT_FALSE(server->has_stopped());
  pass(1ms);
  EXPECT_TRUE(server->has_stopped());
}

TEST_F(Draining, EmptiesNoLongerThanHalfOfItsTime) {
  start();
  drain({.queue = DrainQueue::kEmpty});
  std::vector<UniqueFd> clients;
  for (common::Duration passed = 100ms; passed < kDrainMax / 2; passed += 100ms) {
    clients.push_back(client());
    pass(100ms);
    if (server->connections() > 90) clients.clear();
    ASSERT_FALSE(server->has_stopped());
  }
  clients.push_back(client());
  pass(100ms);
  EXPECT_TRUE(server->has_stopped());
}

TEST_F(Draining, IsHurriedByASecondOrder) {
  start();
  drain({.queue = DrainQueue::kEmpty});
  drain({.queue = DrainQueue::kEmpty, .longest = 50ms});
  pass(50ms);
  EXPECT_TRUE(server->has_stopped());
}

TEST_F(Draining, StopsAtOnceWhenASecondOrderSaysSo) {
  start();
  drain({.queue = DrainQueue::kEmpty});
  drain({.queue = DrainQueue::kLeave});
  EXPECT_TRUE(server->has_stopped());
}

TEST_F(Draining, EmptiesOnlyTheSocketsItIsToldTo) {
  start();
  settle();
  drain({.queue = DrainQueue::kEmpty, .sockets = 0});
  const UniqueFd queued = client();
  settle();
  EXPECT_EQ(server->connections(), 0U);
  pass(Emptying::kSettle);
  EXPECT_TRUE(server->has_stopped()) << "that somebody waits there is not its business";
}

TEST_F(Draining, GoesOnEmptyingAQueueForWhichItHasNoRoomYet) {
  start({.connections_max = 2});
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(client());
  settle();
  EXPECT_EQ(server->connections(), 2U);
  drain({.queue = DrainQueue::kEmpty});
  pass(2 * Emptying::kSettle);
  EXPECT_FALSE(server->has_stopped());
  EXPECT_FALSE(server->is_empty());
  for (UniqueFd& one : clients) {
    tell(one, get("/queued"));
    pass(1ms);
    EXPECT_EQ(count(heard(one), "HTTP/1.1 200 OK"), 1U);
    one.reset();
  }
  pass(2 * Emptying::kSettle);
  EXPECT_TRUE(server->is_empty());
}

struct Adopting : Draining {
  // As the master has it: accepted from a socket that is none of the worker's.
  UniqueFd hand_over() {
    UniqueFd mine = test_stage::connect_to(other.get());
    server->adopt(UniqueFd(accept4(other.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)), now);
    settle();
    return mine;
  }
  UniqueFd other = test_stage::listening_tcp_socket();
};

TEST_F(Adopting, ServesAClientLikeOneOfItsOwn) {
  start();
  UniqueFd one = hand_over();
  EXPECT_EQ(noted(FdRole::kConnection).size(), 1U);
  EXPECT_EQ(record.accepted.load(), 1U);
  for (int i = 0; i < 2; ++i) {
    tell(one, get("/"));
    settle();
    EXPECT_EQ(count(heard(one), "HTTP/1.1 200 OK"), 1U);
  }
  const UniqueFd silent = hand_over();
  pass(common::TimeoutSettings{}.header);
  EXPECT_NE(heard(silent), "") << "the deadlines are everybody's";
  one.reset();
  settle();
  EXPECT_TRUE(noted(FdRole::kConnection).empty());
}

TEST_F(Adopting, ServesAClientBeyondItsPlaces) {
  start({.on_full = common::OnFull::kRefuse, .connections_max = 1});
  const UniqueFd first = client();
  settle();
  const UniqueFd promised = hand_over();
  tell(promised, get("/"));
  settle();
  EXPECT_EQ(count(heard(promised), "HTTP/1.1 200 OK"), 1U);
  EXPECT_EQ(record.refused.load(), 0U);
}

TEST_F(Adopting, ServesAClientWhileItDrains) {
  start();
  settle();
  drain();
  server->close_listeners();
  EXPECT_TRUE(server->is_empty());
  const UniqueFd promised = hand_over();
  EXPECT_FALSE(server->is_empty());
  pass(kGrace);
  tell(promised, get("/"));
  settle();
  const std::string answer = heard(promised);
  EXPECT_EQ(count(answer, "HTTP/1.1 200 OK"), 1U);
  EXPECT_EQ(count(answer, "Connection: close"), 1U);
}

TEST_F(Adopting, TakesAClientThatHasSpokenAndLeft) {
  start();
  UniqueFd mine = test_stage::connect_to(other.get());
  tell(mine, get("/"));
  shutdown(mine.get(), SHUT_WR);
  server->adopt(UniqueFd(accept4(other.get(), nullptr, nullptr, SOCK_CLOEXEC)), now);
  settle();
  EXPECT_EQ(count(heard(mine), "HTTP/1.1 200 OK"), 1U);
}

}  // namespace
