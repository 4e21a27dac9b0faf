// Nearest: edit distance and the choice of a suggestion.
#include "common/nearest.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace common {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);  // distances from a[0, i) to every prefix of b
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::string_view nearest(std::string_view typed, std::span<const std::string_view> words) {
  constexpr std::size_t kTypedMax = 128;  // nobody meant a key by more, and the cost is a product of lengths
  if (typed.empty() || typed.size() > kTypedMax) return {};
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(1, typed.size() / 3) + 1;
  for (const std::string_view word : words) {
    const std::size_t distance = edit_distance(typed, word);
    if (distance < best_distance && distance < typed.size()) {
      best = word;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace common
