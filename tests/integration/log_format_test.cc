// log.format: where the log goes, and who decides. What arrives in a journal is shown where there is one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/supervisor_process.h"

namespace {

using support::Defaults;
using support::SupervisorProcess;
using ::testing::HasSubstr;

TEST(LogFormat, RefusesAJournalThatIsNotThere) {
  struct stat status{};
  if (stat("/run/systemd/journal/socket", &status) == 0) GTEST_SKIP() << "this machine has a journal";
  SupervisorProcess server({.arguments = {"--log-format", "journal"}});
  EXPECT_EQ(server.wait_exit(), 1);
  EXPECT_THAT(server.output(), HasSubstr("supervisor: log.format = \"journal\": no journal listens on "
                                         "/run/systemd/journal/socket (No such file or directory); start"));
}

TEST(LogFormat, StaysTextUnderAServiceManagerWhenStandardErrorLeadsElsewhere) {
  for (const char* stream : {"JOURNAL_STREAM=1:2", "JOURNAL_STREAM=", "JOURNAL_STREAM=no such thing"}) {
    SupervisorProcess shown({.arguments = {"config"}, .variables = {stream}, .defaults = Defaults::kNone});
    EXPECT_EQ(shown.wait_exit(), 0);
    EXPECT_TRUE(shown.wait_output("access = ")) << stream;
    EXPECT_THAT(shown.output(), HasSubstr("format = \"text\"")) << stream;
  }
}

TEST(LogFormat, NamesTheEventOfEachLineOfJson) {
  SupervisorProcess server({.arguments = {"--workers", "1", "--log-format", "json"}});
  ASSERT_TRUE(server.wait_ready(1));
  EXPECT_TRUE(server.wait_output(R"("process":"master","event":"worker_ready","message":"worker ready","slot":0)"));
  EXPECT_TRUE(server.wait_output(R"("event":"ready")"));
}

}  // namespace
