// HttpLines: the lines of a head or trailer section, gathered from one feed or several.
//
// A view of the caller's bytes while all of them came in one feed; a copy from keep() on. No byte is looked at twice,
// and the verdict on a line is the same whether it came whole or in pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "common/http_parser.h"

namespace common {

class HttpLines {
 public:
  enum class Taken : std::uint8_t { kPart, kWhole };

  std::string_view text() const { return {base_, size_}; }  // everything since clear()
  std::string_view line() const { return {base_ + line_start_, size_ - line_start_}; }  // the last, perhaps unfinished

  // Takes bytes up to the next LF, which it includes, or `room` bytes.
  Taken take_line(const char*& next, const char* end, std::size_t room);

  // What has been taken so far is no part of the section that follows.
  void start_section();

  // Takes field lines up to and including the empty line that ends the section. After kPart the text has been kept.
  std::expected<Taken, RequestParser::Refusal> take_section(const char*& next, const char* end,
                                                            const RequestLimits& limits);

  // Makes the text outlive the bytes it was taken from.
  void keep();

  void clear();

  // Bytes of an unfinished line or text that are certainly no part of its CRLF.
  static std::size_t certain_bytes(std::string_view text) { return text.size() - (text.ends_with('\r') ? 1 : 0); }

 private:
  // A connection keeps this much between messages: enough for usual heads that straddle two reads.
  static constexpr std::size_t kReserve = 1024;  // bytes

  const char* base_ = nullptr;
  std::size_t size_ = 0;
  std::size_t line_start_ = 0;
  std::size_t section_start_ = 0;
  std::size_t section_fields_ = 0;
  std::string copy_;  // empty while base_ points into the caller's bytes
};

}  // namespace common
