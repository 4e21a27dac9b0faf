// RequestParser: a table of what it accepts and what it refuses with which status, however the bytes are cut.
#include "common/http_parser.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <string_view>

#include "support/http_transcript.h"

namespace common {
namespace {

using support::outcome_of;
using support::transcript_bytewise;
using support::transcript_split;
using support::transcript_whole;

std::string operator*(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

struct Case {
  std::string name;
  std::string input;
  std::string outcome;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

// "\0" inside, so never through a C string's length.
template <std::size_t N>
std::string bytes(const char (&text)[N]) {
  return std::string(text, N - 1);
}

const std::string kHost = "Host: a\r\n";
const std::string kGet = "GET / HTTP/1.1\r\nHost: a\r\n";
const std::string kChunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

Case with_fields(const std::string& name, const std::string& fields, const std::string& outcome) {
  return {name, kGet + fields + "\r\n", outcome};
}

class RequestParserCases : public testing::TestWithParam<Case> {};

TEST_P(RequestParserCases, HaveTheSameOutcomeHoweverTheBytesAreCut) {
  const Case& c = GetParam();
  const std::string whole = transcript_whole(c.input);
  EXPECT_EQ(outcome_of(whole), c.outcome) << whole;
  EXPECT_EQ(transcript_bytewise(c.input), whole);
  for (std::size_t at = 1; at < c.input.size(); ++at) {
    ASSERT_EQ(transcript_split(c.input, at), whole) << "cut at " << at;
  }
}

std::string case_name(const testing::TestParamInfo<Case>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(
    RequestLine, RequestParserCases,
    testing::Values(Case{"Plain", kGet + "\r\n", "ok"}, Case{"Pipelined", (kGet + "\r\n") * 3, "ok ok ok"},
                    Case{"Unfinished", kGet, "..."}, Case{"NothingButEmptyLines", "\r\n\r\n", ""},
                    Case{"EmptyLinesBefore", "\r\n\r\n" + kGet + "\r\n", "ok"},
                    Case{"EmptyLinesBetween", kGet + "\r\n\r\n\r\n" + kGet + "\r\n", "ok ok"},
                    Case{"TooManyEmptyLines", std::string_view("\r\n") * 5 + kGet + "\r\n", "400"},
                    Case{"EmptyLineOfLfAlone", "\n" + kGet + "\r\n", "400"},
                    Case{"EmptyLineOfCrAlone", "\r" + kGet + "\r\n", "400"},
                    Case{"LfAlone", "GET / HTTP/1.1\nHost: a\r\n\r\n", "400"},
                    Case{"CrAlone", "GET / HTTP/1.1\rHost: a\r\n\r\n", "400"},
                    Case{"CrCrLf", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", "400"}, Case{"Http09", "GET /\r\n", "400"},
                    Case{"Http09WithSpace", "GET / \r\n", "400"}, Case{"Http09Named", "GET / HTTP/0.9\r\n\r\n", "505"},
                    Case{"Http20", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505"},
                    Case{"Http12", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "505"},
                    Case{"Http2Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
                    Case{"PriAsAMethod", "PRI / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
                    Case{"LowerCaseVersion", "GET / http/1.1\r\nHost: a\r\n\r\n", "400"},
                    Case{"LongVersion", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", "400"},
                    Case{"OtherProtocol", "GET / ICE/1.0\r\nHost: a\r\n\r\n", "400"},
                    Case{"RtspMethod", "DESCRIBE / HTTP/1.1\r\nHost: a\r\n\r\n", "501"},
                    Case{"TwoSpaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
                    Case{"TwoSpacesBeforeVersion", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
                    Case{"SpaceAtTheEnd", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "400"},
                    Case{"SpaceAtTheStart", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
                    Case{"Tabs", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", "400"},
                    Case{"UnknownMethod", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "501"},
                    Case{"UnknownMethodThatBeginsAsAKnownOne", "GETX / HTTP/1.1\r\nHost: a\r\n\r\n", "501"},
                    Case{"LowerCaseMethod", "get / HTTP/1.1\r\nHost: a\r\n\r\n", "501"},
                    Case{"MethodThatIsNoToken", "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
                    Case{"Connect", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "501"},
                    Case{"TlsClientHello", bytes("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "400"},
                    Case{"ProxyProtocol2", bytes("\r\n\r\n\0\r\nQUIT\n"), "400"},
                    Case{"ProxyProtocol1", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "400"},
                    Case{"Nul", bytes("\0"), "400"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Target, RequestParserCases,
    testing::Values(Case{"Star", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
                    Case{"StarForGet", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
                    Case{"Absolute", "GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
                    Case{"AbsoluteWithoutPath", "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
                    Case{"AbsoluteWithPort", "GET http://[::1]:80/ HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "ok"},
                    Case{"AbsoluteInCapitals", "GET HTTPS://A/ HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},
                    Case{"AbsoluteWithoutHostField", "GET http://a/ HTTP/1.1\r\n\r\n", "400"},
                    Case{"AbsoluteWithoutAuthority", "GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
                    Case{"AbsoluteWithUser", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
                    Case{"OtherScheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
                    Case{"Authority", "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
                    Case{"Relative", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
                    Case{"Space", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
                    Case{"Control", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
                    Case{"Nul", bytes("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"), "400"},
                    Case{"Delete", "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
                    Case{"NotAscii", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
                    Case{"Fragment", "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
                    Case{"EverythingVisible",
                         "GET /!\"$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~?? HTTP/1.1\r\nHost: a\r\n\r\n", "ok"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Fields, RequestParserCases,
    testing::Values(
        with_fields("Empty", "A:\r\nB: \r\nC:\t \r\n", "ok"), with_fields("Underscore", "a_b: c\r\n", "ok"),
        with_fields("ObsText", "A: \xe4\r\n", "ok"), with_fields("TabInside", "A: b\tc\r\n", "ok"),
        with_fields("Folded", "A: b\r\n c\r\n", "400"), with_fields("FoldedByTab", "A: b\r\n\tc\r\n", "400"),
        with_fields("FoldedEmpty", "A: b\r\n \r\n", "400"),
        Case{"FoldedAtOnce", "GET / HTTP/1.1\r\n A: b\r\nHost: a\r\n\r\n", "400"},
        with_fields("NoName", ": b\r\n", "400"), with_fields("NoColon", "A\r\n", "400"),
        with_fields("SpaceBeforeColon", "A : b\r\n", "400"), with_fields("TabBeforeColon", "A\t: b\r\n", "400"),
        with_fields("SpaceInName", "A b: c\r\n", "400"), with_fields("NotAsciiInName", "\xe4: b\r\n", "400"),
        with_fields("BracketInName", "A(: b\r\n", "400"), with_fields("LfAlone", "A: b\n", "400"),
        with_fields("LfInside", "A: b\nB: c\r\n", "400"), with_fields("CrInside", "A: b\rc\r\n", "400"),
        with_fields("CrBeforeCrLf", "A: b\r\r\n", "400"), with_fields("CrInName", "A\rB: c\r\n", "400"),
        Case{"EmptyLineOfLfAlone", kGet + "\n", "400"}, Case{"EmptyLineOfCrAlone", kGet + "\rX", "..."},
        with_fields("Nul", bytes("A: b\0c\r\n"), "400"), with_fields("Control", "A: b\x01\r\n", "400"),
        with_fields("Delete", "A: b\x7f\r\n", "400"), with_fields("Escape", "A: \x1b[2J\r\n", "400"),
        with_fields("Upgrade", "Connection: Upgrade\r\nUpgrade: websocket\r\n", "ok"),
        Case{"UpgradePipelined", (kGet + "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n") * 2, "ok ok"},
        Case{"UpgradeWithBody", kGet + "Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nab", "ok"},
        Case{"CloseThenMore", kGet + "Connection: close\r\n\r\n" + kGet + "\r\n", "ok ok"},
        with_fields("Expect", "Expect: 100-continue\r\n", "ok"), with_fields("ExpectOther", "Expect: tea\r\n", "417"),
        Case{"ExpectOtherOf10", "GET / HTTP/1.0\r\nExpect: tea\r\n\r\n", "ok"}),
    case_name);

Case with_host(const std::string& name, const std::string& host, const std::string& outcome) {
  return {name, "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n", outcome};
}

INSTANTIATE_TEST_SUITE_P(
    Host, RequestParserCases,
    testing::Values(Case{"Missing", "GET / HTTP/1.1\r\n\r\n", "400"},
                    Case{"MissingOf10", "GET / HTTP/1.0\r\n\r\n", "ok"}, Case{"Twice", kGet + kHost + "\r\n", "400"},
                    Case{"TwiceOf10", "GET / HTTP/1.0\r\n" + kHost + kHost + "\r\n", "400"},
                    with_host("Empty", "", "ok"), with_host("Name", "shop.example.com", "ok"),
                    with_host("Port", "a:8080", "ok"), with_host("PortEmpty", "a:", "ok"),
                    with_host("PortTooLarge", "a:65536", "400"), with_host("PortNoNumber", "a:b", "400"),
                    with_host("PortAlone", ":80", "400"), with_host("V4", "127.0.0.1:8000", "ok"),
                    with_host("V6", "[2001:db8::1]", "ok"), with_host("V6Port", "[::1]:443", "ok"),
                    with_host("V6Open", "[::1", "400"), with_host("V6Bare", "::1", "400"),
                    with_host("V6Trash", "[::1]a", "400"), with_host("Future", "[v1.a:b]", "ok"),
                    with_host("Underscore", "a_b", "ok"), with_host("Percent", "a%20b", "ok"),
                    with_host("PercentCut", "a%2", "400"), with_host("Slash", "a/b", "400"),
                    with_host("User", "u@a", "400"), with_host("Space", "a b", "400"), with_host("List", "a,b", "ok"),
                    with_host("NotAscii", "\xe4", "400"), with_host("Quote", "\"a\"", "400")),
    case_name);

Case with_body(const std::string& name, const std::string& fields, const std::string& body,
               const std::string& outcome) {
  return {name, "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body, outcome};
}

INSTANTIATE_TEST_SUITE_P(
    Framing, RequestParserCases,
    testing::Values(
        with_body("Length", "Content-Length: 3\r\n", "abc", "ok"),
        with_body("LengthZero", "Content-Length: 0\r\n", "", "ok"),
        with_body("LengthPipelined", "Content-Length: 3\r\n", "abc" + kGet + "\r\n", "ok ok"),
        with_body("LengthCut", "Content-Length: 3\r\n", "ab", "..."),
        with_body("LengthOfGet", "Content-Length: 1\r\n", "a", "ok"),
        with_body("LengthEmpty", "Content-Length:\r\n", "", "400"),
        with_body("LengthPlus", "Content-Length: +3\r\n", "abc", "400"),
        with_body("LengthMinus", "Content-Length: -3\r\n", "abc", "400"),
        with_body("LengthHex", "Content-Length: 0x3\r\n", "abc", "400"),
        with_body("LengthSpaceInside", "Content-Length: 1 2\r\n", "abc", "400"),
        with_body("LengthSpaceAfter", "Content-Length: 3 \r\n", "abc", "ok"),
        with_body("LengthList", "Content-Length: 3, 3\r\n", "abc", "400"),
        with_body("LengthTwiceSame", "Content-Length: 3\r\nContent-Length: 3\r\n", "abc", "400"),
        with_body("LengthTwiceDifferent", "Content-Length: 3\r\nContent-Length: 4\r\n", "abc", "400"),
        with_body("LengthOverflow", "Content-Length: 18446744073709551616\r\n", "abc", "400"),
        with_body("LengthTooLarge", "Content-Length: 8388609\r\n", "", "413"),
        with_body("LengthHuge", "Content-Length: 18446744073709551615\r\n", "", "413"),
        with_body("Chunked", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n", "ok"),
        with_body("ChunkedInCapitals", "Transfer-Encoding: CHUNKED\r\n", "3\r\nabc\r\n0\r\n\r\n", "ok"),
        with_body("CodingAndLength", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "3\r\nabc\r\n0\r\n\r\n",
                  "400"),
        with_body("LengthAndCoding", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n",
                  "400"),
        with_body("LengthZeroAndCoding", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", "400"),
        with_body("CodingOther", "Transfer-Encoding: gzip\r\n", "", "400"),
        with_body("CodingIdentity", "Transfer-Encoding: identity\r\n", "", "400"),
        with_body("CodingEmpty", "Transfer-Encoding:\r\n", "", "400"),
        with_body("CodingComma", "Transfer-Encoding: ,\r\n", "", "400"),
        with_body("CodingBeforeChunked", "Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n", "501"),
        with_body("CodingsInTwoFields", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n",
                  "501"),
        with_body("ChunkedNotLast", "Transfer-Encoding: chunked, gzip\r\n", "", "400"),
        with_body("ChunkedNotLastInTwo", "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", "", "400"),
        with_body("ChunkedTwice", "Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n", "400"),
        with_body("ChunkedTwiceInTwo", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n",
                  "400"),
        with_body("ChunkedWithParameter", "Transfer-Encoding: chunked;a=b\r\n", "0\r\n\r\n", "400"),
        with_body("ChunkedWithControl",
                  "Transfer-Encoding: \x0b"
                  "chunked\r\n",
                  "0\r\n\r\n", "400"),
        with_body("ChunkedQuoted", "Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n", "400"),
        with_body("ChunkedPrefix", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n", "400"),
        Case{"CodingOf10", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
        Case{"LengthOf10", "POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\na", "ok"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Chunks, RequestParserCases,
    testing::Values(Case{"Several", kChunked + "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "ok"},
                    Case{"None", kChunked + "0\r\n\r\n", "ok"},
                    Case{"Pipelined", (kChunked + "1\r\na\r\n0\r\n\r\n") * 2, "ok ok"},
                    Case{"HexInBothCases", kChunked + "a\r\n0123456789\r\nA\r\n0123456789\r\n00\r\n\r\n", "ok"},
                    Case{"LeadingZeros", kChunked + "0001\r\na\r\n000\r\n\r\n", "ok"},
                    Case{"Extension", kChunked + "1;a=b;c=\"d\"\r\na\r\n0;e\r\n\r\n", "ok"},
                    Case{"ExtensionCr", kChunked + "1;a\rb\r\na\r\n0\r\n\r\n", "400"},
                    Case{"ExtensionNul", kChunked + bytes("1;a\0\r\na\r\n0\r\n\r\n"), "400"},
                    Case{"ExtensionLfAlone", kChunked + "1;a\na\r\n0\r\n\r\n", "400"},
                    Case{"LfAlone", kChunked + "1\na\r\n0\r\n\r\n", "400"},
                    Case{"LfAloneAfterData", kChunked + "1\r\na\n0\r\n\r\n", "400"},
                    Case{"LfAloneAtTheEnd", kChunked + "0\r\n\n", "400"},
                    Case{"CrAlone", kChunked + "1\ra\r\n0\r\n\r\n", "400"}, Case{"NoSize", kChunked + "\r\n", "400"},
                    Case{"NoHex", kChunked + "g\r\n", "400"}, Case{"Prefix", kChunked + "0x1\r\na\r\n0\r\n\r\n", "400"},
                    Case{"Sign", kChunked + "+1\r\na\r\n0\r\n\r\n", "400"},
                    Case{"SpaceBefore", kChunked + " 1\r\na\r\n0\r\n\r\n", "400"},
                    Case{"SpaceAfter", kChunked + "1 \r\na\r\n0\r\n\r\n", "400"},
                    Case{"SizeOverflow", kChunked + "10000000000000000\r\na", "400"},
                    Case{"SizeTooLarge", kChunked + "800001\r\n", "413"},
                    Case{"SizeHuge", kChunked + "ffffffffffffffff\r\n", "413"},
                    Case{"DataTooLong", kChunked + "1\r\nab\r\n0\r\n\r\n", "400"},
                    Case{"DataTooShort", kChunked + "2\r\na\r\n0\r\n\r\n", "400"},
                    Case{"Trailers", kChunked + "0\r\nA: b\r\nC:\r\n\r\n", "ok"},
                    Case{"TrailerFolded", kChunked + "0\r\nA: b\r\n c\r\n\r\n", "400"},
                    Case{"TrailerLfAlone", kChunked + "0\r\nA: b\n\r\n", "400"},
                    Case{"TrailerWithoutName", kChunked + "0\r\n: b\r\n\r\n", "400"},
                    Case{"TrailerLength", kChunked + "0\r\nContent-Length: 3\r\n\r\nabc", "400"},
                    Case{"TrailerCoding", kChunked + "0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
                    Case{"TrailerUpgrade", kChunked + "0\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n" + kGet + "\r\n",
                         "ok ok"},
                    Case{"TrailerHost", kChunked + "0\r\nHost: b\r\n\r\n", "400"},
                    Case{"TrailersThenRequest", kChunked + "0\r\nA: b\r\n\r\n" + kGet + "\r\n", "ok ok"}),
    case_name);

}  // namespace
}  // namespace common
