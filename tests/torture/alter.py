"""Changes of the tables' definitions in the middle of the stream, as an operator makes them.

A session of its own adds, fills, widens and drops columns beside what the other sessions write,
switches replica identities, adds values to an enum and partitions to a table, all of it in
transactions with changes of rows, some of them undone first. What the destination must have before a
change arrives is made there first, what it may lose only at a quiet point, where columns are also
renamed on both sides. Every statement can be repeated, for servers and sessions die in between.

What it does not do: what the task is to notice as an error (a column that the destination lacks).
"""

import collections
import os
import threading
import time

import psycopg

from torture.load import EXPECTED, SESSION, assignments, insert
from torture.schema import Column
from torture.values import BIG, Type, by_name, identifier, literal

# such that a value on its way is in the wider type what the conversion makes of it (not so for floats)
WIDER = {"smallint": "bigint", "integer": "bigint", "varchar(40)": "text", "numeric(12,3)": "numeric"}
BOTH = ("source", "destination")


class Change:
    """One change of a definition.

    before  the destination's statements, first
    source  the source's, in a transaction with changes of rows
    after   changes of rows that need it, in the same transaction
    done    called when the source has it
    """

    def __init__(self, what, source, before=(), after=(), done=lambda: None):
        self.what = what
        self.source = list(source)
        self.before = list(before)
        self.after = list(after)
        self.done = done
        self.tried = False


class Alterations(threading.Thread):
    """The session. `load` is the other sessions' Load; `databases` are both sides' by name."""

    def __init__(self, load, databases, note):
        super().__init__(daemon=True, name="alterations")
        self.load = load
        self.schema = load.schema
        self.databases = databases
        self.note = note
        self.rng = load.random("alterations")
        self.connections = dict.fromkeys(BOTH)
        self.current = None
        self.counts = collections.Counter()
        self.numbers = 0
        self.leaves = 1
        self.new_leaves = []
        self.log = open(os.path.join(load.directory, "alterations.sql"), "w", encoding="utf-8")
        self.tables = [table for table in self.schema.selected() if table.key and table.alterable]
        self.added = {table: [] for table in self.tables}
        self.gone = []  # the destination's statements at the next quiet point
        self.labels = list(self.schema.labels)
        self.enum = Type(self.schema.changing_enum, self.labels)

    def run(self):
        try:
            while self.load.park(self, self.rng.uniform(0.05, 0.6)):
                self._step()
        except Exception as error:  # shown by the main thread
            self.load.fail(self, error)
        finally:
            self.load.gone(self)
            self._close()
            self.log.close()

    # -- sessions ------------------------------------------------------------------------------

    def _close(self):
        for side in BOTH:
            if self.connections[side] is not None:
                self.connections[side].close()
                self.connections[side] = None

    def _run(self, side, statements):
        """Whether they were done. What honest statements run into is no error."""
        try:
            if self.connections[side] is None:
                self.connections[side] = self.databases[side].connect(socket=True, application_name="torture load")
                self.connections[side].execute(SESSION % "on")
            for statement in statements:
                self._log(f"{statement};" if side == "source" else f"-- destination: {statement};")
                self.connections[side].execute(statement)
            return True
        except psycopg.Error as error:
            return self._refused(side, error, statements)

    def _log(self, text):
        self.log.write(text[:1500].replace("\n", "\\n") + "\n")
        self.log.flush()

    def _refused(self, side, error, statements):
        connection, state = self.connections[side], error.sqlstate
        lost = connection is None or connection.closed or state is None or state.startswith(("57P", "08"))
        if not lost and not state.startswith(EXPECTED):
            raise AssertionError(f"{side}: {state} {error}\n" + ";\n".join(statements)[:3000]) from error
        self.load.errors[state or "connection"] += 1
        self._log(f"-- {state}: {error}")
        if not lost:
            try:
                connection.execute("ROLLBACK")
                return False
            except psycopg.Error:
                pass
        if connection is not None:
            connection.close()
            self.connections[side] = None
        time.sleep(0.1)
        return False

    # -- steps ---------------------------------------------------------------------------------

    def _step(self):
        if self.current is None and self.rng.random() < 0.6:
            self._run("source", self._transaction(self._rows()))
            return
        if self.current is None:
            self.current = self._choose()
        self._go_on()

    def _go_on(self):
        """The next steps of the change that is begun; what did not succeed is tried again later."""
        change = self.current
        if change.before and not self._run("destination", change.before):
            return
        change.before = []
        statements = change.source if change.tried else self._transaction(self._around(change))
        change.tried = True
        if not self._run("source", statements):
            return
        change.done()
        self.counts[change.what] += 1
        self.note(f"alteration: {change.source[0][:200]}")
        self.current = None

    def _transaction(self, statements):
        return ["BEGIN", *statements, "COMMIT"]

    def _around(self, change):
        """With changes of rows before and after it; sometimes undone to a savepoint, and done again."""
        statements = change.source + change.after
        first = self._rows() if self.rng.random() < 0.7 else []
        again = ["SAVEPOINT a", *statements, *self._rows(), "ROLLBACK TO a"] if self.rng.random() < 0.3 else []
        return [*first, *again, *statements, *(self._rows() if self.rng.random() < 0.7 else [])]

    def _rows(self):
        """Changes of rows, with the columns that are there for certain."""
        made = []
        for _ in range(self.rng.choice((1, 1, 2, 5))):
            if self.schema.growing and self.rng.random() < 0.25:
                made.append(self._growing_rows())
                continue
            made += self._row(self.rng.choice(self.tables))
        return made

    def _row(self, table):
        rng, columns = self.rng, [column for column in self.added[table] if not column.busy]
        number = rng.randint(1, table.size)
        kind = rng.random()
        if kind < 0.15:
            return [f"DELETE FROM {table.sql} WHERE {table.where(number)}"]
        if kind < 0.45 and table.arbiter() and not table.uniques:
            row = table.row(rng, rng.randint(1, 2 * table.size))
            row = {column: None if column.reach and column.nullable else value for column, value in row.items()}
            row.update({column: column.random(rng, table.size) for column in columns})
            if not any(column.reach for column in row):
                return [insert(table, [row], " ON CONFLICT DO NOTHING")]
        chosen = rng.sample(columns, rng.randint(1, len(columns))) if columns else []
        if not chosen:
            return []
        where = "" if rng.random() < 0.1 else f" WHERE {table.where(number)}"
        return [f"UPDATE {table.sql} SET {assignments(chosen, rng, table.size)}{where}"]

    def _growing_rows(self):
        """Rows of the table whose partitions come: new ones, moving ones."""
        rng, sql, bucket = self.rng, self.schema.growing, self.rng.randrange(self.leaves)
        low = rng.randint(1, 300)
        return rng.choice([
            f"INSERT INTO {sql} SELECT g, {bucket}, md5(g::text) FROM generate_series({low}, {low + 20}) g "
            "ON CONFLICT DO NOTHING",
            f"UPDATE {sql} g SET bucket = {bucket}, note = note || '.' WHERE id BETWEEN {low} AND {low + 9} "
            f"AND NOT EXISTS (SELECT FROM {sql} o WHERE o.id = g.id AND o.bucket = {bucket}) AND g.bucket = "
            f"(SELECT max(bucket) FROM {sql} m WHERE m.id = g.id)",
            f"UPDATE {sql} SET note = repeat('n', {rng.randint(1, 99)}) WHERE id % 7 = {low % 7}",
            f"DELETE FROM {sql} WHERE id BETWEEN {low} AND {low + 5}"])

    # -- the changes ---------------------------------------------------------------------------

    def _choose(self):
        rng = self.rng
        table = rng.choice(self.tables)
        columns = self.added[table]
        choices = [(self._label, 2), (self._identity, 3)]
        if len(columns) < 4:
            choices.append((lambda: self._add(table), 7))
        if columns:
            choices.append((lambda: self._drop(table), 3))
        if any(column.type.sql in WIDER for column in columns):
            choices.append((lambda: self._widen(table), 4))
        if self.schema.growing and self.leaves < 7:
            choices.append((self._leaf, 1))
        makers, weights = zip(*choices)
        return rng.choices(makers, weights)[0]()

    def _both(self, what, statement, done, after=()):
        """First in the destination, then on the source."""
        return Change(what, [statement], [statement], after, done)

    def _add(self, table):
        rng = self.rng
        self.numbers += 1
        widening = [type_ for type_ in self.schema.types if type_.sql in WIDER]
        type_ = rng.choice([self.enum, BIG, *self.schema.user_types, *rng.sample(self.schema.types, 3),
                            *rng.sample(widening, 3)])
        ending = rng.choice(["", " it's", ' quo"te', " 表"])
        column = Column(f"added {self.numbers}{ending}", type_, big=type_ is BIG)
        column.ending, column.busy = ending, False
        if rng.random() < 0.4 and type_ is not BIG:  # the server keeps it in the column's own definition
            column.extra = f"DEFAULT {literal(type_.random(rng))}"
            if rng.random() < 0.5:
                column.nullable = False
        after = [f"UPDATE {table.sql} SET {assignments([column], rng, table.size)} WHERE "
                 f"{table.where(rng.randint(1, table.size))}" for _ in range(rng.choice((0, 1, 3)))]
        return self._both("add column", f"ALTER TABLE {table.sql} ADD COLUMN IF NOT EXISTS {column.sql()}",
                          lambda: self.added[table].append(column), after)

    def _drop(self, table):
        column = self.rng.choice(self.added[table])
        self.added[table].remove(column)
        statement = f"ALTER TABLE {table.sql} DROP COLUMN IF EXISTS {identifier(column.name)}"
        return Change("drop column", [statement], done=lambda: self.gone.append(statement))

    def _widen(self, table):
        column = self.rng.choice([c for c in self.added[table] if c.type.sql in WIDER])
        wide = by_name(WIDER[column.type.sql])
        column.busy = True  # nothing is written to it meanwhile

        def done():
            column.type, column.busy = wide, False

        return self._both("widen column", f"ALTER TABLE {table.sql} ALTER {identifier(column.name)} TYPE {wide.sql}", done)

    def _identity(self):
        table = self.schema.changing
        return Change("replica identity", [
            f"ALTER TABLE {table.sql} REPLICA IDENTITY {self.rng.choice(('FULL', 'DEFAULT'))}"])

    def _label(self):
        label = f"label {len(self.labels)}"
        place = self.rng.choice(["", " BEFORE 'new'", " AFTER 'new'"])
        change = self._both("enum value", f"ALTER TYPE {self.enum.sql} ADD VALUE IF NOT EXISTS {literal(label)}{place}",
                            lambda: self.labels.append(label))
        change.tried = True  # not in a transaction before 12, and not used in its own
        return change

    def _leaf(self):
        """Only on the source: the task sees to the destination."""
        number, sql = self.leaves, self.schema.growing
        leaf = identifier(self.rng.choice(self.schema.schemas), f"bucket {number}")

        def done():
            self.leaves = number + 1
            self.new_leaves.append(f"bucket {number}")

        return Change("new partition", [
            f"CREATE TABLE IF NOT EXISTS {leaf} PARTITION OF {sql} FOR VALUES IN ({number})",
            f"INSERT INTO {sql} SELECT g, {number}, 'first' FROM generate_series(1, 50) g ON CONFLICT DO NOTHING"], done=done)

    # -- quiet points, on the main thread while this one rests -----------------------------------

    def finish(self, timeout=60):
        """What was begun is done on both sides."""
        deadline = time.monotonic() + timeout
        while self.current is not None:
            self._go_on()
            assert time.monotonic() < deadline, f"not in {timeout} s: {self.current.source}"

    def tidy(self):
        """Everything has arrived: what the source dropped goes from the destination; columns get new names."""
        wishes = [("destination", statement) for statement in self.gone]
        for table in self.tables:
            for column in self.added[table]:
                if self.rng.random() < 0.2:
                    new = f"renamed {self.numbers}{column.ending}"
                    self.numbers += 1
                    wishes += [(side, f"ALTER TABLE {table.sql} RENAME {identifier(column.name)} TO {identifier(new)}")
                               for side in BOTH]
                    self.note(f"alteration: {wishes[-1][1]}")
                    column.name = new
                    self.counts["rename column"] += 1
        self.gone = []
        for side, statement in wishes:
            deadline = time.monotonic() + 60
            while not self._run(side, [statement]):
                assert time.monotonic() < deadline, f"{side}, not in 60 s: {statement}"
