// HttpServer: a drain, as the clients see it who are connected when it begins.
#include <fcntl.h>
#include <gtest/gtest.h>

#include "drain_stage.h"

namespace {

using namespace std::chrono_literals;
using common::UniqueFd;
using test_stage::count;
using test_stage::get;
using test_stage::kDrainMax;
using test_stage::kGrace;
using Draining = test_stage::DrainStage;

TEST_F(Draining, SaysInTheNextAnswerThatItIsTheLast) {
  start();
  const UniqueFd kept = idle_client();
  drain();
  tell(kept, get("/next"));
  settle();
  const std::string answer = heard(kept);
  EXPECT_EQ(count(answer, "HTTP/1.1 200 OK"), 1U);
  EXPECT_EQ(count(answer, "Connection: close"), 1U);
  EXPECT_TRUE(answer.ends_with("(end)"));
}

TEST_F(Draining, LetsAnIdleClientSpeakForItsGraceAndThenEndsInOrder) {
  start();
  UniqueFd kept = idle_client();
  drain();
  pass(kGrace - 1ns);
  EXPECT_EQ(heard(kept), "") << "it still has time";
  pass(1ns);
  EXPECT_EQ(heard(kept), "(end)");
  EXPECT_EQ(server->connections(), 1U) << "half-closed: a request that crosses must not be answered by a reset";
  tell(kept, get("/crossing"));
  settle();
  EXPECT_EQ(heard(kept), "(end)");
  EXPECT_EQ(handler.targets, std::vector<std::string>{"/first"}) << "a client that repeats it must not be served twice";
  kept.reset();
  settle();
  EXPECT_TRUE(server->is_empty());
}

TEST_F(Draining, AnswersARequestThatLiesInTheKernelWhenTheGraceEnds) {
  start();
  const UniqueFd kept = idle_client();
  drain();
  now += kGrace;
  tell(kept, get("/late"));
  server->on_time(now);
  settle();
  EXPECT_EQ(count(heard(kept), "HTTP/1.1 200 OK"), 1U);
}

TEST_F(Draining, AnswersARequestThatLiesInTheRingWhenTheGraceEnds) {
  start();
  const UniqueFd kept = idle_client();
  drain();
  tell(kept, get("/late"));
  ring->turn(now + 1s, now);
  ASSERT_TRUE(ring->has_completions());
  now += kGrace;
  server->on_time(now);
  settle();
  EXPECT_EQ(count(heard(kept), "HTTP/1.1 200 OK"), 1U);
}

TEST_F(Draining, AnswersARequestThatLiesInTheKernelWhenAKeepAliveTimeoutEnds) {
  start();
  const UniqueFd kept = idle_client();
  now += common::TimeoutSettings{}.keep_alive;
  tell(kept, get("/late"));
  server->on_time(now);
  settle();
  EXPECT_EQ(count(heard(kept), "HTTP/1.1 200 OK"), 1U);
}

TEST_F(Draining, LeavesAPollersConnectionOpenUntilTwiceItsLongestPause) {
  start();
  const UniqueFd poller = idle_client();
  const UniqueFd idle = idle_client();
  pass(5s);
  tell(poller, get("/poll"));
  settle();
  EXPECT_EQ(count(heard(poller), "HTTP/1.1 200 OK"), 1U);
  drain();
  pass(kGrace);
  EXPECT_EQ(heard(idle), "(end)");
  for (int i = 0; i < 3; ++i) pass(kGrace);
  EXPECT_EQ(heard(poller), "") << "it paused 5 s before, and it is 8 s";
  pass(kGrace);
  EXPECT_EQ(heard(poller), "(end)");
}

TEST_F(Draining, AnswersAPollerThatComesBackWhenItUsuallyDoes) {
  start();
  const UniqueFd poller = idle_client();
  pass(8s);
  tell(poller, get("/poll"));
  settle();
  EXPECT_EQ(count(heard(poller), "HTTP/1.1 200 OK"), 1U);
  drain();
  for (int i = 0; i < 4; ++i) pass(2s);
  tell(poller, get("/poll"));
  settle();
  EXPECT_EQ(count(heard(poller), "Connection: close"), 1U);
}

TEST_F(Draining, GivesEverybodyWhoIsSilentAFinBeforeTheWorkerIsKilled) {
  start();
  UniqueFd poller = idle_client();
  pass(40s);
  tell(poller, get("/poll"));
  settle();
  EXPECT_EQ(count(heard(poller), "HTTP/1.1 200 OK"), 1U);
  drain();
  for (common::Duration passed{}; passed < kDrainMax * 3 / 4 - 1s; passed += 1s) pass(1s);
  UniqueFd silent = client();
  const UniqueFd given(fcntl(silent.get(), F_DUPFD_CLOEXEC, 0));
  pass(1s - 1ns);
  EXPECT_EQ(heard(poller), "");
  pass(1ns);
  EXPECT_EQ(heard(poller), "(end)");
  pass(kDrainMax / 8);
  EXPECT_TRUE(server->is_empty()) << "a client that does not close costs no more than an eighth";
}

TEST_F(Draining, LetsANewConnectionSpeakAsLongAsAnyOther) {
  start();
  const UniqueFd silent = client();
  settle();
  drain();
  pass(common::TimeoutSettings{}.header - 1ms);
  tell(silent, get("/at-last"));
  settle();
  EXPECT_EQ(count(heard(silent), "HTTP/1.1 200 OK"), 1U);
}

TEST_F(Draining, ReadsARequestHalfReceivedToItsEnd) {
  start();
  const UniqueFd slow = client();
  tell(slow, "POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
  settle();
  drain();
  pass(kGrace * 3);
  tell(slow, "cd");
  settle();
  const std::string answer = heard(slow);
  EXPECT_EQ(count(answer, "HTTP/1.1 200 OK"), 1U);
  EXPECT_EQ(count(answer, "Connection: close"), 1U);
}

TEST_F(Draining, GivesASlowReaderItsWholeAnswer) {
  start();
  handler.body.assign(std::size_t{8} * 1024 * 1024, 'x');
  const UniqueFd slow = client();
  tell(slow, get("/large"));
  settle();
  drain();
  std::string answer;
  for (int i = 0; i < 200 && answer.size() <= handler.body.size(); ++i) {
    pass(1ms);
    answer += heard(slow);
  }
  EXPECT_GT(answer.size(), handler.body.size());
  EXPECT_TRUE(answer.ends_with("x"));
  pass(kGrace);
  EXPECT_EQ(heard(slow), "(end)") << "its answer was made before the drain and promised more";
}

// More than one buffer of the ring holds, so a part is here, a part with the ring, and a part with the kernel.
TEST_F(Draining, AnswersAllPipelinedRequestsThatHaveComeAndClosesWithTheLast) {
  start();
  const UniqueFd pipelining = client();
  settle();
  drain();
  constexpr std::size_t kRequests = 1000;
  std::string requests;
  for (std::size_t i = 0; i < kRequests; ++i) requests += get("/" + std::to_string(10000 + i));
  tell(pipelining, requests);
  settle();
  const std::string answers = heard(pipelining);
  EXPECT_EQ(count(answers, "HTTP/1.1 200 OK"), kRequests);
  EXPECT_EQ(count(answers, "Connection: close"), 1U);
  EXPECT_TRUE(answers.ends_with("(end)"));
}

TEST_F(Draining, AnswersWhatComesWhileAHandlerIsBusy) {
  start();
  const UniqueFd pipelining = idle_client();
  drain();
  handler.on_request = [&] {
    handler.on_request = nullptr;
    tell(pipelining, get("/meanwhile"));
  };
  tell(pipelining, get("/busy"));
  settle();
  const std::string answers = heard(pipelining);
  EXPECT_EQ(count(answers, "HTTP/1.1 200 OK"), 2U);
  EXPECT_EQ(count(answers, "Connection: close"), 1U);
}

TEST_F(Draining, EndsAClientThatNeverStopsSendingAtTheLastCall) {
  start();
  const UniqueFd endless = idle_client();
  handler.on_request = [&] { tell(endless, get("/again")); };
  drain();
  now += kDrainMax * 3 / 4 - 1ns;
  tell(endless, get("/again"));
  for (int i = 0; i < 50; ++i) {
    ring->turn(now + 1ms, now);
    handle_completions();
    server->on_time(now);
  }
  EXPECT_EQ(count(heard(endless), "Connection: close"), 0U);
  const std::size_t heeded = handler.targets.size();
  ++now;
  server->on_time(now);
  settle();
  EXPECT_EQ(handler.targets.size(), heeded + 1);
  EXPECT_EQ(count(heard(endless), "Connection: close"), 1U);
}

}  // namespace
