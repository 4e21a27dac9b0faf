// Config print: a loaded configuration as TOML, each value with its origin as a comment. Pure.
#pragma once

#include <string>

#include "common/config_load.h"

namespace common {

// Given back as `-c`, the text makes the same Config.
std::string print_config(const LoadedConfig& loaded);
// Without origins, which a Config has not.
std::string print_config(const Config& config);

// Every key with its default, its range and its purpose, for --help-all.
std::string print_schema();

}  // namespace common
