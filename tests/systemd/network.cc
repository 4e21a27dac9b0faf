// Network: unshare(2), then the loopback interface is switched on.
#include "network.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "common/unique_fd.h"

namespace systemd {

common::Result<void> enter_new_network() {
  if (::unshare(CLONE_NEWNET) != 0) return common::fail_errno("a network namespace", errno);
  const common::UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return common::fail_errno("interface lo", errno);
  return {};
}

}  // namespace systemd
