// CounterStore: totals that outlive the master in the hands of the service manager, and what takes their place there.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "common/json.h"
#include "support/activator.h"
#include "support/http_client.h"
#include "support/signal.h"
#include "support/supervisor_process.h"

namespace {

using common::UniqueFd;
using support::Activator;
using support::Status;
using support::SupervisorOptions;
using support::SupervisorProcess;

const std::string kName = "supervisor,counters";
constexpr std::string_view kAlarm = "the stored counters cannot be used";

SupervisorOptions workers(int number) { return {.arguments = {"--workers", std::to_string(number)}}; }

void ask(const SupervisorProcess& server, int times) {
  for (int i = 0; i < times; ++i) ASSERT_EQ(server.get("/hello").status, 200);
}

// A recycle is written at once, and all requests with it.
void recycle(SupervisorProcess& server, std::uint64_t before) {
  ASSERT_EQ(server.control("POST", "/recycle?slot=0").status / 100, 2);
  ASSERT_TRUE(server.wait_status([&](const Status& now) { return now.recycled.at("manual") == before + 1; }));
  ASSERT_TRUE(server.status().has_value()) << "the turn is over in which it was counted";
}

void kill_and_wait(SupervisorProcess& server) {
  server.signal(SIGKILL);
  ASSERT_EQ(server.wait_exit(), -SIGKILL);
}

// How often an object of this name is open or mapped in a process.
std::size_t occurrences(pid_t pid, std::string_view name) {
  std::size_t count = 0;
  const std::string process = "/proc/" + std::to_string(pid);
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(process + "/fd", error)) {
    count += std::filesystem::read_symlink(entry.path(), error).string().find(name) == std::string::npos ? 0 : 1;
  }
  std::ifstream maps(process + "/maps");
  for (std::string line; std::getline(maps, line);) count += line.find(name) == std::string::npos ? 0 : 1;
  return count;
}

std::uint64_t upgrades(const SupervisorProcess& server) {
  const common::Json status = common::Json::parse(server.control("GET", "/status").body, nullptr, false);
  return status.is_object() ? status.at("upgrade").at("count").get<std::uint64_t>() : 0;
}

TEST(CounterStore, CountsOnWhenTheMasterIsKilled) {
  Activator activator;
  std::uint64_t connections = 0;
  for (std::uint64_t round = 0; round < 3; ++round) {
    SupervisorProcess server(activator.options(workers(2)));
    ASSERT_TRUE(server.wait_ready(2)) << server.output();
    const Status begin = server.status().value();
    EXPECT_EQ(begin.served_requests, 20 * round) << server.output();
    EXPECT_EQ(begin.served_connections, connections);
    EXPECT_EQ(begin.recycled.at("manual"), round);
    EXPECT_EQ(begin.killed, round);
    ask(server, 20);
    const pid_t victim = server.worker(1);
    ASSERT_TRUE(support::send_signal(victim, SIGKILL));
    ASSERT_TRUE(server.wait_status([&](const Status& now) { return now.killed == round + 1; }));
    recycle(server, round);
    const Status end = server.status().value();
    EXPECT_EQ(end.served_requests, 20 * (round + 1)) << "whoever of them has gone";
    connections = end.served_connections;
    EXPECT_GE(connections, 20 * (round + 1));
    kill_and_wait(server);
  }
}

TEST(CounterStore, LosesNothingInARestart) {
  Activator activator;
  for (std::uint64_t round = 0; round < 3; ++round) {
    SupervisorProcess server(activator.options(workers(1)));
    ASSERT_TRUE(server.wait_ready(1));
    EXPECT_EQ(server.status()->served_requests, 15 * round);
    ask(server, 15);
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait_exit(), 0);
  }
  EXPECT_EQ(activator.count("FDNAME=" + kName), 1U) << "stored once, and for good";
}

TEST(CounterStore, CountsOnAfterAnUpgradeAndThenAfterAKill) {
  Activator activator;
  SupervisorOptions often = workers(2);
  often.arguments.insert(often.arguments.end(), {"--set", "recycle.interval=\"20ms\""});
  {
    SupervisorProcess server(activator.options(often));
    ASSERT_TRUE(server.wait_ready(2));
    ask(server, 10);
    recycle(server, 0);
    // Many looks at the workers, before the upgrade and after it.
    const auto stays = [&server](std::uint64_t requests) {
      return support::holds_for(std::chrono::milliseconds(200),
                                [&] { return server.status()->served_requests == requests; });
    };
    for (std::uint64_t round = 1; round <= 2; ++round) {
      EXPECT_TRUE(stays(10 * round));
      server.signal(SIGUSR2);
      ASSERT_TRUE(support::wait_until([&] { return upgrades(server) == round; })) << server.output();
      EXPECT_TRUE(stays(10 * round)) << "by workers that went on, and by one that has gone";
      EXPECT_EQ(server.status()->recycled.at("manual"), 1U);
      ask(server, 10);
    }
    recycle(server, 1);
    kill_and_wait(server);
  }
  SupervisorProcess server(activator.options(workers(2)));
  ASSERT_TRUE(server.wait_ready(2));
  EXPECT_EQ(server.status()->served_requests, 30U);
  EXPECT_EQ(server.status()->recycled.at("manual"), 2U);
  EXPECT_EQ(activator.count("FDNAME=" + kName), 1U);
}

// Requests are written each second, whether or not anything else happens.
TEST(CounterStore, WritesRequestsWithoutAnOccasion) {
  Activator activator;
  SupervisorOptions options = workers(1);
  options.arguments.insert(options.arguments.end(), {"--set", "recycle.interval=\"60s\""});
  SupervisorProcess server(activator.options(options));
  ASSERT_TRUE(server.wait_ready(1));
  ASSERT_TRUE(support::wait_until([&] { return static_cast<bool>(activator.stored_copy(kName)); }));
  const UniqueFd page = activator.stored_copy(kName);
  const auto written = [&page] {
    std::array<char, 4096> bytes{};
    EXPECT_EQ(pread(page.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    return std::string(bytes.data(), bytes.size());
  };
  const std::string before = written();
  const pid_t worker = server.worker(0);
  auto client = server.connect();
  ASSERT_TRUE(client.send(support::get_request("/hello")));
  EXPECT_TRUE(support::wait_until([&] { return written() != before; })) << "long before the next look at the workers";
  EXPECT_EQ(server.worker(0), worker);
}

TEST(CounterStore, IsTheMastersAlone) {
  Activator activator;
  for (int round = 0; round < 2; ++round) {  // made, then inherited
    SupervisorProcess server(activator.options(workers(2)));
    ASSERT_TRUE(server.wait_ready(2));
    EXPECT_EQ(occurrences(server.pid(), "supervisor-counters"), 1U);
    const std::vector<pid_t> all = server.processes();
    EXPECT_EQ(all.size(), 4U) << "with the template";
    for (const pid_t pid : all) {
      EXPECT_EQ(occurrences(pid, "supervisor-counters"), pid == server.pid() ? 1U : 0U) << pid;
    }
    EXPECT_EQ(server.output().find(kAlarm), std::string::npos);
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait_exit(), 0);
  }
}

TEST(CounterStore, StoresNothingWithoutAManager) {
  SupervisorProcess server(workers(1));
  ASSERT_TRUE(server.wait_ready(1));
  ask(server, 3);
  EXPECT_EQ(server.status()->served_requests, 3U) << "counted all the same";
  EXPECT_EQ(occurrences(server.pid(), "supervisor-counters"), 0U);
}

UniqueFd page_with(std::string_view beginning) {
  UniqueFd fd(memfd_create("stranger", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(ftruncate(fd.get(), 4096), 0);
  EXPECT_EQ(pwrite(fd.get(), beginning.data(), beginning.size(), 0), static_cast<ssize_t>(beginning.size()));
  EXPECT_EQ(fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
  return fd;
}

TEST(CounterStore, IgnoresAStrangerOfItsNameSaysSoOnceAndTakesItsPlace) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd writing(ends[1]);
  std::vector<UniqueFd> strangers;
  strangers.emplace_back(ends[0]);
  strangers.emplace_back(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  strangers.push_back(support::listening_socket("127.0.0.1:0"));
  strangers.push_back(page_with("nothing of ours"));
  strangers.push_back(page_with("counters\xFF"));
  for (std::size_t i = 0; i < strangers.size(); ++i) {
    Activator activator;
    activator.put(kName, strangers[i].get());
    {
      SupervisorProcess server(activator.options(workers(1)));
      ASSERT_TRUE(server.wait_ready(1)) << i << server.output();
      const std::string said = server.output();
      const std::size_t first = said.find(kAlarm);
      EXPECT_NE(first, said.npos) << i;
      EXPECT_EQ(said.find(kAlarm, first + 1), said.npos) << i << " said once";
      ask(server, 4);
      EXPECT_TRUE(activator.wait_words("FDSTOREREMOVE=1")) << i;
      server.signal(SIGTERM);
      EXPECT_EQ(server.wait_exit(), 0);
    }
    SupervisorProcess server(activator.options(workers(1)));
    ASSERT_TRUE(server.wait_ready(1));
    EXPECT_EQ(server.output().find(kAlarm), std::string::npos) << i;
    EXPECT_EQ(server.status()->served_requests, 4U) << i;
  }
}

}  // namespace
