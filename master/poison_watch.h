// PoisonWatch: finds the request that kills one worker after the other: the same line in hand in successive crashes.
//
// Pure. Bounded: a client may send another line each time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "common/clock.h"

namespace master {

struct Suspicion {
  std::uint32_t crashes_with_it = 0;  // within the window, this one included; at least kSuspectMin
  std::uint32_t crashes = 0;          // of all workers, within the window
  enum class News : std::uint8_t { kYes, kNo } news = News::kNo;  // kYes: nobody has been told of this line yet
};

class PoisonWatch {
 public:
  static constexpr std::size_t kLinesMax = 16;     // one more, and the one that was seen longest ago is forgotten
  static constexpr std::size_t kCrashesMax = 64;   // that are counted
  static constexpr std::uint32_t kSuspectMin = 2;  // one crash is the worker's fault, or anybody's

  // A worker has crashed with `request` in hand ("" = none). nullopt: no reason to suspect it. What lies further back
  // than `window` (restart.window, which a reload may change) has nothing to do with it, and is forgotten.
  std::optional<Suspicion> on_crash(std::string_view request, common::Duration window, common::TimePoint now);

 private:
  struct Line {
    std::string text;
    std::deque<common::TimePoint> crashes;  // oldest first; never empty
    Suspicion::News news = Suspicion::News::kYes;
  };
  void forget_old(common::Duration window, common::TimePoint now);
  Line& line_of(std::string_view request);

  std::deque<common::TimePoint> crashes_;  // oldest first
  std::deque<Line> lines_;  // the one that was seen longest ago first
};

// "\"GET /crash\" was in flight in 3 of the last 3 crashes"
std::string suspicion_text(std::string_view request, const Suspicion& suspicion);

}  // namespace master
