// Simulation: whole lives of a service, by seed; SUPERVISOR_TEST_SEED=N repeats one and prints all that happened.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "world.h"

namespace master {
namespace {

constexpr std::size_t kTailLines = 100;  // about 40 steps

// Wild, then calm, then reloads among the calm, then the end.
void live(World& world) {
  const std::uint32_t storms = world.random().pick(1, 3);
  for (std::uint32_t storm = 0; storm < storms; ++storm) {
    const std::uint32_t turns = world.random().pick(20, 600);
    for (std::uint32_t i = 0; i < turns && !world.is_over(); ++i) world.turn();
  }
  if (world.random().chance(60)) {
    world.calm_down();
    world.come_to_rest();
    for (std::uint32_t i = world.random().pick(0, 2); i > 0; --i) world.reload_at_rest();
  }
  world.stop();
}

std::string number(std::uint64_t value) { return std::to_string(value); }

std::string command(std::uint64_t seed) { return "SUPERVISOR_TEST_SEED=" + number(seed); }

// A CHECK that fails aborts, and so knows nothing of seeds. abort() calls the handler from within, on the same thread:
// it may do what any function may. A signal handler has no context: hence the two globals.
std::uint64_t g_seed = 0;
std::vector<std::string>* g_trace = nullptr;

void print_tail(const std::vector<std::string>& trace) {
  const std::size_t from = trace.size() > kTailLines ? trace.size() - kTailLines : 0;
  for (std::size_t i = from; i < trace.size(); ++i) std::fprintf(stderr, "%s\n", trace[i].c_str());
}

void on_abort(int) {
  if (g_trace != nullptr) {  // the repetition has got there too
    print_tail(*g_trace);
    return;
  }
  std::fprintf(stderr, "aborted; repeat with %s\n", command(g_seed).c_str());
  std::vector<std::string> trace;
  g_trace = &trace;
  World world(g_seed, &trace);
  live(world);
}

class AbortTrap {
 public:
  AbortTrap() : before_(std::signal(SIGABRT, on_abort)) {}
  ~AbortTrap() { std::signal(SIGABRT, before_); }
  AbortTrap(const AbortTrap&) = delete;
  AbortTrap& operator=(const AbortTrap&) = delete;

 private:
  void (*before_)(int);
};

void repeat(std::uint64_t seed, bool whole) {
  std::vector<std::string> trace;
  g_trace = &trace;
  World world(seed, &trace);
  live(world);
  g_trace = nullptr;
  if (whole) {
    for (const std::string& line : trace) std::printf("%s\n", line.c_str());
  } else {
    print_tail(trace);
  }
  if (!world.broken().empty()) {
    ADD_FAILURE() << "broken after " << world.tally().steps << " steps: " << world.broken() << "; repeat with "
                  << command(seed);
  }
}

struct Totals : Tally {
  std::uint64_t lives = 0;

  void add(const Tally& life) {
    steps += life.steps;
    handed_over += life.handed_over;
    committed += life.committed;
    refused += life.refused;
    upgraded += life.upgraded;
    ++lives;
  }
};

Totals live_for(std::chrono::seconds duration) {
  Totals totals;
  const auto until = std::chrono::steady_clock::now() + duration;
  while (std::chrono::steady_clock::now() < until) {
    g_seed = totals.lives + 1;
    World world(g_seed);
    live(world);
    totals.add(world.tally());
    if (world.broken().empty()) continue;
    std::printf("after %s steps in all\n", number(totals.steps).c_str());
    repeat(g_seed, false);
    return totals;
  }
  return totals;
}

TEST(Simulation, KeepsEveryPromiseWhateverHappens) {
  const AbortTrap trap;
  if (const char* seed = std::getenv("SUPERVISOR_TEST_SEED")) return repeat(std::strtoull(seed, nullptr, 10), true);
  const std::chrono::seconds duration(std::getenv("SUPERVISOR_TEST_LONG") != nullptr ? 300 : 10);
  const Totals totals = live_for(duration);
  if (HasFailure()) return;
  std::printf("%s lives, %s steps (%s a second), %s hand-overs, %s reloads, %s refused, %s upgrades\n",
              number(totals.lives).c_str(), number(totals.steps).c_str(),
              number(totals.steps / static_cast<std::uint64_t>(duration.count())).c_str(),
              number(totals.handed_over).c_str(), number(totals.committed).c_str(), number(totals.refused).c_str(),
              number(totals.upgraded).c_str());
  // A world that is too tame, or too wild, finds nothing. Sanitized, it still takes twenty times as many steps.
  EXPECT_GT(totals.steps, 100'000U);
  EXPECT_GT(totals.handed_over, 1'000U);
  EXPECT_GT(totals.committed, 300U);
  EXPECT_GT(totals.refused, 500U);
  EXPECT_GT(totals.upgraded, 500U);
}

TEST(Simulation, RepeatsALifeByItsSeed) {
  std::vector<std::string> first;
  std::vector<std::string> second;
  World one(10, &first);
  live(one);
  World two(10, &second);
  live(two);
  EXPECT_GT(first.size(), 100U);
  EXPECT_EQ(first, second);
}

}  // namespace
}  // namespace master
