# One run with one fault: light load, a recycling and scaling, then the conditions that must hold again.
"""Judges what one failing system call does to a supervisor.

Either it refuses to start or gives up, with exit code 1 or 3 and a line that says why; or it serves, has every
worker ready again, uses no more descriptors and no CPU time when idle, and `supervisor stop` ends it with 0. Never does
it hang, spin, die by a signal or leave a process.
"""

import contextlib
import operator
import os
import signal
import time
from dataclasses import dataclass, field

from traced_server import WORKERS, TracedServer

RUN_SECONDS_MAX = 20.0  # for each thing waited for
CALM_SECONDS = 0.4
CALM_CPU_SECONDS_MAX = 0.1  # a process that spins on a busy machine gets more than that
CPU_SECONDS_MAX = 10.0
INJECTED_MAX = 2000  # a run makes some hundred calls; this sees what spins also where the CPU is too busy for it
LOAD_REQUESTS = 12
FAILURES_MAX = 1  # each may have taken as long as a client waits
EFFECT_SECONDS = 1.0  # for an order to show; without effect it is no problem until the load is over
LASTING_SECONDS = 1.5  # until a service whose call fails for good is looked at, ready or not
REFUSES = {1, 3}  # exit codes before the service is ready, and
GIVES_UP = {3}  # after: only when the application fails again and again
# The kernel has no such failure, and the program rightly takes it for a mistake of its own.
IMPOSSIBLE = ("EPOLL_CTL_DEL", "EPOLL_CTL_MOD")


@dataclass(frozen=True)
class Fault:
    """A system call that fails in every process at its `when`-th call, or from then on."""

    syscall: str
    errno: str
    when: int
    lasting: bool = False
    ready: bool = False  # counted from when the service is ready

    def __str__(self):
        return f"{'@' if self.ready else ''}{self.syscall}:{self.errno}:{self.when}{'+' if self.lasting else ''}"

    def strace_options(self):
        inject = f"{self.syscall}:error={self.errno}:when={self.when}{'+' if self.lasting else ''}"
        return ["-e", f"trace={self.syscall}", "-e", f"inject={inject}"]


@dataclass
class Verdict:
    """What a run came to; no problems = the invariant held."""

    ending: str = ""
    problems: list = field(default_factory=list)
    injected: int = 0
    descriptors: list = field(default_factory=list)  # of the calm server
    seconds: float = 0.0
    log: str = ""


def exercise(server):
    """Light load over every kind of work; what failed on the way."""
    failures = load(server)
    old = server.ready()
    if not old:
        return failures  # it hears no orders
    can_fork = kill_template(server)
    orders = [(f"/scale?workers={WORKERS + 1}", lambda: len(server.ready()) == WORKERS + 1),
              (f"/scale?workers={WORKERS}", lambda: len(server.ready()) == WORKERS)]
    orders += [(f"/recycle?slot={slot}", lambda slot=slot: server.ready().get(slot) not in (None, old.get(slot)))
               for slot in range(WORKERS)]
    for target, is_done in orders:
        server.wait_until(lambda: gives(server, "POST", target), EFFECT_SECONDS)
        if not server.wait_until(is_done, EFFECT_SECONDS if can_fork else 0):
            can_fork = False  # the orders stand: they are carried out once it is possible
    gives(server, "GET", "/fds?slot=0")
    return failures + load(server)


def load(server):
    """What failed; not more than it takes to know."""
    failures = []
    for _ in range(LOAD_REQUESTS):
        failure = server.get()
        failures += [failure] if failure else []
        if len(failures) == FAILURES_MAX:
            break
    return failures


def kill_template(server):
    """Another one is made and loads the application anew, traced from its first call on; whether it lives."""
    old = server.template()
    if old is None:
        return False
    with contextlib.suppress(ProcessLookupError):  # a fault was quicker: it has ended, and is about to be replaced
        os.kill(old, signal.SIGKILL)
    return server.wait_until(lambda: server.template() not in (None, old), EFFECT_SECONDS)


def gives(server, method, target):
    try:
        return server.control(method, target)[0] < 300
    except OSError:
        return False


def is_within(descriptors, calm):
    """Whether nothing has leaked. Less is no leak: each new template may meet the fault, and then there is none."""
    return len(descriptors) <= len(calm) and all(map(operator.le, reversed(descriptors), reversed(calm)))


def is_idle(server):
    before = server.cpu_seconds()
    time.sleep(CALM_SECONDS)
    return server.cpu_seconds() - before < CALM_CPU_SECONDS_MAX


def judge_exit(server, verdict, allowed):
    """It ended by itself: it must have been by decision, and must have said why."""
    code = server.exit_code()
    verdict.ending = f"ended with {code}"
    if code not in allowed:
        verdict.problems.append(f"ended with {code}")
    if not server.errors():
        verdict.problems.append("ended without saying why")


def judge_service(server, verdict, calm):
    """It came up: after the load everything must be as in an undisturbed run."""
    failures = exercise(server)
    if server.exit_code() is not None:
        return judge_exit(server, verdict, GIVES_UP)
    verdict.ending = "served"
    if not server.wait_until(lambda: len(server.ready()) == WORKERS, RUN_SECONDS_MAX):
        if server.exit_code() is not None:
            return judge_exit(server, verdict, GIVES_UP)
        verdict.problems.append("a slot is lost: not every worker is ready again")
    deaths = server.wait_until(lambda: server.deaths() is not None, 2) and server.deaths()
    if failures and deaths == 0:
        verdict.problems.append(f"lost {len(failures)} requests though no worker died: {failures[0]}")
    late = load(server)
    if late and server.deaths() == deaths:
        verdict.problems.append(f"serves badly afterwards: {late[0]}")
    if not is_idle(server) and not is_idle(server):
        verdict.problems.append("uses CPU time when idle")
    if calm is not None and not server.wait_until(lambda: is_within(server.descriptors(), calm), 3):
        verdict.problems.append(f"descriptors: {server.descriptors()}, undisturbed: {calm}")
    verdict.descriptors = server.descriptors()
    stop_by_order(server, verdict)
    return None


def stop_by_order(server, verdict):
    server.wait_until(server.stop, RUN_SECONDS_MAX)
    if server.wait_exit(RUN_SECONDS_MAX) is None:
        verdict.problems.append("does not stop")
    elif server.exit_code() in GIVES_UP:  # templates that failed one after the other, the last before the order came
        judge_exit(server, verdict, GIVES_UP)
    elif server.exit_code() != 0:
        verdict.problems.append(f"stopped with {server.exit_code()}")


def judge_lasting(server, verdict, fault):
    """The call fails for good. Nobody can serve so; but ending, calm and tidy, must be possible."""
    if server.exit_code() is not None:
        return judge_exit(server, verdict, GIVES_UP if fault.ready else REFUSES)
    verdict.ending = "lived on"
    if server.address is not None:
        server.get()
    if not is_idle(server) and not is_idle(server):
        verdict.problems.append("uses CPU time when idle")
    server.terminate()
    if server.wait_exit(RUN_SECONDS_MAX) is None:
        verdict.problems.append("does not end on TERM")
    elif server.exit_code() not in (0, 1, 2, 3):
        verdict.problems.append(f"ended with {server.exit_code()} on TERM")
    return None


def judge(server, fault, calm, verdict):
    lasting = fault is not None and fault.lasting
    patience = LASTING_SECONDS if lasting else RUN_SECONDS_MAX
    came_up = server.wait_until(lambda: len(server.ready()) == WORKERS, patience)
    if fault is not None and fault.ready:
        if not came_up or not server.attach():
            raise RuntimeError("cannot trace a service that is ready:\n" + server.log())
        if lasting:
            exercise(server)
    if lasting:
        judge_lasting(server, verdict, fault)
    elif server.exit_code() is not None:
        judge_exit(server, verdict, REFUSES)
    elif not came_up:
        verdict.ending = "hung"
        verdict.problems.append("hangs: neither ready nor ended")
    else:
        judge_service(server, verdict, calm)
    if server.cpu_seconds() > CPU_SECONDS_MAX:
        verdict.problems.append("used too much CPU time")
    if server.exit_code() is not None and server.pids():
        verdict.problems.append(f"left processes behind: {server.pids()}")
    if server.exit_code() is not None and server.control_path.exists():
        verdict.problems.append("left its control socket behind")


def run_fault(binary_directory, fault, calm=None):
    """`calm`: the descriptors of an undisturbed run; fault None = make that run."""
    began = time.monotonic()
    verdict = Verdict()
    server = TracedServer(binary_directory, fault.strace_options() if fault else ["-e", "trace=none"],
                          from_start=fault is None or not fault.ready)
    try:
        judge(server, fault, calm, verdict)
    finally:
        server.close()
    verdict.log = server.last_log
    injected = [line for line in server.last_trace.splitlines() if "(INJECTED)" in line]
    verdict.injected = len(injected)
    verdict.seconds = time.monotonic() - began
    if verdict.injected > INJECTED_MAX:
        verdict.problems.append(f"spins: repeats the failing call, {verdict.injected} times")
    if any(word in line for line in injected for word in IMPOSSIBLE):
        verdict.ending, verdict.problems = "impossible", []
    return verdict
