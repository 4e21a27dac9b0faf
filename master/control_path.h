// Control path: where the control socket of a supervisor is, when nobody says. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace master {

// The variables that the command line looks at; "" = not set. Passed in, so that nothing here reads the environment.
struct Environment {
  std::string supervisor_args;    // SUPERVISOR_ARGS
  std::string runtime_directory;  // RUNTIME_DIRECTORY of systemd: may be several, by colons; the first counts
  std::string xdg_runtime_dir;    // XDG_RUNTIME_DIR
};

// $RUNTIME_DIRECTORY/control.sock, else $XDG_RUNTIME_DIR/supervisor/<app>.sock, else /run/supervisor/<app>.sock.
// <app> is the file name of the application without ".so".
std::string default_control_path(std::string_view app_path, const Environment& environment);

// /run/supervisor/<app>/control.sock, where the unit supervisor@<app> has it; "" if RUNTIME_DIRECTORY says where.
std::string unit_control_path(std::string_view app_path, const Environment& environment);

// Where a client that knows neither path nor application may look for "*.sock" and "*/control.sock".
std::vector<std::string> control_directories(const Environment& environment);

// The only socket found, or an error that lists what there is.
common::Result<std::string> choose_control_path(const std::vector<std::string>& found,
                                                const std::vector<std::string>& directories);

}  // namespace master
