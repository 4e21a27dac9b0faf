# A server under measurement: started in the foreground in a directory of its own, counted, and stopped by pid.
"""Starts supervisor and nginx for the bench.

A failure is a BenchError whose text names the thing, the reason and the fix. Nothing here outlives `stop()`.
"""

import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[2]
BACKLOG = 4096  # listen.backlog of supervisor; nginx gets the same
START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 10.0
EXPECTED_BODY = b"hello\n"


class BenchError(Exception):
    """The measurement could not be made, or what it measured does not count."""


@dataclass(frozen=True)
class Answer:
    """One answer as it came over the wire."""

    status: int
    head: bytes
    body: bytes


class Server:
    """One running server. OWNERSHIP: owns the process and everything it starts, until stop()."""

    def __init__(self, name, command, directory):
        self.name = name
        self.address = ""  # HOST:PORT, set once it is known to listen
        self._log = directory / f"{name}.log"
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory)

    @property
    def pid(self):
        return self._process.pid

    @property
    def url(self):
        return f"http://{self.address}/"

    def wait_until(self, is_true, what):
        """Polls, because neither server tells us otherwise; returns what `is_true` returned once it is truthy."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            if self._process.poll() is not None:
                raise BenchError(f"{self.name}: exited with {self._process.returncode} before it was {what}: "
                                 f"{self.log_tail()}")
            try:
                answer = is_true()
                if answer:
                    return answer
            except (OSError, http.client.HTTPException):
                pass  # not listening yet
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name}: not {what} after {START_SECONDS_MAX:.0f} s: {self.log_tail()}")
            time.sleep(0.02)

    def log_tail(self):
        text = self._log.read_text(errors="replace").strip()
        return text[-600:] if text else "its log is empty"

    def pids(self):
        """The process and all its descendants: master, template, workers."""
        children = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                children.setdefault(parent_of(int(entry)), []).append(int(entry))
        found = [self.pid]
        for pid in found:  # grows while it is walked
            found.extend(children.get(pid, []))
        return sorted(found)

    def stop(self):
        """TERM, then KILL for whatever is left of it, each by its pid."""
        members = self.pids()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            for pid in members:
                kill(pid)
            self._process.wait()


def parent_of(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return -1  # it has exited meanwhile
    return int(stat.rpartition(")")[2].split()[1])  # the name before it may contain anything


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def cpu_ns(pid):
    """User and system time of a process in nanoseconds, threads that ended and io_uring's helpers included.

    It is the process's CPU clock (what clock_getcpuclockid(3) computes): the same time as utime + stime in
    /proc/PID/stat, which are cut to 10 ms each and would be 0.7 % of a 3 s round.
    """
    try:
        return time.clock_gettime_ns((~pid << 3) | 2)
    except OSError as error:
        raise BenchError(f"pid {pid}: its CPU clock cannot be read ({error}): the server lost a process") from error


def fetch(address):
    """One GET / on a connection of its own."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
        received = b""
        while b"\r\n\r\n" not in received or len(received.partition(b"\r\n\r\n")[2]) < len(EXPECTED_BODY):
            chunk = connection.recv(65536)
            if not chunk:
                break
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    fields = head.split(None, 2)
    status = int(fields[1]) if len(fields) > 1 and fields[1].isdigit() else 0
    return Answer(status, head + b"\r\n\r\n", body)


def check_answer(server):
    """wrk counts only 4xx and 5xx as errors and never looks at a body, so this does; returns the answer."""
    answer = fetch(server.address)
    if answer.status != 200 or answer.body != EXPECTED_BODY:
        raise BenchError(f"{server.name}: GET / answered {answer.status} {answer.body[:80]!r}, expected 200 "
                         f"{EXPECTED_BODY!r}: the two servers must do the same work to be compared")
    return answer


class ControlConnection(http.client.HTTPConnection):
    """HTTP over a control socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=5)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def status_of(control):
    connection = ControlConnection(control)
    try:
        connection.request("GET", "/status")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def pinned(core, command):
    return ["taskset", "--cpu-list", str(core), *map(str, command)]


def start_supervisor(directory, binary_directory, app, workers, prefix=(), arguments=()):
    """Starts ours on a port of the kernel's choice and waits for all its workers.

    `prefix` goes before the command, `arguments` before the application.
    """
    program = pathlib.Path(binary_directory) / "supervisor"
    for path in (program, pathlib.Path(app)):
        if not path.exists():
            raise BenchError(f"{path}: not found: build it (cmake --preset release && cmake --build --preset release), "
                             "or name another directory with --binary-dir")
    directory.mkdir(parents=True)
    control = directory / "control.sock"
    server = Server("supervisor", [*prefix, program, "--workers", str(workers), "--bind", "127.0.0.1:0",
                                   "--control", control, "--log-level", "warn", *arguments, app], directory)

    def all_ready():
        status = status_of(control)
        ready = [worker for worker in status["workers"] if worker["state"] == "ready"]
        return status if len(ready) == workers else None

    try:
        server.address = server.wait_until(all_ready, "ready")["listeners"][0]["address"]
    except BaseException:
        server.stop()
        raise
    return server


def start_nginx(directory, workers, prefix=()):
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise BenchError("nginx: not found: install it (apt-get install nginx-light)")
    directory.mkdir(parents=True)
    port = free_port()
    text = (pathlib.Path(__file__).parent / "nginx.conf.in").read_text()
    # Its workers would become `nobody` and could not enter the directory; ours keep the user they were started as.
    user = "user root;" if os.geteuid() == 0 else ""
    for name, value in {"PREFIX": directory, "WORKERS": workers, "USER": user, "PORT": port,
                        "BACKLOG": BACKLOG}.items():
        text = text.replace(f"@{name}@", str(value))
    configuration = directory / "nginx.conf"
    configuration.write_text(text)
    server = Server("nginx", [*prefix, program, "-p", directory, "-e", "stderr", "-c", configuration], directory)
    server.address = f"127.0.0.1:{port}"
    try:
        server.wait_until(lambda: fetch(server.address).status == 200, "ready")
    except BaseException:
        server.stop()
        raise
    return server


def free_port():
    """nginx cannot choose one itself. Somebody else may take it before nginx does, which fails loudly."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
