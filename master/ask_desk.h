// AskDesk: the questions that workers have been asked and have not answered yet (common/ask_box.h).
//
// One at a time per worker, each with a deadline: a worker answers within microseconds, or it is stuck in the kernel,
// or it blocks the signal. Asking never waits.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "common/ask_box.h"
#include "common/clock.h"
#include "common/result.h"
#include "master/worker_id.h"

namespace master {

struct AskAnswer {
  int errnum = 0;                     // 0 = done; whatever the worker wrote
  std::vector<std::uint64_t> frames;  // of kStack, innermost first; at most kAskFramesMax
};

class AskDesk {
 public:
  static constexpr common::Duration kPatience = std::chrono::seconds(2);
  // Called once, from on_asked(), on_time() or on_worker_ended(), never from within ask(). An error with ETIMEDOUT: no
  // answer; with ESRCH: the worker has ended.
  using Done = std::function<void(common::Result<AskAnswer>)>;

  // Only of a worker that has said kReady: before, the signal would end it. OWNERSHIP: `box` stays until the answer,
  // or until on_worker_ended(). Errors: EBUSY, another question is not answered yet; what tgkill(2) says.
  // `fd` has a meaning for kCloseFd and kShutdownFd.
  common::Result<void> ask(WorkerId worker, pid_t pid, common::AskBox& box, common::Ask ask, int fd, Done done,
                           common::TimePoint now);
  bool is_asking(WorkerId worker) const { return questions_.contains(worker); }

  // Its kAsked has come. One that belongs to a question nobody waits for any more does no harm.
  void on_asked(WorkerId worker);
  // Before its memory is unmapped.
  void on_worker_ended(WorkerId worker);
  std::optional<common::TimePoint> next_deadline() const;
  void on_time(common::TimePoint now);

 private:
  struct Question {
    std::uint64_t number;
    common::AskBox* box;
    common::TimePoint deadline;
    Done done;
  };
  using Questions = std::map<WorkerId, Question>;

  static std::optional<AskAnswer> read_answer(const Question& question);
  void finish(Questions::iterator question, common::Result<AskAnswer> answer);

  Questions questions_;
  std::uint64_t last_number_ = 0;
};

}  // namespace master
