// RequestReader: the progress of one request through its bytes, cut into units, tokenized and judged by http_policy.
//
// Where a unit ends is decided here, by strict rules, and the tokenizer must come to the same conclusion. A piece of
// text never reaches it in two halves and each byte passes it once, so the cuts between feeds cannot matter to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/http_lines.h"
#include "common/http_parser.h"
#include "common/http_policy.h"
#include "common/http_tokenizer.h"

namespace common {

/*
 *             CRLF skipped          line ok              empty line, no body
 *   kBetween ------------> kLine ------------> kFields ---------------------------------> kWhole
 *                                                 | kHead reported                          ^  next()
 *                                                 +---> kLengthBody ------------------------+-----> kBetween
 *                                                 +---> kChunkLine --- last chunk --> kTrailers
 *                                                         |   ^
 *                                                         v   | CRLF
 *                                                    kChunkData
 *   any --- rule broken or limit passed ---> kRefused --- reset() ---> kBetween
 */
class RequestReader {
 public:
  RequestReader(const RequestLimits& limits, HttpTokenizer& tokenizer) : limits_(limits), tokenizer_(tokenizer) {}

  // As in RequestParser, which says more.
  RequestParser::Outcome feed(std::string_view bytes);
  void next();
  void reset();
  const Request& request() const { return request_; }
  const Refusal& refusal() const { return refusal_; }
  bool begun() const { return phase_ != Phase::kBetween; }

 private:
  enum class Phase : std::uint8_t {
    kBetween,
    kLine,
    kFields,
    kLengthBody,
    kChunkLine,
    kChunkData,
    kTrailers,
    kWhole,
    kRefused,
  };
  enum class Progress : std::uint8_t { kStarved, kAdvanced, kHead };

  Progress step(const char*& next, const char* end);
  Progress refuse(const Refusal& why);

  Progress read_between(const char*& next, const char* end);
  Progress read_request_line(const char*& next, const char* end);
  Progress read_fields(const char*& next, const char* end);
  Progress read_length_body(const char*& next, const char* end);
  Progress read_chunk_line(const char*& next, const char* end);
  Progress read_chunk_data(const char*& next, const char* end);
  Progress read_trailers(const char*& next, const char* end);

  Progress finish_head();
  Progress begin_body(const MessageFacts& facts);
  void fill_request(const MessageFacts& facts);
  void keep_head();

  const RequestLimits limits_;
  HttpTokenizer& tokenizer_;
  Phase phase_ = Phase::kBetween;
  std::size_t empty_line_bytes_ = 0;  // skipped before the request line
  std::size_t method_bytes_ = 0;      // from kFields on
  std::size_t target_bytes_ = 0;      // from kFields on
  unsigned minor_version_ = 1;        // from kFields on
  std::size_t data_left_ = 0;         // of the body in kLengthBody, of the chunk in kChunkData
  std::size_t extension_bytes_ = 0;   // of the message, beyond what is free
  HttpLines head_;
  HttpLines tail_;  // what follows the data: a size line, the CRLF of a chunk, the trailer section
  std::vector<Field> headers_;
  std::vector<Field> trailers_;
  std::string body_;
  Request request_;
  Refusal refusal_{};
};

}  // namespace common
