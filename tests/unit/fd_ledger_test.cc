// FdLedger: what is noted is read back, what is closed is forgotten, and the table of stacks holds under threads.
#include "common/fd_ledger.h"

#include <gtest/gtest.h>

#include <climits>
#include <memory>
#include <thread>
#include <vector>

namespace {

using common::FdEntry;
using common::FdLedger;
using common::FdNote;
using common::FdOwner;
using common::FdRole;
using common::FdSince;
using common::FdStack;
using common::kNoStack;
using Frames = std::vector<std::uint64_t>;

constexpr int kDescriptors = 8;
constexpr int kLast = kDescriptors - 1;
const common::TimePoint kNow = common::TimePoint(std::chrono::seconds(7));

class Book {
 public:
  explicit Book(std::size_t stacks = 4) : entries_(kDescriptors), stacks_(stacks), ledger_(entries_, stacks_) {}
  const FdLedger* operator->() const { return &ledger_; }
  FdEntry& entry(int fd) { return entries_[static_cast<std::size_t>(fd)]; }

 private:
  std::vector<FdEntry> entries_;
  std::vector<FdStack> stacks_;
  FdLedger ledger_;
};

TEST(FdLedger, KnowsNothingOfWhatNobodyNoted) {
  const FdNote note = Book()->read(3);
  EXPECT_EQ(note.owner, FdOwner::kUnknown);
  EXPECT_FALSE(note.opened_at);
  EXPECT_TRUE(note.stack.empty());
}

TEST(FdLedger, ReadsBackWhatTheServerNoted) {
  const Book book;
  book->note_server(3, FdRole::kListener, kNow);
  const FdNote note = book->read(3);
  EXPECT_EQ(note.owner, FdOwner::kServer);
  EXPECT_EQ(note.role, FdRole::kListener);
  EXPECT_EQ(note.opened_at, kNow);
  EXPECT_TRUE(book->is_server(3));
  EXPECT_FALSE(book->is_server(4));
}

TEST(FdLedger, ReadsBackTheStackFromWhichAnApplicationOpened) {
  const Book book;
  const std::uint32_t stack = book->add_stack(77, Frames{0x10, 0x20, 0x30});
  book->note_application(3, common::nanoseconds_of(kNow), stack);
  const FdNote note = book->read(3);
  EXPECT_EQ(note.owner, FdOwner::kApplication);
  EXPECT_EQ(note.since, FdSince::kServing);
  EXPECT_EQ(note.opened_at, kNow);
  EXPECT_EQ(note.stack, (Frames{0x10, 0x20, 0x30}));
}

TEST(FdLedger, ForgetsWhatIsClosed) {
  const Book book;
  book->note_application(3, 1, book->add_stack(77, Frames{1}));
  book->note_server(4, FdRole::kRing, kNow);
  book->forget(3);
  book->forget(4);
  EXPECT_EQ(book->read(3).owner, FdOwner::kUnknown);
  EXPECT_TRUE(book->read(3).stack.empty());
  EXPECT_FALSE(book->is_server(4));
}

TEST(FdLedger, ForgetsARangeWithBothItsEnds) {
  const Book book;
  for (int fd = 0; fd < kDescriptors; ++fd) book->note_server(fd, FdRole::kConnection, kNow);
  book->forget_range(2, 4);
  for (int fd = 0; fd < kDescriptors; ++fd) EXPECT_EQ(book->is_server(fd), fd < 2 || fd > 4) << fd;
  book->forget_range(5, UINT_MAX);
  for (int fd = 0; fd < kDescriptors; ++fd) EXPECT_EQ(book->is_server(fd), fd < 2) << fd;
  book->forget_range(1, 0);
  book->forget_range(UINT_MAX, UINT_MAX);
  EXPECT_TRUE(book->is_server(0));
}

TEST(FdLedger, NotesTheLastDescriptorAndIgnoresTheOnePastIt) {
  const Book book;
  book->note_server(kLast, FdRole::kReserve, kNow);
  EXPECT_TRUE(book->is_server(kLast));
  for (const int outside : {kDescriptors, kDescriptors + 1, INT_MAX, -1, INT_MIN}) {
    book->note_server(outside, FdRole::kReserve, kNow);
    book->note_application(outside, 1, kNoStack);
    book->mark_baseline(outside);
    book->forget(outside);
    EXPECT_EQ(book->read(outside).owner, FdOwner::kUnknown) << outside;
    EXPECT_FALSE(book->is_server(outside));
  }
}

TEST(FdLedger, OfNoDescriptorsNotesNothing) {
  const FdLedger none;
  none.note_server(0, FdRole::kRing, kNow);
  none.forget_range(0, UINT_MAX);
  EXPECT_FALSE(none.is_server(0));
  EXPECT_EQ(none.find_stack(1), kNoStack);
  EXPECT_EQ(none.add_stack(1, Frames{1}), kNoStack);
}

TEST(FdLedger, KeepsPlaceAndTimeOfWhatBecomesTheBaseline) {
  const Book book;
  book->note_application(3, common::nanoseconds_of(kNow), book->add_stack(77, Frames{0x10}));
  book->note_server(4, FdRole::kChannel, kNow);
  for (const int fd : {3, 4, 5}) book->mark_baseline(fd);
  EXPECT_EQ(book->read(3).since, FdSince::kStart);
  EXPECT_EQ(book->read(3).stack, Frames{0x10});
  EXPECT_EQ(book->read(3).opened_at, kNow);
  EXPECT_TRUE(book->is_server(4));
  EXPECT_EQ(book->read(5).owner, FdOwner::kApplication);
  EXPECT_EQ(book->read(5).since, FdSince::kStart);
  book->forget(5);
  book->note_application(5, 1, kNoStack);
  EXPECT_EQ(book->read(5).since, FdSince::kServing) << "the number was used again";
}

TEST(FdLedger, FindsAStackByItsKeyAndKeepsTheFirstOfTwoWithTheSameKey) {
  const Book book;
  const std::uint32_t first = book->add_stack(5, Frames{1});
  EXPECT_EQ(book->find_stack(5), first);
  EXPECT_EQ(book->add_stack(5, Frames{2}), first);
  EXPECT_EQ(book->find_stack(6), kNoStack);
  book->note_application(0, 1, first);
  EXPECT_EQ(book->read(0).stack, Frames{1});
}

TEST(FdLedger, KeepsStacksApartWhoseKeysFallOnTheSamePlace) {
  const Book book(4);
  const std::uint32_t first = book->add_stack(3, Frames{1});
  const std::uint32_t second = book->add_stack(7, Frames{2});  // 7 mod 4 = 3, and the table wraps around
  EXPECT_NE(first, second);
  EXPECT_EQ(book->find_stack(3), first);
  EXPECT_EQ(book->find_stack(7), second);
}

TEST(FdLedger, TakesTheKeyZeroLikeAnyOther) {
  const Book book;
  const std::uint32_t stack = book->add_stack(0, Frames{1});
  EXPECT_NE(stack, kNoStack);
  EXPECT_EQ(book->find_stack(0), stack);
}

TEST(FdLedger, FillsItsTableOfStacksAndRefusesTheOnePastIt) {
  const Book book(4);
  for (std::uint64_t key = 1; key <= 4; ++key) EXPECT_NE(book->add_stack(key * 4, Frames{key}), kNoStack);
  EXPECT_EQ(book->add_stack(99, Frames{9}), kNoStack);
  EXPECT_EQ(book->find_stack(99), kNoStack);
  EXPECT_NE(book->find_stack(16), kNoStack);
}

TEST(FdLedger, CutsAStackAtItsLimit) {
  const Book book;
  const Frames longest(common::kStackFramesMax, 5);
  Frames longer = longest;
  longer.push_back(6);
  book->note_application(0, 1, book->add_stack(1, longest));
  book->note_application(1, 1, book->add_stack(2, longer));
  EXPECT_EQ(book->read(0).stack, longest);
  EXPECT_EQ(book->read(1).stack, longest);
}

TEST(FdLedger, ReadsContentsThatMakeNoSenseAsUnknownOrEmpty) {
  Book book;
  book.entry(0).tags.store(0xffffffff);
  book.entry(0).stack.store(0xffffffff);
  book.entry(0).opened_at_ns.store(UINT64_MAX);
  EXPECT_EQ(book->read(0).owner, FdOwner::kUnknown);
  book.entry(0).tags.store(0xffffff02);
  EXPECT_EQ(book->read(0).owner, FdOwner::kApplication);
  EXPECT_EQ(book->read(0).role, FdRole::kNone);
  EXPECT_EQ(book->read(0).since, FdSince::kServing);
  EXPECT_TRUE(book->read(0).stack.empty());
  EXPECT_FALSE(book->read(0).opened_at);
  book.entry(0).stack.store(5);  // one past the last of four
  EXPECT_TRUE(book->read(0).stack.empty());
}

TEST(FdLedger, ReadsADepthThatMakesNoSenseAsTheLongest) {
  std::vector<FdEntry> entries(1);
  std::vector<FdStack> stacks(1);
  const FdLedger ledger(entries, stacks);
  ledger.note_application(0, 1, ledger.add_stack(1, Frames{1}));
  stacks[0].depth.store(UINT32_MAX);
  EXPECT_EQ(ledger.read(0).stack.size(), common::kStackFramesMax);
}

TEST(FdLedger, GivesThreadsThatAddTheSameStacksTheSameAnswers) {
  constexpr std::size_t kStacks = 256;
  constexpr std::size_t kThreads = 4;
  const Book book(kStacks);
  std::array<std::vector<std::uint32_t>, kThreads> answers;
  {
    std::vector<std::jthread> threads;
    for (auto& mine : answers) {
      threads.emplace_back([&mine, &book] {
        for (std::uint64_t key = 1; key <= kStacks; ++key) mine.push_back(book->add_stack(key * 31, Frames{key}));
      });
    }
  }
  for (const auto& mine : answers) EXPECT_EQ(mine, answers[0]);
  for (std::size_t i = 0; i < kStacks; ++i) {
    ASSERT_NE(answers[0][i], kNoStack);
    book->note_application(0, 1, answers[0][i]);
    EXPECT_EQ(book->read(0).stack, Frames{i + 1});
  }
}

TEST(FdLedger, NamesEveryRole) {
  EXPECT_EQ(common::role_name(FdRole::kConnection), "connection");
  EXPECT_EQ(common::role_name(FdRole::kReserve), "reserve");
}

}  // namespace
