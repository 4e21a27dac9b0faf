// SampleWindow and Sample: what counts as leaked, and what the worker's memory may say.
#include "master/sample_window.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <array>

namespace master {
namespace {

using namespace std::chrono_literals;

const common::TimePoint kStart{1000s};

// A worker with 15 descriptors of the server's and 5 of the application's, sampled every second.
struct Sampled {
  SampleWindow window{3U};
  Sample next{.at = kStart, .owned = 15, .baseline = 5, .turns = 1};

  // What the master sees beside the 20.
  std::uint64_t see(std::uint64_t more) {
    next.fds_total = 20 + more;
    window.push(next);
    next.at += 1s;
    return window.samples().back().leaked();
  }
  // The worker has counted, and found `more` beside the 5.
  void count_quietly(std::uint64_t more, common::Duration ago = 500ms) {
    next.quiet_fds = 5 + more;
    next.quiet_at = next.at - ago;
  }
  void wait() { next.busy_since.reset(); }
  void begin_turn() { next.busy_since = next.at - 1ms; }
  void end_turn() { ++next.turns; }
};

TEST(Sample, IsLeakingWhatNeitherServerNorStartExplains) {
  EXPECT_EQ((Sample{.fds_total = 30, .owned = 15, .baseline = 5}).leaked(), 10U);
  EXPECT_EQ((Sample{.fds_total = 20, .owned = 15, .baseline = 5}).leaked(), 0U);
  EXPECT_EQ((Sample{.fds_total = 10, .owned = 15, .baseline = 5}).leaked(), 0U);
}

TEST(SampleWindow, KeepsTwiceTheSamplesInOrder) {
  SampleWindow window(2U);
  for (std::uint64_t requests = 1; requests <= 100; ++requests) {
    window.push({.requests = requests});
    EXPECT_EQ(window.samples().size(), std::min<std::uint64_t>(requests, 4));
    EXPECT_EQ(window.samples().front().requests, requests < 4 ? 1 : requests - 3);
    EXPECT_EQ(window.samples().back().requests, requests);
  }
}

TEST(SampleWindow, KeepsFourSamplesAtLeast) {
  SampleWindow window(0U);
  for (int i = 0; i < 10; ++i) window.push({});
  EXPECT_EQ(window.samples().size(), 4U);
}

TEST(SampleWindow, BelievesItsOwnLookWhereTheWorkerSaysNothing) {
  Sampled worker;
  EXPECT_EQ(worker.see(0), 0U);
  worker.end_turn();
  EXPECT_EQ(worker.see(500), 500U);
  worker.begin_turn();
  worker.end_turn();
  EXPECT_EQ(worker.see(600), 600U);
}

TEST(SampleWindow, DoesNotCountABurstOfAHandlerThatTheWorkerHasSeenTheEndOf) {
  Sampled worker;
  for (int i = 0; i < 100; ++i) {
    worker.end_turn();
    worker.begin_turn();
    worker.count_quietly(0);
    EXPECT_EQ(worker.see(500), 0U);
  }
}

TEST(SampleWindow, CountsWhatIsThereInBothLooks) {
  Sampled worker;
  worker.count_quietly(40);
  EXPECT_EQ(worker.see(500), 40U);
  worker.count_quietly(40);
  EXPECT_EQ(worker.see(10), 10U);  // closed since
}

TEST(SampleWindow, TakesACountForNewWhateverItsStamp) {
  Sampled worker;
  worker.see(0);
  worker.see(0);
  worker.end_turn();
  worker.begin_turn();
  worker.count_quietly(0, 1500ms);  // stamped with the beginning of a long turn, counted at its end
  EXPECT_EQ(worker.see(500), 0U);
}

TEST(SampleWindow, DoesNotBelieveAnOldCount) {
  Sampled worker;
  worker.count_quietly(0);
  worker.see(0);
  EXPECT_EQ(worker.see(500), 500U);  // a thread of the application, while the loop waits
}

TEST(SampleWindow, DoesNotCountWhatAHandlerHoldsThatHasNotReturned) {
  Sampled worker;
  worker.count_quietly(7);
  worker.see(7);
  worker.begin_turn();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(worker.see(500), 7U);
  worker.end_turn();
  worker.wait();
  EXPECT_EQ(worker.see(500), 500U);  // it has returned, and not closed them
}

TEST(SampleWindow, DoesNotHideALeakBehindLongHandlers) {
  Sampled worker;
  std::uint64_t seen = 0;
  for (std::uint64_t i = 0; i < 20; ++i) {
    worker.end_turn();
    worker.begin_turn();
    worker.count_quietly(i * 10);
    seen = worker.see(i * 10 + 500);
    seen = worker.see(i * 10 + 500);
  }
  EXPECT_EQ(seen, 190U);
}

TEST(SampleWindow, TellsTheTrendsOfItsSamples) {
  Sampled worker;
  worker.next.state = 'T';
  worker.begin_turn();
  worker.see(0);
  worker.see(0);
  const Trends trends = worker.window.trends();
  ASSERT_TRUE(trends.halted);
  EXPECT_EQ(trends.halted->lasts(), 1s);
  ASSERT_TRUE(trends.stuck);
  EXPECT_EQ(trends.stuck->lasts(), 1s);
  EXPECT_FALSE(trends.polling);
  EXPECT_FALSE(trends.growth);
}

// ---- taking a sample

struct Worker {
  ProcessSample process{
      .fds = 30, .rss_bytes = 5, .cpu_ns = 6, .main_cpu_ns = 7, .state = 'D', .open_files_soft = 1024};
  common::WorkerGauges gauges{};
  common::PollWatch polls{};
};

TEST(TakeSample, CopiesWhatWasMeasured) {
  Worker worker;
  worker.gauges.owned_fds = 15;
  worker.gauges.baseline_fds = 5;
  worker.gauges.requests = 100;
  worker.gauges.quiet_fds = 9;
  worker.gauges.quiet_at_ns = 999'000'000'000;
  worker.gauges.turns = 50;
  worker.gauges.busy_since_ns = 998'000'000'000;
  worker.gauges.in_flight = 3;
  worker.polls.returns = 11;
  worker.polls.same = 12;
  const Sample sample = take_sample(
      {.process = worker.process, .gauges = worker.gauges, .polls = &worker.polls, .close_wait = CloseWaitCount{1}},
      kStart);
  EXPECT_EQ(sample.at, kStart);
  EXPECT_EQ(sample.fds_total, 30U);
  EXPECT_EQ(sample.leaked(), 10U);
  EXPECT_EQ(sample.rss, 5U);
  EXPECT_EQ(sample.requests, 100U);
  EXPECT_EQ(sample.quiet_fds, 9U);
  EXPECT_EQ(sample.quiet_at, kStart - 1s);
  EXPECT_EQ(sample.turns, 50U);
  EXPECT_EQ(sample.busy_since, kStart - 2s);
  EXPECT_EQ(sample.in_flight, 3U);
  EXPECT_EQ(sample.cpu_ns, 6U);
  EXPECT_EQ(sample.main_cpu_ns, 7U);
  EXPECT_EQ(sample.state, 'D');
  EXPECT_EQ(sample.open_files_soft, 1024U);
  EXPECT_EQ(sample.polls.returns, 11U);
  EXPECT_EQ(sample.polls.same, 12U);
  EXPECT_EQ(sample.close_wait.value().now, 1U);
}

TEST(TakeSample, TakesAWaitingWorkerWithoutMemoryForWhatItIs) {
  Worker worker;
  const Sample sample = take_sample({.process = worker.process, .gauges = worker.gauges}, kStart);
  EXPECT_EQ(sample.busy_since, std::nullopt);
  EXPECT_EQ(sample.close_wait.has_value(), false);
  EXPECT_EQ(sample.polls.returns, 0U);
  EXPECT_EQ(sample.quiet_at, common::TimePoint{});
}

TEST(TakeSample, DoesNotBelieveInTheFuture) {
  for (const std::uint64_t nonsense : {1'000'000'000'001ULL, 1ULL << 63U, ~0ULL}) {
    Worker worker;
    worker.gauges.quiet_at_ns = nonsense;
    worker.gauges.busy_since_ns = nonsense;
    const Sample sample = take_sample({.process = worker.process, .gauges = worker.gauges}, kStart);
    EXPECT_EQ(sample.busy_since, kStart);
    EXPECT_EQ(sample.quiet_at, kStart);
  }
}

TEST(TakeSample, SeesAHangUpInTheEventOrInTheSocket) {
  Worker worker;
  const std::array<int, 2> close_wait = {30, 31};
  const auto hang_up = [&](std::uint32_t events, std::uint64_t data) {
    worker.polls.events = events;
    worker.polls.data = data;
    return take_sample({.process = worker.process,
                        .gauges = worker.gauges,
                        .polls = &worker.polls,
                        .close_wait_fds = close_wait},
                       kStart)
        .polls.hang_up;
  };
  EXPECT_FALSE(hang_up(EPOLLIN, 29));
  EXPECT_TRUE(hang_up(EPOLLIN, 30));
  EXPECT_TRUE(hang_up(EPOLLIN | EPOLLRDHUP, 29));
  EXPECT_TRUE(hang_up(EPOLLHUP, 29));
  EXPECT_TRUE(hang_up(EPOLLERR, 29));
}

}  // namespace
}  // namespace master
