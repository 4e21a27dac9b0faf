// Service status: the STATUS= text in the life of a service, also of one that does not come to life.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "support/activator.h"
#include "support/load_generator.h"
#include "support/supervisor_process.h"
#include "support/waiting_clients.h"

namespace {

using support::Activator;
using support::SupervisorProcess;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Its load() takes as many milliseconds as the file says.
support::SupervisorOptions slow_to_load(const std::string& delay_file) {
  return {.arguments = support::joined({{"--workers", "2"}, support::set("app.load_delay", '"' + delay_file + '"')}),
          .app = support::application("ledger_a")};
}

std::vector<std::string> status_texts(Activator& activator) {
  std::vector<std::string> texts;
  for (const std::string& word : activator.words()) {
    if (word.starts_with("STATUS=")) texts.push_back(word.substr(std::string_view("STATUS=").size()));
  }
  return texts;
}

std::string last_status(Activator& activator) {
  const std::vector<std::string> texts = status_texts(activator);
  return texts.empty() ? "" : texts.back();
}

TEST(ServiceStatus, SaysThatAReloadWasRefusedUntilOneIsDone) {
  const support::TemporaryDirectory directory;
  const std::string file = directory.write("app.toml", "[workers]\ncount = 1\n");
  Activator activator;
  SupervisorProcess server(activator.options({.arguments = {"--config", file}}));
  ASSERT_TRUE(activator.wait_words("READY=1"));
  std::ofstream(file) << "[workers]\ncuont = 1\n";
  EXPECT_EQ(server.control("POST", "/reload").status, 409);
  ASSERT_TRUE(activator.wait_words("READY=1", 2));
  EXPECT_THAT(last_status(activator), StartsWith("reload refused: ")) << "with the end of the reload";
  activator.forget_words();
  for (int i = 0; i < 20; ++i) ASSERT_EQ(server.get("/hello").status, 200);  // one in two seconds is 0 req/s
  ASSERT_TRUE(activator.wait_words("STATUS=")) << "the rate changes";
  EXPECT_THAT(last_status(activator), AllOf(StartsWith("reload refused: "), HasSubstr("; 1/1 workers, ")));
  std::ofstream(file) << "[workers]\ncount = 1\n";
  EXPECT_EQ(server.control("POST", "/reload").status, 200);
  EXPECT_TRUE(activator.wait_words("STATUS=1/1 workers, "));
}

// A message with a NUL is ignored as a whole.
TEST(ServiceStatus, SaysWhyAReloadWasRefusedAlsoForAByteThatNoMessageMayHave) {
  const support::TemporaryDirectory directory;
  const std::string file = directory.write("app.toml", "[workers]\ncount = 1\n");
  Activator activator;
  SupervisorProcess server(activator.options({.arguments = {"--config", file}}));
  ASSERT_TRUE(activator.wait_words("READY=1"));
  std::ofstream(file) << "listen.bind = [\"\\u0000\\u001b[2J\"]\n";
  EXPECT_EQ(server.control("POST", "/reload").status, 409);
  ASSERT_TRUE(activator.wait_words("RELOADING=1"));
  ASSERT_TRUE(activator.wait_words("READY=1", 2));
  EXPECT_THAT(last_status(activator), AllOf(StartsWith("reload refused: "), HasSubstr("\\x00\\x1b[2J")));
}

TEST(ServiceStatus, SaysWhatItLoadsAndWhatItDrains) {
  const support::TemporaryDirectory directory;
  const std::string delay = directory.write("delay", "1500");
  Activator activator;
  {
    SupervisorProcess server(activator.options(slow_to_load(delay)));
    EXPECT_TRUE(activator.wait_words("STATUS=loading " + support::application("ledger_a")));
    ASSERT_TRUE(activator.wait_words("READY=1"));
    activator.forget_words();
    server.signal(SIGHUP);
    EXPECT_TRUE(
        activator.wait_words("STATUS=reloading: loading " + support::application("ledger_a") + ", 2/2 workers"));
    ASSERT_TRUE(activator.wait_words("READY=1"));
    EXPECT_TRUE(activator.wait_words("STATUS=2/2 workers"));
  }
  SupervisorProcess server(activator.options({.arguments = {"--workers", "1"}}));
  ASSERT_TRUE(server.wait_ready(1));
  support::WaitingClients client(server.address(), 1, "/sleep?ms=2500");
  ASSERT_TRUE(server.wait_status([](const support::Status& now) { return now.workers.at(0).in_flight == 1; }));
  server.signal(SIGTERM);
  EXPECT_TRUE(activator.wait_words("STATUS=draining: 1 worker, 1 connection"));
  EXPECT_EQ(client.lost(), 0);
  EXPECT_EQ(server.wait_exit(), 0);
  EXPECT_TRUE(support::wait_until([&] { return last_status(activator) == "stopped"; })) << last_status(activator);
}

TEST(ServiceStatus, LeavesTheReasonBehindWhenItCannotStart) {
  const support::TemporaryDirectory directory;
  const auto reason = [](support::SupervisorOptions options) {
    Activator activator;
    SupervisorProcess server(activator.options(std::move(options)));
    EXPECT_EQ(server.wait_exit(), 1) << server.output();
    EXPECT_TRUE(activator.wait_words("STATUS=cannot start: "));
    return last_status(activator);
  };
  EXPECT_THAT(reason({.arguments = {"--set", "workers.cuont=1"}}), HasSubstr("cuont"));
  EXPECT_THAT(reason({.app = directory.write("app.so", "no library")}), HasSubstr("app.so"));
  EXPECT_THAT(reason({.arguments = {"--bind", "systemd:web"}}), HasSubstr("systemd:web"));
}

TEST(ServiceStatus, AsksForMoreTimeBeforeItWaitsForAnAddress) {
  const common::UniqueFd other = support::listening_socket("127.0.0.1:0");
  const std::string address = support::address_of(other.get());
  Activator activator;
  SupervisorProcess server(
      activator.options({.arguments = {"--bind", address}, .defaults = support::Defaults::kControl}));
  EXPECT_EQ(server.wait_exit(), 1);
  ASSERT_TRUE(activator.wait_words("STATUS=cannot start: "));
  EXPECT_THAT(last_status(activator), HasSubstr(address));
  const auto asked = activator.times("EXTEND_TIMEOUT_USEC=20000000");
  ASSERT_FALSE(asked.empty());
  EXPECT_GE(activator.times("STATUS=cannot start: ").front() - asked.front(), std::chrono::seconds(2));
}

// What a worker has served is counted on when it goes.
TEST(ServiceStatus, SaysNoLowerRateBecauseAWorkerLeft) {
  Activator activator;
  SupervisorProcess server(activator.options({.arguments = {"--workers", "2"}}));
  ASSERT_TRUE(activator.wait_words("READY=1"));  // with 0 req/s
  support::LoadGenerator load({.address = server.address(), .threads = 2});
  ASSERT_TRUE(load.wait_for_answers(200));
  activator.forget_words();
  ASSERT_TRUE(activator.wait_words("STATUS="));
  for (std::uint64_t round = 1; round <= 3; ++round) {
    activator.forget_words();
    EXPECT_EQ(server.control("POST", "/recycle?slot=" + std::to_string(round % 2)).status / 100, 2);
    EXPECT_TRUE(server.wait_status([&](const support::Status& now) { return now.recycled.at("manual") == round; }));
    // Those until here may all have been said before.
    ASSERT_TRUE(activator.wait_words("STATUS=", activator.count("STATUS=") + 2));
    for (const std::string& text : status_texts(activator)) EXPECT_THAT(text, Not(HasSubstr(" 0 req/s")));
  }
  EXPECT_TRUE(support::wait_until([&] { return last_status(activator).ends_with(", 3 recycled: manual"); }))
      << last_status(activator);
  load.stop();
}

}  // namespace
