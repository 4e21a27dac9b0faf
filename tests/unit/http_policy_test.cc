// http_policy: the checks that need no bytes on a wire to be tried.
#include "common/http_policy.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace common {
namespace {

int status_of(const Verdict& verdict) { return verdict ? verdict->status : 0; }

template <typename T>
int status_of(const std::expected<T, Refusal>& result) {
  return result ? 0 : result.error().status;
}

TEST(HttpPolicy, SplitsARequestLine) {
  const auto line = parse_request_line("GET /a?b HTTP/1.0");
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->method, "GET");
  EXPECT_EQ(line->target, "/a?b");
  EXPECT_EQ(line->minor_version, 0U);
}

TEST(HttpPolicy, TellsAVersionItDoesNotSpeakFromNonsense) {
  EXPECT_EQ(status_of(parse_request_line("GET / HTTP/1.1")), 0);
  EXPECT_EQ(status_of(parse_request_line("GET / HTTP/3.0")), 505);
  EXPECT_EQ(status_of(parse_request_line("GET / HTTP/x.0")), 400);
  EXPECT_EQ(status_of(parse_request_line("GET / HTTP/1.")), 400);
  EXPECT_EQ(status_of(parse_request_line("GET")), 400);
  EXPECT_EQ(status_of(parse_request_line("")), 400);
}

TEST(HttpPolicy, AllowsAnyTokenAsMethodExceptConnect) {
  EXPECT_EQ(status_of(parse_request_line("BREW / HTTP/1.1")), 0);  // whether it is known is llhttp's to say
  EXPECT_EQ(status_of(parse_request_line("CONNECT a:1 HTTP/1.1")), 501);
  EXPECT_EQ(status_of(parse_request_line("B@D / HTTP/1.1")), 400);
}

TEST(HttpPolicy, RefusesAtTheFirstByteWhatCannotBeAMethod) {
  EXPECT_FALSE(check_first_byte('G'));
  EXPECT_EQ(status_of(check_first_byte(' ')), 400);
  EXPECT_EQ(status_of(check_first_byte('\n')), 400);
  const Verdict tls = check_first_byte('\x16');
  ASSERT_TRUE(tls);
  EXPECT_NE(tls->reason.find("TLS"), std::string_view::npos);
}

TEST(HttpPolicy, FindsNoBodyWithoutFraming) {
  const std::vector<Field> fields = {{"Host", "a"}};
  const auto facts = check_fields(fields, 1);
  ASSERT_TRUE(facts.has_value());
  EXPECT_EQ(facts->framing, BodyFraming::kNone);
  EXPECT_EQ(facts->persistence, Persistence::kKeepAlive);
  EXPECT_EQ(facts->expectation, Expectation::kNone);
}

TEST(HttpPolicy, MatchesNamesInAnyCase) {
  const std::vector<Field> fields = {{"hOST", "a"}, {"CONTENT-LENGTH", "7"}, {"connection", "CLOSE"}};
  const auto facts = check_fields(fields, 1);
  ASSERT_TRUE(facts.has_value());
  EXPECT_EQ(facts->framing, BodyFraming::kLength);
  EXPECT_EQ(facts->content_length, 7U);
  EXPECT_EQ(facts->persistence, Persistence::kClose);
}

TEST(HttpPolicy, DoesNotTakeAnUnderscoreForAHyphen) {
  const std::vector<Field> fields = {{"Host", "a"}, {"Content_Length", "x"}, {"Transfer_Encoding", "x"}};
  EXPECT_EQ(status_of(check_fields(fields, 1)), 0);
}

TEST(HttpPolicy, FindsAnExpectationAmongOthersThatCannotBeMet) {
  const std::vector<Field> both = {{"Host", "a"}, {"Expect", "100-continue, tea"}, {"Content-Length", "1"}};
  EXPECT_EQ(status_of(check_fields(both, 1)), 417);
}

TEST(HttpPolicy, RefusesFramingInTrailers) {
  EXPECT_FALSE(check_trailers(std::vector<Field>{{"Sum", "1"}}));
  EXPECT_EQ(status_of(check_trailers(std::vector<Field>{{"content-length", "1"}})), 400);
}

TEST(HttpPolicy, LeavesExtensionsOutOfAChunkSize) {
  EXPECT_EQ(parse_chunk_line("1a\r\n").value_or(""), "1a");
  EXPECT_EQ(parse_chunk_line("0;a;b=\"c;d\"\r\n").value_or(""), "0");
  EXPECT_EQ(status_of(parse_chunk_line("1a\n")), 400);
  EXPECT_EQ(status_of(parse_chunk_line(";a\r\n")), 400);
  EXPECT_EQ(status_of(parse_chunk_line("1 ;a\r\n")), 400);
  EXPECT_EQ(status_of(parse_chunk_line("1;\r\r\n")), 400);
}

TEST(HttpPolicy, StripsOnlySpacesAndTabs) {
  EXPECT_EQ(without_surrounding_space(" \ta b\t "), "a b");
  EXPECT_EQ(without_surrounding_space(" \t"), "");
  EXPECT_EQ(without_surrounding_space("\va"), "\va");
}

}  // namespace
}  // namespace common
