// Command line: what the words after `supervisor` ask for. The one door to CLI11.
//
// Pure: it reads neither environment nor files and prints nothing. Values are not judged here: they become sources of
// the configuration, whose loader names all mistakes at once (exit code 1). Wrong usage is exit code 2.
#pragma once

#include <string>
#include <variant>

#include "common/config_load.h"
#include "master/control_path.h"
#include "master/verbs.h"

namespace master {

enum class ServerVerb { kRun, kCheck, kConfig };

// Load the configuration from the sources, then do it.
struct ServerCommand {
  ServerVerb verb = ServerVerb::kRun;
  common::Sources sources;
};

enum class OutputStream { kOutput, kError };

// Print this and leave.
struct Farewell {
  int exit_code = 0;
  std::string text;  // ends with a newline
  OutputStream stream = OutputStream::kOutput;
};

inline constexpr int kExitUsage = 2;

using Command = std::variant<ServerCommand, ClientRequest, Farewell>;

// `argv` as main() has it, the program's name first.
Command parse_command_line(int argc, const char* const* argv, const Environment& environment);

}  // namespace master
