#!/usr/bin/env python3
# What noting every opened descriptor costs: fds.trace off against always, in one run on this machine.
"""Compares supervisor with itself: CPU per request with fds.trace = "off" and with "always".

The application (files.so) opens and closes two files per request. Both servers run pinned to one core, loaded by one
thread of wrk on another, in turns; which one comes first changes from round to round, and every round starts both anew.
The ratio is the median of the ratios of each round's pair, with the smallest and the largest; --noise compares "off"
with itself. "off" still goes through our definitions of open(2) and close(2): they are in the program in every mode, so
a comparison with no hooks at all needs another program; tests/hooks/hooks_cost.cc measures a call alone.
"""

import argparse
import pathlib
import shutil
import signal
import statistics
import sys
import tempfile

import run as bench
import servers
from servers import BenchError

AIM = 1.02  # CPU per request with "always", relative to "off"
MODE = bench.Mode("keep-alive, 64 connections", 64, 1, (), AIM)


def start(directory, options, trace, cores):
    return servers.start_supervisor(directory, options.binary_dir, options.binary_dir / "files.so", 1,
                                    servers.pinned(cores.server, []), ("--set", f'fds.trace="{trace}"'))


def run_round(directory, options, cores, number):
    """The samples of "off" and of the other, in this order whichever was measured first."""
    traces = ["off", "off" if options.noise else "always"]
    running = []
    try:
        for index, trace in enumerate(traces):
            running.append(start(directory / str(index), options, trace, cores))
            bench.run_wrk(running[-1], MODE, 1, cores.client)  # page faults of the first requests are nobody's cost
        samples = [None, None]
        for index in (0, 1) if number % 2 else (1, 0):
            samples[index] = bench.measure(running[index], MODE, options.seconds, cores)
        off, other = samples
        print(f"round {number}/{options.rounds} {traces[0]} {off.cpu_us:.3f} us, {traces[1]} {other.cpu_us:.3f} us, "
              f"ratio {other.cpu_us / off.cpu_us:.4f}", file=sys.stderr, flush=True)
        return off, other
    finally:
        bench.stop_all(running)


def report(pairs, options, cores):
    ratios = sorted(other.cpu_us / off.cpu_us for off, other in pairs)
    ratio = statistics.median(ratios)
    quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratio] * 3
    for label, index in (("off", 0), ("off again" if options.noise else "always", 1)):
        column = [pair[index] for pair in pairs]
        print(f"{label:10} {statistics.median(sample.cpu_us for sample in column):8.3f} CPU us/request "
              f"(least {min(sample.cpu_us for sample in column):.3f}), "
              f"{statistics.median(sample.requests_per_s for sample in column):8.0f} requests/s")
    verdict = "" if options.noise else f", aim <= {AIM:.2f}: {'met' if ratio <= AIM else 'MISSED'}"
    print(f"CPU ratio {ratio:.4f} (quartiles {quartiles[0]:.4f} to {quartiles[2]:.4f}, "
          f"all {ratios[0]:.4f} to {ratios[-1]:.4f}){verdict}")
    if max(sample.foreign_load for pair in pairs for sample in pair) > bench.FOREIGN_LOAD_MAX:
        print("WARNING: others used more than 5 % of the server's core in a round: repeat on a quiet machine")
    print(f"{bench.machine(cores)}; {len(pairs)} rounds of {options.seconds} s each.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="pairs of loads (default: 15)")
    parser.add_argument("--seconds", type=int, default=3, help="length of one load (default: 3)")
    parser.add_argument("--binary-dir", type=pathlib.Path, default=servers.ROOT / "build" / "release",
                        help="where supervisor and files.so are (default: build/release)")
    parser.add_argument("--noise", action="store_true", help='compare "off" with itself: what a ratio of 1 looks like')
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds must be at least 1")
    options.binary_dir = options.binary_dir.resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are stopped on the way out
    try:
        if shutil.which("wrk") is None or shutil.which("taskset") is None:
            raise BenchError("wrk or taskset: not found: install them (apt-get install wrk util-linux)")
        cores = bench.Cores()
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            pairs = [run_round(pathlib.Path(directory) / str(number), options, cores, number)
                     for number in range(1, options.rounds + 1)]
        report(pairs, options, cores)
    except BenchError as error:
        sys.exit(f"trace: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
