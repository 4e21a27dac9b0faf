// Exit status: what a wait status and the last words of a process say about its end.
#pragma once

#include <optional>
#include <string>

#include "common/messages.h"
#include "master/supervision_event.h"

namespace master {

// What a process said before it left, as kFailed.
struct LastWords {
  common::Stage stage = common::Stage::kNone;
  int errnum = 0;
  std::string text;
};

struct Ending {
  ExitCause cause;
  std::string reason;  // one line: "killed by SIGSEGV (core dumped)", "worker_start: no database"
};

// `wait_status` as by waitpid(2). Whether a SIGKILL was ours is for the caller to know.
Ending explain_exit(int wait_status, const std::optional<LastWords>& last_words);

// "exited with status 3", "killed by SIGSEGV (core dumped)".
std::string describe_wait_status(int wait_status);

}  // namespace master
