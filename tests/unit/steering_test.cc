// Steering: the programs, run by a small machine of classic BPF for every random number that matters.
#include "master/steering.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>

#include "common/config.h"

namespace {

using master::steering_program;
using Program = std::vector<sock_filter>;

// What the program returns if the kernel's random number is `random`; nullopt if it breaks a rule of the machine.
std::optional<std::uint32_t> run(const Program& program, std::uint32_t random) {
  std::uint32_t a = 0;
  for (std::size_t at = 0; at < program.size(); ++at) {
    const sock_filter& now = program[at];
    switch (now.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (now.k != static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_RANDOM)) return std::nullopt;
        a = random;
        break;
      case BPF_ALU | BPF_MOD | BPF_K:
        if (now.k == 0) return std::nullopt;
        a %= now.k;
        break;
      case BPF_ALU | BPF_ADD | BPF_K: a += now.k; break;
      case BPF_JMP | BPF_JGE | BPF_K: at += a >= now.k ? now.jt : now.jf; break;
      case BPF_RET | BPF_A: return a;
      case BPF_RET | BPF_K: return now.k;
      default: return std::nullopt;
    }
  }
  return std::nullopt;
}

// Whether a packet passes whose TCP flags are `flags`; nullopt if the program breaks a rule of the machine.
std::optional<bool> passes(const Program& program, std::uint32_t flags) {
  std::uint32_t a = 0;
  for (std::size_t at = 0; at < program.size(); ++at) {
    const sock_filter& now = program[at];
    switch (now.code) {
      case BPF_LD | BPF_B | BPF_ABS:
        if (now.k != 13) return std::nullopt;
        a = flags;
        break;
      case BPF_ALU | BPF_AND | BPF_K: a &= now.k; break;
      case BPF_JMP | BPF_JEQ | BPF_K: at += a == now.k ? now.jt : now.jf; break;
      case BPF_RET | BPF_K: return now.k != 0;
      default: return std::nullopt;
    }
  }
  return std::nullopt;
}

std::size_t count_of(const std::vector<bool>& able) {
  return static_cast<std::size_t>(std::count(able.begin(), able.end(), true));
}

// Every able slot once for as many numbers in a row as there are able slots, and no other slot ever.
void expect_equal_shares(const std::vector<bool>& able) {
  const Program program = steering_program(able);
  ASSERT_LE(program.size(), master::steering_instructions_max(able.size()));
  const std::uint32_t count = static_cast<std::uint32_t>(count_of(able));
  for (const std::uint32_t first : {0U, count * 1000, UINT32_MAX - UINT32_MAX % count - count}) {
    std::vector<bool> chosen(able.size());
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto slot = run(program, first + i);
      ASSERT_TRUE(slot.has_value());
      ASSERT_LT(*slot, able.size());
      chosen[*slot] = true;
    }
    ASSERT_EQ(chosen, able);
  }
}

TEST(Steering, LeavesTheChoiceToTheKernelWhenAllOrNoneAreAble) {
  for (std::size_t slots = 0; slots <= common::kWorkersMax; ++slots) {
    EXPECT_TRUE(steering_program(std::vector<bool>(slots, true)).empty()) << slots;
    EXPECT_TRUE(steering_program(std::vector<bool>(slots, false)).empty()) << slots;
  }
}

TEST(Steering, ExcludesAnyOneSlotOfUpToSixtyFour) {
  for (std::size_t slots = 2; slots <= 64; ++slots) {
    for (std::size_t excluded = 0; excluded < slots; ++excluded) {
      std::vector<bool> able(slots, true);
      able[excluded] = false;
      expect_equal_shares(able);
    }
  }
}

TEST(Steering, ChoosesAnyOneSlotOfUpToSixtyFour) {
  for (std::size_t slots = 2; slots <= 64; ++slots) {
    for (std::size_t only = 0; only < slots; ++only) {
      std::vector<bool> able(slots, false);
      able[only] = true;
      expect_equal_shares(able);
    }
  }
}

TEST(Steering, GivesEqualSharesToEverySubsetOfEightSlots) {
  for (unsigned subset = 1; subset < 255; ++subset) {
    std::vector<bool> able;
    for (unsigned slot = 0; slot < 8; ++slot) able.push_back((subset >> slot & 1U) != 0);
    expect_equal_shares(able);
  }
}

TEST(Steering, GivesEqualSharesToRandomSubsetsOfEverySize) {
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same subsets each time
  for (std::size_t slots = 2; slots <= 64; ++slots) {
    for (int round = 0; round < 20; ++round) {
      std::vector<bool> able;
      for (std::size_t slot = 0; slot < slots; ++slot) able.push_back(random() % 2 != 0);
      if (count_of(able) % slots != 0) expect_equal_shares(able);  // neither none nor all
    }
  }
}

TEST(Steering, NeedsTheMostInstructionsForEveryOtherSlotOfTheMost) {
  std::vector<bool> able;
  for (std::uint32_t slot = 0; slot < common::kWorkersMax; ++slot) able.push_back(slot % 2 != 0);
  expect_equal_shares(able);
  const std::size_t most = master::steering_instructions_max(common::kWorkersMax);
  EXPECT_EQ(steering_program(able).size(), most - 1);  // the last run needs no comparison
  EXPECT_LE(most, BPF_MAXINSNS);
}

TEST(Steering, MakesNoChoiceWithAnIndexThatNoGroupHas) {
  const auto index = run(master::no_choice_program(), 0);
  ASSERT_TRUE(index.has_value());
  EXPECT_GE(*index, common::kWorkersMax);
}

TEST(Steering, HoldsOffWhatOpensAConnectionAndNothingElse) {
  constexpr std::uint32_t kSyn = 0x02;
  constexpr std::uint32_t kAck = 0x10;
  const Program program = master::no_new_connections_program();
  for (std::uint32_t flags = 0; flags <= 0xff; ++flags) {
    const bool opens = (flags & kSyn) != 0 && (flags & kAck) == 0;
    EXPECT_EQ(passes(program, flags), !opens) << flags;
  }
}

}  // namespace
