// ClosingPeer: accept and close. The kernel completes connections by itself, so a client never waits for it.
#include "closing_peer.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <stdexcept>

namespace incidents {

ClosingPeer::ClosingPeer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  constexpr int kBacklog = 4096;
  sockaddr_in address{};
  socklen_t length = sizeof(address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_.get(), generic, length) != 0 || ::listen(listener_.get(), kBacklog) != 0 ||
      ::getsockname(listener_.get(), generic, &length) != 0) {
    throw std::runtime_error("no loopback port to listen on");
  }
  port_ = ntohs(address.sin_port);
}

int ClosingPeer::close_all() {
  int closed = 0;
  while (common::UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC))) ++closed;
  return closed;
}

}  // namespace incidents
