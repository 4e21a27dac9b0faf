// ProgressWatch: since when a worker stands still, and what CPU time it has used meanwhile.
#pragma once

#include <cstdint>
#include <optional>

#include "common/clock.h"
#include "master/sample.h"

namespace master {

// Something that has held in every sample from `since` to `until`.
struct Stall {
  common::TimePoint since{};
  common::TimePoint until{};
  std::uint64_t cpu_ns = 0;  // used in that time

  common::Duration lasts() const { return until - since; }
  double cpu_share() const;  // of one CPU; 0 as long as it lasts no time
};

// From samples to streaks, whose memory does not depend on how long they last. Pure.
class ProgressWatch {
 public:
  void note(const Sample& sample);

  // Cannot run: stopped, traced, in uninterruptible sleep, or its main thread has ended; nothing moves.
  std::optional<Stall> halted() const { return halted_.stall; }
  // The same turn of the loop lasts, and answers no request. CPU time: of the loop's thread.
  std::optional<Stall> stuck() const { return stuck_.stall; }
  // An event loop of the application comes back at once, for the same event, over and over, and that helps nobody: no
  // request is answered meanwhile, or the event is a hang-up. CPU time: of all threads.
  std::optional<Stall> polling() const { return polling_.stall; }

 private:
  struct Streak {
    std::optional<Stall> stall{};
    std::uint64_t cpu_before_ns = 0;

    void hold(const Sample& sample, std::uint64_t cpu_ns);
    void begin(const Sample& sample, std::uint64_t cpu_ns);
    void end() { stall.reset(); }
  };

  void note_halted(const Sample& sample);
  void note_stuck(const Sample& sample);
  void note_polling(const Sample& sample);

  std::optional<Sample> last_{};
  Streak halted_{};
  Streak stuck_{};
  Streak polling_{};
};

}  // namespace master
