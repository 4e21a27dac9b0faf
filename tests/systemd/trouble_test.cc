// Trouble: what systemd and an operator see when something is wrong, slow or hangs.
#include <gtest/gtest.h>

#include <csignal>

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
using support::wait_until;

class TroubleTest : public BootedTest {
 protected:
  // Requests that keep every worker from its loop for an hour.
  static std::vector<HttpClient> hang_all(const Service& service) {
    std::vector<HttpClient> clients;
    EXPECT_TRUE(wait_until([&] {
      auto client = HttpClient::connect(kAddress);
      if (client && client->send(support::get_request("/sleep?ms=3600000"))) clients.push_back(std::move(*client));
      std::size_t busy = 0;
      for (const support::WorkerStatus& worker : service.status().workers) busy += worker.in_flight > 0 ? 1U : 0U;
      return busy == 2;
    }));
    return clients;
  }
};

TEST_F(TroubleTest, OfAWrongConfigurationIsToldOnceWithTheReason) {
  const Service service(container(), "shop", "torture", "workers.cuont = 2\n");
  EXPECT_FALSE(service.start().ok());
  EXPECT_EQ(service.show("ActiveState"), "failed");
  EXPECT_EQ(service.show("ExecMainStatus"), "1");
  EXPECT_EQ(service.restarts(), 0);
  const std::string status = container().systemctl({"status", service.unit()}).output;
  EXPECT_NE(status.find("workers.cuont: unknown key; did you mean workers.count?"), std::string::npos) << status;
  EXPECT_TRUE(service.wait_journal("/etc/supervisor/shop.toml:2: workers.cuont: unknown key"));
}

TEST_F(TroubleTest, OfAWrongConfigurationMakesNoStormOfStartsWhenClientsWait) {
  const Service service(container(), "shop", "torture", "workers.cuont = 2\n");
  service.listen({kAddress});
  ASSERT_TRUE(service.start_socket().ok());
  EXPECT_EQ(fetch(kAddress, "/hello").status, 0);
  EXPECT_TRUE(container().wait_show(service.socket(), "ActiveState", "failed"));
  const std::size_t starts = service.journal({"MESSAGE_ID=7d4958e842da4a758f6c1cdc7b36dcc5"}).size();  // "Starting ..."
  EXPECT_GE(starts, 1U);
  EXPECT_LE(starts, 10U) << "StartLimitBurst=";
}

TEST_F(TroubleTest, OfALoadThatIsSlowIsNoFailureOfAStartOrReload) {
  const std::string delay = "app.load_delay = \"/etc/supervisor/delay\"\n";
  const Service service(container(), "shop", "ledger_a", kTwoWorkers + delay);
  // Longer than the limit and, in the long form, than any single extension of it.
  const int seconds = times(7, 40);
  container().write_file("/etc/supervisor/delay", std::to_string(seconds * 1000));
  service.add_drop_in("[Service]\nTimeoutStartSec=" + std::to_string(seconds / 4) + "\n");
  const common::TimePoint begin = common::Clock::now();
  const Outcome started = service.start();
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_GE(common::Clock::now() - begin, std::chrono::seconds(seconds));
  const Outcome reloaded = service.reload();
  EXPECT_TRUE(reloaded.ok()) << reloaded;
  EXPECT_EQ(service.status().generation, 2);
}

TEST_F(TroubleTest, OfARefusedReloadIsToldEverywhereWhileTheOldGenerationServes) {
  const Service service(container(), "shop", "torture", kTwoWorkers);
  ASSERT_TRUE(service.start().ok());
  Crowd crowd(kAddress);
  EXPECT_TRUE(crowd.wait_for_answers(20));
  service.configure("load_fails", kTwoWorkers);
  EXPECT_FALSE(service.reload().ok());
  EXPECT_EQ(service.show("ActiveState"), "active");
  EXPECT_TRUE(service.wait_status_text("reload refused: ")) << service.show("StatusText");
  EXPECT_EQ(service.journal({"SUPERVISOR_EVENT=reload_refused"}).size(), 1U);
  EXPECT_TRUE(crowd.wait_for_answers(20));
  EXPECT_EQ(service.status().generation, 1);
  service.configure("torture", kTwoWorkers);
  const Outcome mended = service.reload();
  EXPECT_TRUE(mended.ok()) << mended;
  EXPECT_TRUE(wait_until([&] { return service.show("StatusText").find("refused") == std::string::npos; }));
  const CrowdReport report = crowd.stop();
  EXPECT_EQ(report.failed(), 0U) << report;
}

TEST_F(TroubleTest, OfOneWorkerThatHangsIsEndedByUsBeforeTheWatchdogCares) {
  const Service service(container(), "shop", "torture", std::string(kTwoWorkers) + "workers.hang_timeout = \"1s\"\n");
  service.add_drop_in("[Service]\nWatchdogSec=10\n");
  ASSERT_TRUE(service.start().ok());
  const pid_t master = service.master();
  auto hanging = HttpClient::connect(kAddress);
  ASSERT_TRUE(hanging && hanging->send(support::get_request("/sleep?ms=3600000")));
  EXPECT_TRUE(wait_until([&] { return service.status().recycled.at("hang") == 1; }));
  EXPECT_EQ(service.restarts(), 0);
  EXPECT_EQ(service.master(), master);
}

TEST_F(TroubleTest, OfAllWorkersThatHangIsEndedByTheWatchdog) {
  // We would replace them before; so that is off.
  const Service service(container(), "shop", "torture", std::string(kTwoWorkers) + "workers.hang_timeout = \"0s\"\n");
  service.add_drop_in("[Service]\nWatchdogSec=3\n");
  ASSERT_TRUE(service.start().ok());
  std::vector<HttpClient> clients = hang_all(service);
  EXPECT_TRUE(wait_until([&] { return service.restarts() >= 1; }, Deadline(std::chrono::seconds(40))));
  clients.clear();
  EXPECT_TRUE(service.wait_journal("Failed with result 'watchdog'"));
  EXPECT_TRUE(wait_until([&] { return fetch(kAddress, "/hello").status == 200; }));
}

TEST_F(TroubleTest, OfAMasterThatHangsIsEndedByTheWatchdog) {
  const Service service(container(), "shop", "torture", kTwoWorkers);
  service.add_drop_in("[Service]\nWatchdogSec=2\n");
  ASSERT_TRUE(service.start().ok());
  ASSERT_TRUE(support::send_signal(service.master(), SIGSTOP));
  EXPECT_TRUE(wait_until([&] { return service.restarts() == 1; }, Deadline(std::chrono::seconds(40))));
  EXPECT_TRUE(wait_until([&] { return fetch(kAddress, "/hello").status == 200; }));
}

TEST_F(TroubleTest, OfWorkersThatFailAgainAndAgainIsTriedAgainWithinTheLimitOfStarts) {
  const Service service(container(), "shop", "worker_start_fails",
                        std::string(kTwoWorkers) + "restart.failures_max = 1\n");
  service.add_drop_in("[Unit]\nStartLimitBurst=3\n");
  EXPECT_FALSE(service.start().ok());
  EXPECT_TRUE(container().wait_show(service.unit(), "ActiveState", "failed"));
  EXPECT_EQ(service.journal({"EXIT_STATUS=3"}).size(), 3U) << service.journal();
}

}  // namespace
}  // namespace systemd
