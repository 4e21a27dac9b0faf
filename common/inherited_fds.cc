// Inherited descriptors: listing by /proc, closing by close_range(2) (Linux 5.9).
#include "common/inherited_fds.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>

namespace common {

std::vector<int> open_descriptors() {
  std::vector<int> fds;
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return fds;
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_name[0] == '.') continue;
    const int fd = std::atoi(entry->d_name);
    if (fd != dirfd(directory)) fds.push_back(fd);
  }
  closedir(directory);
  std::ranges::sort(fds);
  return fds;
}

void close_all_except(std::span<const int> keep) {
  unsigned first = STDERR_FILENO + 1;
  for (const int fd : keep) {
    const auto kept = static_cast<unsigned>(fd);
    if (kept < first) continue;
    if (kept > first) close_range(first, kept - 1, 0);
    first = kept + 1;
  }
  close_range(first, UINT_MAX, 0);
}

}  // namespace common
