// AppCheck: loads an application the way a template does, in a process of its own, and reports how that went.
#pragma once

#include <string>

#include "common/config.h"
#include "common/privileges.h"
#include "common/result.h"

namespace worker {

// Loads it as the user that would run it. The name the application gives itself, or the one-line reason why it cannot
// be served. The caller survives whatever load() does. Blocks as long as load() takes.
common::Result<std::string> check_application(const common::Config& config, const common::Privileges& privileges = {});

}  // namespace worker
