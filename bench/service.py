"""Many tasks under one service: what idle ones cost, how fast the API lists them, how all come back.
Run: /usr/bin/python3 bench/service.py [--tasks 200] [--busy 10] [--seconds 60]

Every task joins two databases of its own, in two local servers. The busy ones get ten transactions a
second; each of them makes the servers wake every walsender, so idle tasks are told of it all.
"""

import contextlib
import os
import shutil
import sys
import tempfile
import threading
import time

import psycopg

import benchlib
from pgtest import compare
from pgtest.cluster import Database
from pgtest.service import Service

BAR_CPU = 2.0
BAR_PSS_MIB = 15
BAR_LIST_MS = 100
BAR_RESUME_SECONDS = 30
RATE = 10
TICKS = os.sysconf("SC_CLK_TCK")


def settings(tasks):
    return {"fsync": "off", "shared_buffers": "256MB", "max_connections": 5 * tasks + 100,
            "max_wal_senders": 2 * tasks + 20, "max_replication_slots": 2 * tasks + 20,
            "max_worker_processes": 8, "wal_sender_timeout": "60s"}


def cpu(pid):
    """CPU seconds of a process: nanoseconds of its threads, from the scheduler; the time of ended
    threads counts in the ticks of stat alone, so threads must live on between two looks."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as handle:
            total += int(handle.read().split()[0])
    return total / 1e9


def pss_mib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as handle:
        return next(int(line.split()[1]) for line in handle if line.startswith("Pss:")) / 1024


class Load(threading.Thread):
    """Ten transactions a second in every busy database, from one thread."""

    def __init__(self, databases):
        super().__init__(daemon=True)
        self.databases = databases
        self.ended = threading.Event()
        self.done = 0

    def run(self):
        connections = [psycopg.connect(**database.params(), autocommit=True) for database in self.databases]
        due = time.monotonic()
        while not self.ended.is_set():
            for connection in connections:
                connection.execute("INSERT INTO items (what) VALUES ('busy')")
                self.done += 1
            due += 1 / RATE
            time.sleep(max(0, due - time.monotonic()))
        for connection in connections:
            connection.close()

    def stop(self):
        self.ended.set()
        self.join()


class Tasks:
    def __init__(self, service, pairs, busy):
        self.service = service
        self.pairs = pairs
        self.busy = busy
        self.ids = []

    def make(self):
        for number, (source, destination) in enumerate(self.pairs):
            spec = {"name": f"task {number}", "workers": 1, "objects": [{"schema": "public"}]}
            for side, database in (("source", source), ("destination", destination)):
                params = database.params()
                spec[side] = {"host": params["host"], "port": int(params["port"]),
                              "database": params["dbname"], "user": params["user"], "password": "x"}
            self.ids.append(self.service.post("/tasks", {"spec": spec}, status=201)["id"])

    def each(self, action, ready, at_once=8):
        """Asks for the action of a few at a time, until each is in the state."""
        for first in range(0, len(self.ids), at_once):
            chunk = self.ids[first:first + at_once]
            for task in chunk:
                self.service.post(f"/tasks/{task}/{action}", status=202)
            for task in chunk:
                self.service.wait(task, ready, timeout=120)

    def listed(self):
        return self.service.get("/tasks?limit=1000")["items"]

    def pids(self):
        return {task["id"]: task["worker"]["pid"] for task in self.listed() if task["worker"]}

    def busy_ids(self):
        return set(self.ids[:self.busy])


def measure_cpu(tasks, seconds):
    """CPU in percent of a core: of the idle workers, of the service itself, of the busy workers."""
    pids = tasks.pids()
    busy = {pid for task, pid in pids.items() if task in tasks.busy_ids()}
    idle = set(pids.values()) - busy
    service = tasks.service.running.process.pid
    groups = {"idle": idle, "service": {service}, "busy": busy}
    before = {name: sum(cpu(pid) for pid in group) for name, group in groups.items()}
    started = time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - started
    return {name: 100 * (sum(cpu(pid) for pid in group) - before[name]) / elapsed
            for name, group in groups.items()}


def measure_list(tasks):
    times = []
    for _ in range(20):
        started = time.monotonic()
        items = tasks.listed()
        times.append((time.monotonic() - started) * 1000)
        assert len(items) == len(tasks.ids)
    return sorted(times)[len(times) // 2]


def measure_resume(tasks):
    """Seconds from the start after a kill -9 until every task synchronizes again."""
    tasks.service.kill9()
    started = time.monotonic()
    tasks.service.start()
    while True:
        states = [task["state"] for task in tasks.listed()]
        if states.count("synchronizing") == len(tasks.ids):
            return time.monotonic() - started
        assert time.monotonic() - started < 300, sorted(states)
        time.sleep(0.1)


def is_equal(pair, seconds=30):
    deadline = time.monotonic() + seconds
    while True:
        if compare.compare(*pair):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)


def run(options, report):
    with contextlib.ExitStack() as stack:
        servers = [benchlib.server(options.root, settings(options.tasks)) for _ in range(2)]
        for server in servers:
            stack.callback(server.remove)
        work = tempfile.mkdtemp(prefix="pgs-bench-", dir=options.root)
        stack.callback(shutil.rmtree, work, ignore_errors=True)
        Database(servers[0], "template1").sql("CREATE TABLE items (id bigserial PRIMARY KEY, what text)")
        pairs = [(servers[0].create_database(f"s{i}"), servers[1].create_database(f"d{i}"))
                 for i in range(options.tasks)]
        service = Service(work)
        stack.callback(service.close)
        service.start()
        tasks = Tasks(service, pairs, options.busy)
        tasks.make()
        tasks.each("check", "ready")
        tasks.each("start", "synchronizing")
        load = Load([source for source, _ in pairs[:options.busy]])
        load.start()
        stack.callback(load.stop)
        time.sleep(options.settle)
        used = measure_cpu(tasks, options.seconds)
        pids = tasks.pids()
        pss = [pss_mib(pid) for task, pid in pids.items() if task not in tasks.busy_ids()]
        listing = measure_list(tasks)
        resumed = measure_resume(tasks)
        doubled = len(set(tasks.pids().values())) != options.tasks
        load.stop()
        equal = all(is_equal(pair) for pair in pairs[:options.busy])
        report.text("", f"{options.tasks} tasks, {options.busy} of them at {RATE} transactions/s "
                    f"({load.done} in all), over {options.seconds} s; CPU in percent of one core: "
                    f"idle workers {used['idle']:.2f}, the service itself {used['service']:.2f}, busy "
                    f"workers {used['busy']:.2f}. Busy tasks' tables after kill -9 of the service: "
                    f"{'equal' if equal else 'NOT EQUAL'}.", "")
        report.bar("CPU of the service and all idle tasks", used["idle"] + used["service"], BAR_CPU, " %")
        report.bar("Pss per idle task, the largest", max(pss), BAR_PSS_MIB, " MiB")
        report.bar("GET /tasks with all of them", listing, BAR_LIST_MS, " ms")
        report.bar("all synchronize again after kill -9", resumed, BAR_RESUME_SECONDS, " s")
        return equal and not doubled


def main():
    parser = benchlib.parser(__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--busy", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--settle", type=int, default=40, help="seconds before measuring")
    options = parser.parse_args()
    benchlib.executable()
    report = benchlib.Report("service", "Many tasks under one service", settings(options.tasks))
    good = run(options, report)
    return report.finish(not options.no_write) or (0 if good else 1)


if __name__ == "__main__":
    sys.exit(main())
