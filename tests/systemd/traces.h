// Traces: how everything that belongs to a container can be told from outside, and what of it is still there.
#pragma once

#include <sys/types.h>

#include <iosfwd>
#include <string>
#include <vector>

namespace systemd {

struct Traces {
  std::string work;        // its directory; the last component names its control group
  std::string outer_pids;  // process namespaces as /proc/PID/ns/pid has them: of nspawn,
  std::string inner_pids;  // of the container
};
std::ostream& operator<<(std::ostream& out, const Traces& traces);
std::istream& operator>>(std::istream& in, Traces& traces);

std::string pid_namespace_of(pid_t pid);

// A line for each process, mount, directory and control group that is left. Empty is what a test wants.
std::vector<std::string> leftovers(const Traces& traces);

}  // namespace systemd
