// Losses: that the ledger sees them. A server that loses requests, each in another way, must not pass.
#include <gtest/gtest.h>

#include <csignal>

#include "support/signal.h"
#include "trial.h"

namespace lifecycle {
namespace {

constexpr common::Duration kTenth = std::chrono::milliseconds(100);

std::uint64_t cut_off(const Judgement& judgement) {
  return judgement.failures(Ending::kReset) + judgement.failures(Ending::kTruncated) +
         judgement.failures(Ending::kUnanswered);
}

TEST(Ledger, SeesWhatAQuickStopLoses) {
  Trial trial;
  ASSERT_TRUE(trial.begin());
  trial.process().signal(SIGQUIT);
  ASSERT_TRUE(trial.process().wait_exit().has_value());
  const Judgement judgement = trial.finish();
  EXPECT_GT(judgement.failures(Ending::kRefused), 0U) << judgement;
  EXPECT_GT(cut_off(judgement), 0U) << judgement;
}

TEST(Ledger, SeesWhatAKilledWorkerLosesUnlessTheDriverKilledIt) {
  Trial trial({.workers = 1});
  ASSERT_TRUE(trial.begin());
  ASSERT_TRUE(support::send_signal(trial.process().worker(0), SIGKILL));
  trial.expect_progress();
  const Judgement judgement = trial.finish();
  EXPECT_GT(cut_off(judgement) + judgement.hasty, 0U) << judgement;
  EXPECT_EQ(judgement.excused_by_death, 0U);
  EXPECT_EQ(judgement.failures(Ending::kRefused), 0U) << "the master holds the socket\n" << judgement;
}

TEST(Ledger, SeesWhatADrainWithoutPatienceCutsOff) {
  Trial trial({.workers = 1, .stop_timeout = kTenth});
  ASSERT_TRUE(trial.begin());
  const pid_t before = trial.process().worker(0);
  ASSERT_EQ(trial.process().control("POST", "/recycle?slot=0").status / 100, 2);
  ASSERT_TRUE(support::wait_until([&] { return !support::process(before); }));
  const Judgement judgement = trial.finish();
  EXPECT_GT(cut_off(judgement) + judgement.hasty, 0U) << judgement;
}

TEST(Ledger, SeesAnswersOfABuildThatIsNotDueAnyMore) {
  Trial trial({.workers = 1});
  ASSERT_TRUE(trial.begin());
  trial.note_generation('B', 2, common::Clock::now(), common::Clock::now());  // as if there had been a reload
  trial.expect_progress();
  EXPECT_GT(trial.finish().wrong_generation, 0U);
}

}  // namespace
}  // namespace lifecycle
