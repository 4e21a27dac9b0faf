// Recycling: healthy workers are replaced for a reason, one after the other, and no request notices.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "support/load_generator.h"
#include "support/process_table.h"
#include "support/supervisor_process.h"

namespace {

using support::Deadline;
using support::get_request;
using support::HttpClient;
using support::HttpRead;
using support::joined;
using support::LoadGenerator;
using support::LoadMode;
using support::LoadReport;
using support::ReadOutcome;
using support::Status;
using support::SupervisorProcess;

std::vector<std::string> workers(int count) { return {"--workers", std::to_string(count)}; }

// Decisions after tenths of a second instead of tens of seconds.
std::vector<std::string> eager() {
  return joined({support::set("recycle.interval", "\"20ms\""), support::set("recycle.samples", "2"),
                 support::set("recycle.age_min", "\"0s\""), support::set("recycle.jitter", "0.0")});
}

std::uint64_t recycled(const SupervisorProcess& server, const std::string& reason) {
  const common::Result<Status> status = server.status();
  return status ? status->recycled.at(reason) : 0;
}

pid_t ask_pid(HttpClient& client) {
  if (!client.send(get_request("/pid"))) return 0;
  const HttpRead read = client.read();
  return read.outcome == ReadOutcome::kAnswer ? static_cast<pid_t>(std::stol(read.response.body)) : 0;
}

// Every kind of client at once.
class MixedLoad {
 public:
  explicit MixedLoad(const std::string& address) {
    for (const LoadMode mode : {LoadMode::kNewConnection, LoadMode::kKeepAlive, LoadMode::kPipelined}) {
      loads_.push_back(std::make_unique<LoadGenerator>(
          support::LoadOptions{.address = address, .mode = mode, .threads = mode == LoadMode::kPipelined ? 1U : 2U}));
    }
  }

  void expect_progress() const {
    for (const auto& load : loads_) EXPECT_TRUE(load->wait_for_answers(20)) << load->report();
  }

  void stop_and_expect_nothing_lost() {
    for (const auto& load : loads_) {
      const LoadReport report = load->stop();
      EXPECT_EQ(report.failed(), 0U) << report;
      EXPECT_GT(report.answered, 0U);
    }
  }

 private:
  std::vector<std::unique_ptr<LoadGenerator>> loads_;
};

TEST(Recycle, LosesNoRequestAndNoReadyWorkerUnderMixedLoad) {
  constexpr std::size_t kWorkers = 3;
  const auto goal = static_cast<std::uint64_t>(support::effort(24, 200));
  SupervisorProcess server(
      {.arguments = joined({workers(kWorkers), eager(), support::set("recycle.requests", "500")})});
  ASSERT_TRUE(server.wait_ready(kWorkers));
  MixedLoad load(server.address());
  std::size_t fewest = kWorkers;
  EXPECT_TRUE(server.wait_status(
      [&](const Status& now) {
        fewest = std::min(fewest, now.ready_by_slot().size());
        return now.recycled.at("requests") >= goal;
      },
      Deadline(std::chrono::seconds(support::is_long() ? 240 : 60))));
  load.expect_progress();
  load.stop_and_expect_nothing_lost();
  EXPECT_EQ(fewest, kWorkers) << "a successor has to be ready before its predecessor stops";
  const common::Result<Status> status = server.status();
  ASSERT_TRUE(status.has_value()) << status.error().message;
  EXPECT_EQ(status->recycled_in_all(), status->recycled.at("requests"));
  EXPECT_EQ(status->crashed + status->killed, 0U);
}

TEST(Recycle, ReplacesTheWorkerThatLeaksAndOnlyThatOne) {
  SupervisorProcess server({.arguments = joined({workers(2), eager(), support::set("recycle.fds_leaked", "120")})});
  ASSERT_TRUE(server.wait_ready(2));
  std::uint64_t leaks = 0;
  MixedLoad load(server.address());
  for (const char* kind : {"file", "socket", "pipe", "eventfd"}) {
    SCOPED_TRACE(kind);
    HttpClient client = server.connect();
    const pid_t leaker = ask_pid(client);
    const int slot = server.worker(0) == leaker ? 0 : 1;
    const pid_t sibling = server.worker(1 - slot);
    ASSERT_NE(sibling, leaker);
    ++leaks;
    for (int round = 0; round < 3 && leaker == server.worker(slot); ++round) {
      ASSERT_TRUE(client.send(get_request(std::string("/leak?kind=") + kind + "&count=50")));
      const HttpRead read = client.read();
      ASSERT_EQ(read.outcome, ReadOutcome::kAnswer);
      EXPECT_EQ(read.response.status, 200) << read.response.body;
      if (read.response.closes()) break;
    }
    EXPECT_TRUE(server.wait_status([&](const Status& now) { return now.recycled.at("fds_leaked") == leaks; }));
    EXPECT_TRUE(support::wait_until([&] { return !support::process(leaker); })) << "the leaker is still there";
    EXPECT_EQ(server.worker(1 - slot), sibling) << "its sibling is not concerned";
  }
  load.stop_and_expect_nothing_lost();
  const common::Result<Status> status = server.status();
  ASSERT_TRUE(status.has_value()) << status.error().message;
  EXPECT_EQ(status->recycled_in_all(), leaks);
}

TEST(Recycle, ReportsALeakBeforeItIsActedUpon) {
  SupervisorProcess server({.arguments = joined({workers(1), eager(), support::set("recycle.fds_leaked", "1000")})});
  ASSERT_TRUE(server.wait_ready(1));
  ASSERT_EQ(server.get("/leak?kind=file&count=30").status, 200);
  EXPECT_TRUE(server.wait_status([](const Status& now) { return now.ready_by_slot().at(0).fds_leaked == 30; }));
  support::WorkerStatus worker;
  // The connection of the request may be closed between two looks.
  EXPECT_TRUE(server.wait_status([&](const Status& now) {
    worker = now.ready_by_slot().at(0);
    return worker.fds_leaked == 30 && worker.fds_total == static_cast<std::int64_t>(support::open_files(worker.pid));
  })) << worker.fds_total;
  EXPECT_EQ(worker.fds_total, worker.fds_owned + worker.fds_baseline + worker.fds_leaked);
}

TEST(Recycle, DoesNotTakeOpenConnectionsForALeak) {
  constexpr std::size_t kRoom = 2000;  // descriptors of the test itself, and what a server does not use for clients
  const std::uint64_t limit = support::raise_open_files();
  const auto connections = static_cast<std::size_t>(support::is_sanitized() ? 1000 : 5000);
  if (limit < 2 * connections + kRoom) GTEST_SKIP() << "the hard limit of open files is only " << limit;
  SupervisorProcess server({.arguments = joined({workers(2), eager(), support::set("recycle.fds_leaked", "20")})});
  ASSERT_TRUE(server.wait_ready(2));
  std::vector<HttpClient> clients;
  for (std::size_t index = 0; index < connections; ++index) {
    clients.push_back(server.connect());
    ASSERT_TRUE(clients.back().send(get_request("/hello")));
    ASSERT_EQ(clients.back().read().outcome, ReadOutcome::kAnswer) << index;
  }
  EXPECT_TRUE(server.wait_status([&](const Status& now) {
    std::uint64_t open = 0;
    for (const auto& [slot, worker] : now.ready_by_slot()) open += worker.connections;
    return open == connections;
  }));
  EXPECT_TRUE(support::holds_for(std::chrono::milliseconds(500), [&] {
    const common::Result<Status> now = server.status();
    return now.has_value() && now->recycled_in_all() == 0;
  }));
  for (const std::size_t index : {std::size_t{0}, connections / 2, connections - 1}) {
    EXPECT_NE(ask_pid(clients[index]), 0) << "connection " << index << " does not work any more";
  }
}

TEST(Recycle, ReplacesWorkersByAge) {
  SupervisorProcess server({.arguments = joined({workers(2), eager(), support::set("recycle.age", "\"300ms\"")})});
  ASSERT_TRUE(server.wait_ready(2));
  MixedLoad load(server.address());
  EXPECT_TRUE(server.wait_status([](const Status& now) { return now.recycled.at("age") >= 6; },
                                 Deadline(std::chrono::seconds(30))));
  load.stop_and_expect_nothing_lost();
}

TEST(Recycle, ReplacesAWorkerThatHoldsTooMuchMemory) {
  SupervisorProcess server({.arguments = joined({workers(1), eager(), support::set("recycle.rss", "\"400MiB\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t before = server.worker(0);
  ASSERT_EQ(server.get("/alloc?mb=450").status, 200);
  EXPECT_TRUE(server.wait_status([](const Status& now) { return now.recycled.at("rss") == 1; }));
  EXPECT_TRUE(support::wait_until([&] { return !support::process(before); }));
}

TEST(Recycle, ReplacesAWorkerThatIsNearItsLimitOfOpenFiles) {
  SupervisorProcess server(
      {.arguments = joined({workers(1), eager(), support::set("recycle.fds_leaked", "0")}), .open_files = 400});
  ASSERT_TRUE(server.wait_ready(1));
  ASSERT_EQ(server.get("/leak?kind=file&count=330").status, 200);
  EXPECT_TRUE(server.wait_status([](const Status& now) { return now.recycled.at("fds_used") == 1; }));
  EXPECT_EQ(server.get("/hello").status, 200);
}

TEST(Recycle, ReplacesAWorkerThatHangs) {
  SupervisorProcess server({.arguments = joined({workers(1), eager(), support::set("workers.hang_timeout", "\"500ms\""),
                                                 support::set("workers.stop_timeout", "\"500ms\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient hung = server.connect();
  const pid_t before = ask_pid(hung);
  ASSERT_TRUE(hung.send(get_request("/sleep?ms=60000")));
  ASSERT_TRUE(server.wait_status([](const Status& now) { return now.recycled.at("hang") == 1; }));
  EXPECT_EQ(server.get("/hello").status, 200) << "the successor serves the slot's queue";
  EXPECT_NE(hung.read().outcome, ReadOutcome::kAnswer);
  EXPECT_TRUE(support::wait_until([&] { return !support::process(before); }));
}

TEST(Recycle, LetsARequestFinishThatIsLongButWithinTheHangTimeout) {
  SupervisorProcess server(
      {.arguments = joined({workers(1), eager(), support::set("workers.hang_timeout", "\"5s\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  EXPECT_EQ(server.get("/sleep?ms=600").status, 200);
  EXPECT_EQ(recycled(server, "hang"), 0U);
}

TEST(Recycle, ReplacesOnDemandInTheSameSlotOnTheSameSocket) {
  SupervisorProcess server({.arguments = workers(2)});
  ASSERT_TRUE(server.wait_ready(2));
  const pid_t first = server.worker(0);
  const pid_t second = server.worker(1);
  const auto inode = support::listening_inodes(first);
  EXPECT_EQ(server.control("POST", "/recycle?slot=0").status / 100, 2);
  ASSERT_TRUE(support::wait_until([&] { return server.worker(0) != 0 && server.worker(0) != first; }));
  EXPECT_TRUE(support::wait_until([&] { return !support::process(first); }));
  EXPECT_EQ(support::listening_inodes(server.worker(0)), inode);
  EXPECT_EQ(server.worker(1), second);
  EXPECT_EQ(recycled(server, "manual"), 1U);
}

TEST(Recycle, LeavesTheMastersDescriptorsAsTheyWere) {
  SupervisorProcess server({.arguments = workers(2)});
  ASSERT_TRUE(server.wait_ready(2));
  const std::size_t before = support::open_files_at_rest(server.pid());
  const int rounds = support::effort(20, 100);
  for (int round = 0; round < rounds; ++round) {
    const int slot = round % 2;
    const pid_t old = server.worker(slot);
    ASSERT_EQ(server.control("POST", "/recycle?slot=" + std::to_string(slot)).status / 100, 2);
    ASSERT_TRUE(support::wait_until([&] { return server.worker(slot) != old && !support::process(old); }));
  }
  EXPECT_TRUE(support::wait_until([&] { return support::open_files(server.pid()) <= before; }))
      << support::open_files(server.pid()) << " instead of at most " << before;
}

}  // namespace
