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

}  // namespace
