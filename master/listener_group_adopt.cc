// ListenerGroup, adoption: sockets of somebody else, or of an earlier run of ours, become a group.
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "common/check.h"
#include "common/log.h"
#include "master/listen_queue.h"
#include "master/listener_group.h"
#include "master/listening_socket.h"
#include "master/socket_program.h"

namespace master {
namespace {

// Stored sockets of slots 0, 1, 2 ... began to listen in that order, and nobody came between.
bool are_in_order(const std::vector<InheritedSocket>& sockets) {
  for (SlotIndex slot = 0; slot < sockets.size(); ++slot) {
    if (!sockets[slot].stored || sockets[slot].stored->slot != slot) return false;
  }
  return true;
}

}  // namespace

bool ListenerGroup::goes_by(const std::string& name) const {
  return is_activated() && (name.empty() || std::ranges::find(names_, name) != names_.end());
}

std::unique_ptr<ListenerGroup> ListenerGroup::adopt(std::vector<InheritedSocket> inherited, std::uint32_t slots) {
  CHECK(!inherited.empty());
  std::unique_ptr<ListenerGroup> group(new ListenerGroup(inherited.front().address));
  std::ranges::sort(inherited, {}, [](const InheritedSocket& socket) {
    // Activated ones first, in their order, which is that of their numbers.
    return std::pair(socket.stored ? std::uint64_t{socket.stored->slot} + 1 : 0, socket.fd.get());
  });
  if (!are_in_order(inherited)) group->order_ = Order::kUnknown;
  for (InheritedSocket& socket : inherited) {
    adopt_options(socket.fd.get(), socket.address);
    if (!socket.stored) {
      ++group->activated_;
      group->names_.push_back(socket.name);
    }
    if (group->is_tcp()) detach_filter(socket.fd.get());
    if (socket.stored && socket.stored->file && socket.place == Place::kHeld) group->path_ = socket.stored->file;
    group->sockets_.push_back(std::move(socket.fd));
  }
  group->listening_ = group->sockets_.size();
  make_blocking(group->sockets());
  if (group->is_shared()) return group;
  // What an earlier run had attached knew other slots.
  std::ignore = attach_choice(group->sockets_.front().get(), {});
  group->chosen_.reset();
  group->fit(slots);
  return group;
}

// One socket for each slot if that can be.
void ListenerGroup::fit(std::uint32_t slots) {
  const auto share = [&](std::string_view why) {
    sharing_ = Sharing::kShared;
    common::log(common::LogLevel::kInfo, common::LogEvent::kSocketsShared,
                "every worker serves all inherited sockets of an address",
                {{"address", address_.text()}, {"sockets", sockets_.size()}, {"reason", why}});
  };
  const auto joinable = check_joinable(sockets_.front().get());
  // A single one is shared even by a single worker: then there may be more of them later.
  if (!joinable && (sockets_.size() == 1 || sockets_.size() < slots)) return share(joinable.error().message);
  if (activated_ > slots) return share("there are more sockets than workers; workers.count = \"auto\" follows them");
  if (auto grown = grow(slots); !grown) {
    return share("one more for each worker is not to be had: " + grown.error().message);
  }
  // Our own ones beyond the slots get no new clients; who waits there is handed on.
  for (std::size_t i = std::max<std::size_t>(slots, activated_); i < listening_; ++i) std::ignore = hold_off_socket(i);
}

}  // namespace master
