// Channel: sendmsg and recvmsg with descriptors attached.
#include "common/channel.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "common/check.h"

namespace common {
namespace {

constexpr std::size_t kControlBytes = CMSG_SPACE(sizeof(int) * kChannelFdsMax);
constexpr std::size_t kFixedBytes = offsetof(Message, text);

std::vector<UniqueFd> take_fds(msghdr& header) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return fds;
}

}  // namespace

std::string_view stage_name(Stage stage) {
  switch (stage) {
    case Stage::kNone: return "none";
    case Stage::kOpenApp: return "open application";
    case Stage::kLoadApp: return "load application";
    case Stage::kFork: return "fork";
    case Stage::kSetUp: return "set up";
    case Stage::kRing: return "io_uring";
    case Stage::kWorkerStart: return "worker_start";
  }
  return "unknown";
}

Result<std::pair<Channel, Channel>> Channel::create_pair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) return fail_errno("socketpair", errno);
  return std::pair(Channel(UniqueFd(ends[0])), Channel(UniqueFd(ends[1])));
}

Result<void> Channel::send(const Message& message, std::span<const int> fds) const {
  CHECK(fds.size() <= kChannelFdsMax);
  const std::size_t text_bytes = message.text_view().size() + 1;
  iovec bytes{.iov_base = const_cast<Message*>(&message), .iov_len = kFixedBytes + text_bytes};
  alignas(cmsghdr) char control[kControlBytes];
  msghdr header{};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(part), fds.data(), fds.size_bytes());
  }
  while (sendmsg(fd(), &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    if (errno != EINTR) return fail_errno("send on a channel", errno);
  }
  return {};
}

bool Channel::has_room() const {
  pollfd entry{.fd = fd(), .events = POLLOUT, .revents = 0};
  return poll(&entry, 1, 0) > 0 && (entry.revents & POLLOUT) != 0;
}

Result<std::variant<Received, ChannelEmpty, ChannelClosed>> Channel::receive(Wait wait) const {
  Received received;
  iovec bytes{.iov_base = &received.message, .iov_len = sizeof received.message};
  alignas(cmsghdr) char control[kControlBytes];
  msghdr header{};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t length = -1;
  do {
    length = recvmsg(fd(), &header, MSG_CMSG_CLOEXEC | (wait == Wait::kNo ? MSG_DONTWAIT : 0));
  } while (length < 0 && errno == EINTR);
  if (length < 0 && errno == EAGAIN) return ChannelEmpty{};
  if (length == 0 || (length < 0 && errno == ECONNRESET)) return ChannelClosed{};
  if (length < 0) return fail_errno("receive on a channel", errno);
  received.fds = take_fds(header);
  // A process out of descriptors receives the message without them (unix(7)): say so instead of half-starting.
  if ((header.msg_flags & MSG_CTRUNC) != 0) return fail_errno("receive descriptors on a channel", EMFILE);
  // Not a CHECK: an application that closed a descriptor once too often may write into ours.
  if (static_cast<std::size_t>(length) <= kFixedBytes || received.message.version != kMessageVersion) {
    return fail("receive on a channel: not a message of ours; the application wrote into a descriptor it does not own");
  }
  return received;
}

}  // namespace common
