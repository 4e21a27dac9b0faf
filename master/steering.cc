// Steering: a random rank among the able slots, and the way from the rank to the slot.
#include "master/steering.h"

#include <algorithm>
#include <cstdint>

namespace master {
namespace {

// Able slots without a gap: ranks up to (not including) `ranks_end` are the slots `ahead` further on.
struct Run {
  std::uint32_t ranks_end;
  std::uint32_t ahead;
};

std::vector<Run> runs_of(const std::vector<bool>& able) {
  std::vector<Run> runs;
  std::uint32_t rank = 0;
  for (std::uint32_t slot = 0; slot < able.size(); ++slot) {
    if (!able[slot]) continue;
    if (runs.empty() || runs.back().ahead != slot - rank) runs.push_back({.ranks_end = rank, .ahead = slot - rank});
    runs.back().ranks_end = ++rank;
  }
  return runs;
}

constexpr sock_filter instruction(int code, std::uint32_t operand) {
  return {.code = static_cast<std::uint16_t>(code), .jt = 0, .jf = 0, .k = operand};
}

}  // namespace

std::vector<sock_filter> steering_program(const std::vector<bool>& able) {
  const std::vector<Run> runs = runs_of(able);
  if (runs.empty() || std::ranges::find(able, false) == able.end()) return {};
  std::vector<sock_filter> program;
  program.push_back(instruction(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_RANDOM)));
  program.push_back(instruction(BPF_ALU | BPF_MOD | BPF_K, runs.back().ranks_end));
  for (const Run& run : runs) {
    sock_filter beyond = instruction(BPF_JMP | BPF_JGE | BPF_K, run.ranks_end);
    beyond.jt = 2;  // to the next run
    if (&run != &runs.back()) program.push_back(beyond);
    program.push_back(instruction(BPF_ALU | BPF_ADD | BPF_K, run.ahead));
    program.push_back(instruction(BPF_RET | BPF_A, 0));
  }
  return program;
}

std::vector<sock_filter> no_new_connections_program() {
  // RFC 9293, 3.1: a filter of a TCP socket sees the packet from the TCP header on.
  constexpr std::uint32_t kFlagsOffset = 13;
  constexpr std::uint32_t kSyn = 0x02;
  constexpr std::uint32_t kAck = 0x10;
  sock_filter is_opening = instruction(BPF_JMP | BPF_JEQ | BPF_K, kSyn);
  is_opening.jf = 1;
  return {instruction(BPF_LD | BPF_B | BPF_ABS, kFlagsOffset), instruction(BPF_ALU | BPF_AND | BPF_K, kSyn | kAck),
          is_opening, instruction(BPF_RET | BPF_K, 0), instruction(BPF_RET | BPF_K, UINT32_MAX)};
}

std::vector<sock_filter> no_choice_program() { return {instruction(BPF_RET | BPF_K, UINT32_MAX)}; }

}  // namespace master
