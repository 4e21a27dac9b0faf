// The rules of RFC 9110 and RFC 9112 that llhttp leaves open, as checks without state.
//
// llhttp splits a head into fields and follows the framing. It tolerates a good deal that another parser on the way
// may read differently (bare LF, folded lines, two Host fields), and every such difference is a chance to smuggle a
// request. These checks refuse it. Where the RFC lets a server choose between repairing and refusing, they refuse.
#pragma once

#include <algorithm>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "common/http_parser.h"

namespace common {

using Refusal = RequestParser::Refusal;
using Verdict = std::optional<Refusal>;  // nothing: no objection

struct RequestLine {
  std::string_view method;
  std::string_view target;
  unsigned minor_version;  // 0 or 1
};

// `line` is without its CRLF.
std::expected<RequestLine, Refusal> parse_request_line(std::string_view line);

// A request begins with a method: anything else can be refused at its first byte instead of at the first line's end.
Verdict check_first_byte(char byte);

// A line of a header or trailer section that is not the empty last one, with its line ending.
Verdict check_field_line(std::string_view line);

enum class BodyFraming : std::uint8_t { kNone, kLength, kChunked };
enum class Persistence : std::uint8_t { kClose, kKeepAlive };
enum class Expectation : std::uint8_t { kNone, k100Continue };

// What the fields of a request say about it as a message.
struct MessageFacts {
  BodyFraming framing = BodyFraming::kNone;
  std::uint64_t content_length = 0;  // bytes; of kLength only, where it is not 0
  Persistence persistence = Persistence::kKeepAlive;
  Expectation expectation = Expectation::kNone;
};

// Values are already free of surrounding white space.
std::expected<MessageFacts, Refusal> check_fields(std::span<const Field> fields, unsigned minor_version);

// Framing is settled before trailers come: they may not speak of it again.
Verdict check_trailers(std::span<const Field> trailers);

// The hexadecimal digits of a chunk's size line, which is given with its CRLF. Extensions mean nothing to us and are
// left out, which RFC 9112 7.1.1 demands, but must not contain what could be taken for another line.
std::expected<std::string_view, Refusal> parse_chunk_line(std::string_view line);

// RFC 9110 5.6.2: what names and methods are made of.
bool is_token(std::string_view text);

// ASCII only, whatever the locale.
inline bool equals_ignoring_case(std::string_view left, std::string_view right) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  return std::ranges::equal(left, right, {}, lower, lower);  // unequal lengths need no look at the characters
}

// Without the spaces and tabs around it, which are no part of a field value.
std::string_view without_surrounding_space(std::string_view text);

}  // namespace common
