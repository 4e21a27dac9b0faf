// AppCheck: loads an application the way a template does, in a process of its own, and reports how that went.
#pragma once

#include <string>

#include "common/config.h"
#include "common/result.h"

namespace worker {

// The name the application gives itself, or the one-line reason why it cannot be served. The caller survives whatever
// load() does. Blocks as long as load() takes.
common::Result<std::string> check_application(const common::Config& config);

}  // namespace worker
