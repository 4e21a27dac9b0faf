// Utf8: text of whatever origin, made valid, and cut between its characters. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace common {

// The same text with U+FFFD for what is not UTF-8. Dear for text that is not ASCII.
std::string valid_utf8(std::string_view text);

// The longest beginning of at most so many bytes that ends with a whole character. What is not UTF-8 is cut at the
// limit.
std::string_view cut_utf8(std::string_view text, std::size_t bytes_max);

}  // namespace common
