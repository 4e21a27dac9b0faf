// ListenerView: what operators are told of the sockets of one address.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace master {

// Who chooses among the sockets of an address; kNone = there is but one.
enum class ListenerSteering { kNone, kHash, kHealth };
std::string_view name_of(ListenerSteering steering);

// kAdded: by a change that is under way. kRetiring: no longer wanted, its last clients are being served.
enum class ListenerStage { kCurrent, kAdded, kRetiring };
std::string_view name_of(ListenerStage stage);

struct ListenerView {
  std::string address;  // as bound: with the port the kernel chose for port 0
  std::size_t sockets;
  std::size_t activated;  // of them: passed by whoever bound them
  ListenerSteering steering;
  ListenerStage stage;
};

}  // namespace master
