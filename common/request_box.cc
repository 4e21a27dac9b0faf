// RequestBox: a line of text in words that two processes may touch at once.
#include "common/request_box.h"

#include <algorithm>
#include <cstring>

namespace common {
namespace {

constexpr std::size_t kWordBytes = sizeof(std::uint64_t);
constexpr auto kRelaxed = std::memory_order_relaxed;

std::size_t words_for(std::size_t bytes) { return (bytes + kWordBytes - 1) / kWordBytes; }

}  // namespace

void RequestBox::begin(std::string_view method, std::string_view target) {
  std::array<std::uint64_t, kRequestLineMax / kWordBytes> line;
  char* const text = reinterpret_cast<char*>(line.data());
  const std::size_t whole = method.size() + 1 + target.size();
  const std::size_t kept = std::min(whole, kRequestLineMax);
  line[(kept - 1) / kWordBytes] = 0;  // what the text leaves of the last word
  const std::size_t of_method = std::min(method.size(), kept);
  std::memcpy(text, method.data(), of_method);
  if (of_method < kept) text[of_method] = ' ';
  if (of_method + 1 < kept) std::memcpy(text + of_method + 1, target.data(), kept - of_method - 1);
  for (std::size_t i = 0; i < words_for(kept); ++i) words_[i].store(line[i], kRelaxed);
  // Last: a worker that is killed in the middle of the copy had not begun.
  length_.store(static_cast<std::uint32_t>(std::min<std::size_t>(whole, UINT32_MAX)), std::memory_order_release);
}

std::optional<std::string> RequestBox::read() const {
  const std::size_t whole = length_.load(std::memory_order_acquire);
  if (whole == 0) return std::nullopt;
  const std::size_t kept = std::min(whole, kRequestLineMax);
  std::array<std::uint64_t, kRequestLineMax / kWordBytes> line;
  for (std::size_t i = 0; i < words_for(kept); ++i) line[i] = words_[i].load(kRelaxed);
  std::string text(reinterpret_cast<const char*>(line.data()), kept);
  std::ranges::replace_if(text, [](char c) { return c < 0x20 || c >= 0x7f; }, '?');
  if (whole > kept) text += "...";
  return text;
}

}  // namespace common
