// RequestParser: cuts the received bytes into lines, has llhttp parse them and http_policy judge them.
//
// llhttp is fed whole units only: a head, a chunk's size line, chunk data, a trailer section. So a piece of text never
// reaches it in two halves, each byte passes it once, and how the bytes were cut into feeds cannot matter to it.
// Where a unit ends is decided here, by strict rules, and llhttp must come to the same conclusion.
#include "common/http_parser.h"

#include <algorithm>
#include <string>
#include <vector>

#include "common/check.h"
#include "common/http_lines.h"
#include "common/http_policy.h"
#include "common/http_tokenizer.h"

namespace common {
namespace {

// What a connection keeps between requests.
constexpr std::size_t kFieldsReserve = 32;     // fields
constexpr std::size_t kBodyReserve = 4096;     // bytes
constexpr std::size_t kBodyFirst = 64 * 1024;  // bytes; more is not set aside on a mere promise of Content-Length
constexpr std::size_t kEmptyLineBytesMax = 8;  // before a request line; RFC 9112 2.2 asks for at least one line

// Extensions mean nothing to us: a message may waste this much on them. The first bytes of each size line are free.
constexpr std::size_t kExtensionBytesMax = 16 * 1024;
constexpr std::size_t kChunkLineFree = 16 + 2;

constexpr std::string_view kLineEnd = "\r\n";

}  // namespace

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
struct RequestParser::State {
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
  using Reported = HttpTokenizer::Reported;

  explicit State(const RequestLimits& given) : limits(given) {}

  void forget_request();
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

  RequestLimits limits;
  Phase phase = Phase::kBetween;
  std::size_t empty_line_bytes = 0;  // skipped before the request line
  std::size_t method_bytes = 0;  // from kFields on
  std::size_t target_bytes = 0;  // from kFields on
  unsigned minor_version = 1;    // from kFields on
  std::size_t data_left = 0;     // of the body in kLengthBody, of the chunk in kChunkData
  std::size_t extension_bytes = 0;
  HttpLines head;
  HttpLines tail;  // what follows the data: a size line, the CRLF of a chunk, the trailer section
  std::vector<Field> headers;
  std::vector<Field> trailers;
  std::string body;
  Request request;
  Refusal refusal{};
  HttpTokenizer tokenizer;
};

auto RequestParser::State::refuse(const Refusal& why) -> Progress {
  refusal = why;
  phase = Phase::kRefused;
  return Progress::kAdvanced;
}

void RequestParser::State::forget_request() {
  phase = Phase::kBetween;
  empty_line_bytes = 0;
  extension_bytes = 0;
  head.clear();
  tail.clear();
  headers.clear();
  trailers.clear();
  body.clear();
  if (headers.capacity() > kFieldsReserve) headers = std::vector<Field>();
  if (trailers.capacity() > kFieldsReserve) trailers = std::vector<Field>();
  if (body.capacity() > kBodyReserve) body = std::string();
}

auto RequestParser::State::step(const char*& next, const char* end) -> Progress {
  switch (phase) {
    case Phase::kBetween: return read_between(next, end);
    case Phase::kLine: return read_request_line(next, end);
    case Phase::kFields: return read_fields(next, end);
    case Phase::kLengthBody: return read_length_body(next, end);
    case Phase::kChunkLine: return read_chunk_line(next, end);
    case Phase::kChunkData: return read_chunk_data(next, end);
    case Phase::kTrailers: return read_trailers(next, end);
    case Phase::kWhole:
    case Phase::kRefused: break;
  }
  return Progress::kStarved;
}

auto RequestParser::State::read_between(const char*& next, const char* end) -> Progress {
  for (; next != end; ++next, ++empty_line_bytes) {
    const bool after_cr = empty_line_bytes % 2 != 0;
    if (!after_cr && *next != '\r') {
      if (const Verdict verdict = check_first_byte(*next)) return refuse(*verdict);
      phase = Phase::kLine;
      return Progress::kAdvanced;
    }
    if (after_cr && *next != '\n') return refuse({400, "a CR without LF"});
    if (empty_line_bytes == kEmptyLineBytesMax) return refuse({400, "too many empty lines before the request"});
  }
  return Progress::kStarved;
}

auto RequestParser::State::read_request_line(const char*& next, const char* end) -> Progress {
  // Room for one byte more than any line within the limit has: a line that fills it is too long.
  const std::size_t room = limits.request_line_max + kLineEnd.size() + 1 - head.text().size();
  const bool complete = head.take_line(next, end, room) == HttpLines::Taken::kWhole;
  std::string_view line = head.line();
  if (complete) line.remove_suffix(1);
  if (HttpLines::certain_bytes(line) > limits.request_line_max) return refuse({414, "the request line is too long"});
  if (!complete) {
    head.keep();
    return Progress::kStarved;
  }
  if (!line.ends_with('\r')) return refuse({400, "the request line ends in LF without CR"});
  line.remove_suffix(1);
  const auto parsed = parse_request_line(line);
  if (!parsed) return refuse(parsed.error());
  method_bytes = parsed->method.size();
  target_bytes = parsed->target.size();
  minor_version = parsed->minor_version;
  head.start_section();
  phase = Phase::kFields;
  return Progress::kAdvanced;
}

auto RequestParser::State::read_fields(const char*& next, const char* end) -> Progress {
  const auto taken = head.take_section(next, end, limits);
  if (!taken) return refuse(taken.error());
  return *taken == HttpLines::Taken::kPart ? Progress::kStarved : finish_head();
}

auto RequestParser::State::finish_head() -> Progress {
  tokenizer.begin_message();
  if (const Verdict verdict = tokenizer.take(head.text(), headers)) return refuse(*verdict);
  const auto facts = check_fields(headers, minor_version);
  if (!facts) return refuse(facts.error());

  const Reported expected =
      facts->framing == BodyFraming::kNone ? Reported::kMessageComplete : Reported::kHeadersComplete;
  const bool same_length =
      facts->framing != BodyFraming::kLength || facts->content_length == tokenizer.content_length();
  if (tokenizer.reported() != expected || !same_length) return refuse({400, "the framing of the request is ambiguous"});
  return begin_body(*facts);
}

auto RequestParser::State::begin_body(const MessageFacts& facts) -> Progress {
  if (facts.content_length > limits.body_max) return refuse({413, "the body is too large"});
  if (facts.framing == BodyFraming::kNone) {
    fill_request(facts);
    phase = Phase::kWhole;
    return Progress::kAdvanced;
  }
  keep_head();
  fill_request(facts);
  data_left = static_cast<std::size_t>(facts.content_length);
  phase = facts.framing == BodyFraming::kLength ? Phase::kLengthBody : Phase::kChunkLine;
  return Progress::kHead;
}

void RequestParser::State::fill_request(const MessageFacts& facts) {
  const std::string_view text = head.text();
  request.method = text.substr(0, method_bytes);
  request.target = text.substr(method_bytes + 1, target_bytes);
  request.minor_version = minor_version;
  request.headers = headers;
  request.trailers = {};
  request.body = {};
  request.keep_alive = facts.persistence == Persistence::kKeepAlive;
  request.expects_continue = facts.expectation == Expectation::k100Continue;
  request.is_head = request.method == "HEAD";
}

// The body may come in later feeds: the head must not depend on the bytes of this one.
void RequestParser::State::keep_head() {
  const char* const before = head.text().data();
  head.keep();
  const char* const after = head.text().data();
  if (after == before) return;
  for (Field& field : headers) {
    field.name = {after + (field.name.data() - before), field.name.size()};
    field.value = {after + (field.value.data() - before), field.value.size()};
  }
}

auto RequestParser::State::read_length_body(const char*& next, const char* end) -> Progress {
  const std::size_t bytes = std::min(data_left, static_cast<std::size_t>(end - next));
  if (bytes == 0) return Progress::kStarved;
  if (body.empty() && bytes == data_left) {
    request.body = {next, bytes};
  } else {
    if (body.empty()) body.reserve(std::min(data_left, kBodyFirst));
    body.append(next, bytes);
    request.body = body;
  }
  next += bytes;
  data_left -= bytes;
  if (data_left == 0) phase = Phase::kWhole;
  return Progress::kAdvanced;
}

auto RequestParser::State::read_chunk_line(const char*& next, const char* end) -> Progress {
  const std::size_t bytes_max = kChunkLineFree + kExtensionBytesMax - extension_bytes;
  const auto taken = tail.take_line(next, end, bytes_max + 1 - tail.text().size());
  const std::string_view line = tail.text();
  if (line.size() > bytes_max) return refuse({400, "the chunk extensions are too large"});
  if (taken == HttpLines::Taken::kPart) {
    tail.keep();
    return Progress::kStarved;
  }
  if (const Verdict verdict = check_chunk_line(line)) return refuse(*verdict);
  if (const Verdict verdict = tokenizer.take(line, trailers)) return refuse(*verdict);
  if (tokenizer.reported() != Reported::kChunkHeader) return refuse({400, "the framing of a chunk is ambiguous"});
  const std::uint64_t size = tokenizer.content_length();
  if (size > limits.body_max - body.size()) return refuse({413, "the body is too large"});

  if (line.size() > kChunkLineFree) extension_bytes += line.size() - kChunkLineFree;
  data_left = static_cast<std::size_t>(size);
  tail.clear();
  tail.start_section();
  phase = size == 0 ? Phase::kTrailers : Phase::kChunkData;
  return Progress::kAdvanced;
}

auto RequestParser::State::read_chunk_data(const char*& next, const char* end) -> Progress {
  const std::size_t bytes = std::min(data_left, static_cast<std::size_t>(end - next));
  if (bytes > 0) {
    if (const Verdict verdict = tokenizer.take({next, bytes}, trailers)) return refuse(*verdict);
    body.append(next, bytes);
    next += bytes;
    data_left -= bytes;
  }
  if (data_left > 0) return Progress::kStarved;

  tail.take_line(next, end, kLineEnd.size() - tail.text().size());
  if (!kLineEnd.starts_with(tail.text())) return refuse({400, "a chunk is longer than its size"});
  if (tail.text().size() < kLineEnd.size()) {
    tail.keep();
    return Progress::kStarved;
  }
  if (const Verdict verdict = tokenizer.take(kLineEnd, trailers)) return refuse(*verdict);
  tail.clear();
  phase = Phase::kChunkLine;
  return Progress::kAdvanced;
}

auto RequestParser::State::read_trailers(const char*& next, const char* end) -> Progress {
  const auto taken = tail.take_section(next, end, limits);
  if (!taken) return refuse(taken.error());
  if (*taken == HttpLines::Taken::kPart) return Progress::kStarved;
  if (const Verdict verdict = tokenizer.take(tail.text(), trailers)) return refuse(*verdict);
  if (const Verdict verdict = check_trailers(trailers)) return refuse(*verdict);
  if (tokenizer.reported() != Reported::kMessageComplete)
    return refuse({400, "the framing of the trailers is ambiguous"});
  request.trailers = trailers;
  request.body = body;
  phase = Phase::kWhole;
  return Progress::kAdvanced;
}

RequestParser::RequestParser(const RequestLimits& limits) : state_(std::make_unique<State>(limits)) {}

RequestParser::~RequestParser() = default;

RequestParser::Outcome RequestParser::feed(std::string_view bytes) {
  using Phase = State::Phase;
  using Progress = State::Progress;
  CHECK(state_->phase != Phase::kWhole);  // next() comes first
  const char* next = bytes.data();
  const char* const end = next + bytes.size();
  Progress progress = bytes.empty() ? Progress::kStarved : Progress::kAdvanced;
  while (progress == Progress::kAdvanced && state_->phase < Phase::kWhole) progress = state_->step(next, end);

  const std::size_t consumed = static_cast<std::size_t>(next - bytes.data());
  if (state_->phase == Phase::kRefused) return {Status::kRefused, bytes.size()};
  if (state_->phase == Phase::kWhole) return {Status::kMessage, consumed};
  return {progress == Progress::kHead ? Status::kHead : Status::kNeedMore, consumed};
}

void RequestParser::next() {
  CHECK(state_->phase == State::Phase::kWhole);
  state_->forget_request();
}

void RequestParser::reset() { state_->forget_request(); }

const Request& RequestParser::request() const { return state_->request; }

const RequestParser::Refusal& RequestParser::refusal() const { return state_->refusal; }

bool RequestParser::begun() const { return state_->phase != State::Phase::kBetween; }

}  // namespace common
