"""A random schema: tables of every kind that a source may have, as objects that the load can work on.

Schema(rng, versions, features).ddl() is a psql script; .tables are what the load changes. Some tables
are always there, because a fault needs them (the one in parts) or because a peer fell over them;
the others are put together at random. The same seed and versions give the same schema.

Rows are addressed by number: a table has `size` numbers, and the n-th value of every key column is
a function of n, so that transactions collide, come back to deleted rows and swap values without
ever asking the server.
"""

from torture import values
from torture.values import identifier, literal

NAMES = ["plain", "Mixed Case", 'quo"te', "apo'strophe", "select", "ünïcödé 表", "back\\slash", "percent%s%I",
         "dollar$1", "semi;--", "new\nline", "tab\there", "brace{}[]()", "comma,dot.", " leading", "trailing ",
         "colon:name", "\U0001f418", "a/*b*/", "%", "\\.", '""', "ctid?", "null", "x" * 50]
FULL, DEFAULT, INDEX, NOTHING = "FULL", "DEFAULT", "USING INDEX", "NOTHING"


class Column:
    """name, type and what is special about it.

    numbered   its values are type.nth(number): keys and unique columns
    reach      the highest number that its random values take; default: three times the table's size
    """

    def __init__(self, name, type_, nullable=True, numbered=False, extra="", written=True, big=False,
                 reach=None):
        self.name = name
        self.type = type_
        self.nullable = nullable
        self.numbered = numbered
        self.extra = extra
        self.written = written  # False: generated, or an identity that is always generated
        self.big = big
        self.reach = reach

    def sql(self):
        return " ".join(filter(None, (identifier(self.name), self.type.sql, self.extra,
                                      "" if self.nullable else "NOT NULL")))

    def random(self, rng, size):
        if self.nullable and rng.random() < 0.12:
            return None
        if self.numbered:
            return self.type.nth(rng.randint(1, self.reach or 3 * size))
        return self.type.random(rng)


class Table:
    """One table as the load sees it.

    key        columns that tell rows apart (numbered), or [] for a table without any
    uniques    [column]: further columns with a unique constraint of their own
    identity   the replica identity
    changes    False: only INSERT and TRUNCATE, for its UPDATEs and DELETEs are not replicated
    deferrable columns among key and uniques whose constraint is deferrable
    """

    def __init__(self, schema, name, size, columns, key=(), uniques=(), identity=DEFAULT, constraints=(),
                 deferrable=(), after=(), suffix=""):
        self.schema = schema
        self.name = name
        self.size = size
        self.columns = list(columns)
        self.key = list(key)
        self.uniques = list(uniques)
        self.identity = identity
        self.constraints = list(constraints)
        self.deferrable = list(deferrable)
        self.after = list(after)  # statements that complete it
        self.suffix = suffix  # PARTITION BY, INHERITS, WITH …
        self.changes = True
        self.referenced = False  # TRUNCATE needs CASCADE
        self.alterable = False  # columns may come and go (alter.py)
        self.rewritable = True  # VACUUM FULL and a rewriting ALTER TABLE can be tried on it
        self.rows = size // 2

    sql = property(lambda self: identifier(self.schema, self.name))
    written = property(lambda self: [c for c in self.columns if c.written])
    plain = property(lambda self: [c for c in self.columns if c.written and c not in self.key])

    def ddl(self):
        parts = [column.sql() for column in self.columns] + self.constraints
        statements = [f"CREATE TABLE {self.sql} (" + ", ".join(parts) + f"){self.suffix}", *self.after]
        if self.identity in (FULL, NOTHING):
            statements.append(f"ALTER TABLE {self.sql} REPLICA IDENTITY {self.identity}")
        return statements

    def key_values(self, number):
        """The key columns' texts of row `number`: the last one changes fastest."""
        if len(self.key) == 1:
            return [self.key[0].type.nth(number)]
        fast = 7
        return [column.type.nth(number % fast if i else number // fast + 1)
                for i, column in enumerate(self.key)]

    def where(self, number):
        return " AND ".join(f"{identifier(column.name)} = {literal(value)}"
                            for column, value in zip(self.key, self.key_values(number)))

    def arbiter(self):
        """Whether ON CONFLICT can name the key."""
        names = ", ".join(identifier(column.name) for column in self.key)
        return bool(self.key) and f"PRIMARY KEY ({names})" in self.constraints

    def row(self, rng, number):
        """{column: text} for a new row."""
        row = {column: column.random(rng, self.size) for column in self.written if column not in self.key}
        row.update(zip(self.key, self.key_values(number)))
        return {column: row[column] for column in self.written}


class Schema:
    """What one round works on.

    versions    (source, destination)
    extensions  those of citext, hstore that both servers have; and "xml"
    keyless     the task's policy: "insert_only" or "full"
    """

    def __init__(self, rng, versions, extensions=(), keyless="insert_only", scale=1.0):
        self.rng = rng
        self.versions = versions
        self.extensions = extensions
        self.keyless = keyless
        self.scale = scale
        # a specification takes no control characters, and the schemas are named in one
        self.names = iter(rng.sample([name for name in NAMES if name.isprintable()], 2))
        self.schemas = [self._name("one"), self._name("two")]
        self.names = iter(rng.sample(NAMES, len(NAMES)))
        self.unselected = "not selected"
        self.types = values.scalars(versions, floats=(min(versions) >= 12) == (max(versions) >= 12))
        if "xml" in extensions:
            self.types.append(values.XML)
        self.statements = []
        self.tables = []
        self._make_types()
        for make in (self._parted, self._keyless, self._full, self._types, self._uniques, self._by_index,
                     self._toast, self._partitioned, self._inherited, self._families, self._generated,
                     self._exclusion, self._deferrable_key, self._outsiders):
            make()
        for number in range(rng.randint(2, 5)):
            self._any(number)
        self._matview()
        self._changing()
        self._growing()
        self.marker = identifier(self.schemas[0], "marker")
        self.statements.append(f"CREATE TABLE {self.marker} (number int PRIMARY KEY)")

    def since(self, version):
        return min(self.versions) >= version

    def ddl(self):
        script = [f"CREATE SCHEMA {identifier(name)}" for name in (*self.schemas, self.unselected)]
        script += [f"CREATE EXTENSION IF NOT EXISTS {name}" for name in self.extensions if name != "xml"]
        return script + self.statements

    def _name(self, base):
        """A hostile name, or one that says what it is."""
        nasty = next(self.names, None)
        return f"{base} {nasty}" if nasty and self.rng.random() < 0.7 else base

    def _column(self, base, *arguments, **options):
        nasty = self.rng.choice(NAMES) if self.rng.random() < 0.25 else ""
        return Column((base + " " + nasty).strip()[:60], *arguments, **options)

    def _make_types(self):
        where = self.schemas[0]
        enum = identifier(where, self._name("mood"))
        labels = ["sad", "it's ok", 'quo"te', "", "a,b", "{}"]
        self.statements.append(f"CREATE TYPE {enum} AS ENUM ({', '.join(map(literal, labels))})")
        self.enum = values.Type(enum, labels, None, None)
        small = identifier(where, self._name("small"))
        self.statements.append(f"CREATE DOMAIN {small} AS integer CHECK (VALUE BETWEEN -1000000 AND 10000000)")
        self.domain = values.Type(small, ["0", "-1000000"], lambda r: str(r.randint(0, 99)), str)
        words = identifier(where, self._name("words"))
        self.statements.append(f"CREATE DOMAIN {words} AS text[] CHECK (array_length(VALUE, 1) < 100)")
        base = values.array_of(values.by_name("text"))
        domains = [self.domain, values.Type(words, ["{}"], base.make, arrays=False)]
        pair = identifier(where, self._name("pair"))
        self.statements.append(f"CREATE TYPE {pair} AS (a {enum}, \"b c\" numeric, d text[], e {small})")
        composite = values.composite(pair, [self.enum, values.by_name("numeric"), base, self.domain])
        span = identifier(where, self._name("span"))
        self.statements.append(f"CREATE TYPE {span} AS RANGE (subtype = numeric)")
        spans = values.Type(span, ["empty", "(,)"], values.by_name("numrange").make)
        self.user_types = [self.enum, *domains, composite, spans]
        if self.since(11):
            nested = identifier(where, self._name("checked pair"))
            self.statements.append(f"CREATE DOMAIN {nested} AS {pair} CHECK ((VALUE).e IS DISTINCT FROM 13)")
            self.user_types.append(values.Type(
                nested, ["(,,,)"], lambda r: "(sad,1.50,,%d)" % r.randint(20, 90), arrays=False))
        if "hstore" in self.extensions:
            self.user_types.append(values.HSTORE)
        if "citext" in self.extensions:
            self.user_types.append(values.CITEXT)

    def _random_type(self):
        """Any type, or an array of it."""
        chosen = self.rng.choice(self.types + self.user_types)
        if chosen.arrays and self.rng.random() < 0.3 and (self.since(11) or not self._is_domain(chosen)):
            return values.array_of(chosen)
        return chosen

    def _is_domain(self, type_):
        return type_ is self.domain

    def _key_type(self):
        candidates = [t for t in self.types if t.key] + [self.domain, values.BIG_KEY]
        if "citext" in self.extensions:
            candidates.append(values.CITEXT)
        return self.rng.choice(candidates)

    def _add(self, table):
        self.tables.append(table)
        self.statements += table.ddl()
        return table

    def _payload(self, low, high):
        columns = [self._column(f"c{i}", self._random_type()) for i in range(self.rng.randint(low, high))]
        if self.rng.random() < 0.5:
            columns.append(self._column("big", values.BIG, big=True))
        return columns

    # -- the tables ---------------------------------------------------------------------------

    def _parted(self):
        """The large one, copied in several parts while its rows move to other pages."""
        key = Column("id", values.by_name("bigint"), False, True)
        columns = [key, Column("counter", values.by_name("integer"), False, extra="DEFAULT 0"),
                   Column("filler", values.by_name("text")), Column("big", values.BIG, big=True)]
        self.parted = self._add(Table(self.rng.choice(self.schemas), self._name("parted"),
                                      int(20_000 * self.scale), columns, [key], constraints=['PRIMARY KEY ("id")'],
                                      suffix=" WITH (fillfactor = 100)"))
        self.parted.key = []  # rows are addressed by ranges of plain numbers, in load.py
        self.parted.rows = 0

    def _keyless(self):
        """No key, and rows that are there several times."""
        columns = [self._column("a", values.by_name("integer")), self._column("b", values.by_name("varchar(40)")),
                   self._column("c", self.rng.choice([self.enum, values.by_name("jsonb")]))]
        table = Table(self.schemas[0], self._name("keyless"), 30, columns,
                      identity=self.rng.choice([DEFAULT, NOTHING]))
        table.changes = self.keyless == "full"
        self._add(table)

    def _full(self):
        """Identity full without a key: NULLs, duplicates, types without equality, values out of line."""
        few = values.Type("integer", ["1", "2", "3"])
        columns = [self._column("a", few), self._column("b", self._random_type()),
                   self._column("c", self._random_type()), self._column("j", values.by_name("json")),
                   self._column("big", values.BIG, big=True)]
        self._add(Table(self.schemas[1], self._name("full"), 60, columns, identity=FULL))

    def _types(self):
        """Many types at once."""
        for part in range(2):
            key = self._column("id", values.by_name("integer"), False, True)
            chosen = self.rng.sample(self.types, min(22, len(self.types))) + self.user_types
            columns = [key]
            for i, type_ in enumerate(chosen):
                array = type_.arrays and self.rng.random() < 0.3 and not self._is_domain(type_)
                columns.append(self._column(f"t{i}", values.array_of(type_) if array else type_))
            self._add(Table(self.schemas[part], self._name(f"types{part}"), 120, columns, [key],
                            constraints=[f"PRIMARY KEY ({identifier(key.name)})"],
                            identity=self.rng.choice([DEFAULT, DEFAULT, FULL])))

    def _uniques(self):
        """Several unique constraints whose values are swapped and rotated."""
        key = self._column("id", self._key_type(), False, True)
        now, later = self._column("u1", values.by_name("text"), True, True), self._column(
            "u2", values.by_name("integer"), True, True)
        table = Table(self.rng.choice(self.schemas), self._name("uniques"), 40, [key, now, later, *self._payload(1, 3)],
                      [key], [now, later], constraints=[
                          f"PRIMARY KEY ({identifier(key.name)})", f"UNIQUE ({identifier(now.name)})",
                          f"UNIQUE ({identifier(later.name)}) DEFERRABLE INITIALLY "
                          + self.rng.choice(["DEFERRED", "IMMEDIATE"])], deferrable=[later])
        table.after.append(f"CREATE UNIQUE INDEX ON {table.sql} (({identifier(later.name)} % 1000), "
                           f"{identifier(now.name)}) WHERE {identifier(later.name)} < 30")
        self._add(table)

    def _by_index(self):
        """Replica identity is a unique index beside the primary key, on several columns."""
        first = self._column("p", values.by_name("integer"), False, True)
        key = [self._column("k1", self._key_type(), False, True),
               self._column("k2", values.by_name("uuid"), False, True)]
        table = Table(self.rng.choice(self.schemas), self._name("by index"), 60, [first, *self._payload(1, 4), *key],
                      key, [first], constraints=[f"PRIMARY KEY ({identifier(first.name)})"])
        index = self._name("identity")
        table.after += [f"CREATE UNIQUE INDEX {identifier(index)} ON {table.sql} ("
                        + ", ".join(identifier(c.name) for c in reversed(key)) + ")",
                        f"ALTER TABLE {table.sql} REPLICA IDENTITY USING INDEX {identifier(index)}"]
        self._add(table)

    def _toast(self):
        """Several values out of line, the key too; most updates leave them as they are."""
        key = self._column("k", values.BIG_KEY if self.rng.random() < 0.5 else values.by_name("text"), False, True)
        bigs = [self._column(f"b{i}", self.rng.choice([values.BIG, values.BIG_BYTES]), big=True) for i in range(3)]
        table = Table(self.rng.choice(self.schemas), self._name("toast"), 50,
                      [key, self._column("n", values.by_name("integer")), *bigs], [key],
                      constraints=[f"PRIMARY KEY ({identifier(key.name)})"],
                      identity=self.rng.choice([DEFAULT, DEFAULT, FULL]))
        for column in (key, bigs[0]):
            table.after.append(f"ALTER TABLE {table.sql} ALTER {identifier(column.name)} SET STORAGE EXTERNAL")
        self._add(table)

    def _partitioned(self):
        """Rows move between partitions whenever the partition key changes."""
        if not self.since(11):
            return
        key = self._column("id", values.by_name("integer"), False, True)
        region = self._column("region", values.Type("text", ["a", "b", "c", "other", "it's"]), False)
        columns = [key, region, *self._payload(1, 4)]
        method = self.rng.choice(["LIST", "RANGE", "HASH"])
        by = region if method == "LIST" else key
        constraint = f"PRIMARY KEY ({identifier(key.name)}" + (
            f", {identifier(region.name)})" if method == "LIST" else ")")
        table = Table(self.rng.choice(self.schemas), self._name("partitioned"), 100, columns, [key],
                      constraints=[constraint], suffix=f" PARTITION BY {method} ({identifier(by.name)})")
        table.rewritable = False
        for number, bounds in enumerate({
                "LIST": ["FOR VALUES IN ('a')", "FOR VALUES IN ('b', 'c')", "DEFAULT"],
                "RANGE": ["FOR VALUES FROM (MINVALUE) TO (30)", "FOR VALUES FROM (30) TO (60)", "DEFAULT"],
                "HASH": [f"FOR VALUES WITH (MODULUS 3, REMAINDER {i})" for i in range(3)]}[method]):
            leaf = identifier(self.rng.choice(self.schemas), f"{self._name('leaf')} {number}")
            deeper = method == "LIST" and number == 1
            table.after.append(f"CREATE TABLE {leaf} PARTITION OF {table.sql} {bounds}" + (
                f" PARTITION BY RANGE ({identifier(key.name)})" if deeper else ""))
            for half, limits in enumerate(("MINVALUE) TO (50)", "50) TO (MAXVALUE)") if deeper else ()):
                lower = identifier(self.schemas[0], f"deep {half}")
                table.after.append(f"CREATE TABLE {lower} PARTITION OF {leaf} FOR VALUES FROM ({limits}")
        self._add(table)

    def _inherited(self):
        """A parent with rows of its own, and children with another column and their own keys."""
        key = self._column("id", values.by_name("integer"), False, True)
        columns = [key, *self._payload(1, 3)]
        constraint = f"PRIMARY KEY ({identifier(key.name)})"
        parent = self._add(Table(self.schemas[0], self._name("parent"), 40, columns, [key],
                                 constraints=[constraint]))
        parent.rewritable = False
        more = self._column("more", self._random_type())
        child = Table(self.schemas[1], self._name("child"), 40, [more], constraints=[constraint],
                      suffix=f" INHERITS ({parent.sql})")
        self._add(child)
        child.columns = columns + [more]
        child.key = [key]
        child.rewritable = False

    def _families(self):
        """Foreign keys: cascades of deletes and of key changes, SET NULL, a reference to itself."""
        key_type = self.rng.choice([values.by_name("integer"), values.by_name("text")])
        where = self.rng.choice(self.schemas)
        key = self._column("id", key_type, False, True)
        boss = self._column("boss", key_type, True, True, reach=25)
        people = Table(where, self._name("people"), 40, [key, boss, *self._payload(1, 2)], [key],
                       constraints=[f"PRIMARY KEY ({identifier(key.name)})"])
        people.constraints.append(
            f"FOREIGN KEY ({identifier(boss.name)}) REFERENCES {people.sql} ON DELETE SET NULL ON UPDATE CASCADE"
            + self.rng.choice(["", " DEFERRABLE INITIALLY DEFERRED"]))
        self._add(people)
        own = self._column("id", values.by_name("integer"), False, True)
        owner = self._column("owner", key_type, True, True, reach=25)
        things = self._add(Table(self.rng.choice(self.schemas), self._name("things"), 60,
                                 [own, owner, *self._payload(1, 2)], [own], constraints=[
                                     f"PRIMARY KEY ({identifier(own.name)})",
                                     f"FOREIGN KEY ({identifier(owner.name)}) REFERENCES {people.sql} "
                                     "ON DELETE CASCADE ON UPDATE CASCADE"]))
        part_of = self._column("part of", values.by_name("integer"), False, True, reach=40)
        number = self._column("no", values.by_name("integer"), False, True)
        self._add(Table(self.rng.choice(self.schemas), self._name("pieces"), 90, [part_of, number, *self._payload(0, 2)],
                        [number, part_of], constraints=[
                            f"PRIMARY KEY ({identifier(part_of.name)}, {identifier(number.name)})",
                            f"FOREIGN KEY ({identifier(part_of.name)}) REFERENCES {things.sql} ON DELETE CASCADE"]))
        people.referenced = things.referenced = True

    def _generated(self):
        """Identity columns, a column with a sequence, stored generated columns."""
        key = self._column("id", values.by_name("bigint"), False, True)
        always = Column("always", values.by_name("integer"), False, extra="GENERATED ALWAYS AS IDENTITY", written=False)
        default = Column("by default", values.by_name("bigint"), False, written=False,
                         extra="GENERATED BY DEFAULT AS IDENTITY (START 10 INCREMENT BY 5)")
        serial = Column("serial", values.Type("serial", []), False, written=False)
        columns = [key, always, default, serial, *self._payload(1, 2)]
        if self.since(12):
            columns.insert(1, Column("twice", values.by_name("text"), written=False,
                                     extra=f"GENERATED ALWAYS AS ('<' || {identifier(key.name)} || '>') STORED"))
        identity = self.rng.choice([DEFAULT, FULL])
        if min(self.versions) >= 18 and identity == DEFAULT:
            columns.append(Column("virtual", values.by_name("bigint"), written=False,
                                  extra=f"GENERATED ALWAYS AS ({identifier(key.name)} / 2) VIRTUAL"))
        self._add(Table(self.rng.choice(self.schemas), self._name("generated"), 60, columns, [key],
                        constraints=[f"PRIMARY KEY ({identifier(key.name)})"], identity=identity))

    def _exclusion(self):
        key = self._column("id", values.by_name("integer"), False, True)
        during = self._column("during", values.Type("int4range", ["empty"], lambda r: "[%d,%d)" % (
            (low := r.randint(0, 300)), low + r.randint(1, 9)), special=0.1))
        self._add(Table(self.schemas[0], self._name("booked"), 40, [key, during], [key], constraints=[
            f"PRIMARY KEY ({identifier(key.name)})", f"EXCLUDE USING gist ({identifier(during.name)} WITH &&)"]))

    def _deferrable_key(self):
        """A deferrable primary key is no replica identity: full, or another index."""
        key = self._column("id", values.by_name("integer"), False, True)
        table = Table(self.rng.choice(self.schemas), self._name("deferrable"), 30, [key, *self._payload(1, 2)], [key],
                      constraints=[f"PRIMARY KEY ({identifier(key.name)}) DEFERRABLE INITIALLY DEFERRED"],
                      identity=FULL, deferrable=[key])
        self._add(table)

    def _outsiders(self):
        """Not selected; TRUNCATE … CASCADE reaches it, and its changes must not appear."""
        people = next(table for table in self.tables if table.name.startswith("people"))
        key = Column("id", values.by_name("integer"), False, True)
        friend = Column("friend", people.key[0].type, True, True, reach=25)
        outside = Table(self.unselected, "outside", 30, [key, friend], [key], constraints=[
            'PRIMARY KEY ("id")', f'FOREIGN KEY ("friend") REFERENCES {people.sql} ON DELETE CASCADE ON UPDATE CASCADE'])
        self._add(outside)
        self.statements.append(f"CREATE UNLOGGED TABLE {identifier(self.unselected, 'unlogged')} (i int)")

    def _any(self, number):
        """Put together at random."""
        rng = self.rng
        key = [self._column(f"k{i}", self._key_type(), False, True) for i in range(rng.choice((1, 1, 2, 3)))]
        if sum(column.type is values.BIG_KEY for column in key) > 1:
            key = key[:1]
        columns = key + self._payload(1, 8)
        rng.shuffle(columns)
        uniques = [column for column in [self._column("u", self._key_type(), True, True)]
                   if rng.random() < 0.4 and column.type is not values.BIG_KEY]
        constraints = ["PRIMARY KEY (" + ", ".join(identifier(c.name) for c in key) + ")"]
        constraints += [f"UNIQUE ({identifier(c.name)})" for c in uniques]
        self._add(Table(rng.choice(self.schemas), f"{self._name('any')} {number}", rng.choice((20, 60, 200)),
                        columns + uniques, key, uniques, constraints=constraints,
                        identity=rng.choice([DEFAULT, DEFAULT, DEFAULT, FULL])))

    def _matview(self):
        """Its refresh is in the WAL like a table's rows and must not be taken for them."""
        self.matview = identifier(self.schemas[0], "summary")
        self.statements.append(f"CREATE MATERIALIZED VIEW {self.matview} AS SELECT count(*) FROM {self.tables[1].sql}")

    # -- what changes while it is used (alter.py) -----------------------------------------------

    def _changing(self):
        """Columns come and go, and its enum and replica identity change, beside what all sessions write."""
        self.changing_enum = identifier(self.schemas[1], self._name("changing mood"))
        self.labels = ["new", "old"]
        self.statements.append(f"CREATE TYPE {self.changing_enum} AS ENUM ('new', 'old')")
        key = self._column("id", values.by_name("integer"), False, True)
        columns = [key, self._column("m", values.Type(self.changing_enum, ["new", "old"])), *self._payload(1, 3)]
        self.changing = self._add(Table(self.rng.choice(self.schemas), self._name("changing"), 60, columns, [key],
                                        constraints=[f"PRIMARY KEY ({identifier(key.name)})"]))
        others = [t for t in self.tables if t.rewritable and t.key and t.schema != self.unselected and t is not self.parted]
        for table in [self.changing, *self.rng.sample(others, 2)]:
            table.alterable = True

    def _growing(self):
        """Partitions come. Before 13 a new one is published only once its task has begun anew."""
        self.growing = None
        if self.versions[0] < 13 or not self.since(11):
            return
        self.growing = identifier(self.schemas[0], self._name("growing"))
        self.statements += [
            f"CREATE TABLE {self.growing} (id int, bucket int, note text, PRIMARY KEY (id, bucket)) PARTITION BY LIST (bucket)",
            f"CREATE TABLE {identifier(self.schemas[1], 'bucket 0')} PARTITION OF {self.growing} FOR VALUES IN (0)"]

    # -- what is compared ---------------------------------------------------------------------

    def selected(self):
        return [table for table in self.tables if table.schema != self.unselected]
