// A shared object as a file: whether the dynamic linker can be expected to take it.
//
// The linker's own words ("invalid ELF header", "file too short", "cannot open shared object file") hide what an
// operator did wrong; a file cut off inside a segment it even maps, and dies of SIGBUS later.
#pragma once

#include <string>

#include "common/result.h"

namespace worker {

// The error says in one line what the file is instead of an application for this machine.
common::Result<void> examine_shared_object(const std::string& path);

}  // namespace worker
