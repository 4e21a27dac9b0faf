# A supervisor under strace in a session and a directory of its own: started, asked, measured, ended.
"""Runs `supervisor --workers 2 torture.so` under strace, and talks to it.

Nothing outlives `close()`: every process of the session is killed by its pid, the directory removed.
"""

import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

WORKERS = 2
TALK_SECONDS_MAX = 5.0  # for one answer; a worker that is being replaced lets its clients wait
CONTROL_SECONDS_MAX = 2.0
SETTINGS = {
    "workers.stop_timeout": "4s",
    "restart.backoff_first": "10ms",
    "restart.backoff_max": "1s",
    "timeouts.linger": "500ms",
}


class TracedServer:
    """One supervisor with its tracer. OWNERSHIP: owns every process of its session, until close().

    Traced from the start, the supervisor is the tracer's child, and its first calls are those of the dynamic loader.
    Otherwise it is ours, and nobody looks until attach().
    """

    def __init__(self, binary_directory, strace_options, from_start=True):
        self._binaries = pathlib.Path(binary_directory)
        self._directory = pathlib.Path(tempfile.mkdtemp(prefix="faults-"))
        self.trace_path = self._directory / "trace"
        self.control_path = self._directory / "control.sock"
        self.address = None
        self.last_log = self.last_trace = ""  # of the whole run, after close()
        settings = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
        self._strace = ["strace", "-f", "-qq", "-e", "signal=none", "-o", self.trace_path, *strace_options]
        command = [self._binaries / "supervisor", "--workers", str(WORKERS), "--bind", "127.0.0.1:0",
                   "--control", self.control_path, *settings, self._binaries / "torture.so"]
        self._from_start = from_start
        self._tracer = None  # one of its own, after attach()
        if from_start:
            command = self._strace + command
        with open(self._directory / "log", "wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             start_new_session=True)

    def attach(self):
        """From now on every process is traced, and those that they make."""
        pids = self.pids()
        command = self._strace + [word for pid in pids for word in ("-p", str(pid))]
        self._tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True)
        return self.wait_until(lambda: all(self._is_traced(pid) for pid in pids), 10)

    @staticmethod
    def _is_traced(pid):
        try:
            return "TracerPid:\t0\n" not in pathlib.Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return True  # the first fault has ended it already

    # ---- what it says

    def log(self):
        return (self._directory / "log").read_text(errors="replace")

    def errors(self):
        """The lines that say why, without those of strace."""
        return [line for line in self.log().splitlines()
                if re.search(r" error +\[|^supervisor: |error while loading shared libraries", line)]

    def trace(self):
        return self.trace_path.read_text(errors="replace") if self.trace_path.exists() else ""

    def exit_code(self):
        """The supervisor's, as strace repeats it; minus a signal; None while it runs."""
        return self._process.poll()

    def control(self, method, target):
        """The answer's status and JSON; OSError when nobody answers."""
        connection = http.client.HTTPConnection("control")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(CONTROL_SECONDS_MAX)
        try:
            connection.sock.connect(str(self.control_path))
            connection.request(method, target)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (http.client.HTTPException, ValueError) as error:
            raise OSError(f"control: {error!r}") from error
        finally:
            connection.close()

    def ready(self):
        """The pids by slot of the workers that are ready, if no other is there; {} when nobody answers."""
        try:
            _code, status = self.control("GET", "/status")
        except OSError:
            return {}
        if self.address is None and status["listeners"]:
            host, port = status["listeners"][0]["address"].rsplit(":", 1)
            self.address = (host, int(port))
        states = {worker["state"] for worker in status["workers"]}
        return {worker["slot"]: worker["pid"] for worker in status["workers"]} if states == {"ready"} else {}

    def deaths(self):
        """How many workers ended unasked."""
        try:
            return sum(self.control("GET", "/status")[1]["restarts"].values())
        except OSError:
            return None

    def get(self, target="/hello"):
        """None, or what was wrong with the answer."""
        connection = http.client.HTTPConnection(*self.address, timeout=TALK_SECONDS_MAX)
        try:
            connection.request("GET", target, headers={"Connection": "close"})
            answer = connection.getresponse()
            answer.read()
            return None if answer.status == 200 else f"status {answer.status}"
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        finally:
            connection.close()

    def wait_until(self, is_true, seconds):
        """Polls until it is true, the server has ended or the time is over; what is_true() said last."""
        deadline = time.monotonic() + seconds
        while True:
            said = is_true()
            if said or time.monotonic() > deadline or self.exit_code() is not None:
                return said
            time.sleep(0.01)

    def wait_exit(self, seconds):
        self.wait_until(lambda: False, seconds)
        return self.exit_code()

    # ---- what it is

    def pids(self):
        """Every process of the session that is not dead, the tracer excepted."""
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or (self._from_start and int(entry) == self._process.pid):
                continue
            try:
                fields = pathlib.Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self._process.pid and fields[0] not in "ZX":
                found.append(int(entry))
        return found

    def master(self):
        if not self._from_start:
            return self._process.pid
        try:
            path = f"/proc/{self._process.pid}/task/{self._process.pid}/children"
            return int(pathlib.Path(path).read_text().split()[0])
        except (OSError, IndexError):
            return None

    def cpu_seconds(self):
        """Used so far by the processes that live now."""
        used = 0.0
        for pid in self.pids():
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                used += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            except OSError:
                continue
        return used

    def template(self):
        """The one child of the master that is no worker, in a service with nothing going on."""
        others = set(self.pids()) - set(self.ready().values()) - {self.master()}
        return others.pop() if len(others) == 1 else None

    def names(self):
        """The kind of each process by its pid: the first word of its title."""
        names = {}
        for pid in self.pids():
            try:
                names[str(pid)] = pathlib.Path(f"/proc/{pid}/comm").read_text().split()[0]
            except (OSError, IndexError):
                continue
        return names

    def descriptors(self):
        """The numbers of open descriptors of all processes, sorted."""
        counts = []
        for pid in self.pids():
            try:
                counts.append(len(os.listdir(f"/proc/{pid}/fd")))
            except OSError:
                continue
        return sorted(counts)

    # ---- its end

    def stop(self):
        """`supervisor stop`; whether it was heard."""
        command = [self._binaries / "supervisor", "stop", "--control", self.control_path]
        try:
            return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def terminate(self):
        pid = self.master()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)

    def close(self):
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for process in filter(None, (self._process, self._tracer)):
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.last_log, self.last_trace = self.log(), self.trace()
        shutil.rmtree(self._directory, ignore_errors=True)
