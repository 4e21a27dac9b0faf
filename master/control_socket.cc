// ControlSocket: making the directory and the file, and saying what is in the way.
#include "master/control_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "common/address.h"
#include "common/format.h"
#include "master/unix_path.h"

namespace master {
namespace {

using common::Result;
using common::UniqueFd;

constexpr int kBacklog = 64;
constexpr std::string_view kFix = "choose another place with --control PATH";

std::unexpected<common::Error> refuse(const std::string& path, std::string_view reason, int errnum) {
  return common::fail(common::format("control socket {}: {}; {}", path, reason, kFix), errnum);
}

// Only the last directory: a whole tree that is missing is more likely a mistake in the path.
Result<void> make_parent(const std::filesystem::path& path) {
  const std::string directory = path.parent_path().string();
  if (mkdir(directory.c_str(), 0755) == 0 || errno == EEXIST) return {};
  const int errnum = errno;
  struct stat found{};
  // On a read-only file system even a directory that exists is answered with EROFS.
  if (stat(directory.c_str(), &found) == 0 && S_ISDIR(found.st_mode)) return {};
  return refuse(path.string(), common::format("mkdir {}: {}", directory, common::errno_text(errnum)), errnum);
}

Result<common::Address> address_of(const std::string& path) {
  std::error_code error;
  // Absolute, because the application may change the directory before the file is removed.
  const std::string absolute = std::filesystem::absolute(path, error).string();
  if (path.empty() || error) return refuse(path, "that is not a path", EINVAL);
  if (absolute.size() > common::kUnixPathMax) {
    return refuse(absolute,
                  common::format("the path has {} bytes, the kernel allows {}", absolute.size(), common::kUnixPathMax),
                  ENAMETOOLONG);
  }
  auto address = common::Address::parse("unix:" + absolute);
  if (!address) return refuse(absolute, address.error().message, EINVAL);
  return address;
}

}  // namespace

Result<ControlSocket> ControlSocket::open(const std::string& path, std::uint32_t mode, std::optional<FileOwner> owner) {
  const auto address = address_of(path);
  if (!address) return std::unexpected(address.error());
  if (auto made = make_parent(address->text().substr(std::string_view("unix:").size())); !made) {
    return std::unexpected(made.error());
  }
  const auto state = inspect_path(*address);
  if (!state) return refuse(path, state.error().message, state.error().errnum);
  if (state->kind == PathState::Kind::kTaken) {
    const std::string who = state->pid > 0 ? common::format("another supervisor (pid {}) answers there", state->pid)
                                           : "another process has it, or it belongs to another user";
    return common::fail(common::format("control socket {}: {}; stop it, or {}", path, who, kFix), EADDRINUSE);
  }
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return refuse(path, "socket: " + common::errno_text(errno), errno);
  auto owned = bind_path(fd.get(), *address, *state, mode, owner);
  if (!owned) return refuse(path, owned.error().message, owned.error().errnum);
  ControlSocket result(std::move(fd), std::move(*owned));
  if (listen(result.fd(), kBacklog) < 0) return refuse(path, "listen: " + common::errno_text(errno), errno);
  return result;
}

}  // namespace master
