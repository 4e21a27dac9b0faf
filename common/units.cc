// Durations and sizes: reading and writing them.
#include "common/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <span>

#include "common/check.h"
#include "common/format.h"

namespace common {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Largest first: formatting takes the first that divides.
constexpr std::array<Unit, 7> kDurationUnits = {{{"d", 86'400'000'000'000},
                                                 {"h", 3'600'000'000'000},
                                                 {"m", 60'000'000'000},
                                                 {"s", 1'000'000'000},
                                                 {"ms", 1'000'000},
                                                 {"us", 1'000},
                                                 {"ns", 1}}};
constexpr std::array<Unit, 5> kSizeUnits = {
    {{"TiB", 1ULL << 40}, {"GiB", 1ULL << 30}, {"MiB", 1ULL << 20}, {"KiB", 1ULL << 10}, {"B", 1}}};

constexpr std::uint64_t kValueMax = std::numeric_limits<std::int64_t>::max();

// What the two kinds of value have in common, and how they differ in words.
struct Wording {
  std::span<const Unit> units;
  std::string_view units_text;
  std::string_view example_unit;
  std::string_view example;
  std::string_view too_large;
};

constexpr Wording kDuration = {kDurationUnits, "ns, us, ms, s, m, h or d", "s", "5s", "too long; the most is 106751d"};
constexpr Wording kSize = {kSizeUnits, "B, KiB, MiB, GiB or TiB", "B", "64KiB", "too large; the most is 8388607TiB"};

Result<std::uint64_t> parse(std::string_view text, const Wording& wording) {
  std::uint64_t number = 0;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [rest, error] = std::from_chars(begin, end, number);
  if (error == std::errc::result_out_of_range) return fail(std::string(wording.too_large));
  if (error != std::errc()) {
    return fail(common::format("must be a whole number and a unit, for example \"{}\"", wording.example));
  }
  const std::string_view unit_name(rest, static_cast<std::size_t>(end - rest));
  if (unit_name.empty()) {
    if (number == 0) return 0;
    return fail(common::format("needs a unit, for example \"{}{}\"", number, wording.example_unit));
  }
  if (unit_name.front() == '.' || unit_name.front() == ',') {
    return fail(common::format("must be a whole number; use a smaller unit ({})", wording.units_text));
  }
  const auto unit = std::find_if(wording.units.begin(), wording.units.end(),
                                 [&](const Unit& candidate) { return candidate.name == unit_name; });
  if (unit == wording.units.end()) {
    return fail(common::format("unknown unit \"{}\"; use {}, for example \"{}\"", unit_name, wording.units_text,
                               wording.example));
  }
  if (number > kValueMax / unit->factor) return fail(std::string(wording.too_large));
  return number * unit->factor;
}

std::string format_with(std::uint64_t value, std::span<const Unit> units) {
  const auto unit =
      std::find_if(units.begin(), units.end(), [&](const Unit& candidate) { return value % candidate.factor == 0; });
  return common::format("{}{}", value / unit->factor, unit->name);
}

}  // namespace

Result<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  const auto value = parse(text, kDuration);
  if (!value) return std::unexpected(value.error());
  return std::chrono::nanoseconds(static_cast<std::int64_t>(*value));
}

std::string format_duration(std::chrono::nanoseconds duration) {
  CHECK(duration.count() >= 0);
  if (duration.count() == 0) return "0s";
  return format_with(static_cast<std::uint64_t>(duration.count()), kDurationUnits);
}

Result<std::uint64_t> parse_size(std::string_view text) { return parse(text, kSize); }

std::string format_size(std::uint64_t bytes) { return bytes == 0 ? "0" : format_with(bytes, kSizeUnits); }

}  // namespace common
