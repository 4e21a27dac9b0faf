// Command: a SupervisorProcess that ends by itself.
#include "command.h"

namespace incidents {

CommandResult run_verb(const support::SupervisorProcess& server, std::vector<std::string> words) {
  words.insert(words.end(), {"--control", server.control_path()});
  support::SupervisorProcess command({.arguments = std::move(words), .defaults = support::Defaults::kNone});
  const std::optional<int> code = command.wait_exit();
  return {.exit_code = code.value_or(-1), .output = command.output()};
}

}  // namespace incidents
