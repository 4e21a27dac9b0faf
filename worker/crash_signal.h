// CrashSignal: a signal that a handler hands on to whoever comes after it.
#pragma once

#include <csignal>

namespace worker {

// The calling thread gets `signal` once more, with all that `info` says, as soon as the handler that calls this has
// returned: so whatever catches it then, or the core that is dumped, sees the place where it came first.
// Async-signal-safe.
void deliver_again(int signal, const siginfo_t& info);

// The same, to the kernel's default action. The process ends when the handler has returned.
void die_of(int signal, const siginfo_t& info);

}  // namespace worker
