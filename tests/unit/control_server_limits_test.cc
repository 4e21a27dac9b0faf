// ControlServer: deadlines, places and descriptors: what a client can cost the master.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "control_server_stage.h"
#include "master/control_server.h"
#include "support/environment.h"

namespace {

using common::UniqueFd;
using control_server_stage::Client;
using control_server_stage::ControlServerStage;
using control_server_stage::kLargeBody;
using control_server_stage::kRequest;
using master::ControlServer;
using testing::StartsWith;

using ControlServerLimits = ControlServerStage;

TEST_F(ControlServerLimits, ClosesAClientThatIsSilentForTooLong) {
  const auto client = connect();
  settle();
  EXPECT_EQ(server_->next_deadline(), now_ + ControlServer::kIdleMax);
  pass(ControlServer::kIdleMax - std::chrono::nanoseconds(1));
  EXPECT_FALSE(client->ended());
  pass(std::chrono::nanoseconds(1));
  EXPECT_TRUE(client->ended());
  EXPECT_EQ(server_->next_deadline(), std::nullopt);
}

TEST_F(ControlServerLimits, CountsIdleTimeFromTheLastAnswer) {
  const auto client = connect();
  settle();
  pass(ControlServer::kIdleMax / 2);
  client->send(kRequest);
  settle();
  EXPECT_EQ(server_->next_deadline(), now_ + ControlServer::kIdleMax);
}

TEST_F(ControlServerLimits, GivesARequestThatTricklesNoMoreTime) {
  const auto client = connect();
  client->send("GET /sta");
  settle();
  pass(ControlServer::kPatience - std::chrono::nanoseconds(1));
  client->send("tus");
  settle();
  EXPECT_EQ(client->received(), "");
  pass(std::chrono::nanoseconds(1));
  EXPECT_THAT(client->received(), StartsWith("HTTP/1.1 408 "));
  EXPECT_TRUE(client->ended());
}

TEST_F(ControlServerLimits, WaitsForTheEndOfARefusedClientOnlyForAMoment) {
  const auto client = connect();
  client->send("nonsense\r\n\r\n");
  settle();
  EXPECT_EQ(server_->clients(), 1U);
  pass(ControlServer::kLingerMax);
  EXPECT_EQ(server_->clients(), 0U);
}

TEST_F(ControlServerLimits, SendsALargeAnswerAsFastAsItIsRead) {
  const auto client = connect();
  client->send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  std::size_t bytes = 0;
  for (int i = 0; i < 1000 && bytes < kLargeBody; ++i) {
    settle();
    bytes += client->received().size();
  }
  EXPECT_GT(bytes, kLargeBody);
  EXPECT_FALSE(client->ended());
}

TEST_F(ControlServerLimits, AnswersOthersWhileOneDoesNotRead) {
  const auto lazy = connect();
  lazy->send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  settle();
  EXPECT_THAT(ask(kRequest), StartsWith("HTTP/1.1 200 "));
  pass(ControlServer::kPatience);
  lazy->received();
  EXPECT_TRUE(lazy->ended());
  EXPECT_EQ(server_->clients(), 0U);
}

TEST_F(ControlServerLimits, DoesNotSpinWhenAClientEndsItsSideAndDoesNotRead) {
  const auto client = connect();
  client->send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  client->end_sending();
  settle();
  EXPECT_EQ(server_->clients(), 1U);
}

TEST_F(ControlServerLimits, GivesUpAnAnswerWhoseClientIsGone) {
  auto client = connect();
  client->send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  settle();
  client.reset();
  settle();
  EXPECT_EQ(server_->clients(), 0U);
}

TEST_F(ControlServerLimits, ClosesTheLongestIdleToMakeRoom) {
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < ControlServer::kClientsMax; ++i) {
    clients.push_back(connect());
    pass(std::chrono::milliseconds(1));
  }
  clients[0]->send("GET /st");  // has begun a request: not idle
  clients[1]->send(kRequest);   // has just been active
  settle();
  for (const auto& client : clients) EXPECT_FALSE(client->ended());
  EXPECT_THAT(ask(kRequest), StartsWith("HTTP/1.1 200 "));
  EXPECT_FALSE(clients[0]->ended());
  EXPECT_FALSE(clients[1]->ended());
  EXPECT_TRUE(clients[2]->ended());
  EXPECT_FALSE(clients[3]->ended());
}

TEST_F(ControlServerLimits, TellsOneTooManyThatAllAreBusy) {
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < ControlServer::kClientsMax; ++i) {
    clients.push_back(connect());
    clients.back()->send("GET /st");
    settle();
  }
  const auto client = connect();
  settle();
  EXPECT_THAT(client->received(), StartsWith("HTTP/1.1 503 "));
  EXPECT_TRUE(client->ended());
  EXPECT_EQ(server_->clients(), ControlServer::kClientsMax);
}

// Lowers the soft limit so that not one more descriptor can be opened; the destructor restores it.
class NoDescriptorsLeft {
 public:
  NoDescriptorsLeft() {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    const UniqueFd lowest_free(::dup(STDERR_FILENO));
    rlimit none = before_;
    none.rlim_cur = static_cast<rlim_t>(lowest_free.get());
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~NoDescriptorsLeft() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(ControlServerLimits, LooksAwayFromItsQueueWhileItHasNoDescriptors) {
  if (support::is_sanitized()) GTEST_SKIP() << "UBSan opens pipes of its own to look at objects";
  const auto client = connect();
  client->send(kRequest);
  {
    const NoDescriptorsLeft limit;
    settle();  // would spin if the listener stayed watched
    EXPECT_EQ(server_->next_deadline(), now_ + ControlServer::kAcceptPause);
    pass(ControlServer::kAcceptPause);
    EXPECT_EQ(client->received(), "");
  }
  pass(ControlServer::kAcceptPause);
  EXPECT_THAT(client->received(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(ControlServerLimits, GivesUpAnIdleClientWhenItHasNoDescriptors) {
  if (support::is_sanitized()) GTEST_SKIP() << "UBSan opens pipes of its own to look at objects";
  const auto idle = connect();
  settle();
  const auto client = connect();
  client->send(kRequest);
  {
    const NoDescriptorsLeft limit;
    settle();
  }
  EXPECT_TRUE(idle->ended());
  EXPECT_THAT(client->received(), StartsWith("HTTP/1.1 200 "));
}

}  // namespace
