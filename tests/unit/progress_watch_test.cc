// ProgressWatch: what counts as standing still, and what ends it.
#include "master/progress_watch.h"

#include <gtest/gtest.h>

namespace master {
namespace {

using namespace std::chrono_literals;

const common::TimePoint kStart{1000s};

struct Watched {
  ProgressWatch watch;
  Sample next{.at = kStart, .requests = 10, .turns = 5, .cpu_ns = 1'000'000'000, .main_cpu_ns = 900'000'000};

  Watched& see() {
    watch.note(next);
    next.at += 1s;
    return *this;
  }
  void burn(std::uint64_t milliseconds) { next.cpu_ns += milliseconds * 1'000'000; }
  void burn_in_loop(std::uint64_t milliseconds) {
    burn(milliseconds);
    next.main_cpu_ns += milliseconds * 1'000'000;
  }
  void poll(std::uint64_t returns) {
    next.polls.returns += returns;
    next.polls.same += returns;
  }
};

TEST(Stall, HasNoCpuShareBeforeItLasts) {
  EXPECT_EQ(Stall{}.cpu_share(), 0);
  EXPECT_EQ((Stall{.since = kStart, .until = kStart + 1s, .cpu_ns = 250'000'000}).cpu_share(), 0.25);
}

TEST(ProgressWatch, SeesNothingInAWorkerThatTurns) {
  Watched worker;
  worker.next.busy_since = kStart;
  for (int i = 0; i < 10; ++i) {
    worker.burn_in_loop(1000);
    ++worker.next.turns;
    ++worker.next.requests;
    worker.see();
  }
  ASSERT_TRUE(worker.watch.stuck());
  EXPECT_EQ(worker.watch.stuck()->lasts(), 0s);
  EXPECT_FALSE(worker.watch.halted());
  EXPECT_FALSE(worker.watch.polling());
}

TEST(ProgressWatch, MeasuresATurnThatLastsAndTheCpuTimeOfItsThread) {
  Watched worker;
  worker.see();
  worker.next.busy_since = kStart + 500ms;
  worker.see();
  for (int i = 0; i < 4; ++i) {
    worker.burn_in_loop(300);
    worker.burn(700);  // another thread
    worker.see();
  }
  const Stall stuck = worker.watch.stuck().value();
  EXPECT_EQ(stuck.since, kStart + 1s);
  EXPECT_EQ(stuck.lasts(), 4s);
  EXPECT_EQ(stuck.cpu_ns, 1'200'000'000U);
}

TEST(ProgressWatch, TakesTheCpuTimeOfAllThreadsWhereTheKernelTellsNoOther) {
  Watched worker;
  worker.next.main_cpu_ns = 0;
  worker.next.busy_since = kStart;
  worker.see();
  worker.burn(1000);
  worker.see();
  EXPECT_EQ(worker.watch.stuck()->cpu_ns, 1'000'000'000U);
}

TEST(ProgressWatch, BeginsAnewWithEveryTurnOrRequest) {
  Watched worker;
  worker.next.busy_since = kStart;
  worker.see().see();
  EXPECT_EQ(worker.watch.stuck()->lasts(), 1s);
  ++worker.next.turns;
  worker.see();
  EXPECT_EQ(worker.watch.stuck()->lasts(), 0s);
  worker.see();
  ++worker.next.requests;
  worker.see();
  EXPECT_EQ(worker.watch.stuck()->lasts(), 0s);
  worker.next.busy_since.reset();
  worker.see();
  EXPECT_FALSE(worker.watch.stuck());
}

TEST(ProgressWatch, SeesAWorkerThatCannotRun) {
  for (const char state : {'T', 't', 'D', 'Z'}) {
    Watched worker;
    worker.see();
    worker.next.state = state;
    worker.see().see().see();
    ASSERT_TRUE(worker.watch.halted()) << state;
    EXPECT_EQ(worker.watch.halted()->lasts(), 2s) << state;
    worker.next.state = 'S';
    worker.see();
    EXPECT_FALSE(worker.watch.halted()) << state;
  }
}

TEST(ProgressWatch, DoesNotTakeAWorkerForHaltedThatMovesBetweenTwoLooks) {
  Watched worker;
  worker.next.state = 'D';  // it waits for a disk each time
  worker.see().see();
  worker.burn(10);
  worker.see();
  EXPECT_EQ(worker.watch.halted()->lasts(), 0s);
  worker.see();
  ++worker.next.turns;
  worker.see();
  EXPECT_EQ(worker.watch.halted()->lasts(), 0s);
}

// `returns` in each of ten seconds, `requests` answered in each.
std::optional<Stall> polling(std::uint64_t returns, std::uint64_t same, std::uint64_t requests, bool hang_up,
                             std::uint32_t in_flight) {
  Watched worker;
  worker.next.in_flight = in_flight;
  if (in_flight > 0) worker.next.busy_since = common::TimePoint(1s);  // a handler runs
  worker.next.polls.hang_up = hang_up;
  worker.see();
  for (int i = 0; i < 10; ++i) {
    worker.next.polls.returns += returns;
    worker.next.polls.same += same;
    worker.next.requests += requests;
    worker.burn(600);
    worker.see();
  }
  return worker.watch.polling();
}

TEST(ProgressWatch, SeesAnEventLoopThatComesBackAtOnceWhileARequestWaits) {
  EXPECT_FALSE(polling(999, 999, 0, false, 1));
  const auto stall = polling(1000, 1000, 0, false, 1);
  ASSERT_TRUE(stall);
  EXPECT_EQ(stall->lasts(), 10s);
  EXPECT_EQ(stall->cpu_share(), 0.6);
}

TEST(ProgressWatch, WantsAHigherRateWhereNobodyWaits) {
  EXPECT_FALSE(polling(19'999, 19'999, 0, false, 0));
  EXPECT_TRUE(polling(20'000, 20'000, 0, false, 0));
}

TEST(ProgressWatch, SeesAHangUpThatNobodyHandlesEvenWhileRequestsGoOn) {
  EXPECT_FALSE(polling(100'000, 100'000, 50, false, 1));
  EXPECT_FALSE(polling(999, 999, 50, true, 0));
  EXPECT_TRUE(polling(1000, 1000, 50, true, 0));
}

// Of 100,000 returns each second, the last `run` were of the same event.
bool is_polling_with_runs(std::uint64_t run) {
  Watched worker;
  worker.next.polls.hang_up = true;
  worker.see();
  for (int i = 0; i < 10; ++i) {
    worker.next.polls.returns += 100'000;
    worker.next.polls.same = run;
    worker.see();
  }
  return worker.watch.polling().value_or(Stall{}).lasts() == 10s;
}

TEST(ProgressWatch, DoesNotTakeDifferentEventsForASpin) {
  EXPECT_FALSE(is_polling_with_runs(1));
  EXPECT_FALSE(is_polling_with_runs(99));
}

TEST(ProgressWatch, SeesASpinThatIsInterruptedNowAndThen) { EXPECT_TRUE(is_polling_with_runs(100)); }

TEST(ProgressWatch, BeginsAnewWhenTheEventChanges) {
  Watched worker;
  worker.next.polls.hang_up = true;
  worker.see();
  for (int i = 0; i < 3; ++i) {
    worker.poll(5000);
    worker.see();
  }
  EXPECT_EQ(worker.watch.polling()->lasts(), 3s);
  worker.next.polls.same = 99;
  worker.next.polls.returns += 5000;
  worker.see();
  EXPECT_FALSE(worker.watch.polling());
  worker.poll(5000);
  worker.see();
  EXPECT_EQ(worker.watch.polling()->lasts(), 1s);
}

TEST(ProgressWatch, SurvivesCountersThatGoBackwardsAndAClockThatStands) {
  Watched worker;
  worker.next.busy_since = kStart;
  worker.next.polls = {.returns = ~0ULL, .same = ~0ULL, .hang_up = true};
  worker.see();
  worker.next.polls = {.hang_up = true};
  worker.next.main_cpu_ns = 1;
  worker.see();
  EXPECT_EQ(worker.watch.stuck()->cpu_ns, 0U);
  EXPECT_FALSE(worker.watch.polling());
  worker.watch.note(worker.next);
  worker.watch.note(worker.next);
  EXPECT_FALSE(worker.watch.polling());
}

}  // namespace
}  // namespace master
