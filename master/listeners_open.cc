// Listeners, opening: inherited sockets find their addresses, and the others are bound.
#include <algorithm>
#include <utility>

#include "common/bind_target.h"
#include "common/log.h"
#include "master/listeners.h"
#include "master/listening_socket.h"

namespace master {

using common::Address;
using common::Result;

Result<Listeners> Listeners::open(std::span<const Address> addresses, std::uint32_t slots, std::uint32_t backlog,
                                  common::Duration patience, common::Steering steering, std::optional<FileOwner> owner,
                                  InheritedSockets inherited) {
  if (auto distinct = check_distinct(addresses); !distinct) return std::unexpected(distinct.error());
  const auto give_up_at = common::Clock::now() + patience;
  // All of them before the first is opened: what is found listening is certainly not ours, but for what was inherited.
  for (const Address& address : addresses) {
    if (inherited.has(address) || inherited.overlap(address)) continue;
    if (auto free = wait_until_free(address, give_up_at); !free) return std::unexpected(free.error());
  }
  Listeners result;
  result.slots_ = slots;
  result.backlog_ = backlog;
  result.owner_ = owner;
  for (const Address& address : addresses) {
    std::vector<InheritedSocket> taken = inherited.take(address);
    if (!taken.empty()) {
      result.groups_.push_back(ListenerGroup::adopt(std::move(taken), slots));
      result.groups_.back()->set_asked(address.text());
    } else {
      auto group = ListenerGroup::bind(address, slots, owner);
      if (!group) return std::unexpected(group.error());
      result.groups_.push_back(std::move(*group));
    }
    ListenerGroup& group = *result.groups_.back();
    if (auto listens = group.listen(backlog); !listens) return std::unexpected(listens.error());
    result.current_.push_back(&group);
  }
  if (auto few = result.check_number(result.current_); !few) return std::unexpected(few.error());
  result.retire_rest(inherited);
  result.set_steering(steering);
  return result;
}

// Stored sockets that the settings no longer want: who waits there was told that somebody would serve him.
void Listeners::retire_rest(InheritedSockets& inherited) {
  std::map<std::string, std::vector<InheritedSocket>> by_address;
  for (InheritedSocket& socket : inherited.take_rest()) {
    if (socket.stored) {
      const std::string place = socket.place == Place::kHeld ? "" : " (lost)";
      by_address[socket.address.text() + place].push_back(std::move(socket));
      continue;
    }
    common::log(common::LogLevel::kWarn, common::LogEvent::kSocketUnused,
                "an inherited socket is not used: listen.bind does not name it",
                {{"name", socket.name}, {"address", socket.address.text()}});
  }
  for (auto& [address, sockets] : by_address) {
    const auto slots = static_cast<std::uint32_t>(sockets.size());
    groups_.push_back(ListenerGroup::adopt(std::move(sockets), slots));
    retire(*groups_.back(), common::Clock::now());
  }
}

Result<std::unique_ptr<ListenerGroup>> Listeners::make_group(const Address& address) {
  auto group = ListenerGroup::bind(address, slots_, owner_);
  if (group && keeps_paths_) (*group)->keep_path();
  return group;
}

// They go to a worker in one message.
Result<void> Listeners::check_number(const Groups& groups) const {
  std::size_t number = 0;
  for (const ListenerGroup* group : groups) number += group->is_shared() ? group->size() : 1;
  if (number <= common::kBindMax) return {};
  return common::fail("a worker would have to listen on " + std::to_string(number) + " sockets, at most " +
                      std::to_string(common::kBindMax) +
                      " are possible; pass fewer, or have as many workers as sockets");
}

Result<std::vector<Address>> Listeners::resolve(std::span<const std::string> bind) const {
  std::vector<Address> addresses;
  for (const std::string& text : bind) {
    const auto target = common::parse_bind_target(text);
    if (!target) return std::unexpected(target.error());
    if (const auto* address = std::get_if<Address>(&*target)) {
      addresses.push_back(*address);
      continue;
    }
    const auto* activated = std::get_if<common::ActivatedSockets>(&*target);
    const std::string& name = activated != nullptr ? activated->name : text;
    std::size_t found = 0;
    for (const ListenerGroup* group : current_) {
      if (!group->goes_by(name)) continue;
      ++found;
      const auto is_it = [&](const Address& other) { return other.text() == group->address().text(); };
      if (std::ranges::none_of(addresses, is_it)) addresses.push_back(group->address());
    }
    if (found == 0) {
      return common::fail("listen on " + text +
                          ": no such socket is in use; inherited sockets are taken at a start "
                          "only: restart the supervisor");
    }
  }
  return addresses;
}

std::optional<std::uint32_t> Listeners::slots_activated() const {
  std::size_t most = 0;
  for (const ListenerGroup* group : current_) {
    if (group->is_tcp()) most = std::max(most, group->activated());
  }
  return most > 1 ? std::optional(static_cast<std::uint32_t>(most)) : std::nullopt;
}

bool Listeners::any_activated() const {
  return std::ranges::any_of(groups_, [](const auto& group) { return group->is_activated(); });
}

bool Listeners::holds(int fd) const {
  return std::ranges::any_of(groups_, [fd](const auto& group) {
    const std::vector<int> sockets = group->sockets();
    return std::ranges::find(sockets, fd) != sockets.end();
  });
}

void Listeners::keep_paths() {
  keeps_paths_ = true;
  for (const auto& group : groups_) group->keep_path();
}

std::vector<std::pair<std::string, int>> Listeners::storable() const {
  std::vector<std::pair<std::string, int>> result;
  for (const auto& group : groups_) {
    if (is_retiring(*group)) continue;
    for (auto& entry : group->storable()) result.push_back(std::move(entry));
  }
  return result;
}

}  // namespace master
