// AskDesk: questions, answers and deadlines; this process plays the worker.
#include "master/ask_desk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>
#include <vector>

namespace {

using common::Ask;
using common::AskBox;
using common::Result;
using common::TimePoint;
using master::AskAnswer;
using master::AskDesk;
using testing::ElementsAre;
using testing::HasSubstr;

// What a worker's signal handler can reach.
volatile std::sig_atomic_t signals_taken = 0;
void take_signal(int) { signals_taken = signals_taken + 1; }

class AskDeskTest : public testing::Test {
 protected:
  AskDeskTest() {
    signals_taken = 0;
    struct sigaction action{};
    action.sa_handler = take_signal;
    sigaction(common::ask_signal(), &action, &before_);
  }
  ~AskDeskTest() override { sigaction(common::ask_signal(), &before_, nullptr); }

  AskDesk::Done keep() {
    return [this](Result<AskAnswer> answer) { answers_.push_back(std::move(answer)); };
  }
  Result<void> ask(master::WorkerId worker, AskBox& box, Ask question = Ask::kStack, int fd = -1) {
    return desk_.ask(worker, getpid(), box, question, fd, keep(), now_);
  }
  static void answer(AskBox& box, int errnum, std::uint32_t depth = 0) {
    box.errnum = errnum;
    box.depth = depth;
    for (std::size_t i = 0; i < box.frames.size(); ++i) box.frames[i] = 1000 + i;
    box.answered = box.question.load();
  }

  TimePoint now_{std::chrono::hours(1)};
  AskBox box_{};
  AskDesk desk_;
  std::vector<Result<AskAnswer>> answers_;
  struct sigaction before_{};
};

TEST_F(AskDeskTest, PutsTheQuestionAndSignalsTheWorker) {
  ASSERT_TRUE(ask(1, box_, Ask::kCloseFd, 30));
  EXPECT_EQ(signals_taken, 1);
  EXPECT_EQ(box_.ask.load(), Ask::kCloseFd);
  EXPECT_EQ(box_.fd, 30);
  EXPECT_NE(box_.question, 0U);
  EXPECT_TRUE(answers_.empty());
  answer(box_, EBADF);
  desk_.on_asked(1);
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(answers_[0]->errnum, EBADF);
  EXPECT_EQ(desk_.next_deadline(), std::nullopt);
}

TEST_F(AskDeskTest, ReadsAStack) {
  ASSERT_TRUE(ask(1, box_));
  answer(box_, 0, 2);
  desk_.on_asked(1);
  EXPECT_THAT(answers_[0]->frames, ElementsAre(1000U, 1001U));
}

TEST_F(AskDeskTest, BelievesNoDepthBeyondTheLimit) {
  for (const std::uint32_t depth :
       {std::uint32_t{common::kAskFramesMax}, std::uint32_t{common::kAskFramesMax} + 1, std::uint32_t{0xffffffff}}) {
    ASSERT_TRUE(ask(1, box_));
    answer(box_, 0, depth);
    desk_.on_asked(1);
    EXPECT_EQ(answers_.back()->frames.size(), common::kAskFramesMax) << depth;
  }
}

TEST_F(AskDeskTest, AsksAWorkerOneThingAtATime) {
  AskBox other{};
  ASSERT_TRUE(ask(1, box_));
  const auto refused = ask(1, box_, Ask::kCloseFd, 30);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().errnum, EBUSY);
  EXPECT_EQ(box_.ask.load(), Ask::kStack);
  EXPECT_TRUE(ask(2, other));
  EXPECT_NE(box_.question, other.question);
  answer(box_, 0);
  desk_.on_asked(1);
  EXPECT_TRUE(ask(1, box_));
}

TEST_F(AskDeskTest, GivesUpAfterTwoSecondsAndTakesTheQuestionBack) {
  ASSERT_TRUE(ask(1, box_));
  answer(box_, 0);
  desk_.on_asked(1);
  answers_.clear();
  ASSERT_TRUE(ask(1, box_, Ask::kCloseFd, 30));
  EXPECT_EQ(desk_.next_deadline(), now_ + AskDesk::kPatience);
  desk_.on_time(now_ + AskDesk::kPatience - std::chrono::nanoseconds(1));
  EXPECT_TRUE(answers_.empty());
  desk_.on_time(now_ + AskDesk::kPatience);
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(answers_[0].error().message,
            "the worker did not react in 2 s: it is stuck in the kernel or blocks the signal");
  EXPECT_EQ(answers_[0].error().errnum, ETIMEDOUT);
  EXPECT_EQ(box_.question, box_.answered);  // nothing to do: what is late must not close what has the number by then
}

TEST_F(AskDeskTest, IgnoresTheLateAnswerToAnEarlierQuestion) {
  ASSERT_TRUE(ask(1, box_));
  const std::uint64_t first = box_.question;
  desk_.on_time(now_ + AskDesk::kPatience);
  ASSERT_TRUE(ask(1, box_));
  box_.answered = first;
  desk_.on_asked(1);
  EXPECT_EQ(answers_.size(), 1U);
  desk_.on_asked(5);  // whom nobody has asked
  answer(box_, 0);
  desk_.on_asked(1);
  EXPECT_TRUE(answers_.at(1).has_value());
}

TEST_F(AskDeskTest, FindsAnAnswerWhoseMessageWasLost) {
  ASSERT_TRUE(ask(1, box_));
  answer(box_, 0, 1);
  desk_.on_time(now_ + AskDesk::kPatience);
  EXPECT_EQ(answers_.at(0)->frames.size(), 1U);
}

TEST_F(AskDeskTest, SaysThatTheWorkerEnded) {
  ASSERT_TRUE(ask(1, box_));
  desk_.on_worker_ended(1);
  EXPECT_EQ(answers_.at(0).error().errnum, ESRCH);
  desk_.on_worker_ended(1);
  EXPECT_EQ(answers_.size(), 1U);
  EXPECT_FALSE(desk_.is_asking(1));
}

TEST_F(AskDeskTest, SaysThatThereIsNobodyToAsk) {
  const auto refused = desk_.ask(1, std::numeric_limits<pid_t>::max(), box_, Ask::kStack, -1, keep(), now_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().errnum, ESRCH);
  EXPECT_THAT(refused.error().message, HasSubstr("signal to worker 2147483647: No such process"));
  EXPECT_FALSE(desk_.is_asking(1));
  EXPECT_EQ(box_.question, box_.answered);
}

TEST_F(AskDeskTest, LetsWhoeverIsToldAskAnew) {
  int told = 0;
  const auto done = [&](const Result<AskAnswer>&) {
    ++told;
    EXPECT_TRUE(ask(1, box_));
  };
  ASSERT_TRUE(desk_.ask(1, getpid(), box_, Ask::kStack, -1, done, now_));
  now_ += AskDesk::kPatience;
  desk_.on_time(now_);
  EXPECT_EQ(told, 1);
  EXPECT_TRUE(desk_.is_asking(1));
  EXPECT_EQ(desk_.next_deadline(), now_ + AskDesk::kPatience);
}

}  // namespace
