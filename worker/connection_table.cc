// ConnectionTable: slots, and the per-state lists that serve as timers.
#include "worker/connection_table.h"

#include <algorithm>

#include "common/check.h"

namespace worker {

Connection& ConnectionTable::add(int fd, common::TimePoint now) {
  CHECK(fd >= 0);
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  Connection& connection = slots_[free_.back()];
  connection = Connection{};
  connection.index = free_.back();
  connection.fd = fd;
  free_.pop_back();
  ++size_;
  append(connection);
  enter(connection, ConnectionState::kNew, now);
  return connection;
}

void ConnectionTable::remove(Connection& connection) {
  CHECK(connection.fd >= 0 && connection.receive == ReceiveArm::kNone);
  CHECK(connection.sending == Connection::Sending::kNo);
  unlink(connection);
  connection.fd = -1;
  connection.session.reset();
  free_.push_back(connection.index);
  --size_;
}

Connection& ConnectionTable::at(std::uint32_t index) {
  CHECK(index < slots_.size() && slots_[index].fd >= 0);
  return slots_[index];
}

void ConnectionTable::enter(Connection& connection, ConnectionState next, common::TimePoint now) {
  unlink(connection);
  connection.state = next;
  connection.since = now;
  connection.deadline.reset();
  auto limit = patience(next, timeouts_);
  if (const auto& grace = graces_[list_of(next)]) limit = std::min(limit.value_or(*grace), *grace);
  if (limit) connection.deadline = now + *limit;
  append(connection);
}

Connection* ConnectionTable::oldest(ConnectionState state) {
  const std::uint32_t first = lists_[list_of(state)].first;
  return first == kNone ? nullptr : &slots_[first];
}

Connection* ConnectionTable::first_to_go(common::TimePoint now) {
  if (Connection* idle = oldest(ConnectionState::kIdle)) return idle;
  if (Connection* lingering = oldest(ConnectionState::kLingering)) return lingering;
  Connection* silent = oldest(ConnectionState::kNew);
  return silent != nullptr && now - silent->since >= kSilentMin ? silent : nullptr;
}

std::optional<common::TimePoint> ConnectionTable::next_deadline() const {
  std::optional<common::TimePoint> next;
  for (const List& list : lists_) {
    if (list.first == kNone) continue;
    const auto& deadline = slots_[list.first].deadline;
    if (deadline && (!next || *deadline < *next)) next = deadline;
  }
  return next;
}

Connection* ConnectionTable::expired(common::TimePoint now) {
  for (const List& list : lists_) {
    if (list.first == kNone) continue;
    Connection& connection = slots_[list.first];
    if (connection.deadline && *connection.deadline <= now) return &connection;
  }
  return nullptr;
}

void ConnectionTable::shorten(ConnectionState state, common::Duration grace, common::TimePoint now) {
  auto& present = graces_[list_of(state)];
  present = std::min(present.value_or(grace), grace);
  for (std::uint32_t i = lists_[list_of(state)].first; i != kNone; i = slots_[i].next) {
    auto& deadline = slots_[i].deadline;
    deadline = std::min(deadline.value_or(common::TimePoint::max()), now + grace);
  }
}

void ConnectionTable::unlink(Connection& connection) {
  List& list = lists_[list_of(connection.state)];
  (connection.previous == kNone ? list.first : slots_[connection.previous].next) = connection.next;
  (connection.next == kNone ? list.last : slots_[connection.next].previous) = connection.previous;
  --list.size;
}

void ConnectionTable::append(Connection& connection) {
  List& list = lists_[list_of(connection.state)];
  connection.previous = list.last;
  connection.next = kNone;
  (list.last == kNone ? list.first : slots_[list.last].next) = connection.index;
  list.last = connection.index;
  ++list.size;
}

}  // namespace worker
