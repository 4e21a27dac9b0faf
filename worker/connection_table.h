// ConnectionTable: all connections of a worker, found by index, and in the order in which their deadlines come.
//
// Each state has one list, oldest first. Because the patience of a state is one constant, that list is also sorted by
// deadline: setting, moving and finding the next deadline are O(1) and no timer is ever searched. The heads of the
// lists are also those who give way first when room is needed.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "common/clock.h"
#include "common/config.h"
#include "worker/connection.h"

namespace worker {

class ConnectionTable {
 public:
  explicit ConnectionTable(const common::TimeoutSettings& timeouts) : timeouts_(timeouts) {}

  // Takes `fd`. The connection is in kNew.
  Connection& add(int fd, common::TimePoint now);
  // Gives the index back. The caller has closed or handed over the descriptor.
  void remove(Connection& connection);

  Connection& at(std::uint32_t index);
  std::uint32_t size() const { return size_; }
  std::uint32_t count(ConnectionState state) const { return lists_[list_of(state)].size; }

  // The only writer of Connection::state and deadline. Entering the present state again renews the deadline.
  void enter(Connection& connection, ConnectionState next, common::TimePoint now);

  // The connection that has been in `state` longest.
  Connection* oldest(ConnectionState state);
  // Who gives way to a client that waits: the longest idle; else the longest lingering, which has its answer; else the
  // longest silent, from kSilentMin on. Null if nobody can be spared.
  Connection* first_to_go(common::TimePoint now);
  std::optional<common::TimePoint> next_deadline() const;
  // One connection whose deadline has passed, or null. The caller moves it on, else it is returned again.
  Connection* expired(common::TimePoint now);

  // From now on every present and future connection in `state` has at most `grace` left.
  void shorten(ConnectionState state, common::Duration grace, common::TimePoint now);

  template <typename Visit>
  void for_each(Visit visit) {
    for (Connection& connection : slots_) {
      if (connection.fd >= 0) visit(connection);
    }
  }

 private:
  struct List {
    std::uint32_t first;
    std::uint32_t last;
    std::uint32_t size;
  };
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  static std::size_t list_of(ConnectionState state) { return static_cast<std::size_t>(state); }
  void unlink(Connection& connection);
  void append(Connection& connection);

  common::TimeoutSettings timeouts_;
  std::array<std::optional<common::Duration>, kConnectionStates> graces_{};
  std::deque<Connection> slots_;  // grows, never shrinks, never moves; a free slot has fd -1
  std::vector<std::uint32_t> free_;
  std::array<List, kConnectionStates> lists_ = [] {
    std::array<List, kConnectionStates> lists{};
    lists.fill({kNone, kNone, 0});
    return lists;
  }();
  std::uint32_t size_ = 0;
};

}  // namespace worker
