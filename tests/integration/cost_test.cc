// Cost: what a worker that has nothing to do takes from the machine.
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "support/environment.h"
#include "support/process_table.h"
#include "support/supervisor_process.h"

namespace {

using support::Deadline;
using support::get_request;
using support::HttpClient;
using support::HttpRead;
using support::ReadOutcome;
using support::Status;
using support::SupervisorProcess;

TEST(Cost, IsAFewMegabytesForAWorkerOfALargeApplication) {
  constexpr std::uint64_t kMost = 10'000'000;  // bytes of its own, of an application that loads 200 MB
  if (support::is_sanitized()) GTEST_SKIP() << "a sanitizer's own memory is larger than what is measured here";
  SupervisorProcess server({.arguments = {"--workers", "8"}, .app = support::application("big_load")});
  ASSERT_TRUE(server.wait_ready(8, Deadline(std::chrono::seconds(60))));
  for (int request = 0; request < 80; ++request) ASSERT_NE(server.get("/hello").status, 0);
  const common::Result<Status> status = server.status();
  ASSERT_TRUE(status.has_value()) << status.error().message;
  for (const auto& [slot, worker] : status->ready_by_slot()) {
    EXPECT_GT(worker.rss_bytes, 0U);
    EXPECT_LT(support::private_bytes(worker.pid), kMost) << "slot " << slot;
    EXPECT_GT(support::private_bytes(worker.pid), 0U) << "nothing was measured";
  }
}

// A client's port decides which socket of the group its connections go to: one port, one worker.
TEST(Cost, IsNoWakeUpForAConnectionThatAnotherWorkerAccepts) {
  constexpr int kConnections = 200;
  constexpr std::uint64_t kUnrelated = 5;  // wake-ups per idle worker that are allowed for anything else
  SupervisorProcess server({.arguments = {"--workers", "4"}});
  ASSERT_TRUE(server.wait_ready(4));
  const common::Result<Status> status = server.status();
  ASSERT_TRUE(status.has_value()) << status.error().message;
  const std::string source = "127.0.3.1:" + std::to_string(20'000 + ::getpid() % 10'000);
  std::map<pid_t, std::uint64_t> before;
  std::map<pid_t, std::uint64_t> displaced;  // a client on the same CPU may displace the worker before it sleeps
  for (const auto& [slot, worker] : status->ready_by_slot()) {
    before[worker.pid] = support::voluntary_switches(worker.pid);
    displaced[worker.pid] = support::involuntary_switches(worker.pid);
  }
  pid_t server_of_all = 0;
  for (int index = 0; index < kConnections; ++index) {
    common::Result<HttpClient> client = HttpClient::connect(server.address(), Deadline(), source);
    ASSERT_TRUE(client.has_value()) << client.error().message;
    ASSERT_TRUE(client->send(get_request("/pid")));
    const HttpRead read = client->read();
    ASSERT_EQ(read.outcome, ReadOutcome::kAnswer);
    const pid_t pid = static_cast<pid_t>(std::stol(read.response.body));
    if (index == 0) server_of_all = pid;
    ASSERT_EQ(pid, server_of_all) << "the same port, another worker";
    client->abort();  // a reset, or the port would rest for a minute
  }
  for (const auto& [pid, switches] : before) {
    const std::uint64_t woken = support::voluntary_switches(pid) - switches;
    if (pid == server_of_all) {
      const std::uint64_t again = support::involuntary_switches(pid) - displaced[pid];
      EXPECT_GE(woken + again, static_cast<std::uint64_t>(kConnections) / 2) << "is it measured at all?";
    } else {
      EXPECT_LE(woken, kUnrelated) << "worker " << pid;
    }
  }
}

TEST(Cost, IsNoProcessorTimeWhileNobodyAsks) {
  SupervisorProcess server({.arguments = {"--workers", "4"}});
  ASSERT_TRUE(server.wait_ready(4));
  ASSERT_EQ(server.get("/hello").status, 200);
  const auto spent = [&] {
    common::Duration sum{0};
    for (const pid_t pid : server.processes()) {
      if (const auto entry = support::process(pid)) sum += entry->cpu;
    }
    return sum;
  };
  const common::Duration before = spent();
  support::holds_for(std::chrono::seconds(1), [] { return true; });
  EXPECT_LE(spent() - before, support::patience(std::chrono::milliseconds(50)));
}

}  // namespace
