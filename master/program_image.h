// ProgramImage: the file this process was started from, by its name, and executing whatever lies there now.
#pragma once

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/unique_fd.h"

namespace master {

struct ProgramImage {
  std::string path;                    // absolute; symbolic links are followed when it is executed
  std::vector<std::string> arguments;  // as they were given to us, the program's name first
};

// Before the process title takes their place.
ProgramImage own_program(int argc, const char* const* argv);

// Says on standard output that this program can take over.
inline constexpr std::string_view kCheckVerb = "handover-check";
inline constexpr std::string_view kCheckPassed = "hand-over: understood\n";

struct StartedCheck {
  pid_t pid;
  common::UniqueFd output;  // both of its streams; non-blocking
};

// Forks a child that runs `program handover-check FD` with our own arguments behind it; `fds`, and `handover` among
// them, survive in it.
common::Result<StartedCheck> start_check(const ProgramImage& program, int handover, std::span<const int> fds);

// Becomes `program`. Returns only with an error, and then nothing has changed.
common::Error exec_program(const ProgramImage& program, int handover, std::span<const int> fds);

// The memfd that the image before this one has left for us, if so; its variable is gone afterwards.
std::optional<int> handed_over();

}  // namespace master
