// ListenerGroup: its sockets, and the programs on them.
#include "master/listener_group.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "master/listen_queue.h"
#include "master/listening_socket.h"
#include "master/socket_program.h"
#include "master/steering.h"

namespace master {

using common::Result;

ListenerGroup::ListenerGroup(const common::Address& address) : address_(address), asked_(address.text()) {}

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
  return group;
}

HandedListener ListenerGroup::hand_over() const {
  return {.asked = asked_, .address = address_.text(), .sockets = sockets(), .path = path_};
}

ListenerGroup::~ListenerGroup() {
  if (path_) common::remove_owned_path(*path_);
}

Result<void> ListenerGroup::grow(std::uint32_t slots) {
  if (!is_tcp()) return {};
  const std::size_t before = sockets_.size();
  while (sockets_.size() < slots) {
    auto fd = bind_tcp(address_);
    if (!fd) {
      sockets_.resize(before);
      return std::unexpected(fd.error());
    }
    sockets_.push_back(std::move(*fd));
  }
  return {};
}

Result<void> ListenerGroup::listen(std::uint32_t backlog) {
  for (std::size_t i = 0; i < sockets_.size(); ++i) {
    if (auto done = start_listening(sockets_[i].get(), address_, backlog); !done) return done;
    if (i == listening_) ++listening_;
  }
  return {};
}

void ListenerGroup::close_unheard() { sockets_.resize(listening_); }

void ListenerGroup::shrink(std::uint32_t slots) {
  if (!is_tcp()) return;
  while (sockets_.size() > slots) sockets_.pop_back();  // from the top: the kernel moves the last one into a gap
  listening_ = std::min(listening_, sockets_.size());
}

void ListenerGroup::close_all() {
  sockets_.clear();
  listening_ = 0;
}

std::optional<int> ListenerGroup::socket_of(SlotIndex slot) const {
  const std::size_t index = is_tcp() ? slot : 0;
  if (index >= sockets_.size()) return std::nullopt;
  return sockets_[index].get();
}

std::vector<int> ListenerGroup::sockets() const {
  std::vector<int> fds;
  fds.reserve(sockets_.size());
  for (const common::UniqueFd& fd : sockets_) fds.push_back(fd.get());
  return fds;
}

Result<void> ListenerGroup::retire(common::TimePoint now) {
  retired_at_ = now;
  if (path_) common::remove_owned_path(*path_);
  path_.reset();
  Result<void> result;
  for (SlotIndex slot = 0; is_tcp() && slot < sockets_.size(); ++slot) {
    if (auto held = hold_off(slot); !held) result = held;
  }
  return result;
}

void ListenerGroup::revive() {
  CHECK(may_revive());
  if (!retired_at_) return;
  retired_at_.reset();
  for (SlotIndex slot = 0; is_tcp() && slot < sockets_.size(); ++slot) let_in(slot);
  make_blocking(sockets());
}

Result<void> ListenerGroup::choose(std::vector<bool> able) {
  if (!is_tcp() || !is_listening()) return {};
  const std::vector<sock_filter> program = steering_program(able);
  if (program.empty()) able.clear();
  if (chosen_ == able) return {};
  chosen_.reset();
  if (auto attached = attach_choice(sockets_.front().get(), program); !attached) return name(attached.error());
  chosen_ = std::move(able);
  return {};
}

Result<void> ListenerGroup::try_choosing() {
  if (!is_tcp() || !is_listening()) return {};
  chosen_.reset();
  if (auto tried = attach_choice(sockets_.front().get(), no_choice_program()); !tried) return name(tried.error());
  return choose({});
}

Result<void> ListenerGroup::hold_off(SlotIndex slot) {
  if (!is_tcp() || slot >= sockets_.size()) return {};
  auto attached = attach_filter(sockets_[slot].get(), no_new_connections_program());
  if (!attached) return name(attached.error());
  return {};
}

std::unexpected<common::Error> ListenerGroup::name(const common::Error& error) const {
  return common::fail(address_.text() + ": " + error.message, error.errnum);
}

void ListenerGroup::let_in(SlotIndex slot) {
  if (is_tcp() && slot < sockets_.size()) detach_filter(sockets_[slot].get());
}

}  // namespace master
