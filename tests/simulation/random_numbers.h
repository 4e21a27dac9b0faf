// RandomNumbers: the same numbers for the same seed, on every machine and with every library.
#pragma once

#include <cstdint>

namespace master {

// splitmix64 (Steele, Lea, Flood 2014): the standard's distributions differ from one library to the next.
class RandomNumbers {
 public:
  explicit RandomNumbers(std::uint64_t seed) : state_(seed * 0xd1342543de82ef95ULL + 1) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  std::uint32_t pick(std::uint32_t low, std::uint32_t high) {
    return low + static_cast<std::uint32_t>((next() >> 32) % (high - low + 1));
  }
  bool chance(std::uint32_t percent) { return pick(1, 100) <= percent; }

 private:
  std::uint64_t state_;
};

}  // namespace master
