// The log: forms of a record, and its way to the journal.
#include "common/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "common/json.h"
#include "common/unique_fd.h"
#include "journal_receiver.h"

namespace {

using common::Json;
using common::LogEvent;
using common::LogField;
using common::LogFormat;
using common::LogIdentity;
using common::LogLevel;
using common::LogRecord;
using common::ProcessKind;
using test_stage::JournalReceiver;
using test_stage::JournalRecord;
using ::testing::Pair;

constexpr LogIdentity kWorker = {.kind = ProcessKind::kWorker, .slot = 3, .generation = 2};

JournalRecord journal_of(const LogIdentity& identity, const LogRecord& record) {
  return test_stage::parse_journal(common::encode_journal(common::journal_fields_of(identity, record)));
}

// Of the whole process: put back what was, for the next test.
class Logging {
 public:
  explicit Logging(const std::string& path, LogLevel level = LogLevel::kInfo) {
    common::log_start(level, LogFormat::kJournal, path);
    common::log_identity(kWorker);
  }
  ~Logging() {
    common::log_start(LogLevel::kInfo, LogFormat::kText);
    common::log_identity({});
  }
  Logging(const Logging&) = delete;
  Logging& operator=(const Logging&) = delete;
};

TEST(LogEvents, HaveANameEachThatIsFitForFilters) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < common::kLogEvents; ++i) {
    const std::string_view name = name_of(static_cast<LogEvent>(i));
    EXPECT_TRUE(names.insert(name).second) << name;
    ASSERT_FALSE(name.empty()) << i;
    EXPECT_TRUE(std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; })) << name;
    EXPECT_TRUE(name.front() != '_' && name.back() != '_' && name.find("__") == name.npos) << name;
  }
}

TEST(LogRecord, SaysAsTextWhoSpeaksAndNotWhatIsForFilters) {
  const std::vector<LogField> fields = {
      {"slot", 1}, {"reason", "no memory"}, {"empty", ""}, LogField::to_filter_by("generation", 7)};
  const LogRecord record = {.event = LogEvent::kWorkerDied, .message = "worker\ndied", .fields = fields};
  EXPECT_EQ(text_of(kWorker, record), R"([worker 3 g2] worker\x0adied slot=1 reason="no memory" empty="")");
  EXPECT_EQ(common::text_of({.kind = ProcessKind::kTemplate, .slot = {}, .generation = 1}), "template g1");
  EXPECT_EQ(common::text_of({.kind = ProcessKind::kMaster}), "master");
}

TEST(LogRecord, HasItsEventAndAllItsFieldsInJson) {
  const std::vector<LogField> fields = {{"slot", 1}, LogField::to_filter_by("reason", "fds_leaked")};
  const LogRecord record = {.event = LogEvent::kRecycleQueued, .message = "recycle queued", .fields = fields};
  EXPECT_EQ("{" + json_members_of(kWorker, record),
            R"({"process":"worker 3 g2","event":"recycle_queued","message":"recycle queued","slot":1,)"
            R"("reason":"fds_leaked"})");
}

TEST(LogRecord, CanBeReadAndFilteredInTheJournal) {
  const std::vector<LogField> fields = {
      {"slot", 1}, {"recycle", "fds_leaked"}, LogField::to_filter_by("reason", "fds_leaked")};
  const LogRecord record = {
      .level = LogLevel::kWarn, .event = LogEvent::kRecycleQueued, .message = "recycle queued", .fields = fields};
  EXPECT_EQ(journal_of({.kind = ProcessKind::kMaster}, record),
            (JournalRecord{{"MESSAGE", "recycle queued slot=1 recycle=fds_leaked"},
                           {"PRIORITY", "4"},
                           {"SYSLOG_IDENTIFIER", "supervisor"},
                           {"SUPERVISOR_PROCESS", "master"},
                           {"SUPERVISOR_EVENT", "recycle_queued"},
                           {"SUPERVISOR_SLOT", "1"},
                           {"SUPERVISOR_RECYCLE", "fds_leaked"},
                           {"SUPERVISOR_REASON", "fds_leaked"}}));
}

TEST(LogRecord, SpeaksOfItsWriterUnlessItSpeaksOfAnother) {
  JournalRecord of_itself = journal_of(kWorker, {.event = LogEvent::kAppLog, .message = "hello"});
  EXPECT_EQ(of_itself["SUPERVISOR_SLOT"], "3");
  EXPECT_EQ(of_itself["SUPERVISOR_GENERATION"], "2");
  const std::vector<LogField> fields = {{"slot", 0}};
  JournalRecord of_another = journal_of(kWorker, {.message = "hello", .fields = fields});
  EXPECT_EQ(of_another["SUPERVISOR_SLOT"], "0");
  EXPECT_EQ(of_another["SUPERVISOR_GENERATION"], "2");
}

TEST(LogRecord, IsOneLineExceptInTheJournal) {
  const std::vector<LogField> fields = {{"slot", 1},
                                        LogField::list("stack", "f < g", {"f (a.cc:1)", "g"}),
                                        {"pid", 7},
                                        LogField::list("groups", "none", {})};
  const LogRecord record = {.event = LogEvent::kWorkerCrashed, .message = "worker crashed", .fields = fields};
  EXPECT_EQ(text_of(kWorker, record), R"([worker 3 g2] worker crashed slot=1 stack="f < g" pid=7 groups=none)");
  EXPECT_EQ(Json::parse("{" + json_members_of(kWorker, record)).at("stack"), "f < g");
  JournalRecord journal = journal_of(kWorker, record);
  EXPECT_EQ(journal["MESSAGE"], "worker crashed slot=1 pid=7 groups=none\nstack:\n  f (a.cc:1)\n  g");
  EXPECT_EQ(journal["SUPERVISOR_STACK"], "f (a.cc:1)\ng");
  EXPECT_EQ(journal["SUPERVISOR_GROUPS"], "none");
}

TEST(Log, SendsWhatTheLevelLetsThroughToTheJournalAndNothingToStandardError) {
  JournalReceiver receiver;
  const Logging logging(receiver.path(), LogLevel::kWarn);
  ::testing::internal::CaptureStderr();
  common::log(LogLevel::kInfo, LogEvent::kAppLog, "below");
  common::log(LogLevel::kWarn, LogEvent::kAppLog, "two\nlines\x1b");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  const auto record = receiver.take();
  ASSERT_TRUE(record);
  EXPECT_THAT(*record,
              ::testing::IsSupersetOf({Pair("MESSAGE", "two\nlines\\x1b"), Pair("PRIORITY", "4"),
                                       Pair("SUPERVISOR_PROCESS", "worker"), Pair("SUPERVISOR_SLOT", "3"),
                                       Pair("SUPERVISOR_GENERATION", "2"), Pair("SUPERVISOR_EVENT", "app_log")}));
  EXPECT_FALSE(receiver.take());
}

TEST(Log, SaysHowManyRecordsAFullJournalHasNotTakenBeforeTheNextThatItTakes) {
  JournalReceiver receiver;
  const Logging logging(receiver.path());
  for (int i = 0; i < 1000; ++i) common::log(LogLevel::kInfo, LogEvent::kAppLog, std::to_string(i));
  int taken = 0;
  while (const auto record = receiver.take()) EXPECT_EQ(record->at("MESSAGE"), std::to_string(taken++));
  ASSERT_GT(taken, 0);
  ASSERT_LT(taken, 1000) << "net.unix.max_dgram_qlen is above what this test fills";
  common::log(LogLevel::kInfo, LogEvent::kAppLog, "next");
  const auto note = receiver.take();
  ASSERT_TRUE(note);
  EXPECT_EQ(note->at("SUPERVISOR_EVENT"), "log_dropped");
  EXPECT_EQ(note->at("SUPERVISOR_DROPPED"), std::to_string(1000 - taken));
  EXPECT_EQ(note->at("PRIORITY"), "4");
  EXPECT_EQ(receiver.take().value().at("MESSAGE"), "next");
  common::log(LogLevel::kInfo, LogEvent::kAppLog, "after");
  EXPECT_EQ(receiver.take().value().at("MESSAGE"), "after") << "told twice";
}

TEST(Log, CountsWhatAJournalThatWasAwayHasMissed) {
  JournalReceiver receiver;
  const Logging logging(receiver.path());
  receiver.leave();
  for (int i = 0; i < 3; ++i) common::log(LogLevel::kInfo, LogEvent::kAppLog, "lost");
  receiver.listen();
  common::log(LogLevel::kInfo, LogEvent::kAppLog, "found");
  EXPECT_EQ(receiver.take().value().at("SUPERVISOR_DROPPED"), "3");
  EXPECT_EQ(receiver.take().value().at("MESSAGE"), "found");
}

TEST(Log, LeavesItToAParentToTellWhatItCouldNotSay) {
  JournalReceiver receiver;
  const Logging logging(receiver.path());
  receiver.leave();
  common::log(LogLevel::kInfo, LogEvent::kAppLog, "the parent's");
  common::log_identity({.kind = ProcessKind::kWorker, .slot = 4, .generation = 2});
  receiver.listen();
  common::log(LogLevel::kInfo, LogEvent::kAppLog, "the child's");
  EXPECT_EQ(receiver.take().value().at("MESSAGE"), "the child's");
}

TEST(Log, KeepsTheCountOfDroppedLinesOverAReload) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const common::UniqueFd reader(ends[0]);
  const common::UniqueFd writer(ends[1]);
  const int bytes = fcntl(writer.get(), F_GETPIPE_SZ);
  std::string text(static_cast<std::size_t>(bytes), 'x');
  ASSERT_EQ(write(writer.get(), text.data(), text.size()), bytes);
  const common::UniqueFd before(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
  ASSERT_EQ(dup2(writer.get(), STDERR_FILENO), STDERR_FILENO);
  common::log(LogLevel::kInfo, LogEvent::kAppLog, "lost");
  common::log_start(LogLevel::kInfo, LogFormat::kText);
  ASSERT_EQ(read(reader.get(), text.data(), text.size()), bytes);
  common::log(LogLevel::kInfo, LogEvent::kAppLog, "found");
  ASSERT_EQ(dup2(before.get(), STDERR_FILENO), STDERR_FILENO);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, read(reader.get(), text.data(), text.size()))));
  EXPECT_THAT(text, ::testing::HasSubstr("supervisor: 1 log lines were dropped\n"));
  EXPECT_THAT(text, ::testing::HasSubstr("found\n"));
}

TEST(Log, WaitsForAJournalThatIsNotThereYet) {
  JournalReceiver receiver;
  receiver.leave();
  const Logging logging(receiver.path());
  common::log(LogLevel::kInfo, LogEvent::kUpgradeDone, "lost");
  receiver.listen();
  common::log(LogLevel::kInfo, LogEvent::kAppLog, "found");
  EXPECT_EQ(receiver.take().value().at("SUPERVISOR_DROPPED"), "1");
  EXPECT_EQ(receiver.take().value().at("MESSAGE"), "found");
}

TEST(Log, GivesItsDescriptorBackWithTheFormat) {
  const JournalReceiver receiver;
  {
    const Logging logging(receiver.path());
    EXPECT_GE(common::log_descriptor(), 0);
    const int before = common::log_descriptor();
    common::log_start(LogLevel::kDebug, LogFormat::kJournal, receiver.path());
    EXPECT_EQ(common::log_descriptor(), before) << "a reload opened another";
  }
  EXPECT_EQ(common::log_descriptor(), -1);
}

}  // namespace
