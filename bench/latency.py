"""From a commit on the source to its rows visible in the destination, under a steady load.
Run: /usr/bin/python3 bench/latency.py [--rate 1000] [--seconds 20]

pgbench writes at a steady rate. pgsluice and a native subscription take turns, each with a destination
server of its own: the other one's stream is off meanwhile, and it catches up with what it has missed
before its turn. The source stores the moment of each commit (track_commit_timestamp); a session in the
destination asks a thousand times a second which rows of pgbench_history are new to it, the same for both. (What a
native subscription applies has the source's commit time in the destination, so that cannot be read there.) The first
seconds of a turn are left out.

Bars: p50 at most 1.2 of native's, p99 at most 2 of native's.
"""

import statistics
import sys
import threading
import time

import benchlib
import stream
from pgtest.workload import Pgbench

BARS = {50: 1.2, 99: 2.0}
WARM_UP_SECONDS = 3
LOOK_EVERY = 0.001
OVERLAP = 500  # ids are given out before the commit: a lower one may appear later
COMMITS = ("SELECT id, extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000 FROM pgbench_history "
           "WHERE id > %s AND id <= %s")


class Watcher(threading.Thread):
    """Notes when each row becomes visible: {id: Unix time in milliseconds}."""

    def __init__(self, database, after):
        super().__init__(daemon=True)
        self.database, self.last, self.seen, self.ended = database, after, {}, False

    def run(self):
        with self.database.connect(socket=True) as connection:
            while not self.ended:
                rows = connection.execute("SELECT id FROM pgbench_history WHERE id > %s", [self.last - OVERLAP]).fetchall()
                now = time.time() * 1000
                for (number,) in rows:
                    self.seen.setdefault(number, now)
                self.last = max(self.last, max((number for (number,) in rows), default=0))
                time.sleep(LOOK_EVERY)


class Bench(stream.Bench):
    settings = {"track_commit_timestamp": "on"}
    extra_tables = benchlib.BACKLOG_TABLES + "ALTER TABLE pgbench_history ADD COLUMN id bigserial PRIMARY KEY;"

    def __init__(self, options):
        super().__init__(options)
        self.source.sql(f'ALTER DATABASE "{self.source.name}" SET synchronous_commit = off')

    def last(self, database):
        return database.value("SELECT coalesce(max(id), 0) FROM pgbench_history")

    def run_load(self, destination, running):
        """Load for a turn, beginning when the destination has all that was there before. Returns the milliseconds
        of each transaction."""
        running(lambda: self.last(destination) == self.last(self.source))
        rate, seconds = self.options.rate, self.options.seconds + WARM_UP_SECONDS
        before = self.last(self.source)
        watcher = Watcher(destination, before)
        watcher.start()
        with Pgbench(self.source, clients=8, seconds=seconds, rate=rate) as load:
            load.wait()
        after = self.last(self.source)
        self.attained.append((after - before) / seconds)
        running(lambda: self.last(destination) == after)
        time.sleep(0.1)
        watcher.ended = True
        watcher.join()
        here = dict(self.source.sql(COMMITS, [before + rate * WARM_UP_SECONDS, after]))
        assert here and here.keys() <= watcher.seen.keys(), "rows are missing"
        return [watcher.seen[number] - float(moment) for number, moment in here.items()]

    def take_turn(self, number, destination, running):
        benchlib.checkpoint(*self.servers)
        before = sum(server.cpu_seconds() for server in self.servers)
        values = sorted(self.run_load(destination, running))
        cost = benchlib.Cost(0, servers_cpu=sum(server.cpu_seconds() for server in self.servers) - before)
        cost.percentiles = {p: values[min(len(values) - 1, len(values) * p // 100)] for p in (50, 90, 99, 100)}
        cost.seconds = cost.percentiles[50] / 1000
        return cost

    def pgsluice(self, number):
        running = self.task.background()
        running.wait_event(lambda e: e["event"] == "stream.started")
        cost = self.take_turn(number, self.sluice, lambda until: running.wait_until(until, 120, 0.1))
        cost.cpu = running.cpu_seconds()
        assert running.interrupt().code == 0
        return cost

    def native_subscription(self, number):
        self.native.sql("ALTER SUBSCRIPTION native ENABLE")
        cost = self.take_turn(number, self.native, stream.wait_until)
        self._disable()
        return cost


def measure(options):
    bench = Bench(options)
    bench.attained = []
    try:
        costs = benchlib.rounds(options.rounds, {"pgsluice": bench.pgsluice, "native": bench.native_subscription})
        for destination in (bench.sluice, bench.native):  # what is off has missed a turn
            assert destination.value("SELECT count(*) > 0 FROM pgbench_history")
        return costs, statistics.median(bench.attained)
    finally:
        bench.close()


def main():
    parser = benchlib.parser(__doc__.splitlines()[0])
    parser.add_argument("--rate", type=int, default=1000, help="transactions a second")
    parser.add_argument("--seconds", type=int, default=20, help="length of a turn")
    parser.add_argument("--scale", type=int, default=50)
    options = parser.parse_args()
    benchlib.executable()
    costs, attained = measure(options)
    report = benchlib.Report("latency", "From commit to visible", Bench.settings)
    report.text(f"- {options.rounds} rounds, alternated; pgbench, scale {options.scale}, 8 clients, {attained:.0f} "
                f"transactions/s (asked for: {options.rate}) with synchronous_commit=off for {options.seconds} s a turn; "
                "all transactions measured, looking every millisecond; medians of the rounds, milliseconds", "")

    def median(name, percentile):
        return statistics.median(cost.percentiles[percentile] for cost in costs[name])

    report.text("|  | p50 | p90 | p99 | longest | own CPU s | servers' CPU s |", "| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, runs in costs.items():
        own = f"{benchlib.median(runs, 'cpu'):.2f}" if name == "pgsluice" else ""
        shown = " | ".join(f"{median(name, percentile):.2f}" for percentile in (50, 90, 99, 100))
        report.text(f"| {name} | {shown} | {own} | {benchlib.median(runs, 'servers_cpu'):.2f} |")
    report.text("")
    for percentile, bar in BARS.items():
        report.bar(f"p{percentile}, pgsluice ÷ native", median("pgsluice", percentile) / median("native", percentile), bar)
    return report.finish(not options.no_write)


if __name__ == "__main__":
    sys.exit(main())
