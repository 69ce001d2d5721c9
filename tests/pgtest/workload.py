"""Load on a source: pgbench, and random changes over tables of several kinds.

Both run in the background until stopped, and fail when they lose their connection.
"""

import os
import random
import subprocess
import tempfile
import threading
import time

import psycopg

from pgtest import compare, servers


class Pgbench:
    """Debian's pgbench (15) against any server. `script`: text of a custom transaction."""

    def __init__(self, database, clients=4, script=None, transactions=None, seconds=None, rate=None,
                 options=()):
        self.database = database
        self._script = None
        arguments = [servers.client("pgbench"), "-n", "-c", str(clients), "-j", "1",
                     "-M", "prepared", *options]
        if transactions:
            arguments += ["-t", str(transactions // clients)]
        else:
            arguments += ["-T", str(seconds or 86400)]
        if rate:
            arguments += ["-R", str(rate)]
        if script:
            with tempfile.NamedTemporaryFile("w", suffix=".sql", delete=False) as handle:
                handle.write(script)
            self._script = handle.name
            arguments += ["-f", self._script]
        self.arguments = [*arguments, database.conninfo(socket=True)]
        self.process = None
        self.output = ""

    @staticmethod
    def initialize(database, scale=1, options=()):
        """The four tables, filled, with keys and foreign keys as `options` say."""
        subprocess.run([servers.client("pgbench"), "-i", "-q", "-s", str(scale), *options,
                        database.conninfo(socket=True)], check=True, capture_output=True)

    def start(self):
        self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return self

    def wait(self, timeout=600):
        """Until its transactions are done; fails if any failed."""
        self.output, _ = self.process.communicate(timeout=timeout)
        self._remove_script()
        assert self.process.returncode == 0, f"pgbench failed:\n{self.output}"
        return self

    def stop(self):
        """Ends it between transactions as far as it can; returns when its sessions are gone."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
        self.output, _ = self.process.communicate(timeout=30)
        self._remove_script()
        wait_for_quiet(self.database, "pgbench")

    def running(self):
        return self.process is not None and self.process.poll() is None

    def _remove_script(self):
        if self._script and os.path.exists(self._script):
            os.unlink(self._script)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def wait_for_quiet(database, application, timeout=30):
    """A killed client's last transaction may still be running on the server."""
    deadline = time.monotonic() + timeout
    query = ("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
             "AND application_name = %s AND pid <> pg_backend_pid()")
    while database.value(query, [application]):
        if time.monotonic() > deadline:
            raise AssertionError(f"{application} still has sessions in {database.name}")
        time.sleep(0.02)


SCHEMA = """
CREATE TABLE parted (id bigint PRIMARY KEY, counter int NOT NULL DEFAULT 0, filler text, big text)
  WITH (fillfactor = 100);
CREATE TABLE keyless (id int, payload text, at timestamptz DEFAULT now());
CREATE TABLE accounts (id int PRIMARY KEY, code text UNIQUE, balance numeric(20,4), tags text[],
  data jsonb, seen timestamptz);
CREATE TABLE entries (id bigserial PRIMARY KEY, account int REFERENCES accounts, amount numeric,
  note text);
CREATE TABLE compound (a int, b uuid, c text, d double precision, PRIMARY KEY (a, b));
CREATE INDEX ON entries (account);
CREATE INDEX ON parted (counter);
"""


class RandomChanges:
    """Random transactions over the tables of SCHEMA, by several sessions, from a printed seed.

    parted    updates that make rows wider, so that they move to other pages; long values out of line
    keyless   inserts only (unless identity_full: updates and deletes too)
    accounts  inserts, updates of keys and of other columns, deletes, upserts
    entries   children of accounts, in bursts
    compound  two-column key
    Some transactions roll back, wholly or to a savepoint.
    """

    def __init__(self, database, seed=None, sessions=2, rows=20000, identity_full=False, pause=0.0):
        self.database = database
        self.seed = random.randrange(1 << 30) if seed is None else seed
        self.sessions = sessions
        self.rows = rows
        self.identity_full = identity_full
        self.pause = pause
        self.transactions = 0
        self.error = None
        self._stop = threading.Event()
        self._threads = []
        print(f"RandomChanges seed {self.seed}")

    def create(self):
        """Makes and fills the tables."""
        self.database.script(SCHEMA)
        if self.identity_full:
            self.database.sql("ALTER TABLE keyless REPLICA IDENTITY FULL")
        n = self.rows
        self.database.script(f"""
INSERT INTO parted SELECT g, 0, repeat('x', 60 + g % 40), CASE WHEN g % 500 = 0 THEN
  (SELECT string_agg(md5(g::text || i::text), '') FROM generate_series(1, 120) i) END
  FROM generate_series(1, {n}) g;
INSERT INTO keyless SELECT g % 97, md5((g / 3)::text) FROM generate_series(1, {max(1, n // 4)}) g;
INSERT INTO accounts SELECT g, 'c' || g, g * 1.5, ARRAY['a', NULL, g::text], '{{"n": 1}}', now()
  FROM generate_series(1, 500) g;
INSERT INTO entries (account, amount, note) SELECT 1 + g % 500, g / 7.0, NULL
  FROM generate_series(1, {max(1, n // 4)}) g;
INSERT INTO compound SELECT g, md5(g::text)::uuid, 'text ' || g, g / 3.0
  FROM generate_series(1, 1000) g;
VACUUM ANALYZE;
""")
        return self

    def start(self):
        self._stop.clear()
        self._threads = [threading.Thread(target=self._work, args=(number,), daemon=True)
                         for number in range(self.sessions)]
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        if self.error:
            raise self.error

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def _work(self, number):
        source = random.Random(self.seed * 1000 + number)
        try:
            with self.database.connect(socket=True, autocommit=False,
                                       application_name="random_changes") as connection:
                while not self._stop.is_set():
                    self._transaction(connection, source)
                    if self.pause:
                        time.sleep(self.pause)
        except Exception as error:  # shown by stop(), in the test's own thread
            self.error = error

    def _transaction(self, connection, source):
        """A conflict with another session only rolls this one back."""
        try:
            for _ in range(source.choice((1, 1, 2, 5, 20))):
                self._statement(connection, source)
                if source.random() < 0.05:
                    connection.execute("SAVEPOINT s")
                    self._statement(connection, source)
                    connection.execute("ROLLBACK TO s")
            if source.random() < 0.07:
                connection.rollback()
            else:
                connection.commit()
                self.transactions += 1
        except (psycopg.errors.IntegrityError, psycopg.errors.DeadlockDetected,
                psycopg.errors.LockNotAvailable):
            connection.rollback()

    def _statement(self, connection, source):
        statement, params = source.choice(self._choices())(source)
        connection.execute(statement, params)

    def _choices(self):
        choices = [self._parted, self._parted, self._keyless, self._accounts, self._entries,
                   self._compound]
        return choices + ([self._keyless_changes] if self.identity_full else [])

    def _parted(self, source):
        first = source.randint(1, self.rows)
        kind = source.random()
        if kind < 0.7:
            return ("UPDATE parted SET counter = counter + 1, filler = repeat('y', %s) "
                    "WHERE id BETWEEN %s AND %s", [source.randint(40, 200), first,
                                                   first + source.randint(0, 30)])
        if kind < 0.8:
            return "DELETE FROM parted WHERE id = %s", [first]
        if kind < 0.85:
            return "UPDATE parted SET id = -id WHERE id = %s", [first]
        if kind < 0.9:
            return ("UPDATE parted SET big = (SELECT string_agg(md5(random()::text), '') "
                    "FROM generate_series(1, 100)) WHERE id = %s", [first])
        if self.database.version == "9.4":
            return "UPDATE parted SET id = id + 3000000 WHERE id = %s", [first]
        return ("INSERT INTO parted VALUES (%s, 0, 'new') ON CONFLICT (id) DO UPDATE "
                "SET counter = parted.counter + 1", [first + source.choice((0, self.rows))])

    def _keyless(self, source):
        return ("INSERT INTO keyless SELECT g, %s FROM generate_series(1, %s) g",
                [f"p{source.randint(1, 50)}", source.randint(1, 10)])

    def _keyless_changes(self, source):
        if source.random() < 0.5:
            return ("DELETE FROM keyless WHERE ctid IN (SELECT ctid FROM keyless WHERE id = %s LIMIT 2)",
                    [source.randint(0, 96)])
        return ("UPDATE keyless SET payload = payload || '.' WHERE ctid IN "
                "(SELECT ctid FROM keyless WHERE id = %s LIMIT 2)", [source.randint(0, 96)])

    def _accounts(self, source):
        ident = source.randint(1, 600)
        kind = source.random()
        if kind < 0.5:
            return ("UPDATE accounts SET balance = balance + %s, seen = clock_timestamp() "
                    "WHERE id = %s", [source.randint(-100, 100), ident])
        if kind < 0.7:
            if self.database.version == "9.4":
                return ("INSERT INTO accounts SELECT %s, %s, 1, '{}', NULL, now() WHERE NOT EXISTS "
                        "(SELECT FROM accounts WHERE id = %s)", [ident, f"n{ident}", ident])
            return ("INSERT INTO accounts VALUES (%s, %s, 1, '{}', NULL, now()) "
                    "ON CONFLICT (id) DO UPDATE SET tags = accounts.tags[1:20] || 'u'::text",
                    [ident, f"n{ident}"])
        if kind < 0.85:
            return "UPDATE accounts SET code = code || 'k', data = '{\"k\": [1, 2]}' WHERE id = %s", [ident]
        return ("DELETE FROM accounts a WHERE id = %s AND NOT EXISTS "
                "(SELECT FROM entries WHERE account = a.id)", [ident])

    def _entries(self, source):
        if source.random() < 0.2:
            return "DELETE FROM entries WHERE id IN (SELECT id FROM entries ORDER BY id LIMIT 20)", []
        return ("INSERT INTO entries (account, amount, note) SELECT id, random() * 100, 'burst' "
                "FROM accounts WHERE id BETWEEN %s AND %s + 20", [(low := source.randint(1, 580)), low])

    def _compound(self, source):
        if source.random() < 0.3:
            return ("UPDATE compound SET b = md5(random()::text)::uuid WHERE a = %s",
                    [source.randint(1, 1000)])
        return "UPDATE compound SET c = %s, d = random() WHERE a BETWEEN %s AND %s + 5", [
            f"t{source.random()}", (low := source.randint(1, 1000)), low]


def stays_in_step(pair, task):
    """Random changes during the copy and the stream, and in a second life after it. `task` synchronizes the pair."""
    load = RandomChanges(pair.source, rows=3000).create()
    with load:
        task.sync()
        time.sleep(1)
    assert load.transactions > 20
    task.sync()
    compare.assert_equal(pair.source, pair.destination)
    with load:
        time.sleep(0.5)
    task.sync()
    compare.assert_equal(pair.source, pair.destination)
