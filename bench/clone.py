"""Clones a pgbench database (scale 50: schema, rows, primary keys) with pgsluice and with what a user
would pick instead. Run: /usr/bin/python3 bench/clone.py

pgsluice        run, stages [schema, full]; its time includes the precheck and ANALYZE
pg_dump | psql  one stream
dump/restore    pg_dump -Fd -j2 into a directory, then pg_restore -j2
pgcopydb        Debian's 0.10, clone with two table and two index jobs
COPY OUT        the limit: reading pgbench_accounts to /dev/null as text, nothing written

Each run starts with an empty database and a checkpoint on both sides. Bars: pgsluice at most 0.85 of
the fastest other clone; its own CPU at most a tenth of the servers'.
"""

import os
import shutil
import sys
import tempfile

import benchlib
from pgtest import compare, servers
from pgtest.cluster import Database
from pgtest.sluice import Sluice
from pgtest.workload import Pgbench

BAR, CPU_BAR = 0.85, 0.10
DUMP, RESTORE, PSQL = map(servers.client, ("pg_dump", "pg_restore", "psql"))


class Bench:
    def __init__(self, options):
        self.source_server = benchlib.server(options.root)
        self.destination_server = benchlib.server(options.root)
        self.servers = (self.source_server, self.destination_server)
        self.source = self.source_server.create_database("bench")
        self.destination = Database(self.destination_server, "clone")
        self.work = tempfile.mkdtemp(prefix="pgs-bench-", dir=options.root)
        Pgbench.initialize(self.source, options.scale)
        self.source.sql("VACUUM FREEZE ANALYZE")

    def fresh(self):
        self.destination.drop()
        self.destination_server.create_database("clone")
        for leftover in self.source.slots():
            self.source.sql("SELECT pg_drop_replication_slot(%s)", [leftover])
        benchlib.checkpoint(self.source_server, self.destination_server)

    def run(self, arguments, **options):
        self.fresh()
        cost = benchlib.timed(arguments, self.servers, **options)
        rows = self.destination.value("SELECT count(*) FROM pgbench_accounts")
        assert rows == self.source.value("SELECT count(*) FROM pgbench_accounts"), rows
        return cost

    def pgsluice(self, number):
        task = Sluice(self.work, self.source, self.destination, name=f"copy{number}",
                      stages=["schema", "full"], objects=[{"schema": "public"}], keyless="insert_only")
        cost = self.run([benchlib.executable(), "run", task.path])
        result = compare.compare(self.source, self.destination)
        assert result, result
        return cost

    def dump_psql(self, number):
        return self.run(f"set -o pipefail; {DUMP} '{self.source.conninfo()}' | "
                        f"{PSQL} -Xq -v ON_ERROR_STOP=1 -o /dev/null '{self.destination.conninfo()}'",
                        shell=True)

    def dump_restore(self, number):
        folder = os.path.join(self.work, "dump")
        shutil.rmtree(folder, ignore_errors=True)
        cost = self.run(
            f"{DUMP} -Fd -j2 -f {folder} '{self.source.conninfo()}' && "
            f"{RESTORE} -j2 -d '{self.destination.conninfo()}' {folder}", shell=True)
        shutil.rmtree(folder)
        return cost

    def pgcopydb(self, number):
        folder = os.path.join(self.work, "pgcopydb")
        shutil.rmtree(folder, ignore_errors=True)
        return self.run(["pgcopydb", "clone", "--source", self.source.conninfo(),
                         "--target", self.destination.conninfo(), "--table-jobs", "2",
                         "--index-jobs", "2", "--dir", folder, "--restart", "--not-consistent"])

    def copy_out(self, number):
        self.fresh()
        return benchlib.timed([PSQL, "-Xqc", "COPY pgbench_accounts TO STDOUT", "-o", "/dev/null",
                               self.source.conninfo()], self.servers)

    def close(self):
        for server in self.servers:
            server.remove()
        shutil.rmtree(self.work, ignore_errors=True)


def main():
    parser = benchlib.parser(__doc__.splitlines()[0])
    parser.add_argument("--scale", type=int, default=50)
    options = parser.parse_args()
    benchlib.executable()
    bench = Bench(options)
    try:
        contenders = {"pgsluice": bench.pgsluice, "pg_dump | psql": bench.dump_psql,
                      "dump/restore -j2": bench.dump_restore, "pgcopydb": bench.pgcopydb,
                      "COPY OUT alone": bench.copy_out}
        costs = benchlib.rounds(options.rounds, contenders)
    finally:
        bench.close()
    report = benchlib.Report("clone", f"Clone of pgbench scale {options.scale}: schema, rows, indexes")
    report.text(f"- {options.rounds} rounds, interleaved; " + ", ".join(benchlib.versions(
        [DUMP, "--version"], ["pgcopydb", "--version"])),
        "- pgsluice's time includes precheck and ANALYZE, which the others leave to the user; every "
        "clone of it was compared row by row")
    peers = {name: runs for name, runs in costs.items() if name not in ("pgsluice", "COPY OUT alone")}
    fastest = min(peers, key=lambda name: benchlib.median(peers[name]))
    report.table(costs, fastest, extra=[
        ("own CPU s", lambda name, runs: f"{benchlib.median(runs, 'cpu'):.2f}"),
        ("servers' CPU s", lambda name, runs: f"{benchlib.median(runs, 'servers_cpu'):.2f}")])
    ours = costs["pgsluice"]
    report.bar(f"pgsluice ÷ {fastest}", benchlib.median(ours) / benchlib.median(costs[fastest]), BAR)
    report.bar("own CPU ÷ servers' CPU", benchlib.median(ours, "cpu")
               / benchlib.median(ours, "servers_cpu"), CPU_BAR)
    return report.finish(not options.no_write)


if __name__ == "__main__":
    sys.exit(main())
