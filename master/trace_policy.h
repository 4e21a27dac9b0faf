// The trace policy: when it is time to note where the application opens descriptors.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "common/config.h"
#include "common/worker_memory.h"
#include "master/recycle_policy.h"
#include "master/sample.h"

namespace master {

struct TraceFacts {
  common::FdTrace setting = common::FdTrace::kAuto;
  common::TraceSwitch now = common::TraceSwitch::kOff;  // of this worker; tracing once begun is never ended
};

enum class TraceCause {
  kConfigured,  // fds.trace = "always"
  kGrowth,      // the application keeps more descriptors than it did
  kCloseWait,   // it has a quarter of recycle.close_wait
  kFull,        // three quarters of recycle.fds_used are in use, and the application has a part in it
};
std::string_view name_of(TraceCause cause);  // for the log: "descriptors grow"

// Early rather than sure: a leak that is slow enough to be replaced gracefully is traced long before it is, and tracing
// that was begun in vain costs little. nullopt = leave the switch as it is. Pure.
std::optional<TraceCause> decide_trace(std::span<const Sample> samples, const TraceFacts& facts,
                                       const RecycleRules& rules);

}  // namespace master
