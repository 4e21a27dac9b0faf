// CrashRecorder: the signal handler that writes a dying worker's crash record (common/crash_box.h).
#pragma once

#include "common/worker_memory.h"

namespace worker {

// From now on SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT are recorded in memory.crash(); then the process ends of the
// signal as if nobody had caught it: with the true exit status and, if limits allow, a core of the place of the fault.
//
// The application wins: a signal that is not at its default when this is called (caught in load(), or by a sanitizer)
// is left alone, and one that is caught later is that handler's; if it hands the signal on to the one before it, it
// comes here. Before survive_broken_stacks(), which has to see faults of its walks first and passes the others on.
//
// Main thread. Gives it a signal stack if it has none, so that a used-up stack can be told; other threads tell from
// their own. A child that the application forks records nothing. OWNERSHIP: the memory stays until the process ends.
void record_crashes(const common::WorkerMemory& memory);

}  // namespace worker
