// Open files limit: RLIMIT_NOFILE of this process, raised as decide_open_files() says.
#pragma once

#include <cstdint>

#include "common/result.h"
#include "master/open_files_rule.h"

namespace master {

// Before anything is opened; inherited by template and workers. Returns what is in force afterwards.
common::Result<OpenFilesPlan> raise_open_files(std::uint64_t configured);

}  // namespace master
