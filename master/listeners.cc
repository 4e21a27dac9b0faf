// Listeners: slots, steering, and what there is.
#include "master/listeners.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "common/check.h"
#include "common/log.h"
#include "master/listen_queue.h"
#include "master/listening_socket.h"

namespace master {

using common::Result;

// ---- slots

Result<void> Listeners::open_slot(SlotIndex slot) {
  CHECK(slot == slots_);
  for (const auto& group : groups_) {
    if (is_retiring(*group)) continue;
    const bool listens = holds(current_, *group) || group->is_listening();
    auto opened = group->grow(slot + 1);
    if (opened && listens) opened = group->listen(holds(current_, *group) ? backlog_ : change_->backlog);
    if (opened) continue;
    for (const auto& undo : groups_) undo->shrink(slot);
    return opened;
  }
  ++slots_;
  ++revision_;
  apply_steering();
  return {};
}

void Listeners::close_slot(SlotIndex slot) {
  CHECK(slots_ > 0 && slot == slots_ - 1);
  // Before the kernel counts anew: the program must not name what is gone.
  retired_.emplace(slot, common::TimePoint{});
  apply_steering();
  for (const auto& group : groups_) {
    // A socket that is being closed can still be found by a SYN for a moment (13 times in 235,000 closings under load),
    // whatever the program says: better sent again than answered and then forgotten.
    if (auto held = group->hold_off(slot); !held) give_up_holding_off(held.error());
    group->shrink(slot);
  }
  retired_.erase(slot);
  --slots_;
  ++revision_;
  // What was said of it is not meant for one that is opened later.
  if (able_.size() > slot) able_.resize(slot);
  if (served_.size() > slot) served_.resize(slot);
  apply_steering();
}

void Listeners::close_all() {
  // Workers that still drain close theirs one by one, which changes what the others are called.
  for (const auto& group : groups_) std::ignore = group->choose({});
  for (const auto& group : groups_) group->close_all();
}

void Listeners::retire_slot(SlotIndex slot, common::TimePoint now) {
  CHECK(slot < slots_);
  if (retired_.emplace(slot, now).second) apply_steering();
}

void Listeners::un_retire(SlotIndex slot) {
  if (retired_.erase(slot) == 0) return;
  for (const auto& group : groups_) {
    if (!is_retiring(*group)) group->let_in(slot);
  }
  make_blocking(own_sockets(slot));
  apply_steering();
}

bool Listeners::queue_is_empty(SlotIndex slot) const { return queues_are_empty(own_sockets(slot)); }

std::vector<common::UniqueFd> Listeners::accept_queued(SlotIndex slot, std::size_t most) {
  if (!retired_.contains(slot)) return {};
  return accept_from(own_sockets(slot), most);
}

bool Listeners::is_drained(SlotIndex slot, common::TimePoint now) const {
  const auto retired = retired_.find(slot);
  return retired != retired_.end() && now - retired->second >= kSettling && queue_is_empty(slot);
}

std::vector<int> Listeners::own_sockets(SlotIndex slot) const {
  std::vector<int> fds;
  for (const auto& group : groups_) {
    const auto fd = group->is_listening() ? group->own_socket(slot) : std::nullopt;
    if (fd) fds.push_back(*fd);
  }
  return fds;
}

// ---- steering

void Listeners::steer(const std::vector<bool>& able, const std::vector<AddressSet>& served) {
  able_ = able;
  served_ = served;
  apply_steering();
}

void Listeners::set_steering(common::Steering steering) {
  steering_ = steering;
  choosing_ = Permission::kGiven;
  if (steering != common::Steering::kHash) try_steering();
  apply_steering();
}

// Slots that retire, or where nobody would take the connection, only if there are no others.
std::vector<bool> Listeners::choice_for(const ListenerGroup& group) const {
  const bool in_current = holds(current_, group);
  const bool in_next = change_ && holds(change_->next, group);
  const auto is_served = [&](SlotIndex slot) {
    if (in_current == in_next) return true;
    const AddressSet served = slot < served_.size() ? served_[slot] : AddressSet::kCurrent;
    return (served == AddressSet::kNext) == in_next;
  };
  const auto is_able = [&](SlotIndex slot) {
    return steering_ == common::Steering::kHash || slot >= able_.size() || able_[slot];
  };
  std::vector<bool> kept(slots_);
  std::vector<bool> served(slots_);
  std::vector<bool> able(slots_);
  for (SlotIndex slot = 0; slot < slots_; ++slot) {
    kept[slot] = !retired_.contains(slot);
    served[slot] = kept[slot] && is_served(slot);
    able[slot] = served[slot] && is_able(slot);
  }
  for (std::vector<bool>* choice : {&able, &served}) {
    if (std::ranges::find(*choice, true) != choice->end()) return std::move(*choice);
  }
  return kept;
}

void Listeners::apply_steering() {
  bool has_program = false;
  for (const auto& group : groups_) {
    // A group that retires gets nothing new, and may have fewer sockets than there are slots.
    if (is_retiring(*group)) continue;
    if (auto chosen = group->choose(choice_for(*group)); !chosen) return give_up_steering(chosen.error());
    has_program |= group->has_program();
  }
  if (has_program) choosing_ = Permission::kGiven;
}

void Listeners::try_steering() {
  for (const auto& group : groups_) {
    if (auto tried = group->try_choosing(); !tried) return give_up_steering(tried.error());
  }
}

void Listeners::give_up_steering(const common::Error& error) {
  const bool is_new = choosing_ == Permission::kGiven;
  choosing_ = Permission::kRefused;
  // As many groups as possible back to the kernel's choice: an old program is worse.
  for (const auto& group : groups_) std::ignore = group->choose({});
  for (const auto& group : groups_) {
    for (const auto& [slot, since] : retired_) {
      if (auto held = group->hold_off(slot); !held) give_up_holding_off(held.error());
    }
  }
  if (!is_new) return;
  if (steering_ == common::Steering::kHash) {
    common::log(
        common::LogLevel::kWarn, common::LogEvent::kSteeringLimited,
        "while there are less and less workers, new clients may wait a few seconds: " + error.message + "; allow it");
    return;
  }
  common::log(common::LogLevel::kWarn, common::LogEvent::kSteeringLimited,
              "new connections go to every worker, whether it takes them or not: " + error.message +
                  "; allow it, or set listen.steering = \"hash\"");
}

void Listeners::give_up_holding_off(const common::Error& error) {
  if (holding_off_ == Permission::kRefused) return;
  holding_off_ = Permission::kRefused;
  common::log(common::LogLevel::kWarn, common::LogEvent::kSteeringLimited,
              "clients that connect just when a worker or an address is given up may be reset: " + error.message +
                  "; this kernel wants CAP_NET_ADMIN for it");
}

// ---- what there is

bool Listeners::holds(const Groups& set, const ListenerGroup& group) {
  return std::ranges::find(set, &group) != set.end();
}

ListenerStage Listeners::stage_of(const ListenerGroup& group) const {
  if (holds(current_, group)) return ListenerStage::kCurrent;
  return change_ && holds(change_->next, group) ? ListenerStage::kAdded : ListenerStage::kRetiring;
}

std::vector<int> Listeners::sockets_of(SlotIndex slot, AddressSet set) const {
  const Groups& groups = set == AddressSet::kNext && change_ ? change_->next : current_;
  std::vector<int> fds;
  for (const ListenerGroup* group : groups) {
    const std::vector<int> sockets = group->sockets_of(slot);
    fds.insert(fds.end(), sockets.begin(), sockets.end());
  }
  return fds;
}

std::uint64_t Listeners::shared_of(SlotIndex slot, AddressSet set) const {
  const Groups& groups = set == AddressSet::kNext && change_ ? change_->next : current_;
  std::uint64_t shared = 0;
  std::size_t index = 0;
  for (const ListenerGroup* group : groups) {
    for (std::size_t i = 0; i < group->sockets_of(slot).size(); ++i, ++index) {
      if (group->is_shared()) shared |= std::uint64_t{1} << index;
    }
  }
  return shared;
}

std::vector<ListenerView> Listeners::views() const {
  std::vector<ListenerView> views;
  views.reserve(groups_.size());
  const auto show = [&](const ListenerGroup& group) {
    const bool is_health = steering_ != common::Steering::kHash && choosing_ == Permission::kGiven;
    const auto steering = group.size() < 2 || group.is_shared() ? ListenerSteering::kNone
                          : is_health && group.may_choose()     ? ListenerSteering::kHealth
                                                                : ListenerSteering::kHash;
    views.push_back({.address = group.address().text(),
                     .sockets = group.size(),
                     .activated = group.activated(),
                     .steering = steering,
                     .stage = stage_of(group)});
  };
  for (const ListenerGroup* group : current_) show(*group);  // in the order of the settings
  for (const ListenerStage stage : {ListenerStage::kAdded, ListenerStage::kRetiring}) {
    for (const auto& group : groups_) {
      if (stage_of(*group) == stage) show(*group);
    }
  }
  return views;
}

std::vector<common::OwnedPath> Listeners::owned_paths() const {
  std::vector<common::OwnedPath> paths;
  for (const auto& group : groups_) {
    if (group->path() && !group->is_stored()) paths.push_back(*group->path());
  }
  return paths;
}

}  // namespace master
