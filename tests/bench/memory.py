#!/usr/bin/env python3
# The memory of idle workers whose application loaded 200 MB before the fork.
"""Shows what idle workers of an application that allocates 200 MB in load() cost: RSS, PSS and USS of each process.

RSS counts a shared page in every process that maps it, PSS divides it among them, USS (private pages) is what ends
with the process: the price of one more worker. All are the kernel's /proc/PID/smaps_rollup.
"""

import argparse
import pathlib
import signal
import sys
import tempfile

import servers
from servers import BenchError

USS_MAX = 10_000_000  # bytes a worker: the promise that --check holds us to
SHARED_MIN = 200_000_000  # bytes of RSS without which the application did not load what we measure


def memory_of(pid):
    """RSS, PSS and USS in bytes."""
    kib = {}
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value, _unit = line.split()
        kib[name.rstrip(":")] = int(value)
    return tuple(1024 * size for size in (kib["Rss"], kib["Pss"], kib["Private_Clean"] + kib["Private_Dirty"]))


def measure(options):
    """Returns (process, memory) for each process of a server whose workers are all ready and have served nothing."""
    app = options.app or options.binary_dir / "big_load.so"
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        prefix = pathlib.Path(directory) / "memory"
        server = servers.start_supervisor(prefix, options.binary_dir, app, options.workers)
        try:
            status = servers.status_of(prefix / "control.sock")
            names = {worker["pid"]: f"worker {worker['slot']}" for worker in status["workers"]}
            names[status["master"]["pid"]] = "master"
            return sorted((names.get(pid, "template"), memory_of(pid)) for pid in server.pids())
        finally:
            server.stop()


def megabytes(size):
    return f"{size / 1e6:.1f}"


def print_table(rows, options):
    if options.markdown:
        print("| process | RSS MB | PSS MB | USS MB |\n|---|---|---|---|")
    else:
        print(f"{'process':12}{'RSS MB':>10}{'PSS MB':>10}{'USS MB':>10}")
    workers = [memory for name, memory in rows if name.startswith("worker")]
    total = tuple(map(sum, zip(*(memory for _name, memory in rows))))
    largest = tuple(map(max, zip(*workers)))
    for name, memory in [*rows, ("all", total), ("worst worker", largest)]:
        if options.markdown:
            print(f"| {name} | " + " | ".join(map(megabytes, memory)) + " |")
        else:
            print(f"{name:12}" + "".join(f"{megabytes(size):>10}" for size in memory))
    return largest


def run(options):
    rows = measure(options)
    rss, _pss, uss = print_table(rows, options)
    if rss < SHARED_MIN:
        raise BenchError(f"a worker maps {megabytes(rss)} MB: the application is expected to load 200 MB: see --app")
    if options.check and uss >= USS_MAX:
        raise BenchError(f"a worker has {megabytes(uss)} MB of its own, expected less than {megabytes(USS_MAX)}: "
                         "something writes to pages that load() filled")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=8, help="default: 8")
    parser.add_argument("--binary-dir", type=pathlib.Path, default=servers.ROOT / "build" / "release",
                        help="where supervisor and big_load.so are (default: build/release)")
    parser.add_argument("--app", type=pathlib.Path, help="another application (default: big_load.so)")
    parser.add_argument("--markdown", action="store_true", help="print the table of the README")
    parser.add_argument("--check", action="store_true", help="fail if a worker has 10 MB or more of its own")
    options = parser.parse_args()
    options.binary_dir = options.binary_dir.resolve()
    options.app = options.app.resolve() if options.app else None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped on the way out
    try:
        run(options)
    except BenchError as error:
        sys.exit(f"memory: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
