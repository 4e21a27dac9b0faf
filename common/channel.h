// Channel: one end of a SOCK_SEQPACKET pair between two of our processes; messages keep their borders and carry fds.
//
// A message is a fixed struct (common/messages.h) and up to kChannelFdsMax descriptors. Sending never blocks: a peer
// that does not read is a bug of ours or a hung worker, and the sender learns of it. EOF means that the peer is gone.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "common/messages.h"
#include "common/result.h"
#include "common/unique_fd.h"

namespace common {

inline constexpr std::size_t kChannelFdsMax = 253;  // SCM_MAX_FD, unix(7)

struct Received {
  Message message;
  std::vector<UniqueFd> fds;
};
struct ChannelEmpty {};   // nothing to read now
struct ChannelClosed {};  // the peer is gone

class Channel {
 public:
  Channel() = default;
  explicit Channel(UniqueFd fd) : fd_(std::move(fd)) {}
  static Result<std::pair<Channel, Channel>> create_pair();

  int fd() const { return fd_.get(); }
  UniqueFd release_fd() { return std::move(fd_); }
  explicit operator bool() const { return static_cast<bool>(fd_); }

  // `fds` stay the caller's. errnum is EAGAIN if the peer does not read, EPIPE if it is gone.
  Result<void> send(const Message& message, std::span<const int> fds = {}) const;

  // For a message that may wait: at most a quarter of the send buffer is unread (POLLOUT; Linux, unix_writable()).
  bool has_room() const;

  enum class Wait { kNo, kYes };
  Result<std::variant<Received, ChannelEmpty, ChannelClosed>> receive(Wait wait) const;

 private:
  UniqueFd fd_;
};

}  // namespace common
