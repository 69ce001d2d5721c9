"""Routes: what the specification selects on a real server, and what is known of each table."""

import json
import os
import subprocess
import time

import pytest

from pgtest import servers
from pgtest.sluice import executable

INSERT, UPDATE, DELETE, TRUNCATE, ALL = 1, 2, 4, 8, 15


def dump(task, code=0):
    """The routes as tests/tools/routes_tool.c prints them."""
    tool = os.path.join(os.path.dirname(executable()), "tests", "tools", "routes_tool")
    done = subprocess.run([tool, task.path], env=task.environment, capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if code == 0 else done.stderr


def routes(task):
    return {f"{r['schema']}.{r['table']}": r for r in dump(task)["routes"]}


def columns(route):
    return {c["name"]: c for c in route["columns"]}


@pytest.mark.parametrize("version", [servers.VERSIONS[0], 15, servers.VERSIONS[-1]])
def test_identity(version, make_pair, sluice):
    pair = make_pair(version, 15)
    pair.source.sql("""
        CREATE TABLE pk (b int, a int, x text, PRIMARY KEY (a, b));
        CREATE TABLE pk_more (id int PRIMARY KEY, u int UNIQUE);
        CREATE TABLE keyless (i int);
        CREATE TABLE only_unique (i int NOT NULL UNIQUE);
        CREATE TABLE late (i int PRIMARY KEY DEFERRABLE);
        CREATE TABLE by_index (i int, u int NOT NULL, v int NOT NULL, PRIMARY KEY (i));
        CREATE UNIQUE INDEX the_index ON by_index (v, u);
        ALTER TABLE by_index REPLICA IDENTITY USING INDEX the_index;
        CREATE TABLE full_pk (i int PRIMARY KEY, t text);
        ALTER TABLE full_pk REPLICA IDENTITY FULL;
        CREATE TABLE full_none (i int, t text);
        ALTER TABLE full_none REPLICA IDENTITY FULL;
        CREATE TABLE full_unique (i int NOT NULL, n int, t text);
        CREATE UNIQUE INDEX nullable ON full_unique (n);
        CREATE UNIQUE INDEX partial ON full_unique (i) WHERE i > 0;
        CREATE UNIQUE INDEX expression ON full_unique ((i + 1));
        CREATE UNIQUE INDEX the_one ON full_unique (i);
        ALTER TABLE full_unique REPLICA IDENTITY FULL;
        CREATE TABLE nothing (i int PRIMARY KEY);
        ALTER TABLE nothing REPLICA IDENTITY NOTHING;
        CREATE TABLE excluded (i int PRIMARY KEY, r int4range, EXCLUDE USING gist (r WITH &&));
    """)
    found = routes(sluice(pair))
    key, full, nothing = "key", "full", "nothing"
    expected = {  # identity, key, index, extra unique, deferrable
        "pk": (key, ["a", "b"], "pk_pkey", False, False),
        "pk_more": (key, ["id"], "pk_more_pkey", True, False),
        "keyless": (nothing, [], None, False, False),
        "only_unique": (nothing, [], None, True, False),
        "late": (nothing, [], None, True, True),
        "by_index": (key, ["v", "u"], "the_index", True, False),
        "full_pk": (full, ["i"], "full_pk_pkey", False, False),
        "full_none": (full, [], None, False, False),
        "full_unique": (full, ["i"], "the_one", True, False),
        "nothing": (nothing, [], None, True, False),
        "excluded": (key, ["i"], "excluded_pkey", True, False),
    }
    for table, (identity, names, index, extra, deferrable) in expected.items():
        r = found["public." + table]
        assert (r["identity"], r["key"], r["key_index"], r["extra_unique"], r["key_deferrable"]) == (
            identity, names, index, extra, deferrable), table
        assert r["operations"] == ALL and r["keyless"] == "refuse"
        for c in r["columns"]:
            assert c["in_key"] == (c["name"] in names), table
            assert c["in_relation_key"] == (identity == full or c["name"] in names), table
    assert set(found) == {"public." + t for t in expected}


def test_keyless_policies(pair, sluice):
    pair.source.sql("CREATE TABLE a (i int); CREATE TABLE b (i int NOT NULL UNIQUE);"
                    "CREATE TABLE c (i int); CREATE TABLE d (i int PRIMARY KEY)")
    task = sluice(pair, keyless="insert_only", objects=[{"schema": "public", "tables": [
        {"table": "*"}, {"table": "b", "keyless": "full"},
        {"table": "c", "keyless": "refuse", "operations": ["insert"]}]}])
    found = routes(task)
    assert (found["public.a"]["identity"], found["public.a"]["operations"]) == (
        "nothing", INSERT | TRUNCATE)
    assert (found["public.b"]["identity"], found["public.b"]["key"]) == ("full", ["i"])
    assert (found["public.c"]["identity"], found["public.c"]["operations"]) == ("nothing", INSERT)
    assert (found["public.d"]["identity"], found["public.d"]["operations"]) == ("key", ALL)


@pytest.mark.parametrize("version", [11, 15, servers.VERSIONS[-1]])
def test_include_and_generated(version, make_pair, sluice):
    pair = make_pair(version, version)
    generated = ", g int GENERATED ALWAYS AS (i * 2) STORED" if version >= 12 else ""
    pair.source.sql(f"CREATE TABLE t (i int, j int, n int GENERATED ALWAYS AS IDENTITY,"
                    f" m int GENERATED BY DEFAULT AS IDENTITY {generated},"
                    f" PRIMARY KEY (j) INCLUDE (i))")
    route = routes(sluice(pair))["public.t"]
    assert route["key"] == ["j"]
    c = columns(route)
    assert c["n"]["identity"] == "a" and c["m"]["identity"] == "d" and c["i"]["identity"] == ""
    assert not c["n"]["generated"]
    if generated:
        assert c["g"]["generated"]
    if version >= 18:
        pair.source.sql("ALTER TABLE t ADD v int GENERATED ALWAYS AS (j + 1) VIRTUAL")
        assert columns(routes(sluice(pair))["public.t"])["v"]["generated"]


def test_generated_key_is_no_identity(pair, sluice):
    """The server does not send it."""
    pair.source.sql("CREATE TABLE t (i int, g int GENERATED ALWAYS AS (i + 1) STORED PRIMARY KEY)")
    assert routes(sluice(pair))["public.t"]["identity"] == "nothing"


@pytest.mark.parametrize("version", [servers.VERSIONS[0], 15, servers.VERSIONS[-1]])
def test_types(version, make_pair, sluice):
    pair = make_pair(version, 15)
    array_of_domain = "dd d2[]," if version >= 11 else ""
    pair.source.sql(f"""
        CREATE SCHEMA other;
        CREATE TYPE other.color AS ENUM ('red', 'green');
        CREATE TYPE other.pair AS (a int, b text);
        CREATE TYPE other.span AS RANGE (subtype = float8);
        CREATE DOMAIN d1 AS varchar(10);
        CREATE DOMAIN d2 AS d1 NOT NULL DEFAULT '';
        CREATE DOMAIN d3 AS int[];
        CREATE TABLE t (i int, n numeric(10, 2), v varchar(5), ch char(3), bi bit(4), ta text[],
            e other.color, ea other.color[], p other.pair, r other.span, br int4range,
            d d2, da d3, {array_of_domain} "Odd ""name" uuid, x xml, dropped int);
        ALTER TABLE t DROP COLUMN dropped;
        CREATE TABLE fine (i int, e other.color);
        CREATE UNLOGGED TABLE unlogged (x xml);
    """)
    task = sluice(pair)
    found = routes(task)
    c = columns(found["public.t"])
    assert "dropped" not in c and 'Odd "name' in c
    expected = {  # base, element, kind, domain, proven, type_sql
        "i": (23, 0, "b", False, True, "integer"),
        "n": (1700, 0, "b", False, True, "numeric"),
        "v": (1043, 0, "b", False, True, "character varying"),
        "ch": (1042, 0, "b", False, True, "bpchar"),
        "bi": (1560, 0, "b", False, True, '"bit"'),
        "ta": (1009, 25, "b", False, True, "text[]"),
        "br": (3904, 0, "r", False, True, "int4range"),
        "d": (1043, 0, "b", True, True, "public.d2"),
        "da": (1007, 23, "b", True, True, "public.d3"),
        "x": (142, 0, "b", False, False, "xml"),
    }
    for name, wanted in expected.items():
        got = tuple(c[name][k] for k in ("base", "element", "kind", "domain", "proven", "type_sql"))
        assert got == wanted, name
    assert (c["e"]["kind"], c["e"]["proven"], c["e"]["type_sql"]) == ("e", True, "other.color")
    assert (c["p"]["kind"], c["p"]["proven"]) == ("c", False)
    assert (c["r"]["kind"], c["r"]["proven"]) == ("r", False)
    assert c["ea"]["proven"] is False and c["ea"]["type_sql"] == "other.color[]"
    if array_of_domain:
        assert c["dd"]["proven"] is False
    assert c["v"]["typmod"] == 9 and c["i"]["typmod"] == -1
    assert found["public.fine"]["binary_copy"] and not found["public.t"]["binary_copy"]
    assert dump(task)["binary_stream"] is False
    pair.source.sql("DROP TABLE t")
    assert dump(task)["binary_stream"] is True  # an unlogged table is not streamed
    assert not routes(task)["public.unlogged"]["binary_copy"]


def test_selection(pair, sluice):
    pair.source.sql("""
        CREATE SCHEMA s; CREATE SCHEMA t; CREATE SCHEMA untouched;
        CREATE TABLE s.log_2023 (i int); CREATE TABLE s.log_2024 (i int); CREATE TABLE s.other (i int);
        CREATE TABLE s.logs (i int); CREATE TABLE untouched.x (i int);
        CREATE TABLE t."Mixed Case" (i int); CREATE TABLE t.z (i int); CREATE VIEW t.v AS SELECT 1;
        CREATE EXTENSION hstore;
    """)
    task = sluice(pair, objects=[
        {"schema": "s", "tables": [{"table": "log_*"}, {"table": "log_2024"}, {"table": "log_202?"}]},
        {"schema": "t"}])
    found = dump(task)
    assert {f"{r['schema']}.{r['table']}": r["entry"] for r in found["routes"]} == {
        "s.log_2023": "log_202?", "s.log_2024": "log_2024", "t.Mixed Case": None, "t.z": None}
    assert found["schemas"] == [["s", False], ["t", True]]


@pytest.mark.parametrize("objects, message, near", [
    ([{"schema": "sales"}, {"schema": "ordres"}], "the source database has no schema ordres",
     "Did you mean orders?"),
    ([{"schema": "orders", "tables": [{"table": "itmes"}]}], "the source has no table orders.itmes",
     "Did you mean items?"),
    ([{"schema": "orders", "tables": [{"table": "Items"}]}], "the source has no table orders.Items",
     "Did you mean items?"),
    ([{"schema": "orders", "tables": [{"table": "seen"}]}],
     "orders.seen is a view, and only tables are synchronized", ""),
    ([{"schema": "orders", "tables": [{"table": "zzz"}]}], "the source has no table orders.zzz",
     "has 1 tables"),
])
def test_missing(objects, message, near, pair, sluice):
    pair.source.sql("CREATE SCHEMA orders; CREATE SCHEMA sales; CREATE TABLE orders.items (i int);"
                    "CREATE VIEW orders.seen AS SELECT 1")
    said = dump(sluice(pair, objects=objects), code=2)
    assert message in said and near in said
    line = said.split(".yaml:")[1].split(":")[0]
    assert line.isdigit() and int(line) > 1


@pytest.mark.parametrize("version", [10, 15, servers.VERSIONS[-1]])
def test_partitions_and_inheritance(version, make_pair, sluice):
    pair = make_pair(version, version)
    pair.source.sql("""
        CREATE SCHEMA elsewhere;
        CREATE TABLE root (i int NOT NULL, t text) PARTITION BY RANGE (i);
        CREATE TABLE sub PARTITION OF root FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (i);
        CREATE TABLE leaf1 PARTITION OF sub (PRIMARY KEY (i)) FOR VALUES FROM (0) TO (50);
        CREATE TABLE elsewhere.leaf2 PARTITION OF sub FOR VALUES FROM (50) TO (100);
        CREATE TABLE parent (i int); CREATE TABLE child () INHERITS (parent);
    """)
    task = sluice(pair, objects=[{"schema": "public", "tables": [
        {"table": "root", "keyless": "full"}, {"table": "leaf1", "operations": ["insert"]},
        {"table": "parent"}]}])
    found = dump(task)
    assert found["schemas"] == [["public", False], ["elsewhere", False]]
    table = {f"{r['schema']}.{r['table']}": r for r in found["routes"]}
    assert set(table) == {"public.root", "public.sub", "public.leaf1", "elsewhere.leaf2",
                          "public.parent"}
    assert [table["public." + t]["relkind"] for t in ("root", "sub", "leaf1")] == ["p", "p", "r"]
    assert not table["public.root"]["is_partition"] and table["public.sub"]["is_partition"]
    assert table["elsewhere.leaf2"]["entry"] == "root"
    assert table["elsewhere.leaf2"]["identity"] == "full"
    assert table["public.leaf1"]["entry"] == "leaf1"
    assert table["public.leaf1"]["identity"] == "key"
    assert table["public.leaf1"]["operations"] == INSERT
    assert table["public.parent"]["has_children"] and not table["public.root"]["has_children"]


def test_cascades_and_sizes(pair, sluice):
    pair.source.sql("""
        CREATE TABLE parent (i int PRIMARY KEY, t text);
        CREATE TABLE child (i int REFERENCES parent ON DELETE CASCADE);
        CREATE TABLE nulled (i int REFERENCES parent ON UPDATE SET NULL);
        CREATE TABLE plain (i int REFERENCES parent);
        ALTER TABLE parent ALTER t SET STORAGE EXTERNAL;
        INSERT INTO parent SELECT g, repeat('x', 5000) FROM generate_series(1, 1000) g;
    """)
    found = routes(sluice(pair))
    assert {t: r["cascades_in"] for t, r in found.items()} == {
        "public.parent": False, "public.child": True, "public.nulled": True, "public.plain": False}
    assert found["public.parent"]["reltuples"] == -1
    assert found["public.plain"]["reltuples"] == 0
    heap = pair.source.value("SELECT pg_relation_size('parent')")
    assert found["public.parent"]["heap_pages"] == heap // 8192 > 0
    assert found["public.parent"]["bytes"] > heap + 5_000_000
    pair.source.sql("ANALYZE")
    assert routes(sluice(pair))["public.parent"]["reltuples"] == 1000


def test_a_locked_table_does_not_hold_us_up(pair, sluice):
    """A migration's ACCESS EXCLUSIVE lock may last for hours; the stream must be able to resume."""
    pair.source.sql("CREATE TABLE t (i int PRIMARY KEY, x text);"
                    "INSERT INTO t SELECT g FROM generate_series(1, 10000) g; ANALYZE t")
    with pair.source.connect() as migration:
        migration.autocommit = False
        migration.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        assert routes(sluice(pair))["public.t"]["heap_pages"] > 0
        assert time.monotonic() - started < 5


def test_many_tables(pair, sluice):
    """Thousands of tables cost a handful of queries."""
    for start in range(0, 4000, 500):
        pair.source.sql(f"DO $$ BEGIN FOR i IN {start}..{start + 499} LOOP EXECUTE format("
                        "'CREATE TABLE t%s (id int PRIMARY KEY, a text, b int)', i); END LOOP; END $$")
    started = time.monotonic()
    found = routes(sluice(pair))
    assert len(found) == 4000 and found["public.t3999"]["key"] == ["id"]
    assert time.monotonic() - started < 8
