"""Changes spread over 10,000 tables, and over 10: the time a row takes, against a native subscription.
Run: /usr/bin/python3 bench/tables.py [--tables 10000] [--rows 400000]

Two databases of one source, of few tables and of many. In a round each gets the same number of changed
rows (three quarters updates, one quarter inserts), in transactions of 500 rows, every one of them in
another table where there are so many; then pgsluice and the native subscription catch up, one after the
other, each into a destination server of its own. pgsluice's time is that of its stream, from its begin to
its end, for reading the definitions of 10,000 tables is no part of applying a row.

Bars: with many tables at most 2.5 of the time per row that few need; never slower than native.
Shown beside it: the resident memory of the destination's applying session at its end.
"""

import datetime
import shutil
import subprocess
import sys
import tempfile
import time

import benchlib
from pgtest import compare, servers
from pgtest.sluice import DONE, Sluice
from stream import wait_until

FEW = 10
BAR = 2.5
PER_TRANSACTION = 500
SETTINGS = {"max_locks_per_transaction": "1024", "fsync": "off", "max_worker_processes": 16}


def anonymous_memory(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as handle:
        return next(int(line.split()[1]) for line in handle if line.startswith("RssAnon:")) / 1024


class Side:
    """One database on all three servers, its task and its subscription."""

    def __init__(self, bench, name, tables):
        self.name, self.tables = name, tables
        self.source, self.sluice, self.native = (server.create_database(name) for server in bench.servers)
        self.rounds = 0
        for first in range(0, tables, 500):
            self.source.script("".join(
                f"CREATE TABLE t{i} (id int PRIMARY KEY, n int, v text);"
                f"INSERT INTO t{i} SELECT g, 0, 'v' FROM generate_series(1, 40) g;" for i in range(first, min(tables, first + 500))))
        self.source.sql("CREATE TABLE marker (round int PRIMARY KEY)")
        dump = subprocess.Popen([servers.client("pg_dump"), self.source.conninfo()], stdout=subprocess.PIPE)
        subprocess.run([servers.client("psql"), "-qX", self.native.conninfo()], stdin=dump.stdout, check=True,
                       stdout=subprocess.DEVNULL)
        assert dump.wait() == 0
        self.source.sql(f"CREATE PUBLICATION native_{name} FOR ALL TABLES")
        self.native.sql(f"CREATE SUBSCRIPTION native_{name} CONNECTION '{self.source.conninfo()}' PUBLICATION native_{name} "
                        "WITH (copy_data = false)")
        self.switch("DISABLE")
        self.task = Sluice(bench.work, self.source, self.sluice, name=name)
        self.task.sync(1800)

    def switch(self, how):
        self.native.sql(f"ALTER SUBSCRIPTION native_{self.name} {how}")
        active = how == "ENABLE"
        wait_until(lambda: self.source.value(
            "SELECT active FROM pg_replication_slots WHERE slot_name = %s", [f"native_{self.name}"]) == active)

    def load(self, rows):
        self.rounds += 1
        with self.source.connect(autocommit=False, options="-c synchronous_commit=off") as connection:
            for number in range(rows):
                table, turn = number % self.tables, number // self.tables
                if turn % 4:
                    connection.execute(f"UPDATE t{table} SET n = n + 1 WHERE id = {turn % 40 + 1}".encode(), prepare=False)
                else:
                    connection.execute(f"INSERT INTO t{table} VALUES ({self.rounds * 10_000_000 + number}, 1, 'x')".encode(),
                                       prepare=False)
                if number % PER_TRANSACTION == PER_TRANSACTION - 1:
                    connection.commit()
            connection.execute(f"INSERT INTO marker VALUES ({self.rounds})")
            connection.commit()

    def there(self, database):
        return database.value("SELECT max(round) FROM marker") == self.rounds

    def with_pgsluice(self):
        running = self.task.background()
        began = running.wait_event(lambda e: e["event"] == "stream.started", 600)
        running.wait_until(lambda: self.there(self.sluice), 1800, 0.05)
        ended = datetime.datetime.now(datetime.timezone.utc)
        memory = max(anonymous_memory(pid) for (pid,) in self.sluice.sql(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pgsluice/%'"))
        cost = benchlib.Cost((ended - datetime.datetime.fromisoformat(began["time"])).total_seconds())
        cost.memory = memory
        assert running.interrupt().code == DONE
        return cost

    def with_native(self):
        started = time.monotonic()
        self.native.sql(f"ALTER SUBSCRIPTION native_{self.name} ENABLE")
        wait_until(lambda: self.there(self.native), 1800)
        cost = benchlib.Cost(time.monotonic() - started)
        cost.memory = max(anonymous_memory(pid) for (pid,) in self.native.sql(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'logical replication worker'"))
        self.switch("DISABLE")
        return cost

    def check(self):
        for destination in (self.sluice, self.native):
            chosen = [("public", f"t{i}") for i in range(0, self.tables, max(1, self.tables // 200))]
            result = compare.compare(self.source, destination, tables=chosen)
            assert result, result


class Bench:
    def __init__(self, options):
        self.work = tempfile.mkdtemp(prefix="pgs-bench-", dir=options.root)
        self.servers = [benchlib.server(options.root, SETTINGS) for _ in range(3)]
        self.sides = {"few": Side(self, "few", FEW), "many": Side(self, "many", options.tables)}

    def close(self):
        for side in getattr(self, "sides", {}).values():
            side.task.kill_all()
        for server in self.servers:
            server.remove()
        shutil.rmtree(self.work, ignore_errors=True)


def main():
    parser = benchlib.parser(__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=400_000, help="changed in a round")
    options = parser.parse_args()
    benchlib.executable()
    bench = Bench(options)
    names = {"few": f"{FEW} tables", "many": f"{options.tables:,} tables"}
    try:
        contenders = {}
        for side, title in names.items():
            contenders[f"pgsluice, {title}"] = lambda number, s=bench.sides[side]: s.with_pgsluice()
            contenders[f"native, {title}"] = lambda number, s=bench.sides[side]: s.with_native()
        costs = benchlib.rounds(options.rounds, contenders, lambda number: [
            side.load(options.rows) for side in bench.sides.values()])
        for side in bench.sides.values():
            side.check()
    finally:
        bench.close()
    report = benchlib.Report("tables", "Changes spread over many tables", SETTINGS)
    report.text(f"- {options.rounds} rounds, interleaved; {options.rows:,} changed rows each, in transactions of {PER_TRANSACTION}")
    report.table(costs, extra=[
        ("µs a row", lambda name, runs: f"{benchlib.median(runs) * 1e6 / options.rows:.1f}"),
        ("destination session, MiB", lambda name, runs: f"{benchlib.median(runs, 'memory'):.0f}")])
    ours = {side: benchlib.median(costs[f"pgsluice, {title}"]) for side, title in names.items()}
    native = {side: benchlib.median(costs[f"native, {title}"]) for side, title in names.items()}
    report.bar("many ÷ few", ours["many"] / ours["few"], BAR)
    for side, title in names.items():
        report.bar(f"{title}: pgsluice ÷ native", ours[side] / native[side], 1.0)
    return report.finish(not options.no_write)


if __name__ == "__main__":
    sys.exit(main())
