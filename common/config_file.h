// Config file: TOML text as a flat list of assignments. The one door to toml++.
//
// Which keys exist is not decided here: a file format knows no schema.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/config_value.h"
#include "common/result.h"

namespace common {

inline constexpr std::size_t kConfigFileMax = std::size_t{1} << 20;  // bytes; a larger one is surely another file

using Assignments = std::vector<Assignment>;

// In the order of keys, with tables taken apart; an empty table is one assignment of an OtherValue. Errors name the
// file and, where there is one, the line: "/etc/x.toml:12: not valid TOML: ...; fix it there".
Result<Assignments> read_config_file(const std::string& path);

// The same for text that came from `name`.
Result<Assignments> parse_config_text(std::string_view text, std::string_view name);

// `--set KEY=VALUE`. A value that is not TOML is taken as a text, because a shell eats the quotes of "5s".
Result<Assignments> parse_set(std::string_view key, std::string_view value);

}  // namespace common
