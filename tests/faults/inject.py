#!/usr/bin/env python3
# Fault injection: makes system calls of a serving supervisor fail one by one, and judges what becomes of it.
"""Runs `supervisor --workers 2 torture.so` under strace, each time with another system call failing.

Calls are counted in each process by itself, either from its start or (written with "@") from when the service is
ready; processes that are made later start at 1. In the first kind the master begins with the calls of the dynamic
loader, which are not ours to survive; the second kind reaches template and workers at these numbers, too.

First an undisturbed run of each kind is traced with its stacks: it tells at which number each call site of the program
makes its first call, in master, template and workers. Then, without --long, each site fails once (the errors take
turns), and each call fails for good from its first and its last site on. With --long every call up to the 200th fails
in every way that makes sense: that is some thousand runs, for an hour or two. The numbers beyond the last call of the
undisturbed run are left out.

io_uring_setup, _enter and _register can be made to fail so. What is submitted through the ring (accepting, receiving,
sending, polling, closing) cannot: strace sees no system call there. Failing accepts are tested with real limits
elsewhere; accept4 here is the master's, of its control socket.
"""

import argparse
import concurrent.futures
import os
import pathlib
import shutil
import sys
import time

import call_sites
from fault_run import Fault, exercise, run_fault
from traced_server import WORKERS, TracedServer

NUMBERS_MAX = 200
NO_FD = ("EMFILE", "ENFILE", "ENOMEM")
# Only what the kernel may say in earnest: an error that no kernel gives would test a world that does not exist.
ERRORS = {
    "accept4": ("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ECONNABORTED", "EINTR", "EPERM"),
    "bind": ("ENOMEM", "EACCES"),
    "clone": ("EAGAIN", "ENOMEM", "EPERM"),
    "clone3": ("EAGAIN", "ENOMEM", "EPERM"),
    "epoll_create1": NO_FD,
    "epoll_ctl": ("ENOMEM", "ENOSPC"),
    "epoll_wait": ("EINTR",),
    "eventfd2": NO_FD,
    "fork": ("EAGAIN", "ENOMEM"),
    "getsockname": ("ENOBUFS",),
    "io_uring_enter": ("EAGAIN", "EINTR", "ENOMEM", "EBUSY"),
    "io_uring_register": ("ENOMEM", "EBUSY"),
    "io_uring_setup": (*NO_FD, "EPERM"),
    "listen": ("EADDRINUSE",),
    "memfd_create": NO_FD,
    "mmap": ("ENOMEM", "EAGAIN"),
    "openat": (*NO_FD, "EACCES", "EINTR"),
    "pipe2": NO_FD,
    "poll": ("EINTR", "ENOMEM"),
    "prctl": ("EPERM", "EINVAL"),
    "read": ("EINTR",),
    "recvmsg": ("EINTR", "ENOMEM"),
    "sendmsg": ("EINTR", "ENOBUFS", "ENOMEM", "ETOOMANYREFS"),
    "setsockopt": ("ENOBUFS", "ENOMEM", "EPERM"),
    "signalfd4": NO_FD,
    "socket": (*NO_FD, "ENOBUFS"),
    "socketpair": NO_FD,
    "vfork": ("EAGAIN", "ENOMEM"),
    "wait4": ("EINTR",),
}
# A call that fails for good with one of these is repeated for ever by whoever follows its manual.
PASSING_ERRORS = {"EINTR", "EAGAIN"}


def trace_sites(binary_directory, ready):
    """The sites and ranges of numbers of a run that does all that the runs with faults do."""
    server = TracedServer(binary_directory, ["-k", "-e", "trace=" + ",".join(ERRORS)], from_start=not ready)
    names = {}
    try:
        came_up = server.wait_until(lambda: len(server.ready()) == WORKERS, 60)
        if ready:
            names = server.names()
            came_up = came_up and server.attach()
        if not came_up:
            sys.exit("the undisturbed run does not serve:\n" + server.log())
        exercise(server)
        server.wait_until(server.stop, 20)
        server.wait_exit(20)
    finally:
        server.close()
    return call_sites.find_sites(server.last_trace, names)


def plan_short(sites, ready):
    """Each site once, with the next error in turn; and each call for good."""
    faults = []
    for syscall, errors in ERRORS.items():
        numbers = sorted({number for site, number in sites.items() if site.syscall == syscall})
        faults += [Fault(syscall, errors[(turn + ready) % len(errors)], number, ready=ready)
                   for turn, number in enumerate(numbers) if number <= NUMBERS_MAX]
    return faults + plan_lasting(sites, ready)


def plan_long(sites, ranges, ready):
    faults = [Fault(syscall, errno, number, ready=ready) for syscall, errors in ERRORS.items() for errno in errors
              for number in ranges.get(syscall, ()) if number <= NUMBERS_MAX]
    return faults + plan_lasting(sites, ready)


def plan_lasting(sites, ready):
    """Each call for good, from the first and from the last site on."""
    faults = []
    for syscall, errors in ERRORS.items():
        numbers = [number for site, number in sites.items() if site.syscall == syscall]
        lasting = [errno for errno in errors if errno not in PASSING_ERRORS][:1]
        faults += [Fault(syscall, errno, number, lasting=True, ready=ready) for errno in lasting
                   for number in sorted({min(numbers), max(numbers)} if numbers else ())]
    return faults


def report(fault, verdict, options):
    if options.verbose or verdict.problems:
        reached = f"{verdict.injected} failed" if verdict.injected else "none reached"
        problems = "".join(f"\n    {text}" for text in verdict.problems)
        print(f"{fault}: {verdict.ending}, {reached}, {verdict.seconds:.1f} s{problems}")
    if verdict.problems and not options.quiet:
        print("".join(f"    | {line}\n" for line in verdict.log.splitlines()[-options.log_lines:]), end="")
    sys.stdout.flush()


def run_all(faults, calm, options):
    """Runs them, a few at a time: how many broke the invariant, and how the others ended."""
    endings = {}
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        verdicts = {pool.submit(run_fault, options.binary_dir, fault, calm): fault for fault in faults}
        for done in concurrent.futures.as_completed(verdicts):
            try:
                verdict = done.result()
            except Exception:
                print(f"while judging {verdicts[done]}:", flush=True)
                raise
            report(verdicts[done], verdict, options)
            failed += bool(verdict.problems)
            ending = verdict.ending if verdict.injected else "not reached"
            endings[ending] = endings.get(ending, 0) + 1
    return failed, endings


def parse_fault(text):
    """What str(Fault) wrote."""
    syscall, errno, when = text.lstrip("@").split(":")
    return Fault(syscall, errno, int(when.rstrip("+")), lasting=when.endswith("+"), ready=text.startswith("@"))


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary_dir", type=pathlib.Path, help="build directory with supervisor and torture.so")
    parser.add_argument("--long", action="store_true", help="every call up to the 200th with every error")
    parser.add_argument("--only", metavar="SYSCALL", action="append", help="only this system call; repeatable")
    parser.add_argument("--fault", metavar="[@]SYSCALL:ERRNO:N[+]", type=parse_fault, action="append",
                        help="only this fault: the N-th call, N+ from it on, @ counted once ready; repeatable")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at the same time [%(default)s]")
    parser.add_argument("--list", action="store_true", help="print the call sites and the plan, run nothing")
    parser.add_argument("--log-lines", type=int, default=12, help="of the log of a run that failed [%(default)s]")
    parser.add_argument("--quiet", action="store_true", help="no log of runs that failed")
    parser.add_argument("--verbose", action="store_true", help="a line for every run")
    return parser.parse_args()


def print_plan(sites, faults):
    for site, number in sorted(sites.items(), key=lambda item: (item[0].syscall, item[0].role, item[1])):
        print(f"{'@' if site.ready else ' '}{site.syscall:18}{site.role:10}{number:5}  {site.functions}")
    print("\n".join(map(str, faults)))
    return 0


def main():
    options = parse_options()
    if shutil.which("strace") is None:
        sys.exit("strace is not installed (apt-get install strace)")
    began = time.monotonic()
    faults = list(options.fault or [])
    sites = {}
    for ready in () if faults else (False, True):
        found, ranges = trace_sites(options.binary_dir, ready)
        sites.update(found)
        faults += plan_long(found, ranges, ready) if options.long else plan_short(found, ready)
    faults = [fault for fault in faults if not options.only or fault.syscall in options.only]
    if options.list:
        return print_plan(sites, faults)
    undisturbed = run_fault(options.binary_dir, None)
    if undisturbed.problems:
        sys.exit(f"the undisturbed run has problems: {undisturbed.problems}\n{undisturbed.log}")
    failed, endings = run_all(faults, undisturbed.descriptors, options)
    said = ", ".join(f"{count} {ending}" for ending, count in sorted(endings.items()))
    print(f"{len(sites)} call sites, {len(faults)} faults in {time.monotonic() - began:.0f} s: {said}; {failed} broken")
    return 1 if failed or not faults else 0


if __name__ == "__main__":
    sys.exit(main())
