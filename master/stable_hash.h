// Stable hash: FNV-1a of 64 bits, the same in every build, which std::hash does not promise. Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace master {

constexpr std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace master
