"""Selection: tables, columns and operations of an entry, through schema, copy and stream."""

import pytest

from pgtest.sluice import USAGE

INSERT, UPDATE, DELETE, TRUNCATE = "insert", "update", "delete", "truncate"


def tables(*entries, schema="public"):
    return [{"schema": schema, "tables": [dict(entry) for entry in entries]}]


def rows(database, sql):
    return sorted(database.sql(sql))


def test_excluded_tables(pair, sluice):
    """Exclusions alone leave the rest of the schema selected whole, functions and views too."""
    pair.source.script("""
        CREATE TABLE a (i int PRIMARY KEY); CREATE TABLE tmp_1 (i int PRIMARY KEY); CREATE TABLE tmp_2 (i int);
        CREATE TABLE tmp_kept (i int PRIMARY KEY); CREATE VIEW v AS SELECT i FROM a;
        CREATE VIEW hidden AS SELECT i FROM tmp_1;
        INSERT INTO a VALUES (1); INSERT INTO tmp_kept VALUES (2); INSERT INTO tmp_1 VALUES (3);""")
    task = sluice(pair, objects=tables({"table": "tmp_*", "exclude": True}, {"table": "tmp_kept"}))
    task.call("check", code=None)
    task.sync()
    assert pair.destination.sql("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace ="
                                " 'public'::regnamespace ORDER BY 1") == [("tmp_kept",)]
    task.call("release")
    pair.destination.sql("DROP TABLE tmp_kept")
    task = sluice(pair, objects=tables({"table": "tmp_*", "exclude": True}))
    task.sync()
    pair.source.sql("INSERT INTO a VALUES (7); INSERT INTO tmp_1 VALUES (8)")
    task.sync()
    assert pair.destination.sql("SELECT relname FROM pg_class WHERE relkind IN ('r', 'v') AND"
                                " relnamespace = 'public'::regnamespace ORDER BY 1") == [("a",), ("v",)]
    assert rows(pair.destination, "SELECT i FROM v") == [(1,), (7,)]


def test_an_excluded_partition_stays_out(pair, sluice):
    pair.source.script("""
        CREATE TABLE p (i int PRIMARY KEY) PARTITION BY LIST (i);
        CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
        INSERT INTO p VALUES (1), (2);""")
    task = sluice(pair, objects=tables({"table": "p2", "exclude": True}))
    task.sync()
    pair.source.sql("DELETE FROM p; INSERT INTO p VALUES (1), (2)")
    task.sync()
    assert rows(pair.destination, "SELECT i FROM p") == [(1,)]
    assert pair.destination.value("SELECT to_regclass('public.p2') IS NULL")


OPERATIONS = """
    INSERT INTO t VALUES (4, 'd', 4), (5, 'e', 5);
    UPDATE t SET v = 'new' WHERE id IN (1, 4);
    UPDATE t SET id = 20 WHERE id = 2;
    DELETE FROM t WHERE id IN (3, 5, 20);
    INSERT INTO t VALUES (3, 'again', 3), (2, 'again', 2);
    UPDATE t SET v = 'changed' WHERE id = 3;
"""


def model(operations):
    """What becomes of the rows 1, 2, 3 when only these operations are carried over."""
    table = {1: "a", 2: "b", 3: "c"}

    def insert(i, v):
        if INSERT in operations:
            table[i] = v

    def update(i, v, to=None):
        if UPDATE in operations and i in table:
            table.pop(i)
            table[to or i] = v

    def delete(i):
        if DELETE in operations:
            table.pop(i, None)

    insert(4, "d"), insert(5, "e")
    update(1, "new"), update(4, "new")
    update(2, "b", to=20)
    delete(3), delete(5), delete(20)
    insert(3, "again"), insert(2, "again")
    update(3, "changed")
    return sorted(table.items())


@pytest.mark.parametrize("operations", [[INSERT], [UPDATE], [DELETE], [INSERT, UPDATE], [INSERT, DELETE],
                                        [UPDATE, DELETE], [INSERT, UPDATE, DELETE]])
def test_operations(operations, pair, sluice):
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY, v text, n int);"
                       "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3);")
    task = sluice(pair, objects=tables({"table": "t", "operations": operations}))
    task.sync()
    for statement in filter(str.strip, OPERATIONS.split(";")):
        pair.source.sql(statement)
    task.sync()
    assert rows(pair.destination, "SELECT id, v FROM t") == model(operations)
    before = rows(pair.destination, "SELECT id, v FROM t")
    pair.source.sql("TRUNCATE t; INSERT INTO t VALUES (1, 'after', 1)")
    task.sync()
    after = [r for r in before if r[0] != 1] + [(1, "after")]
    assert rows(pair.destination, "SELECT id, v FROM t") == (
        sorted(after) if INSERT in operations else before)


def test_truncate_chosen(pair, sluice):
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY);"
                       "INSERT INTO t VALUES (1); INSERT INTO u VALUES (1);")
    task = sluice(pair, objects=tables({"table": "t", "operations": [TRUNCATE]},
                                       {"table": "u", "operations": [INSERT]}))
    task.sync()
    pair.source.sql("TRUNCATE t, u; INSERT INTO t VALUES (2); INSERT INTO u VALUES (2)")
    task.sync()
    assert rows(pair.destination, "SELECT id FROM t") == []
    assert rows(pair.destination, "SELECT id FROM u") == [(1,), (2,)]


COLUMNS = """
    CREATE SEQUENCE numbers;
    CREATE TABLE people (secret text DEFAULT 'x', id int PRIMARY KEY, name text, born date, photo xml,
        serial_secret serial, score int CHECK (score >= 0), CHECK (length(secret) > 0 OR score > 1));
    CREATE INDEX by_secret ON people (secret); CREATE INDEX by_name ON people (name);
    CREATE INDEX partly ON people (name) WHERE secret IS NOT NULL;
    CREATE UNIQUE INDEX uniq ON people (id) INCLUDE (serial_secret);
    ALTER TABLE people ADD CONSTRAINT once UNIQUE (secret, id);
    CREATE TABLE child (id int PRIMARY KEY, s text, i int, FOREIGN KEY (s, i) REFERENCES people (secret, id),
        FOREIGN KEY (i) REFERENCES people);
    CREATE VIEW names AS SELECT id, name FROM people;
    CREATE VIEW secrets AS SELECT id, secret FROM people;
    CREATE VIEW more AS SELECT s.id FROM secrets s JOIN names n USING (id);
    CREATE STATISTICS st ON secret, name FROM people;
    INSERT INTO people (id, name, score) VALUES (1, 'a', 1), (2, 'b', 2);
    INSERT INTO child VALUES (1, 'x', 1);
"""
LEFT = ["secret", "photo", "serial_secret"]


@pytest.mark.parametrize("columns, identity", [
    ({"exclude": LEFT}, "DEFAULT"), ({"include": ["score", "id", "name", "born"]}, "DEFAULT"),
    ({"exclude": LEFT}, "FULL")])
def test_columns(columns, identity, pair, sluice):
    pair.source.script(COLUMNS + f"ALTER TABLE people REPLICA IDENTITY {identity};")
    task = sluice(pair, objects=tables({"table": "*"}, {"table": "people", "columns": columns}))
    text = task.call("check", "--json").stdout
    for named in ("by_secret", "partly", "once", "secrets", "more", "child_s_i_fkey", "column secret of"):
        assert named in text, named
    task.sync()
    got = [r[0] for r in pair.destination.sql(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'people'::regclass AND attnum > 0 ORDER BY attnum")]
    assert got == ["id", "name", "born", "score"]
    relations = {r[0] for r in pair.destination.sql(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")}
    assert {"by_name", "names", "child", "people_pkey", "numbers"} <= relations
    assert not {"by_secret", "partly", "once", "secrets", "more", "people_serial_secret_seq"} & relations
    assert [r[0] for r in pair.destination.sql("SELECT conname FROM pg_constraint WHERE conrelid IN"
                                               " ('people'::regclass, 'child'::regclass) AND contype"
                                               " IN ('f', 'c') ORDER BY 1")] == ["child_i_fkey", "people_score_check"]
    failed = pair.destination.sql("SELECT kind, identity FROM pgsluice.object WHERE result = 'failed'")
    assert failed == []
    pair.source.sql("INSERT INTO people SELECT 's' || g, g, 'n', NULL, NULL, g, g FROM generate_series(3, 700) g")
    pair.source.sql("UPDATE people SET secret = 'y', name = 'z' WHERE id % 2 = 0")
    pair.source.sql("UPDATE people SET secret = 'other' WHERE id % 3 = 0")
    pair.source.sql("UPDATE people SET id = id + 1000 WHERE id BETWEEN 5 AND 10")
    pair.source.sql("DELETE FROM people WHERE id BETWEEN 20 AND 30")
    task.sync()
    query = "SELECT id, name, born, score FROM people"
    assert rows(pair.source, query) == rows(pair.destination, query)


def test_whole_rows_without_the_column(pair, sluice):
    """Rows that differ only in what is left out are equal in the destination: as many as there are."""
    pair.source.script("CREATE TABLE w (a int, b text, secret int); ALTER TABLE w REPLICA IDENTITY FULL;"
                       "INSERT INTO w VALUES (1, 'x', 1), (1, 'x', 2), (2, 'y', 3);")
    task = sluice(pair, objects=tables({"table": "w", "columns": {"exclude": ["secret"]}}))
    task.sync()
    pair.source.sql("DELETE FROM w WHERE secret = 1")
    pair.source.sql("UPDATE w SET b = 'z' WHERE secret = 3")
    pair.source.sql("UPDATE w SET secret = 5 WHERE secret = 2")
    task.sync()
    assert rows(pair.destination, "SELECT a, b FROM w") == [(1, "x"), (2, "z")]


def test_an_added_column(pair, sluice):
    """One that comes later is left out where it is not selected, and else asked for."""
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY, a int); CREATE TABLE u (id int PRIMARY KEY, a int);")
    task = sluice(pair, objects=tables({"table": "t", "columns": {"include": ["id", "a"]}}, {"table": "u"}))
    task.sync()
    pair.source.sql("ALTER TABLE t ADD b int; INSERT INTO t VALUES (1, 2, 3)")
    task.sync()
    assert rows(pair.destination, "SELECT * FROM t") == [(1, 2)]


@pytest.mark.parametrize("entry, message", [
    ({"table": "t", "columns": {"exclude": ["id"]}},
     "column id of table public.t cannot be left out: it is part of the primary key t_pkey"),
    ({"table": "u", "columns": {"include": ["v"]}},
     "column k of table public.u cannot be left out: it is part of the replica identity u_k_key"),
    ({"table": "p", "columns": {"exclude": ["at"]}},
     "column at of table public.p cannot be left out: the table is partitioned by it"),
    ({"table": "g", "columns": {"exclude": ["b"]}},
     "column b of table public.g cannot be left out: the generated column c is computed from it"),
    ({"table": "t", "columns": {"exclude": ["nam"]}}, "table public.t has no column nam"),
    ({"table": "*", "columns": {"exclude": ["nothing"]}}, "has no column nothing"),
    ({"table": "w", "columns": {"exclude": ["a"]}}, "no column of table public.w is left"),
])
def test_refused_columns(entry, message, pair, sluice):
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY, name text); CREATE TABLE w (a int);"
                       "CREATE TABLE u (id int, k int NOT NULL UNIQUE, v int);"
                       "ALTER TABLE u REPLICA IDENTITY USING INDEX u_k_key;"
                       "CREATE TABLE p (i int, at date) PARTITION BY RANGE (at);"
                       "CREATE TABLE g (a int PRIMARY KEY, b int, c int GENERATED ALWAYS AS (b + 1) STORED);")
    said = sluice(pair, objects=tables(entry)).call("check", code=USAGE).text
    assert message in said and ".yaml:" in said


def test_a_generated_column_goes_with_what_it_needs(pair, sluice):
    pair.source.script("CREATE TABLE g (a int PRIMARY KEY, b int, c int GENERATED ALWAYS AS (b + 1) STORED,"
                       " d int); INSERT INTO g VALUES (1, 2, DEFAULT, 3);")
    task = sluice(pair, objects=tables({"table": "g", "columns": {"exclude": ["b", "c"]}}))
    task.sync()
    pair.source.sql("INSERT INTO g VALUES (4, 5, DEFAULT, 6)")
    task.sync()
    assert rows(pair.destination, "SELECT * FROM g") == [(1, 3), (4, 6)]
