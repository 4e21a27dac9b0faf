// A transcript: everything a RequestParser says about some bytes, as text that two ways of feeding can be compared by.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "common/check.h"
#include "common/http_parser.h"

namespace support {

inline std::string describe(const common::Request& request) {
  std::string text = "message ";
  text.append(request.method).append(" ").append(request.target);
  text.append(" 1.").append(std::to_string(request.minor_version));
  text.append(request.keep_alive ? " persistent" : " last");
  if (request.expects_continue) text += " expecting";
  if (request.is_head) text += " headonly";
  for (const common::Field& field : request.headers)
    text.append(" [").append(field.name).append("=").append(field.value).append("]");
  for (const common::Field& field : request.trailers)
    text.append(" {").append(field.name).append("=").append(field.value).append("}");
  return text.append(" <").append(request.body).append(">\n");
}

// Feeds pieces of `bytes`; `piece_size(offset)` says how large the piece at an offset is. Each piece lives in memory
// of its own that is gone before the next is fed, so that sanitizers find stale views.
template <typename PieceSize>
std::string transcript(std::string_view bytes, const common::RequestLimits& limits, PieceSize piece_size) {
  using Status = common::RequestParser::Status;
  common::RequestParser parser(limits);
  std::string text;
  for (std::size_t offset = 0; offset < bytes.size();) {
    const std::size_t size = std::clamp<std::size_t>(piece_size(offset), 1, bytes.size() - offset);
    const auto piece = std::make_unique<char[]>(size);
    bytes.copy(piece.get(), size, offset);
    offset += size;
    for (std::string_view rest(piece.get(), size); !rest.empty();) {
      const auto [status, consumed] = parser.feed(rest);
      CHECK(consumed > 0 && consumed <= rest.size());
      if (status == Status::kNeedMore) CHECK(consumed == rest.size());
      rest.remove_prefix(consumed);
      if (status == Status::kHead) {
        CHECK(parser.begun() && parser.request().body.empty());
        text += "head " + std::string(parser.request().target) + "\n";
      }
      if (status == Status::kRefused) {
        return text + "refused " + std::to_string(parser.refusal().status) + " " +
               std::string(parser.refusal().reason) + "\n";
      }
      if (status == Status::kMessage) {
        text += describe(parser.request());
        parser.next();
        CHECK(!parser.begun());
      }
    }
  }
  return parser.begun() ? text + "begun\n" : text;
}

inline std::string transcript_whole(std::string_view bytes, const common::RequestLimits& limits = {}) {
  return transcript(bytes, limits, [bytes](std::size_t) { return bytes.size(); });
}

inline std::string transcript_bytewise(std::string_view bytes, const common::RequestLimits& limits = {}) {
  return transcript(bytes, limits, [](std::size_t) { return std::size_t{1}; });
}

inline std::string transcript_split(std::string_view bytes, std::size_t at, const common::RequestLimits& limits = {}) {
  return transcript(bytes, limits, [bytes, at](std::size_t offset) { return offset == 0 ? at : bytes.size(); });
}

// "ok" for each message, a status for a refusal, "..." for a request that is not whole.
inline std::string outcome_of(const std::string& transcript) {
  std::string outcome;
  for (std::size_t at = 0; at < transcript.size();) {
    const std::string line = transcript.substr(at, transcript.find('\n', at) - at);
    if (transcript.compare(at, 8, "message ") == 0) {
      outcome += "ok ";
      at = transcript.find(">\n", at);
    } else if (line.starts_with("refused ")) {
      outcome += line.substr(8, 4);
    } else if (line == "begun") {
      outcome += "... ";
    }
    at = transcript.find('\n', at) + 1;
  }
  return outcome.substr(0, outcome.size() - 1);
}

}  // namespace support
