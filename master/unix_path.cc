// UnixPath: lstat, connect, unlink, bind.
#include "master/unix_path.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "common/check.h"
#include "common/unique_fd.h"

namespace master {
namespace {

using Kind = PathState::Kind;

std::string path_of(const common::Address& address) {
  CHECK(address.kind == common::AddressKind::kUnixPath);
  return address.text().substr(std::string_view("unix:").size());
}

// The directory may be another user's, who can put something else in the file's place: so look first what it is, and
// keep hold of it. A socket with a second name could be one that lives elsewhere.
common::Result<void> give_away(const std::string& path, const FileOwner& owner) {
  const common::UniqueFd file(open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!file) return common::fail_errno("open", errno);
  struct stat found{};
  if (fstat(file.get(), &found) < 0) return common::fail_errno("stat", errno);
  if (!S_ISSOCK(found.st_mode) || found.st_nlink != 1 || found.st_uid != geteuid()) {
    return common::fail(
        "something else has taken the socket's place; choose a directory that only the supervisor's user and root can "
        "write",
        EEXIST);
  }
  if (owner.user == found.st_uid && owner.group == found.st_gid) return {};
  if (fchownat(file.get(), "", owner.user, owner.group, AT_EMPTY_PATH) < 0) return common::fail_errno("chown", errno);
  return {};
}

}  // namespace

common::Result<PathState> inspect_path(const common::Address& address) {
  struct stat file{};
  if (lstat(path_of(address).c_str(), &file) < 0) {
    if (errno == ENOENT) return PathState{.kind = Kind::kFree};
    return common::fail_errno("stat", errno);
  }
  if (!S_ISSOCK(file.st_mode)) {
    return common::fail("something that is not a socket is there; move it away or choose another path", EEXIST);
  }
  const common::UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return common::fail_errno("socket", errno);
  if (connect(probe.get(), address.get(), address.length) == 0) {
    ucred peer{};
    socklen_t size = sizeof peer;
    getsockopt(probe.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size);
    return PathState{.kind = Kind::kTaken, .pid = peer.pid};
  }
  switch (errno) {
    case ENOENT: return PathState{.kind = Kind::kFree};  // it has just gone
    case ECONNREFUSED: return PathState{.kind = Kind::kStale};
    case EAGAIN:      // its queue is full
    case EACCES:      // not ours to ask
    case EPERM:
    case EPROTOTYPE:  // a datagram socket
      return PathState{.kind = Kind::kTaken};
  }
  return common::fail_errno("connect", errno);
}

common::Result<common::OwnedPath> bind_path(int fd, const common::Address& address, PathState state, mode_t mode,
                                            std::optional<FileOwner> owner) {
  CHECK(state.kind != Kind::kTaken);
  const std::string path = path_of(address);
  if (state.kind == Kind::kStale && unlink(path.c_str()) < 0 && errno != ENOENT) {
    return common::fail_errno("unlink", errno);
  }
  // Not chmod(2) afterwards: in between a stranger could connect, and stay connected.
  const mode_t before = umask(0777 & ~mode);
  const int bound = bind(fd, address.get(), address.length);
  const int errnum = errno;
  umask(before);
  if (bound < 0) return common::fail_errno("bind", errnum);
  auto taken = common::OwnedPath::take(path);
  if (!taken || !owner) return taken;
  if (auto given = give_away(path, *owner); !given) {
    common::remove_owned_path(*taken);
    return std::unexpected(given.error());
  }
  return taken;
}

}  // namespace master
