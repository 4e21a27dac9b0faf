// Control client: one HTTP exchange with a running supervisor.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/result.h"

namespace master {

inline constexpr std::chrono::seconds kControlPatience{5};  // most answers wait for nobody
inline constexpr std::chrono::minutes kReloadPatience{60};  // load() may take as long as it likes
inline constexpr std::chrono::seconds kInspectionPatience{15};  // an inspection has 10 s, a question to a worker 2 s
inline constexpr std::size_t kControlReplyMax = std::size_t{17} << 20;  // an inspector's report has at most 16 MiB

struct ControlAnswer {
  int status = 0;  // of HTTP
  std::string body;  // JSON
};

// Connects, asks, reads to the end, all of it until `patience` after `now`. Errors name the path, the reason and the
// fix.
common::Result<ControlAnswer> ask_control(const std::string& path, std::string_view method, std::string_view target,
                                          common::TimePoint now, std::chrono::seconds patience);

// The pure part: a whole answer as it came.
common::Result<ControlAnswer> parse_control_answer(std::string_view text);

}  // namespace master
