// Nearest: which of the known words a mistyped one was probably meant to be.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace common {

// Levenshtein distance: insertions, deletions and replacements of one byte that turn `a` into `b`. Pure.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The first of the nearest words, or "" when even that needs more edits than a third of the typed word's bytes (one is
// always allowed): a far-fetched suggestion is worse than none.
std::string_view nearest(std::string_view typed, std::span<const std::string_view> words);

}  // namespace common
