// Wall time: moments as people and other programs read them.
#pragma once

#include <chrono>
#include <string>

namespace common {

// "2026-11-21T07:30:00Z" (RFC 3339), in UTC and without fractions.
std::string rfc3339(std::chrono::system_clock::time_point at);

}  // namespace common
