// Notify: what the service manager is told in the life of a service, and when it is left without a word.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <string>
#include <vector>

#include "support/activator.h"
#include "support/supervisor_process.h"

namespace {

using support::Activator;
using support::Deadline;
using support::SupervisorProcess;
using ::testing::ElementsAre;

// The words that change what the manager thinks of the service, in order.
std::vector<std::string> stages(Activator& activator) {
  std::vector<std::string> result;
  for (const std::string& word : activator.words()) {
    if (word == "READY=1" || word == "RELOADING=1" || word == "STOPPING=1") result.push_back(word);
  }
  return result;
}

TEST(Notify, IsReadyWithTheLastWorkerAndStopsBeforeTheFirstLeaves) {
  Activator activator;
  {
    SupervisorProcess server(activator.options({.arguments = {"--workers", "3"}}));
    ASSERT_TRUE(activator.wait_words("READY=1"));
    EXPECT_EQ(server.status()->ready_by_slot().size(), 3U) << "not earlier";
    server.signal(SIGTERM);
    ASSERT_TRUE(activator.wait_words("STOPPING=1"));
    EXPECT_EQ(server.wait_exit(), 0);
  }
  EXPECT_THAT(stages(activator), ElementsAre("READY=1", "STOPPING=1"));
}

TEST(Notify, TellsOfAReloadAndOfItsEnd) {
  Activator activator;
  SupervisorProcess server(activator.options({.arguments = {"--workers", "2"}}));
  ASSERT_TRUE(activator.wait_words("READY=1"));
  server.signal(SIGHUP);
  ASSERT_TRUE(activator.wait_words("READY=1", 2));
  EXPECT_THAT(stages(activator), ElementsAre("READY=1", "RELOADING=1", "READY=1"));
  EXPECT_EQ(activator.count("MONOTONIC_USEC="), 1U);
}

TEST(Notify, TellsOfARefusedReloadWithTheReason) {
  const support::TemporaryDirectory directory;
  const std::string file = directory.write("app.toml", "[workers]\ncount = 1\n");
  Activator activator;
  SupervisorProcess server(activator.options({.arguments = {"--config", file}}));
  ASSERT_TRUE(activator.wait_words("READY=1"));
  std::ofstream(file) << "[workers]\ncuont = 1\n";
  server.signal(SIGHUP);
  ASSERT_TRUE(activator.wait_words("READY=1", 2));
  EXPECT_THAT(stages(activator), ElementsAre("READY=1", "RELOADING=1", "READY=1"));
  EXPECT_TRUE(support::wait_until([&] {
    const auto words = activator.words();
    return std::ranges::any_of(words, [](const std::string& word) {
      return word.starts_with("STATUS=") && word.find("reload refused") != word.npos && word.find("cuont") != word.npos;
    });
  }));
}

TEST(Notify, AsksForMoreTimeWhileItStarts) {
  Activator activator;
  SupervisorProcess server(activator.options({.arguments = {"--workers", "1"}}));
  ASSERT_TRUE(activator.wait_words("READY=1"));
  const auto words = activator.words();
  const auto asked =
      std::ranges::find_if(words, [](const auto& word) { return word.starts_with("EXTEND_TIMEOUT_USEC="); });
  EXPECT_LT(asked, std::ranges::find(words, "READY=1"));
}

TEST(Notify, PingsTheWatchdogWhileAWorkerCanServe) {
  Activator activator;
  support::SupervisorOptions options{.arguments = {"--workers", "2"}};
  options.variables = {"WATCHDOG_USEC=400000"};
  SupervisorProcess server(activator.options(options));
  ASSERT_TRUE(activator.wait_words("READY=1"));
  activator.forget_words();
  EXPECT_TRUE(activator.wait_words("WATCHDOG=1", 5)) << "on its own, nobody asks anything";
  const pid_t first = server.worker(0);
  const pid_t second = server.worker(1);
  kill(first, SIGSTOP);
  activator.forget_words();
  EXPECT_TRUE(activator.wait_words("WATCHDOG=1", 3)) << "the other one can";
  kill(second, SIGSTOP);
  // Requests in both, so that they are seen to be stuck and not idle.
  std::vector<support::HttpClient> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(server.connect());
    clients.back().send(support::get_request("/hello"));
  }
  EXPECT_TRUE(support::wait_until([&] {
    activator.forget_words();
    return support::holds_for(std::chrono::seconds(1), [&] { return activator.count("WATCHDOG=1") == 0; });
  })) << "nobody can";
  kill(first, SIGCONT);
  kill(second, SIGCONT);
  EXPECT_TRUE(activator.wait_words("WATCHDOG=1", 2));
}

TEST(Notify, ChangesTheStatusAtMostOnceASecond) {
  Activator activator;
  SupervisorProcess server(activator.options({.arguments = {"--workers", "2"}}));
  ASSERT_TRUE(activator.wait_words("READY=1"));
  EXPECT_TRUE(activator.wait_words("STATUS=2/2 workers, 0 req/s"));
  activator.forget_words();
  EXPECT_TRUE(support::holds_for(std::chrono::seconds(2), [&] {
    if (!server.get("/hello").status) return false;
    return activator.count("STATUS=") <= 4;
  }));
  EXPECT_GE(activator.count("STATUS="), 1U) << "requests were served";
}

}  // namespace
