// Usable CPUs: quotas as the kernel writes them.
#include "master/usable_cpus.h"

#include <gtest/gtest.h>
#include <sched.h>

namespace {

using master::cpus_of_quota;

TEST(UsableCpus, RoundsAQuotaUp) {
  EXPECT_EQ(cpus_of_quota("100000 100000"), 1U);
  EXPECT_EQ(cpus_of_quota("100001 100000"), 2U);
  EXPECT_EQ(cpus_of_quota("50000 100000"), 1U);
}

TEST(UsableCpus, TakesMaxAndNonsenseForNoLimit) {
  EXPECT_EQ(cpus_of_quota("max 100000"), 0U);
  EXPECT_EQ(cpus_of_quota(""), 0U);
  EXPECT_EQ(cpus_of_quota("100000 0"), 0U);
}

TEST(UsableCpus, FollowsTheAffinityMask) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &before)) continue;
    CPU_SET(cpu, &one);
    break;
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(master::usable_cpus(), 1U);
  ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
}

TEST(UsableCpus, StandForAutoInTheNumberOfWorkers) {
  using Numbers = std::pair<std::uint32_t, std::optional<std::uint32_t>>;
  const auto resolved = [](std::uint32_t count, std::optional<std::uint32_t> count_max, std::uint32_t cpus) {
    const auto workers = master::resolve_workers({.count = count, .count_max = count_max}, cpus);
    return Numbers(workers.count, workers.count_max);
  };
  EXPECT_EQ(resolved(0, std::nullopt, 4), Numbers(4, std::nullopt));
  EXPECT_EQ(resolved(0, std::nullopt, 1000), Numbers(common::kWorkersMax, std::nullopt));
  EXPECT_EQ(resolved(3, std::nullopt, 4), Numbers(3, std::nullopt));
  EXPECT_EQ(resolved(2, 8, 4), Numbers(2, 8));
  EXPECT_EQ(resolved(1, 0, 4), Numbers(1, 4));
  EXPECT_EQ(resolved(0, 8, 4), Numbers(4, 8));
}

TEST(UsableCpus, GiveWayToTheNumberOnTheOtherSideOfARange) {
  EXPECT_EQ(master::resolve_workers({.count = 4, .count_max = 0}, 2).count_max, 4U);
  EXPECT_EQ(master::resolve_workers({.count = 0, .count_max = 8}, 16).count, 8U);
}

}  // namespace
