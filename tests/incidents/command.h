// Command: a verb of the program, run against a running server, with what it prints and how it ends.
#pragma once

#include <string>
#include <vector>

#include "support/supervisor_process.h"

namespace incidents {

struct CommandResult {
  int exit_code = -1;  // -1 = it was killed, or did not end until the deadline
  std::string output;  // both streams
};

// `supervisor VERB... --control PATH-OF-SERVER`
CommandResult run_verb(const support::SupervisorProcess& server, std::vector<std::string> words);

}  // namespace incidents
