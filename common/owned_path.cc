// OwnedPath: identity by device and inode.
#include "common/owned_path.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace common {

Result<OwnedPath> OwnedPath::take(std::string path) {
  struct stat file {};
  if (lstat(path.c_str(), &file) < 0) return fail_errno("stat " + path, errno);
  return OwnedPath{.path = std::move(path), .device = file.st_dev, .inode = file.st_ino};
}

void remove_owned_path(const OwnedPath& owned) {
  struct stat file {};
  if (lstat(owned.path.c_str(), &file) < 0) return;
  if (file.st_dev == owned.device && file.st_ino == owned.inode) unlink(owned.path.c_str());
}

}  // namespace common
