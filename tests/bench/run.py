#!/usr/bin/env python3
# The bench: supervisor against nginx in one run on this machine.
"""Compares supervisor with nginx: CPU per request, requests per second, latency.

Both answer `200 hello` from one worker pinned to one core, loaded by one thread of wrk pinned to another, in turns
A B A B. Every round starts both anew, so that the luck of an address layout is part of the noise. A value is the
median of the rounds; a ratio is the median of the ratios of each round's pair, with the smallest and the largest.
CPU is user and system time of all processes of the server, from before wrk starts until it has ended, divided by the
answers that wrk counted. Any socket error, any 4xx or 5xx and any exchanged process fails the run, and so does an
answer that is not `200 hello` before or after a load.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import servers
from servers import BenchError

CONNECTION_CLOSE = ("--header", "Connection: close")
FOREIGN_LOAD_MAX = 0.05  # of the server's core: beyond it the numbers are not worth much
OURS, PEER = 0, 1


@dataclass(frozen=True)
class Mode:
    """A way to load a server; `aim` is the highest CPU per request we want, relative to nginx."""

    title: str
    connections: int
    depth: int
    arguments: tuple
    aim: float


MODES = {
    "keepalive-64": Mode("keep-alive, 64 connections", 64, 1, (), 0.95),
    "keepalive-256": Mode("keep-alive, 256 connections", 256, 1, (), 0.95),
    "pipelined": Mode("pipelined by 16, 64 connections", 64, 16, (), 0.15),
    "connection": Mode("connection per request, 64 at a time", 64, 1, CONNECTION_CLOSE, 1.05),
}


@dataclass(frozen=True)
class Sample:
    """One load on one server. Loads are shares of one core's time."""

    requests_per_s: float
    cpu_us: float  # per request
    p50_us: int
    p99_us: int
    server_load: float
    client_load: float
    foreign_load: float  # what others took of the server's core


class Cores:
    """Which core the server gets and which one wrk; the same one if there is only one."""

    def __init__(self):
        usable = sorted(os.sched_getaffinity(0))
        self.server, self.client = usable[0], usable[min(1, len(usable) - 1)]

    @property
    def are_apart(self):
        return self.server != self.client


def busy_seconds(core):
    """Time this core has not been idle since boot, whoever used it."""
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, ticks[:8])
            return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    raise BenchError(f"cpu{core}: not in /proc/stat: cannot tell how busy the server's core is")


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run_wrk(server, mode, seconds, core):
    """Returns what load.lua printed; raises if anything but complete answers came back."""
    script = pathlib.Path(__file__).parent / "load.lua"
    command = ["wrk", "--threads", "1", "--connections", str(mode.connections), "--duration", f"{seconds}s",
               "--script", script, *mode.arguments, server.url, "--", str(mode.depth)]
    ended = subprocess.run(servers.pinned(core, command), capture_output=True, text=True, check=False)
    lines = [line for line in ended.stdout.splitlines() if line.startswith("RESULT ")]
    if ended.returncode != 0 or not lines:
        raise BenchError(f"wrk: exited with {ended.returncode}: {(ended.stderr or ended.stdout).strip()[-400:]}")
    result = json.loads(lines[-1].removeprefix("RESULT "))
    errors = {kind: count for kind, count in result["errors"].items() if count > 0}
    if errors or result["requests"] == 0:
        raise BenchError(f"{server.name}: {mode.title}: {result['requests']} answers, errors {errors or 'none'}: only "
                         f"a run in which everything was answered counts; its log: {server.log_tail()}")
    return result


def measure(server, mode, seconds, cores):
    before = server.pids()
    cpu_before = sum(map(servers.cpu_ns, before))
    core_before, client_before, started = busy_seconds(cores.server), children_seconds(), time.monotonic()
    result = run_wrk(server, mode, seconds, cores.client)
    elapsed, client_s = time.monotonic() - started, children_seconds() - client_before
    core_s = busy_seconds(cores.server) - core_before
    after = server.pids()
    if after != before:
        raise BenchError(f"{server.name}: its processes were {before} and are {after}: a replaced worker's CPU time "
                         "is lost, and none should be replaced under this load")
    server_s = (sum(map(servers.cpu_ns, after)) - cpu_before) / 1e9
    servers.check_answer(server)
    foreign_s = core_s - server_s - (0 if cores.are_apart else client_s)
    return Sample(requests_per_s=result["requests"] / (result["duration_us"] / 1e6),
                  cpu_us=server_s * 1e6 / result["requests"], p50_us=result["p50_us"], p99_us=result["p99_us"],
                  server_load=server_s / elapsed, client_load=client_s / elapsed,
                  foreign_load=max(0.0, foreign_s / elapsed))


def start_pair(directory, options, cores):
    """Ours and the peer, or the peer twice to see the noise; the caller stops them."""
    prefix = servers.pinned(cores.server, [])
    pair = []
    try:
        if options.noise:
            pair.append(servers.start_nginx(directory / "a", 1, prefix))
        else:
            app = options.binary_dir / "hello.so"
            pair.append(servers.start_supervisor(directory / "a", options.binary_dir, app, 1, prefix))
        pair.append(servers.start_nginx(directory / "b", 1, prefix))
    except BaseException:
        stop_all(pair)
        raise
    return pair


def stop_all(running):
    for server in running:
        server.stop()


def run_round(directory, options, cores, number):
    """Returns the pair of samples of each mode, and the heads of the two servers' answers."""
    pair = start_pair(directory, options, cores)
    try:
        heads = [servers.check_answer(server).head for server in pair]
        if not options.quick:
            for server in pair:  # page faults and buffers of the first requests are nobody's normal cost
                run_wrk(server, MODES[options.modes[0]], 1, cores.client)
        samples = {}
        for name in options.modes:
            samples[name] = [measure(server, MODES[name], options.seconds, cores) for server in pair]
            ours, peer = samples[name]
            print(f"round {number}/{options.rounds} {name:14} {pair[OURS].name} {ours.cpu_us:.3f} us, "
                  f"{pair[PEER].name} {peer.cpu_us:.3f} us, ratio {ours.cpu_us / peer.cpu_us:.3f}",
                  file=sys.stderr, flush=True)
        return samples, heads
    finally:
        stop_all(pair)


def median_of(samples, field):
    return statistics.median(getattr(sample, field) for sample in samples)


def ratios_of(pairs, field):
    """Median, smallest and largest of the rounds' ratios, ours to the peer's."""
    ratios = [getattr(ours, field) / getattr(peer, field) for ours, peer in pairs]
    return statistics.median(ratios), min(ratios), max(ratios)


def milliseconds(microseconds):
    return f"{microseconds / 1000:.2f}"


def print_text(rounds, names, options):
    header = (f"{'':14}{'req/s':>10}{'CPU us/req':>12}{'p50 ms':>9}{'p99 ms':>9}"
              f"{'server':>8}{'wrk':>6}{'others':>8}")  # the last three: load of the core
    for name in options.modes:
        pairs = [samples[name] for samples in rounds]
        print(f"\n{MODES[name].title}\n{header}")
        for index, label in enumerate(names):
            column = [pair[index] for pair in pairs]
            print(f"{label:14}{median_of(column, 'requests_per_s'):10.0f}{median_of(column, 'cpu_us'):12.3f}"
                  f"{milliseconds(median_of(column, 'p50_us')):>9}{milliseconds(median_of(column, 'p99_us')):>9}"
                  f"{median_of(column, 'server_load'):8.0%}{median_of(column, 'client_load'):6.0%}"
                  f"{median_of(column, 'foreign_load'):8.0%}")
        cpu, low, high = ratios_of(pairs, "cpu_us")
        rate, rate_low, rate_high = ratios_of(pairs, "requests_per_s")
        verdict = "met" if cpu <= MODES[name].aim else "MISSED"
        aim = "" if options.noise else f", aim <= {MODES[name].aim:.2f}: {verdict}"
        print(f"CPU ratio {cpu:.3f} ({low:.3f} to {high:.3f}){aim}; "
              f"req/s ratio {rate:.3f} ({rate_low:.3f} to {rate_high:.3f})")
        if max(sample.foreign_load for pair in pairs for sample in pair) > FOREIGN_LOAD_MAX:
            print("WARNING: others used more than 5 % of the server's core in a round: repeat on a quiet machine")


def print_markdown(rounds, names, options):
    """One row a mode, `ours / peer` in a cell."""
    print(f"| {names[OURS]} / {names[PEER]} | CPU-µs per request | ratio (min to max) | aim "
          "| requests/s | p50 ms | p99 ms |")
    print("|---|---|---|---|---|---|---|")
    for name in options.modes:
        pairs = [samples[name] for samples in rounds]
        ours, peer = [pair[OURS] for pair in pairs], [pair[PEER] for pair in pairs]
        cpu, low, high = ratios_of(pairs, "cpu_us")
        cells = [MODES[name].title,
                 f"{median_of(ours, 'cpu_us'):.2f} / {median_of(peer, 'cpu_us'):.2f}",
                 f"**{cpu:.3f}** ({low:.3f} to {high:.3f})",
                 f"≤ {MODES[name].aim:.2f}",
                 f"{median_of(ours, 'requests_per_s'):,.0f} / {median_of(peer, 'requests_per_s'):,.0f}",
                 *(f"{milliseconds(median_of(ours, field))} / {milliseconds(median_of(peer, field))}"
                   for field in ("p50_us", "p99_us"))]
        print("| " + " | ".join(cells) + " |")


def machine(cores):
    model = next((line.partition(":")[2].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "unknown CPU")
    return f"Linux {os.uname().release}, {model}, server on core {cores.server}, wrk on core {cores.client}"


def print_report(rounds, names, heads, options, cores):
    if options.markdown:
        print_markdown(rounds, names, options)
    else:
        print_text(rounds, names, options)
    print(f"\n{machine(cores)}; medians of {len(rounds)} rounds of {options.seconds} s. "
          f"Response heads: {len(heads[OURS])} and {len(heads[PEER])} bytes. "
          "A pipelined latency is that of 16 answers; latency on a new connection starts when it is established.")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="pairs of loads for each mode (default: 5)")
    parser.add_argument("--seconds", type=int, default=3, help="length of one load (default: 3)")
    parser.add_argument("--modes", default=",".join(MODES), help=f"some of {','.join(MODES)} (default: all)")
    parser.add_argument("--binary-dir", type=pathlib.Path, default=servers.ROOT / "build" / "release",
                        help="where supervisor and hello.so are (default: build/release)")
    parser.add_argument("--markdown", action="store_true", help="print the table of the README")
    parser.add_argument("--noise", action="store_true", help="compare nginx with itself: what a ratio of 1 looks like")
    parser.add_argument("--quick", action="store_true",
                        help="one round of 1 s: only that everything is answered without an error")
    options = parser.parse_args()
    options.modes = options.modes.split(",")
    unknown = [name for name in options.modes if name not in MODES]
    if unknown:
        parser.error(f"--modes {','.join(unknown)}: unknown: choose from {', '.join(MODES)}")
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds must be at least 1")
    if options.quick:
        options.rounds, options.seconds = 1, 1
    options.binary_dir = options.binary_dir.resolve()
    return options


def run(options):
    for tool, package in (("wrk", "wrk"), ("taskset", "util-linux")):
        if shutil.which(tool) is None:
            raise BenchError(f"{tool}: not found: install it (apt-get install {package})")
    cores = Cores()
    if not cores.are_apart:
        print("WARNING: one usable core: wrk and the server share it, and its numbers mean little", file=sys.stderr)
    rounds, heads = [], []
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        for number in range(1, options.rounds + 1):
            samples, heads = run_round(pathlib.Path(directory) / str(number), options, cores, number)
            rounds.append(samples)
    names = ["nginx (A)", "nginx (B)"] if options.noise else ["supervisor", "nginx"]
    if options.quick:
        print(f"bench: {len(options.modes)} modes on {names[OURS]} and {names[PEER]}: everything answered, no error")
    else:
        print_report(rounds, names, heads, options, cores)


def main():
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are stopped on the way out
    try:
        run(options)
    except BenchError as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
