// SampleWindow: the last measurements of one worker, oldest first, with what only a longer look shows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/config.h"
#include "master/growth_history.h"
#include "master/progress_watch.h"
#include "master/sample.h"

namespace master {

// What holds over more time than the last samples; every member by its class's rules.
struct Trends {
  std::optional<Stall> halted{};
  std::optional<Stall> stuck{};
  std::optional<Stall> polling{};
  std::optional<Growth> growth{};
};

// Keeps the last 2 * recycle.samples samples, and at least 4: as many as the policies judge, and as many before them to
// compare with.
class SampleWindow {
 public:
  explicit SampleWindow(const common::RecycleSettings& settings);
  explicit SampleWindow(std::uint32_t samples) : SampleWindow(common::RecycleSettings{.samples = samples}) {}

  // Cuts off of the descriptors that seem leaked those that a handler holds at the moment, as far as it can be known:
  // by the worker's own count, if that was taken since the sample before; or, while one turn of the loop lasts, by the
  // sample before, because everything opened since then was opened by a handler that has not returned.
  void push(Sample sample);

  std::span<const Sample> samples() const;
  Trends trends() const;

 private:
  std::size_t capacity_;
  std::vector<Sample> samples_{};  // up to twice the capacity, so that dropping the oldest costs little
  ProgressWatch progress_{};
  GrowthHistory growth_;
};

}  // namespace master
