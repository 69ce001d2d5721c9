"""Highest resident memory of pgsluice while it applies one huge transaction.
Run: /usr/bin/python3 bench/memory.py [--gigabytes 2]

The transaction inserts rows of some 1 kB and then updates a tenth of them. Bar: 150 MiB.
"""

import shutil
import sys
import tempfile
import time

import benchlib
from pgtest import compare
from pgtest.sluice import Sluice

BAR_MIB = 150
ROWS_PER_GIGABYTE = 1_000_000
LOAD = """
BEGIN;
INSERT INTO huge SELECT g, repeat(md5(g::text), 30) FROM generate_series(1, {rows}) g;
UPDATE huge SET payload = 'changed' WHERE id % 10 = 0;
COMMIT;
"""


def measure(options):
    source_server, destination_server = servers = [
        benchlib.server(options.root, {"fsync": "off"}) for _ in range(2)]
    work = tempfile.mkdtemp(prefix="pgs-bench-", dir=options.root)
    try:
        source = source_server.create_database("bench")
        destination = destination_server.create_database("bench")
        source.sql("CREATE TABLE huge (id bigint PRIMARY KEY, payload text)")
        source.sql("ALTER TABLE huge ALTER payload SET STORAGE EXTERNAL")
        task = Sluice(work, source, destination, name="memory")
        task.sync()
        before = source.value("SELECT pg_current_wal_insert_lsn()")
        source.script(LOAD.format(rows=int(options.gigabytes * ROWS_PER_GIGABYTE)))
        size = source.value("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)", [before])
        started = time.monotonic()
        running = task.start("run", "--until-caught-up", "--json")
        peak = 0
        while running.running():
            try:
                peak = max(peak, running.peak_memory())
            except FileNotFoundError:
                break
            time.sleep(0.05)
        seconds = time.monotonic() - started
        finished = running.wait()
        assert finished.code == 0, finished
        result = compare.compare(source, destination)
        assert result, result
        return peak / 2**20, int(size) / 2**30, seconds
    finally:
        for server in servers:
            server.remove()
        shutil.rmtree(work, ignore_errors=True)


def main():
    parser = benchlib.parser(__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=2.0)
    options = parser.parse_args()
    benchlib.executable()
    peak, wal, seconds = measure(options)
    report = benchlib.Report("memory", "Memory during one huge transaction", {"fsync": "off"})
    report.text("", f"One transaction of {options.gigabytes:g} GB of rows ({wal:.1f} GiB of WAL), applied "
                f"in {seconds:.0f} s; the databases were equal afterwards.", "")
    report.bar("highest resident memory", peak, BAR_MIB, " MiB")
    return report.finish(not options.no_write)


if __name__ == "__main__":
    sys.exit(main())
