// ListenerGroup: the listening sockets of one address, in slot order; a unix address has one socket for all its slots.
//
//   bound --listen()--> listening --retire()--> retiring --(its queue is empty)--> destroyed
//                           ^---------revive()------'
// The kernel counts the members of a SO_REUSEPORT group in the order in which they began to listen (measured), so its
// index of a socket is the slot number. They are never shutdown(2), which would lose the queue.
#pragma once

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
#include "master/worker_id.h"

namespace master {

class ListenerGroup {
 public:
  // For slots 0 to slots-1, not listening yet. The socket file, if there is one, goes with the group.
  static common::Result<std::unique_ptr<ListenerGroup>> bind(const common::Address& address, std::uint32_t slots,
                                                             std::optional<FileOwner> owner);
  // Takes the descriptors, which listen already.
  static common::Result<std::unique_ptr<ListenerGroup>> resume(const HandedListener& handed);
  HandedListener hand_over() const;
  ListenerGroup(const ListenerGroup&) = delete;
  ListenerGroup& operator=(const ListenerGroup&) = delete;
  ~ListenerGroup();

  const common::Address& address() const { return address_; }  // as bound: port 0 has become a real one
  const std::string& asked() const { return asked_; }          // as the settings say it
  void set_asked(std::string text) { asked_ = std::move(text); }
  const std::optional<common::OwnedPath>& path() const { return path_; }
  bool is_tcp() const { return address_.kind == common::AddressKind::kTcp; }
  bool is_listening() const { return listening_ > 0; }
  std::size_t size() const { return sockets_.size(); }

  // TCP: binds what is missing for slots 0 to slots-1; the new ones do not listen. An error leaves what there was.
  common::Result<void> grow(std::uint32_t slots);
  // All of them; those that listen already take over the backlog.
  common::Result<void> listen(std::uint32_t backlog);
  void close_unheard();                  // those that do not listen
  void shrink(std::uint32_t slots);      // TCP: to slots 0 to slots-1. What waits in the others is reset.
  void close_all();

  std::optional<int> socket_of(SlotIndex slot) const;  // the slot's own or the shared one
  std::vector<int> sockets() const;

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
  explicit ListenerGroup(const common::Address& address);
  std::unexpected<common::Error> name(const common::Error& error) const;

  common::Address address_;
  std::string asked_;
  std::vector<common::UniqueFd> sockets_;
  std::size_t listening_ = 0;  // the first ones
  std::optional<common::OwnedPath> path_;
  std::optional<common::TimePoint> retired_at_;
  // What the attached program was made from; empty = there is none, nullopt = that is not known after a failure.
  std::optional<std::vector<bool>> chosen_ = std::vector<bool>();
};

}  // namespace master
