// AcceptQueue: asking the kernel.
#include "master/accept_queue.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace master {

// For a listener TCP_INFO says it in tcpi_unacked (tcp_get_info() in net/ipv4/tcp.c, since Linux 2.6.24).
std::uint64_t queued_on(std::span<const int> sockets) {
  std::uint64_t queued = 0;
  for (const int socket : sockets) {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0) queued += info.tcpi_unacked;
  }
  return queued;
}

}  // namespace master
