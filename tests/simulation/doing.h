// Doing: what may happen next in the simulated world.
#pragma once

#include <cstddef>

namespace master {

// Wild: everything may go wrong at any time. Calm: nothing new goes wrong, operators keep away, and what hangs already
// is left to the deadlines.
enum class Temper { kWild, kCalm };

enum class Doing {
  kTime,
  kTemplate,
  kFork,
  kReady,
  kLeave,
  kOpen,
  kDie,
  kRecycle,
  kScale,
  kReload,
  kUpgrade,
  kNoise,
  kStop,
};
inline constexpr std::size_t kDoings = 13;

}  // namespace master
