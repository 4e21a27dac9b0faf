// CrashStack: the stack of a dead worker in words, from its record and the files it had mapped.
#pragma once

#include <string>
#include <vector>

#include "common/json.h"
#include "master/crash_record.h"

namespace master {

// ["torture.so!crash+0x4c (crash.cc:17)", ...], innermost first, to the outermost frame of the application: behind it
// come only those in which the server called it. All of them if none is the application's. Dear and not to be trusted
// (opens debug information that others wrote): runs in a process of its own (master/inspector.h).
common::Json crash_stack(const CrashRecord& record);

// The same without a look at any file, also in the master: ["torture.so+0x1139", ...]. All frames.
common::Json plain_crash_stack(const CrashRecord& record);

}  // namespace master
