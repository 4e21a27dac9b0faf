// Journal: the bytes of a record, and what becomes of it.
#include "common/journal.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "common/high_fd.h"
#include "journal_receiver.h"

namespace {

using common::encode_journal;
using common::Journal;
using common::journal_name;
using common::journal_text;
using common::JournalField;
using test_stage::JournalReceiver;
using ::testing::AllOf;
using ::testing::HasSubstr;
using namespace std::string_literals;

std::string encoded(std::vector<JournalField> fields) { return encode_journal(fields); }

TEST(JournalRecord, IsANameAnEqualsSignAndALine) {
  EXPECT_EQ(encoded({{"MESSAGE", "worker ready"}, {"PRIORITY", "6"}}), "MESSAGE=worker ready\nPRIORITY=6\n");
}

TEST(JournalRecord, MayHaveEmptyValuesAndEqualsSigns) { EXPECT_EQ(encoded({{"A", ""}, {"B", "="}}), "A=\nB==\n"); }

TEST(JournalRecord, TellsTheLengthOfAValueThatHasLines) {
  EXPECT_EQ(encoded({{"MESSAGE", "two\nlines"}}), "MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\n"s);
  const std::string long_value = std::string(0x0102, 'x') + "\n";
  EXPECT_EQ(encoded({{"MESSAGE", long_value}}), "MESSAGE\n\x03\x01\0\0\0\0\0\0"s + long_value + "\n");
}

TEST(JournalRecord, LeavesOutWhatTheJournalWouldRefuseTheWholeRecordFor) {
  const std::string longest(common::kJournalNameMax, 'A');
  EXPECT_EQ(encoded({{"_PID", "1"}, {"9LIVES", "1"}, {"lower", "1"}, {"A B", "1"}, {"", "1"}, {"A=B", "1"}}), "");
  EXPECT_EQ(encoded({{longest + "A", "1"}, {longest, "2"}, {"A_9", "3"}}), longest + "=2\nA_9=3\n");
}

TEST(JournalRecord, CutsAValueAtTheLimit) {
  const std::string longest(common::kJournalValueMax, 'x');
  EXPECT_EQ(encoded({{"A", longest}}), "A=" + longest + "\n");
  EXPECT_EQ(encoded({{"A", longest + "y"}}), "A=" + longest + "\n");
  const std::string cut = longest.substr(1);
  EXPECT_EQ(encoded({{"A", cut + "\xc3\xa9"}}), "A=" + cut + "\n") << "half a character is shown as [blob data]";
}

TEST(JournalName, IsValidWhateverItIsMadeOf) {
  EXPECT_EQ(journal_name("close_wait"), "SUPERVISOR_CLOSE_WAIT");
  EXPECT_EQ(journal_name("a b\n=\xc3\xa9"), "SUPERVISOR_A_B____");
  const std::string name = journal_name(std::string(100, 'x'));
  EXPECT_EQ(name.size(), common::kJournalNameMax);
  EXPECT_EQ(encoded({{name, ""}}), name + "=\n");
}

TEST(JournalText, KeepsLinesAndTabsAndNoOtherControlByte) {
  EXPECT_EQ(journal_text("a\tb\nc"), "a\tb\nc");
  EXPECT_EQ(journal_text("a\x1b[31m\r\x7f\0"s), "a\\x1b[31m\\x0d\\x7f\\x00");
  EXPECT_EQ(journal_text("caf\xc3\xa9 \xc2\x9b"), "caf\xc3\xa9 \\x9b") << "U+009B is CSI";
  EXPECT_EQ(journal_text("\xff!\xc3"), "\xef\xbf\xbd!\xef\xbf\xbd");
}

TEST(JournalStream, IsRecognizedByDeviceAndInode) {
  const common::UniqueFd fd(eventfd(0, EFD_CLOEXEC));
  struct stat status{};
  ASSERT_EQ(fstat(fd.get(), &status), 0);
  const std::string device = std::to_string(status.st_dev);
  const std::string inode = std::to_string(status.st_ino);
  EXPECT_TRUE(common::is_journal_stream(device + ":" + inode, fd.get()));
  EXPECT_FALSE(common::is_journal_stream(device + ":" + std::to_string(status.st_ino + 1), fd.get()));
  EXPECT_FALSE(common::is_journal_stream(std::to_string(status.st_dev + 1) + ":" + inode, fd.get()));
  EXPECT_FALSE(common::is_journal_stream(device + ":" + inode, -1));
  for (const std::string& garbage :
       {""s, ":"s, device, device + ":", ":" + inode, device + ":" + inode + " ", device + ":" + inode + ":1",
        device + ":-" + inode, "x" + device + ":" + inode, device + ":99999999999999999999999"}) {
    EXPECT_FALSE(common::is_journal_stream(garbage, fd.get())) << garbage;
  }
}

TEST(Journal, IsReachedWhereSomebodyListensAndElseSaysWhatToDo) {
  JournalReceiver receiver;
  EXPECT_TRUE(common::reach_journal(receiver.path()));
  receiver.leave();
  EXPECT_THAT(common::reach_journal(receiver.path()).error().message,
              AllOf(HasSubstr("log.format = \"journal\""), HasSubstr(receiver.path()), HasSubstr("Connection refused"),
                    HasSubstr("set log.format to \"text\"")));
  EXPECT_THAT(common::reach_journal(receiver.path() + "x").error().message, HasSubstr("No such file"));
  EXPECT_FALSE(common::reach_journal(std::string(200, 'x')));
}

TEST(Journal, ReceivesWhatIsSentAndFindsItsReaderAgain) {
  JournalReceiver receiver;
  Journal journal(receiver.path());
  const std::vector<JournalField> fields = {{"MESSAGE", "one"}};
  EXPECT_EQ(journal.send(fields), Journal::Sent::kYes);
  EXPECT_EQ(receiver.take_bytes(), "MESSAGE=one\n");
  receiver.leave();
  EXPECT_EQ(journal.send(fields), Journal::Sent::kDropped);
  receiver.listen();
  EXPECT_EQ(journal.send(fields), Journal::Sent::kYes);
  EXPECT_EQ(receiver.take_bytes(), "MESSAGE=one\n");
}

TEST(Journal, SealsWhatIsTooLargeForADatagramInAMemfd) {
  JournalReceiver receiver;
  Journal journal(receiver.path());
  const std::vector<JournalField> fields = {{"A", std::string(common::kJournalValueMax, 'a')},
                                            {"B", "\n" + std::string(common::kJournalValueMax - 1, 'b')}};
  EXPECT_EQ(journal.send(fields), Journal::Sent::kYes);
  EXPECT_EQ(receiver.take_bytes(), encode_journal(fields));
  EXPECT_EQ(receiver.seals, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
}

TEST(Journal, DropsWhatItsReaderDoesNotTakeWithoutWaiting) {
  const JournalReceiver receiver;
  Journal journal(receiver.path());
  const std::vector<JournalField> fields = {{"MESSAGE", "again"}};
  int sent = 0;
  while (journal.send(fields) == Journal::Sent::kYes) ASSERT_LT(++sent, 100'000) << "the queue has no end";
  EXPECT_GT(sent, 0);
}

TEST(Journal, HasADescriptorOfItsOwnThatIsHighAndNotInherited) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < 2 * common::kHighFdMin) GTEST_SKIP() << "the limit of open files is " << limit.rlim_cur;
  const JournalReceiver receiver;
  Journal journal(receiver.path());
  EXPECT_EQ(journal.descriptor(), -1);
  journal.open();
  EXPECT_GE(journal.descriptor(), common::kHighFdMin);
  EXPECT_EQ(fcntl(journal.descriptor(), F_GETFD), FD_CLOEXEC);
}

TEST(Journal, OpensItsSocketAgainWhenSomebodyClosedIt) {
  JournalReceiver receiver;
  Journal journal(receiver.path());
  journal.open();
  close(journal.descriptor());
  EXPECT_EQ(journal.send(std::vector<JournalField>{{"A", "1"}}), Journal::Sent::kYes);
  EXPECT_EQ(receiver.take_bytes(), "A=1\n");
}

TEST(Journal, NeverTouchesWhatSomebodyElseOpenedUnderItsNumber) {
  JournalReceiver receiver;
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  const common::UniqueFd near(ends[0]);
  const common::UniqueFd far(ends[1]);
  int number = -1;
  int other = -1;
  {
    Journal journal(receiver.path());
    journal.open();
    number = journal.descriptor();
    ASSERT_EQ(dup2(near.get(), number), number);
    EXPECT_EQ(journal.send(std::vector<JournalField>{{"A", "1"}}), Journal::Sent::kYes);
    EXPECT_NE(journal.descriptor(), number);
    EXPECT_EQ(receiver.take_bytes(), "A=1\n");
    ASSERT_EQ(dup2(near.get(), journal.descriptor()), journal.descriptor());
    other = journal.descriptor();
  }
  char byte = 0;
  EXPECT_EQ(read(far.get(), &byte, 1), -1) << "a record went to somebody else";
  for (const int fd : {number, other}) EXPECT_EQ(close(fd), 0) << "it was closed already";
}

}  // namespace
