// FileOwner: the user and group that what the server makes shall belong to.
#pragma once

#include <sys/types.h>

namespace master {

struct FileOwner {
  uid_t user;
  gid_t group;
  mode_t mode = 0666;  // of a unix socket that clients connect to

  friend bool operator==(const FileOwner&, const FileOwner&) = default;
};

}  // namespace master
