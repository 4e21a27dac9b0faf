// Config load: defaults, file, environment and command line become one Config, or a list of everything wrong with them.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "common/config.h"

namespace common {

enum class Syntax { kToml, kText };

// One setting from outside a file.
struct Override {
  std::string written;  // as the user wrote it, "--set timeouts.header=5": messages begin with it
  std::string key;  // "timeouts.header"
  std::vector<std::string> values;  // one; several for a repeated option (--bind)
  Syntax syntax = Syntax::kText;  // kToml: the value is TOML if it can be read as such
};

// Later ones win: defaults < file < environment < command line.
struct Sources {
  std::string app_path;  // of the command line: goes before application.path; empty = not given there
  std::string file;  // empty = none
  std::vector<Override> environment;
  std::vector<Override> command_line;
  enum class App { kOptional, kNeeded } app = App::kOptional;
};

// One leaf of the [app] table, which belongs to the application.
struct AppEntry {
  std::vector<std::string> path;  // {"redis", "url"}
  std::string value;  // TOML text
  std::string plain;  // the same, but a string without its quotes
  std::string origin;
};

// An origin is "default", "/etc/shop.toml:12", "SUPERVISOR_ARGS" or "command line".
struct LoadedConfig {
  Config config;
  std::vector<std::string> origins;  // of settings()[i]
  std::vector<AppEntry> app_entries;  // sorted by path
};

// Reads the file and looks whether the application is there (if one is named); nothing else outside is touched. Every
// mistake is one line that names its origin, the key, the value, the reason and the fix; all are found in one run.
std::expected<LoadedConfig, std::vector<std::string>> load_config(const Sources& sources);

}  // namespace common
