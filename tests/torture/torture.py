#!/usr/bin/python3
"""Tortures `pgsluice run`: random schemas, random transactions, random faults, row-by-row comparison.

    tests/torture/torture.py --seed N --minutes M --faults F [--src-version 15] [--dst-version 15]

A run is made of rounds of some four minutes. Each round has new databases with a new schema under
load from the first moment, and a task. The large table's copy is throttled, so that the first faults
happen inside it; then come faults in the stream, with quiet points between them: the load rests, all
that is committed arrives, and both databases are compared. At the end of a round the task catches up
with what was written without it, is compared again and released, and nothing of it may be left.

Every decision comes from the seed: the schema, each session's statements, each fault, its moment and
its details. Moments of processes and networks do not, so a replay goes the same way without being
the same. A failure keeps the directory with all logs and says how to replay the round.

The executable is $PGSLUICE, else build/pgsluice of this checkout.
"""

import argparse
import collections
import os
import random
import shutil
import sys
import tempfile
import threading
import time

if __package__ in (None, ""):
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    del sys.path[1]  # this directory: its modules are torture.*

import psycopg

from pgtest import cluster as clusters
from pgtest import compare, plugin
from pgtest.cluster import Cluster
from pgtest.proxy import DOWN, Proxy
from pgtest.sluice import DONE, PRECHECK, Sluice, endpoint
from torture import faults
from torture.alter import Alterations
from torture.load import Load
from torture.schema import Schema
from torture.values import literal

ROUND_MINUTES = 4
PART_BYTES = 262144  # the large table has some 4 MB: a dozen parts or more
COPY_RATE = 400_000  # bytes a second and connection while faults in the copy are to come
ARRIVAL_SECONDS = 180  # for all that is committed to arrive once nothing is in the way
SETTINGS = {"max_prepared_transactions": 30, "max_wal_senders": 20, "max_replication_slots": 20,
            "logical_decoding_work_mem": "256kB", "wal_sender_timeout": "15s", "checkpoint_timeout": "30s"}
NEW_PARTITION = "is a new partition of"  # a worker that does not follow it says so; the next one has it
SINCE_13 = ("logical_decoding_work_mem",)


# keys, checks, foreign keys and indexes: (table, name, kind, in force, definition)
STRUCTURE = """
SELECT c.conrelid::regclass::text, c.conname::text, c.contype::text, c.convalidated, pg_get_constraintdef(c.oid)
FROM pg_constraint c WHERE c.connamespace = ANY (SELECT oid FROM pg_namespace WHERE nspname = ANY (%(schemas)s))
  AND c.conrelid <> 0 AND c.contype <> 'n'
UNION ALL
SELECT i.indrelid::regclass::text, r.relname::text, 'index', i.indisvalid, pg_get_indexdef(i.indexrelid)
FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid
WHERE r.relnamespace = ANY (SELECT oid FROM pg_namespace WHERE nspname = ANY (%(schemas)s))
"""


class Worker:
    """Keeps `pgsluice run` going: a service manager that also kills it."""

    def __init__(self, world, task):
        self.world = world
        self.task = task
        self.running = None
        self.started = 0.0
        self.starts = 0

    def start(self, *options):
        self.starts += 1
        self.started = time.monotonic()
        self.running = self.task.background(*options)

    def kill(self):
        self.check()
        self._keep(self.running.kill9(), "killed")

    def interrupt(self):
        self.check()
        finished = self.running.interrupt(60)
        self._keep(finished, "interrupted")
        return finished

    def _keep(self, finished, how):
        path = os.path.join(self.world.directory, f"worker-{self.starts}.txt")
        with open(path, "w", encoding="utf-8") as handle:
            handle.write(f"{how}\n{finished!r}\n")

    def check(self):
        """It must not end by itself, unless it was started while a server could not be reached."""
        if self.running.running():
            return
        finished = self.running.wait(10)
        self._keep(finished, "ended by itself")
        age = time.monotonic() - self.started
        if finished.code == PRECHECK and self.world.disturbed_since(self.started) and age < 60:
            self.world.note("the worker could not start, again")
            self.world.count["refused starts"] += 1
            time.sleep(0.3)
            self.start()
            return
        if NEW_PARTITION in finished.text:
            self.world.note("the worker ended at a new partition, again")
            self.world.count["ends at a new partition"] += 1
            self.start()
            return
        told = [line for line in repr(finished).splitlines() if '"finding"' not in line]
        raise AssertionError("the worker ended by itself: " + "\n".join(told[:1] + told[-15:]))


class World:
    """One round: servers, proxies, databases, load, worker."""

    def __init__(self, run, number):
        self.run = run
        self.number = number
        self.seed = f"{run.options.seed}/{number}"
        self.count = run.count
        self.directory = os.path.join(run.directory, f"round-{number}")
        os.makedirs(self.directory)
        self.clusters = run.clusters
        self.proxies = run.proxies
        rng = random.Random(f"{self.seed}/schema")
        self.keyless = rng.choice(["insert_only", "full"])
        self.databases = {side: cluster.create_database(f"torture_{number}")
                          for side, cluster in self.clusters.items()}
        self.schema = Schema(rng, run.versions, run.extensions, self.keyless)
        source = self.databases["source"]
        with open(os.path.join(self.directory, "schema.sql"), "w", encoding="utf-8") as handle:
            handle.write(";\n".join(self.schema.ddl()) + ";\n")
        for statement in self.schema.ddl():
            source.sql(statement)
        self.load = Load(source, self.schema, self.seed, self.directory, note=self.note)
        self.load.fill()
        task = Sluice(self.directory, *(endpoint(self.databases[side], port=self.proxies[side].port)
                                        for side in faults.SIDES),
                      name=f"torture {number}", keyless=self.keyless, workers=3, retry_minutes=10,
                      objects=[{"schema": name} for name in self.schema.schemas],
                      environment={"PGSLUICE_PART_BYTES": str(PART_BYTES)},
                      **({"decoder": run.options.decoder} if run.options.decoder else {}))
        self.task = task
        self.worker = Worker(self, task)
        self.faults = random.Random(f"{self.seed}/faults")
        self.markers = 0
        self.disturbance = (0.0, 0.0)
        self.alterations = None

    def note(self, text):
        self.run.note(f"[{self.number}] {text}")

    def disturbed_since(self, moment):
        return self.disturbance[1] >= moment

    def rest(self, seconds):
        """Sleeps, and fails as soon as the load has; the worker is the caller's business."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.load.check()
            time.sleep(min(0.1, max(0, end - time.monotonic())))

    def watch(self, seconds):
        """Sleeps while everything has to work."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.rest(min(0.2, seconds))
            self.worker.check()

    # -- what the destination says -----------------------------------------------------------

    def _ask(self, statement):
        try:
            return self.databases["destination"].sql(statement)
        except psycopg.Error:
            return None  # not there yet, or a server that is starting

    def parts(self):
        """(state of the large table, its finished or begun parts)"""
        name = literal(self.schema.parted.name)
        state = self._ask(f"SELECT state FROM pgsluice.tables WHERE table_name = {name}")
        parts = self._ask(f"SELECT count(*) FROM pgsluice.part WHERE table_name = {name}")
        return (state[0][0] if state else None, parts[0][0] if parts else 0)

    def streaming(self):
        states = self._ask("SELECT DISTINCT state FROM pgsluice.tables")
        return states and {state for (state,) in states} <= {"catching_up", "synchronizing"}

    def in_step(self):
        """No table is being copied again beside the stream."""
        return self._ask("SELECT count(*) = 0 FROM pgsluice.tables WHERE state <> 'synchronizing' "
                         "OR snapshot_lsn = 'FFFFFFFF/FFFFFFFF'") == [(True,)]

    def assert_no_errors(self):
        rows = self._ask("SELECT table_name, operation, conflict, key, sqlstate, message FROM pgsluice.error LIMIT 5")
        assert not rows, f"errors or conflicts are recorded: {rows}"
        states = self._ask("SELECT table_name, state, reason FROM pgsluice.tables WHERE state IN ('failed', 'set_aside')")
        assert not states, f"tables are not synchronized: {states}"

    # -- faults --------------------------------------------------------------------------------

    def fault(self, kinds, where):
        kind, function = faults.choose(self.faults, kinds)
        detail = random.Random(self.faults.random())
        self.worker.check()
        state, parts = self.parts()
        inside = state == "copying"
        self.disturbance = (time.monotonic(), float("inf"))
        self.note(f"fault: {kind} ({where}; table in parts: {state}, {parts} parts, "
                  f"{self.load.transactions} transactions)")
        said = function(self, detail)
        self.disturbance = (self.disturbance[0], time.monotonic() + 1)
        self.note(f"fault over: {said}")
        self.count["faults"] += 1
        self.run.kinds[kind] += 1
        if inside:
            self.count["faults inside the copy"] += 1
            self.count["of these with several parts"] += parts > 1

    def copy_phase(self, number):
        """Faults while the large table is being copied and its rows move."""
        self.proxies["source"].throttle(COPY_RATE, DOWN)
        for _ in range(number):
            deadline = time.monotonic() + 60
            while (state := self.parts()[0]) != "copying":
                self.watch(0.1)
                if state not in (None, "waiting") or time.monotonic() > deadline:
                    self.note(f"no copy to disturb: {self.parts()}")
                    break
            self.watch(self.faults.uniform(0, 3))
            self.fault(faults.IN_COPY, "copy")
        self.proxies["source"].throttle(None)

    def stream_phase(self, number, deadline):
        next_quiet = time.monotonic() + 5
        while number > 0:
            left = max(0, deadline - time.monotonic())
            self.watch(min(20, left / (number + 1)) * self.faults.uniform(0.3, 1.7))
            self.fault(faults.FAULTS, "stream")
            number -= 1
            if time.monotonic() > next_quiet or number == 0:
                self.quiet(self.faults.choice(("running", "running", "until caught up")))
                next_quiet = time.monotonic() + self.faults.uniform(10, 40)

    # -- quiet points --------------------------------------------------------------------------

    def quiet(self, how, last=False):
        """Everything that is committed is there, nothing else is, and no error was recorded."""
        self.load.pause()
        if self.alterations:
            self.alterations.finish()
        started = time.monotonic()
        if how == "running":
            self._wait_for(self.streaming, "the stream's begin")  # a marker can also come with the copy
            self.markers += 1
            self.databases["source"].sql(f"INSERT INTO {self.schema.marker} VALUES ({self.markers})")
            self._wait_for(lambda: self._ask(f"SELECT 1 FROM {self.schema.marker} WHERE number = {self.markers}"),
                           "what was committed")
        else:
            self.worker.check()
            if self.worker.running.running():
                self.worker.interrupt()
            self._catch_up()
        if how == "running":
            if self.alterations:
                self._wait_for(self._partitions_arrived, "the new partitions")
            self._wait_for(self.in_step, "the end of a resync")
        if self.alterations:
            self.alterations.tidy()
        arrived = time.monotonic() - started
        result = compare.compare(self.databases["source"], self.databases["destination"],
                                 schemas=self.schema.schemas)
        self.count["comparisons"] += 1
        self.count["compared rows"] += result.rows
        self.note(f"quiet point ({how}, arrived in {arrived:.1f} s): {result}")
        if not result:
            self.count["differences"] += len(result.differences)
            raise AssertionError("the databases differ:\n" + "\n".join(line[:160] for line in result.differences))
        self.assert_no_errors()
        if how != "running":
            self.worker.start()
        if not last:
            self.load.resume()

    def _catch_up(self):
        for _ in range(10):  # new partitions
            finished = self.task.call("run", "--json", "--until-caught-up", code=None, timeout=ARRIVAL_SECONDS)
            if finished.code == DONE:
                return
            assert NEW_PARTITION in finished.text, f"catching up: {finished!r}"
            self.count["ends at a new partition"] += 1

    def _partitions_arrived(self):
        missing = [leaf for leaf in self.alterations.new_leaves if not self._ask(
            f"SELECT 1 FROM pgsluice.tables WHERE table_name = {literal(leaf)} AND state = 'synchronizing'")]
        return not missing

    def _wait_for(self, condition, what):
        deadline = time.monotonic() + ARRIVAL_SECONDS
        while not condition():
            self.watch(0.1)
            assert time.monotonic() < deadline, (
                f"{what} is not there after {ARRIVAL_SECONDS} s\n{self.worker.running.describe()}")

    # -- a round --------------------------------------------------------------------------------

    def play(self, number, seconds):
        deadline = time.monotonic() + seconds
        in_copy = min(number, max(2, round(number * 0.25)))
        self.note(f"seed {self.seed}, keyless {self.keyless}, {len(self.schema.tables)} tables, {number} faults")
        self.load.start()
        self.worker.start()
        self.copy_phase(in_copy)
        self.quiet("running")
        if not self.run.options.plain and self.run.options.decoder in (None, "pgoutput"):
            self.alterations = Alterations(self.load, self.databases, self.note)
            self.load.join_in(self.alterations)
        self.stream_phase(number - in_copy, deadline)
        self.quiet("running")
        self.worker.interrupt()
        self.rest(2)  # the load goes on without a worker
        self.worker.start()
        self.quiet("until caught up", last=True)
        self.worker.interrupt()
        self.load.stop()
        self._assert_same_structure()
        self.task.call("release")
        self._assert_nothing_left()

    def _assert_same_structure(self):
        """No key, check, foreign key or index is missing, and all are in force."""
        same = self.run.versions[0] == self.run.versions[1]
        found = []
        for side in faults.SIDES:
            with self.databases[side].connect(socket=True, options="-c search_path=") as connection:
                rows = connection.execute(STRUCTURE, {"schemas": self.schema.schemas}).fetchall()
            found.append({row if same else row[:4] for row in rows})
        assert found[0] == found[1], (f"only in the source: {sorted(found[0] - found[1])}, "
                                      f"only in the destination: {sorted(found[1] - found[0])}")

    def _assert_nothing_left(self):
        source = self.databases["source"]
        assert source.slots() == [] and source.publications() == [], (source.slots(), source.publications())
        assert "pgsluice" not in self.databases["destination"].schemas()

    def close(self):
        self.load.stop()
        self.task.kill_all()
        self.run.tally(self.load)
        if self.alterations:
            self.run.alterations.update(self.alterations.counts)
        for proxy in self.proxies.values():
            calm(proxy)

    def drop_databases(self):
        source = self.databases["source"]
        for (gid,) in source.sql("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"):
            source.sql(f"ROLLBACK PREPARED {literal(gid)}")
        for database in self.databases.values():
            database.drop()

    def drop(self):
        self.drop_databases()
        shutil.rmtree(self.directory)

    def keep_evidence(self):
        """Logs of the servers and what the destination remembers, beside what is there already."""
        for side, cluster in self.clusters.items():
            shutil.copy(cluster.logfile, os.path.join(self.directory, f"{side}.log"))
        with open(os.path.join(self.directory, "state.txt"), "w", encoding="utf-8") as handle:
            for table in ("task", "task_state", "checkpoint", "tables", "part", "error", "object"):
                for row in self._ask(f"SELECT t::text FROM pgsluice.{table} t") or []:
                    handle.write(f"{table}: {row[0]}\n")
        with open(os.path.join(self.directory, "worker-last.txt"), "w", encoding="utf-8") as handle:
            handle.write(self.worker.running.describe(1000) if self.worker.running else "never started")


def calm(proxy):
    proxy.orphan(False)
    proxy.refuse(False)
    proxy.delay(0)
    proxy.throttle(None)
    proxy.resume()
    proxy.release()


class Run:
    """All rounds, and what they add up to."""

    def __init__(self, options):
        self.options = options
        self.versions = (options.src_version, options.dst_version)
        self.directory = tempfile.mkdtemp(prefix="pgs-torture-")
        os.chmod(self.directory, 0o755)
        self.started = time.monotonic()
        self.count = collections.Counter()
        self.kinds = collections.Counter()
        self.statements = collections.Counter()
        self.upheavals = collections.Counter()
        self.alterations = collections.Counter()
        self.errors = collections.Counter()
        self.clusters, self.proxies = {}, {}
        self._lock = threading.Lock()
        self._log = open(os.path.join(self.directory, "torture.log"), "w", encoding="utf-8")

    def note(self, text):
        line = f"{time.strftime('%H:%M:%S', time.gmtime())} {time.monotonic() - self.started:7.1f} {text}"
        with self._lock:
            self._log.write(line + "\n")
            self._log.flush()
            if self.options.verbose:
                print(line, flush=True)

    def tally(self, load):
        self.count["transactions"] += load.transactions
        self.count["rows"] += load.rows
        self.count["prepared transactions"] += load.prepared
        self.count["rolled back"] += load.rolled_back
        self.statements.update(load.statements)
        self.upheavals.update(load.upheavals)
        self.errors.update(load.errors)

    def _open(self):
        for side, version in zip(faults.SIDES, self.versions):
            settings = {name: value for name, value in SETTINGS.items() if version >= 13 or name not in SINCE_13}
            if side == "source" and self.options.decoder == "pgsluice":
                settings.update(plugin.settings())
            cluster = self.clusters[side] = Cluster(version, settings).start()
            self.proxies[side] = Proxy(cluster.port)
        self.extensions = [name for name, probe in (
            ("citext", "CREATE EXTENSION citext"), ("hstore", "CREATE EXTENSION hstore"), ("xml", "SELECT '<a/>'::xml"))
            if all(self._can(cluster, probe) for cluster in self.clusters.values())]

    @staticmethod
    def _can(cluster, statement):
        try:
            with cluster.connect(socket=True) as connection:
                connection.execute("BEGIN")
                connection.execute(statement)
                connection.execute("ROLLBACK")
            return True
        except psycopg.Error:
            return False

    def replay(self, number):
        options = self.options
        return (f"tests/torture/torture.py --seed {options.seed} --minutes {options.minutes:g} --faults {options.faults} "
                f"--src-version {options.src_version} --dst-version {options.dst_version}"
                f"{f' --decoder {options.decoder}' if options.decoder else ''}{' --plain' if options.plain else ''} --round {number}")

    def go(self):
        """True when nothing differed and nothing went wrong."""
        options = self.options
        rounds = max(1, round(options.minutes / ROUND_MINUTES))
        share = [options.faults * (i + 1) // rounds - options.faults * i // rounds for i in range(rounds)]
        print(f"torture: seed {options.seed}, {rounds} rounds, {options.faults} faults, PostgreSQL "
              f"{self.versions[0]} to {self.versions[1]}, logs in {self.directory}", flush=True)
        failed = []
        try:
            self._open()
            for number in range(rounds):
                if options.round in (None, number) and not self._round(
                        number, share[number], options.minutes * 60 / rounds):
                    failed.append(number)
                    if not options.go_on:
                        break
        finally:
            for proxy in self.proxies.values():
                proxy.close()
            for cluster in self.clusters.values():
                cluster.remove()
        self._summary(failed)
        if failed or options.keep:
            print(f"logs: {self.directory}", flush=True)
        else:
            shutil.rmtree(self.directory)
        return not failed

    def _round(self, number, share, seconds):
        """Plays one round. False: it failed; its evidence is kept."""
        try:
            world = World(self, number)
        except Exception as error:
            print(f"round {number} cannot begin: {error!r}\nreplay: {self.replay(number)}", flush=True)
            return False
        try:
            world.play(share, seconds)
        except Exception as error:
            self.note(f"FAILED: {error}")
            print(f"round {number} failed: {error}\nreplay: {self.replay(number)}", flush=True)
            world.load.stop()
            for cluster in self.clusters.values():
                if not cluster.running():
                    cluster.start()
            world.keep_evidence()
            world.close()
            world.drop_databases()
            return False
        world.close()
        world.drop()
        self.count["rounds"] += 1
        return True

    def _summary(self, failed):
        lines = [f"{'FAILED in round ' + ', '.join(map(str, failed)) if failed else 'passed'}: seed {self.options.seed}, "
                 f"{(time.monotonic() - self.started) / 60:.1f} minutes"]
        self.count.setdefault("differences", 0)
        lines += [f"  {name}: {value}" for name, value in self.count.items()]
        for name, counter in (("faults by kind", self.kinds), ("statements", self.statements),
                              ("upheavals", self.upheavals), ("alterations", self.alterations), ("refused statements", self.errors)):
            lines.append(f"  {name}: " + ", ".join(f"{key} {value}" for key, value in sorted(counter.items())))
        self._log.write("\n".join(lines) + "\n")
        print("\n".join(lines), flush=True)


def arguments(words=None):
    parser = argparse.ArgumentParser(prog="torture.py", description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=None, help="default: a random one, which is printed")
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--faults", type=int, default=12)
    parser.add_argument("--src-version", type=int, default=15)
    parser.add_argument("--dst-version", type=int, default=15)
    parser.add_argument("--decoder", default=None, help="the output plugin; pgsluice on source version 15 only")
    parser.add_argument("--plain", action="store_true", help="no changes of definitions")
    parser.add_argument("--round", type=int, default=None, help="only this round of the run")
    parser.add_argument("--go-on", action="store_true", help="play the other rounds when one has failed")
    parser.add_argument("--keep", action="store_true", help="keep the logs of a run that passed")
    parser.add_argument("--quiet", dest="verbose", action="store_false", help="only the summary")
    options = parser.parse_args(words)
    if options.seed is None:
        options.seed = random.randrange(1 << 30)
    return options


def main():
    os.nice(5)
    clusters.sweep()
    return 0 if Run(arguments()).go() else 1


if __name__ == "__main__":
    sys.exit(main())
