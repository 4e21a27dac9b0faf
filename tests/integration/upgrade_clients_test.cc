// Upgrade, seen by the clients of the control socket: who has asked is answered, by whichever image.
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "common/json.h"
#include "support/http_client.h"
#include "support/supervisor_process.h"

namespace {

using support::Deadline;
using support::HttpClient;
using support::SupervisorProcess;

bool is_upgraded(const SupervisorProcess& server, std::uint64_t count) {
  return support::wait_until(
      [&] {
        const auto status = common::Json::parse(server.control("GET", "/status").body, nullptr, false);
        return status.is_object() && status["upgrade"]["count"] == count;
      },
      Deadline());
}

TEST(UpgradeClients, KeepTheirConnectionToTheControlSocket) {
  SupervisorProcess server({.arguments = {"-w", "1"}});
  ASSERT_TRUE(server.wait_ready(1));
  HttpClient silent = HttpClient::connect("unix:" + server.control_path()).value();
  HttpClient kept = HttpClient::connect("unix:" + server.control_path()).value();
  for (std::uint64_t round = 1; round <= 3; ++round) {
    ASSERT_TRUE(kept.send(support::get_request("/status")));
    EXPECT_EQ(kept.read().response.status, 200);
    server.signal(SIGUSR2);
    ASSERT_TRUE(is_upgraded(server, round)) << server.output();
  }
  for (HttpClient* client : {&silent, &kept}) {
    ASSERT_TRUE(client->send(support::get_request("/status")));
    EXPECT_EQ(client->read().response.status, 200);
  }
}

TEST(UpgradeClients, AreAnsweredWheneverTheyAsk) {
  SupervisorProcess server({.arguments = {"-w", "1"}});
  ASSERT_TRUE(server.wait_ready(1));
  std::atomic<bool> is_over = false;
  std::atomic<int> lost = 0;
  std::atomic<int> answered = 0;
  std::thread asking([&] {
    while (!is_over) ++(server.control("GET", "/status").status == 200 ? answered : lost);
  });
  for (std::uint64_t round = 1; round <= 30; ++round) {
    server.signal(SIGUSR2);
    EXPECT_TRUE(is_upgraded(server, round)) << server.output();
  }
  is_over = true;
  asking.join();
  EXPECT_EQ(lost, 0) << "of " << answered;
  EXPECT_GT(answered, 30);
}

}  // namespace
