// WorkerId and SlotIndex: how the master names a process and the position it works in.
#pragma once

#include <cstdint>

namespace master {

// 0 to workers-1. A replacement has the slot of its predecessor.
using SlotIndex = std::uint32_t;

// Given out in the order of spawning and never again: unlike a pid, it cannot come to mean a stranger.
using WorkerId = std::uint64_t;

inline constexpr WorkerId kNoWorker = 0;

}  // namespace master
