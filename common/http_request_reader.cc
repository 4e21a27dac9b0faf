// RequestReader: where lines, bodies and chunks end, and what is refused on the way.
#include "common/http_request_reader.h"

#include <algorithm>

#include "common/check.h"

namespace common {
namespace {

// What a connection keeps between requests.
constexpr std::size_t kFieldsReserve = 32;     // fields
constexpr std::size_t kBodyReserve = 4096;     // bytes
constexpr std::size_t kBodyFirst =
    std::size_t{64} * 1024;  // bytes; more is not set aside on a mere promise of Content-Length
constexpr std::size_t kEmptyLineBytesMax = 8;  // before a request line; RFC 9112 2.2 asks for at least one line

// Extensions mean nothing to us: a message may waste this much on them. The first bytes of each size line are free.
constexpr std::size_t kExtensionBytesMax = std::size_t{16} * 1024;
constexpr std::size_t kChunkLineFree = 16 + 2;

constexpr std::string_view kLineEnd = "\r\n";

}  // namespace

auto RequestReader::refuse(const Refusal& why) -> Progress {
  refusal_ = why;
  phase_ = Phase::kRefused;
  return Progress::kAdvanced;
}

void RequestReader::reset() {
  phase_ = Phase::kBetween;
  empty_line_bytes_ = 0;
  extension_bytes_ = 0;
  head_.clear();
  tail_.clear();
  headers_.clear();
  trailers_.clear();
  body_.clear();
  if (headers_.capacity() > kFieldsReserve) headers_ = std::vector<Field>();
  if (trailers_.capacity() > kFieldsReserve) trailers_ = std::vector<Field>();
  if (body_.capacity() > kBodyReserve) body_ = std::string();
}

auto RequestReader::step(const char*& next, const char* end) -> Progress {
  switch (phase_) {
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

auto RequestReader::read_between(const char*& next, const char* end) -> Progress {
  for (; next != end; ++next, ++empty_line_bytes_) {
    const bool after_cr = empty_line_bytes_ % 2 != 0;
    if (!after_cr && *next != '\r') {
      if (const Verdict verdict = check_first_byte(*next)) return refuse(*verdict);
      phase_ = Phase::kLine;
      return Progress::kAdvanced;
    }
    if (after_cr && *next != '\n') return refuse({400, "a CR without LF"});
    if (empty_line_bytes_ == kEmptyLineBytesMax) return refuse({400, "too many empty lines before the request"});
  }
  return Progress::kStarved;
}

auto RequestReader::read_request_line(const char*& next, const char* end) -> Progress {
  // Room for one byte more than any line within the limit has: a line that fills it is too long.
  const std::size_t room = limits_.request_line_max + kLineEnd.size() + 1 - head_.text().size();
  const bool complete = head_.take_line(next, end, room) == HttpLines::Taken::kWhole;
  std::string_view line = head_.line();
  if (complete) line.remove_suffix(1);
  if (HttpLines::certain_bytes(line) > limits_.request_line_max) return refuse({414, "the request line is too long"});
  if (!complete) {
    head_.keep();
    return Progress::kStarved;
  }
  if (!line.ends_with('\r')) return refuse({400, "the request line ends in LF without CR"});
  line.remove_suffix(1);
  const auto parsed = parse_request_line(line);
  if (!parsed) return refuse(parsed.error());
  method_bytes_ = parsed->method.size();
  target_bytes_ = parsed->target.size();
  minor_version_ = parsed->minor_version;
  head_.start_section();
  phase_ = Phase::kFields;
  return Progress::kAdvanced;
}

auto RequestReader::read_fields(const char*& next, const char* end) -> Progress {
  const auto taken = head_.take_section(next, end, limits_);
  if (!taken) return refuse(taken.error());
  return *taken == HttpLines::Taken::kPart ? Progress::kStarved : finish_head();
}

auto RequestReader::finish_head() -> Progress {
  using Completed = HttpTokenizer::Completed;
  tokenizer_.begin_message();
  const auto unit = tokenizer_.take(head_.text(), headers_);
  if (!unit) return refuse(unit.error());
  const auto facts = check_fields(headers_, minor_version_);
  if (!facts) return refuse(facts.error());

  const Completed expected = facts->framing == BodyFraming::kNone ? Completed::kMessage : Completed::kHeaders;
  const bool same_length = facts->framing != BodyFraming::kLength || facts->content_length == unit->length;
  if (unit->completed != expected || !same_length) return refuse({400, "the framing of the request is ambiguous"});
  return begin_body(*facts);
}

auto RequestReader::begin_body(const MessageFacts& facts) -> Progress {
  if (facts.content_length > limits_.body_max) return refuse({413, "the body is too large"});
  if (facts.framing == BodyFraming::kNone) {
    fill_request(facts);
    phase_ = Phase::kWhole;
    return Progress::kAdvanced;
  }
  keep_head();
  fill_request(facts);
  data_left_ = static_cast<std::size_t>(facts.content_length);
  phase_ = facts.framing == BodyFraming::kLength ? Phase::kLengthBody : Phase::kChunkLine;
  return Progress::kHead;
}

void RequestReader::fill_request(const MessageFacts& facts) {
  const std::string_view text = head_.text();
  request_.method = text.substr(0, method_bytes_);
  request_.target = text.substr(method_bytes_ + 1, target_bytes_);
  request_.minor_version = minor_version_;
  request_.headers = headers_;
  request_.trailers = {};
  request_.body = {};
  request_.keep_alive = facts.persistence == Persistence::kKeepAlive;
  request_.expects_continue = facts.expectation == Expectation::k100Continue;
  request_.is_head = request_.method == "HEAD";
}

// The body may come in later feeds: the head must not depend on the bytes of this one.
void RequestReader::keep_head() {
  const char* const before = head_.text().data();
  head_.keep();
  const char* const after = head_.text().data();
  if (after == before) return;
  for (Field& field : headers_) {
    field.name = {after + (field.name.data() - before), field.name.size()};
    field.value = {after + (field.value.data() - before), field.value.size()};
  }
}

auto RequestReader::read_length_body(const char*& next, const char* end) -> Progress {
  const std::size_t bytes = std::min(data_left_, static_cast<std::size_t>(end - next));
  if (bytes == 0) return Progress::kStarved;
  if (body_.empty() && bytes == data_left_) {
    request_.body = {next, bytes};
  } else {
    if (body_.empty()) body_.reserve(std::min(data_left_, kBodyFirst));
    body_.append(next, bytes);
    request_.body = body_;
  }
  next += bytes;
  data_left_ -= bytes;
  if (data_left_ == 0) phase_ = Phase::kWhole;
  return Progress::kAdvanced;
}

auto RequestReader::read_chunk_line(const char*& next, const char* end) -> Progress {
  const std::size_t bytes_max = kChunkLineFree + kExtensionBytesMax - extension_bytes_;
  const auto taken = tail_.take_line(next, end, bytes_max + 1 - tail_.text().size());
  const std::string_view line = tail_.text();
  if (line.size() > bytes_max) return refuse({400, "the chunk extensions are too large"});
  if (taken == HttpLines::Taken::kPart) {
    tail_.keep();
    return Progress::kStarved;
  }
  const auto digits = parse_chunk_line(line);
  if (!digits) return refuse(digits.error());
  if (const auto unit = tokenizer_.take(*digits, trailers_); !unit) return refuse(unit.error());
  const auto unit = tokenizer_.take(kLineEnd, trailers_);
  if (!unit) return refuse(unit.error());
  if (unit->completed != HttpTokenizer::Completed::kChunkHeader) return refuse({400, "a chunk's size is ambiguous"});
  const std::uint64_t size = unit->length;
  if (size > limits_.body_max - body_.size()) return refuse({413, "the body is too large"});

  if (line.size() > kChunkLineFree) extension_bytes_ += line.size() - kChunkLineFree;
  data_left_ = static_cast<std::size_t>(size);
  tail_.clear();
  tail_.start_section();
  phase_ = size == 0 ? Phase::kTrailers : Phase::kChunkData;
  return Progress::kAdvanced;
}

auto RequestReader::read_chunk_data(const char*& next, const char* end) -> Progress {
  const std::size_t bytes = std::min(data_left_, static_cast<std::size_t>(end - next));
  if (bytes > 0) {
    if (const auto unit = tokenizer_.take({next, bytes}, trailers_); !unit) return refuse(unit.error());
    body_.append(next, bytes);
    next += bytes;
    data_left_ -= bytes;
  }
  if (data_left_ > 0) return Progress::kStarved;

  tail_.take_line(next, end, kLineEnd.size() - tail_.text().size());
  if (!kLineEnd.starts_with(tail_.text())) return refuse({400, "a chunk is longer than its size"});
  if (tail_.text().size() < kLineEnd.size()) {
    tail_.keep();
    return Progress::kStarved;
  }
  if (const auto unit = tokenizer_.take(kLineEnd, trailers_); !unit) return refuse(unit.error());
  tail_.clear();
  phase_ = Phase::kChunkLine;
  return Progress::kAdvanced;
}

auto RequestReader::read_trailers(const char*& next, const char* end) -> Progress {
  const auto taken = tail_.take_section(next, end, limits_);
  if (!taken) return refuse(taken.error());
  if (*taken == HttpLines::Taken::kPart) return Progress::kStarved;
  const auto unit = tokenizer_.take(tail_.text(), trailers_);
  if (!unit) return refuse(unit.error());
  if (const Verdict verdict = check_trailers(trailers_)) return refuse(*verdict);
  if (unit->completed != HttpTokenizer::Completed::kMessage)
    return refuse({400, "the end of the trailers is ambiguous"});
  request_.trailers = trailers_;
  request_.body = body_;
  phase_ = Phase::kWhole;
  return Progress::kAdvanced;
}

RequestParser::Outcome RequestReader::feed(std::string_view bytes) {
  using Status = RequestParser::Status;
  CHECK(phase_ != Phase::kWhole);  // next() comes first
  const char* next = bytes.data();
  const char* const end = next + bytes.size();
  Progress progress = bytes.empty() ? Progress::kStarved : Progress::kAdvanced;
  while (progress == Progress::kAdvanced && phase_ < Phase::kWhole) progress = step(next, end);

  const std::size_t consumed = static_cast<std::size_t>(next - bytes.data());
  if (phase_ == Phase::kRefused) return {Status::kRefused, bytes.size()};
  if (phase_ == Phase::kWhole) return {Status::kMessage, consumed};
  return {progress == Progress::kHead ? Status::kHead : Status::kNeedMore, consumed};
}

void RequestReader::next() {
  CHECK(phase_ == Phase::kWhole);
  reset();
}

}  // namespace common
