// SocketTable: all sockets of this network namespace by inode, to tell what a descriptor socket:[inode] is.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/result.h"
#include "master/open_descriptor.h"
#include "master/socket_diag.h"

namespace master {

class SocketTable {
 public:
  SocketTable() = default;  // knows none

  // To be read after the descriptors: one whose socket is missing is then neither bound nor connected, or closed.
  static SocketTable read();

  // Kind, state, addresses and queues of every socket in `list`, the other ends of unix sockets where they are in
  // `list` too, and how many sockets in CLOSE_WAIT an epoll watches. `pid` is asked for what the table lacks: its
  // protocol, and whether it is still open, or else it goes from the list.
  void describe(pid_t pid, std::vector<OpenDescriptor>& list) const;

  // Why sockets are told without their state, one sentence each; normally empty.
  const std::vector<std::string>& complaints() const { return complaints_; }

 private:
  template <typename Socket>
  void keep(common::Result<std::vector<Socket>> list, std::unordered_map<std::uint64_t, Socket>& table);
  bool describe_one(OpenDescriptor& descriptor) const;
  void describe_by_protocol(pid_t pid, OpenDescriptor& descriptor) const;
  void describe_unix(OpenDescriptor& descriptor, const UnixSocket& socket) const;

  std::unordered_map<std::uint64_t, InetSocket> tcp_;
  std::unordered_map<std::uint64_t, InetSocket> udp_;
  std::unordered_map<std::uint64_t, UnixSocket> unix_;
  std::unordered_set<std::string> listening_ports_;  // "8000"
  std::vector<std::string> complaints_;
};

}  // namespace master
