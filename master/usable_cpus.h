// Usable CPUs: what `workers = "auto"` means here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/config.h"

namespace master {

// CPUs a cgroup v2 quota leaves ("max 100000", "150000 100000" -> 2, rounded up), or 0 for no limit. Pure.
std::uint32_t cpus_of_quota(std::string_view cpu_max);

// The smaller of the affinity mask (sched_getaffinity(2)) and the tightest cpu.max on the way up from our own cgroup;
// at least 1.
std::uint32_t usable_cpus();

// The same settings with numbers in place of "auto". In a range "auto" gives way to the number on the other side:
// "4:auto" on two CPUs is 4:4, "auto:8" on sixteen is 8:8. Pure.
common::WorkerSettings resolve_workers(common::WorkerSettings workers, std::uint32_t cpus);

}  // namespace master
