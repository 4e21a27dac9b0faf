// Upgrade, with sockets of a service manager: the next image has them all, and its word.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/json.h"
#include "support/activator.h"
#include "support/load_generator.h"
#include "support/signal.h"
#include "support/supervisor_process.h"
#include "support/waiting_clients.h"

namespace {

using support::Activator;
using support::Deadline;
using support::expect_served;
using support::listening_socket;
using support::LoadGenerator;
using support::LoadMode;
using support::LoadReport;
using support::ReusePort;
using support::SupervisorOptions;
using support::SupervisorProcess;
using ::testing::Contains;
using ::testing::Not;
using ::testing::UnorderedElementsAreArray;

SupervisorOptions with(std::vector<std::string> arguments) {
  return {.arguments = std::move(arguments), .defaults = support::Defaults::kControl};
}

bool is_upgraded(const SupervisorProcess& server, std::uint64_t count) {
  return support::wait_until([&] {
    const auto status = common::Json::parse(server.control("GET", "/status").body, nullptr, false);
    return status.is_object() && status["upgrade"]["count"] == count;
  });
}

void upgrade_under_load(const SupervisorProcess& server, const std::string& address, std::uint64_t times) {
  LoadGenerator fresh({.address = address, .mode = LoadMode::kNewConnection, .threads = 2});
  LoadGenerator kept({.address = address, .mode = LoadMode::kKeepAlive, .threads = 2});
  for (std::uint64_t round = 1; round <= times; ++round) {
    ASSERT_TRUE(fresh.wait_for_answers(20) && kept.wait_for_answers(20));
    server.signal(SIGUSR2);
    ASSERT_TRUE(is_upgraded(server, round));
  }
  ASSERT_TRUE(fresh.wait_for_answers(20) && kept.wait_for_answers(20));
  for (LoadGenerator* load : {&fresh, &kept}) {
    const LoadReport report = load->stop();
    EXPECT_EQ(report.failed(), 0U) << report;
  }
}

TEST(UpgradeSockets, KeepsActivatedOnesAndWhatIsKnownOfThem) {
  Activator activator;
  const std::string address = activator.pass(listening_socket("127.0.0.1:0", ReusePort::kYes), "web.socket");
  for (int i = 0; i < 2; ++i) activator.pass(listening_socket(address, ReusePort::kYes), "web.socket");
  const support::TemporaryDirectory directory;
  const std::string file =
      directory.write("app.toml", "[listen]\nbind = [\"systemd:web.socket\"]\n[workers]\ncount = \"auto\"\n");
  SupervisorProcess server(activator.options(with({"--config", file})));
  ASSERT_TRUE(server.wait_ready(3)) << server.output();
  upgrade_under_load(server, address, 2);
  EXPECT_EQ(server.status()->listeners.at(0).sockets, 3);
  EXPECT_EQ(server.control("POST", "/reload").status, 200) << "the name is still known";
  EXPECT_EQ(server.status()->ready_by_slot().size(), 3U) << "and their number";
  expect_served(address);
  ASSERT_EQ(server.control("POST", "/scale?workers=1").status, 202);
  ASSERT_TRUE(server.wait_status([](const support::Status& now) { return now.workers.size() == 1; }));
  expect_served(address);
  EXPECT_THAT(activator.stored(), ::testing::IsEmpty());
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait_exit(), 0);
  support::WaitingClients between(address, 20);
  SupervisorProcess next(activator.options(with({"--config", file})));
  EXPECT_EQ(between.refused() + between.lost(), 0) << "whoever passed them has them still";
}

TEST(UpgradeSockets, KeepsOneThatAllWorkersShare) {
  Activator activator(Activator::Notify::kNo);
  const std::string address = activator.pass(listening_socket("127.0.0.1:0"), "web.socket");
  SupervisorProcess server(activator.options(with({"--workers", "2"})));
  ASSERT_TRUE(server.wait_ready(2));
  upgrade_under_load(server, address, 2);
  EXPECT_EQ(server.status()->listeners.at(0).sockets, 1);
  const pid_t victim = server.worker(1);
  ASSERT_TRUE(support::send_signal(victim, SIGKILL));
  ASSERT_TRUE(server.wait_status(
      [&](const support::Status& now) { return now.ready_by_slot().size() == 2 && now.worker(victim).slot == -1; }));
  expect_served(address);
  ASSERT_EQ(server.control("POST", "/scale?workers=3").status, 202);
  ASSERT_TRUE(server.wait_ready(3));
  expect_served(address);
}

TEST(UpgradeSockets, KeepsTheStoreInStepSoThatAKilledMasterLosesNobody) {
  Activator activator;
  const support::TemporaryDirectory directory;
  const std::string path = "unix:" + directory.path("web.sock");
  const SupervisorOptions wanted = with({"--workers", "3", "--bind", "127.0.0.1:0", "--bind", path});
  std::string address;
  {
    SupervisorProcess server(activator.options(wanted));
    ASSERT_TRUE(server.wait_ready(3));
    address = server.address();
    ASSERT_TRUE(support::wait_until([&] { return activator.stored().size() == 4; }));
    const std::vector<std::string> before = activator.stored();
    upgrade_under_load(server, address, 2);
    EXPECT_THAT(activator.stored(), UnorderedElementsAreArray(before));
    for (const std::size_t workers : {2U, 4U}) {
      ASSERT_EQ(server.control("POST", "/scale?workers=" + std::to_string(workers)).status, 202);
      EXPECT_TRUE(support::wait_until([&] { return activator.stored().size() == workers + 1; })) << workers;
    }
    server.signal(SIGUSR2);
    ASSERT_TRUE(is_upgraded(server, 3));
    server.signal(SIGKILL);
    ASSERT_EQ(server.wait_exit(), -SIGKILL);
    std::filesystem::remove(server.control_path());
  }
  support::WaitingClients tcp(address, 30);
  support::WaitingClients local(path, 10);
  EXPECT_EQ(tcp.refused() + local.refused(), 0);
  SupervisorProcess next(activator.options(wanted));
  EXPECT_EQ(tcp.lost() + local.lost(), 0) << next.output();
  EXPECT_EQ(next.address(), address);
  EXPECT_TRUE(support::wait_until([&] { return activator.stored().size() == 4; })) << "three and the unix one";
  expect_served(address);
  expect_served(path);
}

TEST(UpgradeSockets, GoesOnTalkingToTheManager) {
  Activator activator;
  SupervisorOptions options{.arguments = {"--workers", "1"}};
  options.variables = {"WATCHDOG_USEC=400000"};
  SupervisorProcess server(activator.options(options));
  ASSERT_TRUE(activator.wait_words("READY=1"));
  activator.forget_words();
  server.signal(SIGUSR2);
  ASSERT_TRUE(is_upgraded(server, 1));
  EXPECT_TRUE(activator.wait_words("READY=1")) << "said again, lest it was lost";
  EXPECT_TRUE(activator.wait_words("WATCHDOG=1", 3));
  EXPECT_THAT(activator.words(), Not(Contains("STOPPING=1")));
  EXPECT_THAT(activator.words(), Not(Contains("RELOADING=1"))) << "it would be one without an end";
  activator.forget_words();
  server.signal(SIGHUP);
  EXPECT_TRUE(activator.wait_words("READY=1"));
  EXPECT_EQ(activator.count("RELOADING=1"), 1U);
  server.signal(SIGTERM);
  EXPECT_TRUE(activator.wait_words("STOPPING=1"));
}

// Slots end in the very turn in which the program is executed: their sockets in the store would take clients for ever.
TEST(UpgradeSockets, LeavesNothingInTheStoreThatIsNoLongerServed) {
  const support::TemporaryDirectory directory;
  const std::string program = directory.path("supervisor");
  const std::string begun = directory.path("begun");
  const std::string go = directory.path("go");
  std::filesystem::copy_file(support::program(), program);
  Activator activator;
  SupervisorOptions options = activator.options({.arguments = {"--workers", "3"}});
  options.launcher = {"/bin/bash", "-c", "shift; exec " + program + " \"$@\"", "bash"};
  SupervisorProcess server(options);
  ASSERT_TRUE(server.wait_ready(3)) << server.output();
  ASSERT_TRUE(support::wait_until([&] { return activator.stored().size() == 3; }));
  const std::string slow = directory.write(
      "slow", "#!/bin/sh\nif [ \"$1\" = handover-check ]; then\n  echo x > " + begun + "\n  until [ -e " + go +
                  " ]; do sleep 0.02; done\nfi\nexec " + support::program() + " \"$@\"\n");
  std::filesystem::permissions(slow, std::filesystem::perms::owner_all);
  std::filesystem::rename(slow, program);
  server.signal(SIGUSR2);
  ASSERT_TRUE(support::wait_until([&] { return std::filesystem::exists(begun); })) << server.output();
  ASSERT_EQ(server.control("POST", "/scale?workers=1").status, 202);
  std::ofstream(go) << "x";
  ASSERT_TRUE(is_upgraded(server, 1)) << server.output();
  EXPECT_EQ(server.status()->listeners.at(0).sockets, 1);
  EXPECT_TRUE(support::wait_until([&] { return activator.stored().size() == 1; }));
  expect_served(server.address());
}

}  // namespace
