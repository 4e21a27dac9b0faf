// Open files limit: the facts from the kernel, and setrlimit(2).
#include "master/open_files_limit.h"

#include <sys/resource.h>

#include <cerrno>
#include <fstream>
#include <string>

namespace master {
namespace {

constexpr unsigned kCapSysResource = 24;  // linux/capability.h

Privilege privilege() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::string mask;
    if (word == "CapEff:" && status >> mask) {
      const bool has = (std::stoull(mask, nullptr, 16) >> kCapSysResource & 1) != 0;
      return has ? Privilege::kMayRaiseHard : Privilege::kNone;
    }
  }
  return Privilege::kNone;
}

std::uint64_t nr_open() {
  std::ifstream file("/proc/sys/fs/nr_open");
  std::uint64_t value = 0;
  file >> value;
  return value;
}

}  // namespace

common::Result<OpenFilesPlan> raise_open_files(std::uint64_t configured) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return common::fail_errno("getrlimit(RLIMIT_NOFILE)", errno);
  OpenFilesPlan plan = decide_open_files({.soft = limit.rlim_cur,
                                          .hard = limit.rlim_max,
                                          .nr_open = nr_open(),
                                          .configured = configured,
                                          .privilege = privilege()});
  const rlimit wanted{.rlim_cur = plan.soft, .rlim_max = plan.hard};
  if (setrlimit(RLIMIT_NOFILE, &wanted) == 0) return plan;
  const std::string refused = common::errno_text(errno);
  plan.soft = limit.rlim_cur;
  plan.hard = limit.rlim_max;
  plan.warning = "cannot raise the open files limit to " + std::to_string(wanted.rlim_cur) + ": " + refused +
                 "; it stays at " + std::to_string(plan.soft) + ", raise it by LimitNOFILE= or ulimit -n";
  return plan;
}

}  // namespace master
