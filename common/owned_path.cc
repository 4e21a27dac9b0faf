// OwnedPath: identity by device, inode and time.
#include "common/owned_path.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace common {

Result<OwnedPath> OwnedPath::take(std::string path) {
  struct stat file{};
  if (lstat(path.c_str(), &file) < 0) return fail_errno("stat " + path, errno);
  return OwnedPath{.path = std::move(path), .device = file.st_dev, .inode = file.st_ino, .made = file.st_mtim};
}

void remove_owned_path(const OwnedPath& owned) {
  struct stat file{};
  if (lstat(owned.path.c_str(), &file) < 0) return;
  const bool is_ours = file.st_dev == owned.device && file.st_ino == owned.inode &&
                       file.st_mtim.tv_sec == owned.made.tv_sec && file.st_mtim.tv_nsec == owned.made.tv_nsec;
  if (is_ours) unlink(owned.path.c_str());
}

}  // namespace common
