// Usable CPUs: affinity and cgroup v2 quota.
#include "master/usable_cpus.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace master {
namespace {

// The path of this process in the unified hierarchy: the line "0::/path" of /proc/self/cgroup (cgroups(7)).
std::string own_cgroup() {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("0::")) return line.substr(3);
  }
  return {};
}

}  // namespace

std::uint32_t cpus_of_quota(std::string_view cpu_max) {
  std::istringstream words{std::string(cpu_max)};
  std::uint64_t quota = 0;
  std::uint64_t period = 0;
  if (!(words >> quota >> period) || period == 0) return 0;  // "max": no number, no limit
  return static_cast<std::uint32_t>(std::max<std::uint64_t>(1, (quota + period - 1) / period));
}

common::WorkerSettings resolve_workers(common::WorkerSettings workers, std::uint32_t cpus) {
  cpus = std::clamp(cpus, 1U, common::kWorkersMax);
  if (workers.count_max == 0) workers.count_max = std::max(cpus, workers.count);
  if (workers.count == 0) workers.count = std::min(cpus, workers.count_max.value_or(cpus));
  return workers;
}

std::uint32_t usable_cpus() {
  std::uint32_t usable = 1;
  cpu_set_t affinity;
  if (sched_getaffinity(0, sizeof affinity, &affinity) == 0) {
    usable = static_cast<std::uint32_t>(std::max(1, CPU_COUNT(&affinity)));
  }
  for (std::string group = own_cgroup();; group.erase(group.rfind('/'))) {
    std::ifstream file("/sys/fs/cgroup" + group + "/cpu.max");
    std::string line;
    const std::uint32_t limit = std::getline(file, line) ? cpus_of_quota(line) : 0;
    if (limit != 0) usable = std::min(usable, limit);
    if (group.size() <= 1) break;  // the root of what we see: in a container, its own group
  }
  return usable;
}

}  // namespace master
