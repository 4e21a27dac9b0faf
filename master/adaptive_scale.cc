// AdaptiveScale: the rules of growing and shrinking.
#include "master/adaptive_scale.h"

#include <algorithm>
#include <utility>

#include "common/format.h"
#include "common/units.h"

namespace master {
namespace {

constexpr double kBusy = 0.75;       // in an M/M/1 queue the mean wait is then three times the mean service
constexpr double kSaturated = 0.95;  // not 1: readings of a worker that never waits scatter a little below
constexpr double kIdle = 0.5;        // less than 2/3 of kSaturated, which is what growing by half leaves of it
constexpr std::uint32_t kPatienceMax = 16;  // windows

}  // namespace

ScaleRules scale_rules(const common::WorkerSettings& workers, common::Duration interval) {
  return {.min = workers.count, .max = workers.count_max.value_or(workers.count), .interval = interval};
}

Movement movement_of(std::span<const WorkerView> views, std::uint32_t wanted) {
  if (wanted == 0) return Movement::kUnderWay;  // everybody leaves
  std::uint32_t ready = 0;
  for (const WorkerView& view : views) {
    switch (view.state) {
      case VisibleState::kReady: ++ready; break;
      case VisibleState::kStarting:
      case VisibleState::kBackoff: return Movement::kUnderWay;
      case VisibleState::kDraining:
      case VisibleState::kStopping: break;  // on its way out, which may take workers.stop_timeout
    }
  }
  return ready == wanted ? Movement::kNone : Movement::kUnderWay;
}

std::uint32_t AdaptiveScale::clamp(std::uint32_t workers) const { return std::clamp(workers, rules_.min, rules_.max); }

std::optional<ScaleDecision> AdaptiveScale::observe(std::span<const WorkerLoad> loads, std::uint32_t wanted,
                                                    Movement movement) {
  follow(wanted);
  if (movement == Movement::kUnderWay) return std::nullopt;
  std::optional<ScaleDecision> decision;
  if (clamp(wanted) != wanted) {
    decision = {clamp(wanted), common::format("workers.count is {}:{}", rules_.min, rules_.max)};
  } else {
    if (loads.size() != wanted) return std::nullopt;
    if (pause_ > 0) {
      --pause_;
      return std::nullopt;
    }
    Observation& now = window_.emplace_back();
    for (const WorkerLoad& load : loads) {
      now.busy += load.busy;
      now.lowest = std::min(now.lowest, load.busy);
      now.overdue += load.overdue;
    }
    if (window_.size() > rules_.shrink_after) window_.pop_front();
    ++seen_;
    decision = grow();
    if (!decision) decision = shrink();
    if (decision) remember(decision->workers > wanted ? Change::kGrowth : Change::kShrink);
  }
  if (!decision) return std::nullopt;
  decision->reason += common::format(" -> {} worker{}", decision->workers, decision->workers == 1 ? "" : "s");
  decided_ = decision->workers;
  return decision;
}

// A new number of workers is a new beginning.
void AdaptiveScale::follow(std::uint32_t wanted) {
  if (wanted == wanted_ && !decided_) return;
  const bool is_taken_back = decided_ && wanted < *decided_;
  pause_ = is_taken_back ? std::max(rules_.settle, rules_.shrink_after) : rules_.settle;
  if (!decided_ || wanted != *decided_) {
    last_change_ = Change::kOfOthers;
    patience_ = 1;
  }
  window_.clear();
  seen_ = 0;
  decided_.reset();
  wanted_ = wanted;
}

void AdaptiveScale::remember(Change change) {
  if (last_change_ == Change::kShrink) {
    patience_ = change == Change::kGrowth ? std::min(2 * patience_, kPatienceMax) : 1;
  }
  last_change_ = change;
}

bool AdaptiveScale::last(bool (*holds)(const Observation& observation, double workers)) const {
  if (window_.size() < rules_.grow_after) return false;
  return std::all_of(window_.end() - rules_.grow_after, window_.end(),
                     [&](const Observation& observation) { return holds(observation, wanted_); });
}

// A line that gets shorter is being served; that of a burst would else be answered with more and more workers.
bool AdaptiveScale::line_holds() const {
  return window_.back().overdue >= (window_.end() - rules_.grow_after)->overdue;
}

double AdaptiveScale::mean_of_last(std::size_t count) const {
  double sum = 0;
  for (auto it = window_.end() - static_cast<std::ptrdiff_t>(count); it != window_.end(); ++it) sum += it->busy;
  return sum / static_cast<double>(count) / wanted_;
}

std::optional<ScaleDecision> AdaptiveScale::grow() const {
  if (wanted_ >= rules_.max) return std::nullopt;
  const bool is_busy = last([](const Observation& it, double workers) { return it.busy / workers >= kBusy; });
  const bool is_late =
      last([](const Observation& it, double workers) { return it.overdue > 0 && it.busy / workers >= kIdle; });
  if (!is_busy && !(is_late && line_holds())) return std::nullopt;
  const bool is_saturated = last([](const Observation& it, double) { return it.lowest >= kSaturated; });
  const std::uint32_t more = is_saturated ? std::max(1U, wanted_ / 2) : 1;
  std::string reason = busy_text(rules_.grow_after);
  if (is_late) {
    reason += common::format(", {} clients in line for longer than {}", window_.back().overdue,
                             common::format_duration(rules_.interval));
  }
  return ScaleDecision{clamp(wanted_ + more), std::move(reason)};
}

std::optional<ScaleDecision> AdaptiveScale::shrink() const {
  if (wanted_ <= rules_.min || window_.size() < rules_.shrink_after) return std::nullopt;
  if (seen_ < patience_ * rules_.shrink_after) return std::nullopt;
  const std::uint32_t rest = wanted_ - 1;
  if (!would_be_idle(rest)) return std::nullopt;
  return ScaleDecision{rest, busy_text(rules_.shrink_after)};
}

// What `workers` would have made of this window.
bool AdaptiveScale::would_be_idle(double workers) const {
  std::uint32_t busy_in_a_row = 0;
  double sum = 0;
  for (const Observation& observation : window_) {
    sum += observation.busy;
    busy_in_a_row = observation.busy / workers >= kBusy ? busy_in_a_row + 1 : 0;
    if (busy_in_a_row >= rules_.grow_after || observation.overdue > 0) return false;
  }
  return sum / static_cast<double>(window_.size()) / workers < kIdle;
}

std::string AdaptiveScale::busy_text(std::size_t count) const {
  const auto time = rules_.interval * static_cast<common::Duration::rep>(count);
  return common::format("busy {:.2f} over {}", mean_of_last(count), common::format_duration(time));
}

}  // namespace master
