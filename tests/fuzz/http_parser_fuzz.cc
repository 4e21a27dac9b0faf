// Fuzz target: the cuts between feeds must not change what a RequestParser says, and no bytes may crash or stall it.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/check.h"
#include "common/http_parser.h"

namespace {

using common::RequestParser;

// Small limits, so that inputs of a size a fuzzer tries can pass them.
constexpr common::RequestLimits kLimits{
    .request_line_max = 64, .header_bytes_max = 256, .headers_max = 8, .body_max = 64};

void append(std::string& said, std::span<const common::Field> fields) {
  for (const common::Field& field : fields) said.append(field.name).append("=").append(field.value).append("\n");
}

void append(std::string& said, const RequestParser& parser, RequestParser::Status status) {
  const common::Request& request = parser.request();
  said += std::to_string(static_cast<int>(status));
  switch (status) {
    case RequestParser::Status::kNeedMore: return;
    case RequestParser::Status::kRefused:
      said.append(std::to_string(parser.refusal().status)).append(parser.refusal().reason);
      return;
    case RequestParser::Status::kHead:
    case RequestParser::Status::kMessage: break;
  }
  said.append(request.method).append(" ").append(request.target).append(" ").append(request.body);
  said += std::to_string(request.minor_version);
  said += request.keep_alive ? 'k' : 'c';
  said += request.expects_continue ? 'e' : 'n';
  append(said, request.headers);
  append(said, request.trailers);
}

// All that the parser says. Each piece lives in memory of its own, so that sanitizers find views that outlive it.
template <typename PieceSize>
std::string feed_all(std::string_view bytes, PieceSize piece_size) {
  using Status = RequestParser::Status;
  RequestParser parser(kLimits);
  std::string said;
  while (!bytes.empty()) {
    const std::size_t size = std::min<std::size_t>(piece_size(), bytes.size());
    const auto piece = std::make_unique<char[]>(size);
    std::copy_n(bytes.data(), size, piece.get());
    bytes.remove_prefix(size);
    for (std::string_view rest(piece.get(), size); !rest.empty();) {
      const auto [status, consumed] = parser.feed(rest);
      CHECK(consumed > 0 && consumed <= rest.size());
      CHECK(status != Status::kNeedMore || consumed == rest.size());
      rest.remove_prefix(consumed);
      if (status != Status::kNeedMore) append(said, parser, status);
      if (status == Status::kRefused) return said;
      if (status == Status::kMessage) parser.next();
    }
  }
  return said + (parser.begun() ? "begun" : "between");
}

}  // namespace

// The first byte seeds the sizes of the random pieces, the rest is what a client sends.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::string whole = feed_all(bytes, [&bytes] { return bytes.size(); });
  CHECK(feed_all(bytes, [] { return std::size_t{1}; }) == whole);

  std::uint32_t random = data[0] + 1U;
  CHECK(feed_all(bytes, [&random] {
          random = random * 1'664'525U + 1'013'904'223U;
          return std::size_t{1} + (random >> 24U) % 24U;
        }) == whole);
  return 0;
}
