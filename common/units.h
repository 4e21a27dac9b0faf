// Durations and sizes as people write them: a whole number and its unit, "30s" or "64KiB".
//
// One unit per value and no fractions, so every value has one shortest spelling and format_*() gives exactly what
// parse_*() reads back. Pure. An error is the reason and the fix without the value ("needs a unit, for example
// "5s""): the caller knows which key it belongs to.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"

namespace common {

// ns, us, ms, s, m, h, d; a bare "0" is allowed. At most 292 years, what 64 bits of nanoseconds hold.
Result<std::chrono::nanoseconds> parse_duration(std::string_view text);

// The largest unit that divides the value: 90 s is "90s", 120 s is "2m", 0 is "0s". Negative values are a bug.
std::string format_duration(std::chrono::nanoseconds duration);

// B, KiB, MiB, GiB, TiB (powers of 1024); a bare "0" is allowed. At most 2^63 - 1, what a TOML integer holds.
Result<std::uint64_t> parse_size(std::string_view text);

// The largest unit that divides the value: "8MiB", "1000B", "0".
std::string format_size(std::uint64_t bytes);

}  // namespace common
