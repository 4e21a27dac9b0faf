// Activation: sockets that somebody else has bound, in every form, and what happens to those who wait in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <set>
#include <string>
#include <vector>

#include "support/activator.h"
#include "support/http_client.h"
#include "support/load_generator.h"
#include "support/process_table.h"
#include "support/signal.h"
#include "support/supervisor_process.h"
#include "support/waiting_clients.h"

namespace {

using support::Activator;
using support::Deadline;
using support::expect_served;
using support::HttpClient;
using support::listening_socket;
using support::LoadGenerator;
using support::LoadMode;
using support::ReusePort;
using support::SupervisorOptions;
using support::SupervisorProcess;
using ::testing::HasSubstr;
using ::testing::Not;

SupervisorOptions with(std::vector<std::string> arguments) {
  return {.arguments = std::move(arguments), .defaults = support::Defaults::kControl};
}

// So many sockets of one address, as repeated ListenStream= lines with ReusePort=yes make them.
std::string pass_equal(Activator& activator, int number, const std::string& name = "web.socket") {
  const std::string address = activator.pass(listening_socket("127.0.0.1:0", ReusePort::kYes), name);
  for (int i = 1; i < number; ++i) activator.pass(listening_socket(address, ReusePort::kYes), name);
  return address;
}

// ---- forms

TEST(Activation, IsTheDefaultAddressAndSharesOneSocketAmongAllWorkers) {
  Activator activator(Activator::Notify::kNo);
  const std::string address = activator.pass(listening_socket("127.0.0.1:0"), "web.socket");
  support::WaitingClients before(address, 20);
  SupervisorProcess server(activator.options(with({"--workers", "3"})));
  ASSERT_TRUE(server.wait_ready(3)) << server.output();
  EXPECT_EQ(server.address(), address);
  EXPECT_EQ(before.lost(), 0) << "who connected before the start is served";
  std::set<pid_t> pids;
  EXPECT_TRUE(support::wait_until([&] {
    support::WaitingClients some(address, 10, "/sleep?ms=20");
    EXPECT_EQ(some.refused() + some.lost(), 0);
    const auto status = server.status().value();
    for (const auto& worker : status.workers) {
      if (worker.requests > 0) pids.insert(worker.pid);
    }
    return pids.size() == 3;
  })) << "every worker takes from it";
  const pid_t victim = server.worker(1);
  ASSERT_TRUE(support::send_signal(victim, SIGKILL));
  // Until it is dead it may take somebody with it who has come since.
  ASSERT_TRUE(support::wait_until([&] {
    const auto entry = support::process(victim);
    return !entry || entry->state == 'Z';
  }));
  expect_served(address);
}

TEST(Activation, GivesEachWorkerOneOfSeveralSocketsAndFollowsTheirNumber) {
  Activator activator(Activator::Notify::kNo);
  const std::string address = pass_equal(activator, 3);
  SupervisorProcess server(activator.options(with({})));
  ASSERT_TRUE(server.wait_ready(3)) << "workers.count = auto is their number\n" << server.output();
  EXPECT_EQ(server.status()->listeners.at(0).sockets, 3);
  expect_served(address);
}

TEST(Activation, ServesAllSocketsWhenThereAreMoreOfThemThanWorkers) {
  Activator activator(Activator::Notify::kNo);
  const std::string address = pass_equal(activator, 5);
  SupervisorProcess server(activator.options(with({"--workers", "2"})));
  ASSERT_TRUE(server.wait_ready(2));
  EXPECT_TRUE(server.wait_output("there are more sockets than workers"));
  expect_served(address);
}

TEST(Activation, ServesAllSocketsWhenThereAreFewerOfThemThanWorkers) {
  Activator activator(Activator::Notify::kNo);
  const std::string address = pass_equal(activator, 2);
  SupervisorProcess server(activator.options(with({"--workers", "4"})));
  ASSERT_TRUE(server.wait_ready(4));
  expect_served(address);
}

TEST(Activation, ServesEverySocketAlsoAfterScaling) {
  Activator activator(Activator::Notify::kNo);
  const std::string address = pass_equal(activator, 4);
  SupervisorProcess server(activator.options(with({"--workers", "4"})));
  ASSERT_TRUE(server.wait_ready(4));
  for (const std::size_t workers : {1U, 4U, 2U}) {
    ASSERT_EQ(server.control("POST", "/scale?workers=" + std::to_string(workers)).status, 202);
    expect_served(address);
    ASSERT_TRUE(server.wait_status([&](const support::Status& status) {
      return status.workers.size() == workers && status.ready_by_slot().size() == workers;
    })) << workers;
    expect_served(address);
  }
}

// Three of four connections come to sockets without a worker: they wake the master, which need not look by the clock.
TEST(Activation, SleepsUntilAClientComesToASocketWithoutAWorker) {
  Activator activator(Activator::Notify::kNo);
  const std::string address = pass_equal(activator, 4);
  SupervisorProcess server(activator.options(with({"--workers", "4", "--set", "recycle.interval=\"60s\""})));
  ASSERT_TRUE(server.wait_ready(4));
  ASSERT_EQ(server.control("POST", "/scale?workers=1").status, 202);
  ASSERT_TRUE(server.wait_status([](const support::Status& status) { return status.workers.size() == 1; }));
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(support::wait_until([&] {
      const std::uint64_t before = support::voluntary_switches(server.pid());
      return support::holds_for(std::chrono::milliseconds(500),
                                [&] { return support::voluntary_switches(server.pid()) == before; });
    })) << "it is woken although nobody comes";
    expect_served(address);
  }
}

// The only one is in a handler for longer than a moment, and is killed there: it would take those with it whom it had.
TEST(Activation, LeavesClientsInTheQueueWhileNoWorkerCouldTakeThem) {
  Activator activator(Activator::Notify::kNo);
  const std::string address = pass_equal(activator, 4);
  SupervisorProcess server(activator.options(with({"--workers", "4"})));
  ASSERT_TRUE(server.wait_ready(4));
  ASSERT_EQ(server.control("POST", "/scale?workers=1").status, 202);
  ASSERT_TRUE(server.wait_status([](const support::Status& now) { return now.workers.size() == 1; }));
  support::WaitingClients busy(address, 1, "/sleep?ms=60000");
  ASSERT_TRUE(server.wait_status([](const support::Status& now) { return now.workers.at(0).in_flight == 1; }));
  const common::TimePoint moment = common::Clock::now() + std::chrono::milliseconds(150);
  ASSERT_TRUE(support::wait_until([&] { return common::Clock::now() > moment; }));
  support::WaitingClients waiting(address, 60);
  ASSERT_TRUE(server.status().has_value()) << "the master has turned, and seen them";
  ASSERT_TRUE(support::send_signal(server.worker(0), SIGKILL));
  EXPECT_EQ(waiting.refused() + waiting.lost(), 0);
  EXPECT_EQ(busy.lost(), 1);
}

// As those of another network namespace are: there are two, and none of ours can stand beside them.
TEST(Activation, RefusesToScaleBeyondSocketsThatCannotBeJoined) {
  Activator activator(Activator::Notify::kNo);
  common::UniqueFd first = listening_socket("127.0.0.1:0", ReusePort::kYes);
  const std::string address = support::address_of(first.get());
  common::UniqueFd second = listening_socket(address, ReusePort::kYes);
  for (const int fd : {first.get(), second.get()}) {
    const int off = 0;
    ASSERT_EQ(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &off, sizeof off), 0);
  }
  activator.pass(std::move(first), "web.socket");
  activator.pass(std::move(second), "web.socket");
  SupervisorProcess server(activator.options(with({"--workers", "2"})));
  ASSERT_TRUE(server.wait_ready(2)) << server.output();
  const support::HttpResponse refused = server.control("POST", "/scale?workers=4");
  EXPECT_EQ(refused.status, 409);
  EXPECT_THAT(refused.body, HasSubstr("cannot scale to 4 workers, there will be 2: "));
  EXPECT_THAT(refused.body, HasSubstr("bound without SO_REUSEPORT"));
  EXPECT_TRUE(server.wait_ready(2)) << server.output();
  expect_served(address);
  EXPECT_EQ(server.control("POST", "/scale?workers=2").status, 202) << "what was refused is forgotten";
}

TEST(Activation, LeavesAUnixSocketsFileToWhoeverMadeIt) {
  const support::TemporaryDirectory directory;
  Activator activator(Activator::Notify::kNo);
  const std::string address = "unix:" + directory.path("web.sock");
  activator.pass(listening_socket(address), "web.socket");
  {
    SupervisorProcess server(activator.options(with({"--workers", "2"})));
    ASSERT_TRUE(server.wait_ready(2));
    expect_served(address);
  }
  support::WaitingClients between(address, 5);
  EXPECT_EQ(between.refused(), 0) << "the file is still there, and its socket";
  SupervisorProcess server(activator.options(with({"--workers", "1"})));
  ASSERT_TRUE(server.wait_ready(1));
  EXPECT_EQ(between.lost(), 0);
}

TEST(Activation, FindsSocketsByNameAndAddressWhateverTheirOrder) {
  Activator activator(Activator::Notify::kNo);
  const std::string other = activator.pass(listening_socket("127.0.0.1:0"), "other");
  const std::string web = activator.pass(listening_socket("127.0.0.1:0"), "web");
  const std::string third = activator.pass(listening_socket("127.0.0.1:0"), "third");
  SupervisorProcess server(activator.options(with({"--workers", "2", "--bind", "systemd:web", "--bind", third})));
  ASSERT_TRUE(server.wait_ready(2));
  EXPECT_EQ(server.address(0), web);
  EXPECT_EQ(server.address(1), third) << "an address that was passed is not bound again";
  expect_served(web);
  expect_served(third);
  EXPECT_TRUE(server.wait_output("listen.bind does not name it"));
  EXPECT_THAT(server.output(), HasSubstr(other));
}

TEST(Activation, TakesADescriptorByItsNumber) {
  Activator activator(Activator::Notify::kNo);
  const std::string address = activator.pass(listening_socket("127.0.0.1:0"), "x");
  SupervisorOptions options = activator.options(with({"--workers", "2", "--bind", "fd://3"}));
  options.launcher[2] = "exec 3<&200 200>&-; exec \"$@\"";  // as a shell does it, without any variable
  SupervisorProcess server(options);
  ASSERT_TRUE(server.wait_ready(2)) << server.output();
  expect_served(address);
}

TEST(Activation, ReloadsWithTheSameSockets) {
  Activator activator(Activator::Notify::kNo);
  const std::string address = pass_equal(activator, 2);
  SupervisorProcess server(activator.options(with({})));
  ASSERT_TRUE(server.wait_ready(2));
  support::WaitingClients crowd(address, 30, "/sleep?ms=5");
  const support::HttpResponse answer = server.control("POST", "/reload");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(crowd.refused() + crowd.lost(), 0);
  EXPECT_EQ(server.status()->ready_by_slot().size(), 2U) << "the number still follows the sockets";
  expect_served(address);
}

TEST(Activation, HidesVariablesAndSocketsFromTheApplication) {
  Activator activator;
  const std::string address = activator.pass(listening_socket("127.0.0.1:0"), "web");
  SupervisorOptions options = with({"--workers", "1"});
  options.app = support::application("surroundings");
  options.variables = {"WATCHDOG_USEC=30000000"};
  SupervisorProcess server(activator.options(options));
  ASSERT_TRUE(server.wait_ready(1));
  const std::string told = support::fetch(address, "/").body;
  EXPECT_THAT(told, HasSubstr("SUPERVISOR_TEST_ID="));
  for (const char* name : {"LISTEN_", "NOTIFY_SOCKET", "WATCHDOG", "LISTENER="})
    EXPECT_THAT(told, Not(HasSubstr(name)));
}

// A connection that this worker serves.
HttpClient client_of(const SupervisorProcess& server, pid_t worker) {
  HttpClient client = server.connect();
  support::wait_until([&] {
    client.send(support::get_request("/pid"));
    if (client.read().response.body == std::to_string(worker) + "\n") return true;
    client = server.connect();
    return false;
  });
  return client;
}

bool has_answer(const HttpClient& client) {
  pollfd entry{.fd = client.fd(), .events = POLLIN, .revents = 0};
  return ::poll(&entry, 1, 0) > 0;
}

// The kernel wakes one worker for a client, whether it is busy or not: everybody else has to learn of him, too.
TEST(Activation, LetsNoClientOfASharedSocketWaitForAWorkerThatIsBusy) {
  Activator activator(Activator::Notify::kNo);
  const std::string address = activator.pass(listening_socket("127.0.0.1:0"), "web.socket");
  SupervisorProcess server(activator.options(with({"--workers", "2"})));
  ASSERT_TRUE(server.wait_ready(2));
  for (const int slot : {0, 1, 0, 1}) {
    expect_served(address);
    const pid_t worker = server.worker(slot);
    HttpClient busy = client_of(server, worker);
    ASSERT_TRUE(server.wait_status([&](const support::Status& now) { return now.worker(worker).in_flight == 0; }));
    ASSERT_TRUE(busy.send(support::get_request("/sleep?ms=2000")));
    ASSERT_TRUE(server.wait_status([&](const support::Status& now) { return now.worker(worker).in_flight == 1; }));
    EXPECT_EQ(server.get("/hello").status, 200);
    EXPECT_FALSE(has_answer(busy)) << "slot " << slot;
    EXPECT_EQ(busy.read().response.status, 200);
  }
}

TEST(Activation, LosesNobodyAtASharedSocketWhenWorkersAreReplaced) {
  Activator activator(Activator::Notify::kNo);
  const std::string address = activator.pass(listening_socket("127.0.0.1:0"), "web.socket");
  SupervisorProcess server(activator.options(with({"--workers", "2"})));
  ASSERT_TRUE(server.wait_ready(2));
  LoadGenerator fresh({.address = address, .mode = LoadMode::kNewConnection, .threads = 2});
  LoadGenerator kept({.address = address, .mode = LoadMode::kKeepAlive, .threads = 2});
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(fresh.wait_for_answers(20) && kept.wait_for_answers(20));
    ASSERT_EQ(server.control("POST", "/reload").status, 200);
  }
  EXPECT_TRUE(server.wait_status([](const support::Status& now) { return now.workers.size() == 2; }))
      << "the old ones get away although others keep coming";
  for (LoadGenerator* load : {&fresh, &kept}) {
    const support::LoadReport report = load->stop();
    EXPECT_EQ(report.failed(), 0U) << report;
  }
}

// ---- errors

std::string refusal(SupervisorOptions options) {
  SupervisorProcess server(std::move(options));
  EXPECT_EQ(server.wait_exit(), 1);
  return server.output();
}

TEST(Activation, SaysWhatWasNotPassed) {
  EXPECT_THAT(refusal(with({"--bind", "systemd"})), HasSubstr("listen on systemd: no such socket was passed"));
  EXPECT_THAT(refusal(with({"--bind", "fd://77"})), HasSubstr("the inherited descriptor fd://77: it is not open"));
  Activator activator(Activator::Notify::kNo);
  activator.pass(listening_socket("127.0.0.1:0"), "web");
  EXPECT_THAT(refusal(activator.options(with({"--bind", "systemd:wbe"}))), HasSubstr("there are: web"));
}

TEST(Activation, RefusesWhatDoesNotListen) {
  Activator datagrams(Activator::Notify::kNo);
  datagrams.pass(common::UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), "log.socket");
  EXPECT_THAT(refusal(datagrams.options(with({}))),
              HasSubstr("the inherited descriptor \"log.socket\": it is not a stream socket"));
  Activator deaf(Activator::Notify::kNo);
  deaf.pass(common::UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), "deaf.socket");
  EXPECT_THAT(refusal(deaf.options(with({}))), HasSubstr("it does not listen"));
}

TEST(Activation, NeedsNoStore) {
  Activator activator;
  const std::string address = pass_equal(activator, 2);
  SupervisorProcess server(activator.options(with({})));
  ASSERT_TRUE(server.wait_ready(2));
  expect_served(address);
  EXPECT_THAT(activator.stored(), ::testing::IsEmpty()) << "whoever passed them has them";
}

}  // namespace
