// FdTrace: where the application opens descriptors, noted in the worker's ledger by the libc functions that we define.
//
// libc_hooks_*.cc define open(2) and its kin in the program, so calls from the application and from the libraries it
// uses arrive there first; each calls the real one and then what is declared here. Not seen: what libc opens inside
// itself and keeps (the socket of syslog(3), setpwent(3)), system calls made without libc (liburing's), and children
// of clone(2). Of a vfork(2) child, which shares our memory, close(2) is taken for the worker's own, except on a
// descriptor of the server; what replaces or closes many at once is not.
//
// What the program itself calls is never noted as the application's: notes are made only if the return address lies
// outside our own text. The server opens nothing through a library (as std::ifstream would) once it serves; what it
// opened so before belongs to the baseline.
#pragma once

#include <atomic>

#include "common/config.h"
#include "common/fd_ledger.h"
#include "common/poll_watch.h"
#include "common/worker_memory.h"
#include "worker/call_key.h"

namespace worker {

// From now on this process notes: kOff only how its epolls return, kAuto what its memory's trace() allows at the
// moment, kAlways everything. A child that it forks notes nothing. Main thread, before there are others.
// OWNERSHIP: the memory stays mapped until the process ends.
void fd_trace_begin(const common::WorkerMemory& memory, common::FdTrace mode);
void fd_trace_end();

// What hooks call, from any thread, also in a signal handler; errno is kept.
struct FdTracer;
extern std::atomic<FdTracer*> active_tracer;                // nullptr = no descriptor is noted
extern std::atomic<common::PollWatch*> active_poll_watch;  // nullptr = no wait is noted

void note_opened(int fd, const CallSite& site);
void note_closing(int fd, const CallSite& site);  // before it is closed
void note_closing_range(unsigned first, unsigned last);
void note_poll_return(int epoll_fd, std::uint32_t events, std::uint64_t data, const CallSite& site);
bool is_traced_process();  // and not a vfork(2) child of it; a system call

}  // namespace worker
