// Requests on the wire that are refused, each with its status and a reason, and those that only just are not.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "support/supervisor_process.h"

namespace {

using support::get_request;
using support::HttpClient;
using support::HttpRead;
using support::HttpResponse;
using support::ReadOutcome;
using support::SupervisorProcess;

HttpResponse ask(HttpClient& client, std::string_view request) {
  EXPECT_TRUE(client.send(request));
  HttpRead read = client.read();
  EXPECT_EQ(read.outcome, ReadOutcome::kAnswer);
  return std::move(read.response);
}

std::string filled(std::size_t size) { return std::string(size, 'x'); }

std::string with_headers(std::size_t count) {
  std::string lines;
  for (std::size_t index = 1; index < count; ++index) lines += "X-" + std::to_string(index) + ": 1\r\n";
  return get_request("/hello", lines);  // Host is one of them
}

// "GET /...x HTTP/1.1" of exactly this many bytes.
std::string with_line_of(std::size_t bytes) {
  return get_request("/hello?" + filled(bytes - std::string_view("GET /hello? HTTP/1.1").size()));
}

struct Exchange {
  std::string_view claim;
  std::string request;
  int status;
};

std::vector<Exchange> refused_heads() {
  return {
      {"no Host", "GET /hello HTTP/1.1\r\n\r\n", 400},
      {"two Hosts", "GET /hello HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
      {"a space in Host", "GET /hello HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
      {"a space before the colon", get_request("/hello", "X : 1\r\n"), 400},
      {"a folded line", get_request("/hello", "X: 1\r\n 2\r\n"), 400},
      {"an empty field name", get_request("/hello", ": 1\r\n"), 400},
      {"a NUL in a value", get_request("/hello", std::string("X: \0\r\n", 6)), 400},
      {"a bare LF", "GET /hello HTTP/1.1\nHost: a\n\n", 400},
      {"no version", "GET /hello\r\n\r\n", 400},
      {"a lower-case version", "GET /hello http/1.1\r\nHost: a\r\n\r\n", 400},
      {"TLS", "\x16\x03\x01\x02\x05\x01", 400},
      {"a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"HTTP/2.0", "GET /hello HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"HTTP/3.0", "GET /hello HTTP/3.0\r\nHost: a\r\n\r\n", 505},
      {"an unknown method", "BREW /hello HTTP/1.1\r\nHost: a\r\n\r\n", 501},
      {"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501},
      {"a request line past the limit", with_line_of(8 * 1024 + 1), 414},
      {"headers past the limit of bytes", get_request("/hello", "X: " + filled(32 * 1024) + "\r\n"), 431},
      {"headers past the limit of fields", with_headers(101), 431},
      {"an unknown expectation", get_request("/hello", "Expect: a-miracle\r\n"), 417},
  };
}

std::vector<Exchange> refused_bodies() {
  const auto post = [](std::string_view rest) { return "POST /hello HTTP/1.1\r\nHost: a\r\n" + std::string(rest); };
  return {
      {"a length that is no number", post("Content-Length: ten\r\n\r\n"), 400},
      {"a length with a sign", post("Content-Length: +1\r\n\r\nx"), 400},
      {"two lengths", post("Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), 400},
      {"a length beyond 64 bits", post("Content-Length: 99999999999999999999\r\n\r\n"), 400},
      {"a length and chunks", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
      {"a coding that does not end in chunked", post("Transfer-Encoding: gzip\r\n\r\n"), 400},
      {"chunked before another coding", post("Transfer-Encoding: chunked, gzip\r\n\r\n"), 400},
      {"a coding nobody implements", post("Transfer-Encoding: gzip, chunked\r\n\r\n"), 501},
      {"chunks in HTTP/1.0", "POST /hello HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"a chunk size that is no number", post("Transfer-Encoding: chunked\r\n\r\nzz\r\n"), 400},
      {"a chunk longer than its size", post("Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n"), 400},
      {"a length past the limit", post("Content-Length: 8388609\r\n\r\n"), 413},
      {"a chunk past the limit", post("Transfer-Encoding: chunked\r\n\r\n800001\r\n"), 413},
  };
}

void expect_refused(const SupervisorProcess& server, const std::vector<Exchange>& exchanges) {
  for (const Exchange& given : exchanges) {
    SCOPED_TRACE(given.claim);
    HttpClient client = server.connect();
    const HttpResponse answer = ask(client, given.request);
    EXPECT_EQ(answer.status, given.status) << answer.body;
    EXPECT_TRUE(answer.closes());
    EXPECT_FALSE(answer.body.empty()) << "a refusal says why";
    EXPECT_EQ(client.read_to_end().outcome, ReadOutcome::kEnd);
  }
}

TEST(HttpPolicy, RefusesMalformedHeads) {
  SupervisorProcess server({.arguments = {"--workers", "1"}});
  ASSERT_TRUE(server.wait_ready(1));
  expect_refused(server, refused_heads());
  EXPECT_EQ(server.get("/hello").status, 200) << "the next client is not to blame";
}

TEST(HttpPolicy, RefusesMalformedBodies) {
  SupervisorProcess server({.arguments = {"--workers", "1"}});
  ASSERT_TRUE(server.wait_ready(1));
  expect_refused(server, refused_bodies());
  EXPECT_EQ(server.get("/hello").status, 200);
}

TEST(HttpPolicy, AcceptsExactlyItsLimits) {
  SupervisorProcess server({.arguments = {"--workers", "1"}});
  ASSERT_TRUE(server.wait_ready(1));
  const std::size_t rest = std::string_view("Host: test\r\nX: \r\n").size();
  const std::vector<Exchange> accepted = {
      {"the longest request line", with_line_of(8 * 1024), 200},
      {"the most fields", with_headers(100), 200},
      {"nearly the most bytes of header", get_request("/hello", "X: " + filled(32 * 1024 - rest - 2) + "\r\n"), 200},
      {"empty lines before a request", "\r\n" + get_request("/hello"), 200},
      {"an absolute target", "GET http://a/hello HTTP/1.1\r\nHost: a\r\n\r\n", 200},
      {"bytes beyond ASCII in a value", get_request("/hello", "X: \xc3\xa9\r\n"), 200},
  };
  for (const Exchange& given : accepted) {
    SCOPED_TRACE(given.claim);
    HttpClient client = server.connect();
    EXPECT_EQ(ask(client, given.request).status, given.status);
    EXPECT_EQ(ask(client, get_request("/hello")).status, 200) << "the connection stays";
  }
}

}  // namespace
