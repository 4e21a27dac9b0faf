// Listeners, change: other addresses while the server runs.
#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/log.h"
#include "master/listen_queue.h"
#include "master/listeners.h"
#include "master/listening_socket.h"

namespace master {

using common::Address;
using common::Result;

Result<void> Listeners::begin_change(std::span<const Address> addresses, std::uint32_t backlog) {
  CHECK(!change_);
  change_ = Change{.next = {}, .asked = {}, .backlog = backlog};
  auto prepared = prepare(addresses);
  if (!prepared) end_change(common::TimePoint{});  // nothing listens yet, so nobody has to wait for it
  return prepared;
}

// First who is held already, then whether the others are free, then the binding.
Result<void> Listeners::prepare(std::span<const Address> addresses) {
  Groups candidates = current_;
  for (const auto& group : groups_) {
    if (is_retiring(*group) && group->may_revive()) candidates.push_back(group.get());
  }
  Groups held(addresses.size());
  std::vector<Address> bound(addresses.begin(), addresses.end());
  const auto find = [&](auto&& is_it) {
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      if (held[i] != nullptr) continue;
      const auto found = std::ranges::find_if(
          candidates, [&](const ListenerGroup* group) { return is_it(*group, addresses[i].text()); });
      if (found == candidates.end()) continue;
      held[i] = *found;
      bound[i] = held[i]->address();
      candidates.erase(found);
    }
  };
  find([](const ListenerGroup& group, const std::string& text) { return group.address().text() == text; });
  // Port 0, whichever port the kernel chose.
  find([](const ListenerGroup& group, const std::string& text) { return group.asked() == text; });
  if (auto distinct = check_distinct(bound); !distinct) return distinct;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (held[i] != nullptr) continue;
    const auto holder = find_holder(addresses[i]);
    if (!holder) return std::unexpected(holder.error());
    if (*holder == Holder::kSomebody && !overlaps_ours(addresses[i])) return in_use(addresses[i]);
  }
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (held[i] == nullptr) {
      auto group = make_group(addresses[i]);
      if (!group) return std::unexpected(group.error());
      held[i] = groups_.emplace_back(std::move(*group)).get();
    }
    change_->next.push_back(held[i]);
    change_->asked.push_back(addresses[i].text());
    if (auto grown = held[i]->grow(slots_); !grown) return grown;  // one that has retired may lack some
  }
  return check_number(change_->next);
}

// The same port on every interface and on one of them is for the kernel the same place, and one's own group too.
bool Listeners::overlaps_ours(const Address& address) const {
  return std::ranges::any_of(
      groups_, [&](const auto& group) { return group->address().covers(address) || address.covers(group->address()); });
}

Result<void> Listeners::listen_next() {
  CHECK(change_);
  for (ListenerGroup* group : change_->next) {
    if (holds(current_, *group)) continue;
    if (auto done = group->listen(change_->backlog); !done) return done;
    if (group->retired_at()) group->revive();
  }
  change_->is_listening = true;
  ++revision_;
  apply_steering();
  return {};
}

void Listeners::commit_change(common::TimePoint now) {
  CHECK(change_ && change_->is_listening);
  backlog_ = change_->backlog;
  const Groups before = std::exchange(current_, change_->next);
  for (std::size_t i = 0; i < current_.size(); ++i) {
    current_[i]->set_asked(change_->asked[i]);
    if (auto done = current_[i]->listen(backlog_); !done) {
      common::log(common::LogLevel::kWarn, common::LogEvent::kBacklogUnchanged,
                  "listen.backlog stays as it was: " + done.error().message);
    }
  }
  change_.reset();
  ++revision_;
  for (ListenerGroup* group : before) {
    if (is_retiring(*group)) retire(*group, now);
  }
  apply_steering();
}

void Listeners::abandon_change(common::TimePoint now) {
  CHECK(change_);
  end_change(now);
}

void Listeners::end_change(common::TimePoint now) {
  const Groups added = change_->next;
  change_.reset();
  ++revision_;
  for (ListenerGroup* group : added) {
    if (!is_retiring(*group)) continue;
    group->close_unheard();
    if (group->is_listening() && !group->retired_at()) retire(*group, now);
  }
  std::erase_if(groups_, [this](const auto& group) { return is_retiring(*group) && !group->is_listening(); });
  apply_steering();
}

void Listeners::retire(ListenerGroup& group, common::TimePoint now) {
  if (auto retired = group.retire(now); !retired) give_up_holding_off(retired.error());
}

std::vector<common::UniqueFd> Listeners::accept_retiring(std::size_t most) {
  return accept_from(retiring_sockets(), most);
}

std::vector<int> Listeners::retiring_sockets() const {
  std::vector<int> fds;
  for (const auto& group : groups_) {
    const std::vector<int> sockets = is_retiring(*group) ? group->sockets() : group->spare_sockets();
    fds.insert(fds.end(), sockets.begin(), sockets.end());
    for (const auto& [slot, since] : retired_) {
      if (const auto fd = is_retiring(*group) ? std::nullopt : group->activated_socket(slot)) fds.push_back(*fd);
    }
  }
  return fds;
}

void Listeners::close_retiring(common::TimePoint now) {
  if (any_retiring()) ++revision_;
  for (const auto& group : groups_) {
    if (!is_retiring(*group)) group->close_spare(now, kSettling);
  }
  std::erase_if(groups_, [&](const auto& group) {
    return is_retiring(*group) && now - *group->retired_at() >= kSettling && queues_are_empty(group->sockets());
  });
}

bool Listeners::any_retiring() const {
  return std::ranges::any_of(groups_,
                             [this](const auto& group) { return is_retiring(*group) || group->has_own_spare(); });
}

bool Listeners::needs_sweep() const { return any_retiring() || !retiring_sockets().empty(); }

}  // namespace master
