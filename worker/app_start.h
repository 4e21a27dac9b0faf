// AppStart: the application starts in a worker, and the worker waits until it can serve.
#pragma once

#include "common/result.h"
#include "worker/application.h"

namespace worker {

enum class Started {
  kReady,
  kCalledOff,  // the master or a signal wants something else; the application has been stopped
};

// worker_start, then worker_ready again and again. Blocks: there is no deadline, for the master has one. `channel` and
// `signals` are borrowed and only looked at.
common::Result<Started> start_application(Application& application, const supervisor_worker_info& info, int channel,
                                          int signals);

}  // namespace worker
