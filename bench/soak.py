"""Does anything grow with time? Memory and file descriptors of pgsluice under an endless load.
Run: /usr/bin/python3 bench/soak.py [--minutes 60]

pgbench and random transactions (keys that change, rollbacks, values out of line, bursts) write as fast as they
can; every ten seconds resident memory and open file descriptors of pgsluice are noted, and those of its session
in the destination. The first fifth is warm-up.

Bars: the median memory of the last fifth at most 10 MiB over that of the second one; not one descriptor more.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time

import benchlib
from pgtest import compare
from pgtest.cluster import process_memory
from pgtest.sluice import DONE, Sluice
from pgtest.workload import Pgbench, RandomChanges
from tables import anonymous_memory

GROWTH_MIB = 10
EVERY_SECONDS = 10


def sample(running, destination):
    pids = [pid for (pid,) in destination.sql(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pgsluice/%'")]
    return {"memory": process_memory(running.pid)[0] / 2**20, "descriptors": len(os.listdir(f"/proc/{running.pid}/fd")),
            "session": max(map(anonymous_memory, pids), default=0)}


def measure(options):
    work = tempfile.mkdtemp(prefix="pgs-bench-", dir=options.root)
    # servers that tidy up after themselves, for the load goes on for long
    servers = [benchlib.server(options.root, {"fsync": "off", "autovacuum": "on", "max_wal_size": "2GB",
                                              "checkpoint_timeout": "5min"}) for _ in range(2)]
    try:
        source, destination = (server.create_database("bench") for server in servers)
        Pgbench.initialize(source, 10)
        changes = RandomChanges(source, seed=1).create()
        task = Sluice(work, source, destination, name="soak", keyless="insert_only")
        running = task.background()
        running.wait_event(lambda e: e["event"] == "stream.started", 300)
        samples, end = [], time.monotonic() + options.minutes * 60
        with Pgbench(source, clients=2, rate=options.rate), changes:
            while time.monotonic() < end:
                time.sleep(EVERY_SECONDS)
                samples.append(sample(running, destination))
                assert running.running(), running.describe()
        assert running.interrupt(120).code == DONE
        task.sync(600)
        result = compare.compare(source, destination)
        assert result, result
        return samples, changes.transactions, source.value("SELECT count(*) FROM pgbench_history")
    finally:
        for server in servers:
            server.remove()
        shutil.rmtree(work, ignore_errors=True)


def main():
    parser = benchlib.parser(__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=int, default=None, help="of pgbench's transactions a second; default: all it can")
    options = parser.parse_args()
    benchlib.executable()
    samples, random_transactions, pgbench_transactions = measure(options)
    report = benchlib.Report("soak", "An endless load")
    report.text(f"- {options.minutes:g} minutes, {pgbench_transactions:,} transactions of pgbench and {random_transactions:,} random "
                "ones; both sides equal at the end", "", "| part of the time | memory MiB | descriptors | destination's session MiB |",
                "| --- | ---: | ---: | ---: |")
    fifth = len(samples) // 5
    median = {}
    for part in range(5):
        some = samples[part * fifth:(part + 1) * fifth]
        median[part] = {what: statistics.median(one[what] for one in some) for what in some[0]}
        report.text(f"| {part + 1} of 5 | " + " | ".join(f"{value:.1f}" for value in median[part].values()) + " |")
    report.text("")
    report.bar("growth of memory", median[4]["memory"] - median[1]["memory"], GROWTH_MIB, " MiB")
    report.bar("more descriptors", median[4]["descriptors"] - median[1]["descriptors"], 0)
    report.bar("growth of the destination's session", median[4]["session"] - median[1]["session"], GROWTH_MIB, " MiB")
    return report.finish(not options.no_write)


if __name__ == "__main__":
    sys.exit(main())
