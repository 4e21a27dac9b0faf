// OwnedPath: a socket file that we made, and may remove as long as it is still the same file.
#pragma once

#include <sys/types.h>

#include <ctime>
#include <string>

#include "common/result.h"

namespace common {

struct OwnedPath {
  std::string path;
  dev_t device = 0;
  ino_t inode = 0;
  timespec made{};  // st_mtim, which a socket keeps for life: ext4 gives the inode of a removed file to the next one

  // The file that is at `path` now.
  static Result<OwnedPath> take(std::string path);
};

// Does nothing if another file has taken its place. Async-signal-safe (signal-safety(7)).
void remove_owned_path(const OwnedPath& owned);

}  // namespace common
