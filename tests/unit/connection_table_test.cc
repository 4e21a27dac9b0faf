// ConnectionTable: the order of deadlines, and who is evicted first.
#include "worker/connection_table.h"

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using worker::Connection;
using worker::ConnectionState;
using worker::ConnectionTable;

const common::TimePoint kStart{1000s};

common::TimeoutSettings timeouts() {
  common::TimeoutSettings settings;
  settings.header = 10s;
  settings.keep_alive = 75s;
  settings.write = 0s;
  return settings;
}

TEST(ConnectionTable, GivesANewConnectionTheHeaderDeadline) {
  ConnectionTable table(timeouts());
  const Connection& connection = table.add(7, kStart);
  EXPECT_EQ(connection.state, ConnectionState::kNew);
  EXPECT_EQ(connection.deadline, kStart + 10s);
  EXPECT_EQ(table.next_deadline(), kStart + 10s);
}

TEST(ConnectionTable, ExpiresAtTheDeadlineAndNotBefore) {
  ConnectionTable table(timeouts());
  Connection& connection = table.add(7, kStart);
  EXPECT_EQ(table.expired(kStart + 10s - 1ns), nullptr);
  EXPECT_EQ(table.expired(kStart + 10s), &connection);
}

TEST(ConnectionTable, RenewsTheDeadlineOfAStateEnteredAgain) {
  ConnectionTable table(timeouts());
  Connection& first = table.add(7, kStart);
  Connection& second = table.add(8, kStart + 1s);
  table.enter(first, ConnectionState::kHead, kStart);
  table.enter(second, ConnectionState::kHead, kStart + 1s);
  table.enter(first, ConnectionState::kHead, kStart + 2s);
  EXPECT_EQ(table.next_deadline(), kStart + 11s);
  EXPECT_EQ(table.oldest(ConnectionState::kHead), &second);
}

TEST(ConnectionTable, FindsTheEarliestDeadlineOverAllStates) {
  ConnectionTable table(timeouts());
  table.enter(table.add(7, kStart), ConnectionState::kIdle, kStart);
  table.add(8, kStart + 60s);
  EXPECT_EQ(table.next_deadline(), kStart + 70s);
}

TEST(ConnectionTable, LetsAStateWithoutPatienceWaitForEver) {
  ConnectionTable table(timeouts());
  table.enter(table.add(7, kStart), ConnectionState::kWriting, kStart);
  EXPECT_EQ(table.next_deadline(), std::nullopt);
  EXPECT_EQ(table.expired(kStart + 1000h), nullptr);
}

TEST(ConnectionTable, NamesTheConnectionThatHasBeenIdleLongest) {
  ConnectionTable table(timeouts());
  Connection& late = table.add(7, kStart);
  Connection& early = table.add(8, kStart);
  table.enter(early, ConnectionState::kIdle, kStart + 1s);
  table.enter(late, ConnectionState::kIdle, kStart + 2s);
  EXPECT_EQ(table.oldest(ConnectionState::kIdle), &early);
  table.remove(early);
  EXPECT_EQ(table.oldest(ConnectionState::kIdle), &late);
  EXPECT_EQ(table.count(ConnectionState::kIdle), 1U);
}

TEST(ConnectionTable, SparesNobodyWhoIsBusy) {
  ConnectionTable table(timeouts());
  table.enter(table.add(7, kStart), ConnectionState::kHead, kStart);
  table.enter(table.add(8, kStart), ConnectionState::kBody, kStart);
  table.enter(table.add(9, kStart), ConnectionState::kWriting, kStart);
  table.enter(table.add(10, kStart), ConnectionState::kClosing, kStart);
  EXPECT_EQ(table.first_to_go(kStart + 1h), nullptr);
}

TEST(ConnectionTable, SparesTheIdleThenTheLingeringThenTheSilent) {
  ConnectionTable table(timeouts());
  Connection& silent = table.add(7, kStart);
  Connection& lingering = table.add(8, kStart);
  table.enter(lingering, ConnectionState::kLingering, kStart);
  Connection& idle = table.add(9, kStart);
  table.enter(idle, ConnectionState::kIdle, kStart + 1s);
  EXPECT_EQ(table.first_to_go(kStart + 2s), &idle);
  table.remove(idle);
  EXPECT_EQ(table.first_to_go(kStart + 2s), &lingering);
  table.remove(lingering);
  EXPECT_EQ(table.first_to_go(kStart + 2s), &silent);
}

TEST(ConnectionTable, GivesASilentConnectionASecondToSpeakAndNotMore) {
  ConnectionTable table(timeouts());
  Connection& silent = table.add(7, kStart);
  EXPECT_EQ(table.first_to_go(kStart + worker::kSilentMin - 1ns), nullptr);
  EXPECT_EQ(table.first_to_go(kStart + worker::kSilentMin), &silent);
}

TEST(ConnectionTable, ReusesAnIndexOnlyAfterItWasGivenBack) {
  ConnectionTable table(timeouts());
  const std::uint32_t first = table.add(7, kStart).index;
  EXPECT_NE(table.add(8, kStart).index, first);
  table.remove(table.at(first));
  EXPECT_EQ(table.add(9, kStart).index, first);
  EXPECT_EQ(table.size(), 2U);
}

TEST(ConnectionTable, ShortensTheDeadlinesOfPresentAndFutureIdleConnections) {
  ConnectionTable table(timeouts());
  Connection& nearly_over = table.add(7, kStart);
  table.enter(nearly_over, ConnectionState::kIdle, kStart - 74s);
  Connection& fresh = table.add(8, kStart);
  table.enter(fresh, ConnectionState::kIdle, kStart);
  Connection& later = table.add(9, kStart);

  table.shorten(ConnectionState::kIdle, 2s, kStart);
  EXPECT_EQ(nearly_over.deadline, kStart + 1s);
  EXPECT_EQ(fresh.deadline, kStart + 2s);
  table.enter(later, ConnectionState::kIdle, kStart + 5s);
  EXPECT_EQ(later.deadline, kStart + 7s);
}

TEST(ConnectionTable, ShortensOneStateAndNeverProlongsIt) {
  ConnectionTable table(timeouts());
  Connection& unlimited = table.add(7, kStart);
  Connection& fresh = table.add(8, kStart);
  table.shorten(ConnectionState::kWriting, 5s, kStart);
  table.shorten(ConnectionState::kWriting, 9s, kStart);
  table.enter(unlimited, ConnectionState::kWriting, kStart);
  EXPECT_EQ(unlimited.deadline, kStart + 5s);
  EXPECT_EQ(fresh.deadline, kStart + 10s);
}

TEST(ConnectionTableDeathTest, RefusesToForgetWhatTheKernelStillHolds) {
  ConnectionTable table(timeouts());
  Connection& connection = table.add(7, kStart);
  connection.receive = worker::ReceiveArm::kArmed;
  EXPECT_DEATH(table.remove(connection), "CHECK");
}

TEST(ConnectionState, IsSilentWhenNeitherSideOwesTheOtherAnything) {
  for (std::size_t i = 0; i < worker::kConnectionStates; ++i) {
    const auto state = static_cast<ConnectionState>(i);
    EXPECT_EQ(worker::is_silent(state), state == ConnectionState::kNew || state == ConnectionState::kIdle);
  }
}

TEST(IdleRhythm, LastsForTwiceTheLongestPause) {
  EXPECT_TRUE(worker::keeps_its_rhythm(10s - 1ns, 5s, timeouts()));
  EXPECT_FALSE(worker::keeps_its_rhythm(10s, 5s, timeouts()));
  EXPECT_FALSE(worker::keeps_its_rhythm(0s, 0s, timeouts())) << "it has shown none";
}

TEST(IdleRhythm, NeverOutlastsTheKeepAliveTimeout) {
  EXPECT_TRUE(worker::keeps_its_rhythm(75s - 1ns, 60s, timeouts()));
  EXPECT_FALSE(worker::keeps_its_rhythm(75s, 60s, timeouts()));
  common::TimeoutSettings unlimited = timeouts();
  unlimited.keep_alive = 0s;
  EXPECT_TRUE(worker::keeps_its_rhythm(75s, 60s, unlimited));
}

TEST(ConnectionState, AnswersOnlyARequestThatIsOwed) {
  EXPECT_EQ(worker::expiry_of(ConnectionState::kHead), worker::Expiry::kAnswer408);
  EXPECT_EQ(worker::expiry_of(ConnectionState::kBody), worker::Expiry::kAnswer408);
  EXPECT_EQ(worker::expiry_of(ConnectionState::kNew), worker::Expiry::kClose);
  EXPECT_EQ(worker::expiry_of(ConnectionState::kIdle), worker::Expiry::kHalfClose);
  EXPECT_EQ(worker::expiry_of(ConnectionState::kWriting), worker::Expiry::kAbort);
}

}  // namespace
