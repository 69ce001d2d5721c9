"""Random transactions on a Schema, by several sessions at once, each with decisions of its own seed.

Load.start() begins, pause() returns when every session is between two transactions and no prepared
one is left, resume() goes on. A lost server is waited for, for its crashes are part of the test; an
error that no well-formed statement may cause fails it. What was done is in session-N.sql in the
directory.

The same seed gives the same statements in each session; how sessions interleave is the servers' part.
"""

import collections
import os
import random
import threading
import time

import psycopg

from torture.values import copy_text, identifier, literal

# what honest transactions run into: constraints, serialization, locks and pending triggers, servers that go away
EXPECTED = ("23", "40", "55", "57", "08", "53")
SESSION = ("SET lock_timeout = '2s'; SET deadlock_timeout = '200ms'; SET client_min_messages = error; "
           "SET synchronous_commit = %s")


class Copy:
    """COPY … FROM STDIN of these rows."""

    def __init__(self, statement, text):
        self.statement = statement
        self.text = text


def columns_of(row):
    return ", ".join(identifier(column.name) for column in row)


def insert(table, rows, tail=""):
    lists = ", ".join("(" + ", ".join(map(literal, row.values())) + ")" for row in rows)
    return f"INSERT INTO {table.sql} ({columns_of(rows[0])}) VALUES {lists}{tail}"


def assignments(columns, rng, size):
    return ", ".join(f"{identifier(c.name)} = {literal(c.random(rng, size))}" for c in columns)


class Statements:
    """Makes the statements; each maker returns a list of texts and Copy objects."""

    def __init__(self, schema, rng):
        self.schema = schema
        self.rng = rng
        self.tables = [table for table in schema.tables if table is not schema.parted]
        self.truncates = min(schema.versions) >= 11

    def random(self):
        """(what, statements)"""
        rng = self.rng
        if rng.random() < 0.12:
            return "parted", [self.parted()]
        table = rng.choice(self.tables)
        makers = [(self.insert, 5), (self.copy, 1), (self.upsert, 2), (self.bulk_insert, 1)]
        if table.changes:
            makers += [(self.update, 7), (self.update_many, 2), (self.delete, 2), (self.delete_many, 1)]
            if table.key:
                makers += [(self.change_key, 2), (self.replace, 2), (self.rotate_keys, 1)]
            if table.uniques:
                makers += [(self.rotate_uniques, 4), (self.swap_uniques, 4)]
            if self.schema.versions[0] >= 15 and table.arbiter():
                makers += [(self.merge, 1)]
        if self.truncates and rng.random() < 0.004:
            return "truncate", self.truncate(table)
        maker = rng.choices([m for m, _ in makers], [weight for _, weight in makers])[0]
        return maker.__name__, maker(table)

    def _number(self, table):
        return self.rng.randint(1, table.size)

    def _rows(self, table, count):
        numbers = self.rng.sample(range(1, 2 * table.size), min(count, 2 * table.size - 1))
        return [table.row(self.rng, number) for number in numbers]

    def _some(self, table):
        """Some columns beside the key, mostly few: values out of line stay as they are."""
        plain = [column for column in table.plain if not (column.big and self.rng.random() < 0.6)]
        if not plain:
            return []
        return self.rng.sample(plain, min(len(plain), self.rng.choice((1, 1, 1, 2, 3, 20))))

    def _where(self, table):
        """A condition on one row."""
        if table.key:
            return table.where(self._number(table))
        return (f"ctid = ANY (ARRAY(SELECT ctid FROM ONLY {table.sql} "
                f"OFFSET {self.rng.randint(0, table.size)} LIMIT 1))")

    def _where_many(self, table, most):
        """A condition on several rows, at most that many."""
        if not table.key:
            return (f"ctid = ANY (ARRAY(SELECT ctid FROM ONLY {table.sql} "
                    f"LIMIT {self.rng.randint(1, most)}))")
        return " OR ".join(f"({table.where(self._number(table))})" for _ in range(self.rng.randint(2, most)))

    # -- one table ----------------------------------------------------------------------------

    def insert(self, table):
        return [insert(table, self._rows(table, self.rng.choice((1, 1, 1, 2, 10))))]

    def bulk_insert(self, table):
        return [insert(table, self._rows(table, 40), "" if table.deferrable else " ON CONFLICT DO NOTHING")]

    def copy(self, table):
        rows = self._rows(table, self.rng.choice((3, 20)))
        if not rows[0]:
            return []
        lines = "".join("\t".join(map(copy_text, row.values())) + "\n" for row in rows)
        return [Copy(f"COPY {table.sql} ({columns_of(rows[0])}) FROM STDIN", lines)]

    def upsert(self, table):
        if not table.arbiter():
            return self.insert(table)
        row = table.row(self.rng, self._number(table))
        keys = ", ".join(identifier(column.name) for column in table.key)
        chosen = [identifier(column.name) for column in self._some(table)]
        action = "UPDATE SET " + ", ".join(f"{c} = EXCLUDED.{c}" for c in chosen) if chosen else "NOTHING"
        return [insert(table, [row], f" ON CONFLICT ({keys}) DO {action}")]

    def merge(self, table):
        row = table.row(self.rng, self._number(table))
        chosen = self._some(table)
        matched = "DELETE"
        if chosen and self.rng.random() < 0.7:
            matched = "UPDATE SET " + assignments(chosen, self.rng, table.size)
        return [f"MERGE INTO {table.sql} t USING (SELECT 1) s ON {table.where(self._number(table))} "
                f"WHEN MATCHED THEN {matched} WHEN NOT MATCHED THEN INSERT ({columns_of(row)}) VALUES "
                f"({', '.join(map(literal, row.values()))})"]

    def update(self, table):
        chosen = self._some(table)
        if not chosen:
            return []
        return [f"UPDATE {table.sql} SET {assignments(chosen, self.rng, table.size)} WHERE {self._where(table)}"]

    def update_many(self, table):
        """Several rows to the same values, and to what they were."""
        chosen = [column for column in self._some(table) if column not in table.uniques]
        if not chosen:
            return []
        if self.rng.random() < 0.3:
            same = ", ".join(f"{identifier(c.name)} = {identifier(c.name)}" for c in chosen)
            return [f"UPDATE {table.sql} SET {same}"]
        values = assignments(chosen, self.rng, table.size)
        return [f"UPDATE {table.sql} SET {values} WHERE {self._where_many(table, 12)}"]

    def delete(self, table):
        return [f"DELETE FROM {table.sql} WHERE {self._where(table)}"]

    def delete_many(self, table):
        return [f"DELETE FROM {table.sql} WHERE {self._where_many(table, 8)}"]

    def replace(self, table):
        number = self._number(table)
        return [f"DELETE FROM {table.sql} WHERE {table.where(number)}",
                insert(table, [table.row(self.rng, number)])]

    def _set_key(self, table, number):
        return ", ".join(f"{identifier(column.name)} = {literal(value)}"
                         for column, value in zip(table.key, table.key_values(number)))

    def change_key(self, table):
        """To a new key, and in half of the cases with other columns too."""
        more = self._some(table) if self.rng.random() < 0.5 else []
        text = self._set_key(table, self.rng.randint(1, 2 * table.size))
        if more:
            text += ", " + assignments(more, self.rng, table.size)
        return [f"UPDATE {table.sql} SET {text} WHERE {self._where(table)}"]

    def rotate_keys(self, table):
        """Some rows take each other's keys, by way of one that nobody has."""
        numbers = self.rng.sample(range(1, table.size + 1), self.rng.choice((2, 2, 3, 5)))
        spare = 2 * table.size + self.rng.randint(1, 90)
        ring = [spare, *numbers, spare]
        return [f"UPDATE {table.sql} SET {self._set_key(table, new)} WHERE {table.where(old)}"
                for new, old in zip(ring, ring[1:])]

    def _unique(self, table):
        column = self.rng.choice(table.uniques)
        top = 3 * table.size
        return column, [column.type.nth(n) for n in self.rng.sample(range(1, top), self.rng.choice((2, 3, 6)))]

    def rotate_uniques(self, table):
        column, ring = self._unique(table)
        name, spare = identifier(column.name), column.type.nth(4 * table.size)
        ring = [spare, *ring, spare]
        return [f"UPDATE {table.sql} SET {name} = {literal(new)} WHERE {name} = {literal(old)}"
                for new, old in zip(ring, ring[1:])]

    def swap_uniques(self, table):
        """All at once: only a deferrable constraint allows it."""
        column, ring = self._unique(table)
        name, type_ = identifier(column.name), column.type.sql
        cases = " ".join(f"WHEN {literal(old)}::{type_} THEN {literal(new)}::{type_}"
                         for old, new in zip(ring, ring[1:] + ring[:1]))
        return [f"UPDATE {table.sql} SET {name} = CASE {name} {cases} END "
                f"WHERE {name} IN ({', '.join(map(literal, ring))})"]

    # -- several, and the large one -----------------------------------------------------------

    def truncate(self, table):
        """One or several tables, and new rows for them."""
        chosen = [table] + self.rng.sample(self.tables, self.rng.choice((0, 0, 1, 2)))
        chosen = list({id(one): one for one in chosen}.values())
        cascade = any(one.referenced for one in chosen)
        text = "TRUNCATE " + ", ".join(one.sql for one in chosen)
        text += self.rng.choice(["", " RESTART IDENTITY", " CONTINUE IDENTITY"]) + (" CASCADE" if cascade else "")
        emptied = self.tables if cascade else chosen
        return [text, *(self._refill(one) for one in emptied if one in chosen or one.referenced)]

    def _refill(self, table):
        """Rows for an empty table, without references to others."""
        rows = [table.row(self.rng, number) for number in range(1, table.size // 3)]
        for row in rows:
            row.update({column: None for column in row if column.reach and column.nullable})
        return insert(table, rows, "" if table.deferrable else " ON CONFLICT DO NOTHING")

    def parted(self):
        """Changes that make the large table's rows move to other pages."""
        rng, sql, top = self.rng, self.schema.parted.sql, self.schema.parted.size
        first = rng.randint(1, top)
        kind = rng.random()
        if kind < 0.7:
            return (f"UPDATE {sql} SET counter = counter + 1, filler = repeat('y', {rng.randint(40, 200)}) "
                    f"WHERE id BETWEEN {first} AND {first + rng.randint(0, 40)}")
        if kind < 0.78:
            return f"DELETE FROM {sql} WHERE id = {first}"
        if kind < 0.84:
            return f"UPDATE {sql} SET id = -id WHERE id = {first}"
        if kind < 0.9:
            big = self.schema.parted.columns[3].random(rng, 1)
            return f"UPDATE {sql} SET big = {literal(big)} WHERE id = {first}"
        return (f"INSERT INTO {sql} VALUES ({first + rng.choice((0, top))}, 0, 'new') ON CONFLICT (id) "
                "DO UPDATE SET counter = " + sql + ".counter + 1")

    def large(self):
        """A transaction that no batch holds."""
        rng, sql, top = self.rng, self.schema.parted.sql, self.schema.parted.size
        first = 3 * top + rng.randint(0, 5) * 5000
        count = rng.randint(1500, 6000)
        last = first + count
        return [f"INSERT INTO {sql} SELECT g, 0, md5(g::text) FROM generate_series({first}, {last}) g "
                "ON CONFLICT (id) DO UPDATE SET counter = 0",
                f"UPDATE {sql} SET counter = counter + 1 WHERE id BETWEEN {first + count // 3} AND {last}",
                self.parted(),
                f"DELETE FROM {sql} WHERE id BETWEEN {first} AND {last} AND id % 3 <> 0"]

    def subtransactions(self):
        """Many, a third of them rolled back, in one transaction."""
        sql, first = self.schema.parted.sql, 6 * self.schema.parted.size + self.rng.randint(0, 10**6)
        return [f"""DO $do$ BEGIN FOR i IN 1..{self.rng.randint(20, 200)} LOOP BEGIN
INSERT INTO {sql} VALUES ({first} + i, i, 'sub'); UPDATE {sql} SET counter = -i WHERE id = {first} + i - 1;
IF i % 3 = 0 THEN RAISE EXCEPTION 'undone'; END IF;
EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $do$"""]


class Session(threading.Thread):
    """One session's endless transactions. `moves`: it only moves the large table's rows."""

    def __init__(self, load, number, moves=False):
        super().__init__(daemon=True, name=f"session {number}")
        self.load = load
        self.number = number
        self.moves = moves
        self.rng = load.random(f"session/{number}")
        self.make = Statements(load.schema, self.rng)
        self.connection = None
        self.gids = 0
        self.log = open(os.path.join(load.directory, f"session-{number}.sql"), "w", encoding="utf-8")

    def run(self):
        try:
            while not self.load.stopped:
                try:
                    if self.connection is None:
                        self._connect()
                    if not self.load.park(self):
                        break
                    self._transaction()
                    time.sleep(self.rng.expovariate(1 / self.load.pause_seconds))
                except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                    self._lost(error)
        except Exception as error:  # shown by the main thread
            self._note(f"-- {type(error).__name__}: {error}")
            self.load.fail(self, error)
        finally:
            self.load.gone(self)
            self.log.close()

    def _connect(self):
        self.connection = self.load.source.connect(socket=True, application_name="torture load")
        self.connection.execute(SESSION % ("off" if self.number % 2 else "on"))
        self._finish_prepared()

    def _finish_prepared(self):
        """What a crash left between PREPARE and COMMIT PREPARED."""
        for (gid,) in self.connection.execute("SELECT gid FROM pg_prepared_xacts WHERE gid LIKE %s",
                                              [f"torture {self.number} %"]).fetchall():
            self._execute(f"{self.rng.choice(('COMMIT', 'ROLLBACK'))} PREPARED {literal(gid)}")

    def _lost(self, error):
        """A connection that is gone is made anew; another operational error is a conflict."""
        state = getattr(error, "sqlstate", None)
        self.load.errors[state or "connection"] += 1
        self._note(f"-- {state}: {error}")
        if self.connection is not None and not self.connection.closed and state is not None \
                and not state.startswith(("57P", "08")):
            self._rollback()
            return
        if self.connection is not None:
            self.connection.close()
            self.connection = None
        time.sleep(0.1)

    def _rollback(self):
        self._execute("ROLLBACK")

    def _note(self, text):
        self.log.write(text[:1500].replace("\n", "\\n") + "\n")
        self.log.flush()

    def _execute(self, statement):
        if isinstance(statement, Copy):
            self._note(statement.statement)
            with self.connection.cursor() as cursor, cursor.copy(statement.statement) as copy:
                copy.write(statement.text)
            self.load.rows += statement.text.count("\n")
            return
        self._note(statement + ";")
        cursor = self.connection.execute(statement)
        if statement[:6] in ("INSERT", "UPDATE", "DELETE", "MERGE "):
            self.load.rows += max(0, cursor.rowcount)

    def _transaction(self):
        """A refused statement rolls back the transaction, or to its savepoint."""
        rng = self.rng
        if self.moves:
            self._execute(self.make.parted())
            self._committed()
            return
        guarded = rng.random() < 0.4
        kind = rng.random()
        try:
            if kind < 0.15:
                self._guarded(self.make.random()[1], False)  # no BEGIN: each is its own
                self._committed()
                return
            self._execute("BEGIN" + rng.choice(["", "", " ISOLATION LEVEL REPEATABLE READ"]))
            if kind < 0.17:
                self._all(self.make.large())
            elif kind < 0.19:
                self._all(self.make.subtransactions())
            for _ in range(rng.choice((1, 1, 2, 4, 12))):
                self._step(guarded)
            self._end()
        except psycopg.Error as error:
            if not self._conflict(error):
                raise
            self._rollback()

    def _all(self, statements):
        for statement in statements:
            self._execute(statement)

    def _conflict(self, error):
        state = error.sqlstate or "connection"
        if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)) and (
                error.sqlstate is None or self.connection.closed or state.startswith(("57P", "08"))):
            return False  # run() connects anew
        if not state.startswith(EXPECTED):
            raise AssertionError(f"the generator made a statement that fails with {state}: {error}") from error
        self.load.errors[state] += 1
        self._note(f"-- {state}")
        return True

    def _guarded(self, statements, guarded):
        if guarded:
            self._execute("SAVEPOINT guard")
        try:
            self._all(statements)
        except psycopg.Error as error:
            if not guarded or not self._conflict(error):
                raise
            self._execute("ROLLBACK TO guard")
        if guarded:
            self._execute("RELEASE guard")

    def _step(self, guarded):
        rng = self.rng
        what, statements = self.make.random()
        self.load.statements[what] += 1
        nested = rng.random()
        if nested < 0.06:  # undone, with a part of it undone before
            self._execute("SAVEPOINT a")
            self._guarded(statements, True)
            self._execute("SAVEPOINT b")
            self._guarded(self.make.random()[1], True)
            self._execute(f"ROLLBACK TO {rng.choice('ab')}")
        elif nested < 0.08:
            self._execute("CREATE TEMP TABLE IF NOT EXISTS scratch (i int); INSERT INTO scratch VALUES (1)"
                          if not self._may_prepare() else "SELECT 1")
        else:
            self._guarded(statements, guarded)

    def _may_prepare(self):
        return self.number % 2 == 0  # temporary tables and PREPARE TRANSACTION exclude each other

    def _end(self):
        rng = self.rng
        kind = rng.random()
        if kind < 0.08:
            self._execute("ROLLBACK")
            self.load.rolled_back += 1
        elif kind < 0.14 and self._may_prepare():
            self.gids += 1
            gid = literal(f"torture {self.number} {self.gids}")
            self._execute(f"PREPARE TRANSACTION {gid}")
            time.sleep(rng.choice((0, 0, 0.1, 0.5)))
            self._execute(f"{rng.choice(('COMMIT', 'COMMIT', 'ROLLBACK'))} PREPARED {gid}")
            self.load.prepared += 1
        else:
            self._execute("COMMIT")
            self._committed()

    def _committed(self):
        self.load.transactions += 1


class Upheavals(threading.Thread):
    """Now and then something that rewrites or locks whole tables, or that must have no effect."""

    def __init__(self, load):
        super().__init__(daemon=True, name="upheavals")
        self.load = load
        self.rng = load.random("upheavals")
        self.connection = None

    def run(self):
        try:
            while not self.load.stopped:
                if not self.load.park(self, self.rng.uniform(0.3, 1.7) * self.load.upheaval_seconds):
                    break
                try:
                    self.perform(*self._choose())
                except (psycopg.OperationalError, psycopg.InterfaceError):
                    self._forget()
        except Exception as error:
            self.load.fail(self, error)
        finally:
            self.load.gone(self)

    def _forget(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def _choose(self):
        rng, schema = self.rng, self.load.schema
        table = rng.choice([t for t in schema.selected() if t.rewritable] + 3 * [schema.parted])
        column = rng.choice([c for c in table.columns if c.written and not c.numbered] or [None])
        name = column and identifier(column.name)
        choices = 3 * [("VACUUM FULL", f"VACUUM FULL {table.sql}")]
        choices += [("VACUUM", f"VACUUM {table.sql}"),
                   ("REINDEX", f"REINDEX TABLE {table.sql}"),
                   ("REFRESH", f"REFRESH MATERIALIZED VIEW {schema.matview}"),
                   ("ANALYZE", f"ANALYZE {table.sql}"),
                   ("unlogged", f"INSERT INTO {identifier(schema.unselected, 'unlogged')} VALUES (1)"),
                   ("message", "SELECT pg_logical_emit_message(true, 'torture', repeat('m', 5000))"),
                   ("CREATE", f"CREATE TABLE {identifier(schema.unselected, 'new')} AS SELECT 1 AS i; "
                    f"DROP TABLE {identifier(schema.unselected, 'new')}")]
        if column:
            # a volatile expression is never taken for "no change": the heap is written anew
            choices += 3 * [("ALTER TYPE", f"ALTER TABLE {table.sql} ALTER {name} TYPE {column.type.sql} "
                             f"USING CASE WHEN random() >= 0 THEN {name} END")]
        return rng.choice(choices)

    def perform(self, what, statement):
        if self.connection is None:
            self.connection = self.load.source.connect(socket=True, application_name="torture load")
            self.connection.execute(SESSION % "on")
        try:
            self.connection.execute(statement)
            self.load.upheavals[what] += 1
            self.load.note(f"upheaval: {statement}")
        except psycopg.Error as error:
            if self.connection.closed or error.sqlstate is None:
                raise
            if not error.sqlstate.startswith((*EXPECTED, "0A")):
                raise AssertionError(f"{statement}: {error.sqlstate} {error}") from error
            self.load.errors[error.sqlstate] += 1


class Load:
    """The sessions together. `note` takes a line for the run's log."""

    def __init__(self, source, schema, seed, directory, sessions=3, pause_seconds=0.02,
                 upheaval_seconds=6.0, note=print):
        self.source = source
        self.schema = schema
        self.seed = seed
        self.directory = directory
        self.pause_seconds = pause_seconds
        self.upheaval_seconds = upheaval_seconds
        self.note = note
        self.transactions = self.rolled_back = self.prepared = self.rows = 0
        self.statements = collections.Counter()
        self.errors = collections.Counter()
        self.upheavals = collections.Counter()
        self.failure = None
        self.stopped = False
        self._paused = False
        self._changed = threading.Condition()
        self._parked = set()
        self._threads = [Session(self, number) for number in range(sessions)]
        self._threads.append(Session(self, sessions, moves=True))
        self._threads.append(Upheavals(self))
        self._alive = set(self._threads)

    def fill(self):
        """The tables' first rows; one that a constraint refuses is left out."""
        rng = self.random("rows")
        with self.source.connect(socket=True) as connection:
            connection.execute(SESSION % "off")
            for table in self.schema.tables:
                connection.execute("BEGIN; SET CONSTRAINTS ALL IMMEDIATE")
                for number in range(1, table.rows + 1):
                    connection.execute("SAVEPOINT s")
                    try:
                        connection.execute(insert(table, [table.row(rng, number)]))
                        connection.execute("RELEASE s")
                    except psycopg.IntegrityError:
                        connection.execute("ROLLBACK TO s")
                connection.execute("COMMIT")
            connection.execute(
                f"INSERT INTO {self.schema.parted.sql} SELECT g, 0, repeat('x', 60 + g % 40), CASE WHEN g % 300 = 0 "
                "THEN (SELECT string_agg(md5(g::text || i::text), '') FROM generate_series(1, 150) i) END "
                f"FROM generate_series(1, {self.schema.parted.size}) g")
            connection.execute("ANALYZE")

    def random(self, name):
        """The decisions of the thread of that name."""
        return random.Random(f"{self.seed}/{name}")

    def start(self):
        for thread in self._threads:
            thread.start()

    def join_in(self, thread):
        """One more thread, from now on."""
        with self._changed:
            self._threads.append(thread)
            self._alive.add(thread)
        thread.start()

    def park(self, thread, pause=0):
        """Called by each between transactions: waits, and while paused. False: it is over."""
        with self._changed:
            self._parked.add(thread)
            self._changed.notify_all()
            if pause:
                self._changed.wait_for(lambda: self.stopped, pause)
            self._changed.wait_for(lambda: not self._paused or self.stopped)
            self._parked.discard(thread)
            return not self.stopped

    def gone(self, thread):
        with self._changed:
            self._alive.discard(thread)
            self._changed.notify_all()

    def fail(self, thread, error):
        with self._changed:
            self.failure = self.failure or AssertionError(f"{thread.name}: {error!r}")
            self._changed.notify_all()

    def check(self):
        if self.failure:
            raise self.failure

    def pause(self, timeout=60):
        """Returns when no transaction is open, prepared ones included."""
        with self._changed:
            self._paused = True
            quiet = self._changed.wait_for(lambda: self._parked >= self._alive, timeout)
        self.check()
        assert quiet, "the load does not come to rest: " + ", ".join(
            thread.name for thread in self._alive - self._parked)
        with self.source.connect(socket=True) as connection:
            left = connection.execute("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()").fetchall()
        assert not left, f"prepared transactions are left: {left}"

    def resume(self):
        with self._changed:
            self._paused = False
            self._changed.notify_all()

    def stop(self):
        with self._changed:
            self.stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread.ident:
                thread.join(30)
