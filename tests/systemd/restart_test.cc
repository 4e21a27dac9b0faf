// Restarts and reloads under load: who holds the sockets meanwhile decides whether anybody notices.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <utility>

#include "booted_test.h"
#include "crowd.h"
#include "service.h"
#include "support/http_client.h"
#include "support/signal.h"

namespace systemd {
namespace {

using support::Deadline;
using support::fetch;
using support::HttpClient;

// The many restarts of a test are no crash loop.
constexpr const char* kManyStarts = "[Unit]\nStartLimitIntervalSec=0\n";

class RestartTest : public BootedTest {
 protected:
  // `change` so many times, each time with answers to every kind of client before the next. Whether all succeeded.
  template <typename Change>
  static CrowdReport under_load(int count, Change change) {
    Crowd crowd(kAddress);
    EXPECT_TRUE(crowd.wait_for_answers(20)) << crowd.report();
    for (int i = 0; i < count; ++i) {
      const Outcome outcome = change();
      EXPECT_TRUE(outcome.ok()) << "number " << i << ": " << outcome;
      EXPECT_TRUE(crowd.wait_for_answers(5)) << "after number " << i << ": " << crowd.report();
    }
    return crowd.stop();
  }

  // In a handler that takes its time: under load a worker that answers nothing between two looks is in one.
  static bool wait_until_blocked(const Service& service, pid_t pid) {
    std::optional<std::uint64_t> before;
    return support::wait_until([&] {
      const support::Status status = service.status();
      const auto worker = std::ranges::find(status.workers, pid, &support::WorkerStatus::pid);
      if (worker == status.workers.end()) return false;
      return worker->in_flight > 0 && std::exchange(before, worker->requests) == worker->requests;
    });
  }
};

TEST_F(RestartTest, LosesNoRequestWithASocketUnit) {
  const Service service(container(), "shop", "torture", "");
  service.add_drop_in(kManyStarts);
  service.listen({kAddress, kAddress});
  ASSERT_TRUE(service.start_socket().ok());
  const CrowdReport restarts = under_load(30, [&] { return service.restart(); });
  EXPECT_EQ(restarts.failed(), 0U) << restarts;
  const CrowdReport reloads = under_load(30, [&] { return service.reload(); });
  EXPECT_EQ(reloads.failed(), 0U) << reloads;
}

TEST_F(RestartTest, LosesNoRequestWithTheDescriptorStore) {
  const Service service(container(), "shop", "torture", kTwoWorkers);
  service.add_drop_in(kManyStarts);
  ASSERT_TRUE(service.start().ok());
  const CrowdReport restarts = under_load(30, [&] { return service.restart(); });
  EXPECT_EQ(restarts.failed(), 0U) << restarts;
  const CrowdReport reloads = under_load(30, [&] { return service.reload(); });
  EXPECT_EQ(reloads.failed(), 0U) << reloads;
  EXPECT_EQ(service.status().generation, 31);
}

// What the store is for: without it clients are refused between two masters.
TEST_F(RestartTest, RefusesClientsMeanwhileWhereNobodyKeepsTheSockets) {
  const Service service(container(), "shop", "torture", kTwoWorkers);
  service.add_drop_in("[Unit]\nStartLimitIntervalSec=0\n[Service]\nFileDescriptorStoreMax=0\n");
  ASSERT_TRUE(service.start().ok());
  const CrowdReport restarts = under_load(3, [&] { return service.restart(); });
  EXPECT_GT(restarts.all().refused, 0U) << restarts;
  EXPECT_EQ(restarts.all().timed_out + restarts.all().wrong, 0U) << restarts;
}

TEST_F(RestartTest, FinishesRequestsInFlightAndRefusesNobodyWhenTheMasterIsKilled) {
  const Service service(container(), "shop", "torture", kTwoWorkers);
  service.add_drop_in(kManyStarts);
  ASSERT_TRUE(service.start().ok());
  Crowd crowd(kAddress);
  EXPECT_TRUE(crowd.wait_for_answers(20));
  for (int kills = 1; kills <= times(3, 20); ++kills) {
    auto in_flight = HttpClient::connect(kAddress);
    ASSERT_TRUE(in_flight);
    ASSERT_TRUE(in_flight->send(support::get_request("/pid")));
    const pid_t worker = std::atoi(in_flight->read().response.body.c_str());
    ASSERT_TRUE(in_flight->send(support::get_request("/sleep?ms=1500")));
    ASSERT_TRUE(wait_until_blocked(service, worker));
    ASSERT_TRUE(support::send_signal(service.master(), SIGKILL));
    EXPECT_EQ(in_flight->read().response.body, "slept 1500 ms\n");
    in_flight->half_close();
    EXPECT_TRUE(support::wait_until([&] { return service.restarts() == kills; }, Deadline(std::chrono::seconds(30))));
    EXPECT_TRUE(crowd.wait_for_answers(20)) << "kill number " << kills << ": " << crowd.report();
  }
  const CrowdReport report = crowd.stop();
  EXPECT_EQ(report.failed(), 0U) << report;
}

// Each crash while clients wait is a trigger for the socket unit, which closes its sockets when there are too many.
TEST_F(RestartTest, KeepsActivatedSocketsThroughCrashesInQuickSuccession) {
  const Service service(container(), "shop", "torture", "");
  service.listen({kAddress, kAddress});
  ASSERT_TRUE(service.start_socket().ok());
  Crowd crowd(kAddress);
  EXPECT_TRUE(crowd.wait_for_answers(20));
  for (int kills = 1; kills <= 8; ++kills) {
    ASSERT_TRUE(support::send_signal(service.master(), SIGKILL));
    EXPECT_TRUE(
        support::wait_until([&] { return service.restarts() == kills && service.show("SubState") == "running"; },
                            Deadline(std::chrono::seconds(30))));
  }
  EXPECT_TRUE(crowd.wait_for_answers(20));
  const CrowdReport report = crowd.stop();
  EXPECT_EQ(report.all().refused, 0U) << report;
  EXPECT_EQ(container().show(service.socket(), "ActiveState"), "active");
}

TEST_F(RestartTest, GivesUpStoredSocketsOfAddressesThatAreNoLongerWanted) {
  const Service service(container(), "shop", "torture", kTwoWorkers);
  ASSERT_TRUE(service.start().ok());
  const std::string stored = service.show("NFileDescriptorStore");
  service.configure("torture", "workers.count = 2\nlisten.bind = [\"127.0.0.1:8001\"]\n");
  ASSERT_TRUE(service.restart().ok());
  EXPECT_EQ(fetch("127.0.0.1:8001", "/hello").status, 200);
  EXPECT_TRUE(support::wait_until([&] { return !HttpClient::connect(kAddress); })) << "the old address still answers";
  EXPECT_TRUE(container().wait_show(service.unit(), "NFileDescriptorStore", stored));
}

}  // namespace
}  // namespace systemd
