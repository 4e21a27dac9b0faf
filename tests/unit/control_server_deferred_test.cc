// ControlServer: answers that come later, and clients that wait for them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "control_server_stage.h"
#include "master/control_server.h"

namespace {

using control_server_stage::Client;
using control_server_stage::ControlServerStage;
using control_server_stage::kLater;
using control_server_stage::kRequest;
using master::ControlReply;
using master::ControlServer;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using ControlServerDeferred = ControlServerStage;

TEST_F(ControlServerDeferred, AnswersWhenTheHandlerDoes) {
  const auto client = connect();
  client->send(kLater);
  settle();
  pass(std::chrono::minutes(30));
  EXPECT_EQ(client->received(), "");
  server_->reply(handler_.tokens[0], {202, "done\n"}, now_);
  settle();
  const std::string response = client->received();
  EXPECT_THAT(response, StartsWith("HTTP/1.1 202 "));
  EXPECT_THAT(response, HasSubstr("\r\n\r\ndone\n"));
  client->send(kRequest);
  settle();
  EXPECT_THAT(client->received(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(ControlServerDeferred, AnswersEachRequestAsItWasAsked) {
  const auto head = connect();
  head->send("HEAD /later HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const auto get = connect();
  settle();
  get->send(kLater);
  settle();
  ASSERT_EQ(handler_.tokens.size(), 2U);
  EXPECT_NE(handler_.tokens[0], handler_.tokens[1]);
  server_->reply(handler_.tokens[1], {200, "second"}, now_);
  settle();
  EXPECT_THAT(get->received(), HasSubstr("\r\n\r\nsecond"));
  EXPECT_EQ(head->received(), "");
  server_->reply(handler_.tokens[0], {200, "first"}, now_);
  settle();
  const std::string response = head->received();
  EXPECT_THAT(response, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_THAT(response, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(response, Not(HasSubstr("first")));
  EXPECT_TRUE(head->ended());
  EXPECT_FALSE(get->ended());
}

TEST_F(ControlServerDeferred, NoticesThatAClientHasGone) {
  auto client = connect();
  client->send(kLater);
  settle();
  EXPECT_EQ(server_->clients(), 1U);
  client.reset();
  settle();
  EXPECT_EQ(server_->clients(), 0U);
  server_->reply(handler_.tokens[0], {200, "{}"}, now_);  // nobody is there: nothing happens
  settle();
}

TEST_F(ControlServerDeferred, AnswersNobodyTwice) {
  const auto client = connect();
  client->send(kLater);
  settle();
  server_->reply(handler_.tokens[0] + 1, {200, "a stranger's"}, now_);
  settle();
  EXPECT_EQ(client->received(), "");
  server_->reply(handler_.tokens[0], {200, "once"}, now_);
  settle();
  EXPECT_THAT(client->received(), HasSubstr("once"));
  server_->reply(handler_.tokens[0], {200, "twice"}, now_);
  settle();
  EXPECT_EQ(client->received(), "");
}

TEST_F(ControlServerDeferred, DoesNotMistakeAnEndedSideForAGoneClient) {
  const auto client = connect();
  client->send(kLater);
  client->end_sending();
  settle();  // would spin if the end of its side were watched
  EXPECT_EQ(server_->clients(), 1U);
  server_->reply(handler_.tokens[0], {200, "{}"}, now_);
  settle();
  EXPECT_THAT(client->received(), StartsWith("HTTP/1.1 200 "));
  EXPECT_TRUE(client->ended());
}

TEST_F(ControlServerDeferred, LetsLaterRequestsOfTheSameClientWait) {
  const auto client = connect();
  client->send(std::string(kLater) + "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  settle();
  client->send("GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  settle();
  EXPECT_THAT(handler_.calls, ElementsAre("GET /later"));
  server_->reply(handler_.tokens[0], {200, "{}"}, now_);
  EXPECT_THAT(handler_.calls, ElementsAre("GET /later"));  // nothing of the handler is called from within reply()
  settle();
  EXPECT_THAT(handler_.calls, ElementsAre("GET /later", "GET /a", "GET /b"));
}

TEST_F(ControlServerDeferred, TellsAClientThatWaitedTooLong) {
  const auto client = connect();
  client->send(kLater);
  settle();
  EXPECT_EQ(server_->next_deadline(), now_ + ControlServer::kWaitMax);
  pass(ControlServer::kWaitMax - std::chrono::nanoseconds(1));
  EXPECT_EQ(client->received(), "");
  pass(std::chrono::nanoseconds(1));
  EXPECT_THAT(client->received(), StartsWith("HTTP/1.1 504 "));
  EXPECT_TRUE(client->ended());
  server_->reply(handler_.tokens[0], {200, "{}"}, now_);
}

TEST_F(ControlServerDeferred, NeverGivesUpAClientThatWaits) {
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < ControlServer::kClientsMax; ++i) {
    clients.push_back(connect());
    clients.back()->send(kLater);
    settle();
  }
  EXPECT_THAT(ask(kRequest), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(server_->clients(), ControlServer::kClientsMax);
  server_->reply(handler_.tokens[0], {200, "{}"}, now_);
  settle();
  EXPECT_THAT(ask(kRequest), StartsWith("HTTP/1.1 200 "));  // in the place of the one that is idle now
  EXPECT_THAT(clients[0]->received(), StartsWith("HTTP/1.1 200 "));
  for (std::size_t i = 1; i < clients.size(); ++i) EXPECT_FALSE(clients[i]->ended()) << i;
}

TEST_F(ControlServerDeferred, EndsWhileClientsWait) {
  const auto client = connect();
  client->send(kLater);
  settle();
  server_.reset();
  EXPECT_TRUE(client->ended());
}

// Replies before its own call has returned.
class HastyHandler final : public master::ControlHandler {
 public:
  master::ControlOutcome handle(std::string_view, std::string_view, const std::map<std::string, std::string>&,
                                master::ClientToken client) override {
    server->reply(client, {200, "hasty"}, common::TimePoint(std::chrono::hours(1)));
    return master::Deferred{};
  }
  ControlServer* server = nullptr;
};

TEST(ControlServerReply, MayComeFromWithinTheHandler) {
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("control.sock");
  auto socket = master::ControlSocket::open(path, 0600);
  ASSERT_TRUE(socket.has_value());
  master::Poller poller;
  ASSERT_TRUE(poller.open().has_value());
  HastyHandler handler;
  auto server = ControlServer::start(*socket, poller, handler);
  ASSERT_TRUE(server.has_value());
  handler.server = &*server;
  Client client(path);
  client.send(std::string(kRequest) + std::string(kRequest));
  const common::TimePoint now(std::chrono::hours(1));
  for (int turns = 0; turns < 10; ++turns) {
    for (const master::PollEvent& event : poller.wait(now, now)) server->on_event(event.fd, event.events, now);
  }
  const std::string response = client.received();
  EXPECT_NE(response.find("hasty"), response.rfind("hasty"));
}

}  // namespace
