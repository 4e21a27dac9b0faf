// Usable CPUs: what `workers = "auto"` means here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace master {

// CPUs a cgroup v2 quota leaves ("max 100000", "150000 100000" -> 2, rounded up), or 0 for no limit. Pure.
std::uint32_t cpus_of_quota(std::string_view cpu_max);

// The smaller of the affinity mask (sched_getaffinity(2)) and the tightest cpu.max on the way up from our own cgroup;
// at least 1.
std::uint32_t usable_cpus();

}  // namespace master
