"""Filters (`where`): the destination holds what the condition selects on the source, after the copy and
after any changes, whatever the row identity, and with values that the stream does not carry."""

import os
import random
import re

import pytest
import yaml

from pgtest import REPOSITORY
from pgtest.sluice import FAILED, USAGE, endpoint
from test_routes import dump


def entry(table="t", **more):
    return [{"schema": "public", "tables": [{"table": table, **more}]}]


def filtered(database, query, where="true"):
    """Rows under the settings that conditions are evaluated with."""
    with database.connect(options="-c timezone=UTC -c search_path=") as connection:
        return sorted(connection.execute(f"{query} WHERE {where}").fetchall(), key=repr)


def assert_filtered(pair, where, query="SELECT * FROM ONLY public.t", destination=None):
    wanted, got = filtered(pair.source, query, where), filtered(pair.destination, destination or query)
    assert got == wanted, (f"missing {[r for r in wanted if r not in got][:5]}"
                           f" too many {[r for r in got if r not in wanted][:5]}")
    return len(wanted)


IDENTITIES = ["DEFAULT", "FULL"]
TABLE = """
    CREATE TABLE t (id int PRIMARY KEY, region text, n int, big text, note text);
    ALTER TABLE t ALTER big SET STORAGE EXTERNAL; ALTER TABLE t ALTER note SET STORAGE EXTERNAL;
    INSERT INTO t SELECT g, (ARRAY['eu', 'us', NULL])[1 + g % 3], g, repeat('b' || g, 2000), repeat('n', 5000)
        FROM generate_series(1, 60) g;
"""


@pytest.mark.parametrize("identity", IDENTITIES)
@pytest.mark.parametrize("conflict", ["report", "proceed"])
def test_moves(identity, conflict, pair, sluice):
    """In and out, by any column, with unsent values in other columns."""
    pair.source.script(TABLE + f"ALTER TABLE t REPLICA IDENTITY {identity};")
    task = sluice(pair, objects=entry(where="region = 'eu'"), conflict=conflict)
    task.sync()
    assert assert_filtered(pair, "region = 'eu'") == 20
    for change in (
            "UPDATE t SET region = 'eu' WHERE id IN (1, 4, 7)",  # in: big and note are not sent
            "UPDATE t SET region = 'us' WHERE id IN (3, 6)",  # out
            "UPDATE t SET n = n + 1",  # stays where it is
            "UPDATE t SET id = id + 1000 WHERE id IN (1, 9, 10)",  # keys of rows inside and outside
            "UPDATE t SET id = id + 1000, region = 'us' WHERE id = 12",
            "UPDATE t SET id = id + 1000, region = 'eu' WHERE id = 13",
            "DELETE FROM t WHERE id IN (15, 16, 17)",
            "INSERT INTO t VALUES (2001, 'eu', 1, 'x', 'y'), (2002, 'us', 1, 'x', 'y'), (2003, NULL, 1, 'x', 'y')",
            "BEGIN; UPDATE t SET region = 'eu' WHERE id = 2002; UPDATE t SET region = NULL WHERE id = 2002;"
            " UPDATE t SET region = 'eu', n = 9 WHERE id = 2002; COMMIT",
            "BEGIN; INSERT INTO t VALUES (3000, 'eu', 0, '', ''); UPDATE t SET region = 'us' WHERE id = 3000;"
            " UPDATE t SET region = 'eu' WHERE id = 3000; DELETE FROM t WHERE id = 3000;"
            " INSERT INTO t VALUES (3000, 'us', 0, '', ''); UPDATE t SET region = 'eu' WHERE id = 3000; COMMIT",
            "BEGIN; DELETE FROM t WHERE id = 21; INSERT INTO t VALUES (21, 'eu', 3, 'z', 'z');"
            " UPDATE t SET region = 'us' WHERE id = 21; COMMIT",
            "UPDATE t SET region = CASE region WHEN 'eu' THEN 'us' ELSE 'eu' END WHERE id < 50",
    ):
        pair.source.sql(change)
    task.sync()
    assert_filtered(pair, "region = 'eu'")
    assert pair.destination.value("SELECT count(*) FROM pgsluice.error") == 0
    pair.source.sql("UPDATE t SET region = CASE region WHEN 'eu' THEN 'us' ELSE 'eu' END")
    task.sync()
    assert_filtered(pair, "region = 'eu'")
    pair.source.sql("TRUNCATE t; INSERT INTO t VALUES (1, 'eu'), (2, 'us')")
    task.sync()
    assert assert_filtered(pair, "region = 'eu'") == 1


@pytest.mark.parametrize("identity", IDENTITIES)
def test_unsent_filter_column(identity, pair, sluice):
    """The condition's own column is TOASTed and not sent; the row may be gone or newer by then."""
    where = "big LIKE 'b3%' OR note IS NULL"
    pair.source.script(TABLE + f"ALTER TABLE t REPLICA IDENTITY {identity};")
    task = sluice(pair, objects=entry(where=where, columns={"exclude": ["big"]}))
    task.sync()
    query = "SELECT id, region, n, note FROM public.t"
    assert assert_filtered(pair, where, query) > 10
    for change in ("UPDATE t SET n = -n", "UPDATE t SET id = id + 100 WHERE id % 2 = 0", "UPDATE t SET n = 1",
                   "UPDATE t SET big = repeat('b3', 3000) WHERE id < 10", "UPDATE t SET region = 'x'",
                   "UPDATE t SET note = NULL WHERE id BETWEEN 10 AND 20", "UPDATE t SET n = 2 WHERE id < 15",
                   "UPDATE t SET big = 'other' WHERE id < 5", "DELETE FROM t WHERE id BETWEEN 12 AND 14",
                   "UPDATE t SET id = id + 500 WHERE id < 9", "UPDATE t SET note = 'n' WHERE id > 505"):
        pair.source.sql(change)
    task.sync()
    assert_filtered(pair, where, query)


@pytest.mark.parametrize("operations", [["insert"], ["update"], ["insert", "update"], ["delete"]])
def test_with_operations(operations, pair, sluice):
    """A row that an UPDATE moves is deleted or inserted, whether DELETE and INSERT are chosen or not."""
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY, r text); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'a');")
    task = sluice(pair, objects=entry(where="r = 'a'", operations=operations))
    task.sync()
    pair.source.sql("UPDATE t SET r = 'b' WHERE id = 1; UPDATE t SET r = 'a' WHERE id = 2")
    pair.source.sql("DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (4, 'a'), (5, 'b')")
    task.sync()
    expected = {1, 3}
    if "update" in operations:
        expected = {2, 3}
    if "delete" in operations:
        expected -= {3}
    if "insert" in operations:
        expected |= {4}
    assert {r[0] for r in pair.destination.sql("SELECT id FROM t")} == expected


ZONED = "at::date < date '2024-03-02' AND (at AT TIME ZONE 'Asia/Tokyo')::time >= '03:00' OR extract(hour FROM at) = 23"


def test_time_zones(pair, sluice):
    """What the servers' own time zones are changes nothing."""
    for database, zone in ((pair.source, "America/New_York"), (pair.destination, "Asia/Kolkata")):
        database.sql(f"ALTER DATABASE {database.name} SET timezone = '{zone}'")
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY, at timestamptz, v int);"
                       "INSERT INTO t SELECT g, '2024-02-28 00:30+00'::timestamptz + g * interval '37 min', 0"
                       " FROM generate_series(1, 200) g;")
    task = sluice(pair, objects=entry(where=ZONED))
    task.sync()
    assert 20 < assert_filtered(pair, ZONED) < 180
    pair.source.sql("UPDATE t SET at = at + interval '5 h' WHERE id % 2 = 0")
    pair.source.sql("UPDATE t SET at = at - interval '11 h', v = 1 WHERE id % 3 = 0")
    task.sync()
    assert_filtered(pair, ZONED)


TYPES = """
    CREATE SCHEMA s; CREATE TYPE s.mood AS ENUM ('sad', 'ok', 'happy'); CREATE DOMAIN s.short AS varchar(9) NOT NULL;
    CREATE FUNCTION s.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
    CREATE TABLE t (id int PRIMARY KEY, m s.mood, d s.short, a int[], j jsonb, n numeric, c char(4),
        x text COLLATE "C", "Odd ""col" text, r int4range, f float8);
    INSERT INTO t SELECT g, (enum_range(NULL::s.mood))[1 + g % 3], 'd' || g, ARRAY[g, g % 7], jsonb_build_object('k', g % 5),
        g / 7.0, 'c' || g % 3, chr(65 + g % 58), 'o' || g % 2, int4range(g, g + 5), g FROM generate_series(1, 150) g;
"""
CONDITIONS = ["m >= 'ok'", "m = ANY ('{sad,happy}'::s.mood[])", "d LIKE 'd1%'", "3 = ANY (a)", "a[2] IN (1, 2)",
              "(j->>'k')::int > 2", "j @> '{\"k\": 1}'", "n BETWEEN 3 AND 7.5", "c = 'c1'", "x < 'a'", "upper(x) > 'F'",
              "\"Odd \"\"col\" = 'o1'", "r @> 30", "s.twice(id) < 100", "CASE WHEN f > 75 THEN m = 'ok' ELSE c <> 'c0' END",
              "coalesce(n, 0) > 10 AND NOT (x COLLATE \"C\" > 'Z')", "(id, c) < (60, 'c')", "true", "m IS NULL OR id % 2 = 0"]


@pytest.mark.parametrize("text", [False, True])
def test_conditions(text, pair, sluice):
    """Each condition on a table of its own; in a binary stream and in a text one."""
    names = [f"t{i}" for i in range(len(CONDITIONS))]
    pair.source.script(TYPES)
    if text:
        pair.source.sql("CREATE TABLE forces_text (id int PRIMARY KEY, x xml)")
    for name in names:
        pair.source.sql(f"CREATE TABLE {name} (LIKE t INCLUDING ALL); INSERT INTO {name} SELECT * FROM t")
    task = sluice(pair, objects=[{"schema": "public", "tables": [
        {"table": "*"}, *({"table": n, "where": c} for n, c in zip(names, CONDITIONS))]}])
    task.sync()
    for table in names:
        pair.source.sql(f"UPDATE {table} SET m = 'ok', n = n + 1 WHERE id % 4 = 0")
        pair.source.sql(f"UPDATE {table} SET a = ARRAY[3, 1], j = '{{\"k\": 4}}', c = 'c1' WHERE id % 5 = 0")
        pair.source.sql(f"UPDATE {table} SET x = 'b', d = 'd1', \"Odd \"\"col\" = 'o1', r = NULL, m = NULL WHERE id % 6 = 0")
        pair.source.sql(f"UPDATE {table} SET id = id + 300, f = NULL WHERE id % 7 = 0")
    task.sync()
    for table, condition in zip(names, CONDITIONS):
        assert_filtered(pair, condition, f"SELECT * FROM public.{table}")


@pytest.mark.parametrize("where, message", [
    ("region = ", "syntax error"), ("region = 'eu') OR (true", "syntax error"), ("true GROUP BY 1", "more than one"),
    ("true UNION SELECT true", "more than one expression"), ("true) UNION SELECT (true", "syntax error"), ("regin = 'eu'", "the table has no column regin"),
    ("t.region = 'eu'", "a qualified name"), ("id IN (SELECT 1)", "a subquery"), ("random() < 0.5", "is volatile"),
    ("at > now()", "is not immutable"), ("at > CURRENT_TIMESTAMP", "a value of the moment"),
    ("at > 'yesterday'", "another one every day"), ("count(*) > 1", "an aggregate"), ("max(id) > 1", "aggregate"),
    ("id", "must be type boolean"), ("id = 'x'", "invalid input syntax"), ("f(id)", "does not exist"),
    ("public.looks(id)", "is not immutable"), ("gen > 1", "is generated"), ("t IS NOT NULL", "has no column t"),
    ("ctid IS NOT NULL", "has no column ctid"), ("id = $1", "a parameter"), ("age(at) > '1 day'", "is not immutable"),
    ("generate_series(1, id) > 1", "set-returning"), ("id OPERATOR(public.<%) 1", "is not immutable"),
    ("true; DROP TABLE t", "more than one expression"),
])
def test_refused(where, message, pair, sluice):
    pair.source.script("""
        CREATE TABLE t (id int PRIMARY KEY, region text, at timestamptz, gen int GENERATED ALWAYS AS (id + 1) STORED);
        CREATE FUNCTION looks(int) RETURNS bool LANGUAGE sql STABLE AS 'SELECT true';
        CREATE FUNCTION less(int, int) RETURNS bool LANGUAGE sql STABLE AS 'SELECT $1 < $2';
        CREATE OPERATOR <% (LEFTARG = int, RIGHTARG = int, FUNCTION = less);""")
    said = sluice(pair, objects=entry(where=where)).call("check", code=USAGE).text
    assert message in said and ".yaml:" in said and "where" in said


def test_taken(pair, sluice):
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY, day text, at timestamptz); INSERT INTO t VALUES (1, 'today', now());")
    task = sluice(pair, objects=entry(where="day = 'today'::text AND date_trunc('day', at) > '2020-01-01' AND at::text > ''"
                                            " AND age(at, '2020-01-01') > '1 day' -- a comment"))
    task.sync()
    assert pair.destination.sql("SELECT id FROM t") == [(1,)]


def test_a_locked_table_and_the_estimate(pair, sluice):
    """A migration that holds the table does not hold up the start of the stream."""
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 1000); ANALYZE t;")
    task = sluice(pair, objects=entry(where="id <= 250"))
    plan = task.call("plan").stdout
    assert "where id <= 250: about 250 of 1000 rows" in plan
    with pair.source.connect() as migration:
        migration.autocommit = False
        migration.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        assert dump(task)["routes"][0]["table"] == "t"


@pytest.mark.parametrize("identity", IDENTITIES)
def test_without_replica_role(identity, pair, sluice):
    """Strictly in order, foreign keys acting: a row that moves is never deleted and inserted."""
    pair.source.script(TABLE + f"ALTER TABLE t REPLICA IDENTITY {identity};"
                       "CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t ON UPDATE CASCADE ON DELETE CASCADE);"
                       "INSERT INTO child SELECT id, id FROM t WHERE region = 'eu';")
    user = f"plain_{pair.destination.name}"
    pair.destination.sql(f"CREATE ROLE {user} LOGIN; GRANT CREATE ON DATABASE {pair.destination.name} TO {user};"
                         f"GRANT ALL ON SCHEMA public TO {user}")
    task = sluice(pair, destination=endpoint(pair.destination, user=user), objects=[{"schema": "public", "tables": [
        {"table": "t", "where": "region = 'eu'"}, {"table": "child"}]}])
    check = task.call("check").stdout
    assert "child_t_fkey" in check and "region = 'eu'" in check
    task.sync()
    pair.source.sql("UPDATE t SET id = id + 100 WHERE id BETWEEN 10 AND 30")
    pair.source.sql("UPDATE t SET region = 'eu' WHERE region = 'us' AND id < 120; UPDATE t SET n = 1")
    pair.source.sql("INSERT INTO child SELECT id + 1000, id FROM t WHERE region = 'eu'")
    task.sync()  # a row that moves in is read from the source, where a DELETE may be earlier
    pair.source.sql("DELETE FROM t WHERE id < 6")
    task.sync()
    assert_filtered(pair, "region = 'eu'")
    assert_filtered(pair, "true", "SELECT * FROM public.child")


def test_a_large_transaction(pair, sluice):
    """Larger than a batch, most of it outside the condition."""
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY, r int, v int);"
                       "INSERT INTO t SELECT g, g % 10, 0 FROM generate_series(1, 100000) g;")
    task = sluice(pair, objects=entry(where="r = 3 OR v = 7"))
    task.sync()
    pair.source.sql("BEGIN; UPDATE t SET v = v + 1; UPDATE t SET r = (r + 1) % 10 WHERE id % 2 = 0;"
                    " UPDATE t SET v = 7 WHERE id % 100 = 0; DELETE FROM t WHERE id % 1000 = 1; COMMIT")
    task.sync(timeout=180)
    assert assert_filtered(pair, "r = 3 OR v = 7") > 9000


@pytest.mark.parametrize("decoder", ["pgoutput", "test_decoding"])
def test_random(decoder, pair, sluice):
    """Random changes; conditions on unsent, excluded and key columns, under two time zones."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    pair.source.sql(f"ALTER DATABASE {pair.source.name} SET timezone = 'America/New_York'")
    pair.destination.sql(f"ALTER DATABASE {pair.destination.name} SET timezone = 'Asia/Tokyo'")
    wheres = {"toast": "left(big, 1) < 'n'", "hidden": "secret % 3 = 0", "keyed": "id % 4 <> 1",
              "zoned": "extract(hour FROM at) < 12", "several": "left(big, 1) < 's' AND secret IS NOT NULL AND id > 5"}
    for i, name in enumerate(wheres):
        pair.source.script(f"""
            CREATE TABLE {name} (id int PRIMARY KEY, secret int, big text, at timestamptz, other text, v int);
            ALTER TABLE {name} ALTER big SET STORAGE EXTERNAL; ALTER TABLE {name} ALTER other SET STORAGE EXTERNAL;
            ALTER TABLE {name} REPLICA IDENTITY {rng.choice(IDENTITIES)};
            INSERT INTO {name} SELECT g, g, repeat(chr(97 + g % 26), 3000), '2024-03-09'::timestamptz + g * interval '7 h',
                repeat('o', 3000 * (g % 2)), 0 FROM generate_series(1, 120) g;""")
    columns = {"hidden": {"exclude": ["secret"]}, "several": {"exclude": ["secret", "big"]}, "toast": {"exclude": ["big"]}}
    task = sluice(pair, decoder=decoder, objects=[{"schema": "public", "tables": [
        {"table": n, "where": w, **({"columns": columns[n]} if n in columns else {})} for n, w in wheres.items()]}])

    def compare():
        for name, where in wheres.items():
            left = columns.get(name, {}).get("exclude", [])
            chosen = [c for c in ("id", "secret", "big", "at", "other", "v") if c not in left]
            assert_filtered(pair, where, f"SELECT {', '.join(chosen)} FROM public.{name}")

    def change(connection, name):
        i, kind = rng.randint(1, 160), rng.random()
        if kind < 0.2:
            connection.execute(f"INSERT INTO {name} VALUES (%s, %s, repeat(%s, 3000), '2024-03-10 05:00+00'::timestamptz"
                               " + %s * interval '1 h', repeat('p', %s), 0) ON CONFLICT DO NOTHING",
                               [i, rng.choice([None, i, 3 * i]), rng.choice("abmnsz"), i, rng.choice([0, 3000])])
        elif kind < 0.35:
            connection.execute(f"DELETE FROM {name} WHERE id = %s", [i])
        elif kind < 0.5:
            connection.execute(f"UPDATE {name} SET id = %s WHERE id = %s AND NOT EXISTS (SELECT FROM {name} WHERE id = %s)",
                               [i + 1, i, i + 1])
        else:
            setting = rng.choice(["v = v + 1", "secret = secret + 1", "secret = NULL", "at = at + interval '5 h'",
                                  f"big = repeat('{rng.choice('abmnsz')}', 3000)", "big = NULL", "other = repeat('q', 4000)",
                                  "secret = 3, v = 0, at = at - interval '1 h'"])
            connection.execute(f"UPDATE {name} SET {setting} WHERE mod(id, %s) = 0", [rng.choice([i, 2, 5])])

    task.sync()
    compare()
    for _ in range(3):
        running = task.background()
        with pair.source.connect() as connection:
            connection.autocommit = False
            for _ in range(120):
                for _ in range(rng.choice([1, 1, 3, 10])):
                    change(connection, rng.choice(list(wheres)))
                connection.commit() if rng.random() < 0.9 else connection.rollback()
        if rng.random() < 0.5:
            running.kill9()
        else:
            running.interrupt()
        task.sync()
        compare()
    assert pair.destination.value("SELECT count(*) FROM pgsluice.error") == 0


def test_the_document(pair, sluice):
    """The example of docs/filters.md does what it says."""
    with open(os.path.join(REPOSITORY, "docs", "filters.md"), encoding="utf-8") as handle:
        [example] = re.findall(r"```yaml\n(.*?)```", handle.read(), re.S)
    pair.source.script("""
        CREATE TABLE orders (id int PRIMARY KEY, region text, placed_at timestamptz);
        CREATE TABLE log_1 (id int PRIMARY KEY, level text); CREATE TABLE other (id int PRIMARY KEY);
        INSERT INTO orders VALUES (1, 'eu', '2024-05-01'), (2, 'eu', '2023-12-31 12:00+00'), (3, 'us', '2024-05-01');
        INSERT INTO log_1 VALUES (1, 'warn'), (2, 'info'), (3, 'error');""")
    task = sluice(pair, **yaml.safe_load(example))
    task.sync()
    pair.source.sql("UPDATE orders SET region = 'eu' WHERE id = 3; UPDATE log_1 SET level = 'info' WHERE id = 1")
    task.sync()
    assert pair.destination.sql("SELECT id FROM orders ORDER BY 1") == [(1,), (3,)]
    assert pair.destination.sql("SELECT id FROM log_1") == [(3,)]
    assert pair.destination.value("SELECT to_regclass('other') IS NULL")


def test_a_changed_condition(pair, sluice):
    """The next run stops, for the rows that are there were chosen by the old one; a resync chooses them anew."""
    pair.source.script(TABLE)
    task = sluice(pair, objects=entry(where="region = 'eu'"))
    task.sync()
    assert_filtered(pair, "region = 'eu'")
    task.spec["objects"] = entry(where="region = 'us'")
    task.write()
    refused = task.call("run", code=FAILED)
    assert "public.t were chosen by the condition (region = 'eu')" in refused.text
    assert "pgsluice resync" in refused.text and "public.t" in refused.text
    task.call("resync", "public.t")
    task.sync()
    assert_filtered(pair, "region = 'us'")
    pair.source.sql("UPDATE t SET region = 'us' WHERE id % 7 = 0; UPDATE t SET region = 'eu' WHERE id % 7 = 1")
    task.sync()
    assert_filtered(pair, "region = 'us'")
    task.spec["objects"] = entry()
    task.write()
    assert "now says no condition" in task.call("run", code=FAILED).text


def test_with_names_that_change(pair, sluice):
    """Conditions use the source's names; a column that only the condition needs may be left out or renamed."""
    pair.source.script(TABLE)
    task = sluice(pair, objects=entry(where="region = 'eu' AND id > 3", rename="orders_eu",
                                      columns={"rename": {"region": "part", "id": "key"}}))
    task.sync()
    pair.source.sql("UPDATE t SET region = 'eu' WHERE id % 7 = 0; UPDATE t SET region = 'us' WHERE id % 7 = 1")
    pair.source.sql("UPDATE t SET id = id + 1000 WHERE id % 11 = 0; DELETE FROM t WHERE id % 13 = 0;"
                    "INSERT INTO t (id, region) VALUES (2, 'eu'), (3000, 'eu'), (3001, 'us') ON CONFLICT DO NOTHING")
    task.sync()
    rows = pair.source.sql("SELECT id, region FROM t WHERE region = 'eu' AND id > 3 ORDER BY 1")
    assert len(rows) > 10
    assert pair.destination.sql('SELECT key, part FROM orders_eu ORDER BY 1') == rows
