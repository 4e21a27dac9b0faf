// ControlSocket: the unix socket operators talk to a running supervisor on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "common/owned_path.h"
#include "common/result.h"
#include "common/unique_fd.h"
#include "master/file_owner.h"

namespace master {

class ControlSocket {
 public:
  // Makes the last directory of `path` if it is missing. Refuses if another supervisor answers there; a file left by
  // a dead one is replaced. At no moment is the file more open than `mode`; it is given to `owner`, if any. Start-up
  // only: see bind_path().
  static common::Result<ControlSocket> open(const std::string& path, std::uint32_t mode,
                                            std::optional<FileOwner> owner = std::nullopt);
  // What another image of this program opened.
  static ControlSocket resume(common::UniqueFd fd, common::OwnedPath owned) {
    return ControlSocket(std::move(fd), std::move(owned));
  }
  ControlSocket(ControlSocket&& other) noexcept
      : fd_(std::move(other.fd_)), owned_(std::exchange(other.owned_, common::OwnedPath())) {}
  ControlSocket& operator=(ControlSocket&&) = delete;
  ~ControlSocket() { common::remove_owned_path(owned_); }

  int fd() const { return fd_.get(); }  // listening, non-blocking
  const common::OwnedPath& owned_path() const { return owned_; }  // absolute

 private:
  ControlSocket(common::UniqueFd fd, common::OwnedPath owned) : fd_(std::move(fd)), owned_(std::move(owned)) {}

  common::UniqueFd fd_;
  common::OwnedPath owned_;  // an empty path when moved from
};

}  // namespace master
