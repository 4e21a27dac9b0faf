// Victim: a process below the master that a test stops, starves or kills, and what it held when it died.
//
// Every function answers false, or nothing, when the process is gone already: what is done to others goes on meanwhile.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>

#include "history.h"

namespace lifecycle {

// Kills it with `signal`, KILL or one that it does not survive, and returns what to write down.
//
// It is stopped first, so that it can accept no connection between the census and its death: which connections die
// with it is then exactly known. (With DEFER_TASKRUN a multishot accept completes only in the worker's own call.)
std::optional<Death> kill_worker(pid_t pid, int signal);

bool halt(pid_t pid, std::chrono::milliseconds span);  // SIGSTOP, and after `span` SIGCONT

// For `span` it may open no descriptor more than it has. The shortage lasts until the master must have noticed its
// end.
std::optional<Shortage> starve(pid_t pid, std::chrono::milliseconds span);

}  // namespace lifecycle
