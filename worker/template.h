// Template: the process that loads the application once and then only forks workers when told to.
//
// load() is unbounded foreign code; here it can neither block nor kill the supervision. Pages it touched are shared
// copy-on-write by every worker forked later.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "common/channel.h"
#include "common/config.h"
#include "common/owned_path.h"
#include "common/privileges.h"
#include "common/scoreboard.h"

namespace worker {

// OWNERSHIP: references outlive the process; the channel is the template's.
struct TemplateLaunch {
  common::Channel channel;
  const common::Config& config;
  common::Scoreboard& scoreboard;
  std::uint32_t generation;
  std::uint32_t connections_max;        // per worker
  std::vector<int> inherited_fds;       // what the master was started with: the application's to use; sorted
  std::vector<common::OwnedPath> paths;  // socket files to remove if the master dies without doing so, and we may
  common::Privileges privileges;         // who runs the application, workers included
  pid_t master;
};

// Runs in the child the master forked and ends the process: drops privileges for good before anything of the
// application is opened, says kLoaded or kFailed, then forks until its channel closes or TERM comes.
[[noreturn]] void run_template(TemplateLaunch launch);

}  // namespace worker
