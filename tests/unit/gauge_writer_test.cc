// GaugeWriter: which descriptors are the server's own.
#include "worker/gauge_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "common/log.h"
#include "http_server_stage.h"
#include "journal_receiver.h"

namespace {

using common::FdRole;

struct Gauges : test_stage::HttpServerStage {
  ~Gauges() override { common::log_start(common::LogLevel::kInfo, common::LogFormat::kText); }

  worker::GaugeWriter writer() { return {record, *server, *ring, ledger, std::chrono::seconds(1)}; }
  void log_to_journal() { common::log_start(common::LogLevel::kInfo, common::LogFormat::kJournal, receiver.path()); }

  const common::FdLedger ledger{entries, {}};
  test_stage::JournalReceiver receiver;
};

TEST_F(Gauges, CountTheSocketOfTheLogWithTheServersOwn) {
  serve({.connections_max = 8});
  const std::uint32_t as_text = writer().owned_fds();
  EXPECT_TRUE(noted(FdRole::kLog).empty());
  log_to_journal();
  EXPECT_EQ(writer().owned_fds(), as_text + 1);
  EXPECT_EQ(noted(FdRole::kLog), std::vector<int>{common::log_descriptor()});
}

TEST_F(Gauges, TakeTheSocketThatTheLogHadToOpenAnewForTheServersToo) {
  serve({.connections_max = 8});
  log_to_journal();
  worker::GaugeWriter gauges = writer();
  const int closed = common::log_descriptor();
  ledger.forget(closed);  // as the hook on close(2) does
  const common::UniqueFd somebody_elses(open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(dup2(somebody_elses.get(), closed), closed);
  common::log(common::LogLevel::kInfo, common::LogEvent::kAppLog, "still heard");
  EXPECT_TRUE(receiver.take());
  ASSERT_NE(common::log_descriptor(), closed);
  gauges.write(1, common::Clock::now());
  EXPECT_EQ(noted(FdRole::kLog), std::vector<int>{common::log_descriptor()});
  close(closed);
}

TEST_F(Gauges, LeaveTheApplicationWhatItHasOpenedUnderTheNumberOfTheLog) {
  serve({.connections_max = 8});
  log_to_journal();
  worker::GaugeWriter gauges = writer();
  const int number = common::log_descriptor();
  ledger.forget(number);  // as the hook on close(2) does
  const common::UniqueFd leaked(open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(dup2(leaked.get(), number), number);
  ledger.note_application(number, 0, 0);
  gauges.write(1, common::Clock::now());  // before the log has anything to say
  EXPECT_EQ(ledger.read(number).owner, common::FdOwner::kApplication);
  EXPECT_NE(common::log_descriptor(), number);
  EXPECT_EQ(noted(FdRole::kLog), std::vector<int>{common::log_descriptor()});
  close(number);
}

}  // namespace
