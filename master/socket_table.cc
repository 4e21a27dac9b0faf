// SocketTable: joining by inode; sockets the kernel's tables lack are asked for their protocol.
#include "master/socket_table.h"

#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "common/format.h"

namespace master {
namespace {

std::string port_of(const std::string& address) { return address.substr(address.rfind(':') + 1); }

// "TCP", "UDPv6", "UNIX-STREAM", "NETLINK" ...: of every socket, whatever its state (sockfs, since Linux 2.6.29).
std::string protocol_of(pid_t pid, int fd) {
  char name[32];
  const auto size =
      getxattr(common::format("/proc/{}/fd/{}", pid, fd).c_str(), "system.sockprotoname", name, sizeof name);
  if (size <= 0) return "";
  const std::string_view text(name, static_cast<std::size_t>(size));
  return std::string(text.substr(0, text.find('\0')));
}

// A busy worker closes sockets, and uses their numbers again, while the tables are read.
bool is_open_still(pid_t pid, const OpenDescriptor& descriptor) {
  char link[64];
  const auto size = readlink(common::format("/proc/{}/fd/{}", pid, descriptor.fd).c_str(), link, sizeof link);
  return size > 0 &&
         std::string_view(link, static_cast<std::size_t>(size)) == common::format("socket:[{}]", descriptor.inode);
}

DescriptorKind kind_of_protocol(std::string_view protocol) {
  if (protocol == "TCP" || protocol == "TCPv6") return DescriptorKind::kTcp;
  if (protocol == "UDP" || protocol == "UDPv6") return DescriptorKind::kUdp;
  if (protocol.starts_with("UNIX")) return DescriptorKind::kUnix;
  return protocol == "NETLINK" ? DescriptorKind::kNetlink : DescriptorKind::kOtherSocket;
}

void copy_inet(OpenDescriptor& descriptor, const InetSocket& socket) {
  descriptor.state = name_of(socket.state);
  descriptor.local = socket.local;
  descriptor.peer = socket.peer;
  descriptor.receive_queue = socket.receive_queue;
  descriptor.send_queue = socket.send_queue;
}

void count_close_wait(std::vector<OpenDescriptor>& list) {
  std::unordered_set<int> close_wait;
  for (const OpenDescriptor& each : list) {
    if (each.kind == DescriptorKind::kTcp && each.state == name_of(TcpState::kCloseWait)) close_wait.insert(each.fd);
  }
  for (OpenDescriptor& each : list) {
    each.watches_close_wait = static_cast<std::size_t>(std::ranges::count_if(
        each.watches, [&](const WatchedDescriptor& watched) { return close_wait.contains(watched.fd); }));
  }
}

}  // namespace

template <typename Socket>
void SocketTable::keep(common::Result<std::vector<Socket>> list, std::unordered_map<std::uint64_t, Socket>& table) {
  if (!list) {
    if (std::ranges::find(complaints_, list.error().message) == complaints_.end()) {
      complaints_.push_back(list.error().message);
    }
    return;
  }
  table.reserve(list->size());
  for (Socket& socket : *list) {
    const std::uint64_t inode = socket.inode;
    table.insert_or_assign(inode, std::move(socket));
  }
}

SocketTable SocketTable::read() {
  SocketTable table;
  table.keep(list_tcp(), table.tcp_);
  table.keep(list_udp(), table.udp_);
  table.keep(list_unix(), table.unix_);
  for (const auto& [inode, socket] : table.tcp_) {
    if (socket.state == TcpState::kListen) table.listening_ports_.insert(port_of(socket.local));
  }
  return table;
}

void SocketTable::describe_unix(OpenDescriptor& descriptor, const UnixSocket& socket) const {
  descriptor.kind = DescriptorKind::kUnix;
  descriptor.state = socket.kind;
  if (socket.state == TcpState::kListen) descriptor.state += " LISTEN";
  if (socket.peer == UnixPeer::kGone) descriptor.state += " peer gone";
  descriptor.path = socket.path;
  descriptor.receive_queue = socket.receive_queue;
  const auto peer = unix_.find(socket.peer_inode);
  if (peer != unix_.end()) descriptor.peer = peer->second.path;
}

bool SocketTable::describe_one(OpenDescriptor& descriptor) const {
  if (const auto tcp = tcp_.find(descriptor.inode); tcp != tcp_.end()) {
    descriptor.kind = DescriptorKind::kTcp;
    copy_inet(descriptor, tcp->second);
    const bool is_accepted = !descriptor.peer.empty() && listening_ports_.contains(port_of(descriptor.local));
    descriptor.direction = is_accepted ? Direction::kAccepted : Direction::kUnknown;
    return true;
  }
  if (const auto udp = udp_.find(descriptor.inode); udp != udp_.end()) {
    descriptor.kind = DescriptorKind::kUdp;
    copy_inet(descriptor, udp->second);
    return true;
  }
  if (const auto local = unix_.find(descriptor.inode); local != unix_.end()) {
    describe_unix(descriptor, local->second);
    return true;
  }
  return false;
}

// The kernel's tables hold what is bound or connected; without the tables nothing is known of the state.
void SocketTable::describe_by_protocol(pid_t pid, OpenDescriptor& descriptor) const {
  const std::string protocol = protocol_of(pid, descriptor.fd);
  descriptor.kind = kind_of_protocol(protocol);
  if (descriptor.kind == DescriptorKind::kOtherSocket) descriptor.path = protocol;
  const bool is_inet = descriptor.kind == DescriptorKind::kTcp || descriptor.kind == DescriptorKind::kUdp;
  if (is_inet && complaints_.empty()) descriptor.state = name_of(TcpState::kClose);
}

void SocketTable::describe(pid_t pid, std::vector<OpenDescriptor>& list) const {
  std::unordered_map<std::uint64_t, int> descriptor_of;  // inode of a unix socket -> its descriptor in `list`
  std::erase_if(list, [&](OpenDescriptor& each) {
    if (each.kind != DescriptorKind::kOtherSocket) return false;
    if (!describe_one(each)) {
      if (!is_open_still(pid, each)) return true;
      describe_by_protocol(pid, each);
    }
    if (each.kind == DescriptorKind::kUnix) descriptor_of.emplace(each.inode, each.fd);
    return false;
  });
  for (OpenDescriptor& each : list) {
    const auto own = each.kind == DescriptorKind::kUnix ? unix_.find(each.inode) : unix_.end();
    if (own == unix_.end()) continue;
    const auto other = descriptor_of.find(own->second.peer_inode);
    if (other != descriptor_of.end()) each.peer_fd = other->second;
  }
  count_close_wait(list);
}

}  // namespace master
