// LoadMeter: shares and queues from two readings, also from those that make no sense.
#include "master/load_meter.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <vector>

namespace master {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();

LoadReading at_start() { return {.worker = 1, .at = common::TimePoint(1000s), .accepted = 100}; }

// The load of worker 1 between two readings of it, a second apart.
WorkerLoad load_between(const LoadReading& before, LoadReading after) {
  LoadMeter meter;
  EXPECT_TRUE(meter.note(std::vector{before}).empty());
  after.at = before.at + 1s;
  const auto loads = meter.note(std::vector{after});
  EXPECT_EQ(loads.size(), 1U);
  return loads.empty() ? WorkerLoad{} : loads.front();
}

TEST(LoadMeter, TakesTheLargerOfTheLoopsTimeAndTheCpuTime) {
  LoadReading after = at_start();
  EXPECT_EQ(load_between(at_start(), after).busy, 0);
  after.busy_ns = kSecond / 4;
  EXPECT_EQ(load_between(at_start(), after).busy, 0.25);
  after.main_cpu_ns = kSecond / 2;
  EXPECT_EQ(load_between(at_start(), after).busy, 0.5);
  after.busy_ns = kSecond;
  EXPECT_EQ(load_between(at_start(), after).busy, 1);
}

TEST(LoadMeter, KeepsAShareBetweenZeroAndOneWhateverIsRead) {
  LoadReading before = at_start();
  LoadReading after = at_start();
  after.busy_ns = kHuge;
  after.accepted = kHuge;
  EXPECT_EQ(load_between(before, after).busy, 1);
  before.busy_ns = before.main_cpu_ns = before.accepted = before.queued = kHuge;
  after = at_start();
  after.queued = 7;
  const WorkerLoad backwards = load_between(before, after);
  EXPECT_EQ(backwards.busy, 0);
  EXPECT_EQ(backwards.overdue, 7U) << "no more than wait now";
}

TEST(LoadMeter, LeavesOutAWorkerThatItSeesForTheFirstTime) {
  LoadMeter meter;
  LoadReading first = at_start();
  LoadReading second = at_start();
  second.worker = 2;
  meter.note(std::vector{first});
  first.at += 1s;
  second.at += 1s;
  EXPECT_EQ(meter.note(std::vector{first, second}).size(), 1U);
  first.at += 1s;
  second.at += 1s;
  EXPECT_EQ(meter.note(std::vector{first, second}).size(), 2U);
  EXPECT_TRUE(meter.note(std::vector{first, second}).empty()) << "no time has passed";
  meter.note({});
  first.at += 1s;
  EXPECT_TRUE(meter.note(std::vector{first}).empty()) << "it was away";
}

TEST(LoadMeter, CountsAWorkerWithoutRoomForConnectionsAsBusy) {
  LoadReading after = at_start();
  after.accepting = common::Accepting::kFull;
  EXPECT_EQ(load_between(at_start(), after).busy, 1);
  after.accepting = common::Accepting::kStarving;
  EXPECT_EQ(load_between(at_start(), after).busy, 0) << "more workers find no more descriptors";
}

TEST(LoadMeter, CallsAClientOverdueOnceItHasWaitedFromOneLookToTheNext) {
  LoadReading before = at_start();
  before.queued = 5;
  LoadReading after = at_start();
  after.queued = 9;
  after.accepted = before.accepted + 5;
  EXPECT_EQ(load_between(before, after).overdue, 0U) << "these are others";
  after.accepted = before.accepted + 4;
  EXPECT_EQ(load_between(before, after).overdue, 1U);
  after.accepted = before.accepted;
  EXPECT_EQ(load_between(before, after).overdue, 5U);
  after.queued = 3;
  EXPECT_EQ(load_between(before, after).overdue, 3U) << "two gave up";
}

}  // namespace
}  // namespace master
