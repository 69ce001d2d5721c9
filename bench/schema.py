"""The schema of a database of 10,000 tables with three indexes each, and the reading of a large catalog.
Run: /usr/bin/python3 bench/schema.py

pgsluice        run, stages [schema]: schema and indexes, each object recorded
pg_dump | psql  pg_dump -s, one stream
reading         `pgsluice plan --json` of a database of 100,000 relations (tables, indexes, TOAST):
                seconds and highest resident memory

Bars: pgsluice at most 1.0 of pg_dump | psql; reading under 60 s and 1 GiB.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time

import benchlib
from pgtest import servers
from pgtest.cluster import Database
from pgtest.sluice import Sluice

BAR, SECONDS_BAR, MEMORY_BAR = 1.0, 60, 1.0
DUMP, PSQL = map(servers.client, ("pg_dump", "psql"))
CHUNK = 500
RELATIONS = 6  # per table
INDEXES = "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n" \
          " ON n.oid = c.relnamespace WHERE n.nspname = 'public'"


def fill(database, tables):
    """Each table: a primary key, two more indexes, a text column (TOAST): six relations."""
    for first in range(0, tables, CHUNK):
        database.sql("DO $$ BEGIN FOR i IN %d..%d LOOP EXECUTE format('CREATE TABLE t_%%s (id bigint PRIMARY KEY,"
                     " a int NOT NULL DEFAULT 0, b text, c timestamptz DEFAULT now())', i);"
                     " EXECUTE format('CREATE INDEX ON t_%%s (a)', i);"
                     " EXECUTE format('CREATE UNIQUE INDEX ON t_%%s (c, id)', i); END LOOP; END $$"
                     % (first, min(first + CHUNK, tables) - 1))


class Bench:
    def __init__(self, options):
        settings = {"max_locks_per_transaction": "1024"}  # for pg_dump, which locks all tables at once
        self.source_server = benchlib.server(options.root, settings)
        self.destination_server = benchlib.server(options.root, settings)
        self.servers = (self.source_server, self.destination_server)
        self.source = self.source_server.create_database("bench")
        self.destination = Database(self.destination_server, "clone")
        self.work = tempfile.mkdtemp(prefix="pgs-bench-", dir=options.root)
        fill(self.source, options.tables)
        self.source.sql("ANALYZE pg_class; ANALYZE pg_attribute; ANALYZE pg_index; ANALYZE pg_constraint")

    def run(self, arguments, **options):
        self.destination.drop()
        self.destination_server.create_database("clone")
        benchlib.checkpoint(self.source_server, self.destination_server)
        cost = benchlib.timed(arguments, self.servers, **options)
        assert self.destination.value(INDEXES) == self.source.value(INDEXES)
        return cost

    def pgsluice(self, number):
        task = Sluice(self.work, self.source, self.destination, name=f"schema{number}",
                      stages=["schema"], objects=[{"schema": "public"}])
        return self.run([benchlib.executable(), "run", task.path])

    def dump_psql(self, number):
        return self.run(f"set -o pipefail; {DUMP} -s '{self.source.conninfo()}' | "
                        f"{PSQL} -Xq -v ON_ERROR_STOP=1 -o /dev/null '{self.destination.conninfo()}'",
                        shell=True)

    def read(self, relations):
        """Seconds, GiB, and the number of relations."""
        source = self.source_server.create_database("large")
        fill(source, relations // RELATIONS)
        count = source.value("SELECT count(*) FROM pg_class WHERE oid >= 16384")
        task = Sluice(self.work, source, self.destination, name="reading", objects=[{"schema": "public"}])
        started = time.monotonic()
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            pid = subprocess.Popen([benchlib.executable(), "plan", task.path, "--json"], stdout=nowhere).pid
            _, status, usage = os.wait4(pid, 0)
        assert status == 0, status
        return time.monotonic() - started, usage.ru_maxrss / 2**20, count

    def close(self):
        for server in self.servers:
            server.remove()
        shutil.rmtree(self.work, ignore_errors=True)


def main():
    parser = benchlib.parser(__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=10000)
    parser.add_argument("--relations", type=int, default=100000)
    options = parser.parse_args()
    benchlib.executable()
    bench = Bench(options)
    try:
        costs = benchlib.rounds(options.rounds, {"pgsluice": bench.pgsluice, "pg_dump | psql": bench.dump_psql})
        seconds, memory, relations = bench.read(options.relations)
    finally:
        bench.close()
    report = benchlib.Report("schema", f"The schema of {options.tables} tables with three indexes each")
    report.text(f"- {options.rounds} rounds, interleaved; " + ", ".join(benchlib.versions([DUMP, "--version"])))
    report.table(costs, "pg_dump | psql", extra=[
        ("own CPU s", lambda name, runs: f"{benchlib.median(runs, 'cpu'):.2f}"),
        ("servers' CPU s", lambda name, runs: f"{benchlib.median(runs, 'servers_cpu'):.2f}")])
    report.bar("pgsluice ÷ pg_dump | psql", benchlib.median(costs["pgsluice"])
               / benchlib.median(costs["pg_dump | psql"]), BAR)
    report.bar(f"reading {relations} relations, seconds", seconds, SECONDS_BAR)
    report.bar("its highest resident memory, GiB", memory, MEMORY_BAR)
    return report.finish(not options.no_write)


if __name__ == "__main__":
    sys.exit(main())
