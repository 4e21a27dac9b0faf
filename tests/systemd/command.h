// Command: a program that a test runs to its end, with what it said.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "support/deadline.h"

namespace systemd {

struct Outcome {
  int exit = -1;       // the exit code, or minus the signal that ended it
  std::string output;  // standard output and error, as they came

  bool ok() const { return exit == 0; }
};
std::ostream& operator<<(std::ostream& out, const Outcome& outcome);

// At the deadline the program is killed. Its standard input is empty.
Outcome run_command(std::vector<std::string> arguments, support::Deadline deadline);

}  // namespace systemd
