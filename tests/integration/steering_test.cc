// Steering: whom new clients reach while a worker cannot take them.
#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "support/activator.h"
#include "support/environment.h"
#include "support/supervisor_process.h"

namespace {

using support::Deadline;
using support::HttpClient;
using support::HttpResponse;
using support::joined;
using support::set;
using support::SupervisorProcess;

constexpr int kPlaces = 8;  // of each worker

support::SupervisorOptions small_workers(const std::string& steering) {
  return {.arguments = joined({{"--workers", "2"},
                               set("listen.steering", '"' + steering + '"'),
                               set("limits.connections", std::to_string(kPlaces)),
                               set("limits.on_full", "\"refuse\""),
                               set("timeouts.body", "\"60s\""),
                               set("recycle.interval", "\"50ms\"")})};
}

bool says_steering(const SupervisorProcess& server, const std::string& word) {
  return server.control("GET", "/status").body.find("\"steering\":\"" + word + '"') != std::string::npos;
}

// As many clients of this worker as it has places, each with a request that is not whole: they give way to nobody.
std::vector<HttpClient> fill(const SupervisorProcess& server, pid_t worker) {
  std::vector<HttpClient> clients;
  const Deadline deadline(std::chrono::seconds(20));
  while (clients.size() < kPlaces && !deadline.passed()) {
    HttpClient client = server.connect();
    client.send(support::get_request("/pid"));
    const support::HttpRead read = client.read();
    if (read.response.body != std::to_string(worker) + "\n") continue;
    client.send("POST /inspect HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1");
    clients.push_back(std::move(client));
  }
  EXPECT_EQ(clients.size(), static_cast<std::size_t>(kPlaces));
  return clients;
}

int answers_of(const SupervisorProcess& server, pid_t worker, int requests) {
  int answers = 0;
  for (int i = 0; i < requests; ++i) {
    const HttpResponse answer = server.get("/pid");
    if (answer.status == 200 && answer.body == std::to_string(worker) + "\n") ++answers;
  }
  return answers;
}

TEST(Steering, KeepsNewClientsFromAWorkerThatIsFullAndReturnsThem) {
  SupervisorProcess server(small_workers("health"));
  ASSERT_TRUE(server.wait_ready(2));
  EXPECT_TRUE(says_steering(server, "health"));
  const pid_t full = server.worker(0);
  const pid_t other = server.worker(1);
  std::vector<HttpClient> clients = fill(server, full);
  // By the kernel's hash that has one chance in a million.
  EXPECT_TRUE(
      support::wait_until([&] { return answers_of(server, other, 20) == 20; }, Deadline(std::chrono::seconds(20))));
  EXPECT_EQ(answers_of(server, other, 200), 200);
  clients.clear();
  EXPECT_TRUE(
      support::wait_until([&] { return answers_of(server, full, 20) > 0; }, Deadline(std::chrono::seconds(20))));
}

TEST(Steering, LeavesTheChoiceToTheKernelWhenEveryWorkerIsFull) {
  SupervisorProcess server(small_workers("auto"));
  ASSERT_TRUE(server.wait_ready(2));
  const std::vector<HttpClient> clients = fill(server, server.worker(0));
  const std::vector<HttpClient> others = fill(server, server.worker(1));
  EXPECT_TRUE(
      support::wait_until([&] { return server.get("/pid").status == 503; }, Deadline(std::chrono::seconds(20))));
  EXPECT_TRUE(says_steering(server, "health")) << "it is the way of choosing, not the choice";
}

TEST(Steering, IsTheKernelsHashWhereTheSettingsSaySo) {
  SupervisorProcess server(small_workers("hash"));
  ASSERT_TRUE(server.wait_ready(2));
  EXPECT_TRUE(says_steering(server, "hash"));
}

// Of somebody else's sockets nobody knows in which order they began to listen: here in the reverse one.
TEST(Steering, LeavesTheChoiceToTheKernelAmongActivatedSockets) {
  support::Activator activator(support::Activator::Notify::kNo);
  common::UniqueFd first = support::listening_socket("127.0.0.1:0", support::ReusePort::kYes);
  activator.pass(support::listening_socket(support::address_of(first.get()), support::ReusePort::kYes), "web");
  activator.pass(std::move(first), "web");
  support::SupervisorOptions options = small_workers("health");
  options.defaults = support::Defaults::kControl;
  SupervisorProcess server(activator.options(options));
  ASSERT_TRUE(server.wait_ready(2));
  EXPECT_TRUE(says_steering(server, "hash"));
  const pid_t other = server.worker(1);
  const std::vector<HttpClient> clients = fill(server, server.worker(0));
  EXPECT_TRUE(support::holds_for(std::chrono::seconds(1), [&] { return answers_of(server, other, 40) > 0; }))
      << "none of them by the kernel's hash has one chance in a million millions";
}

TEST(Steering, KnowsItsSocketsAgainAfterTheMasterWasKilled) {
  support::Activator activator;  // it passes what is stored in the reverse order
  support::SupervisorOptions options = small_workers("health");
  {
    SupervisorProcess killed(activator.options(options));
    ASSERT_TRUE(killed.wait_ready(2));
    ASSERT_TRUE(support::wait_until([&] { return activator.stored().size() == 2; }));
    killed.signal(SIGKILL);
    ASSERT_EQ(killed.wait_exit(), -SIGKILL);
  }
  SupervisorProcess server(activator.options(options));
  ASSERT_TRUE(server.wait_ready(2));
  EXPECT_TRUE(says_steering(server, "health"));
  const pid_t other = server.worker(1);
  const std::vector<HttpClient> clients = fill(server, server.worker(0));
  EXPECT_TRUE(support::wait_until([&] { return answers_of(server, other, 20) == 20; }));
  EXPECT_EQ(answers_of(server, other, 100), 100);
}

}  // namespace
