// RequestTarget: splitting first, decoding afterwards, so that an escaped '&' or '?' stays a character.
#include "master/request_target.h"

#include <algorithm>
#include <charconv>
#include <system_error>

namespace master {
namespace {

enum class Plus { kItself, kSpace };  // in a query '+' is a space, as HTML forms write it; in a path it is a plus

std::optional<std::string> decoded(std::string_view text, Plus plus) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result += text[i] == '+' && plus == Plus::kSpace ? ' ' : text[i];
      continue;
    }
    const std::string_view digits = text.substr(i + 1, 2);
    unsigned value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (error != std::errc() || end != digits.data() + 2 || value == 0) return std::nullopt;
    result += static_cast<char>(value);
    i += 2;
  }
  return result;
}

}  // namespace

std::optional<RequestTarget> RequestTarget::parse(std::string_view text) {
  if (!text.starts_with('/')) return std::nullopt;
  const std::size_t path_end = std::min(text.find('?'), text.size());
  auto path = decoded(text.substr(0, path_end), Plus::kItself);
  if (!path) return std::nullopt;
  RequestTarget target{.path = std::move(*path), .query = {}};
  std::string_view rest = text.substr(std::min(path_end + 1, text.size()));
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    auto key = decoded(pair.substr(0, equals), Plus::kSpace);
    auto value = decoded(pair.substr(std::min(equals + 1, pair.size())), Plus::kSpace);
    if (!key || !value) return std::nullopt;
    if (!target.query.try_emplace(std::move(*key), std::move(*value)).second) return std::nullopt;
  }
  return target;
}

}  // namespace master
