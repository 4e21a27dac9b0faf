// supervisor/log.hpp: the supervisor's log, for C++ applications. Included by <supervisor/app.hpp>.
#pragma once

#include <supervisor/app.h>

#include <cstdint>
#include <string_view>

namespace supervisor {

inline supervisor_str to_str(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view to_view(supervisor_str text) { return {text.data, text.len}; }

enum class LogLevel : std::uint32_t {
  kDebug = SUPERVISOR_LOG_DEBUG,
  kInfo = SUPERVISOR_LOG_INFO,
  kWarn = SUPERVISOR_LOG_WARN,
  kError = SUPERVISOR_LOG_ERROR
};

// Hidden: each app.so needs its own, and vague linkage would let the linker merge them across libraries.
namespace [[gnu::visibility("hidden")]] detail {
inline const supervisor_host* host = nullptr;  // set once, before the application object is made
}

// A line in the supervisor's log. THREAD: inside a callback, on its thread (see app.h, convention 5).
[[gnu::visibility("hidden")]] inline void log(LogLevel level, std::string_view text) {
  detail::host->log(static_cast<std::uint32_t>(level), to_str(text));
}

}  // namespace supervisor
