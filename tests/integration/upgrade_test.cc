// Upgrade: the master becomes whatever lies where its program was, and nobody notices; or it stays what it is.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/json.h"
#include "support/environment.h"
#include "support/load_generator.h"
#include "support/process_table.h"
#include "support/signal.h"
#include "support/supervisor_process.h"

namespace {

using common::Json;
using support::Deadline;
using support::LoadGenerator;
using support::LoadMode;
using support::LoadReport;
using support::Status;
using support::SupervisorProcess;

// Where the program lies, so that a test can put another one in its place.
class Installation {
 public:
  Installation() { install(support::program()); }

  std::string path() const { return directory_.path("supervisor"); }
  // As a package manager does, by rename(2): the running program's file goes on without a name.
  void install(const std::string& file) const {
    std::filesystem::copy_file(file, directory_.path("new"));
    std::filesystem::rename(directory_.path("new"), path());
  }
  void write(const std::string& script) const {
    std::ofstream(directory_.path("new")) << script;
    std::filesystem::permissions(directory_.path("new"), std::filesystem::perms::owner_all);
    std::filesystem::rename(directory_.path("new"), path());
  }
  std::string other(std::string_view name) const { return directory_.path(name); }

  support::SupervisorOptions options(std::vector<std::string> arguments = {"-w", "2"}) const {
    const std::string command = "shift; exec " + path() + " \"$@\"";
    return {.arguments = std::move(arguments), .launcher = {"/bin/sh", "-c", command, "sh"}};
  }

 private:
  support::TemporaryDirectory directory_;
};

Json upgrade_of(const SupervisorProcess& server) {
  const Json status = Json::parse(server.control("GET", "/status").body, nullptr, false);
  return status.is_object() ? status.value("upgrade", Json()) : Json();
}

std::uint64_t upgrades(const SupervisorProcess& server) {
  const Json upgrade = upgrade_of(server);
  return upgrade.is_object() ? upgrade.value("count", std::uint64_t{0}) : 0;
}

// What it was refused for; "" = it was not.
std::string refusal(const SupervisorProcess& server) {
  std::string reason;
  support::wait_until(
      [&] {
        const Json upgrade = upgrade_of(server);
        const bool is_over = upgrade.is_object() && upgrade.value("state", "") == "failed";
        if (is_over) reason = upgrade["last_error"].get<std::string>();
        return is_over;
      },
      Deadline(std::chrono::seconds(40)));
  return reason;
}

bool is_upgraded(const SupervisorProcess& server, std::uint64_t count) {
  return support::wait_until([&] { return upgrades(server) == count; }, Deadline());
}

std::vector<pid_t> pids_of(const Status& status) {
  std::vector<pid_t> pids;
  for (const auto& [slot, worker] : status.ready_by_slot()) pids.push_back(worker.pid);
  return pids;
}

// The child that is no worker; 0 if there is no such one.
pid_t the_template(const SupervisorProcess& server) {
  std::vector<pid_t> others = server.processes();
  const std::vector<pid_t> workers = pids_of(server.status().value());
  std::erase(others, server.pid());
  std::erase_if(others, [&](pid_t pid) { return std::ranges::find(workers, pid) != workers.end(); });
  return others.size() == 1 ? others.front() : 0;
}

TEST(Upgrade, KeepsEverythingButTheProgram) {
  const Installation installation;
  SupervisorProcess server(installation.options({"-w", "2", "--bind", "unix:" + installation.other("http.sock")}));
  ASSERT_TRUE(server.wait_ready(2));
  ASSERT_EQ(server.control("POST", "/recycle?slot=1").status / 100, 2);
  ASSERT_TRUE(
      server.wait_status([](const Status& now) { return now.recycled.at("manual") == 1 && now.workers.size() == 2; }));
  for (int i = 0; i < 10; ++i) ASSERT_EQ(server.get("/hello").status, 200);
  ASSERT_EQ(server.control("POST", "/reload").status, 200);
  ASSERT_TRUE(support::wait_until([&] { return server.processes().size() == 4; })) << "the old template did not end";
  const auto before = server.status();
  ASSERT_TRUE(before.has_value()) << before.error().message;
  const std::size_t descriptors = support::open_files_at_rest(server.pid());
  for (std::uint64_t round = 1; round <= 3; ++round) {
    server.signal(SIGUSR2);
    ASSERT_TRUE(is_upgraded(server, round)) << server.output();
  }
  const auto after = server.status();
  ASSERT_TRUE(after.has_value()) << after.error().message;
  EXPECT_EQ(after->master_pid, server.pid());
  EXPECT_EQ(pids_of(*after), pids_of(*before));
  EXPECT_EQ(after->generation, 2);
  EXPECT_GT(after->uptime_s, before->uptime_s);
  EXPECT_EQ(after->recycled, before->recycled);
  EXPECT_EQ(after->open_files_soft, before->open_files_soft);
  EXPECT_EQ(after->listeners.size(), before->listeners.size());
  EXPECT_TRUE(support::wait_until([&] { return support::open_files(server.pid()) == descriptors; }))
      << support::open_files(server.pid()) << " instead of " << descriptors;
  for (std::size_t i = 0; i < before->listeners.size(); ++i) {
    EXPECT_EQ(after->listeners[i].address, before->listeners[i].address);
    EXPECT_EQ(after->listeners[i].sockets, before->listeners[i].sockets);
  }
  EXPECT_EQ(server.get("/hello").status, 200);
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait_exit(), 0);
  EXPECT_FALSE(std::filesystem::exists(installation.other("http.sock"))) << "its socket file goes with it";
  EXPECT_FALSE(std::filesystem::exists(server.control_path()));
}

TEST(Upgrade, LosesNoRequest) {
  SupervisorProcess server({.arguments = {"-w", "2"}});
  ASSERT_TRUE(server.wait_ready(2));
  LoadGenerator fresh({.address = server.address(), .mode = LoadMode::kNewConnection, .threads = 2});
  LoadGenerator kept({.address = server.address(), .mode = LoadMode::kKeepAlive, .threads = 2});
  for (std::uint64_t round = 1; round <= 5; ++round) {
    server.signal(SIGUSR2);
    ASSERT_TRUE(is_upgraded(server, round)) << server.output();
    ASSERT_TRUE(fresh.wait_for_answers(20) && kept.wait_for_answers(20));
  }
  for (LoadGenerator* load : {&fresh, &kept}) {
    const LoadReport report = load->stop();
    EXPECT_EQ(report.failed(), 0U) << report;
  }
}

TEST(Upgrade, ExecutesWhatLiesThereNow) {
  const Installation installation;
  SupervisorProcess server(installation.options());
  ASSERT_TRUE(server.wait_ready(2));
  const std::string proof = installation.other("proof");
  installation.write("#!/bin/sh\necho x >> " + proof + "\nexec " + support::program() + " \"$@\"\n");
  server.signal(SIGUSR2);
  ASSERT_TRUE(is_upgraded(server, 1)) << server.output();
  EXPECT_EQ(support::read_text(proof), "x\nx\n") << "once to check it, once for good";
}

TEST(Upgrade, LeavesAMasterThatIsAbleToDoEverything) {
  SupervisorProcess server({.arguments = {"-w", "2"}});
  ASSERT_TRUE(server.wait_ready(2));
  server.signal(SIGUSR2);
  ASSERT_TRUE(is_upgraded(server, 1)) << server.output();
  const pid_t killed = server.worker(0);
  ASSERT_TRUE(support::send_signal(killed, SIGKILL));
  ASSERT_TRUE(server.wait_status([&](const Status& now) {
    return now.ready_by_slot().size() == 2 && now.worker(killed).slot == -1 && now.killed == 1;
  })) << server.output();
  ASSERT_EQ(server.control("POST", "/reload").status, 200);
  EXPECT_EQ(server.status().value().generation, 2);
  EXPECT_EQ(server.control("POST", "/scale?workers=3").status / 100, 2);
  ASSERT_TRUE(server.wait_ready(3));
  EXPECT_EQ(server.control("GET", "/fds?slot=0").status, 200) << "it still sees its workers' ledgers";
  server.signal(SIGUSR2);
  ASSERT_TRUE(is_upgraded(server, 2)) << server.output();
  EXPECT_EQ(server.status().value().ready_by_slot().size(), 3U);
}

TEST(Upgrade, LeavesNothingOpenInWhomeverItForksAfterwards) {
  SupervisorProcess server({.arguments = {"-w", "1"}});
  ASSERT_TRUE(server.wait_ready(1));
  const auto descriptors = [&] {
    std::vector<std::size_t> counts;
    for (const pid_t pid : server.processes()) {
      if (pid != server.pid()) counts.push_back(support::open_files_at_rest(pid));
    }
    std::ranges::sort(counts);
    return counts;
  };
  const std::vector<std::size_t> before = descriptors();
  ASSERT_EQ(before.size(), 2U) << "a template and a worker";
  for (std::uint64_t round = 1; round <= 3; ++round) {
    server.signal(SIGUSR2);
    ASSERT_TRUE(is_upgraded(server, round)) << server.output();
  }
  ASSERT_EQ(server.control("POST", "/reload").status, 200);
  ASSERT_TRUE(server.wait_status([](const Status& now) { return now.workers.size() == 1; }));
  EXPECT_TRUE(support::wait_until([&] { return descriptors() == before; }));
}

// A shell that waits for a command of its own waits for the master's children too, and unblocks all signals.
TEST(Upgrade, SurvivesAScriptThatWaitsForItsChildren) {
  const Installation installation;
  SupervisorProcess server(installation.options());
  ASSERT_TRUE(server.wait_ready(2));
  const std::vector<pid_t> victims = {server.worker(1), the_template(server)};
  const std::string begun = installation.other("begun");
  const std::string go = installation.other("go");
  installation.write("#!/bin/sh\nif [ \"$1\" != handover-check ]; then\n  echo x > " + begun + "\n  until [ -e " + go +
                     " ]; do sleep 0.02; done\nfi\nexec " + support::program() + " \"$@\"\n");
  server.signal(SIGUSR2);
  ASSERT_TRUE(support::wait_until([&] { return std::filesystem::exists(begun); }));
  for (const pid_t victim : victims) ASSERT_TRUE(support::send_signal(victim, SIGKILL));
  const auto is_there = [](pid_t pid) { return support::process(pid).has_value(); };
  ASSERT_TRUE(support::wait_until([&] { return std::ranges::none_of(victims, is_there); }))
      << "the shell has waited for them";
  std::ofstream(go) << "x";
  ASSERT_TRUE(is_upgraded(server, 1)) << server.output();
  ASSERT_TRUE(server.wait_status([&](const Status& now) {
    return now.ready_by_slot().size() == 2 && now.worker(victims.front()).slot == -1;
  })) << server.output();
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait_exit(), 0) << server.output();
}

TEST(Upgrade, FollowsALinkThatThePathLeadsTo) {
  const Installation one;
  const Installation other;
  const std::string link = one.other("current");
  std::filesystem::create_directory_symlink(std::filesystem::path(one.path()).parent_path(), link);
  const std::string command = "shift; PATH=" + link + ":$PATH; exec supervisor \"$@\"";
  SupervisorProcess server({.arguments = {"-w", "1"}, .launcher = {"/bin/sh", "-c", command, "sh"}});
  ASSERT_TRUE(server.wait_ready(1));
  std::filesystem::remove(link);
  std::filesystem::create_directory_symlink(std::filesystem::path(other.path()).parent_path(), link);
  server.signal(SIGUSR2);
  ASSERT_TRUE(is_upgraded(server, 1)) << server.output();
  EXPECT_EQ(std::filesystem::read_symlink("/proc/" + std::to_string(server.pid()) + "/exe"), other.path());
}

TEST(Upgrade, WaitsForADrainAndRunsAfterIt) {
  SupervisorProcess server({.arguments = {"-w", "1"}});
  ASSERT_TRUE(server.wait_ready(1));
  support::HttpClient client = server.connect();
  const pid_t old = server.worker(0);
  ASSERT_TRUE(client.send(support::get_request("/sleep?ms=700")));
  ASSERT_TRUE(server.wait_status([](const Status& now) { return now.ready_by_slot().at(0).in_flight == 1; }));
  ASSERT_EQ(server.control("POST", "/recycle?slot=0").status / 100, 2);
  ASSERT_TRUE(server.wait_status([&](const Status& now) { return now.worker(old).state == "draining"; }));
  server.signal(SIGUSR2);
  EXPECT_EQ(client.read().response.status, 200);
  client.half_close();
  ASSERT_TRUE(is_upgraded(server, 1)) << server.output();
  EXPECT_FALSE(support::process(old)) << "there was nobody left to wait for";
}

TEST(Upgrade, SurvivesWorkersThatDieMeanwhile) {
  SupervisorProcess server({.arguments = {"-w", "2", "--set", "restart.failures_max=1000"}});
  ASSERT_TRUE(server.wait_ready(2));
  for (std::uint64_t round = 1; round <= 10; ++round) {
    ASSERT_TRUE(server.wait_ready(2));
    const pid_t victim = server.worker(static_cast<int>(round % 2));
    server.signal(SIGUSR2);
    ASSERT_TRUE(support::send_signal(victim, SIGKILL));
    ASSERT_TRUE(is_upgraded(server, round)) << server.output();
  }
  EXPECT_TRUE(
      server.wait_status([](const Status& now) { return now.killed == 10 && now.ready_by_slot().size() == 2; }));
}

struct BadProgram {
  const char* name;
  const char* script;
  const char* reason;
};

class RefusedUpgrade : public testing::TestWithParam<BadProgram> {};

TEST_P(RefusedUpgrade, LeavesTheOldImageAsItWas) {
  const Installation installation;
  SupervisorProcess server(installation.options({"-w", "2", "--set", "recycle.interval=\"60s\""}));
  ASSERT_TRUE(server.wait_ready(2));
  const auto before = server.status();
  const std::size_t descriptors = support::open_files_at_rest(server.pid());
  installation.write(GetParam().script);
  server.signal(SIGUSR2);
  EXPECT_TRUE(server.wait_output("upgrade refused", Deadline(std::chrono::seconds(20))))
      << "while nothing else happens";
  EXPECT_NE(refusal(server).find(GetParam().reason), std::string::npos) << refusal(server);
  const auto after = server.status();
  ASSERT_TRUE(before.has_value() && after.has_value());
  EXPECT_EQ(pids_of(*after), pids_of(*before));
  EXPECT_TRUE(support::wait_until([&] { return support::open_files(server.pid()) == descriptors; }));
  EXPECT_EQ(server.get("/hello").status, 200);
  installation.install(support::program());
  server.signal(SIGUSR2);
  EXPECT_TRUE(is_upgraded(server, 1)) << "a good program is as welcome as before; " << server.output();
}

INSTANTIATE_TEST_SUITE_P(
    Upgrade, RefusedUpgrade,
    testing::Values(BadProgram{"no_program", "gibberish", "Exec format error"},
                    BadProgram{"that_fails", "#!/bin/sh\nexit 2\n", "exited with status 2"},
                    BadProgram{"that_says_why", "#!/bin/sh\necho no, thanks >&2\nexit 1\n", "no, thanks"},
                    BadProgram{"that_knows_nothing_of_it", "#!/bin/sh\nexit 0\n", "cannot take over"},
                    BadProgram{"that_crashes", "#!/bin/sh\nkill -SEGV $$\n", "SIGSEGV"},
                    BadProgram{"that_never_answers", "#!/bin/sh\nexec sleep 60\n", "did not say"}),
    [](const auto& param) { return param.param.name; });

TEST(Upgrade, IsRefusedByAProgramThatDoesNotKnowAnOption) {
  const Installation installation;
  SupervisorProcess server(installation.options());
  ASSERT_TRUE(server.wait_ready(2));
  // As if --bind had another name in the new version.
  installation.write(
      "#!/bin/sh\nfor word; do\n  shift\n  [ \"$word\" = --bind ] && word=--new\n  set -- \"$@\" "
      "\"$word\"\ndone\nexec " +
      support::program() + " \"$@\"\n");
  server.signal(SIGUSR2);
  EXPECT_NE(refusal(server).find("unknown option --new"), std::string::npos) << refusal(server);
  EXPECT_EQ(server.get("/hello").status, 200);
}

TEST(Upgrade, IsRefusedWhenTheProgramIsGone) {
  const Installation installation;
  SupervisorProcess server(installation.options());
  ASSERT_TRUE(server.wait_ready(2));
  std::filesystem::remove(installation.path());
  server.signal(SIGUSR2);
  EXPECT_NE(refusal(server).find("No such file"), std::string::npos);
  EXPECT_EQ(server.get("/hello").status, 200);
}

TEST(Upgrade, TellsAStopThatItIsNoLongerWanted) {
  const Installation installation;
  SupervisorProcess server(installation.options());
  ASSERT_TRUE(server.wait_ready(2));
  installation.write("#!/bin/sh\nexec sleep 60\n");
  server.signal(SIGUSR2);
  ASSERT_TRUE(support::wait_until([&] { return upgrade_of(server).value("state", "") == "running"; }));
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait_exit(), 0);
}

}  // namespace
