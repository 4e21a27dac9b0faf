// HttpSession: the conversation of one client, without a socket.
#include "worker/http_session.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

using worker::HttpSession;
using worker::ServingMode;

// Answers every request with its target, or not at all.
class Echo : public worker::RequestHandler {
 public:
  void handle(const common::Request& request, HttpSession& session) override {
    targets.emplace_back(request.target);
    if (request.target == "/silent") return;
    EXPECT_TRUE(session.respond(200, {}, body.empty() ? request.target : std::string_view(body)));
    EXPECT_FALSE(session.respond(200, {}, "twice"));
  }
  void on_answered(const common::Request&, HttpSession&, int status, std::size_t) override {
    statuses.push_back(status);
  }

  std::vector<std::string> targets;
  std::vector<int> statuses;
  std::string body;
};

struct Conversation : testing::Test {
  Conversation() {
    context.handler = &echo;
    session.reset(-1, 0);
  }

  std::string taken() {
    std::string all;
    while (session.take_output()) all += session.sending();
    return all;
  }

  Echo echo;
  worker::SessionContext context;
  HttpSession session{context};
};

std::string get(std::string_view target, std::string_view more = "") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n" + std::string(more) + "\r\n";
}

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST_F(Conversation, AnswersPipelinedRequestsInOrderAndInOneOutput) {
  session.receive(get("/1") + get("/2") + get("/3"));
  ASSERT_TRUE(session.take_output());
  const std::string out(session.sending());
  EXPECT_EQ(count(out, "HTTP/1.1 200 OK"), 3U);
  EXPECT_LT(out.find("/1"), out.find("/2"));
  EXPECT_LT(out.find("/2"), out.find("/3"));
  EXPECT_FALSE(session.take_output());
  EXPECT_EQ(session.phase(), HttpSession::Phase::kBetween);
}

TEST_F(Conversation, KnowsWhatIsMissing) {
  session.receive("GET / HT");
  EXPECT_EQ(session.phase(), HttpSession::Phase::kHead);
  session.receive("TP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
  EXPECT_EQ(session.phase(), HttpSession::Phase::kBody);
  EXPECT_TRUE(echo.targets.empty());
  session.receive("bc");
  EXPECT_EQ(session.phase(), HttpSession::Phase::kBetween);
  EXPECT_EQ(echo.targets.size(), 1U);
}

TEST_F(Conversation, EndsWhenTheClientAsksForIt) {
  session.receive(get("/", "Connection: close\r\n") + get("/never"));
  EXPECT_NE(taken().find("Connection: close"), std::string::npos);
  EXPECT_EQ(session.phase(), HttpSession::Phase::kOver);
  EXPECT_EQ(echo.targets, std::vector<std::string>{"/"});
}

TEST_F(Conversation, EndsAfterAsManyRequestsAsConfigured) {
  context.requests_per_connection = 2;
  session.receive(get("/1"));
  EXPECT_EQ(taken().find("Connection: close"), std::string::npos);
  session.receive(get("/2") + get("/3"));
  EXPECT_NE(taken().find("Connection: close"), std::string::npos);
  EXPECT_EQ(echo.targets.size(), 2U);
}

TEST_F(Conversation, AnswersEverythingAlreadySentBeforeItEndsInADrain) {
  context.mode = ServingMode::kDraining;
  session.receive(get("/1") + get("/2"));
  const std::string out = taken();
  EXPECT_EQ(count(out, "HTTP/1.1 200 OK"), 2U);
  EXPECT_EQ(count(out, "Connection: close"), 1U);
  EXPECT_GT(out.find("Connection: close"), out.find("/1"));
  EXPECT_EQ(session.phase(), HttpSession::Phase::kOver);
}

// Of a client whose further bytes the session has not been given yet.
class MoreToCome : public worker::InputProbe {
 public:
  bool has_more(int) override { return has; }
  bool has = true;
};

TEST_F(Conversation, DoesNotEndInADrainWhileMoreHasCome) {
  MoreToCome input;
  context.mode = ServingMode::kDraining;
  context.input = &input;
  session.receive(get("/1"));
  EXPECT_EQ(taken().find("Connection: close"), std::string::npos);
  EXPECT_EQ(session.phase(), HttpSession::Phase::kBetween);
  input.has = false;
  session.receive(get("/2"));
  EXPECT_NE(taken().find("Connection: close"), std::string::npos);
  EXPECT_EQ(session.phase(), HttpSession::Phase::kOver);
}

TEST_F(Conversation, EndsAtTheLastCallWhateverHasCome) {
  MoreToCome input;
  context.mode = ServingMode::kLastCall;
  context.input = &input;
  session.receive(get("/1") + get("/2"));
  EXPECT_NE(taken().find("Connection: close"), std::string::npos);
  EXPECT_EQ(echo.targets, std::vector<std::string>{"/1"});
}

TEST_F(Conversation, OwesA500WhenTheHandlerIsSilent) {
  session.receive(get("/silent"));
  EXPECT_NE(taken().find("HTTP/1.1 500 "), std::string::npos);
  EXPECT_EQ(echo.statuses, std::vector<int>{500});
}

TEST_F(Conversation, RefusesAndEnds) {
  session.receive("GET / HTTP/1.1\r\n\r\n");
  const std::string out = taken();
  EXPECT_NE(out.find("HTTP/1.1 400 "), std::string::npos);
  EXPECT_NE(out.find("Connection: close"), std::string::npos);
  EXPECT_EQ(session.phase(), HttpSession::Phase::kOver);
  session.receive(get("/never"));
  EXPECT_TRUE(echo.targets.empty());
}

TEST_F(Conversation, SendsContinueOnlyToAClientThatWaits) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
  session.receive(head);
  EXPECT_EQ(taken(), "HTTP/1.1 100 Continue\r\n\r\n");
  session.receive("ab");
  EXPECT_EQ(taken().find("100 Continue"), std::string::npos);
  session.receive(head + "ab");
  EXPECT_EQ(taken().find("100 Continue"), std::string::npos);
}

TEST_F(Conversation, AnswersHeadWithoutABody) {
  session.receive("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::string out = taken();
  EXPECT_NE(out.find("Content-Length: 2\r\n"), std::string::npos);
  EXPECT_TRUE(out.ends_with("\r\n\r\n"));
}

TEST_F(Conversation, KeepsAnHttp10ConnectionOnlyOnRequest) {
  session.receive("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_NE(taken().find("Connection: keep-alive"), std::string::npos);
  EXPECT_EQ(session.phase(), HttpSession::Phase::kBetween);
  session.receive("GET / HTTP/1.0\r\n\r\n");
  EXPECT_NE(taken().find("Connection: close"), std::string::npos);
  EXPECT_EQ(session.phase(), HttpSession::Phase::kOver);
}

TEST_F(Conversation, LooksAtNoMoreRequestsThanTheClientTakesAnswersOf) {
  echo.body.assign(100 * 1024, 'x');
  std::string requests;
  for (int i = 0; i < 10; ++i) requests += get("/" + std::to_string(i));
  session.receive(requests);
  EXPECT_EQ(echo.targets.size(), 3U);  // 100, 200, 300 KiB: the third crosses 256 KiB
  EXPECT_FALSE(session.wants_input());
  EXPECT_EQ(count(taken(), "HTTP/1.1 200 OK"), 10U);
  EXPECT_EQ(echo.targets.size(), 10U);
  EXPECT_TRUE(session.wants_input());
}

TEST_F(Conversation, CountsAnswersAcrossThePoolingOfItsMemory) {
  context.requests_per_connection = 2;
  session.reset(-1, 1);
  session.receive(get("/second"));
  EXPECT_NE(taken().find("Connection: close"), std::string::npos);
  EXPECT_EQ(session.answered(), 2U);
}

}  // namespace
