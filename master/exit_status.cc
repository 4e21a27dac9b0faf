// Exit status: decoding and wording.
#include "master/exit_status.h"

#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace master {

std::string describe_wait_status(int wait_status) {
  if (WIFEXITED(wait_status)) return "exited with status " + std::to_string(WEXITSTATUS(wait_status));
  const int signal = WTERMSIG(wait_status);
  const char* name = sigabbrev_np(signal);
  std::string text = "killed by " + (name != nullptr ? "SIG" + std::string(name) : "signal " + std::to_string(signal));
  if (WCOREDUMP(wait_status)) text += " (core dumped)";
  return text;
}

Ending explain_exit(int wait_status, const std::optional<LastWords>& last_words) {
  if (last_words) {
    // What the kernel forbids now it forbids to the next worker as well.
    const bool fatal = last_words->stage == common::Stage::kRing && last_words->errnum != EMFILE &&
                       last_words->errnum != ENFILE && last_words->errnum != ENOMEM;
    return {.cause = fatal ? ExitCause::kFatal : ExitCause::kStartFailed,
            .reason = std::string(common::stage_name(last_words->stage)) + ": " + last_words->text};
  }
  if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) return {.cause = ExitCause::kClean, .reason = "left"};
  const bool killed = WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL;
  return {.cause = killed ? ExitCause::kKilled : ExitCause::kCrashed, .reason = describe_wait_status(wait_status)};
}

}  // namespace master
