// Reloading under all eight kinds of clients: each answer comes from a generation that was due, a refused one changes
// nothing, and the master is not a byte the worse for it.
#include <gtest/gtest.h>

#include "drivers.h"
#include "support/process_table.h"

namespace lifecycle {
namespace {

constexpr std::uint64_t kGrowthMax =
    4U << 20;  // of the master, in bytes: caches that fill once, no leak of each reload

TEST(LifecycleLedger, LosesNothingWhileTwoBuildsOfTheApplicationAlternate) {
  Trial trial;
  ASSERT_TRUE(trial.begin());
  reload(trial, times(6, 50, 200));
  trial.expect_nothing_lost();
}

TEST(LifecycleLedger, LosesNothingWhileReloadsFailInEveryWay) {
  Trial trial;
  ASSERT_TRUE(trial.begin());
  fail_reloads(trial, times(11, 22, 110));
  trial.expect_nothing_lost();
}

TEST(Reload, LeavesTheMasterAsItWas) {
  Trial trial;
  ASSERT_TRUE(trial.begin());
  reload(trial, 2);
  const pid_t master = trial.process().pid();
  // What the last reload left behind, its workers that drain and its template, has a descriptor here until it ends.
  const auto children = static_cast<std::size_t>(trial.service().options().workers) + 1;
  ASSERT_TRUE(support::wait_until([&] { return support::children_of(master).size() == children; }));
  const std::size_t descriptors = support::open_files_at_rest(master);
  const std::uint64_t memory = support::anonymous_bytes(master);
  reload(trial, times(6, 100, 100));
  trial.expect_nothing_lost();
  EXPECT_TRUE(support::wait_until([&] { return support::open_files(master) == descriptors; }))
      << support::open_files(master) << " descriptors instead of " << descriptors;
  // A sanitizer keeps what was freed.
  if (!support::is_sanitized()) {
    EXPECT_LE(support::anonymous_bytes(master), memory + kGrowthMax);
  }
}

}  // namespace
}  // namespace lifecycle
