// DescriptorGroups: descriptors by what they have in common, worst group first, because nobody reads 4,000 lines. Pure.
//
// In a group are descriptors of the same owner, since the same stage, of the same kind and state, to the same peer, and
// opened at the same place. Files of one group have paths that differ in numbers only, or in anything if there are many
// of them in one directory. Order: what the application opened while serving, then what it had from the start, then the
// server's; among these the largest group first, then the one with the oldest descriptor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/fd_ledger.h"
#include "master/open_descriptor.h"

namespace master {

// So many kinds of paths in one directory stay groups of their own; one more, and they become one group.
inline constexpr std::size_t kPathsApartMax = 4;
// The same for peers; and a peer with more than this part of all of them stands for itself.
inline constexpr std::size_t kPeersApartMax = 8;

struct DescriptorGroup {
  common::FdOwner owner = common::FdOwner::kApplication;
  common::FdSince since = common::FdSince::kServing;
  common::FdRole role = common::FdRole::kNone;
  DescriptorKind kind = DescriptorKind::kOther;
  std::string state;
  std::string peer;  // of accepted connections without the port, of the server's empty
  std::string local;  // where all of them have the same
  std::string path;  // where they differ, with '*' for what differs
  Direction direction = Direction::kUnknown;
  bool deleted = false;
  std::size_t watches_total = 0;
  std::size_t watches_close_wait = 0;
  std::string place;  // where they were opened; "" = unknown

  std::vector<std::size_t> members;  // indices into the list, ascending; never empty
  std::optional<common::TimePoint> oldest;
  std::uint64_t receive_queue = 0;  // of all together
  std::uint64_t send_queue = 0;
};

std::vector<DescriptorGroup> group_descriptors(std::span<const OpenDescriptor> list);

// "312 × TCP CLOSE_WAIT to 127.0.0.1:6379, oldest 812 s, opened at shop.so!RedisPool::connect+0x4c (redis_pool.cc:88)"
std::string text_of(const DescriptorGroup& group, common::TimePoint now);
// "TCP CLOSE_WAIT to 127.0.0.1:6379"
std::string text_of(const OpenDescriptor& descriptor);

// "tcp", "character device": as in JSON.
std::string_view name_of(DescriptorKind kind);

// "/var/tmp/x-*.png" for "/var/tmp/x-1234.png": a '*' for each number, decimal or hexadecimal.
std::string path_pattern(std::string_view path);

}  // namespace master
