// WorkerSignals: how TERM and QUIT reach the worker's loop, also while the application keeps it busy.
#pragma once

#include <sys/types.h>

#include "common/clock.h"
#include "common/result.h"
#include "common/unique_fd.h"

namespace worker {

enum class SignalWish { kNone, kDrain, kLeave };

class WorkerSignals {
 public:
  // Installs the handlers; what a terminal sends to the whole group (INT, HUP ...) is the master's business and
  // ignored here, and so are TERM and QUIT of others while the master lives. Once per process. When the master is gone,
  // TERM also starts a timer of `stop_timeout` after which SIGALRM ends the process, even if the application never
  // returns to the loop.
  static common::Result<WorkerSignals> install(pid_t master, common::Duration stop_timeout);

  // Readable after a signal came.
  int fd() const { return wake_.get(); }
  SignalWish take();

 private:
  explicit WorkerSignals(common::UniqueFd wake) : wake_(std::move(wake)) {}
  common::UniqueFd wake_;
};

}  // namespace worker
