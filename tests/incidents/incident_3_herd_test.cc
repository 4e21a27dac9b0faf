// Incident 3: every worker wakes for one connection, each has the application in memory, and a busy one takes new work.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "crowd.h"
#include "original_server.h"
#include "support/process_table.h"
#include "support/supervisor_process.h"

namespace incidents {
namespace {

using support::Deadline;
using support::get_request;
using support::HttpClient;
using support::HttpRead;
using support::joined;
using support::ReadOutcome;
using support::Status;
using support::SupervisorProcess;

constexpr int kConnections = 30;
constexpr int kWorkers = 8;
constexpr std::uint64_t kBallastBytes = 30'000'000;  // that originals/gunicorn_app.py holds; big_load holds more

std::vector<std::string> gunicorn(int workers) {
  return {"/usr/bin/gunicorn",     "--worker-class", "gevent",      "--workers",
          std::to_string(workers), "--bind",         "127.0.0.1:0", "gunicorn_app:app"};
}

bool has_gunicorn() { return has_python_module("gunicorn") && has_python_module("gevent"); }

pid_t pid_in(const std::string& body) { return body.empty() ? 0 : static_cast<pid_t>(std::stol(body)); }

// Until each of them has answered once: then all of them are waiting for work.
bool wait_for_workers(const OriginalServer& server, const std::string& address, std::size_t count) {
  std::map<pid_t, int> answers;
  return support::wait_until(
      [&] {
        ++answers[pid_in(support::fetch(address, "/pid").body)];
        return answers.size() == count && support::children_of(server.pid()).size() == count;
      },
      Deadline(std::chrono::seconds(30)));
}

using WakeUps = std::map<pid_t, std::uint64_t>;

// A process is counted when it goes back to sleep, so this waits until nobody has been counted for a while.
WakeUps settled_wake_ups(const std::vector<pid_t>& pids) {
  const auto look = [&] {
    WakeUps now;
    for (const pid_t pid : pids) now[pid] = support::voluntary_switches(pid);
    return now;
  };
  WakeUps last = look();
  support::wait_until([&] {
    return support::holds_for(std::chrono::milliseconds(4), [&] { return look() == last; }) || (last = look(), false);
  });
  return last;
}

std::vector<pid_t> ready_workers(const SupervisorProcess& server) {
  std::vector<pid_t> pids;
  const common::Result<Status> now = server.status();
  for (const auto& [slot, worker] : now ? now->ready_by_slot() : std::map<int, support::WorkerStatus>()) {
    pids.push_back(worker.pid);
  }
  return pids;
}

// How often workers wake for a connection that another one serves, on average: whatever is more than a connection takes
// from the worker that serves it, which is to accept it, to read, to write, and to see it end.
double vain_wake_ups_per_connection(const std::string& address, const std::vector<pid_t>& workers) {
  constexpr std::uint64_t kNeeded = 4;
  const WakeUps before = settled_wake_ups(workers);
  std::map<pid_t, std::uint64_t> served;
  for (int index = 0; index < kConnections; ++index) {
    ++served[pid_in(support::fetch(address, "/pid").body)];
    settled_wake_ups(workers);
  }
  const WakeUps after = settled_wake_ups(workers);
  std::uint64_t all = 0;
  std::uint64_t vain = 0;
  for (const pid_t pid : workers) {
    const std::uint64_t woken = after.at(pid) - before.at(pid);
    all += woken;
    vain += woken - std::min(woken, kNeeded * served[pid]);
  }
  EXPECT_GE(all, static_cast<std::uint64_t>(kConnections) / 2) << "is it measured at all?";
  return static_cast<double>(vain) / kConnections;
}

TEST(Incident3, HappensToGunicornWhoseWorkersAllWakeForOneConnection) {
  if (!has_gunicorn()) GTEST_SKIP() << "the original is missing: apt-get install gunicorn python3-gevent";
  OriginalServer server(gunicorn(kWorkers));
  const std::string address = server.wait_address();
  ASSERT_TRUE(wait_for_workers(server, address, kWorkers)) << server.output();
  EXPECT_GE(vain_wake_ups_per_connection(address, support::children_of(server.pid())), 1.0);
}

TEST(Incident3, WakesNobodyForAConnectionThatAnotherWorkerServes) {
  SupervisorProcess server({.arguments = {"--workers", std::to_string(kWorkers)}});
  ASSERT_TRUE(server.wait_ready(kWorkers));
  EXPECT_LE(vain_wake_ups_per_connection(server.address(), ready_workers(server)), 0.2);
}

TEST(Incident3, HappensToGunicornWhoseWorkersEachLoadTheApplication) {
  if (!has_gunicorn()) GTEST_SKIP() << "the original is missing: apt-get install gunicorn python3-gevent";
  OriginalServer server(gunicorn(4));
  const std::string address = server.wait_address();
  ASSERT_TRUE(wait_for_workers(server, address, 4)) << server.output();
  for (const pid_t pid : support::children_of(server.pid())) {
    EXPECT_GE(support::private_bytes(pid), kBallastBytes) << "worker " << pid;
  }
}

TEST(Incident3, SharesTheMemoryOfWhatIsLoaded) {
  if (support::is_sanitized()) GTEST_SKIP() << "a sanitizer's own memory is larger than what is measured here";
  SupervisorProcess server({.arguments = {"--workers", "4"}, .app = support::application("big_load")});
  ASSERT_TRUE(server.wait_ready(4, Deadline(std::chrono::seconds(60))));
  for (int request = 0; request < 40; ++request) ASSERT_NE(server.get("/hello").status, 0);
  const common::Result<Status> status = server.status();
  ASSERT_TRUE(status.has_value()) << status.error().message;
  for (const auto& [slot, worker] : status->ready_by_slot()) {
    EXPECT_GE(worker.rss_bytes, kBallastBytes) << "slot " << slot << " does not have it in memory at all";
    EXPECT_LE(support::private_bytes(worker.pid), kBallastBytes / 3) << "slot " << slot;
  }
}

// One request that blocks its worker, and clients that lose patience: their work is done for nobody.
TEST(Incident3, HappensToGunicornWhichWorksForClientsThatHaveGone) {
  constexpr int kImpatient = 5;
  if (!has_gunicorn()) GTEST_SKIP() << "the original is missing: apt-get install gunicorn python3-gevent";
  OriginalServer server(gunicorn(1));
  const std::string address = server.wait_address();
  ASSERT_TRUE(wait_for_workers(server, address, 1)) << server.output();
  Crowd blocking = connect_crowd(address, 1);
  ASSERT_TRUE(blocking[0].send(get_request("/block")));
  for (HttpClient& client : connect_crowd(address, kImpatient)) {
    ASSERT_TRUE(client.send(get_request("/work")));
    client.abort();
  }
  EXPECT_EQ(support::fetch(address, "/worked").body, std::to_string(kImpatient) + "\n");
}

TEST(Incident3, LetsTheSuccessorServeWhoWaitsForAWorkerThatHangs) {
  constexpr std::size_t kWaiting = 20;
  SupervisorProcess server({.arguments = joined({{"--workers", "1"},
                                                 support::set("recycle.interval", "\"50ms\""),
                                                 support::set("workers.hang_timeout", "\"500ms\""),
                                                 support::set("workers.stop_timeout", "\"500ms\"")})});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t hung = server.worker(0);
  HttpClient blocking = server.connect();
  ASSERT_TRUE(blocking.send(get_request("/sleep?ms=60000")));
  ASSERT_TRUE(server.wait_status([](const Status& now) { return now.worker(now.workers.at(0).pid).in_flight == 1; }));
  Crowd waiting = connect_crowd(server.address(), kWaiting);
  for (HttpClient& client : waiting) ASSERT_TRUE(client.send(get_request("/pid")));
  for (HttpClient& client : waiting) {
    const HttpRead read = client.read();
    ASSERT_EQ(read.outcome, ReadOutcome::kAnswer);
    EXPECT_NE(pid_in(read.response.body), hung);
  }
}

TEST(Incident3, KillsNoWorkerWhenItsClientsHaveGone) {
  SupervisorProcess server({.arguments = {"--workers", "1"}});
  ASSERT_TRUE(server.wait_ready(1));
  const pid_t worker = server.worker(0);
  const std::string path = server.directory().write("large", std::string(2'000'000, 'x'));
  for (const std::string target : {"/hello", "/burn?ms=20", "/sleep?ms=20"}) {
    for (HttpClient& client : connect_crowd(server.address(), 20)) {
      ASSERT_TRUE(client.send(get_request(target) + get_request("/file?path=" + path)));
      client.abort();
    }
  }
  EXPECT_EQ(server.get("/hello").status, 200);
  EXPECT_EQ(server.worker(0), worker) << "SIGPIPE, or another way to die of a client";
}

}  // namespace
}  // namespace incidents
