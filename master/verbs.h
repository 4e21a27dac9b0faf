// Verbs: what `supervisor status`, `stop`, `recycle` and `scale` do: one question over the control socket.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace master {

enum class ClientVerb { kStatus, kStop, kRecycle, kScale };
enum class OutputForm { kText, kJson };

struct ClientRequest {
  ClientVerb verb = ClientVerb::kStatus;
  OutputForm form = OutputForm::kText;
  std::string control_path;                      // empty = the only socket in control_directories
  std::vector<std::string> control_directories;
  std::uint32_t number = 0;                      // the slot of kRecycle, the workers of kScale
};

// Prints the answer on standard output or the mistake on standard error. Blocks for at most kControlTimeout. Returns
// the exit code: 0, or 1 when the supervisor did not answer or refused.
int run_client_verb(const ClientRequest& request);

}  // namespace master
