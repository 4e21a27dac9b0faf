// HttpTokenizer: llhttp as this project uses it, fed whole units of a message at a time.
//
// A unit is a head, a chunk's size line, chunk data, the CRLF after it, or a trailer section. Because units are whole,
// every name and value reaches us in one piece, and llhttp's opinion about where a unit ends can be compared with ours.
#pragma once

#include <llhttp.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/http_policy.h"

namespace common {

class HttpTokenizer {
 public:
  // The last thing llhttp found complete in a unit.
  enum class Reported : std::uint8_t { kNothing, kHeadersComplete, kChunkHeader, kMessageComplete };

  HttpTokenizer() = default;
  HttpTokenizer(const HttpTokenizer&) = delete;  // llhttp_t points back here
  HttpTokenizer& operator=(const HttpTokenizer&) = delete;

  void begin_message();

  // Fields in `unit` are appended to `fields`, which then point into `unit`.
  Verdict take(std::string_view unit, std::vector<Field>& fields);

  Reported reported() const { return reported_; }
  std::uint64_t content_length() const { return llhttp_.content_length; }  // bytes; of the message or of the chunk

 private:
  static int on_field_name(llhttp_t* parser, const char* at, std::size_t length);
  static int on_field_value(llhttp_t* parser, const char* at, std::size_t length);
  static int on_headers_complete(llhttp_t* parser);
  static int on_chunk_header(llhttp_t* parser);
  static int on_message_complete(llhttp_t* parser);
  static const llhttp_settings_t& settings();

  Reported reported_ = Reported::kNothing;
  std::vector<Field>* fields_ = nullptr;  // only during take()
  llhttp_t llhttp_;
};

}  // namespace common
