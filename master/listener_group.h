// ListenerGroup: the listening sockets of one address: one for each slot, in slot order, or all shared by all slots.
//
//   bound --listen()--> listening --retire()--> retiring --(its queue is empty)--> destroyed
//   adopt() ----------------^  ^---------revive()------'
// The kernel counts the members of a SO_REUSEPORT group in the order in which they began to listen (measured), so its
// index of a socket is the slot number. They are never shutdown(2), which would lose the queue.
//
// Shared are the socket of a unix address, and activated ones whose number does not fit the slots. Activated sockets
// (bound by whoever started us) come first. Who bound them keeps them, so the kernel sends clients there whatever we
// close: without a slot they become *spare*, and the master takes their clients from them. So do our own ones of an
// earlier run with more slots, until they are empty. In which order activated ones began to listen nobody tells: then
// the kernel chooses.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/address.h"
#include "common/clock.h"
#include "common/owned_path.h"
#include "common/result.h"
#include "common/unique_fd.h"
#include "master/file_owner.h"
#include "master/handover.h"
#include "master/inherited_sockets.h"
#include "master/worker_id.h"

namespace master {

class ListenerGroup {
 public:
  // For slots 0 to slots-1, not listening yet. The socket file, if there is one, goes with the group.
  static common::Result<std::unique_ptr<ListenerGroup>> bind(const common::Address& address, std::uint32_t slots,
                                                             std::optional<FileOwner> owner);
  // Of sockets that are bound to one address and listen already; at least one. Those that slots lack are bound, or, if
  // that is not to be had, all are shared; the log says so.
  static std::unique_ptr<ListenerGroup> adopt(std::vector<InheritedSocket> inherited, std::uint32_t slots);
  // Takes the descriptors, which listen already.
  static common::Result<std::unique_ptr<ListenerGroup>> resume(const HandedListener& handed);
  HandedListener hand_over() const;
  ListenerGroup(const ListenerGroup&) = delete;
  ListenerGroup& operator=(const ListenerGroup&) = delete;
  ~ListenerGroup();

  const common::Address& address() const { return address_; }  // as bound: port 0 has become a real one
  const std::string& asked() const { return asked_; }  // as the settings say it
  void set_asked(std::string text) { asked_ = std::move(text); }
  const std::optional<common::OwnedPath>& path() const { return path_; }
  bool is_tcp() const { return address_.kind == common::AddressKind::kTcp; }
  bool is_shared() const { return sharing_ == Sharing::kShared; }
  bool is_activated() const { return activated_ > 0; }
  std::size_t activated() const { return activated_; }
  bool goes_by(const std::string& name) const;  // activated, under this name; every name: ""
  bool may_choose() const { return is_tcp() && !is_shared() && order_ == Order::kSlots; }
  bool is_listening() const { return listening_ > 0; }
  std::uint32_t own_slots() const { return slots_; }  // that have a socket of their own
  std::size_t size() const { return sockets_.size(); }

  bool is_stored() const { return lifetime_ == PathLifetime::kStays; }
  // The file stays when the group is destroyed: the socket lives on in the store. retire() removes it all the same.
  void keep_path() { lifetime_ = PathLifetime::kStays; }

  // Binds what slots 0 to slots-1 lack; the new ones do not listen. An error leaves what there was.
  common::Result<void> grow(std::uint32_t slots);
  // All of them; those that listen already take over the backlog.
  common::Result<void> listen(std::uint32_t backlog);
  void close_unheard();  // those that do not listen
  void shrink(std::uint32_t slots);  // to slots 0 to slots-1. What waits in the others is reset, if they are not spare.
  void close_all();

  std::optional<int> own_socket(SlotIndex slot) const;  // none where they are shared, or would never be empty
  std::optional<int> activated_socket(SlotIndex slot) const;
  std::vector<int> sockets_of(SlotIndex slot) const;  // the slot's own or the shared ones
  std::vector<int> sockets() const;
  std::vector<int> spare_sockets() const;
  bool has_own_spare() const { return !is_shared() && std::max<std::size_t>(slots_, activated_) < listening_; }
  // Those of our own, from when they have been spare for `settling` and are empty.
  void close_spare(common::TimePoint now, common::Duration settling);

  // What the store is to keep: our own ones, under names that adopt() understands.
  std::vector<std::pair<std::string, int>> storable() const;

  // Nobody is wanted here any more: the socket file is removed, and new clients of TCP addresses are kept waiting until
  // the group is destroyed and they are refused. An error: the kernel does not keep them, and who comes last is reset.
  common::Result<void> retire(common::TimePoint now);
  std::optional<common::TimePoint> retired_at() const { return retired_at_; }
  bool may_revive() const { return address_.kind != common::AddressKind::kUnixPath; }  // the file has gone
  void revive();

  // able[slot] = new connections may go there; empty: the kernel chooses. Cheap when nothing has changed. After an
  // error it is not known what the kernel does.
  common::Result<void> choose(std::vector<bool> able);
  common::Result<void> try_choosing();  // whether the kernel would take a program
  bool has_program() const { return chosen_ && !chosen_->empty(); }
  // Keeps the slot's new clients waiting, as retire() does. Where the kernel refuses to choose().
  common::Result<void> hold_off(SlotIndex slot);
  void let_in(SlotIndex slot);

 private:
  enum class Sharing { kOnePerSlot, kShared };
  enum class Order { kSlots, kUnknown };  // of the kernel's indices
  enum class PathLifetime { kOurs, kStays };

  explicit ListenerGroup(const common::Address& address);
  void fit(std::uint32_t slots);
  common::Result<void> hold_off_socket(std::size_t index);
  std::unexpected<common::Error> name(const common::Error& error) const;

  common::Address address_;
  std::string asked_;
  std::vector<common::UniqueFd> sockets_;
  std::size_t listening_ = 0;  // the first ones
  std::size_t activated_ = 0;  // the first ones
  std::uint32_t slots_ = 0;  // with sockets of their own; what lies behind is spare
  std::vector<std::string> names_;  // of activated ones
  Sharing sharing_;
  Order order_ = Order::kSlots;
  PathLifetime lifetime_ = PathLifetime::kOurs;
  std::optional<common::OwnedPath> path_;
  std::optional<common::TimePoint> spare_since_;  // our own ones; set when close_spare() sees them first
  std::optional<common::TimePoint> retired_at_;
  // What the attached program was made from; empty = there is none, nullopt = that is not known after a failure.
  std::optional<std::vector<bool>> chosen_ = std::vector<bool>();
};

}  // namespace master
