// AdaptiveScale in a simulated service: clients arrive at random, wait in the line of one worker, and are served.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <functional>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#include "master/adaptive_scale.h"

namespace master {
namespace {

using namespace std::chrono_literals;

// Work that arrives in the given second, in workers that it would keep wholly busy.
using Offered = std::function<double(std::uint32_t second)>;

// One worker with the line of its slot.
class Worker {
 public:
  explicit Worker(WorkerId worker) { reading_.worker = worker; }

  void arrives(double service_s) {
    if (serving_ <= 0) {
      begin(service_s);
    } else {
      line_.push_back(service_s);
    }
  }
  void pass(double time_s) {
    while (serving_ > 0 && time_s > 0) {
      const double step = std::min(serving_, time_s);
      serving_ -= step;
      time_s -= step;
      busy_s_ += step;
      if (serving_ > 1e-12) continue;
      serving_ = 0;
      if (line_.empty()) continue;
      begin(line_.front());
      line_.pop_front();
    }
  }
  LoadReading read(common::TimePoint at) {
    reading_.at = at;
    reading_.busy_ns = static_cast<std::uint64_t>(busy_s_ * 1e9);
    reading_.queued = line_.size();
    return reading_;
  }

 private:
  void begin(double service_s) {
    serving_ = service_s;
    ++reading_.accepted;
  }

  LoadReading reading_;
  std::deque<double> line_;
  double serving_ = 0;  // of the service that is left of the client it serves
  double busy_s_ = 0;
};

struct Plan {
  std::uint64_t seed = 1;
  std::uint32_t min = 1;
  std::uint32_t max = 8;
  double service_s = 0.1;
  std::uint32_t start_s = 1;  // until a new worker is ready
};

struct Change {
  std::uint32_t second;
  std::uint32_t workers;
};

class World {
 public:
  explicit World(const Plan& plan) : plan_(plan), random_(plan.seed), scale_({.min = plan.min, .max = plan.max}) {
    set_workers(plan.min);
  }

  void run(std::uint32_t seconds, const Offered& offered) {
    for (const std::uint32_t end = second_ + seconds; second_ < end; ++second_) turn(offered(second_));
  }
  std::uint32_t workers() const { return static_cast<std::uint32_t>(workers_.size()); }
  std::uint32_t changes_since(std::uint32_t second) const {
    return static_cast<std::uint32_t>(
        std::ranges::count_if(changes_, [&](const Change& change) { return change.second >= second; }));
  }
  const std::vector<Change>& changes() const { return changes_; }

 private:
  void set_workers(std::uint32_t workers) {
    while (workers_.size() > workers) workers_.pop_back();
    while (workers_.size() < workers) workers_.emplace_back(++last_id_);
  }

  // One second of arrivals, each at a random worker, as the kernel's hash does it; then one observation.
  void turn(double offered) {
    const double rate = offered / plan_.service_s;
    double at = 0;
    std::exponential_distribution<double> service(1 / plan_.service_s);
    while (rate > 0) {
      const double gap = std::exponential_distribution<double>(rate)(random_);
      if (at + gap >= 1) break;
      pass(gap);
      at += gap;
      workers_[std::uniform_int_distribution<std::size_t>(0, workers_.size() - 1)(random_)].arrives(service(random_));
    }
    pass(1 - at);
    if (starting_ > 0 && --starting_ == 0) set_workers(target_);
    observe();
  }
  void pass(double time_s) {
    for (Worker& worker : workers_) worker.pass(time_s);
  }
  void observe() {
    const common::TimePoint now(std::chrono::seconds(1000 + second_));
    std::vector<LoadReading> readings;
    for (Worker& worker : workers_) readings.push_back(worker.read(now));
    const std::uint32_t wanted = starting_ > 0 ? target_ : workers();
    const auto decision =
        scale_.observe(meter_.note(readings), wanted, starting_ > 0 ? Movement::kUnderWay : Movement::kNone);
    if (!decision) return;
    ASSERT_EQ(starting_, 0U) << "decides while a worker starts";
    ASSERT_GE(decision->workers, plan_.min);
    ASSERT_LE(decision->workers, plan_.max);
    ASSERT_NE(decision->workers, workers());
    ASSERT_GE(decision->workers + 1, workers()) << "shrinks by more than one";
    ASSERT_LE(decision->workers, workers() + std::max(1U, workers() / 2)) << "grows by more than half";
    changes_.push_back({second_, decision->workers});
    if (decision->workers < workers()) {
      set_workers(decision->workers);
    } else {
      target_ = decision->workers;
      starting_ = plan_.start_s;
    }
  }

  Plan plan_;
  std::mt19937_64 random_;
  AdaptiveScale scale_;
  LoadMeter meter_;
  std::vector<Worker> workers_;
  WorkerId last_id_ = kNoWorker;
  std::uint32_t second_ = 0;
  std::uint32_t target_ = 0;
  std::uint32_t starting_ = 0;  // seconds until `target_` workers serve
  std::vector<Change> changes_;
};

Offered always(double offered) {
  return [offered](std::uint32_t) { return offered; };
}

TEST(AdaptiveScaleWorld, FollowsAStepUpAndDownAndThenStays) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    World world({.seed = seed, .max = 16});
    world.run(120, always(0.2));
    EXPECT_EQ(world.changes_since(0), 0U);
    world.run(90, always(6));
    EXPECT_GE(world.workers(), 8U) << "90 seconds are enough for eight times as many";
    world.run(600, always(6));
    EXPECT_LE(world.changes_since(120 + 90), 5U);
    EXPECT_LE(world.workers(), 14U) << "no more than keep the rest half busy, and one for the noise";
    const std::uint32_t before = world.workers();
    world.run(70 * before, always(0.2));
    EXPECT_EQ(world.workers(), 1U);
    EXPECT_EQ(world.changes_since(120 + 90 + 600), before - 1) << "straight down";
  }
}

TEST(AdaptiveScaleWorld, DoesNotGoUpAndDownUnderASteadyLoad) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const double offered = 0.1 * static_cast<double>(seed);  // 0.1 to 6
    SCOPED_TRACE(offered);
    World world({.seed = seed, .max = 16});
    world.run(600, always(offered));
    EXPECT_GT(world.workers(), offered);
    world.run(3600, always(offered));
    EXPECT_LE(world.changes_since(600), 10U) << "the noise of an hour";
    world.run(3600, always(offered));
    EXPECT_LE(world.changes_since(4200), 6U) << "the noise of another hour";
  }
}

TEST(AdaptiveScaleWorld, FollowsARampUpwardsOnly) {
  World world({.max = 12});
  world.run(900, [](std::uint32_t second) { return second / 150.0; });
  std::uint32_t last = 1;
  for (const Change& change : world.changes()) {
    EXPECT_GT(change.workers, last);
    last = change.workers;
    EXPECT_GE(change.workers, change.second / 150.0) << "behind the load at second " << change.second;
  }
  EXPECT_GE(world.workers(), 7U);
}

TEST(AdaptiveScaleWorld, KeepsWhatBurstsNeedWhileTheyKeepComing) {
  World world({.max = 8});
  const auto bursts = [](std::uint32_t second) { return second % 40 < 12 ? 4.0 : 0.1; };
  world.run(400, bursts);
  const std::uint32_t workers = world.workers();
  EXPECT_GE(workers, 4U);
  world.run(800, bursts);
  EXPECT_GE(world.workers(), workers);
  EXPECT_LE(world.changes_since(400), 8U);
}

TEST(AdaptiveScaleWorld, RunsAfterASlowSawtoothNoOftenerThanItsTeeth) {
  World world({.max = 4});
  world.run(3000, [](std::uint32_t second) { return second % 300 < 100 ? 2.5 : 0.05; });
  EXPECT_LE(world.changes_since(0), 10U * 2 * 3) << "ten teeth, at most three workers more and three less each";
  EXPECT_GE(world.changes_since(0), 10U);
}

TEST(AdaptiveScaleWorld, FollowsADay) {
  World world({.max = 10});
  constexpr std::uint32_t kDay = 3600;  // a short one
  world.run(kDay, [](std::uint32_t second) { return 2.5 - 2.4 * std::cos(2 * std::numbers::pi * second / kDay); });
  std::uint32_t most = 0;
  for (const Change& change : world.changes()) most = std::max(most, change.workers);
  EXPECT_GE(most, 6U);
  world.run(600, always(0.1));
  EXPECT_EQ(world.workers(), 1U);
  EXPECT_LE(world.changes_since(0), 2 * most + 6);
}

// Whatever comes: every shrink needs a window and a pause of its own, and only what was shrunk can grow again.
TEST(AdaptiveScaleWorld, KeepsItsPromisesWhateverComes) {
  const char* given = std::getenv("ADAPTIVE_SEED");
  const std::uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  const std::uint64_t last = given != nullptr ? first : 1000;
  constexpr std::uint32_t kSeconds = 600;
  std::uint64_t changes = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    SCOPED_TRACE("repeat with ADAPTIVE_SEED=" + std::to_string(seed));
    std::mt19937_64 random(seed);
    const auto pick = [&](std::uint32_t low, std::uint32_t high) {
      return std::uniform_int_distribution<std::uint32_t>(low, high)(random);
    };
    const std::uint32_t min = pick(1, 4);
    const Plan plan{.seed = seed, .min = min, .max = pick(min, 10), .service_s = 0.2, .start_s = pick(1, 4)};
    World world(plan);
    for (std::uint32_t second = 0; second < kSeconds;) {
      const std::uint32_t length = pick(1, 150);
      world.run(length, always(pick(0, 120) / 10.0));
      second += length;
      if (testing::Test::HasFatalFailure()) return;
    }
    std::uint32_t shrinks = 0;
    std::uint32_t previous = plan.min;
    std::uint32_t changed_at = 0;
    for (const Change& change : world.changes()) {
      const bool is_shrink = change.workers < previous;
      ASSERT_GE(change.second - changed_at, is_shrink ? 64U : 9U) << "too soon after the change before";
      shrinks += is_shrink ? 1 : 0;
      previous = change.workers;
      changed_at = change.second;
    }
    ASSERT_LE(world.changes().size(), plan.max - plan.min + 2 * shrinks);
    changes += world.changes().size();
  }
  if (given != nullptr) return;
  EXPECT_GT(changes, 3 * last) << "the world is too quiet to test anything";
}

}  // namespace
}  // namespace master
