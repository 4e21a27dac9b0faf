// HTTP/1.1 on the wire: which requests are answered with what, and in what order.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/inspection.h"
#include "support/supervisor_process.h"

namespace {

using support::BodyRule;
using support::Deadline;
using support::get_request;
using support::HttpClient;
using support::HttpRead;
using support::HttpResponse;
using support::Inspection;
using support::joined;
using support::ReadOutcome;
using support::SupervisorProcess;

std::vector<std::string> one_worker() { return {"--workers", "1"}; }

HttpResponse ask(HttpClient& client, std::string_view request, BodyRule rule = BodyRule::kPresent) {
  EXPECT_TRUE(client.send(request));
  HttpRead read = client.read(rule);
  EXPECT_EQ(read.outcome, ReadOutcome::kAnswer);
  return std::move(read.response);
}

Inspection inspect(HttpClient& client, std::string_view request) {
  const HttpResponse answer = ask(client, request);
  EXPECT_EQ(answer.status, 200) << answer.body;
  common::Result<Inspection> inspection = support::parse_inspection(answer.body);
  if (!inspection) throw std::runtime_error(inspection.error().message);
  return std::move(*inspection);
}

std::string post_head(std::size_t length) {
  return "POST /inspect HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
}

std::string filled(std::size_t size) { return std::string(size, 'x'); }

TEST(Http, SendsDateServerAndLength) {
  SupervisorProcess server({.arguments = one_worker()});
  ASSERT_TRUE(server.wait_ready(1));
  const HttpResponse answer = server.get("/hello");
  EXPECT_TRUE(answer.has_header("Server"));
  EXPECT_TRUE(answer.header("Date").ends_with(" GMT")) << answer.header("Date");
  EXPECT_EQ(answer.header("Content-Length"), std::to_string(answer.body.size()));
}

TEST(Http, AnswersHeadWithTheLengthAndWithoutTheBody) {
  SupervisorProcess server({.arguments = one_worker()});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient client = server.connect();
  const HttpResponse got = ask(client, get_request("/hello"));
  const HttpResponse head = ask(client, "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n", BodyRule::kNone);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("Content-Length"), got.header("Content-Length"));
  // Were there a body, it would stand before the next answer.
  EXPECT_EQ(ask(client, get_request("/hello")).body, got.body);
}

TEST(Http, ShowsTheApplicationWhatTheClientSent) {
  SupervisorProcess server({.arguments = one_worker()});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient client = server.connect();
  const Inspection seen = inspect(
      client, "PUT /inspect?a=%20b HTTP/1.1\r\nHost: test\r\nX-B:  two \r\nx-a: 1\r\nContent-Length: 4\r\n\r\n" +
                  std::string("a\0\r\n", 4));
  EXPECT_EQ(seen.method, "PUT");
  EXPECT_EQ(seen.target, "/inspect?a=%20b");
  EXPECT_EQ(seen.version, "1.1");
  EXPECT_EQ(seen.scheme, "http");
  EXPECT_EQ(seen.body, std::string("a\0\r\n", 4));
  EXPECT_TRUE(seen.peer.starts_with("127.0.0.1:")) << seen.peer;
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"Host", "test"}, {"X-B", "two"}, {"x-a", "1"}, {"Content-Length", "4"}};
  EXPECT_EQ(seen.headers, expected);
}

TEST(Http, DecodesChunksAndTrailers) {
  SupervisorProcess server({.arguments = one_worker()});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient client = server.connect();
  const Inspection seen =
      inspect(client,
              "POST /inspect HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
              "4;note=\"x\"\r\nWiki\r\n6\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nX-Sum: 42\r\n\r\n");
  EXPECT_EQ(seen.body, "Wikipedia in \r\n\r\nchunks.");
  const std::vector<std::pair<std::string, std::string>> trailers = {{"X-Sum", "42"}};
  EXPECT_EQ(seen.trailers, trailers);
  EXPECT_EQ(ask(client, get_request("/hello")).status, 200);
}

TEST(Http, ReadsARequestThatComesByteByByte) {
  SupervisorProcess server({.arguments = one_worker()});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient client = server.connect();
  const std::string request =
      "POST /inspect HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-End: 1\r\n\r\n";
  for (const char byte : request.substr(0, request.size() - 1)) ASSERT_TRUE(client.send({&byte, 1}));
  const Inspection seen = inspect(client, request.substr(request.size() - 1));
  EXPECT_EQ(seen.body, "abc");
  EXPECT_EQ(seen.trailers.size(), 1U);
}

TEST(Http, AnswersPipelinedRequestsInOrder) {
  SupervisorProcess server({.arguments = one_worker()});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient client = server.connect();
  std::string batch;
  for (int index = 0; index < 16; ++index) batch += get_request("/inspect?id=" + std::to_string(index));
  ASSERT_TRUE(client.send(batch));
  for (int index = 0; index < 16; ++index) {
    const HttpRead read = client.read();
    ASSERT_EQ(read.outcome, ReadOutcome::kAnswer) << index;
    EXPECT_NE(read.response.body.find("id=" + std::to_string(index) + "\""), std::string::npos) << read.response.body;
  }
}

TEST(Http, AnswersWhatCameBeforeAMalformedRequest) {
  SupervisorProcess server({.arguments = one_worker()});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient client = server.connect();
  ASSERT_TRUE(client.send(get_request("/hello") + get_request("/hello") + "nonsense\r\n\r\n" + get_request("/hello")));
  for (const int status : {200, 200, 400}) {
    const HttpRead read = client.read();
    ASSERT_EQ(read.outcome, ReadOutcome::kAnswer);
    EXPECT_EQ(read.response.status, status);
  }
  const HttpRead end = client.read_to_end();
  EXPECT_EQ(end.outcome, ReadOutcome::kEnd);
  EXPECT_EQ(end.response.body, "") << "nothing after the refusal is a request";
}

TEST(Http, ContinuesWhenTheClientExpectsIt) {
  SupervisorProcess server({.arguments = one_worker()});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient client = server.connect();
  const HttpResponse interim =
      ask(client, "POST /inspect HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(interim.status, 100);
  EXPECT_EQ(inspect(client, "hello").body, "hello");
}

TEST(Http, RefusesALargeBodyInsteadOfContinuing) {
  SupervisorProcess server({.arguments = one_worker()});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient client = server.connect();
  const HttpResponse answer =
      ask(client, "POST /inspect HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(answer.status, 413);
}

TEST(Http, TakesABodyOfExactlyTheLimit) {
  constexpr std::size_t kLimit = 100'000;
  SupervisorProcess server({.arguments = joined({one_worker(), support::set("http.body_max", "\"100000B\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  for (const std::size_t size : {kLimit, kLimit + 1}) {
    HttpClient client = server.connect();
    const std::string head = post_head(size);
    // The server may refuse before it has read all of it, so that the sending fails and only the answer counts.
    client.send(head + filled(size));
    const HttpRead read = client.read();
    ASSERT_EQ(read.outcome, ReadOutcome::kAnswer) << size;
    EXPECT_EQ(read.response.status, size == kLimit ? 200 : 413);
  }
}

TEST(Http, TakesALargeBody) {
  SupervisorProcess server({.arguments = one_worker()});
  ASSERT_TRUE(server.wait_ready(1));
  constexpr std::size_t kSize = 8 * 1024 * 1024;  // http.body_max
  std::string body(kSize, '\0');
  for (std::size_t index = 0; index < kSize; ++index) body[index] = static_cast<char>(index * 31 % 251);
  HttpClient client = server.connect();
  ASSERT_TRUE(client.send(post_head(kSize)));
  const Inspection seen = inspect(client, body);
  EXPECT_TRUE(seen.body == body) << "the body arrived changed; " << seen.body.size() << " bytes";
}

TEST(Http, KeepsAndClosesConnectionsAsAsked) {
  SupervisorProcess server({.arguments = one_worker()});
  ASSERT_TRUE(server.wait_ready(1));
  struct Asked {
    std::string request;
    bool stays;
  };
  const std::vector<Asked> table = {
      {get_request("/hello"), true},
      {get_request("/hello", "Connection: close\r\n"), false},
      {get_request("/hello", "Connection: foo, Close\r\n"), false},
      {"GET /hello HTTP/1.0\r\n\r\n", false},
      {"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
  };
  for (const auto& [request, stays] : table) {
    SCOPED_TRACE(request);
    HttpClient client = server.connect();
    const HttpResponse answer = ask(client, request);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.closes(), !stays);
    if (stays) {
      EXPECT_EQ(ask(client, get_request("/hello")).status, 200);
    } else {
      EXPECT_EQ(client.read_to_end().outcome, ReadOutcome::kEnd);
    }
  }
}

TEST(Http, ClosesAfterTheConfiguredNumberOfRequests) {
  SupervisorProcess server({.arguments = joined({one_worker(), support::set("http.requests_per_connection", "3")})});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient client = server.connect();
  for (int number = 1; number <= 3; ++number) {
    EXPECT_EQ(ask(client, get_request("/hello")).closes(), number == 3) << number;
  }
  EXPECT_EQ(client.read_to_end().outcome, ReadOutcome::kEnd);
}

TEST(Http, AnswersAClientThatHasClosedItsSendingHalf) {
  SupervisorProcess server({.arguments = one_worker()});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient client = server.connect();
  ASSERT_TRUE(client.send(get_request("/sleep?ms=50")));
  client.half_close();
  const HttpRead read = client.read();
  ASSERT_EQ(read.outcome, ReadOutcome::kAnswer);
  EXPECT_EQ(read.response.status, 200);
  EXPECT_EQ(client.read_to_end().outcome, ReadOutcome::kEnd);
}

TEST(Http, AnswersFiveHundredWhenAHandlerThrows) {
  SupervisorProcess server({.arguments = one_worker()});
  ASSERT_TRUE(server.wait_ready(1));
  const std::string pid = server.get("/pid").body;
  EXPECT_EQ(server.get("/crash?how=throw").status, 500);
  EXPECT_EQ(server.get("/pid").body, pid) << "an exception is not a crash";
}

TEST(Http, AnswersFiveHundredWhenTheApplicationBreaksTheRulesOfAnAnswer) {
  SupervisorProcess server({.arguments = one_worker(), .app = support::application("bad_answers")});
  ASSERT_TRUE(server.wait_ready(1));
  for (const char* path : {"/status", "/split", "/length", "/null-body", "/null-headers", "/size", "/silent"}) {
    EXPECT_EQ(server.get(path).status, 500) << path;
  }
  EXPECT_EQ(server.get("/twice").status, 200) << "the first answer counts";
}

}  // namespace
