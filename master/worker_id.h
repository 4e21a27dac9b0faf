// WorkerId, SlotIndex, Generation: how the master names a process, the position it works in, and what it runs.
#pragma once

#include <cstdint>

namespace master {

// 0 to workers-1. A replacement has the slot of its predecessor.
using SlotIndex = std::uint32_t;

// Given out in the order of spawning and never again: unlike a pid, it cannot come to mean a stranger.
using WorkerId = std::uint64_t;

inline constexpr WorkerId kNoWorker = 0;

// One more with each reload that is tried; a refused one's number is not used again.
using Generation = std::uint32_t;

inline constexpr Generation kFirstGeneration = 1;

}  // namespace master
