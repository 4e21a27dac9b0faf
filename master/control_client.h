// Control client: one HTTP exchange with a running supervisor.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/result.h"

namespace master {

inline constexpr std::chrono::seconds kControlTimeout{5};  // the control socket never waits for workers
inline constexpr std::size_t kControlReplyMax = std::size_t{16} << 20;  // 512 workers report about 256 KiB

struct ControlAnswer {
  int status = 0;  // of HTTP
  std::string body;  // JSON
};

// Connects, asks, reads to the end; all before `deadline`. Errors name the path, the reason and the fix.
common::Result<ControlAnswer> ask_control(const std::string& path, std::string_view method, std::string_view target,
                                          common::TimePoint deadline);

// The pure part: a whole answer as it came.
common::Result<ControlAnswer> parse_control_answer(std::string_view text);

}  // namespace master
