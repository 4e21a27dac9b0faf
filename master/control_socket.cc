// ControlSocket: making the file without a moment in which a stranger could use it.
#include "master/control_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace master {
namespace {

using common::Result;
using common::UniqueFd;

std::unexpected<common::Error> explain(const std::string& path, const char* call, int errnum) {
  return common::fail("control socket " + path + ": " + call + ": " + common::errno_text(errnum) +
                          "; choose another place with --control PATH",
                      errnum);
}

// Tells who answers there, if somebody does.
Result<void> check_unused(const std::string& path, const sockaddr_un& address) {
  const UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return explain(path, "socket", errno);
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    ucred peer{};
    socklen_t size = sizeof peer;
    getsockopt(probe.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size);
    return common::fail("control socket " + path + ": another supervisor (pid " + std::to_string(peer.pid) +
                            ") answers there; stop it, or choose another place with --control PATH",
                        EADDRINUSE);
  }
  if (errno == EAGAIN) {
    return common::fail("control socket " + path + ": another supervisor is there, but too busy to answer; stop it, "
                        "or choose another place with --control PATH", EADDRINUSE);
  }
  struct stat file {};
  if (errno == ECONNREFUSED && lstat(path.c_str(), &file) == 0 && S_ISSOCK(file.st_mode)) unlink(path.c_str());
  return {};
}

}  // namespace

Result<ControlSocket> ControlSocket::open(const std::string& path, std::uint32_t mode) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return common::fail("control socket " + path + ": the path is longer than " +
                        std::to_string(sizeof address.sun_path - 1) + " bytes; choose a shorter one with --control PATH");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  if (const auto slash = path.rfind('/'); slash != std::string::npos && slash > 0) {
    const std::string directory = path.substr(0, slash);
    if (mkdir(directory.c_str(), 0755) < 0 && errno != EEXIST) return explain(path, "mkdir", errno);
  }
  if (auto unused = check_unused(path, address); !unused) return std::unexpected(unused.error());

  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return explain(path, "socket", errno);
  const mode_t before = umask(0777 & ~static_cast<mode_t>(mode));
  const int bound = bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int errnum = errno;
  umask(before);
  if (bound < 0) return explain(path, "bind", errnum);
  auto owned = common::OwnedPath::take(path);
  if (!owned) return std::unexpected(owned.error());
  if (listen(fd.get(), 64) < 0) return explain(path, "listen", errno);
  return ControlSocket(std::move(fd), std::move(*owned));
}

}  // namespace master
