// ClosingPeer: a server on a loopback port whose clients are left in CLOSE_WAIT when it closes its side.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/unique_fd.h"

namespace incidents {

class ClosingPeer {
 public:
  ClosingPeer();

  std::uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  // Takes all connections there are by now and closes them; their number.
  int close_all();

 private:
  common::UniqueFd listener_;
  std::uint16_t port_ = 0;
};

}  // namespace incidents
