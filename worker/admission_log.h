// AdmissionLog: one line a second about clients that find no room, with counts since the line before.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/clock.h"

namespace worker {

class AdmissionLog {
 public:
  static constexpr common::Duration kInterval = std::chrono::seconds(1);

  enum class Event { kShort, kEvicted, kRefused, kPaused };
  // `why` names what is short and is a literal; the first one of a line is told.
  void add(Event event, std::string_view why);
  // Writes the line if there is something to tell and the last one is old enough.
  void flush(std::uint32_t connections, std::uint32_t places, common::TimePoint now);
  std::optional<common::TimePoint> next_deadline() const;

 private:
  std::string_view why_;  // empty = nothing to tell
  std::uint64_t evicted_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t pauses_ = 0;
  common::TimePoint next_at_{};
};

}  // namespace worker
