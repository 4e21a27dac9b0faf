// AskDesk: writing questions, sending the signal, reading answers.
#include "master/ask_desk.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "common/format.h"

namespace master {

using common::fail;
using common::Result;

namespace {

// A question that has the number of the last answer is none. Else a worker that comes to itself much later would close
// what has got the descriptor's number in the meantime.
void take_back(common::AskBox& box) {
  box.question.store(box.answered.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

}  // namespace

Result<void> AskDesk::ask(WorkerId worker, pid_t pid, common::AskBox& box, common::Ask ask, int fd, Done done,
                          common::TimePoint now) {
  if (is_asking(worker)) return fail("the worker has not answered another question yet; try again", EBUSY);
  const std::uint64_t number = ++last_number_;
  box.ask.store(ask, std::memory_order_relaxed);
  box.fd.store(fd, std::memory_order_relaxed);
  box.question.store(number, std::memory_order_release);
  // To the main thread, whose id is the process's: another one could not tell what the main thread does.
  if (tgkill(pid, pid, common::ask_signal()) < 0) {
    const int errnum = errno;
    take_back(box);
    return common::fail_errno(common::format("signal to worker {}", pid), errnum);
  }
  questions_.emplace(worker, Question{number, &box, now + kPatience, std::move(done)});
  return {};
}

void AskDesk::on_asked(WorkerId worker) {
  const auto question = questions_.find(worker);
  if (question == questions_.end()) return;
  if (auto answer = read_answer(question->second)) finish(question, std::move(*answer));
}

void AskDesk::on_worker_ended(WorkerId worker) {
  const auto question = questions_.find(worker);
  if (question == questions_.end()) return;
  if (auto answer = read_answer(question->second)) return finish(question, std::move(*answer));
  finish(question, fail("the worker ended before it answered", ESRCH));
}

std::optional<common::TimePoint> AskDesk::next_deadline() const {
  std::optional<common::TimePoint> next;
  for (const auto& [worker, question] : questions_)
    next = std::min(next.value_or(question.deadline), question.deadline);
  return next;
}

void AskDesk::on_time(common::TimePoint now) {
  std::vector<WorkerId> late;  // whoever is told may ask anew
  for (const auto& [worker, question] : questions_) {
    if (question.deadline <= now) late.push_back(worker);
  }
  for (const WorkerId worker : late) {
    const auto question = questions_.find(worker);
    if (question == questions_.end() || question->second.deadline > now) continue;
    if (auto answer = read_answer(question->second)) {  // its message was lost
      finish(question, std::move(*answer));
      continue;
    }
    take_back(*question->second.box);
    finish(question, fail(common::format("the worker did not react in {} s: it is stuck in the kernel or blocks the "
                                         "signal",
                                         std::chrono::duration_cast<std::chrono::seconds>(kPatience).count()),
                          ETIMEDOUT));
  }
}

// The worker can write whatever it likes, at any time: nothing is believed but that it is a number.
std::optional<AskAnswer> AskDesk::read_answer(const Question& question) {
  const common::AskBox& box = *question.box;
  if (box.answered.load(std::memory_order_acquire) != question.number) return std::nullopt;
  AskAnswer answer{.errnum = box.errnum.load(std::memory_order_relaxed), .frames = {}};
  const std::size_t depth = std::min<std::size_t>(box.depth.load(std::memory_order_relaxed), common::kAskFramesMax);
  for (std::size_t i = 0; i < depth; ++i) answer.frames.push_back(box.frames[i].load(std::memory_order_relaxed));
  return answer;
}

// Out of the map first: `done` may ask the next question.
void AskDesk::finish(Questions::iterator question, Result<AskAnswer> answer) {
  const Done done = std::move(question->second.done);
  questions_.erase(question);
  done(std::move(answer));
}

}  // namespace master
