// Verbs: what `supervisor status`, `fds`, `stop` and the others do: one question over the control socket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "master/close_how.h"
#include "master/fd_text.h"

namespace master {

enum class ClientVerb { kStatus, kFds, kStop, kReload, kRecycle, kScale, kCloseFd };
enum class OutputForm { kText, kJson };

struct ClientRequest {
  ClientVerb verb = ClientVerb::kStatus;
  OutputForm form = OutputForm::kText;
  std::string control_path;                      // empty = the only socket in control_directories
  std::string unit_control_path{};               // if there is nothing at control_path; empty = no other
  std::vector<std::string> control_directories;
  std::optional<std::uint32_t> slot{};           // of kRecycle and kCloseFd; of kFds, where none = all of them
  std::uint32_t workers = 0;                     // of kScale
  std::uint32_t fd = 0;                          // of kCloseFd
  CloseHow how = CloseHow::kClose;               // of kCloseFd
  FdDetail detail = FdDetail::kGroups;           // of kFds
};

// Prints the answer on standard output or the mistake on standard error. Blocks for at most kControlPatience,
// kInspectionPatience or kReloadPatience. Returns the exit code: 0; 1 when the supervisor did not
// answer or refused; 75 when it refused because it stops.
int run_client_verb(const ClientRequest& request);

}  // namespace master
