// LoadFollower: from readings to a decision.
#include "master/load_follower.h"

namespace master {

void LoadFollower::follow(const common::Config& config) {
  scale_.reset();
  if (config.workers.count_max) scale_.emplace(scale_rules(config.workers, config.recycle.interval));
}

std::optional<ScaleDecision> LoadFollower::look(const std::vector<LoadReading>& readings, std::uint32_t wanted,
                                                Movement movement) {
  if (!scale_) return std::nullopt;
  return scale_->observe(meter_.note(readings), wanted, movement);
}

}  // namespace master
