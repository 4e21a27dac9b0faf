// ControlSocket: the unix socket operators talk to a running supervisor on.
#pragma once

#include <cstdint>
#include <string>

#include "common/owned_path.h"
#include "common/result.h"
#include "common/unique_fd.h"

namespace master {

class ControlSocket {
 public:
  // Makes the last directory of `path` if it is missing. Refuses if another supervisor answers there; a file left by
  // a dead one is replaced. At no moment is the file more open than `mode`.
  static common::Result<ControlSocket> open(const std::string& path, std::uint32_t mode);
  ControlSocket(ControlSocket&&) = default;
  ControlSocket& operator=(ControlSocket&&) = delete;
  ~ControlSocket() { common::remove_owned_path(owned_); }

  int fd() const { return fd_.get(); }  // listening, non-blocking
  const common::OwnedPath& owned_path() const { return owned_; }

 private:
  ControlSocket(common::UniqueFd fd, common::OwnedPath owned) : fd_(std::move(fd)), owned_(std::move(owned)) {}

  common::UniqueFd fd_;
  common::OwnedPath owned_;
};

}  // namespace master
