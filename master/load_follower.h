// LoadFollower: the number of workers follows the load, where the configuration gives a range.
#pragma once

#include <optional>
#include <vector>

#include "common/config.h"
#include "master/adaptive_scale.h"
#include "master/load_meter.h"

namespace master {

class LoadFollower {
 public:
  explicit LoadFollower(const common::Config& config) { follow(config); }

  // The configuration has changed; `auto` has been resolved in it.
  void follow(const common::Config& config);

  // Once each recycle.interval. What is to be done, if anything.
  std::optional<ScaleDecision> look(const std::vector<LoadReading>& readings, std::uint32_t wanted, Movement movement);

  // What becomes of an operator's number.
  std::uint32_t clamp(std::uint32_t workers) const { return scale_ ? scale_->clamp(workers) : workers; }

 private:
  LoadMeter meter_;
  std::optional<AdaptiveScale> scale_;  // none = a fixed number
};

}  // namespace master
