// Soak: an application that leaks slowly under load loses no request, and one that does not leak is left alone.
//
// The quick form takes some seconds a case; with SUPERVISOR_TEST_LONG each kind has minutes of its own.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "report.h"
#include "support/load_generator.h"
#include "support/process_table.h"
#include "support/supervisor_process.h"

namespace incidents {
namespace {

using common::Json;
using support::Deadline;
using support::joined;
using support::LoadGenerator;
using support::LoadMode;
using support::LoadReport;
using support::Status;
using support::SupervisorProcess;

constexpr std::array<std::string_view, 6> kKinds = {"file", "socket", "pipe", "eventfd", "epoll", "tcp"};
constexpr int kEvery = 50;      // requests to one descriptor that is leaked
constexpr int kThreshold = 40;  // recycle.fds_leaked
constexpr int kMost = 2000;     // descriptors of a worker: the load goes on at full speed while it is being replaced

std::vector<std::string> options(std::string_view trace) {
  return joined({{"--workers", "2"},
                 support::set("recycle.interval", "\"50ms\""),
                 support::set("recycle.samples", "3"),
                 support::set("recycle.age_min", "\"0s\""),
                 support::set("recycle.fds_leaked", std::to_string(kThreshold)),
                 support::set("fds.trace", '"' + std::string(trace) + '"')});
}

// Two threads on connections that stay and one on new ones, together for each target.
class Load {
 public:
  Load(const std::string& address, const std::vector<std::string>& targets) {
    for (const std::string& target : targets) {
      for (const LoadMode mode : {LoadMode::kKeepAlive, LoadMode::kNewConnection}) {
        const support::LoadOptions options{.address = address, .mode = mode, .threads = 1, .target = target};
        generators_.push_back(std::make_unique<LoadGenerator>(options));
      }
    }
  }
  LoadReport stop() {
    LoadReport sum;
    for (const auto& generator : generators_) sum += generator->stop();
    return sum;
  }

 private:
  std::vector<std::unique_ptr<LoadGenerator>> generators_;
};

std::string leaking(std::string_view kind) {
  return "/leak-sometimes?kind=" + std::string(kind) + "&every=" + std::to_string(kEvery);
}

// Every recycle report of the run, by the worker it speaks of; status keeps only the last 16.
class Reports {
 public:
  // Returns the most descriptors that any worker has now.
  int look(const SupervisorProcess& server) {
    const Json status = status_of(server);
    int most = 0;
    for (const Json& worker : status.at("workers")) most = std::max(most, worker.at("fds").at("total").get<int>());
    for (const Json& recycle : status.value("recycles", Json::array())) by_pid_[recycle.at("pid")] = recycle;
    return most;
  }
  // The last of them may still be in the making.
  void wait_complete(const SupervisorProcess& server) {
    EXPECT_TRUE(support::wait_until([&] {
      look(server);
      return std::ranges::all_of(by_pid_, [](const auto& entry) { return !entry.second.at("groups").is_null(); });
    })) << "a worker was replaced without a report";
  }
  const std::map<int, Json>& by_pid() const { return by_pid_; }

 private:
  std::map<int, Json> by_pid_;
};

// What the application has leaked in a group whose place of opening is not one of those that leak.
int count_misnamed(const Json& recycle, const std::vector<std::string_view>& kinds) {
  int named = 0;
  for (const std::string_view kind : kinds) named += count_opened_at(recycle, kind);
  int traced = 0;
  for (const Json& group : recycle.value("groups", Json::array())) {
    if (group.value("owner", "") != "application" || group.value("since", "") != "serving") continue;
    if (group.value("opened_at", Json()).is_object()) traced += group.value("count", 0);
  }
  return traced - named;
}

// Leaks under load until `replacements` workers have been replaced for it.
void soak(const std::vector<std::string_view>& kinds, std::string_view trace, std::uint64_t replacements) {
  SCOPED_TRACE(std::string(trace) + " " + std::string(kinds.front()));
  SupervisorProcess server({.arguments = options(trace)});
  ASSERT_TRUE(server.wait_ready(2));
  std::vector<std::string> targets;
  for (const std::string_view kind : kinds) targets.push_back(leaking(kind));
  Reports reports;
  int most = 0;
  Load load(server.address(), targets);
  EXPECT_TRUE(server.wait_status(
      [&](const Status& now) {
        most = std::max(most, reports.look(server));
        return now.recycled.at("fds_leaked") >= replacements;
      },
      Deadline(std::chrono::seconds(support::is_long() ? 280 : 60))));
  const LoadReport report = load.stop();
  EXPECT_EQ(report.failed(), 0U) << report;
  const common::Result<Status> status = server.status();
  ASSERT_TRUE(status.has_value()) << status.error().message;
  EXPECT_EQ(status->recycled_in_all(), status->recycled.at("fds_leaked")) << "replaced for another reason";
  EXPECT_EQ(status->crashed + status->killed, 0U);
  EXPECT_LE(most, kMost) << "descriptors are not bounded";

  reports.wait_complete(server);
  EXPECT_GE(reports.by_pid().size(), std::min<std::uint64_t>(replacements, 16));
  std::set<std::string_view> seen;
  for (const auto& [pid, recycle] : reports.by_pid()) {
    int named = 0;
    for (const std::string_view kind : kinds) {
      const int count = count_opened_at(recycle, kind);
      if (count > 0) seen.insert(kind);
      named += count;
    }
    // Begun late, tracing sees nothing of a worker that is replaced at the next look.
    if (trace == "always") {
      EXPECT_GE(named, kThreshold / 2) << "worker " << pid;  // the report at half of it may be the one
    }
    EXPECT_EQ(count_misnamed(recycle, kinds), 0) << recycle.at("groups").dump(1);
  }
  EXPECT_EQ(seen.size(), kinds.size()) << "not every kind was reported with its line";
}

TEST(Soak, LosesNoRequestWhileDescriptorsOfSixKindsLeak) {
  if (!support::is_long()) {
    soak({kKinds.begin(), kKinds.end()}, "always", 4);
    return;
  }
  for (const std::string_view kind : kKinds) soak({kind}, "always", 16);
}

TEST(Soak, NamesThePlacesAlsoWhenTheyAreNotedOnlyOnceGrowthIsSuspected) {
  if (!support::is_long()) {
    soak({kKinds.begin(), kKinds.end()}, "auto", 4);
    return;
  }
  for (const std::string_view kind : kKinds) soak({kind}, "auto", 16);
}

TEST(Soak, ReplacesNobodyWithoutALeak) {
  SupervisorProcess server({.arguments = options("auto")});
  ASSERT_TRUE(server.wait_ready(2));
  const pid_t first = server.worker(0);
  const pid_t second = server.worker(1);
  Load load(server.address(), {"/hello", "/files?count=2", "/burst?count=500&ms=20"});
  const common::Duration span = std::chrono::seconds(support::is_long() ? 120 : 6);
  EXPECT_TRUE(support::holds_for(span, [&] {
    const common::Result<Status> now = server.status();
    return now && now->recycled_in_all() == 0;
  })) << status_of(server).dump(1);
  const LoadReport report = load.stop();
  EXPECT_EQ(report.failed(), 0U) << report;
  EXPECT_EQ(server.worker(0), first);
  EXPECT_EQ(server.worker(1), second);
}

}  // namespace
}  // namespace incidents
