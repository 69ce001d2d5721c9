"""Random mappings: names, case policies, rules, columns left out, conditions, under two time zones. After the copy, and
after a stream of random changes, every destination table equals the mapped query on the source."""

import os
import random

import pytest

SEEDS = [int(seed) for seed in os.environ.get("MAPPING_SEEDS", "1,2,3").split(",")]
# In every place where a name can stand: quotes, dots, line ends, Unicode, 63 bytes, reserved words, upper case, spaces.
NAMES = ["plain", "Upper", "select", "user", 'qu"ote', "do.t", "a.b.c", "li\nne", "Ünï", "sp ace", "x" * 63, "ä" * 31, "100%", "$1",
         "back\\slash", "ap'os", "tab\there", "be\all", "per%Ient", "-- c", "/* c", "ctid_", "Order", "{}", "$$", '"', ".", " lead", "日本語"]
TYPES = {"integer": "(random() * 1000)::int", "text": "md5(random()::text)", "numeric(12,4)": "random() * 1e6",
         "timestamptz": "now() - random() * interval '900 days'", "jsonb": "jsonb_build_object('a', random())",
         "integer[]": "ARRAY[(random() * 9)::int, NULL]", "bytea": "decode(md5(random()::text), 'hex')", "boolean": "random() < 0.5"}


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def in_condition(name):
    """Conditions have no control characters."""
    if name.isprintable():
        return quoted(name)
    return 'U&"' + "".join(c if c.isalnum() and c.isascii() else f"\\{ord(c):04x}" for c in name) + '"'


def fold(name, case):
    if case == "lower":
        return "".join(c.lower() if "A" <= c <= "Z" else c for c in name)
    return "".join(c.upper() if "a" <= c <= "z" else c for c in name) if case == "upper" else name


class Table:
    def __init__(self, rng, schema, name):
        self.schema, self.name = schema, name
        pool = rng.sample(NAMES, rng.randint(5, 9))
        self.key, self.number, self.big, *others = pool
        self.others = {other: rng.choice(list(TYPES)) for other in others}
        self.renames, self.excluded, self.where, self.new = {}, [], None, None

    sql = property(lambda self: f"{quoted(self.schema)}.{quoted(self.name)}")

    def create(self):
        more = "".join(f", {quoted(name)} {type_}" for name, type_ in self.others.items())
        return (f"CREATE TABLE {self.sql} ({quoted(self.key)} integer PRIMARY KEY, {quoted(self.number)} integer,"
                f" {quoted(self.big)} text{more}, CONSTRAINT {quoted(self.name)} CHECK ({quoted(self.number)} > -99));"
                f"ALTER TABLE {self.sql} ALTER {quoted(self.big)} SET STORAGE EXTERNAL;"
                f"CREATE INDEX ON {self.sql} ({quoted(self.number)}, (lower({quoted(self.big)}) IS NULL)) WHERE {quoted(self.key)} > 3;"
                f"COMMENT ON COLUMN {self.sql}.{quoted(self.big)} IS 'big';")

    def insert(self, first, last):
        columns = ", ".join(map(quoted, [self.key, self.number, self.big, *self.others]))
        values = ", ".join(TYPES[type_] for type_ in self.others.values())
        return (f"INSERT INTO {self.sql} ({columns}) SELECT i, (random() * 99)::int, repeat('x', (random() * 6000)::int)"
                f"{', ' + values if values else ''} FROM generate_series({first}, {last}) i;")

    def change(self, rng, step):
        other = rng.choice(list(self.others))
        low = rng.randint(1, 250)
        span = f"{quoted(self.key)} BETWEEN {low} AND {low + rng.randint(5, 60)}"
        return rng.choice([
            self.insert(1000 * step, 1000 * step + rng.randint(1, 40)),
            f"UPDATE {self.sql} SET {quoted(other)} = {TYPES[self.others[other]]} WHERE {span};",
            f"UPDATE {self.sql} SET {quoted(self.number)} = {quoted(self.number)} + 1 WHERE {span};",
            f"UPDATE {self.sql} SET {quoted(self.big)} = {quoted(self.big)} || 'y' WHERE {span};",
            f"UPDATE {self.sql} SET {quoted(self.key)} = -{quoted(self.key)} - {step * 10000} WHERE {span};",
            f"DELETE FROM {self.sql} WHERE {span};", *([f"TRUNCATE {self.sql};"] if rng.random() < 0.1 else []),
            f"BEGIN; {self.insert(1000 * step + 500, 1000 * step + 520)} UPDATE {self.sql} SET {quoted(self.number)} = 3; ROLLBACK;"])


class Mapping:
    """A random database and what the specification makes of its names."""

    def __init__(self, seed):
        rng = self.rng = random.Random(seed)
        self.case = rng.choice(["source", "lower", "upper"])
        self.schema, self.new_schema = rng.sample(NAMES, 2)
        self.prefix = rng.choice([None, "p.", 'Q"'])
        names, used = rng.sample([n for n in NAMES if len(n.encode()) < 50 and not set(n) & set("*?")], 4), set()
        self.tables = [Table(rng, self.schema, name) for name in names]
        for table in self.tables:
            self.choose(rng, table, used)

    def choose(self, rng, table, used):
        for source in (table.key, table.number, table.big, *table.others):
            if rng.random() < 0.4:
                table.renames[source] = rng.choice(NAMES)
        while len({self.column(table, c) for c in self.columns(table)}) < len(self.columns(table)):
            table.renames = {c: f"{i} {c}"[:60] for i, c in enumerate(self.columns(table)) if len(c.encode()) < 55}
            if len({self.column(table, c) for c in self.columns(table)}) < len(self.columns(table)):
                table.renames = {}
                break
        if rng.random() < 0.5:
            table.excluded = [rng.choice(list(table.others))]
            table.renames.pop(table.excluded[0], None)
        table.where = rng.choice([None, f"{in_condition(table.number)} % 3 <> 0", f"{in_condition(table.key)} % 7 > 1",
                                  f"length({in_condition(table.big)}) < 3000"])
        if rng.random() < 0.4 or self.table(table) in used:
            table.new = f"new {len(used)}"
        used.add(self.table(table))

    def columns(self, table):
        return [c for c in (table.key, table.number, table.big, *table.others) if c not in table.excluded]

    def column(self, table, name):
        return table.renames.get(name) or fold(name, self.case)

    def table(self, table):
        return table.new or fold((self.prefix or "") + table.name, self.case)

    def spec(self):
        tables = []
        for table in self.tables:
            entry = {"table": table.name}
            if table.new:
                entry["rename"] = table.new
            if table.where:
                entry["where"] = table.where
            columns = {key: value for key, value in (("rename", table.renames), ("exclude", table.excluded)) if value}
            if columns:
                entry["columns"] = columns
            tables.append(entry)
        names = {"case": self.case}
        if self.prefix:
            names["rules"] = [{"prefix": self.prefix}]
        return {"objects": [{"schema": self.schema, "rename": self.new_schema, "tables": tables}], "names": names}

    def assert_equal(self, pair):
        for table in self.tables:
            source = ", ".join(quoted(c) + "::text" for c in self.columns(table))
            mapped = ", ".join(quoted(self.column(table, c)) + "::text" for c in self.columns(table))
            where = f" WHERE {table.where}".replace("%", "%%") if table.where else ""
            want = read(pair.source, f"SELECT {source} FROM {table.sql}{where}")
            found = read(pair.destination, f"SELECT {mapped} FROM {quoted(self.new_schema)}.{quoted(self.table(table))}")
            assert found == want, f"{table.name!r} → {self.table(table)!r}: {len(found)} rows, not {len(want)}"


def read(database, statement):
    with database.connect() as connection:
        connection.execute("SET timezone = 'UTC'")
        return sorted(map(repr, connection.execute(statement.replace("%%", "%").encode()).fetchall()))


@pytest.mark.parametrize("seed", SEEDS)
def test_random_mapping(seed, pair, sluice):
    mapping = Mapping(seed)
    pair.source.sql(f"ALTER DATABASE {pair.source.name} SET timezone = 'Asia/Kathmandu'")
    pair.destination.sql(f"ALTER DATABASE {pair.destination.name} SET timezone = 'America/St_Johns'")
    pair.source.script(f"CREATE SCHEMA {quoted(mapping.schema)};" + "".join(
        table.create() + table.insert(1, 300) for table in mapping.tables))
    task = sluice(pair, **mapping.spec())
    task.sync()
    mapping.assert_equal(pair)
    failed = pair.destination.sql("SELECT kind, identity, detail FROM pgsluice.object WHERE result = 'failed'")
    assert failed == []
    for round_ in range(3):
        for step in range(25):
            pair.source.script(mapping.rng.choice(mapping.tables).change(mapping.rng, 100 * round_ + step + 1))
        task.sync()
        mapping.assert_equal(pair)


def test_labels_are_unambiguous(pair, sluice):
    """Objects whose names read alike have records of their own: a restart finds all of them."""
    pair.source.script("""
        CREATE SCHEMA "a.b"; CREATE SCHEMA a; CREATE SCHEMA "li
ne";
        CREATE TABLE "a.b".c (id int PRIMARY KEY, x int CONSTRAINT "d.e" CHECK (x > 0));
        CREATE TABLE a."b.c" (id int PRIMARY KEY, x int CONSTRAINT e CHECK (x > 0));
        CREATE TABLE a."b.c.d" (id int PRIMARY KEY, x int CONSTRAINT e CHECK (x > 0));
        CREATE VIEW "a.b".v AS SELECT 1 AS "o.ne"; CREATE VIEW a."b.v" AS SELECT 2 AS one;
        CREATE TABLE "li
ne"."t
t" ("c
c" int PRIMARY KEY);
        INSERT INTO "a.b".c VALUES (1, 1); INSERT INTO a."b.c" VALUES (2, 2); INSERT INTO a."b.c.d" VALUES (3, 3);""")
    task = sluice(pair, objects=[{"schema": "a.b"}, {"schema": "a", "rename": "A.b"}])
    task.sync()
    labels = {name for (name,) in pair.destination.sql("SELECT identity FROM pgsluice.object WHERE kind IN ('table', 'view')")}
    assert labels == {'"a.b".c', 'a."b.c"', 'a."b.c.d"', '"a.b".v', 'a."b.v"'}
    assert pair.destination.value("SELECT count(*) FROM pgsluice.object WHERE result <> 'created'") == 0
    pair.source.script('UPDATE "a.b".c SET x = 5; UPDATE a."b.c" SET x = 6; DELETE FROM a."b.c.d"')
    task.sync()
    assert pair.destination.sql('SELECT x FROM "a.b".c UNION ALL SELECT x FROM "A.b"."b.c"') == [(5,), (6,)]
    assert pair.destination.sql('SELECT one FROM "A.b"."b.v"') == [(2,)]
    task.call("resync", 'a."b.c"')
    task.sync()
