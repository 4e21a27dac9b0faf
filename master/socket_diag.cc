// SocketDiag: the dump requests of NETLINK_SOCK_DIAG and the reading of their answers.
#include "master/socket_diag.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "common/address.h"
#include "common/unique_fd.h"

namespace master {
namespace {

using common::Result;

constexpr std::size_t kAnswerBytesMax = std::size_t{64} << 10;  // the kernel fills at most 32 KiB at a time
constexpr int kAnswerSeconds = 2;  // it answers at once; so long only if something is very wrong
constexpr std::uint32_t kAllStates = ~0U;

constexpr std::uint32_t bit_of(TcpState state) { return 1U << static_cast<unsigned>(state); }

// The number that sockets of a connection request have, which are not accepted yet (TCP_NEW_SYN_RECV).
constexpr std::uint32_t kNewSynReceived = 1U << 12;

enum class DumpEnd : std::uint8_t { kWhole, kInterrupted };

std::unexpected<common::Error> fail_diag(int errnum) {
  const char* fix = errnum == ENOENT ? "; load the kernel module (tcp_diag, udp_diag or unix_diag)"
                    : errnum == EAFNOSUPPORT || errnum == EPROTONOSUPPORT || errnum == EPERM
                        ? "; allow AF_NETLINK (RestrictAddressFamilies=)"
                        : "";
  return common::fail("socket diagnostics: " + common::errno_text(errnum) + fix, errnum);
}

Result<common::UniqueFd> open_diag() {
  common::UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!fd) return fail_diag(errno);
  const timeval patience{.tv_sec = kAnswerSeconds, .tv_usec = 0};
  if (setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0) return fail_diag(errno);
  return fd;
}

template <typename Request>
Result<void> send_request(int fd, const Request& request) {
  struct {
    nlmsghdr header;
    Request body;
  } message{};
  message.header.nlmsg_len = sizeof message;
  message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message.body = request;
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const auto sent = sendto(fd, &message, sizeof message, 0, reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
  if (sent < 0) return fail_diag(errno);
  return {};
}

// Copies: the buffer is not aligned for every structure.
template <typename T>
bool read_front(std::span<const std::byte> bytes, T& value) {
  if (bytes.size() < sizeof value) return false;
  std::memcpy(&value, bytes.data(), sizeof value);
  return true;
}

// One message of an answer: its payload to `each`, or what ends the dump.
template <typename Each>
Result<bool> read_message(const nlmsghdr& header, std::span<const std::byte> payload, const Each& each) {
  if (header.nlmsg_type == NLMSG_ERROR || header.nlmsg_type == NLMSG_DONE) {
    int code = 0;  // NLMSG_ERROR begins with it, and so does NLMSG_DONE of a dump that failed half-way
    if (read_front(payload, code) && code < 0) return fail_diag(-code);
    return true;
  }
  if (header.nlmsg_type == SOCK_DIAG_BY_FAMILY) each(payload);
  return false;
}

// Reads until the end of the dump.
template <typename Each>
Result<DumpEnd> read_answer(int fd, const Each& each) {
  std::vector<std::byte> buffer(kAnswerBytesMax);
  DumpEnd end = DumpEnd::kWhole;
  for (;;) {
    const auto received = recv(fd, buffer.data(), buffer.size(), 0);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) return fail_diag(errno == EAGAIN ? ETIMEDOUT : errno);
    std::span<const std::byte> rest(buffer.data(), static_cast<std::size_t>(received));
    nlmsghdr header{};
    while (read_front(rest, header) && header.nlmsg_len >= NLMSG_HDRLEN && header.nlmsg_len <= rest.size()) {
      if ((header.nlmsg_flags & NLM_F_DUMP_INTR) != 0) end = DumpEnd::kInterrupted;
      const auto done = read_message(header, rest.subspan(NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN), each);
      if (!done) return std::unexpected(done.error());
      if (*done) return end;
      rest = rest.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), rest.size()));
    }
  }
}

// The sockets that `parse` makes of the answer's messages. `list` keeps what was there before.
template <typename Request, typename Socket, typename Parse>
Result<void> dump(const Request& request, std::vector<Socket>& list, const Parse& parse) {
  const auto fd = open_diag();
  if (!fd) return std::unexpected(fd.error());
  const std::size_t before = list.size();
  for (int attempt = 0; attempt < 2; ++attempt) {
    list.resize(before);
    if (const auto sent = send_request(fd->get(), request); !sent) return sent;
    const auto end = read_answer(fd->get(), [&](std::span<const std::byte> payload) { parse(payload, list); });
    if (!end) return std::unexpected(end.error());
    if (*end == DumpEnd::kWhole) break;
  }
  return {};
}

// "" if there is neither address nor port.
std::string text_of(std::uint8_t family, const std::uint32_t (&address)[4], in_port_t port) {
  constexpr std::uint32_t kNowhere[4] = {};
  if (port == 0 && std::memcmp(address, kNowhere, sizeof address) == 0) return "";
  sockaddr_storage storage{};
  const bool is_mapped = address[0] == 0 && address[1] == 0 && address[2] == htonl(0xffff);
  if (family == AF_INET || is_mapped) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = port;
    v4.sin_addr.s_addr = family == AF_INET ? address[0] : address[3];
    std::memcpy(&storage, &v4, sizeof v4);
    return common::format_address(storage, sizeof v4);
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = port;
  std::memcpy(&v6.sin6_addr, address, sizeof v6.sin6_addr);
  std::memcpy(&storage, &v6, sizeof v6);
  return common::format_address(storage, sizeof v6);
}

// Later kernels may add states; they are told as closed.
TcpState state_of(std::uint8_t number) {
  return number >= static_cast<std::uint8_t>(TcpState::kEstablished) &&
                 number <= static_cast<std::uint8_t>(TcpState::kClosing)
             ? static_cast<TcpState>(number)
             : TcpState::kClose;
}

void parse_inet(std::span<const std::byte> payload, std::vector<InetSocket>& list) {
  inet_diag_msg message{};
  if (!read_front(payload, message) || message.idiag_inode == 0) return;
  const TcpState state = state_of(message.idiag_state);
  list.push_back({.inode = message.idiag_inode,
                  .state = state,
                  .local = text_of(message.idiag_family, message.id.idiag_src, message.id.idiag_sport),
                  .peer = text_of(message.idiag_family, message.id.idiag_dst, message.id.idiag_dport),
                  .receive_queue = message.idiag_rqueue,
                  .send_queue = state == TcpState::kListen ? 0 : message.idiag_wqueue});
}

void parse_inode(std::span<const std::byte> payload, std::vector<std::uint64_t>& list) {
  inet_diag_msg message{};
  if (read_front(payload, message) && message.idiag_inode != 0) list.push_back(message.idiag_inode);
}

// IPv4 and IPv6: two requests, because the kernel compares the family.
template <typename Socket, typename Parse>
Result<std::vector<Socket>> dump_inet(std::uint8_t protocol, std::uint32_t states, const Parse& parse) {
  constexpr std::uint8_t kFamilies[] = {AF_INET, AF_INET6};
  std::vector<Socket> list;
  for (const std::uint8_t family : kFamilies) {
    inet_diag_req_v2 request{};
    request.sdiag_family = family;
    request.sdiag_protocol = protocol;
    request.idiag_states = states;
    if (const auto done = dump(request, list, parse); !done) return std::unexpected(done.error());
  }
  return list;
}

std::string_view unix_kind(std::uint8_t type) {
  if (type == SOCK_STREAM) return "STREAM";
  return type == SOCK_DGRAM ? "DGRAM" : "SEQPACKET";
}

std::string unix_name(std::span<const std::byte> value) {
  std::string name(reinterpret_cast<const char*>(value.data()), value.size());
  if (!name.empty() && name.front() == '\0') {
    name.front() = '@';
    return name;
  }
  return name.substr(0, name.find('\0'));
}

void read_attribute(unsigned short type, std::span<const std::byte> value, UnixSocket& entry, bool& is_shut) {
  std::uint32_t number = 0;
  if (type == UNIX_DIAG_NAME) entry.path = unix_name(value);
  if (type == UNIX_DIAG_PEER && read_front(value, number)) entry.peer_inode = number;
  if (type == UNIX_DIAG_RQLEN && read_front(value, number)) entry.receive_queue = number;
  if (type == UNIX_DIAG_SHUTDOWN && !value.empty()) is_shut = value.front() != std::byte{};
}

void parse_unix(std::span<const std::byte> payload, std::vector<UnixSocket>& list) {
  unix_diag_msg message{};
  if (!read_front(payload, message) || message.udiag_ino == 0) return;
  UnixSocket entry{
      .inode = message.udiag_ino, .kind = unix_kind(message.udiag_type), .state = state_of(message.udiag_state)};
  bool is_shut = false;
  std::span<const std::byte> rest = payload.subspan(std::min<std::size_t>(NLMSG_ALIGN(sizeof message), payload.size()));
  rtattr attribute{};
  while (read_front(rest, attribute) && attribute.rta_len >= RTA_LENGTH(0) && attribute.rta_len <= rest.size()) {
    read_attribute(attribute.rta_type, rest.subspan(RTA_LENGTH(0), attribute.rta_len - RTA_LENGTH(0)), entry, is_shut);
    rest = rest.subspan(std::min<std::size_t>(RTA_ALIGN(attribute.rta_len), rest.size()));
  }
  // A peer that closes leaves this end connected, to a socket without an inode, and shut in both directions.
  if (entry.peer_inode != 0) {
    entry.peer = UnixPeer::kThere;
  } else if (entry.state == TcpState::kEstablished && is_shut) {
    entry.peer = UnixPeer::kGone;
  }
  list.push_back(std::move(entry));
}

}  // namespace

std::string_view name_of(TcpState state) {
  switch (state) {
    case TcpState::kEstablished: return "ESTABLISHED";
    case TcpState::kSynSent: return "SYN_SENT";
    case TcpState::kSynReceived: return "SYN_RECV";
    case TcpState::kFinWait1: return "FIN_WAIT1";
    case TcpState::kFinWait2: return "FIN_WAIT2";
    case TcpState::kTimeWait: return "TIME_WAIT";
    case TcpState::kClose: return "CLOSE";
    case TcpState::kCloseWait: return "CLOSE_WAIT";
    case TcpState::kLastAck: return "LAST_ACK";
    case TcpState::kListen: return "LISTEN";
    case TcpState::kClosing: return "CLOSING";
  }
  return "unknown";
}

Result<std::vector<InetSocket>> list_tcp() {
  constexpr std::uint32_t kHeld = kAllStates & ~bit_of(TcpState::kTimeWait) & ~kNewSynReceived;
  return dump_inet<InetSocket>(IPPROTO_TCP, kHeld, parse_inet);
}

Result<std::vector<std::uint64_t>> list_close_wait() {
  return dump_inet<std::uint64_t>(IPPROTO_TCP, bit_of(TcpState::kCloseWait), parse_inode);
}

Result<std::vector<InetSocket>> list_udp() { return dump_inet<InetSocket>(IPPROTO_UDP, kAllStates, parse_inet); }

Result<std::vector<UnixSocket>> list_unix() {
  unix_diag_req request{};
  request.sdiag_family = AF_UNIX;
  request.udiag_states = kAllStates;
  request.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_RQLEN;
  std::vector<UnixSocket> list;
  if (const auto done = dump(request, list, parse_unix); !done) return std::unexpected(done.error());
  return list;
}

}  // namespace master
