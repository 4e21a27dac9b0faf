// The open-files rule: limits to set, connections that fit, and the words when they do not.
#include "master/open_files_rule.h"

#include <gtest/gtest.h>

#include <limits>

namespace master {
namespace {

using common::kOpenFilesCap;

TEST(OpenFilesRule, RaisesSoftToHard) {
  const OpenFilesPlan plan = decide_open_files({.soft = 1024, .hard = 524288, .nr_open = 1048576});
  EXPECT_EQ(plan.soft, 524288U);
  EXPECT_EQ(plan.hard, 524288U);
  EXPECT_FALSE(plan.warning);
}

TEST(OpenFilesRule, CapsBothLimits) {
  for (const std::uint64_t hard : {kOpenFilesCap + 1, std::uint64_t{1'073'741'816}, ~std::uint64_t{0}}) {
    const OpenFilesPlan plan = decide_open_files({.soft = hard, .hard = hard, .nr_open = 1'073'741'816});
    EXPECT_EQ(plan.soft, kOpenFilesCap);
    EXPECT_EQ(plan.hard, kOpenFilesCap);
  }
  EXPECT_EQ(decide_open_files({.soft = 1, .hard = kOpenFilesCap}).hard, kOpenFilesCap);
}

TEST(OpenFilesRule, StaysWithinWhatTheKernelAllowsAtAll) {
  const OpenFilesPlan plan = decide_open_files({.soft = 1024, .hard = 1048576, .nr_open = 65536});
  EXPECT_EQ(plan.soft, 65536U);
  EXPECT_EQ(plan.hard, 65536U);
}

TEST(OpenFilesRule, SetsAConfiguredLimitBelowHardAndLeavesHardAlone) {
  const OpenFilesPlan plan = decide_open_files({.soft = 1024, .hard = 524288, .configured = 4096});
  EXPECT_EQ(plan.soft, 4096U);
  EXPECT_EQ(plan.hard, 524288U);
  EXPECT_FALSE(plan.warning);
}

TEST(OpenFilesRule, LowersSoftWhenThatIsConfigured) {
  EXPECT_EQ(decide_open_files({.soft = 524288, .hard = 524288, .configured = 256}).soft, 256U);
}

TEST(OpenFilesRule, RaisesHardToTheConfiguredLimitWhenItMay) {
  const OpenFilesPlan plan = decide_open_files(
      {.soft = 1024, .hard = 4096, .nr_open = 1048576, .configured = 65536, .privilege = Privilege::kMayRaiseHard});
  EXPECT_EQ(plan.soft, 65536U);
  EXPECT_EQ(plan.hard, 65536U);
  EXPECT_FALSE(plan.warning);
}

TEST(OpenFilesRule, DoesNotRaiseHardForMax) {
  EXPECT_EQ(decide_open_files({.soft = 1, .hard = 4096, .privilege = Privilege::kMayRaiseHard}).hard, 4096U);
}

TEST(OpenFilesRule, SaysWhatToDoWhenTheConfiguredLimitIsAboveHard) {
  EXPECT_FALSE(decide_open_files({.soft = 1024, .hard = 4096, .configured = 4096}).warning);
  const OpenFilesPlan plan = decide_open_files({.soft = 1024, .hard = 4096, .configured = 4097});
  EXPECT_EQ(plan.soft, 4096U);
  EXPECT_EQ(plan.hard, 4096U);
  ASSERT_TRUE(plan.warning);
  for (const char* part : {"limits.open_files = 4097", "hard limit of 4096", "LimitNOFILE=4097", "ulimit -Hn 4097"}) {
    EXPECT_NE(plan.warning->find(part), std::string::npos) << *plan.warning;
  }
}

std::uint32_t fit(std::uint64_t soft) {
  return decide_connections({.open_files_soft = soft, .reserve = 64}).connections;
}

TEST(ConnectionBudget, LeavesTheReserveAndAQuarterForTheApplication) {
  EXPECT_EQ(fit(1024), 1024U - 64U - 256U);
  EXPECT_EQ(fit(524288), 524288U - 64U - 131072U);
}

TEST(ConnectionBudget, ServesUnderTheSmallestLimits) {
  EXPECT_EQ(fit(0), 1U);
  EXPECT_EQ(fit(1), 1U);
  EXPECT_EQ(fit(20), 2U);
  EXPECT_EQ(fit(128), 16U);
  EXPECT_EQ(fit(192), 64U);
}

TEST(ConnectionBudget, NeverShrinksAsTheLimitGrowsAndStaysBelowTheRecycleThreshold) {
  for (std::uint64_t soft = 1; soft < 5000; ++soft) {
    EXPECT_GE(fit(soft + 1), fit(soft)) << soft;
    if (soft >= 256) {
      EXPECT_LT(fit(soft) + 64, 0.8 * static_cast<double>(soft)) << soft;
    }
    if (soft >= 2) {
      EXPECT_LT(fit(soft), soft);
    }
  }
}

TEST(ConnectionBudget, HoldsWithAnUnlimitedNumberOfFiles) {
  EXPECT_EQ(fit(~std::uint64_t{0}), std::numeric_limits<std::uint32_t>::max());
}

TEST(ConnectionBudget, TakesAConfiguredNumberThatFitsExactly) {
  const ConnectionBudget budget = decide_connections({.open_files_soft = 1024, .reserve = 64, .configured = 704});
  EXPECT_EQ(budget.connections, 704U);
  EXPECT_FALSE(budget.warning);
}

TEST(ConnectionBudget, WarnsOnePastWhatFitsAndNamesALimitThatIsEnough) {
  const ConnectionBudget budget = decide_connections({.open_files_soft = 1024, .reserve = 64, .configured = 705});
  EXPECT_EQ(budget.connections, 704U);
  ASSERT_TRUE(budget.warning);
  for (const char* part : {"limits.connections = 705", "1024 open files", "704 is used", "LimitNOFILE=1025",
                           "ulimit -n 1025", "limits.open_files", "lower limits.connections"}) {
    EXPECT_NE(budget.warning->find(part), std::string::npos) << part << " in: " << *budget.warning;
  }
  EXPECT_GE(fit(1025), 705U);
}

ConnectionBudget budget_of(std::uint64_t soft, std::uint32_t configured = 0) {
  return decide_connections({.open_files_soft = soft, .reserve = 64, .configured = configured});
}

TEST(ConnectionBudget, ShowsItsArithmetic) {
  EXPECT_EQ(arithmetic_of(budget_of(1024)),
            "704 connections = 1024 open files - 64 in reserve - 256 for the application");
  EXPECT_EQ(arithmetic_of(budget_of(1024, 700)),
            "700 connections = 1024 open files - 64 in reserve - 260 for the application");
  EXPECT_EQ(arithmetic_of(budget_of(524288)),
            "393152 connections = 524288 open files - 64 in reserve - 131072 for the application");
}

TEST(ConnectionBudget, DividesTinyLimitsSensibly) {
  EXPECT_EQ(arithmetic_of(budget_of(20)), "2 connections = 20 open files - 9 in reserve - 9 for the application");
  EXPECT_EQ(arithmetic_of(budget_of(40)), "5 connections = 40 open files - 18 in reserve - 17 for the application");
  EXPECT_EQ(arithmetic_of(budget_of(64)), "8 connections = 64 open files - 28 in reserve - 28 for the application");
  EXPECT_EQ(arithmetic_of(budget_of(256)), "128 connections = 256 open files - 64 in reserve - 64 for the application");
}

TEST(ConnectionBudget, AlwaysDividesTheWholeLimit) {
  for (const std::uint32_t configured : {0U, 1U, 3U, 100U}) {
    for (std::uint64_t soft = 1; soft < 3000; ++soft) {
      const ConnectionBudget budget = budget_of(soft, configured);
      EXPECT_EQ(budget.connections + budget.reserve + budget.headroom, soft) << configured;
      EXPECT_LE(budget.reserve, 64U);
    }
  }
  EXPECT_EQ(arithmetic_of(budget_of(0)), "1 connections = 0 open files - 0 in reserve - 0 for the application");
}

TEST(ConnectionBudget, FollowsAWorkersLimitUpAndDown) {
  EXPECT_EQ(budget_of(1024, 704).connections, 704U);
  EXPECT_EQ(budget_of(512, 704).connections, 512U - 64U - 128U);
  EXPECT_EQ(budget_of(2048, 704).connections, 704U);
}

TEST(OpenFilesRule, RefusesALimitOneBelowWhatTheMasterNeeds) {
  EXPECT_EQ(refuse_open_files(22, 2, 1), std::nullopt);
  const auto refused = refuse_open_files(21, 2, 1);
  ASSERT_TRUE(refused);
  EXPECT_NE(refused->find("need 22"), std::string::npos) << *refused;
}

}  // namespace
}  // namespace master
