// GiveUp: one line, and out.
#include "worker/give_up.h"

#include <unistd.h>

#include <cstdio>
#include <string>

#include "common/log.h"
#include "common/result.h"

namespace worker {

void give_up(std::string_view reason, int errnum) {
  common::log(common::LogLevel::kError, common::LogEvent::kWorkerGaveUp,
              "the worker cannot go on: " + std::string(reason) + ": " + common::errno_text(errnum));
  std::fflush(nullptr);
  _exit(kExitGaveUp);  // not exit(3): what load() registered with atexit(3) is the template's
}

}  // namespace worker
