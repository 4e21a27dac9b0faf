// HighFd: F_DUPFD_CLOEXEC and the rule when to use it.
#include "common/high_fd.h"

#include <fcntl.h>
#include <sys/resource.h>

namespace common {

UniqueFd move_high(UniqueFd fd) {
  if (!fd || fd.get() >= kHighFdMin) return fd;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < 2 * kHighFdMin) return fd;
  UniqueFd high(fcntl(fd.get(), F_DUPFD_CLOEXEC, kHighFdMin));
  return high ? std::move(high) : std::move(fd);
}

}  // namespace common
