// Listeners: the listening sockets of every address and slot, held by the master for the life of the slot.
//
// A worker that dies or is replaced leaves the queue of its socket intact for the next one. What ends, a slot or an
// address, first loses its new clients, then its queue, and only then its sockets: closing them resets who waits there.
//
//   fewer slots: retire_slot() -> its worker leaves -> accept_queued() until is_drained() -> close_slot()
//   a reload:    begin_change() -> (new application loaded) listen_next() -> workers replaced, each new one with
//                sockets_of(slot, kNext) -> commit_change() -> (nobody accepts on the old addresses any more)
//                accept_retiring() and close_retiring() until nothing retires
//   it fails:    abandon_change(), then the same with what it had added
//   a start:     open() takes inherited sockets by their address; stored ones that are not wanted retire
// Not thread-safe; nothing but open() blocks.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/address.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/owned_path.h"
#include "common/result.h"
#include "common/unique_fd.h"
#include "master/file_owner.h"
#include "master/handover.h"
#include "master/inherited_sockets.h"
#include "master/listener_group.h"
#include "master/listener_view.h"
#include "master/worker_id.h"

namespace master {

// kNext: what a change under way leads to; without one, as kCurrent.
enum class AddressSet { kCurrent, kNext };

class Listeners {
 public:
  // Workers of a master that was killed drain for a moment, and hold their sockets that long: a restart should work.
  static constexpr common::Duration kPredecessorPatience = std::chrono::seconds(3);

  // How long a handshake may still be under way to a slot or an address that gets no new ones: longer than a round
  // trip, as long as a client needs to send a lost packet again (RFC 6298, 2.1). Nothing that waits less is closed.
  static constexpr common::Duration kSettling = std::chrono::seconds(1);

  // Binds every address for slots 0 to slots-1 and listens. An error names the address, the reason and the fix; then
  // nothing stays open. Blocks up to `patience` (for all addresses together) while somebody else listens there:
  // start-up only. Two programs of one user that start on the same port within the same moment are not told apart.
  // `owner` gets the socket files, also all later ones. Addresses of inherited sockets are not waited for.
  static common::Result<Listeners> open(std::span<const common::Address> addresses, std::uint32_t slots,
                                        std::uint32_t backlog, common::Duration patience = kPredecessorPatience,
                                        common::Steering steering = common::Steering::kHash,
                                        std::optional<FileOwner> owner = std::nullopt, InheritedSockets inherited = {});
  // What hand_over() told, while nothing changed and nothing retired. Takes the descriptors; steering begins anew.
  static common::Result<Listeners> resume(std::span<const HandedListener> handed, std::uint32_t slots,
                                          std::uint32_t backlog, common::Steering steering,
                                          std::optional<FileOwner> owner);
  std::vector<HandedListener> hand_over() const;
  Listeners(Listeners&&) = default;
  Listeners& operator=(Listeners&&) = delete;

  common::Result<void> open_slot(SlotIndex slot);  // the next one, of all addresses but retiring ones
  void close_slot(SlotIndex slot);  // the highest one
  void close_all();  // for good
  // able[slot] = new connections may go to the slot; one that is not mentioned may get them. All or none able: the
  // kernel chooses among those that do not retire. Cheap when nothing has changed, so call it with every look at the
  // workers. Where the kernel refuses (logged once, until it works again) or the settings say so, it always chooses.
  // served[slot] = the addresses that the slot's worker accepts on, kCurrent where it is not mentioned: during a change
  // nobody is sent where nobody serves the address.
  void steer(const std::vector<bool>& able, const std::vector<AddressSet>& served = {});
  void set_steering(common::Steering steering);

  // The slot gets no new connections, whatever able[] and the settings say, until it is closed or kept after all. Where
  // the kernel refuses the program for that (logged once), new clients of the slot wait until it is closed.
  void retire_slot(SlotIndex slot, common::TimePoint now);  // a second time: does nothing
  void un_retire(SlotIndex slot);

  // Of the slot's own sockets, all addresses; shared and activated ones are served by others. accept_queued() is for a
  // retired slot whose workers accept no more: up to `most` connections for another worker; none of other slots.
  bool queue_is_empty(SlotIndex slot) const;
  std::vector<common::UniqueFd> accept_queued(SlotIndex slot, std::size_t most);
  bool is_drained(SlotIndex slot, common::TimePoint now) const;  // retired for kSettling, and its queue is empty

  // Binds what is not held yet, for all slots; the same address in both sets is the same sockets (by the text it was
  // asked with, or by what it is bound to). Clients notice nothing. After an error nothing of it is left.
  common::Result<void> begin_change(std::span<const common::Address> addresses, std::uint32_t backlog);
  // Before the first worker gets the next addresses: from now on clients connect there. After an error call
  // abandon_change().
  common::Result<void> listen_next();
  // After listen_next(), when no worker is to serve the current addresses again.
  void commit_change(common::TimePoint now);
  // At any time of a change, when no worker is to serve the next addresses again.
  void abandon_change(common::TimePoint now);
  bool changing() const { return change_.has_value(); }

  // What commit_change(), abandon_change() and open() have left over, when no worker accepts there any more. And
  // activated sockets after retire_slot(), which nobody can close: needs_sweep() as long as there are some.
  std::vector<int> retiring_sockets() const;  // borrowed
  std::vector<common::UniqueFd> accept_retiring(std::size_t most);
  void close_retiring(common::TimePoint now);  // those that have retired for kSettling and have empty queues
  bool any_retiring() const;
  bool needs_sweep() const;
  bool any_activated() const;
  bool holds(int fd) const;

  // Borrowed, per address in the order of the settings: the slot's own TCP socket, or the shared ones. At most
  // common::kBindMax.
  std::vector<int> sockets_of(SlotIndex slot, AddressSet set = AddressSet::kCurrent) const;
  std::uint64_t shared_of(SlotIndex slot, AddressSet set = AddressSet::kCurrent) const;  // bit i: of all slots
  // For a reload: as InheritedSockets::resolve(), among what is held.
  common::Result<std::vector<common::Address>> resolve(std::span<const std::string> bind) const;
  std::optional<std::uint32_t> slots_activated() const;  // as InheritedSockets::slots_for()
  std::uint64_t revision() const { return revision_; }  // another one when storable() may say something else
  // With a store that outlives us: socket files stay when we end, and are not among owned_paths().
  void keep_paths();
  std::vector<std::pair<std::string, int>> storable() const;  // names and sockets; of groups that do not retire
  std::vector<ListenerView> views() const;  // by stage
  std::vector<common::OwnedPath> owned_paths() const;

 private:
  using Groups = std::vector<ListenerGroup*>;  // borrowed from groups_
  struct Change {
    Groups next;
    std::vector<std::string> asked;  // texts of the same index
    std::uint32_t backlog = 0;
    bool is_listening = false;
  };
  enum class Permission { kGiven, kRefused };  // kRefused has been logged

  Listeners() = default;
  static bool holds(const Groups& set, const ListenerGroup& group);
  ListenerStage stage_of(const ListenerGroup& group) const;
  bool is_retiring(const ListenerGroup& group) const { return stage_of(group) == ListenerStage::kRetiring; }
  common::Result<std::unique_ptr<ListenerGroup>> make_group(const common::Address& address);
  common::Result<void> check_number(const Groups& groups) const;
  void retire_rest(InheritedSockets& inherited);
  bool overlaps_ours(const common::Address& address) const;
  common::Result<void> prepare(std::span<const common::Address> addresses);
  void end_change(common::TimePoint now);
  void retire(ListenerGroup& group, common::TimePoint now);
  std::vector<int> own_sockets(SlotIndex slot) const;
  std::vector<bool> choice_for(const ListenerGroup& group) const;
  void apply_steering();
  void try_steering();
  void give_up_steering(const common::Error& error);
  void give_up_holding_off(const common::Error& error);

  std::vector<std::unique_ptr<ListenerGroup>> groups_;
  Groups current_;
  std::optional<Change> change_;  // groups in neither set retire
  std::map<SlotIndex, common::TimePoint> retired_;
  std::uint32_t slots_ = 0;
  std::uint32_t backlog_ = 0;
  std::optional<FileOwner> owner_;
  bool keeps_paths_ = false;
  std::uint64_t revision_ = 1;
  common::Steering steering_ = common::Steering::kHash;
  Permission choosing_ = Permission::kGiven;
  Permission holding_off_ = Permission::kGiven;
  std::vector<bool> able_;  // as told last
  std::vector<AddressSet> served_;
};

}  // namespace master
