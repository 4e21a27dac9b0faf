// OpenDescriptor: all that is known of one open descriptor of a worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/fd_ledger.h"

namespace master {

enum class DescriptorKind : std::uint8_t {
  kFile,
  kDirectory,
  kCharacterDevice,
  kBlockDevice,
  kPipe,  // also a named one
  kTcp,
  kUdp,
  kUnix,
  kNetlink,
  kOtherSocket,
  kEventfd,
  kEpoll,
  kTimerfd,
  kSignalfd,
  kInotify,
  kIoUring,
  kMemfd,
  kPidfd,
  kBpf,
  kUserfaultfd,
  kOther,
};

// Who began a TCP connection, as far as the port tells: one whose own port is listened on has been accepted.
enum class Direction : std::uint8_t { kUnknown, kAccepted };

// One entry of an epoll's interest list.
struct WatchedDescriptor {
  int fd = -1;
  std::uint32_t events = 0;  // EPOLLIN ...
  std::uint64_t data = 0;    // the application's own
};

struct OpenDescriptor {
  int fd = -1;
  DescriptorKind kind = DescriptorKind::kOther;
  std::uint64_t inode = 0;  // of sockets and pipes

  std::string path;      // of files and devices; the name of a memfd, of a unix socket, of kOther and kOtherSocket
  bool deleted = false;  // the file has no name any more
  std::string state;     // of sockets: "CLOSE_WAIT"; of unix sockets "STREAM", "STREAM LISTEN", "STREAM peer gone"
  std::string local;     // of TCP and UDP
  std::string peer;      // of TCP and UDP; of unix sockets the name at the other end, if it has one
  int peer_fd = -1;      // of unix sockets: the other end, if the same process holds it
  Direction direction = Direction::kUnknown;
  std::uint32_t receive_queue = 0;
  std::uint32_t send_queue = 0;
  std::uint64_t count = 0;                 // of an eventfd: its counter; of an inotify: its watches
  std::vector<WatchedDescriptor> watches;  // of an epoll: the first kWatchesMax
  std::size_t watches_total = 0;
  std::size_t watches_close_wait = 0;  // how many of `watches` are TCP CLOSE_WAIT

  common::FdOwner owner = common::FdOwner::kApplication;  // kServer or kApplication
  common::FdRole role = common::FdRole::kNone;
  common::FdSince since = common::FdSince::kServing;
  std::optional<common::TimePoint> opened_at;
  std::vector<std::uint64_t> stack;  // return addresses; empty = unknown
  std::string place;                 // where it was opened, in words; "" = unknown
};

}  // namespace master
