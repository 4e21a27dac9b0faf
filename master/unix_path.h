// UnixPath: taking a path for a unix socket, unless somebody lives there.
//
// bind(2) refuses a path that exists, whether its owner lives or has crashed: so ask by connecting, and remove only
// what nobody answers on. Two programs that start at the same path within the same moment can still both find it free;
// then the later one has it.
#pragma once

#include <sys/types.h>

#include <optional>

#include "common/address.h"
#include "common/owned_path.h"
#include "common/result.h"
#include "master/file_owner.h"

namespace master {

struct PathState {
  enum class Kind {
    kFree,
    kStale,  // a socket file that nobody listens on
    kTaken,  // somebody listens, or may listen where we are not allowed to ask
  };
  Kind kind;
  pid_t pid = 0;  // of the one who listens; 0 = unknown
};

// Never blocks. `address` is a kUnixPath. An error when something else than a socket is there.
common::Result<PathState> inspect_path(const common::Address& address);

// Binds `fd`, after removing a stale file. The file never has more permissions than `mode`; it is given to `owner`, if
// any, and gone again if that fails. The caller has inspected the path and found it not taken. Changes the umask for a
// moment: for a process of one thread.
common::Result<common::OwnedPath> bind_path(int fd, const common::Address& address, PathState state, mode_t mode,
                                            std::optional<FileOwner> owner = std::nullopt);

}  // namespace master
