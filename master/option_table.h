// Option table: the options that set a configuration key; the parser and --help both walk it.
#pragma once

#include <array>
#include <string_view>

#include "common/config_load.h"

namespace master {

enum class OptionState { kAvailable, kLater };  // kLater: accepted, so that the message can say what it is

struct KeyOption {
  std::string_view names;        // as CLI11 and people write them: "-w,--workers"
  std::string_view long_name;    // in messages
  std::string_view value_name;
  std::string_view key;
  std::string_view heading;      // in --help
  std::string_view description;  // without the default, which is the key's
  common::Syntax syntax;
  OptionState state = OptionState::kAvailable;
};

inline constexpr std::string_view kBindKey = "listen.bind";        // the only option that may be repeated
inline constexpr std::string_view kControlKey = "control.socket";  // the only one that clients share

inline constexpr std::array<KeyOption, 10> kKeyOptions = {{
    {"-w,--workers", "--workers", "N|auto|MIN:MAX", "workers.count", "Serving",
     "worker processes; auto = usable CPUs (affinity, cgroup); MIN:MAX = as needed", common::Syntax::kToml},
    {"-b,--bind", "--bind", "ADDR", kBindKey, "Serving",
     "HOST:PORT, [V6]:PORT, :PORT, unix:/path or unix:@name; repeatable", common::Syntax::kText},
    {"--stop-delay", "--stop-delay", "TIME", "stop.delay", "Serving",
     "a graceful stop goes on serving so long, already not ready", common::Syntax::kText},
    {"--control", "--control", "PATH", kControlKey, "Control", "the control socket", common::Syntax::kText},
    {"--log-level", "--log-level", "LEVEL", "log.level", "Logging", "trace, debug, info, warn or error",
     common::Syntax::kText},
    {"--log-format", "--log-format", "FORMAT", "log.format", "Logging",
     "text, json or journal; by itself journal where standard error leads there", common::Syntax::kText},
    {"--access-log", "--access-log", "FORM", "log.access", "Logging", "off, combined or json", common::Syntax::kText},
    {"--user", "--user", "NAME", "security.user", "Security", "run the application as this user",
     common::Syntax::kText},
    {"--group", "--group", "NAME", "security.group", "Security", "and this group, instead of the user's own",
     common::Syntax::kText},
    {"--admin", "--admin", "ADDR", "admin.bind", "", "", common::Syntax::kText, OptionState::kLater},
}};

}  // namespace master
