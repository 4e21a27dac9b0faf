// ListenerGroup: its sockets, and the programs on them.
#include "master/listener_group.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "master/listen_queue.h"
#include "master/listening_socket.h"
#include "master/socket_program.h"
#include "master/steering.h"
#include "master/stored_name.h"

namespace master {

using common::Result;

ListenerGroup::ListenerGroup(const common::Address& address)
    : address_(address), asked_(address.text()), sharing_(is_tcp() ? Sharing::kOnePerSlot : Sharing::kShared) {}

Result<std::unique_ptr<ListenerGroup>> ListenerGroup::bind(const common::Address& address, std::uint32_t slots,
                                                           std::optional<FileOwner> owner) {
  std::unique_ptr<ListenerGroup> group(new ListenerGroup(address));
  if (group->is_tcp()) {
    if (auto grown = group->grow(slots); !grown) return std::unexpected(grown.error());
    return group;
  }
  auto bound = bind_unix(address, owner);
  if (!bound) return std::unexpected(bound.error());
  group->sockets_.push_back(std::move(bound->fd));
  group->path_ = std::move(bound->path);
  return group;
}

Result<std::unique_ptr<ListenerGroup>> ListenerGroup::resume(const HandedListener& handed) {
  auto address = common::Address::parse(handed.address);
  if (!address) return std::unexpected(address.error());
  std::unique_ptr<ListenerGroup> group(new ListenerGroup(*address));
  group->asked_ = handed.asked;
  for (const int fd : handed.sockets) group->sockets_.emplace_back(fd);
  group->listening_ = group->sockets_.size();
  group->path_ = handed.path;
  group->chosen_.reset();  // the kernel has the program of the image before
  group->activated_ = std::min(handed.activated, group->sockets_.size());
  group->names_ = handed.names;
  group->slots_ = handed.slots;
  if (handed.is_shared) group->sharing_ = Sharing::kShared;
  if (!handed.is_in_order) group->order_ = Order::kUnknown;
  return group;
}

HandedListener ListenerGroup::hand_over() const {
  return {.asked = asked_,
          .address = address_.text(),
          .sockets = sockets(),
          .path = path_,
          .activated = activated_,
          .names = names_,
          .slots = slots_,
          .is_shared = is_shared(),
          .is_in_order = order_ == Order::kSlots};
}

ListenerGroup::~ListenerGroup() {
  if (path_ && lifetime_ == PathLifetime::kOurs) common::remove_owned_path(*path_);
  // Whoever bound them goes on with them: nothing of ours stays there.
  for (std::size_t i = 0; retired_at_ && i < std::min(activated_, sockets_.size()); ++i) {
    if (is_tcp()) detach_filter(sockets_[i].get());
  }
}

Result<void> ListenerGroup::grow(std::uint32_t slots) {
  if (is_shared()) return {};
  const std::size_t before = sockets_.size();
  if (before > 0 && before < slots) {
    if (auto joinable = check_joinable(sockets_.front().get()); !joinable) return name(joinable.error());
  }
  while (sockets_.size() < slots) {
    auto fd = bind_tcp(address_);
    if (!fd) {
      sockets_.resize(before);
      if (activated_ == 0) return std::unexpected(fd.error());
      const int errnum = fd.error().errnum;
      return name({.message = "the socket unit gives " + std::to_string(activated_) +
                              " and one of our own is refused (" + common::errno_text(errnum) +
                              "); give it as many equal ListenStream= lines as there are workers",
                   .errnum = errnum});
    }
    sockets_.push_back(std::move(*fd));
  }
  for (SlotIndex spare = slots_; spare < std::min<std::size_t>(slots, before); ++spare) {
    detach_filter(sockets_[spare].get());
    make_blocking(std::vector{sockets_[spare].get()});
  }
  slots_ = std::max(slots_, slots);
  if (sockets_.size() <= slots_) spare_since_.reset();
  return {};
}

Result<void> ListenerGroup::listen(std::uint32_t backlog) {
  for (std::size_t i = 0; i < sockets_.size(); ++i) {
    if (auto done = start_listening(sockets_[i].get(), address_, backlog); !done) return done;
    if (i == listening_) ++listening_;
  }
  return {};
}

void ListenerGroup::close_unheard() {
  if (sockets_.size() > listening_) sockets_.resize(listening_);
  slots_ = std::min(slots_, static_cast<std::uint32_t>(sockets_.size()));
}

void ListenerGroup::shrink(std::uint32_t slots) {
  if (is_shared()) return;
  slots_ = std::min(slots_, slots);
  const std::size_t least = std::max<std::size_t>(slots, activated_);
  while (sockets_.size() > least) sockets_.pop_back();  // from the top: the kernel moves the last one into a gap
  listening_ = std::min(listening_, sockets_.size());
}

void ListenerGroup::close_all() {
  sockets_.clear();
  listening_ = activated_ = 0;
  slots_ = 0;
}

std::optional<int> ListenerGroup::own_socket(SlotIndex slot) const {
  if (is_shared() || slot < activated_ || slot >= slots_ || slot >= sockets_.size()) return std::nullopt;
  return sockets_[slot].get();
}

std::optional<int> ListenerGroup::activated_socket(SlotIndex slot) const {
  if (is_shared() || slot >= std::min<std::size_t>(slots_, activated_)) return std::nullopt;
  return sockets_[slot].get();
}

std::vector<int> ListenerGroup::sockets_of(SlotIndex slot) const {
  if (is_shared()) return sockets();
  if (slot >= slots_ || slot >= sockets_.size()) return {};
  return {sockets_[slot].get()};
}

std::vector<int> ListenerGroup::sockets() const {
  std::vector<int> fds;
  fds.reserve(sockets_.size());
  for (const common::UniqueFd& fd : sockets_) fds.push_back(fd.get());
  return fds;
}

std::vector<int> ListenerGroup::spare_sockets() const {
  std::vector<int> fds;
  for (std::size_t i = slots_; !is_shared() && i < listening_; ++i) fds.push_back(sockets_[i].get());
  return fds;
}

void ListenerGroup::close_spare(common::TimePoint now, common::Duration settling) {
  const std::size_t first = std::max<std::size_t>(slots_, activated_);
  if (is_shared() || first >= listening_ || retired_at_) return spare_since_.reset();
  if (!spare_since_) spare_since_ = now;
  std::vector<int> fds = spare_sockets();
  if (now - *spare_since_ < settling || !queues_are_empty(std::span(fds).subspan(first - slots_))) return;
  while (sockets_.size() > first) sockets_.pop_back();
  listening_ = first;
  spare_since_.reset();
}

std::vector<std::pair<std::string, int>> ListenerGroup::storable() const {
  std::vector<std::pair<std::string, int>> result;
  for (std::size_t i = activated_; i < listening_; ++i) {
    result.emplace_back(format_stored_name(static_cast<SlotIndex>(i), address_, asked_, path_), sockets_[i].get());
  }
  return result;
}

Result<void> ListenerGroup::retire(common::TimePoint now) {
  retired_at_ = now;
  if (path_) common::remove_owned_path(*path_);
  path_.reset();
  Result<void> result;
  for (std::size_t i = 0; is_tcp() && i < sockets_.size(); ++i) {
    if (auto held = hold_off_socket(i); !held) result = held;
  }
  return result;
}

void ListenerGroup::revive() {
  CHECK(may_revive());
  if (!retired_at_) return;
  retired_at_.reset();
  for (std::size_t i = 0; is_tcp() && i < sockets_.size(); ++i) detach_filter(sockets_[i].get());
  make_blocking(sockets());
}

Result<void> ListenerGroup::choose(std::vector<bool> able) {
  if (!may_choose() || !is_listening()) return {};
  if (!able.empty()) able.resize(std::max(able.size(), sockets_.size()), false);  // spare ones get nothing
  const std::vector<sock_filter> program = steering_program(able);
  if (program.empty()) able.clear();
  if (chosen_ == able) return {};
  chosen_.reset();
  if (auto attached = attach_choice(sockets_.front().get(), program); !attached) return name(attached.error());
  chosen_ = std::move(able);
  return {};
}

Result<void> ListenerGroup::try_choosing() {
  if (!may_choose() || !is_listening()) return {};
  chosen_.reset();
  if (auto tried = attach_choice(sockets_.front().get(), no_choice_program()); !tried) return name(tried.error());
  return choose({});
}

Result<void> ListenerGroup::hold_off(SlotIndex slot) {
  if (!own_socket(slot)) return {};
  return hold_off_socket(slot);
}

Result<void> ListenerGroup::hold_off_socket(std::size_t index) {
  auto attached = attach_filter(sockets_[index].get(), no_new_connections_program());
  if (!attached) return name(attached.error());
  return {};
}

std::unexpected<common::Error> ListenerGroup::name(const common::Error& error) const {
  return common::fail(address_.text() + ": " + error.message, error.errnum);
}

void ListenerGroup::let_in(SlotIndex slot) {
  if (const auto fd = own_socket(slot)) detach_filter(*fd);
  if (const auto fd = activated_socket(slot)) make_blocking(std::vector{*fd});
}

}  // namespace master
