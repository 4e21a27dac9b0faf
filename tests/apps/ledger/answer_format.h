// The answer of the ledger application: what it says of a request, in a form in which no byte can be lost unseen.
//
// One line, "ledger ID LETTER PID GENERATION SLOT RECEIVED SUM\n", and then as many bytes of filler(ID) as were asked
// for with "size". Application and judge share this file, and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ledger {

// Ids are dense, for each has a byte of its own in the file that counts executions.
inline constexpr std::uint32_t kIdsMax = 1U << 26;
inline constexpr std::size_t kFillerMax = std::size_t{4} << 20;
inline constexpr unsigned kHoldMsMax = 200;  // "ms": how long the handler may hold its request

// FNV-1a.
inline std::uint64_t checksum(std::string_view bytes) {
  std::uint64_t sum = 0xcbf29ce484222325;
  for (const char byte : bytes) sum = (sum ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  return sum;
}

// Bytes that depend on the id and on where they stand: a piece that is missing, doubled or another's does not fit.
inline void append_filler(std::string& text, std::uint32_t id, std::size_t size) {
  constexpr std::size_t kBlock = 8;
  for (std::size_t at = 0; at < size; at += kBlock) {
    std::uint64_t mixed = (std::uint64_t{id} << 32) + at;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    for (std::size_t byte = 0; byte < kBlock && at + byte < size; ++byte, mixed >>= 8) {
      text.push_back(static_cast<char>('a' + mixed % 26));
    }
  }
}

}  // namespace ledger
