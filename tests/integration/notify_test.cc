// Notify: what the service manager is told in the life of a service, and when it is left without a word.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "support/activator.h"
#include "support/process_table.h"
#include "support/signal.h"
#include "support/supervisor_process.h"
#include "support/waiting_clients.h"

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

// What MONOTONIC_USEC= says, which the manager wants in the message of RELOADING=1.
common::TimePoint reload_moment(Activator& activator) {
  const std::vector<std::string> words = activator.words();
  const auto reloading = std::ranges::find(words, "RELOADING=1");
  constexpr std::string_view kName = "MONOTONIC_USEC=";
  if (reloading == words.end() || reloading + 1 == words.end() || !(reloading + 1)->starts_with(kName)) return {};
  return common::TimePoint(std::chrono::microseconds(std::stoll((reloading + 1)->substr(kName.size()))));
}

// Whether a manager that allows `allowed` from `begin` to `end` is asked for more time before that is over, each time.
bool asks_in_time(Activator& activator, common::TimePoint begin, common::TimePoint end, common::Duration allowed) {
  constexpr common::Duration kExtension = std::chrono::seconds(20);
  common::TimePoint limit = begin + support::patience(allowed);
  for (const common::TimePoint asked : activator.times("EXTEND_TIMEOUT_USEC=20000000")) {
    if (asked < begin || asked > end) continue;
    if (asked > limit) return false;
    limit = std::max(limit, asked + kExtension);
  }
  return end <= limit;
}

support::SupervisorOptions ledger(const std::string& delay_file) {
  return {.arguments = support::joined({{"--workers", "2"}, support::set("app.load_delay", '"' + delay_file + '"')}),
          .app = support::application("ledger_a")};
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
  // Not just before the signal: the master may have taken the time of its turn, and then read the signal in it.
  const common::TimePoint before = common::Clock::now();
  SupervisorProcess server(activator.options({.arguments = {"--config", file}}));
  ASSERT_TRUE(activator.wait_words("READY=1"));
  std::ofstream(file) << "[workers]\ncuont = 1\n";
  server.signal(SIGHUP);
  ASSERT_TRUE(activator.wait_words("READY=1", 2));
  EXPECT_THAT(stages(activator), ElementsAre("READY=1", "RELOADING=1", "READY=1"));
  const common::TimePoint said = reload_moment(activator);
  EXPECT_TRUE(before - std::chrono::microseconds(1) <= said && said <= common::Clock::now());
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

TEST(Notify, IsNotGivenUpByAnImpatientManagerDuringALongLoad) {
  const support::TemporaryDirectory directory;
  Activator activator;
  const common::TimePoint begin = common::Clock::now();
  SupervisorProcess server(activator.options(ledger(directory.write("delay", "6000"))));
  ASSERT_TRUE(activator.wait_words("READY=1", 1, Deadline(std::chrono::seconds(20))));
  EXPECT_TRUE(asks_in_time(activator, begin, activator.times("READY=1").front(), std::chrono::seconds(3)));
  EXPECT_GE(activator.count("EXTEND_TIMEOUT_USEC="), 2U) << "and again while it takes that long";
}

TEST(Notify, IsNotGivenUpByAnImpatientManagerDuringALongDrain) {
  Activator activator;
  SupervisorProcess server(activator.options({.arguments = {"--workers", "1"}}));
  ASSERT_TRUE(activator.wait_words("READY=1"));
  support::WaitingClients client(server.address(), 1, "/sleep?ms=6500");
  ASSERT_TRUE(server.wait_status([](const support::Status& now) { return now.workers.at(0).in_flight == 1; }));
  activator.forget_words();
  const common::TimePoint begin = common::Clock::now();
  server.signal(SIGTERM);
  EXPECT_EQ(client.lost(), 0);
  EXPECT_EQ(server.wait_exit(), 0);
  EXPECT_TRUE(asks_in_time(activator, begin, common::Clock::now(), std::chrono::seconds(3)));
  EXPECT_GE(activator.count("EXTEND_TIMEOUT_USEC="), 2U);
  EXPECT_THAT(stages(activator), ElementsAre("STOPPING=1"));
}

TEST(Notify, IsReadyAgainNoSoonerThanTheReloadIsDone) {
  const support::TemporaryDirectory directory;
  const std::string delay = directory.write("delay", "0");
  Activator activator;
  SupervisorProcess server(activator.options(ledger(delay)));
  ASSERT_TRUE(activator.wait_words("READY=1"));
  std::ofstream(delay) << "1500";
  server.signal(SIGHUP);
  ASSERT_TRUE(activator.wait_words("READY=1", 2));
  const auto status = server.status().value();
  EXPECT_EQ(status.generation, 2);
  ASSERT_EQ(status.ready_by_slot().size(), 2U);
  for (const auto& [slot, worker] : status.ready_by_slot()) EXPECT_EQ(worker.generation, 2);
  EXPECT_GE(activator.times("READY=1").back() - activator.times("RELOADING=1").front(), std::chrono::seconds(1));
  EXPECT_NE(reload_moment(activator), common::TimePoint());
  EXPECT_THAT(stages(activator), ElementsAre("READY=1", "RELOADING=1", "READY=1"));
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
  ASSERT_TRUE(support::send_signal(first, SIGSTOP));
  activator.forget_words();
  EXPECT_TRUE(activator.wait_words("WATCHDOG=1", 3)) << "the other one can";
  ASSERT_TRUE(support::send_signal(second, SIGSTOP));
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
  ASSERT_TRUE(support::send_signal(first, SIGCONT));
  ASSERT_TRUE(support::send_signal(second, SIGCONT));
  EXPECT_TRUE(activator.wait_words("WATCHDOG=1", 2));
}

// A slow handler is no hang: a ping is due after 3 s, and the worker has turned when it began.
TEST(Notify, PingsInTimeWhileTheOnlyWorkerIsInAHandlerThatBeganSinceTheLastPing) {
  Activator activator;
  support::SupervisorOptions options{.arguments = {"--workers", "1"}};
  options.variables = {"WATCHDOG_USEC=6000000"};
  SupervisorProcess server(activator.options(options));
  ASSERT_TRUE(server.wait_ready(1));
  activator.forget_words();
  ASSERT_TRUE(activator.wait_words("WATCHDOG=1"));
  support::HttpClient client = server.connect();
  client.send(support::get_request("/sleep?ms=5500"));
  ASSERT_TRUE(activator.wait_words("WATCHDOG=1", 2));
  const auto pings = activator.times("WATCHDOG=1");
  EXPECT_LT(pings[1] - pings[0], std::chrono::milliseconds(4500)) << "withheld for a request of 5.5 s";
  EXPECT_EQ(client.read().response.body, "slept 5500 ms\n");
}

TEST(Notify, WithholdsThePingWhileAllHangInHandlersUntilTheyAreReplaced) {
  Activator activator;
  support::SupervisorOptions options{.arguments = support::joined({{"--workers", "2"},
                                                                   support::set("workers.hang_timeout", "\"4s\""),
                                                                   support::set("workers.stop_timeout", "\"200ms\"")})};
  options.variables = {"WATCHDOG_USEC=400000"};
  SupervisorProcess server(activator.options(options));
  ASSERT_TRUE(server.wait_ready(2));
  const pid_t victims[] = {server.worker(0), server.worker(1)};
  std::vector<support::HttpClient> clients;
  EXPECT_TRUE(support::wait_until([&] {
    clients.push_back(server.connect());
    clients.back().send(support::get_request("/sleep?ms=60000"));
    const auto status = server.status();
    return status && status->worker(victims[0]).in_flight == 1 && status->worker(victims[1]).in_flight == 1;
  }));
  EXPECT_TRUE(support::wait_until([&] {
    activator.forget_words();
    return support::holds_for(std::chrono::seconds(1), [&] { return activator.count("WATCHDOG=1") == 0; });
  })) << "nobody can serve";
  EXPECT_TRUE(server.worker(0) == victims[0] || server.worker(1) == victims[1]) << "they hang still";
  clients.clear();
  EXPECT_TRUE(activator.wait_words("WATCHDOG=1", 3, Deadline(std::chrono::seconds(30))));
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

// ---- a manager that does not listen, or not now

TEST(Notify, NeedsNobodyWhoListens) {
  const support::TemporaryDirectory directory;
  for (const std::string& nowhere : {directory.path("nobody"), std::string("@supervisor-test-nobody"), std::string("x"),
                                     std::string("vsock:2:1"), "/" + std::string(300, 'x')}) {
    support::SupervisorOptions options{.arguments = {"--workers", "1"}};
    options.variables = {"NOTIFY_SOCKET=" + nowhere, "WATCHDOG_USEC=100000"};
    SupervisorProcess server(options);
    ASSERT_TRUE(server.wait_ready(1)) << nowhere << "\n" << server.output();
    EXPECT_EQ(server.control("POST", "/reload").status, 200);
    EXPECT_EQ(server.get("/hello").status, 200);
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait_exit(), 0) << nowhere;
    const std::string told = server.output();
    const std::size_t first = told.find("does not hear us");
    EXPECT_TRUE(first == told.npos || told.find("does not hear us", first + 1) == told.npos) << "said once\n" << told;
  }
}

// A manager that reads nothing until it is asked to.
class SlowManager {
 public:
  SlowManager() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    const auto* const name = reinterpret_cast<const sockaddr*>(&address);
    EXPECT_EQ(::bind(socket_.get(), name, sizeof address), 0);
    const common::UniqueFd filler(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    while (::sendto(filler.get(), "x", 1, 0, name, sizeof address) == 1) continue;
  }
  std::string path() const { return directory_.path("notify"); }
  // Reads all that has come.
  void read() {
    char text[16384];
    while (true) {
      const ssize_t size = ::recv(socket_.get(), text, sizeof text, 0);
      if (size < 0) return;
      messages_.emplace_back(text, static_cast<std::size_t>(size));
    }
  }
  bool was_told(std::string_view line) {
    read();
    return std::ranges::any_of(messages_,
                               [&](const std::string& message) { return message.find(line) != message.npos; });
  }
  std::size_t longest() const {
    return std::ranges::max(messages_, {}, [](const std::string& message) { return message.size(); }).size();
  }

 private:
  support::TemporaryDirectory directory_;
  common::UniqueFd socket_;
  std::vector<std::string> messages_;
};

TEST(Notify, NeitherWaitsForAManagerThatDoesNotReadNorForgetsWhatItMustHear) {
  SlowManager manager;
  support::SupervisorOptions options{.arguments = {"--workers", "2"}};
  options.variables = {"NOTIFY_SOCKET=" + manager.path(), "WATCHDOG_USEC=10000"};
  SupervisorProcess server(options);
  ASSERT_TRUE(server.wait_ready(2)) << server.output();
  EXPECT_EQ(server.control("POST", "/reload").status, 200);
  const common::Duration before = support::process(server.pid()).value().cpu;
  EXPECT_TRUE(support::holds_for(std::chrono::seconds(3), [&] { return server.get("/hello").status == 200; }));
  EXPECT_LT(support::process(server.pid()).value().cpu - before, std::chrono::seconds(1)) << "it does not spin either";
  EXPECT_TRUE(support::wait_until([&] { return manager.was_told("READY=1"); }));
  EXPECT_TRUE(support::wait_until([&] { return manager.was_told("WATCHDOG=1"); }));
  EXPECT_LE(manager.longest(), 4096U) << "more is not read";
  EXPECT_TRUE(support::wait_until([&] { return manager.was_told("FDSTORE=1"); }));
  server.signal(SIGTERM);
  EXPECT_TRUE(support::wait_until([&] { return manager.was_told("STOPPING=1"); }));
  EXPECT_EQ(server.wait_exit(), 0);
}

TEST(Notify, StopsBesideAManagerThatDoesNotRead) {
  SlowManager manager;
  support::SupervisorOptions options{.arguments = {"--workers", "1"}};
  options.variables = {"NOTIFY_SOCKET=" + manager.path()};
  SupervisorProcess server(options);
  ASSERT_TRUE(server.wait_ready(1));
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait_exit(), 0);
}

}  // namespace
