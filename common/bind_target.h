// BindTarget: what one text of listen.bind stands for: an address to bind, or sockets that somebody has bound already.
//
//   everything Address::parse() reads
//   systemd         every socket that socket activation has passed (sd_listen_fds(3))
//   systemd:NAME    those of this name: FileDescriptorName=, or the unit's name ("shop.socket")
//   fd://N          the listening socket that the supervisor was started with as descriptor N
// Pure: whether there are such sockets is for the start to find out.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "common/address.h"
#include "common/result.h"

namespace common {

struct ActivatedSockets {
  std::string name;  // empty = all of them
};

struct PassedDescriptor {
  int fd;  // 3 or more
};

using BindTarget = std::variant<Address, ActivatedSockets, PassedDescriptor>;

// The error names the text, the reason and the fix.
Result<BindTarget> parse_bind_target(std::string_view text);

}  // namespace common
