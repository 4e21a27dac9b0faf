// Records in a real journal: what an operator can filter by, and that a journal which takes nothing costs nobody time.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "booted_test.h"
#include "service.h"
#include "support/http_client.h"
#include "support/signal.h"

namespace systemd {
namespace {

using support::fetch;
using support::wait_until;

class JournalRecordsTest : public BootedTest {
 protected:
  // The first record of an event; an empty one if there is none in time.
  static JournalRecord first(const Service& service, const std::string& event) {
    std::vector<JournalRecord> records;
    wait_until([&] {
      records = service.journal({"SUPERVISOR_EVENT=" + event});
      return !records.empty();
    });
    EXPECT_FALSE(records.empty()) << event << ": " << service.journal();
    return records.empty() ? JournalRecord() : records.front();
  }
};

TEST_F(JournalRecordsTest, HaveTheFieldsOfWhatTheyTell) {
  const Service service(container(), "shop", "torture", std::string(kTwoWorkers) + kQuickRecycling);
  ASSERT_TRUE(service.start().ok());
  const JournalRecord ready = first(service, "worker_ready");
  EXPECT_EQ(ready.field("_TRANSPORT"), "journal");
  EXPECT_EQ(ready.field("SYSLOG_IDENTIFIER"), "supervisor");
  EXPECT_EQ(ready.field("PRIORITY"), "6");
  EXPECT_EQ(ready.field("SUPERVISOR_PROCESS"), "master");
  EXPECT_EQ(ready.field("SUPERVISOR_GENERATION"), "1") << ready;
  EXPECT_TRUE(ready.field("SUPERVISOR_SLOT") == "0" || ready.field("SUPERVISOR_SLOT") == "1") << ready;

  EXPECT_EQ(fetch(kAddress, "/leak?kind=socket&count=300").status, 200);
  const JournalRecord recycled = first(service, "recycled");
  EXPECT_EQ(recycled.field("SUPERVISOR_REASON"), "fds_leaked") << recycled;
  EXPECT_NE(recycled.field("SUPERVISOR_SLOT"), "") << recycled;
  EXPECT_NE(first(service, "fd_report").message().find('\n'), std::string::npos);
}

TEST_F(JournalRecordsTest, HoldACrashAndItsStackAsOne) {
  const Service service(container(), "shop", "torture", kTwoWorkers);
  ASSERT_TRUE(service.start().ok());
  fetch(kAddress, "/crash?how=segv");
  const JournalRecord crash = first(service, "worker_crashed");
  EXPECT_EQ(crash.field("PRIORITY"), "3");
  EXPECT_NE(crash.message().find("crash.cc:"), std::string::npos) << crash;
  EXPECT_GE(std::ranges::count(crash.message(), '\n'), 3) << crash;
  EXPECT_EQ(crash.field("SUPERVISOR_REQUEST"), "GET /crash?how=segv");
  EXPECT_EQ(service.journal({"SUPERVISOR_EVENT=worker_crashed"}).size(), 1U);
}

TEST_F(JournalRecordsTest, SayWhyNothingWasStarted) {
  const Service service(container(), "shop", "torture", "workers.cuont = 2\n");
  EXPECT_FALSE(service.start().ok());
  const JournalRecord mistake = first(service, "cannot_start");
  EXPECT_EQ(mistake.field("PRIORITY"), "3");
  EXPECT_NE(mistake.message().find("workers.cuont: unknown key"), std::string::npos) << mistake;
}

// What is found in the store is looked at before the configuration is read.
TEST_F(JournalRecordsTest, HaveTheirFieldsAlsoBeforeThereIsAConfiguration) {
  const Service service(container(), "shop", "torture",
                        "workers.count = 1\nlisten.bind = [\"unix:/run/supervisor/shop/http.sock\"]\n");
  ASSERT_TRUE(service.start().ok());
  ASSERT_TRUE(container().shell("rm /run/supervisor/shop/http.sock").ok());
  ASSERT_TRUE(service.restart().ok());
  const JournalRecord stale = first(service, "socket_stale");
  EXPECT_EQ(stale.field("PRIORITY"), "4") << stale;
  EXPECT_EQ(stale.field("SUPERVISOR_ADDRESS"), "unix:/run/supervisor/shop/http.sock") << stale;
  EXPECT_EQ(fetch("unix:" + container().outside("/run/supervisor/shop/http.sock"), "/hello").status, 200);
}

TEST_F(JournalRecordsTest, SayWhyAReloadWasRefused) {
  const Service service(container(), "shop", "torture", kTwoWorkers);
  ASSERT_TRUE(service.start().ok());
  service.configure("load_fails", kTwoWorkers);
  EXPECT_FALSE(service.reload().ok());
  const JournalRecord refused = first(service, "reload_refused");
  EXPECT_NE(refused.field("SUPERVISOR_REASON").find("load"), std::string::npos) << refused;
}

// Nobody reads the socket of a journal that is stopped (frozen), so it fills up.
TEST_F(JournalRecordsTest, AreDroppedAndCountedWhereTheJournalTakesNoMore) {
  const Service service(container(), "shop", "torture", kTwoWorkers);
  ASSERT_TRUE(service.start().ok());
  const pid_t journal = container().main_pid("systemd-journald.service");
  ASSERT_GT(journal, 0);
  ASSERT_TRUE(support::send_signal(journal, SIGSTOP));
  for (int i = 0; i < 40; ++i) {  // each is worth several records; the socket holds net.unix.max_dgram_qlen
    const Outcome scaled = container().run({"/usr/bin/supervisor", "scale", i % 2 == 0 ? "3" : "2", "shop"});
    ASSERT_TRUE(scaled.ok()) << scaled;
    ASSERT_EQ(fetch(kAddress, "/hello").status, 200) << "the service waits for its log";
  }
  ASSERT_TRUE(support::send_signal(journal, SIGCONT));
  fetch(kAddress, "/crash?how=abort");  // something to say
  const JournalRecord dropped = first(service, "log_dropped");
  EXPECT_GT(std::atoi(dropped.field("SUPERVISOR_DROPPED").c_str()), 0) << dropped;
}

TEST_F(JournalRecordsTest, GiveWayToTheFormThatWasAskedFor) {
  const Service service(container(), "shop", "torture", std::string(kTwoWorkers) + "log.format = \"json\"\n");
  ASSERT_TRUE(service.start().ok());
  EXPECT_TRUE(service.wait_journal("\"event\":\"ready\""));
  EXPECT_EQ(service.journal({"SUPERVISOR_EVENT=ready"}).size(), 0U);
}

}  // namespace
}  // namespace systemd
