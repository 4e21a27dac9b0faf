// Worker: the life of one worker process, from fork to exit.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "common/channel.h"
#include "common/config.h"
#include "common/scoreboard.h"
#include "worker/application.h"
#include "worker/host.h"
#include "worker/http_server.h"

namespace worker {

// OWNERSHIP: references outlive the process; the channel is the worker's.
struct WorkerLaunch {
  common::Channel channel;
  common::UniqueFd memory;  // a WorkerMemory
  const common::Config& config;
  common::WorkerGauges& record;
  Application& application;
  Host& host;
  std::uint32_t slot;
  std::uint32_t generation;
  std::uint32_t connections_max;
  ConnectionFds connection_fds;
  pid_t master;
};

// Runs in the forked child and ends the process: exit status 0 after an orderly end, 1 after a failed start (which has
// been told on the channel as kFailed).
//
// Signals: TERM drains (sent by the kernel, too, when the master dies: then with a time limit), QUIT leaves at once.
[[noreturn]] void run_worker(WorkerLaunch launch);

}  // namespace worker
