// ConnectionState: the deadlines and the end of each state.
#include "worker/connection_state.h"

namespace worker {

std::optional<common::Duration> patience(ConnectionState state, const common::TimeoutSettings& timeouts) {
  const auto limit = [](common::Duration duration) -> std::optional<common::Duration> {
    if (duration == common::Duration::zero()) return std::nullopt;
    return duration;
  };
  switch (state) {
    case ConnectionState::kNew:
    case ConnectionState::kHead: return limit(timeouts.header);
    case ConnectionState::kBody: return limit(timeouts.body);
    case ConnectionState::kWriting: return limit(timeouts.write);
    case ConnectionState::kIdle: return limit(timeouts.keep_alive);
    case ConnectionState::kLingering: return limit(timeouts.linger);
    case ConnectionState::kClosing: return std::nullopt;
  }
  return std::nullopt;
}

bool is_silent(ConnectionState state) { return state == ConnectionState::kNew || state == ConnectionState::kIdle; }

bool keeps_its_rhythm(common::Duration idle, common::Duration pause_max, const common::TimeoutSettings& timeouts) {
  if (timeouts.keep_alive != common::Duration::zero() && idle >= timeouts.keep_alive) return false;
  return idle < 2 * pause_max;
}

Expiry expiry_of(ConnectionState state) {
  switch (state) {
    case ConnectionState::kHead:
    case ConnectionState::kBody: return Expiry::kAnswer408;
    case ConnectionState::kIdle: return Expiry::kHalfClose;
    // A browser opens connections ahead of need and shows a 408 on one as an error: say nothing.
    case ConnectionState::kNew:
    case ConnectionState::kLingering: return Expiry::kClose;
    case ConnectionState::kWriting:
    case ConnectionState::kClosing: return Expiry::kAbort;
  }
  return Expiry::kAbort;
}

}  // namespace worker
