"""Catching up with a backlog: pgsluice, a native subscription, and decoding alone.
Run: /usr/bin/python3 bench/stream.py [pgbench] [bulk]

One source, and a destination server each for pgsluice and for the native subscription, with the same
data. In every round all three slots stand still while the load is generated once; then each contender
catches up with the same WAL, alone, after a checkpoint:
    pgsluice     run --until-caught-up, from its start to its exit
    native       ALTER SUBSCRIPTION … ENABLE until the load's last row is visible; default options
    decode only  pg_recvlogical to /dev/null with exactly pgsluice's slot options (taken from the
                 source's log) and decoding memory: the limit

pgbench: 400,000 transactions, scale 50.   Bar: pgsluice at most 0.55 of native.
bulk:    1 M inserts, 500 k updates, 250 k deletes in three transactions.      Bar: at most 0.65.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time

import benchlib
from pgtest import compare, servers
from pgtest.sluice import Sluice
from pgtest.workload import Pgbench

BARS = {"pgbench": 0.55, "bulk": 0.65}


def wait_until(condition, timeout=120):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not in {timeout} s"
        time.sleep(0.1)


class Bench:
    settings = {}
    extra_tables = benchlib.BACKLOG_TABLES

    def __init__(self, options):
        self.options = options
        self.work = tempfile.mkdtemp(prefix="pgs-bench-", dir=options.root)
        self.source_server, self.sluice_server, self.native_server = self.servers = [
            benchlib.server(options.root, self.settings) for _ in range(3)]
        self.source = self.source_server.create_database("bench")
        self.sluice = self.sluice_server.create_database("bench")
        self.native = self.native_server.create_database("bench")
        Pgbench.initialize(self.source, options.scale)
        self.source.script(self.extra_tables)
        self.source.sql("VACUUM FREEZE ANALYZE")
        self.loads = 0
        self._subscribe()
        self._start_pgsluice()
        for server in self.servers[1:]:
            server.sql("VACUUM FREEZE ANALYZE", dbname="bench")

    def _subscribe(self):
        dump = subprocess.run([servers.client("pg_dump"), "-s", self.source.conninfo()], check=True,
                              capture_output=True, text=True).stdout
        self.native.script(dump)
        self.source.sql("CREATE PUBLICATION native FOR ALL TABLES")
        self.native.sql(f"CREATE SUBSCRIPTION native CONNECTION '{self.source.conninfo()}' "
                        "PUBLICATION native")
        while self.native.value("SELECT count(*) FROM pg_subscription_rel WHERE srsubstate <> 'r'"):
            time.sleep(0.2)
        self._disable()

    def _disable(self):
        self.native.sql("ALTER SUBSCRIPTION native DISABLE")
        while self.source.value("SELECT active FROM pg_replication_slots WHERE slot_name = 'native'"):
            time.sleep(0.05)

    def _start_pgsluice(self):
        self.task = Sluice(self.work, self.source, self.sluice, name="stream", keyless="insert_only")
        self.arguments = [benchlib.executable(), "run", self.task.path, "--until-caught-up"]
        benchlib.timed(self.arguments)
        started = re.findall(r'START_REPLICATION SLOT "?(\w+)"? LOGICAL [0-9A-F/]+ \((.*)\)',
                             self.source_server.log_tail(100000))
        slot_options = [options for slot, options in started if slot.startswith("pgsluice")][-1]
        self.slot_options = re.findall(r"\"?(\w+)\"? '((?:[^']|'')*)'", slot_options)
        self.source.sql("SELECT pg_create_logical_replication_slot('decode', 'pgoutput')")

    def load(self, kind):
        self.loads += 1
        started = time.monotonic()
        self.end = benchlib.make_backlog(self.source, kind, self.loads, self.options.transactions)
        print(f"load {kind}: {time.monotonic() - started:.1f} s", flush=True)
        benchlib.checkpoint(*self.servers)

    def pgsluice(self, number):
        benchlib.checkpoint(*self.servers)
        cost = benchlib.timed(self.arguments, self.servers)
        assert self.sluice.value("SELECT max(round) FROM marker") == self.loads
        return cost

    def native_subscription(self, number):
        benchlib.checkpoint(*self.servers)
        before = sum(server.cpu_seconds() for server in self.servers)
        with self.native.connect() as connection:
            started = time.monotonic()
            connection.execute("ALTER SUBSCRIPTION native ENABLE")
            while connection.execute("SELECT max(round) FROM marker").fetchone()[0] != self.loads:
                time.sleep(0.02)
            seconds = time.monotonic() - started
        cpu = sum(server.cpu_seconds() for server in self.servers) - before
        self._disable()
        return benchlib.Cost(seconds, 0.0, cpu)

    def decode_only(self, number):
        benchlib.checkpoint(*self.servers)
        command = benchlib.recvlogical(self.source, "decode", self.slot_options, "-E", self.end)
        return benchlib.timed(command, self.servers)

    def check(self):
        """Both are what the source is, or the times mean nothing."""
        for destination in (self.sluice, self.native):
            result = compare.compare(self.source, destination)
            assert result, result
        print("both destinations are equal to the source", flush=True)

    def close(self):
        for server in self.servers:
            server.remove()
        shutil.rmtree(self.work, ignore_errors=True)


def main():
    options = benchlib.backlog_parser(__doc__.splitlines()[0]).parse_args()
    benchlib.executable()
    bench = Bench(options)
    try:
        contenders = {"pgsluice": bench.pgsluice, "native": bench.native_subscription,
                      "decode only": bench.decode_only}
        costs = {kind: benchlib.rounds(options.rounds, contenders, lambda number, k=kind: bench.load(k))
                 for kind in options.loads or BARS}
        bench.check()
    finally:
        bench.close()
    report = benchlib.Report("stream", "Catching up with a backlog")
    shown = ", ".join(f"{name} '{value}'" for name, value in bench.slot_options)
    report.text(f"- {options.rounds} rounds, interleaved; the load is generated once a round with "
                "synchronous_commit=off, then each contender decodes it alone; both destinations equal "
                "to the source, row by row, at the end",
                f"- decode only: `pg_recvlogical` to /dev/null with `{shown}` and "
                f"logical_decoding_work_mem={benchlib.DECODING_MEMORY}; native: the server's 64MB, default options",
                "- pgsluice's time is that of the whole command, precheck included")
    for kind, found in costs.items():
        report.text("", f"## {benchlib.BACKLOGS[kind].format(**vars(options))}")
        report.table(found, "native", extra=[
            ("own CPU s", lambda name, runs: f"{benchlib.median(runs, 'cpu'):.2f}"
             if name == "pgsluice" else ""),
            ("servers' CPU s", lambda name, runs: f"{benchlib.median(runs, 'servers_cpu'):.2f}")])
        ours = benchlib.median(found["pgsluice"])
        report.bar("pgsluice ÷ native", ours / benchlib.median(found["native"]), BARS[kind])
        report.text(f"- decode only ÷ pgsluice: {benchlib.median(found['decode only']) / ours:.2f}")
    return report.finish(not options.no_write)


if __name__ == "__main__":
    sys.exit(main())
