// NeededCapabilities: what is left of root's power in a master whose workers run as another user.
//
// A master is not exposed to clients, but it reads what workers write. Without these rights it could not look after
// them; all others are given up for good, also for a program it executes in its own place.
#pragma once

#include <string>

#include "common/capabilities.h"
#include "common/privileges.h"
#include "common/result.h"

namespace master {

inline constexpr common::CapabilitySet kNeededCapabilities = {
    // The next template becomes that user, and gives up its bounding set on the way.
    common::Capability::kSetuid,
    common::Capability::kSetgid,
    common::Capability::kSetpcap,
    // Signals to workers; also the kernel's own, when the master dies (PR_SET_PDEATHSIG asks the dying one's rights).
    common::Capability::kKill,
    // /proc/PID/{fd,fdinfo,smaps_rollup,maps} of a worker.
    common::Capability::kSysPtrace,
    // prlimit(2): the present descriptor limit of a worker. A reload may raise the hard limit.
    common::Capability::kSysResource,
    // A reload may bind a port below 1024.
    common::Capability::kNetBindService,
    // SO_ATTACH_FILTER on a listening socket that retires: some kernels ask for it (measured on Linux 6.18).
    common::Capability::kNetAdmin,
    // A socket file of a reload is given to the workers' user, made and removed in a directory of that user; and a
    // configuration may be readable by its owner only.
    common::Capability::kChown,
    common::Capability::kDacOverride,
};

// For a process whose workers will be `privileges`: does nothing unless they run as another user. Call it when all that
// needs more (hard limits, steering programs) is done, while there is one thread: before the first template, and when a
// reload has changed the user.
common::Result<void> keep_needed_capabilities(const common::Privileges& privileges);

// What a reload cannot have: the application as this process's own user again, after the rest was given up.
common::Result<void> check_change(const common::Privileges& now, const common::Privileges& wanted);

// The line for the log when something that is merely useful was not there to be kept; empty = all is there.
std::string missing_capabilities(const common::Privileges& privileges, common::CapabilitySet held);

}  // namespace master
