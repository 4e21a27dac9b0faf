// GrowthHistory: which series of samples are a leak, and which only look like the beginning of one.
#include "master/growth_history.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

namespace master {
namespace {

using namespace std::chrono_literals;

const common::TimePoint kStart{1000s};

// What the application and the server hold at a second of the worker's life.
struct Held {
  double application = 0;
  double connections = 0;
};
using Series = std::function<Held(double second)>;

Sample sample_at(double second, const Series& series) {
  const Held held = series(second);
  const auto application = static_cast<std::uint64_t>(held.application);
  const auto connections = static_cast<std::uint64_t>(held.connections);
  return {.at = kStart + std::chrono::duration_cast<common::Duration>(std::chrono::duration<double>(second)),
          .fds_total = 20 + application + connections,
          .owned = 15 + connections,
          .baseline = 5};
}

// The steepest growth that is told within `seconds`, a sample each second.
Growth steepest(const Series& series, int seconds = 300, common::RecycleSettings settings = {}) {
  GrowthHistory history(settings);
  Growth steepest;
  for (int second = 0; second <= seconds; ++second) {
    history.note(sample_at(second, series));
    if (const auto growth = history.growth(); growth && growth->per_second > steepest.per_second) steepest = *growth;
  }
  return steepest;
}

TEST(GrowthHistory, MeasuresThePaceOfALeak) {
  for (const double pace : {0.5, 1.0, 7.0, 100.0}) {
    const Growth growth = steepest([&](double second) { return Held{.application = pace * second}; });
    EXPECT_NEAR(growth.per_second, pace, pace * 0.2) << pace;
    EXPECT_NEAR(static_cast<double>(growth.descriptors), pace * 21, pace * 2 + 1) << pace;
  }
}

// Eight periods of three seconds, and the sample that shows that the last is whole.
TEST(GrowthHistory, TellsAfterStartUpAndEightPeriods) {
  const auto leak = [](double second) { return Held{.application = 10 * second}; };
  EXPECT_EQ(steepest(leak, 33).per_second, 0);
  EXPECT_GT(steepest(leak, 34).per_second, 0);
}

TEST(GrowthHistory, MakesPeriodsOfAPartOfTheTimeItPredicts) {
  const auto leak = [](double second) { return Held{.application = second}; };
  const common::RecycleSettings settings{.age_min = 0s, .fds_exhaustion = 160s};
  EXPECT_EQ(steepest(leak, 39, settings).per_second, 0);
  EXPECT_EQ(steepest(leak, 40, settings).per_second, 1);
}

TEST(GrowthHistory, MakesPeriodsOfAsManySamplesAsConfigured) {
  const auto leak = [](double second) { return Held{.application = second}; };
  const common::RecycleSettings settings{.samples = 20, .age_min = 0s};
  EXPECT_EQ(steepest(leak, 159, settings).per_second, 0);
  EXPECT_EQ(steepest(leak, 160, settings).per_second, 1);
}

TEST(GrowthHistory, SeesALeakUnderBurstsAndLoad) {
  const Growth growth = steepest([](double second) {
    const double burst = static_cast<int>(second) % 3 == 0 ? 500 : 0;
    return Held{.application = 4 * second + burst, .connections = 200 + 100 * std::sin(second / 5)};
  });
  EXPECT_GT(growth.per_second, 2);
}

TEST(GrowthHistory, SeesALeakThatComesByChance) {
  std::mt19937 random(1);
  std::poisson_distribution<int> leaked(8);
  double total = 0;
  const Growth growth = steepest([&](double) { return Held{.application = total += leaked(random)}; });
  EXPECT_GT(growth.per_second, 5);
}

struct Innocent {
  const char* name;
  Series series;
};

TEST(GrowthHistory, SeesNoGrowthWhereDescriptorsAreGivenBackOrBounded) {
  std::mt19937 random(1);
  std::uniform_int_distribution<int> noise(0, 500);
  const std::vector<Innocent> all = {
      {"plateau", [](double) { return Held{.application = 400}; }},
      {"step at the start", [](double second) { return Held{.application = second < 3 ? 0.0 : 400.0}; }},
      {"step later", [](double second) { return Held{.application = second < 60 ? 0.0 : 400.0}; }},
      {"two steps",
       [](double second) { return Held{.application = (second < 40 ? 0 : 200) + (second < 48 ? 0 : 200.0)}; }},
      {"pool filled while starting", [](double second) { return Held{.application = std::min(second * 20, 200.0)}; }},
      {"pool that fills ever slower",
       [](double second) { return Held{.application = 400 * (1 - std::exp(-second / 5))}; }},
      {"large pool that fills ever slower",
       [](double second) { return Held{.application = 800 * (1 - std::exp(-second / 20))}; }},
      {"burst train",
       [](double second) { return Held{.application = static_cast<int>(second) % 2 == 0 ? 500.0 : 0.0}; }},
      {"rare bursts",
       [](double second) { return Held{.application = static_cast<int>(second) % 17 < 3 ? 500.0 : 0.0}; }},
      {"saw-tooth", [](double second) { return Held{.application = 40 * std::fmod(second, 10)}; }},
      {"noise", [&](double) { return Held{.application = static_cast<double>(noise(random))}; }},
      {"connections", [](double second) { return Held{.connections = 100 * second}; }},
      {"a descriptor for each connection",
       [](double second) { return Held{.application = 10 * second, .connections = 10 * second}; }},
      {"shrinking", [](double second) { return Held{.application = std::max(1000 - 3 * second, 0.0)}; }},
  };
  for (const Innocent& innocent : all)
    EXPECT_LT(steepest(innocent.series).descriptors, 64U) << innocent.name;  // from where the policy listens
}

// A saw-tooth slower than the history cannot be told from a leak while it rises: the policy's other conditions decide.
TEST(GrowthHistory, SeesTheRiseOfASlowSawTooth) {
  EXPECT_GT(steepest([](double second) { return Held{.application = std::fmod(second, 100)}; }).per_second, 0);
}

TEST(GrowthHistory, SurvivesSamplesOfTheSameMoment) {
  GrowthHistory history({.samples = 1, .age_min = 0s, .fds_exhaustion = 0s});
  for (std::uint64_t i = 0; i < 100; ++i) history.note({.at = kStart, .fds_total = i * 10});
  EXPECT_FALSE(history.growth());
}

}  // namespace
}  // namespace master
