// Config schema: the one table of every configuration key, its type, its range and what it is for.
//
// Reading, printing, --help-all and suggestions all walk this table; defaults are what Config{} holds. Immutable and
// free of allocation, so safe from any thread. A key is "section.name"; [app] is the application's own and not here.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/config.h"

namespace common {

// One member of Config, reached without knowing which struct it lies in.
template <typename T>
struct Accessor {
  T (*get)(const Config&);
  void (*set)(Config&, T);
};

// What a zero outside [min, max] means: a mistake, or "this limit is off".
enum class Zero { kRefused, kOff };

struct DurationKind {
  Accessor<std::chrono::nanoseconds> at;
  std::chrono::nanoseconds min;
  std::chrono::nanoseconds max;
  Zero zero = Zero::kRefused;
};

struct SizeKind {  // bytes
  Accessor<std::uint64_t> at;
  std::uint64_t min;
  std::uint64_t max;
  Zero zero = Zero::kRefused;
};

struct CountKind {
  Accessor<std::uint64_t> at;
  std::uint64_t min;
  std::uint64_t max;
  Zero zero = Zero::kRefused;
  std::string_view zero_word = {};  // "auto": the only way to write the member's 0; empty = there is none
};

struct RangeKind {  // one count, or "MIN:MAX" with each side as in CountKind
  Accessor<std::uint64_t> at;
  Accessor<std::optional<std::uint64_t>> at_high;  // none = one count was written
  std::uint64_t min;
  std::uint64_t max;
  std::string_view zero_word;
};

struct FractionKind {  // 0 to 1
  Accessor<double> at;
};

struct SwitchKind {
  Accessor<bool> at;
};

struct ChoiceKind {
  Accessor<std::size_t> at;  // the enum's value, an index into `names`
  std::span<const std::string_view> names;
  std::span<const std::string_view> later = {};  // names to come in a later version
};

struct AddressesKind {  // 1 to kBindMax texts that parse_bind_target() accepts
  Accessor<std::vector<std::string>> at;
};

struct PathKind {
  Accessor<std::string> at;
  std::size_t bytes_max;
};

struct AccountKind {  // a user's or group's name, or its id; empty = none
  Accessor<std::string> at;
  std::size_t bytes_max;
};

struct ModeKind {  // permission bits as a text of octal digits, "0600"
  Accessor<std::uint32_t> at;
};

struct MaskKind {  // the same, or empty = none
  Accessor<std::optional<std::uint32_t>> at;
};

using SettingKind = std::variant<DurationKind, SizeKind, CountKind, RangeKind, FractionKind, SwitchKind, ChoiceKind,
                                 AddressesKind, PathKind, AccountKind, ModeKind, MaskKind>;

struct Setting {
  std::string_view key;
  SettingKind kind;
  std::string_view description;  // one line, lower case, no full stop
};

// In the order in which they are printed: section after section.
std::span<const Setting> settings();

// The index into settings().
std::optional<std::size_t> find_setting(std::string_view key);

// "workers" of "workers.count".
std::string_view section_of(std::string_view key);

// A section of this table, or of a later version.
bool is_section(std::string_view name);

// A key of the contract that this version does not have: setting it must fail, so that nothing is silently ignored.
bool is_later_key(std::string_view key);

// For "unknown key" messages: the most similar key (also when only the part behind the dot was given), or "".
std::string_view nearest_key(std::string_view key);
std::string_view nearest_section(std::string_view name);

}  // namespace common
