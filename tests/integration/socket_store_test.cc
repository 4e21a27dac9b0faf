// SocketStore: sockets that outlive the master in the hands of the service manager, with those who wait in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/activator.h"
#include "support/http_client.h"
#include "support/load_generator.h"
#include "support/supervisor_process.h"
#include "support/waiting_clients.h"

namespace {

using support::Activator;
using support::expect_served;
using support::HttpClient;
using support::LoadGenerator;
using support::LoadMode;
using support::LoadReport;
using support::SupervisorOptions;
using support::SupervisorProcess;
using ::testing::HasSubstr;

SupervisorOptions with(std::vector<std::string> arguments) {
  return {.arguments = std::move(arguments), .defaults = support::Defaults::kControl};
}

void kill_and_wait(SupervisorProcess& server) {
  server.signal(SIGKILL);
  ASSERT_EQ(server.wait_exit(), -SIGKILL);
}

TEST(SocketStore, IsNotTakenForSomebodyElseAtAFixedPort) {
  Activator activator;
  // An address of this test's own: until the server has the port, another one may be given it.
  const std::string address = support::address_of(support::listening_socket("127.0.42.1:0").get());
  const SupervisorOptions wanted = with({"--workers", "2", "--bind", address});
  for (int round = 0; round < 2; ++round) {
    SupervisorProcess server(activator.options(wanted));
    ASSERT_TRUE(server.wait_ready(2)) << server.output();
    ASSERT_TRUE(support::wait_until([&] { return activator.stored().size() == 2; }));
    expect_served(address);
    EXPECT_EQ(server.output().find("in use"), std::string::npos) << server.output();
    kill_and_wait(server);
  }
}

TEST(SocketStore, LosesNobodyWhoWaitsWhenTheMasterIsKilled) {
  Activator activator;
  const SupervisorOptions wanted = with({"--workers", "3", "--bind", "127.0.0.1:0"});
  std::string address;
  for (int round = 0; round < support::effort(3, 30); ++round) {
    SupervisorProcess server(activator.options(wanted));
    ASSERT_TRUE(server.wait_ready(3)) << server.output();
    if (round == 0) address = server.address();
    ASSERT_EQ(server.address(), address) << "the port of the first start";
    ASSERT_TRUE(support::wait_until([&] { return activator.stored().size() == 3; }));
    support::WaitingClients in_flight(address, 6, "/sleep?ms=50");
    support::WaitingClients at_the_kill(address, 20);
    kill_and_wait(server);
    support::WaitingClients between(address, 40);
    EXPECT_EQ(between.refused() + at_the_kill.refused() + in_flight.refused(), 0);
    SupervisorProcess next(activator.options(wanted));
    EXPECT_EQ(between.lost(), 0) << next.output();
    EXPECT_EQ(at_the_kill.lost(), 0);
    EXPECT_EQ(in_flight.lost(), 0);
    ASSERT_TRUE(next.wait_ready(3));
    EXPECT_EQ(next.status()->listeners.at(0).sockets, 3);
    expect_served(address);
    kill_and_wait(next);
  }
}

TEST(SocketStore, LosesNobodyWhoWaitsDuringARestart) {
  Activator activator;
  const support::TemporaryDirectory directory;
  const std::string path = "unix:" + directory.path("web.sock");
  const SupervisorOptions wanted = with({"--workers", "2", "--bind", "127.0.0.1:0", "--bind", path});
  std::string address;
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(support::wait_until([&] { return round == 0 || activator.stored().size() == 3; }));
    support::WaitingClients tcp(round == 0 ? "unix:@nobody" : address, round == 0 ? 0 : 20);
    support::WaitingClients local(path, round == 0 ? 0 : 20);
    EXPECT_EQ(tcp.refused() + local.refused(), 0);
    SupervisorProcess server(activator.options(wanted));
    ASSERT_TRUE(server.wait_ready(2)) << server.output();
    address = server.address();
    EXPECT_EQ(tcp.lost() + local.lost(), 0);
    expect_served(path);
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait_exit(), 0);
  }
  EXPECT_EQ(activator.stored().size(), 3U) << "two of TCP, and the unix one";
}

TEST(SocketStore, KeepsAUnixSocketsFileWhenTheMasterIsKilled) {
  Activator activator;
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("web.sock");
  const SupervisorOptions wanted = with({"--workers", "2", "--bind", "unix:" + path});
  struct stat before{};
  {
    SupervisorProcess server(activator.options(wanted));
    ASSERT_TRUE(server.wait_ready(2));
    ASSERT_TRUE(support::wait_until([&] { return activator.stored().size() == 1; }));
    ASSERT_EQ(stat(path.c_str(), &before), 0);
    kill_and_wait(server);
    // Until the last worker has left: none of them takes the file along.
    EXPECT_TRUE(support::wait_until([&] { return server.processes().empty(); }));
    std::filesystem::remove(server.control_path());
  }
  support::WaitingClients between("unix:" + path, 10);
  EXPECT_EQ(between.refused(), 0);
  SupervisorProcess server(activator.options(wanted));
  EXPECT_EQ(between.lost(), 0);
  struct stat after{};
  ASSERT_EQ(stat(path.c_str(), &after), 0);
  EXPECT_EQ(after.st_ino, before.st_ino);
}

TEST(SocketStore, MakesAUnixSocketAnewWhoseFileHasGone) {
  Activator activator;
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("web.sock");
  const SupervisorOptions wanted = with({"--workers", "1", "--bind", "unix:" + path});
  {
    SupervisorProcess server(activator.options(wanted));
    ASSERT_TRUE(server.wait_ready(1));
    ASSERT_TRUE(support::wait_until([&] { return activator.stored().size() == 1; }));
  }
  support::WaitingClients between("unix:" + path, 5);
  ASSERT_TRUE(std::filesystem::remove(path));
  SupervisorProcess server(activator.options(wanted));
  ASSERT_TRUE(server.wait_ready(1)) << server.output();
  EXPECT_EQ(between.lost(), 0) << "who waits in the old one is served all the same";
  expect_served("unix:" + path);
  EXPECT_TRUE(support::wait_until([&] { return activator.stored().size() == 1; }));
}

TEST(SocketStore, ServesThoseWhoWaitWhereFewerWorkersAreWanted) {
  Activator activator;
  std::string address;
  {
    SupervisorProcess server(activator.options(with({"--workers", "5", "--bind", "127.0.0.1:0"})));
    ASSERT_TRUE(server.wait_ready(5));
    address = server.address();
    ASSERT_TRUE(support::wait_until([&] { return activator.stored().size() == 5; }));
  }
  support::WaitingClients between(address, 60);
  EXPECT_EQ(between.refused(), 0);
  SupervisorProcess server(activator.options(with({"--workers", "2", "--bind", "127.0.0.1:0"})));
  ASSERT_TRUE(server.wait_ready(2));
  EXPECT_EQ(between.lost(), 0);
  EXPECT_TRUE(support::wait_until([&] { return activator.stored().size() == 2; })) << "the others are given up";
  expect_served(address);
  EXPECT_TRUE(server.wait_status([](const support::Status& status) { return status.listeners.at(0).sockets == 2; }));
}

TEST(SocketStore, GivesUpAddressesThatAreNoLongerConfiguredButServesWhoWaitsThere) {
  Activator activator;
  std::string address;
  {
    SupervisorProcess server(activator.options(with({"--workers", "2", "--bind", "127.0.0.1:0"})));
    ASSERT_TRUE(server.wait_ready(2));
    address = server.address();
    ASSERT_TRUE(support::wait_until([&] { return activator.stored().size() == 2; }));
  }
  support::WaitingClients between(address, 20);
  SupervisorProcess server(activator.options(with({"--workers", "2", "--bind", "127.0.1.1:0"})));
  ASSERT_TRUE(server.wait_ready(2));
  EXPECT_EQ(between.refused() + between.lost(), 0);
  EXPECT_TRUE(support::wait_until([&] { return !HttpClient::connect(address).has_value(); })) << "refused at last";
  for (const std::string& name : activator.stored()) EXPECT_THAT(name, HasSubstr("127.0.1.1"));
}

TEST(SocketStore, RemovesTheFileOfAnAddressThatIsNoLongerConfigured) {
  Activator activator;
  const support::TemporaryDirectory directory;
  const std::string path = directory.path("web.sock");
  {
    SupervisorProcess server(activator.options(with({"--workers", "2", "--bind", "unix:" + path})));
    ASSERT_TRUE(server.wait_ready(2));
    ASSERT_TRUE(support::wait_until([&] { return activator.stored().size() == 1; }));
  }
  support::WaitingClients between("unix:" + path, 10);
  SupervisorProcess server(activator.options(with({"--workers", "2", "--bind", "127.0.0.1:0"})));
  ASSERT_TRUE(server.wait_ready(2));
  EXPECT_FALSE(std::filesystem::exists(path)) << "nobody else is to come";
  EXPECT_EQ(between.refused() + between.lost(), 0);
  EXPECT_TRUE(support::wait_until([&] { return activator.stored().size() == 2; }));
  EXPECT_TRUE(server.wait_status([](const support::Status& now) { return now.listeners.size() == 1; })) << "closed";
}

// Clients of a new connection each and clients that keep theirs never notice: the store has the sockets, and workers
// whose master has gone answer whom they have.
TEST(SocketStore, LosesNobodyUnderLoadWhenTheMasterIsKilledAgainAndAgain) {
  Activator activator;
  const SupervisorOptions wanted = with({"--workers", "2", "--bind", "127.0.0.1:0"});
  std::unique_ptr<SupervisorProcess> server = std::make_unique<SupervisorProcess>(activator.options(wanted));
  ASSERT_TRUE(server->wait_ready(2));
  const std::string address = server->address();
  ASSERT_TRUE(support::wait_until([&] { return activator.stored().size() == 2; }));
  LoadGenerator fresh({.address = address, .mode = LoadMode::kNewConnection, .threads = 2});
  LoadGenerator kept({.address = address, .mode = LoadMode::kKeepAlive, .threads = 2});
  for (int round = 0; round < support::effort(10, 50); ++round) {
    ASSERT_TRUE(fresh.wait_for_answers(20) && kept.wait_for_answers(20));
    support::WaitingClients in_flight(address, 2, "/sleep?ms=30");
    kill_and_wait(*server);
    support::WaitingClients between(address, 5);
    // Its destructor waits for the workers that drain.
    auto next = std::make_unique<SupervisorProcess>(activator.options(wanted));
    ASSERT_TRUE(next->wait_ready(2)) << next->output();
    EXPECT_EQ(in_flight.refused() + between.refused(), 0);
    EXPECT_EQ(in_flight.lost() + between.lost(), 0);
    server = std::move(next);
  }
  for (LoadGenerator* load : {&fresh, &kept}) {
    const LoadReport report = load->stop();
    EXPECT_EQ(report.failed(), 0U) << report;
  }
}

TEST(SocketStore, FollowsTheNumberOfWorkers) {
  Activator activator;
  SupervisorProcess server(activator.options(with({"--workers", "2", "--bind", "127.0.0.1:0"})));
  ASSERT_TRUE(server.wait_ready(2));
  for (const std::size_t workers : {4U, 1U, 3U}) {
    ASSERT_EQ(server.control("POST", "/scale?workers=" + std::to_string(workers)).status, 202);
    EXPECT_TRUE(support::wait_until([&] { return activator.stored().size() == workers; })) << workers;
  }
}

}  // namespace
