// The judgement: each kind of loss is found in a history made by hand, and what is excused is excused exactly.
#include "judgement.h"

#include <gtest/gtest.h>

namespace lifecycle {
namespace {

constexpr pid_t kServer = 100;
constexpr std::uint16_t kPort = 40'000;

common::TimePoint at(int milliseconds) { return common::TimePoint(std::chrono::milliseconds(milliseconds)); }

Attempt attempt(std::uint32_t id, Ending ending, int sent = 10, int ended = 20) {
  Attempt one;
  one.id = id;
  one.kind = Kind::kKeepAlive;
  one.ending = ending;
  one.server = kServer;
  one.port = kPort;
  one.connected = at(5);
  one.sent = at(sent);
  one.ended = at(ended);
  return one;
}

Attempt answer(std::uint32_t id, int sent = 10, int ended = 20, char letter = 'A', std::uint32_t generation = 1) {
  Attempt one = attempt(id, Ending::kAnswered, sent, ended);
  one.letter = letter;
  one.generation = generation;
  return one;
}

History history(std::vector<Attempt> attempts, std::vector<std::uint8_t> executions = {1, 1, 1, 1}) {
  History result;
  result.attempts = std::move(attempts);
  result.executions = std::move(executions);
  result.epochs = {{.letter = 'A', .generation = 1, .begins = at(0)}};
  result.grace = std::chrono::milliseconds(200);
  result.drain_max = std::chrono::milliseconds(200);
  return result;
}

Death death(int when, std::vector<std::uint16_t> ports = {kPort}) {
  return {.pid = kServer, .at = at(when), .ports = std::move(ports)};
}

TEST(Judgement, FindsNothingWhereAllIsAnsweredOnce) {
  const Judgement judgement = judge(history({answer(0), answer(1), answer(2)}));
  EXPECT_EQ(judgement.findings(), 0U) << judgement;
  EXPECT_EQ(judgement.answers(), 3U);
  EXPECT_EQ(judgement.answered[static_cast<std::size_t>(Kind::kKeepAlive)], 3U);
}

TEST(Judgement, CountsEveryWayToFail) {
  for (const Ending ending : {Ending::kTurnedAway, Ending::kRefused, Ending::kReset, Ending::kTruncated,
                              Ending::kUnanswered, Ending::kTimedOut, Ending::kWrong}) {
    const Judgement judgement = judge(history({answer(0), attempt(1, ending)}));
    EXPECT_EQ(judgement.failures(ending), 1U) << name_of(ending);
    EXPECT_EQ(judgement.findings(), 1U) << judgement;
    EXPECT_FALSE(judgement.examples.empty());
  }
}

TEST(Judgement, FindsBytesThatNobodyAskedFor) {
  EXPECT_EQ(judge(history({answer(0), attempt(0, Ending::kSurplus)})).failures(Ending::kSurplus), 1U);
}

TEST(Judgement, AllowsToSendAgainWhatWasNotAccepted) {
  const Judgement judgement = judge(history({attempt(0, Ending::kNotAccepted), answer(0, 30, 40)}));
  EXPECT_EQ(judgement.findings(), 0U) << judgement;
  EXPECT_EQ(judgement.resent, 1U);
}

TEST(Judgement, FindsARequestThatWasNeverTriedToTheEnd) {
  EXPECT_EQ(judge(history({attempt(0, Ending::kNotAccepted)})).forgotten, 1U);
  EXPECT_EQ(judge(history({attempt(0, Ending::kNotSent, 10, 200)})).forgotten, 1U);
}

TEST(Judgement, FindsTwoAnswersToOneRequest) {
  EXPECT_EQ(judge(history({answer(0), answer(0, 30, 40)})).answered_twice, 1U);
}

TEST(Judgement, FindsARequestThatWasExecutedTwiceThoughAnsweredOnce) {
  const Judgement judgement = judge(history({attempt(0, Ending::kNotAccepted), answer(0, 30, 40)}, {2}));
  EXPECT_EQ(judgement.executed_twice, 1U);
  EXPECT_EQ(judgement.findings(), 1U);
}

TEST(Judgement, FindsAnAnswerWithoutAnExecution) {
  EXPECT_EQ(judge(history({answer(0), answer(1)}, {1, 0})).never_executed, 1U);
  EXPECT_EQ(judge(history({answer(0), answer(1)}, {1})).never_executed, 1U);
}

TEST(Judgement, LetsASilentConnectionGoAfterHalfItsGraceAndNotBefore) {
  EXPECT_EQ(judge(history({attempt(0, Ending::kNotSent, 10, 110), answer(0, 120, 130)})).hasty, 0U);
  EXPECT_EQ(judge(history({attempt(0, Ending::kNotSent, 10, 109), answer(0, 120, 130)})).hasty, 1U);
}

TEST(Judgement, ExcusesOnlyConnectionsThatTheKilledWorkerHeld) {
  History killed = history({attempt(0, Ending::kReset)});
  killed.deaths = {death(15)};
  EXPECT_EQ(judge(killed).findings(), 0U);
  EXPECT_EQ(judge(killed).excused_by_death, 1U);
  killed.deaths = {death(15, {kPort + 1})};
  EXPECT_EQ(judge(killed).findings(), 1U) << "it was in the queue, or with another worker";
  killed.deaths = {death(21)};
  EXPECT_EQ(judge(killed).findings(), 1U) << "it had failed before";
  killed.deaths = {death(4)};
  EXPECT_EQ(judge(killed).findings(), 1U) << "another connection had that port";
}

TEST(Judgement, ExcusesNeitherTimeoutsNorWrongAnswersNorRefusalsByADeath) {
  for (const Ending ending : {Ending::kTimedOut, Ending::kWrong, Ending::kRefused, Ending::kTurnedAway}) {
    History killed = history({attempt(0, ending)});
    killed.deaths = {death(15)};
    EXPECT_EQ(judge(killed).failures(ending), 1U) << name_of(ending);
  }
}

TEST(Judgement, ExcusesUnixConnectionsByThePidThatAnswered) {
  Attempt lost = attempt(0, Ending::kUnanswered);
  lost.kind = Kind::kUnixSocket;
  lost.port = 0;
  History killed = history({lost});
  killed.deaths = {death(15, {})};
  EXPECT_EQ(judge(killed).findings(), 0U);
  killed.attempts[0].server = kServer + 1;
  EXPECT_EQ(judge(killed).findings(), 1U);
  killed.attempts[0].server = 0;
  EXPECT_EQ(judge(killed).findings(), 0U) << "it may have been accepted by the one that died";
}

TEST(Judgement, ExcusesAShortWorkerThatTurnsAwayOrClosesSilentConnections) {
  History shortage = history({attempt(0, Ending::kTurnedAway), attempt(1, Ending::kNotSent), answer(1, 30, 40)});
  EXPECT_EQ(judge(shortage).findings(), 2U);
  shortage.shortages = {{.pid = kServer, .from = at(20), .until = at(25)}};
  EXPECT_EQ(judge(shortage).findings(), 0U);
  EXPECT_EQ(judge(shortage).excused_by_shortage, 2U);
  shortage.shortages[0].from = at(21);
  EXPECT_EQ(judge(shortage).findings(), 2U);
  shortage.shortages[0] = {.pid = kServer + 1, .from = at(0), .until = at(50)};
  EXPECT_EQ(judge(shortage).findings(), 2U) << "another worker was short";
}

TEST(Judgement, ExcusesByAShortageOnlyWhatTheApplicationNeverSaw) {
  for (const Ending ending : {Ending::kUnanswered, Ending::kReset}) {
    History shortage = history({attempt(0, ending)}, {0});
    shortage.shortages = {{.pid = kServer, .from = at(0), .until = at(50)}};
    EXPECT_EQ(judge(shortage).findings(), 0U) << name_of(ending);
    shortage.executions = {1};
    EXPECT_EQ(judge(shortage).findings(), 1U) << name_of(ending);
  }
}

TEST(Judgement, DoesNotExcuseHalfAnAnswerByAShortage) {
  History shortage = history({attempt(0, Ending::kTruncated)}, {0});
  shortage.shortages = {{.pid = kServer, .from = at(0), .until = at(50)}};
  EXPECT_EQ(judge(shortage).findings(), 1U);
}

History reloaded(const Attempt& one) {
  History result = history({one});
  result.epochs[0].ends = at(60);
  result.epochs.push_back({.letter = 'B', .generation = 2, .begins = at(50)});
  return result;
}

Attempt on_new_connection(Attempt one) {
  one.connected = one.sent;
  return one;
}

TEST(Judgement, AllowsBothGenerationsWithinAReloadAndOneOutside) {
  EXPECT_EQ(judge(reloaded(answer(0, 40, 49, 'A', 1))).wrong_generation, 0U);
  EXPECT_EQ(judge(reloaded(answer(0, 52, 55, 'A', 1))).wrong_generation, 0U);
  EXPECT_EQ(judge(reloaded(answer(0, 52, 55, 'B', 2))).wrong_generation, 0U);
  EXPECT_EQ(judge(reloaded(answer(0, 61, 70, 'B', 2))).wrong_generation, 0U);
  EXPECT_EQ(judge(reloaded(answer(0, 60, 70, 'A', 1))).wrong_generation, 0U) << "asked when it was still allowed";
  EXPECT_EQ(judge(reloaded(on_new_connection(answer(0, 61, 70, 'A', 1)))).wrong_generation, 1U);
  EXPECT_EQ(judge(reloaded(answer(0, 40, 49, 'B', 2))).wrong_generation, 1U);
  EXPECT_EQ(judge(reloaded(answer(0, 40, 50, 'B', 2))).wrong_generation, 0U);
}

TEST(Judgement, LetsAnOldGenerationServeItsConnectionsWhileItMayDrain) {
  EXPECT_EQ(judge(reloaded(answer(0, 260, 270, 'A', 1))).wrong_generation, 0U);
  EXPECT_EQ(judge(reloaded(answer(0, 261, 270, 'A', 1))).wrong_generation, 1U);
  EXPECT_EQ(judge(reloaded(on_new_connection(answer(0, 260, 270, 'A', 1)))).wrong_generation, 1U);
}

TEST(Judgement, FindsABuildUnderTheNumberOfAnotherGeneration) {
  EXPECT_EQ(judge(reloaded(answer(0, 52, 55, 'B', 1))).wrong_generation, 1U);
  EXPECT_EQ(judge(reloaded(answer(0, 52, 55, 'A', 2))).wrong_generation, 1U);
  EXPECT_EQ(judge(reloaded(answer(0, 61, 70, 'B', 3))).wrong_generation, 1U);
}

}  // namespace
}  // namespace lifecycle
