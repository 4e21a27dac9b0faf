// HttpTokenizer: what the reading of requests needs from an HTTP grammar, fed whole units of a message at a time.
//
// A unit is a head, a chunk's size, chunk data, a CRLF around them, or a trailer section. Because units are whole,
// every name and value comes out in one piece, and the grammar's opinion of where a unit ends can be compared with
// ours. This seam keeps llhttp behind its one door, http_parser.cc.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>
#include <vector>

#include "common/http_policy.h"

namespace common {

class HttpTokenizer {
 public:
  // The last thing that a unit completed.
  enum class Completed : std::uint8_t { kNothing, kHeaders, kChunkHeader, kMessage };
  struct Unit {
    Completed completed;
    std::uint64_t length;  // bytes: Content-Length after kHeaders, the chunk's size after kChunkHeader
  };

  virtual void begin_message() = 0;

  // The fields of `unit` are appended to `fields` and point into it.
  virtual std::expected<Unit, Refusal> take(std::string_view unit, std::vector<Field>& fields) = 0;

 protected:
  ~HttpTokenizer() = default;
};

}  // namespace common
