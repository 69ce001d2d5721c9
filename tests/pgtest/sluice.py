"""Drives the pgsluice executable: writes its spec, runs it, follows its events, kills it.

The executable is $PGSLUICE, else build/pgsluice of this checkout. A sanitizer's report ends it with
exit code 99, which no test expects.
"""

import json
import os
import signal
import subprocess
import threading
import time

import yaml

from pgtest import REPOSITORY
from pgtest.cluster import PASSWORD, Database, process_cpu, process_memory

DONE, FAILED, USAGE, PRECHECK = 0, 1, 2, 3  # exit codes of the CLI contract
SANITIZERS = {
    "ASAN_OPTIONS": "exitcode=99:abort_on_error=0:detect_leaks=1:strict_string_checks=1",
    "LSAN_OPTIONS": "exitcode=99",
    "UBSAN_OPTIONS": "halt_on_error=1:exitcode=99:print_stacktrace=1",
    "TSAN_OPTIONS": "exitcode=99:halt_on_error=1",
}
PASSWORD_VARIABLE = "PGSLUICE_TEST_PASSWORD"


def executable():
    return os.environ.get("PGSLUICE") or os.path.join(REPOSITORY, "build", "pgsluice")


def endpoint(database, user=None, **more):
    """The `source` or `destination` of a spec for a Database."""
    params = database.params()
    spec = {"host": params["host"], "port": params["port"], "database": params["dbname"],
            "user": user or params["user"]}
    if "password" in params:
        spec["password_env"] = PASSWORD_VARIABLE
    spec.update(more)
    return spec


class Finished:
    """A command that has ended."""

    def __init__(self, code, stdout, stderr):
        self.code = code
        self.stdout = stdout
        self.stderr = stderr

    @property
    def text(self):
        return self.stdout + self.stderr

    def events(self):
        return _parse_events(self.stdout.splitlines())

    def __repr__(self):
        return f"exit code {self.code}\n--- stdout\n{self.stdout}--- stderr\n{self.stderr}"


def _parse_events(lines):
    events = []
    for line in lines:
        if line.startswith("{"):
            try:
                events.append(json.loads(line))
            except ValueError:
                continue  # a killed process leaves half a line
    return events


class Running:
    """A command in the background. Both outputs are collected; stdout's JSON lines are events."""

    def __init__(self, arguments, environment, cwd):
        self.arguments = arguments
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, errors="replace", env=environment, cwd=cwd)
        self.pid = self.process.pid
        self._out, self._err, self._events = [], [], []
        self._news = threading.Condition()
        self._threads = [
            threading.Thread(target=self._collect, args=(self.process.stdout, self._out), daemon=True),
            threading.Thread(target=self._collect, args=(self.process.stderr, self._err), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _collect(self, stream, lines):
        for line in stream:
            with self._news:
                lines.append(line)
                if lines is self._out:
                    self._events += _parse_events([line])
                self._news.notify_all()
        stream.close()

    stdout = property(lambda self: "".join(self._out))
    stderr = property(lambda self: "".join(self._err))

    @property
    def events(self):
        with self._news:
            return list(self._events)

    def running(self):
        return self.process.poll() is None

    def wait_event(self, matches, timeout=60, after=0):
        """The first event, from number `after` on, for which matches(event) is true."""
        return self._wait_for(
            lambda: next((e for e in self._events[after:] if matches(e)), None), timeout, "event")

    def wait_output(self, text, timeout=60):
        """Waits until either output contains the text."""
        return self._wait_for(lambda: text in self.stdout or text in self.stderr, timeout, repr(text))

    def _wait_for(self, look, timeout, what):
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                found = look()
                if found:
                    return found
                left = deadline - time.monotonic()
                ended = not any(thread.is_alive() for thread in self._threads)
                if ended or left <= 0:
                    why = "the process has ended" if ended else f"none in {timeout} s"
                    raise AssertionError(f"waiting for {what}: {why}\n{self.describe()}")
                self._news.wait(min(left, 0.5))

    def wait_until(self, condition, timeout=60, interval=0.05, what="condition"):
        """Polls a condition about the outside world while the process runs."""
        deadline = time.monotonic() + timeout
        while True:
            value = condition()
            if value:
                return value
            if not self.running():
                raise AssertionError(f"{what}: the process has ended\n{self.describe()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not in {timeout} s\n{self.describe()}")
            time.sleep(interval)

    def send(self, number):
        if self.running():
            self.process.send_signal(number)

    def kill9(self):
        self.send(signal.SIGKILL)
        return self._finished(10)

    def interrupt(self, timeout=30):
        """Ctrl-C, and waits for the end. Not before it says something: until its handlers are there the
        signal would kill it, or be lost where a shell in the background made it ignored."""
        deadline = time.monotonic() + 5
        while self.running() and not self._out and time.monotonic() < deadline:
            time.sleep(0.01)
        self.send(signal.SIGINT)
        return self.wait(timeout)

    def wait(self, timeout=120):
        """Waits for the end. One that lasts too long is killed and fails with all it said."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            text = self.describe()
            self.kill9()
            raise AssertionError(f"still running after {timeout} s\n{text}") from error
        return self._finished(10)

    def _finished(self, timeout):
        self.process.wait(timeout)
        for thread in self._threads:
            thread.join(timeout)
        return Finished(self.process.returncode, self.stdout, self.stderr)

    def cpu_seconds(self):
        return process_cpu(self.pid)

    def peak_memory(self):
        return process_memory(self.pid)[1]

    def describe(self, lines=60):
        return (f"command: {' '.join(self.arguments)}\nstate: {self.process.poll()}\n"
                f"--- stdout\n{''.join(self._out[-lines:])}--- stderr\n{''.join(self._err[-lines:])}")


class Sluice:
    """One task: its spec file and the commands on it.

    source, destination   Database objects, or dicts to be taken as they are
    spec                  more keys, e.g. objects=[…]; without `objects`: schema public, whole
    """

    def __init__(self, directory, source, destination, name="test", environment=None, **spec):
        self.directory = str(directory)
        self.path = os.path.join(self.directory, f"{name}.yaml")
        self.environment = {**os.environ, **SANITIZERS, PASSWORD_VARIABLE: PASSWORD,
                            **(environment or {})}
        self._started = []
        self.spec = {"name": name, "source": source, "destination": destination,
                     "stages": ["schema", "full", "incremental"], "objects": [{"schema": "public"}]}
        for side in ("source", "destination"):
            if isinstance(self.spec[side], Database):
                self.spec[side] = endpoint(self.spec[side])
        self.spec.update(spec)
        self.write()

    def write(self):
        """Writes the spec; call it again after changing .spec."""
        with open(self.path, "w", encoding="utf-8") as handle:
            yaml.safe_dump(self.spec, handle, sort_keys=False)

    def _arguments(self, command, options):
        return [executable(), command, self.path, *options]

    def start(self, command="run", *options):
        running = Running(self._arguments(command, options), self.environment, self.directory)
        self._started.append(running)
        return running

    def call(self, command, *options, code=DONE, timeout=120):
        """Runs a command to its end; another exit code than `code` fails (None: any)."""
        finished = self.start(command, *options).wait(timeout)
        assert code is None or finished.code == code, (
            f"{command}: expected exit code {code}, got {finished!r}")
        return finished

    def run(self, *options, **more):
        return self.call("run", "--json", *options, **more)

    def sync(self, timeout=120):
        """Runs until all that is committed now has been applied."""
        return self.run("--until-caught-up", timeout=timeout)

    def background(self, *options):
        return self.start("run", "--json", *options)

    def kill_all(self):
        for running in self._started:
            if running.running():
                running.kill9()
