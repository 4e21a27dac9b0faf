// HttpLines: finding line ends, and the limits of a section.
#include "common/http_lines.h"

#include <algorithm>
#include <cstring>

#include "common/http_policy.h"

namespace common {

HttpLines::Taken HttpLines::take_line(const char*& next, const char* end, std::size_t room) {
  const std::size_t bytes_max = std::min(static_cast<std::size_t>(end - next), room);
  const auto* const lf = static_cast<const char*>(std::memchr(next, '\n', bytes_max));
  const std::size_t taken = lf != nullptr ? static_cast<std::size_t>(lf - next) + 1 : bytes_max;
  if (!copy_.empty()) {
    copy_.append(next, taken);
    base_ = copy_.data();
  } else if (size_ == 0) {
    base_ = next;
  }
  size_ += taken;
  next += taken;
  return lf != nullptr ? Taken::kWhole : Taken::kPart;
}

void HttpLines::start_section() {
  line_start_ = size_;
  section_start_ = size_;
  section_fields_ = 0;
}

std::expected<HttpLines::Taken, RequestParser::Refusal> HttpLines::take_section(const char*& next, const char* end,
                                                                                const RequestLimits& limits) {
  constexpr std::string_view kEmptyLine = "\r\n";
  while (true) {
    // Room for one byte more than any section within the limit has: one that fills it is too large.
    const std::size_t room = limits.header_bytes_max + kEmptyLine.size() + 1 - (size_ - section_start_);
    const Taken taken = take_line(next, end, room);
    if (taken == Taken::kWhole && line() == kEmptyLine) return Taken::kWhole;

    // Before anything else about the line: the limit may be passed before its end has come.
    const std::size_t section_bytes = (taken == Taken::kWhole ? size_ : certain_bytes(text())) - section_start_;
    if (section_bytes > limits.header_bytes_max)
      return std::unexpected(Refusal{431, "the header fields are too large"});
    if (taken == Taken::kPart) {
      keep();
      return Taken::kPart;
    }
    if (++section_fields_ > limits.headers_max) return std::unexpected(Refusal{431, "too many header fields"});
    if (const Verdict verdict = check_field_line(line())) return std::unexpected(*verdict);
    line_start_ = size_;
  }
}

void HttpLines::keep() {
  if (!copy_.empty() || size_ == 0) return;
  copy_.assign(base_, size_);
  base_ = copy_.data();
}

void HttpLines::clear() {
  size_ = 0;
  start_section();
  if (copy_.capacity() > kReserve) copy_ = std::string();
  copy_.clear();
}

}  // namespace common
