// Listeners: how they cross to the next image of the program.
#include <utility>

#include "common/check.h"
#include "master/listeners.h"

namespace master {

std::vector<HandedListener> Listeners::hand_over() const {
  CHECK(!change_ && !any_retiring() && retired_.empty());
  std::vector<HandedListener> handed;
  for (const ListenerGroup* group : current_) handed.push_back(group->hand_over());
  return handed;
}

common::Result<Listeners> Listeners::resume(std::span<const HandedListener> handed, std::uint32_t slots,
                                            std::uint32_t backlog, common::Steering steering,
                                            std::optional<FileOwner> owner) {
  Listeners result;
  result.slots_ = slots;
  result.backlog_ = backlog;
  result.owner_ = owner;
  for (const HandedListener& listener : handed) {
    auto group = ListenerGroup::resume(listener);
    if (!group) return std::unexpected(group.error());
    const bool fits = (*group)->is_shared() ? (*group)->size() > 0 : (*group)->own_slots() == slots;
    if (!fits) return common::fail("hand-over: " + listener.address + " has not a socket for each slot", EINVAL);
    result.current_.push_back(group->get());
    result.groups_.push_back(std::move(*group));
  }
  result.steering_ = steering;  // the program that chooses stays with the sockets until there is another choice
  return result;
}

}  // namespace master
