// Supervision: whatever ends a worker, its slot lives on, and only what the worker had in hand is lost.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <random>
#include <string>
#include <vector>

#include "support/load_generator.h"
#include "support/process_table.h"
#include "support/signal.h"
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

std::vector<std::string> quick_restarts() {
  return joined({support::set("restart.backoff_first", "\"10ms\""), support::set("restart.backoff_max", "\"50ms\"")});
}

std::vector<std::string> workers(int count) { return {"--workers", std::to_string(count)}; }

// A successor is ready in the slot.
bool wait_replaced(SupervisorProcess& server, int slot, pid_t predecessor) {
  return support::wait_until(
      [&] {
        const pid_t now = server.worker(slot);
        return now != 0 && now != predecessor;
      },
      Deadline(std::chrono::seconds(15)));
}

std::vector<HttpClient> waiting_clients(const SupervisorProcess& server, int count) {
  std::vector<HttpClient> clients;
  for (int index = 0; index < count; ++index) {
    common::Result<HttpClient> client = HttpClient::connect(server.address());
    if (!client || !client->send(get_request("/hello"))) throw std::runtime_error("a client could not queue up");
    clients.push_back(std::move(*client));
  }
  return clients;
}

void expect_all_served(std::vector<HttpClient>& clients) {
  std::size_t served = 0;
  for (HttpClient& client : clients) {
    const HttpRead read = client.read();
    if (read.outcome == ReadOutcome::kAnswer && read.response.status == 200) ++served;
  }
  EXPECT_EQ(served, clients.size());
}

TEST(Supervision, ReplacesAKilledWorkerInItsSlotOnItsSocket) {
  SupervisorProcess server({.arguments = joined({workers(2), quick_restarts()})});
  ASSERT_TRUE(server.wait_ready(2));
  const pid_t killed = server.worker(1);
  const pid_t other = server.worker(0);
  const auto inode = support::listening_inodes(killed);
  ASSERT_EQ(inode.size(), 1U);
  ASSERT_TRUE(support::send_signal(killed, SIGKILL));
  ASSERT_TRUE(wait_replaced(server, 1, killed));
  EXPECT_EQ(support::listening_inodes(server.worker(1)), inode);
  EXPECT_EQ(server.worker(0), other) << "its sibling is not concerned";
  const common::Result<Status> status = server.status();
  ASSERT_TRUE(status.has_value()) << status.error().message;
  EXPECT_EQ(status->killed, 1U);
  EXPECT_EQ(status->crashed, 0U);
}

TEST(Supervision, ReplacesAWorkerThatCrashes) {
  SupervisorProcess server({.arguments = joined({workers(1), quick_restarts()})});
  std::uint64_t crashes = 0;
  for (const char* how : {"segv", "abort", "exit"}) {
    SCOPED_TRACE(how);
    ASSERT_TRUE(server.wait_ready(1));
    ASSERT_EQ(server.get("/hello").status, 200);
    const pid_t before = server.worker(0);
    server.get(std::string("/crash?how=") + how);
    ASSERT_TRUE(wait_replaced(server, 0, before));
    ++crashes;
    EXPECT_TRUE(server.wait_status([&](const Status& now) { return now.crashed == crashes; }));
    EXPECT_EQ(server.get("/hello").status, 200);
  }
}

TEST(Supervision, ServesEveryClientThatWasQueuedWhenTheirWorkerWasKilled) {
  SupervisorProcess server({.arguments = joined({workers(1), quick_restarts()})});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  ASSERT_TRUE(support::send_signal(worker, SIGSTOP));
  ASSERT_TRUE(support::wait_until([&] { return support::process(worker)->state == 'T'; }));
  std::vector<HttpClient> clients = waiting_clients(server, 200);
  ASSERT_TRUE(support::send_signal(worker, SIGKILL));
  expect_all_served(clients);
}

TEST(Supervision, ServesEveryClientThatWaitedForABusyWorkerThatWasKilled) {
  SupervisorProcess server({.arguments = joined({workers(1), quick_restarts()})});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  common::Result<HttpClient> sleeper = HttpClient::connect(server.address());
  ASSERT_TRUE(sleeper.has_value());
  ASSERT_TRUE(sleeper->send(get_request("/sleep?ms=60000")));
  ASSERT_TRUE(server.wait_status([](const Status& now) { return now.ready_by_slot().at(0).in_flight == 1; }));
  std::vector<HttpClient> clients = waiting_clients(server, 200);
  ASSERT_TRUE(support::send_signal(worker, SIGKILL));
  expect_all_served(clients);
  EXPECT_NE(sleeper->read().outcome, ReadOutcome::kAnswer) << "only this one was in the worker's hands";
}

TEST(Supervision, LosesOnlyWhatIsInFlightWhenRandomWorkersAreKilledUnderLoad) {
  constexpr int kWorkers = 4;
  constexpr unsigned kClients = 4;
  const int kills = support::effort(40, 200);
  SupervisorProcess server({.arguments = joined({workers(kWorkers), quick_restarts()})});
  ASSERT_TRUE(server.wait_ready(kWorkers));
  const std::size_t descriptors = support::open_files_at_rest(server.pid());
  LoadGenerator load({.address = server.address(), .mode = LoadMode::kNewConnection, .threads = kClients});
  std::mt19937 engine(11);
  for (int round = 0; round < kills; ++round) {
    ASSERT_TRUE(load.wait_for_answers(20)) << load.report();
    const int slot = std::uniform_int_distribution<int>(0, kWorkers - 1)(engine);
    const pid_t victim = server.worker(slot);
    ASSERT_NE(victim, 0);
    const std::uint64_t cut_off = load.report().cut_off();
    ASSERT_TRUE(support::send_signal(victim, SIGKILL));
    ASSERT_TRUE(wait_replaced(server, slot, victim)) << "round " << round;
    // Each client has one request under way: more failures than clients would mean that queued ones were reset.
    EXPECT_LE(load.report().cut_off() - cut_off, kClients) << "round " << round;
  }
  const LoadReport report = load.stop();
  EXPECT_EQ(report.refused, 0U) << report;
  EXPECT_EQ(report.timed_out, 0U) << report;
  EXPECT_EQ(report.wrong, 0U) << report;
  EXPECT_LE(report.cut_off(), static_cast<std::uint64_t>(kills) * kClients) << report;
  RecordProperty("cut_off", static_cast<int>(report.cut_off()));
  EXPECT_TRUE(server.wait_status([&](const Status& now) { return now.killed == static_cast<std::uint64_t>(kills); }));
  EXPECT_TRUE(support::wait_until([&] { return support::open_files(server.pid()) <= descriptors; }))
      << support::open_files(server.pid()) << " descriptors of the master instead of at most " << descriptors;
}

TEST(Supervision, GivesUpACrashLoopWithTheReason) {
  SupervisorProcess server(
      {.arguments = joined({workers(1), quick_restarts(), support::set("restart.failures_max", "3")})});
  ASSERT_TRUE(server.wait_ready(1));
  // Every worker dies of its first request, as soon as it is there.
  support::wait_until([&] { return !server.running() || server.get("/crash?how=abort").status == 200; },
                      Deadline(std::chrono::seconds(15)));
  EXPECT_EQ(server.wait_exit(), 3);
  EXPECT_NE(server.output().find("SIGABRT"), std::string::npos);
  EXPECT_NE(server.output().find("restart.failures_max"), std::string::npos);
}

TEST(Supervision, LoadsTheApplicationAnewWhenItsTemplateWasKilled) {
  SupervisorProcess server({.arguments = joined({workers(2), quick_restarts()})});
  ASSERT_TRUE(server.wait_ready(2));
  const pid_t first = server.worker(0);
  const pid_t second = server.worker(1);
  for (const pid_t child : support::children_of(server.pid())) {
    if (child == first || child == second) continue;
    ASSERT_TRUE(support::send_signal(child, SIGKILL));  // the template
  }
  EXPECT_EQ(server.get("/hello").status, 200) << "workers do not need it";
  ASSERT_TRUE(support::send_signal(first, SIGKILL));
  ASSERT_TRUE(wait_replaced(server, 0, first));
  EXPECT_EQ(server.worker(1), second);
}

TEST(Supervision, SurvivesSignalsThatAreNotMeantForIt) {
  SupervisorProcess server({.arguments = workers(1)});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  for (const int signal : {SIGWINCH, SIGPIPE, SIGALRM, SIGCHLD}) server.signal(signal);
  EXPECT_EQ(server.get("/hello").status, 200);
  EXPECT_TRUE(server.running());
  EXPECT_EQ(server.worker(0), worker);
}

// A parent may have left it ignored, and then the kernel reaps our children without a word.
TEST(Supervision, ReplacesWorkersEvenWhenItInheritedAnIgnoredSigchld) {
  SupervisorProcess server({.arguments = workers(1), .launcher = {"/usr/bin/env", "--ignore-signal=CHLD"}});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t killed = server.worker(0);
  ASSERT_TRUE(support::send_signal(killed, SIGKILL));
  EXPECT_TRUE(support::wait_until([&] { return server.worker(0) != killed && server.get("/hello").status == 200; }));
}

TEST(Supervision, ReapsStrangersThatAreLeftToIt) {
  const support::TemporaryDirectory directory;
  const std::string fifo = directory.path("fifo");
  ASSERT_EQ(::mkfifo((fifo + ".parent").c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo((fifo + ".child").c_str(), 0600), 0);
  // A parent that leaves its child behind, both older than the supervisor, which takes the place of their shell.
  const std::string script = "(read go <$0.parent; (read go <$0.child; exit 7) & exit 3) & exec \"$@\"";
  SupervisorProcess server({.arguments = workers(1), .launcher = {"/bin/sh", "-c", script, fifo}});
  ASSERT_TRUE(server.wait_ready(1));
  const auto shells = [&] {
    std::vector<pid_t> found;
    for (const pid_t child : support::children_of(server.pid())) {
      const std::string command = support::read_text("/proc/" + std::to_string(child) + "/cmdline");
      if (command.find("read go") != std::string::npos) found.push_back(child);
    }
    return found;
  };
  const auto let_go = [&](const std::string& which) {
    common::UniqueFd fd(::open((fifo + which).c_str(), O_RDWR | O_CLOEXEC));
    EXPECT_EQ(::write(fd.get(), "go\n", 3), 3);
    return fd;  // open until the test ends: the line must not vanish before it was read
  };
  ASSERT_EQ(shells().size(), 1U);
  const pid_t parent = shells()[0];
  const common::UniqueFd first = let_go(".parent");
  ASSERT_TRUE(support::wait_until([&] { return !support::process(parent); })) << "a stranger was not reaped";
  ASSERT_TRUE(support::wait_until([&] { return shells().size() == 1; })) << "the child was not left to the master";
  const pid_t child = shells()[0];
  const common::UniqueFd second = let_go(".child");
  EXPECT_TRUE(support::wait_until([&] { return !support::process(child); })) << "a stranger was not reaped";
  EXPECT_TRUE(server.running()) << "a stranger's exit code means nothing";
  EXPECT_EQ(server.get("/hello").status, 200);
}

}  // namespace
