// AdaptiveScale: how many workers there should be, where workers.count is a range.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>

#include "common/clock.h"
#include "common/config.h"
#include "master/load_meter.h"
#include "master/worker_view.h"

namespace master {

// Counts are observations: one is made each recycle.interval.
struct ScaleRules {
  std::uint32_t min = 1;
  std::uint32_t max = 1;
  common::Duration interval = std::chrono::seconds(1);
  std::uint32_t grow_after = 5;     // consecutive ones that say so
  std::uint32_t shrink_after = 60;  // the window that has to be idle
  std::uint32_t settle = 5;         // not looked at after each change: connections find the new workers first
};

// `workers` has a count_max, and numbers in place of "auto" (see resolve_workers()).
ScaleRules scale_rules(const common::WorkerSettings& workers, common::Duration interval);

// Whether somebody is at work on the fleet: a start, a replacement, a rollout, a scale or a stop.
enum class Movement { kNone, kUnderWay };

// Of the workers alone, by their views: kNone = each wanted slot has a serving worker, and none is being started.
Movement movement_of(std::span<const WorkerView> views, std::uint32_t wanted);

struct ScaleDecision {
  std::uint32_t workers = 0;
  std::string reason;  // for the log: "busy 0.83 over 5s -> 5 workers"
};

//            mean busy >= 0.75, or clients overdue, not getting fewer, and mean busy >= 0.5: grow_after times
//   MIN  ------------------------------------------------------------------------------------------------->  MAX
//        <-------------------------------------------------------------------------------------------------
//            the rest would be busy < 0.5 on average of shrink_after, and never for grow_after in a row >= 0.75;
//            no client was overdue
//
// Up by one, or by half when every worker is busy for 0.95 and more, since then nobody knows how much is missing; down
// by one. An even load is never followed both ways: what makes n workers grow keeps n + 1 (or n + n/2) from shrinking.
// Under an uneven one there is at most one shrink in settle + shrink_after observations, and no more growths than
// shrinks, plus MAX - MIN. If a growth follows a shrink the next shrink waits twice as long, for up to 16 windows, so
// that what comes again and again finds its workers; two shrinks in a row end that. One stuck worker among several idle
// ones makes nothing grow: its clients wait for it, whoever comes to its side.
//
// Pure: no clock, no system call, no log.
class AdaptiveScale {
 public:
  explicit AdaptiveScale(const ScaleRules& rules) : rules_(rules) {}

  // One observation. `wanted` is what the fleet has now; it may have been changed by others since the last call (an
  // operator, a reload, sockets that could not be opened): then what was observed before counts no more, and a growth
  // that was taken back is not tried again before shrink_after observations. While something is under way, or a worker
  // has no load yet, nothing is decided, and the observation does not count. A number outside the range is brought
  // into it whatever the load.
  std::optional<ScaleDecision> observe(std::span<const WorkerLoad> loads, std::uint32_t wanted, Movement movement);

  // What becomes of an operator's number. It holds until the next decision.
  std::uint32_t clamp(std::uint32_t workers) const;

 private:
  struct Observation {
    double busy = 0;  // the sum over the workers
    double lowest = 1;  // of one worker
    std::uint64_t overdue = 0;
  };

  enum class Change { kOfOthers, kGrowth, kShrink };

  void follow(std::uint32_t wanted);
  void remember(Change change);
  bool last(bool (*holds)(const Observation& observation, double workers)) const;
  bool line_holds() const;
  double mean_of_last(std::size_t count) const;
  std::optional<ScaleDecision> grow() const;
  std::optional<ScaleDecision> shrink() const;
  bool would_be_idle(double workers) const;
  std::string busy_text(std::size_t count) const;

  ScaleRules rules_;
  std::uint32_t wanted_ = 0;
  std::optional<std::uint32_t> decided_{};  // and not seen at work yet
  std::uint32_t pause_ = 0;  // observations still to be ignored
  std::deque<Observation> window_{};  // since the last change, at most shrink_after
  std::uint64_t seen_ = 0;  // observations since the last change
  Change last_change_ = Change::kOfOthers;
  std::uint32_t patience_ = 1;  // windows that have to pass before a shrink
};

}  // namespace master
