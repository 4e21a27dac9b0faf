// SocketDiag: what the kernel knows of sockets in this network namespace; by netlink (sock_diag(7)), no privilege.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace master {

// As in the kernel's include/net/tcp_states.h; UDP sockets use kEstablished (connected) and kClose.
enum class TcpState : std::uint8_t {
  kEstablished = 1,
  kSynSent,
  kSynReceived,
  kFinWait1,
  kFinWait2,
  kTimeWait,
  kClose,
  kCloseWait,
  kLastAck,
  kListen,
  kClosing,
};
std::string_view name_of(TcpState state);  // "CLOSE_WAIT"

struct InetSocket {
  std::uint64_t inode = 0;  // as in the link /proc/PID/fd/N -> socket:[inode]
  TcpState state = TcpState::kClose;
  std::string local;  // "127.0.0.1:8000", "[::1]:8000"; an IPv4 address inside an IPv6 socket is told as IPv4
  std::string peer;  // "" if there is none
  std::uint32_t receive_queue = 0;  // bytes not read yet; of a listener: connections not accepted yet
  std::uint32_t send_queue = 0;  // bytes not acknowledged yet; of a listener: 0
};

// Whether somebody is, or was, at the other end of a unix socket.
enum class UnixPeer : std::uint8_t { kNone, kThere, kGone };

struct UnixSocket {
  std::uint64_t inode = 0;
  std::uint64_t peer_inode = 0;  // 0 = none
  std::string_view kind;  // "STREAM", "DGRAM", "SEQPACKET"
  TcpState state = TcpState::kClose;  // kListen, kEstablished (connected, also when the peer has gone) or kClose
  UnixPeer peer = UnixPeer::kNone;
  std::string path;  // "" if unnamed; abstract names begin with '@'
  std::uint32_t receive_queue = 0;  // bytes not read yet; of a listener: connections not accepted yet
};

// Sockets that some process holds, in no order; not those that the kernel keeps alone (TIME_WAIT, not accepted yet),
// and none that is neither bound nor connected, which only its holder knows of. Errors: EPROTONOSUPPORT or EAFNOSUPPORT
// where a sandbox forbids AF_NETLINK, ENOENT where the kernel lacks the module, ETIMEDOUT.
//
// Blocks until the kernel has answered. TCP is walked through twice, once for IPv6: 6 ms where the table has 262,144
// places, however few are taken (Linux 6.18), and about 0.5 us more per socket. A table that changes while it is dumped
// is asked for once again.
common::Result<std::vector<InetSocket>> list_tcp();
common::Result<std::vector<std::uint64_t>> list_close_wait();  // inodes only, filtered by the kernel
common::Result<std::vector<InetSocket>> list_udp();
common::Result<std::vector<UnixSocket>> list_unix();

}  // namespace master
