# Call sites: which system calls each process makes in an undisturbed run, at which number, and from where.
"""Reads what `strace -f -k` wrote of one run under load, so that faults are put where calls are.

strace counts calls for each process by itself, from 1: `when=3` is the third of the master, of the template and of
every worker. Calls made by the dynamic loader before main() are no site of ours.
"""

import re
from collections import Counter
from dataclasses import dataclass

CALL = re.compile(r"^(\d+) +([a-z_0-9]+)\((.*)$")
RESUMED = re.compile(r"^(\d+) +<\.\.\. ([a-z_0-9]+) resumed>")
FRAME = re.compile(r"^ > (?:.*/)?(supervisor|torture\.so)\((.*?)(?:\+0x[0-9a-f]+)?\) \[(0x[0-9a-f]+)\]")
PATH_FRAMES = 3  # who called the wrapper of the wrapper
TITLE = re.compile(r'PR_SET_NAME, "(\w+)')


@dataclass(frozen=True)
class CallSite:
    """One way to a system call through the program, in one kind of process."""

    role: str  # "master", "template", "worker", or "between" for those that get no name
    syscall: str
    ready: bool  # counted from when the service was ready, else from the start
    path: tuple  # the innermost frames that are ours, as "object address"
    functions: str


def read_calls(trace):
    """Yields (pid, syscall, number, arguments, frames that are ours) for each call of the trace."""
    counts = Counter()
    current = None  # what the next stack lines belong to
    frames = []
    for line in trace.splitlines():
        if line.startswith(" > "):
            found = FRAME.match(line)
            if found and len(frames) < PATH_FRAMES:
                frames.append(found.groups())
            continue
        if current:
            yield (*current, frames)
        current, frames = None, []
        if match := CALL.match(line):
            pid, syscall, arguments = match.groups()
            counts[pid, syscall] += 1
            current = (pid, syscall, counts[pid, syscall], arguments)
        elif match := RESUMED.match(line):
            pid, syscall = match.groups()
            current = (pid, syscall, counts[pid, syscall], "")
    if current:
        yield (*current, frames)


def plain_name(symbol):
    """A demangled function without its namespaces and arguments."""
    name = re.sub(r"\(anonymous namespace\)::|\[abi:\w+\]| \[clone.*", "", symbol)
    return re.sub(r"^.* |^(?:common|master|worker)::", "", re.sub(r"[(<].*", "", name))


def find_sites(trace, names):
    """CallSite -> the lowest number of a call from there; syscall -> the range of numbers that are worth a fault.

    `names`: the processes that lived when a ready service was attached to, by pid; empty = traced from the start. Then
    the loader's calls of the master come first, and a fault there ends it before anything of ours has run: sites with
    such numbers are left out. They are reached in the other kind of run.
    """
    calls = list(read_calls(trace))
    roles = dict(names)
    for pid, syscall, _number, arguments, _frames in calls:
        title = TITLE.search(arguments) if syscall == "prctl" else None
        if title:
            roles[pid] = title.group(1)
    sites = {}
    highest = Counter()
    loader = Counter() if names else find_loader_calls(calls)
    for pid, syscall, number, _arguments, frames in calls:
        if not frames or number <= loader[syscall]:
            continue
        highest[syscall] = max(highest[syscall], number)
        path = tuple(f"{where} {address}" for where, _symbol, address in frames)
        functions = " < ".join(plain_name(symbol) for _where, symbol, _address in frames)
        site = CallSite(roles.get(pid, "between"), syscall, bool(names), path, functions)
        sites[site] = min(number, sites.get(site, number))
    return sites, {syscall: range(loader[syscall] + 1, number + 1) for syscall, number in highest.items()}


def find_loader_calls(calls):
    """syscall -> how often the first process made it before anything of ours ran."""
    loader = Counter()
    for pid, syscall, number, _arguments, frames in calls:
        if frames or pid != calls[0][0]:
            break
        loader[syscall] = number
    return loader
