// Utf8: validity is left to the library for JSON, which is text of UTF-8.
#include "common/utf8.h"

#include <algorithm>

#include "common/json.h"

namespace common {
namespace {

constexpr std::size_t kContinuationsMax = 3;  // after the first byte of a character (RFC 3629, section 3)

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0U) == 0x80U; }

}  // namespace

std::string valid_utf8(std::string_view text) {
  if (std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; })) return std::string(text);
  const std::string quoted = Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  const Json parsed = Json::parse(quoted, nullptr, false);
  return parsed.is_string() ? parsed.get<std::string>() : std::string();
}

std::string_view cut_utf8(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max;
  while (end > 0 && bytes_max - end < kContinuationsMax && is_continuation(text[end])) --end;
  return text.substr(0, is_continuation(text[end]) ? bytes_max : end);
}

}  // namespace common
