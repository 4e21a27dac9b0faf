// ControlServer: requests and their answers.
#include "master/control_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "common/json.h"
#include "control_server_stage.h"

namespace {

using control_server_stage::ControlServerStage;
using control_server_stage::kRequest;
using master::ControlReply;
using master::ControlServer;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using ControlServerTest = ControlServerStage;

std::string body_of(const std::string& response) {
  const std::size_t end = response.find("\r\n\r\n");
  return end == std::string::npos ? "" : response.substr(end + 4);
}

TEST_F(ControlServerTest, AnswersWithJson) {
  handler_.reply = {200, "{\"a\":1}\n"};
  const std::string response = ask(kRequest);
  EXPECT_THAT(response, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(response, HasSubstr("\r\nContent-Type: application/json\r\n"));
  EXPECT_THAT(response, HasSubstr("\r\nContent-Length: 8\r\n"));
  EXPECT_EQ(body_of(response), "{\"a\":1}\n");
}

TEST_F(ControlServerTest, GivesTheHandlerMethodPathAndQuery) {
  ask("POST /recycle?slot=3&x=a%20b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(handler_.calls, testing::ElementsAre("POST /recycle slot=3 x=a b"));
}

TEST_F(ControlServerTest, RefusesATargetThatIsNotAPath) {
  const std::string response = ask("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 400 "));
  EXPECT_TRUE(common::Json::parse(body_of(response)).contains("error"));
  EXPECT_TRUE(handler_.calls.empty());
}

TEST_F(ControlServerTest, NamesTheAllowedMethods) {
  handler_.reply = {405, "{}\n", "GET, HEAD"};
  EXPECT_THAT(ask("POST /status HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr("\r\nAllow: GET, HEAD\r\n"));
  handler_.reply = {404, "{}\n"};
  EXPECT_THAT(ask(kRequest), Not(HasSubstr("Allow:")));
}

TEST_F(ControlServerTest, AnswersHeadWithoutTheBody) {
  handler_.reply = {200, "12345"};
  const std::string response = ask("HEAD /status HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(response, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_EQ(body_of(response), "");
  EXPECT_THAT(handler_.calls, testing::ElementsAre("HEAD /status"));
}

TEST_F(ControlServerTest, KeepsAConnectionForMoreRequests) {
  const auto client = connect();
  for (int i = 0; i < 3; ++i) {
    client->send(kRequest);
    settle();
    EXPECT_THAT(client->received(), StartsWith("HTTP/1.1 200 "));
    EXPECT_FALSE(client->ended());
  }
  EXPECT_EQ(handler_.calls.size(), 3U);
}

TEST_F(ControlServerTest, ClosesWhenTheClientAsksForIt) {
  const auto client = connect();
  client->send("GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  settle();
  EXPECT_THAT(client->received(), HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_TRUE(client->ended());
  EXPECT_EQ(server_->clients(), 0U);
}

TEST_F(ControlServerTest, KeepsAnOldClientOnlyIfItAsks) {
  const auto client = connect();
  client->send("GET /status HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  settle();
  EXPECT_THAT(client->received(), HasSubstr("\r\nConnection: keep-alive\r\n"));
  EXPECT_FALSE(client->ended());
  client->send("GET /status HTTP/1.0\r\n\r\n");
  settle();
  EXPECT_TRUE(client->ended());
}

TEST_F(ControlServerTest, AnswersOneOfManyPipelinedRequestsInATurn) {
  const auto client = connect();
  for (const char* path : {"/a", "/b", "/c"}) client->send("GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n");
  turn();  // accepts
  turn();
  EXPECT_THAT(handler_.calls, testing::ElementsAre("GET /a"));
  turn();
  EXPECT_THAT(handler_.calls, testing::ElementsAre("GET /a", "GET /b"));
  settle();
  EXPECT_THAT(handler_.calls, testing::ElementsAre("GET /a", "GET /b", "GET /c"));
  EXPECT_FALSE(client->ended());
}

TEST_F(ControlServerTest, AnswersAClientThatHasEndedItsSide) {
  const auto client = connect();
  client->send(std::string(kRequest) + std::string(kRequest));
  client->end_sending();
  settle();
  EXPECT_EQ(handler_.calls.size(), 2U);
  EXPECT_THAT(client->received(), StartsWith("HTTP/1.1 200 "));
  EXPECT_TRUE(client->ended());
}

TEST_F(ControlServerTest, TakesARequestInSinglePieces) {
  const auto client = connect();
  for (const char byte : kRequest) {
    client->send({&byte, 1});
    settle();
  }
  EXPECT_THAT(client->received(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(ControlServerTest, RefusesAMalformedRequestInJsonAndCloses) {
  const auto client = connect();
  client->send("GET /status HTTP/1.1\r\nHost : x\r\n\r\n");
  settle();
  const std::string response = client->received();
  EXPECT_THAT(response, StartsWith("HTTP/1.1 400 "));
  EXPECT_TRUE(common::Json::parse(body_of(response)).contains("error"));
  EXPECT_TRUE(client->ended());
  EXPECT_TRUE(handler_.calls.empty());
}

TEST_F(ControlServerTest, TakesABodyOfTheLargestSizeAndNoneLarger) {
  const auto head = [](std::size_t bytes) {
    return "POST /stop HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n";
  };
  EXPECT_THAT(ask(head(ControlServer::kRequestBodyMax) + std::string(ControlServer::kRequestBodyMax, 'b')),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(ask(head(ControlServer::kRequestBodyMax + 1)), StartsWith("HTTP/1.1 413 "));
  EXPECT_EQ(handler_.calls.size(), 1U);
}

TEST_F(ControlServerTest, AsksForABodyThatIsHeldBack) {
  const auto client = connect();
  client->send("POST /stop HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  settle();
  EXPECT_EQ(client->received(), common::kContinue);
  client->send("{}");
  settle();
  EXPECT_THAT(client->received(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(ControlServerTest, OwnsItsListenerAndItsClientsOnly) {
  EXPECT_TRUE(server_->owns(socket_->fd()));
  EXPECT_FALSE(server_->owns(STDERR_FILENO));
}

TEST(ControlError, ReplacesWhatIsNotUtf8) {
  const ControlReply reply = master::control_error(400, "bad \xff byte");
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(common::Json::parse(reply.body).at("error"), "bad \xef\xbf\xbd byte");
}

}  // namespace
