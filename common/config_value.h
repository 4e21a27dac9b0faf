// Config value: one value between a source's text and a member of Config, checked against its setting. Pure.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/config_schema.h"

namespace common {

// A type that no setting has: a date, a table, an array of other things than strings.
struct OtherValue {};

// A value as a source gives it, free of any file format.
struct RawValue {
  std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>, OtherValue> data;
  std::string written;  // as TOML text, on one line unless it is a long array
};

// One `key = value` of a source.
struct Assignment {
  std::vector<std::string> path;  // {"workers", "count"}
  RawValue value;
  std::uint32_t line = 0;          // from 1; of no meaning for --set
  std::uint32_t section_line = 0;  // of the first part of the path: where [workers] stands
};

// Checks and stores. The error is the reason and the fix ("must be 1 to 512, or "auto""); `config` is then unchanged.
std::expected<void, std::string> assign(const Setting& setting, const RawValue& value, Config& config);

// The current value as TOML text: "30s" with its quotes, 4, ["a", "b"]. What assign() reads back as the same.
std::string render(const Setting& setting, const Config& config);

// What may be written, for --help-all: "100ms to 1d, or 0 for off".
std::string allowed_values(const Setting& setting);

// A TOML basic string, with its quotes.
std::string quote_toml(std::string_view text);

// A path as TOML writes it: parts that are not bare words are quoted.
std::string dotted_key(const std::vector<std::string>& path);

}  // namespace common
