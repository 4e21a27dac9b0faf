// RequestParser: the contents of requests, the limits at and past their edge, and how long views live.
#include "common/http_parser.h"

#include <gtest/gtest.h>

#include <cctype>
#include <string>
#include <string_view>

#include "support/http_transcript.h"

namespace common {
namespace {

using Status = RequestParser::Status;
using support::outcome_of;
using support::transcript_bytewise;
using support::transcript_split;
using support::transcript_whole;

const std::string kGet = "GET / HTTP/1.1\r\nHost: a\r\n";
const std::string kChunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

TEST(RequestParser, ReportsEverythingOfARequest) {
  EXPECT_EQ(transcript_whole("HEAD /a?b HTTP/1.1\r\nHost: x\r\nA:  b c \t\r\nEmpty:\r\n\r\n"),
            "message HEAD /a?b 1.1 persistent headonly [Host=x] [A=b c] [Empty=] <>\n");
  EXPECT_EQ(transcript_whole("POST /p HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n"
                             "3;x\r\nab\n\r\n2\r\ncd\r\n0\r\nSum: 1 \r\nT:\r\n\r\n"),
            "head /p\n"
            "message POST /p 1.1 persistent expecting [Host=x] [Expect=100-Continue] [Transfer-Encoding=chunked]"
            " {Sum=1} {T=} <ab\ncd>\n");
}

TEST(RequestParser, DerivesPersistenceFromVersionAndConnection) {
  const auto persists = [](const std::string& version, const std::string& connection) {
    const std::string text = transcript_whole("GET / HTTP/" + version + "\r\nHost: a\r\n" + connection + "\r\n");
    return text.find(" persistent") != std::string::npos;
  };
  EXPECT_TRUE(persists("1.1", ""));
  EXPECT_TRUE(persists("1.1", "Connection: x\r\n"));
  EXPECT_FALSE(persists("1.1", "Connection: close\r\n"));
  EXPECT_FALSE(persists("1.1", "Connection: keep-alive, Close\r\n"));
  EXPECT_FALSE(persists("1.1", "Connection: keep-alive\r\nConnection: x ,close\r\n"));
  EXPECT_FALSE(persists("1.0", ""));
  EXPECT_TRUE(persists("1.0", "Connection: Keep-Alive\r\n"));
  EXPECT_FALSE(persists("1.0", "Connection: keep-alive, close\r\n"));
}

TEST(RequestParser, ExpectsContinueOnlyOfAnHttp11RequestWithABody) {
  const auto expects = [](const std::string& request) {
    return transcript_whole(request).find(" expecting") != std::string::npos;
  };
  EXPECT_TRUE(expects("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na"));
  EXPECT_FALSE(expects("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_FALSE(expects("PUT / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na"));
}

TEST(RequestParser, NamesTlsOnAPlainPort) {
  EXPECT_NE(transcript_whole("\x16\x03\x01").find("TLS"), std::string::npos);
}

// An accepted name byte that is no token character, or a refused one that is, would be a change in llhttp.
TEST(RequestParser, AcceptsExactlyTheTokenCharactersInNames) {
  constexpr std::string_view kSymbols = "!#$%&'*+-.^_`|~";
  for (int c = 0; c < 256; ++c) {
    const char byte = static_cast<char>(c);
    const bool token = (c < 128 && std::isalnum(c) != 0) || (c != 0 && kSymbols.find(byte) != std::string_view::npos);
    const std::string outcome = outcome_of(transcript_whole(kGet + "A" + byte + "b: c\r\n\r\n"));
    EXPECT_EQ(outcome, token || byte == ':' ? "ok" : "400") << "byte " << c;
  }
}

TEST(RequestParser, RefusesControlCharactersInValues) {
  for (int c = 0; c < 256; ++c) {
    const bool control = (c < 0x20 && c != '\t') || c == 0x7f;
    for (const std::string name : {"A", "Connection", "Transfer-Encodinh", "Content-Lengti", "Upgrade", "Upgradf"}) {
      const std::string outcome =
          outcome_of(transcript_whole(kGet + name + ": b" + static_cast<char>(c) + "c\r\n\r\n"));
      EXPECT_EQ(outcome, control ? "400" : "ok") << name << " byte " << c;
    }
  }
}

class RequestParserLimits : public testing::Test {
 protected:
  // The status with which `input` is refused, "ok", or "..."; it must not depend on the cuts.
  std::string outcome(const std::string& input) const {
    const std::string whole = transcript_whole(input, limits_);
    EXPECT_EQ(transcript_bytewise(input, limits_), whole);
    for (std::size_t at = 1; at < input.size(); ++at) EXPECT_EQ(transcript_split(input, at, limits_), whole) << at;
    return outcome_of(whole);
  }

  RequestLimits limits_{.request_line_max = 20, .header_bytes_max = 30, .headers_max = 3, .body_max = 10};
};

TEST_F(RequestParserLimits, HoldForTheRequestLine) {
  EXPECT_EQ(outcome("GET /34567 HTTP/1.1\r\nHost: a\r\n\r\n"), "ok");
  EXPECT_EQ(outcome("GET /345678 HTTP/1.1\r\nHost: a\r\n\r\n"), "ok");
  EXPECT_EQ(outcome("GET /3456789 HTTP/1.1\r\nHost: a\r\n\r\n"), "414");
  EXPECT_EQ(outcome("GET /345678 HTTP/1.1\r\r\nHost: a\r\n\r\n"), "414");
  EXPECT_EQ(outcome("GET /345678901234567890"), "414");
  EXPECT_EQ(outcome("GET /345678 HTTP/1.1\r"), "...");
}

TEST_F(RequestParserLimits, HoldForTheBytesOfTheHeaderSection) {
  EXPECT_EQ(outcome("GET / HTTP/1.1\r\nHost: a\r\nB: 5678901234567890\r\n\r\n"), "ok");  // 9 + 21 bytes
  EXPECT_EQ(outcome("GET / HTTP/1.1\r\nHost: a\r\nB: 56789012345678901\r\n\r\n"), "431");
  EXPECT_EQ(outcome("GET / HTTP/1.1\r\nHost: a\r\nB: 567890123456789012345678"), "431");
  EXPECT_EQ(outcome("GET / HTTP/1.1\r\nHost: a\r\nB: 5678901234567890\r\n\r\r"), "431");
}

TEST_F(RequestParserLimits, HoldForTheNumberOfFields) {
  EXPECT_EQ(outcome("GET / HTTP/1.1\r\nHost: a\r\nB: c\r\nD: e\r\n\r\n"), "ok");
  EXPECT_EQ(outcome("GET / HTTP/1.1\r\nHost: a\r\nB: c\r\nD: e\r\nF:\r\n\r\n"), "431");
}

TEST_F(RequestParserLimits, HoldForTrailers) {
  limits_.header_bytes_max = 37;
  EXPECT_EQ(outcome(kChunked + "0\r\nA: b\r\nC: d\r\nE: f\r\n\r\n"), "ok");
  EXPECT_EQ(outcome(kChunked + "0\r\nA: b\r\nC: d\r\nE: f\r\nG:\r\n\r\n"), "431");
  EXPECT_EQ(outcome(kChunked + "0\r\nA: 567890123456789012345678901234567\r\n\r\n"), "431");
}

TEST_F(RequestParserLimits, HoldForTheBody) {
  limits_.header_bytes_max = 100;
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ";
  EXPECT_EQ(outcome(post + "10\r\n\r\n0123456789"), "ok");
  EXPECT_EQ(outcome(post + "11\r\n\r\n"), "413");
  EXPECT_EQ(outcome(kChunked + "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"), "ok");
  EXPECT_EQ(outcome(kChunked + "5\r\n01234\r\n6\r\n"), "413");
}

TEST(RequestParser, BoundsChunkExtensions) {
  const std::string at_limit = "1;" + std::string(16 * 1024 + 14, 'e') + "\r\n";  // 18 bytes of a size line are free
  EXPECT_EQ(outcome_of(transcript_whole(kChunked + at_limit + "a\r\n0\r\n\r\n")), "ok");
  EXPECT_EQ(outcome_of(transcript_whole(kChunked + "1;" + std::string(16 * 1024 + 15, 'e') + "\r\na\r\n")), "400");
  EXPECT_EQ(outcome_of(transcript_whole(kChunked + at_limit + "a\r\n1;" + std::string(15, 'e') + "\r\n")), "400");
  EXPECT_EQ(outcome_of(transcript_bytewise(kChunked + "1;" + std::string(16 * 1024 + 17, 'e'))), "400");
}

TEST(RequestParser, PointsIntoTheGivenBytesWhenTheHeadLiesInOneFeed) {
  const std::string input = kGet + "\r\n" + kGet + "\r\n";
  RequestParser parser{RequestLimits{}};
  const RequestParser::Outcome outcome = parser.feed(input);
  ASSERT_EQ(outcome.status, Status::kMessage);
  EXPECT_EQ(outcome.consumed, input.size() / 2);
  EXPECT_EQ(parser.request().method.data(), input.data());
  EXPECT_EQ(parser.request().headers[0].name.data(), input.data() + 16);
}

TEST(RequestParser, NeedsNoBytesOfTheHeadOnceItIsReported) {
  std::string input = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nB:\r\n\r\n";
  RequestParser parser{RequestLimits{}};
  ASSERT_EQ(parser.feed(input).status, Status::kHead);
  input.assign(input.size(), 'x');
  ASSERT_EQ(parser.feed("abcd").status, Status::kMessage);
  EXPECT_EQ(support::describe(parser.request()),
            "message POST /p 1.1 persistent [Host=a] [Content-Length=4] [B=] <abcd>\n");
}

TEST(RequestParser, HasBegunFromTheFirstByteOfARequestToItsEnd) {
  RequestParser parser{RequestLimits{}};
  EXPECT_FALSE(parser.begun());
  parser.feed("\r\n\r");
  EXPECT_FALSE(parser.begun());
  parser.feed("\nG");
  EXPECT_TRUE(parser.begun());
  ASSERT_EQ(parser.feed("ET / HTTP/1.1\r\nHost: a\r\n\r\n").status, Status::kMessage);
  EXPECT_TRUE(parser.begun());
  parser.next();
  EXPECT_FALSE(parser.begun());
}

TEST(RequestParser, ServesAnotherConnectionAfterAReset) {
  RequestParser parser{RequestLimits{}};
  ASSERT_EQ(parser.feed("nonsense\r\n").status, Status::kRefused);
  ASSERT_EQ(parser.feed("more").status, Status::kRefused);
  parser.reset();
  EXPECT_FALSE(parser.begun());
  ASSERT_EQ(parser.feed(kGet).status, Status::kNeedMore);
  parser.reset();
  ASSERT_EQ(parser.feed(kGet + "\r\n").status, Status::kMessage);
}

}  // namespace
}  // namespace common
