// Incident 1: clients that connect and say nothing take one descriptor each, until there is none left to serve with.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "crowd.h"
#include "original_server.h"
#include "support/load_generator.h"
#include "support/process_table.h"
#include "support/supervisor_process.h"

namespace incidents {
namespace {

using support::Deadline;
using support::get_request;
using support::HttpClient;
using support::joined;
using support::LoadGenerator;
using support::LoadMode;
using support::LoadReport;
using support::ReadOutcome;
using support::Status;
using support::SupervisorProcess;

constexpr std::uint64_t kFewOpenFiles = 64;  // for the original

std::vector<std::string> with_timeouts(const std::string& duration) {
  std::vector<std::string> arguments;
  for (const char* which : {"header", "body", "write", "keep_alive"}) {
    arguments = joined({arguments, support::set(std::string("timeouts.") + which, '"' + duration + '"')});
  }
  return joined({arguments, support::set("timeouts.linger", "\"1s\"")});
}

std::uint64_t connections(const SupervisorProcess& server) {
  const common::Result<Status> now = server.status();
  std::uint64_t sum = 0;
  for (const support::WorkerStatus& worker : now ? now->workers : std::vector<support::WorkerStatus>()) {
    sum += worker.connections;
  }
  return sum;
}

// What each of them does to be a burden: by index, so that every kind is spread over the whole crowd.
enum class Burden { kSilent, kIdle, kHalfAHead, kHalfABody, kTrickle, kKinds };

void burden(HttpClient& client, Burden kind) {
  switch (kind) {
    case Burden::kSilent: return;
    case Burden::kIdle: client.send(get_request("/hello")); return;
    case Burden::kHalfAHead: client.send("GET /hello HTTP/1.1\r\nHos"); return;
    case Burden::kHalfABody: client.send("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf"); return;
    case Burden::kTrickle: client.send("GET /hello HTTP/1.1\r\nHost: a\r\nX: "); return;
    case Burden::kKinds: return;
  }
}

constexpr Burden burden_of(std::size_t index) {
  return static_cast<Burden>(index % static_cast<std::size_t>(Burden::kKinds));
}

// Never silent, never done: one more byte of a head that has no end.
void trickle(Crowd& crowd) {
  for (std::size_t index = 0; index < crowd.size(); ++index) {
    if (burden_of(index) == Burden::kTrickle) crowd[index].send_some("x");
  }
}

TEST(Incident1, HappensToPywsgiWhichWaitsForSilentClientsForEver) {
  if (!has_python_module("gevent")) GTEST_SKIP() << "the original server is missing: apt-get install python3-gevent";
  OriginalServer server({"pywsgi_server.py"}, kFewOpenFiles);
  const std::string address = server.wait_address();
  ASSERT_NE(address, "") << server.output();
  ASSERT_EQ(support::fetch(address, "/").status, 200);
  const Crowd silent = connect_crowd(address, 100);
  EXPECT_TRUE(server.wait_output("Too many open files")) << server.output();
  EXPECT_EQ(support::fetch(address, "/", Deadline(std::chrono::seconds(2))).status, 0) << "it answers all the same";
  EXPECT_EQ(count_open(silent), silent.size()) << "it has let some go";
  EXPECT_GE(support::open_files(server.pid()), kFewOpenFiles - 2);
}

TEST(Incident1, CostsDescriptorsOfTenThousandClientsOnlyUntilTheirDeadlines) {
  constexpr auto kTimeout = std::chrono::seconds(5);
  constexpr auto kSlack = std::chrono::seconds(4);  // lingering (1 s), and a machine that has other things to do
  const std::uint64_t limit = support::raise_open_files();
  const std::size_t count = std::min<std::size_t>(support::is_sanitized() ? 2500 : 10'000, limit / 2 - 500);
  SupervisorProcess server({.arguments = joined({{"--workers", "2"}, with_timeouts("5s")})});
  ASSERT_TRUE(server.wait_ready(2));
  ASSERT_EQ(server.get("/hello").status, 200);
  std::map<pid_t, std::size_t> before;
  for (const int slot : {0, 1}) {
    const pid_t worker = server.worker(slot);
    before[worker] = support::open_files_at_rest(worker);
  }
  LoadGenerator well_behaved({.address = server.address(), .mode = LoadMode::kNewConnection, .threads = 1});
  Crowd crowd = connect_crowd(server.address(), count);
  for (std::size_t index = 0; index < crowd.size(); ++index) burden(crowd[index], burden_of(index));
  const common::TimePoint all_there = common::Clock::now();
  // The last of them may be yet to be accepted.
  EXPECT_TRUE(support::wait_until([&] { return connections(server) >= count * 9 / 10; })) << "this is no burden";
  EXPECT_TRUE(well_behaved.wait_for_answers(50)) << well_behaved.report();
  EXPECT_TRUE(support::wait_until(
      [&] {
        trickle(crowd);
        return connections(server) <= 2;  // those of the load
      },
      Deadline(std::chrono::seconds(30))))
      << connections(server) << " connections are left";
  EXPECT_LE(common::Clock::now() - all_there, support::patience(kTimeout + kSlack));
  EXPECT_TRUE(support::wait_until([&] { return count_open(crowd) == 0; })) << "two were not those of the load";
  const LoadReport report = well_behaved.stop();
  EXPECT_EQ(report.failed(), 0U) << report;
  for (const auto& [pid, descriptors] : before) {
    EXPECT_TRUE(support::wait_until([&] { return support::open_files(pid) <= descriptors; }))
        << support::open_files(pid) << " descriptors instead of " << descriptors;
  }
}

TEST(Incident1, EndsClientsThatNeverReadTheirAnswer) {
  SupervisorProcess server({.arguments = joined({{"--workers", "1"}, with_timeouts("500ms")})});
  ASSERT_TRUE(server.wait_ready(1));
  const std::string path = server.directory().write("large", std::string(8'000'000, 'x'));
  Crowd crowd = connect_crowd(server.address(), 10);
  for (HttpClient& client : crowd) {
    client.limit_receive_buffer(4096);
    ASSERT_TRUE(client.send(get_request("/file?path=" + path)));
  }
  EXPECT_EQ(server.get("/hello").status, 200);
  EXPECT_TRUE(support::wait_until([&] { return connections(server) == 0; }));
}

TEST(Incident1, MakesTheOldestIdleClientsGiveWayFirst) {
  constexpr std::size_t kRoom = 20;
  constexpr std::size_t kNewcomers = 5;
  SupervisorProcess server(
      {.arguments = joined({{"--workers", "1"}, support::set("limits.connections", std::to_string(kRoom))})});
  ASSERT_TRUE(server.wait_ready(1));
  Crowd idle = connect_crowd(server.address(), kRoom);
  for (HttpClient& client : idle) {
    ASSERT_TRUE(client.send(get_request("/hello")));
    ASSERT_EQ(client.read().outcome, ReadOutcome::kAnswer);
  }
  Crowd newcomers = connect_crowd(server.address(), kNewcomers);
  for (HttpClient& client : newcomers) {
    ASSERT_TRUE(client.send(get_request("/hello")));
    EXPECT_EQ(client.read().response.status, 200);
  }
  const std::size_t gone = kRoom - count_open(idle);
  EXPECT_GE(gone, kNewcomers);
  EXPECT_LE(gone, kNewcomers + 1) << "one place may be kept free for the next";
  for (std::size_t index = 0; index < kRoom; ++index) {
    if (index < gone) {
      EXPECT_EQ(idle[index].read_to_end().outcome, ReadOutcome::kEnd) << "client " << index;
    } else {
      ASSERT_TRUE(idle[index].send(get_request("/hello"))) << "client " << index;
      EXPECT_EQ(idle[index].read().response.status, 200) << "client " << index << " was not among the oldest";
    }
  }
}

// More silent clients than there are places, and then one that asks, again if it is told to.
bool newcomer_is_served(const std::string& timeouts, common::Duration wait) {
  SupervisorProcess server({.arguments = joined({{"--workers", "1"},
                                                 with_timeouts(timeouts),
                                                 support::set("limits.connections", "50"),
                                                 support::set("limits.on_full", "\"refuse\"")})});
  EXPECT_TRUE(server.wait_ready(1));
  Crowd silent = connect_crowd(server.address(), 100);
  // Having begun, they are no longer those that have to give way when somebody else comes.
  for (HttpClient& client : silent) burden(client, Burden::kHalfAHead);
  const Deadline deadline(wait);
  return support::wait_until([&] { return server.get("/hello", deadline).status == 200; }, deadline);
}

TEST(Incident1, IsPreventedByTheDeadlinesAndComesBackWithoutThem) {
  EXPECT_TRUE(newcomer_is_served("500ms", std::chrono::seconds(10)));
  EXPECT_FALSE(newcomer_is_served("1h", std::chrono::seconds(3)))
      << "so it is not the deadlines that the other tests test";
}

}  // namespace
}  // namespace incidents
