// Listeners: the listening sockets, one per slot and TCP address, held by the master for the life of the slot.
//
// A worker that dies or is replaced leaves the queue of its socket intact for the next one. Sockets of an address are
// opened in slot order, so that the kernel's index in the SO_REUSEPORT group is the slot number; they are never
// shutdown(2), which would lose the queue. Unix sockets cannot form a group and are shared by all slots.
#pragma once

#include <linux/filter.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/address.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/owned_path.h"
#include "common/result.h"
#include "common/unique_fd.h"
#include "master/worker_id.h"

namespace master {

// Who chooses among the sockets of an address; kNone = there is but one.
enum class ListenerSteering { kNone, kHash, kHealth };
std::string_view name_of(ListenerSteering steering);

struct ListenerView {
  std::string address;  // as bound: with the port the kernel chose for port 0
  std::size_t sockets;
  ListenerSteering steering;
};

class Listeners {
 public:
  // Workers of a master that was killed drain for a moment, and hold their sockets that long: a restart should work.
  static constexpr common::Duration kPredecessorPatience = std::chrono::seconds(3);

  // Binds every address for slots 0 to slots-1 and listens. An error names the address, the reason and the fix; then
  // nothing stays open. Blocks up to `patience` (for all addresses together) while somebody else listens there:
  // start-up only. Two programs of one user that start on the same port within the same moment are not told apart.
  static common::Result<Listeners> open(std::span<const common::Address> addresses, std::uint32_t slots,
                                        std::uint32_t backlog, common::Duration patience = kPredecessorPatience,
                                        common::Steering steering = common::Steering::kHash);
  Listeners(Listeners&&) = default;
  Listeners& operator=(Listeners&&) = delete;
  ~Listeners();  // removes the socket files that are still ours

  common::Result<void> open_slot(SlotIndex slot);  // the next one
  void close_slot(SlotIndex slot);                 // the highest one
  void close_all();                                // for good

  // able[slot] = new connections may go to the slot; one that is not mentioned may get them. All or none able: the
  // kernel chooses. Cheap when nothing has changed, so call it with every look at the workers. Where the kernel refuses
  // (logged once, until it works again) or the settings say so, it chooses all the time.
  void steer(const std::vector<bool>& able);

  // One per address, borrowed: the slot's own TCP socket, or the shared one. The master never accepts on them.
  std::vector<int> sockets_of(SlotIndex slot) const;
  std::vector<ListenerView> views() const;
  std::vector<common::OwnedPath> owned_paths() const;

 private:
  struct Listener {
    common::Address address;  // its port is a real one after the first bind
    std::vector<common::UniqueFd> sockets;
    std::vector<common::OwnedPath> path;  // none or one
  };
  Listeners() = default;
  common::Result<void> open_unix(Listener& listener) const;
  common::Result<common::UniqueFd> open_tcp(common::Address& address) const;
  common::Result<void> attach(const std::vector<sock_filter>& program) const;
  void try_steering();
  void give_up_steering(const common::Error& error);

  enum class Health { kUnwanted, kWorks, kFails };

  std::vector<Listener> listeners_;
  std::uint32_t slots_ = 0;
  std::uint32_t backlog_ = 0;
  Health health_ = Health::kUnwanted;
  // What the attached program was made from; empty = there is none, nullopt = that is not known after a failure.
  std::optional<std::vector<bool>> steered_ = std::vector<bool>();
};

}  // namespace master
