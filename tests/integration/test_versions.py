"""Every source version into every destination version: schema, copy, stream, kills, release.

The suite runs the oldest, 13, 15 and the newest; `--long` (./test.sh --all) all of them. Sources and destinations of
9.4 to 9.6 run where $PGSLUICE_OLD_SERVERS names some, see pgtest/servers.py: with our plugin and with test_decoding.
"""

import re

import pytest

from pgtest import compare, servers
from pgtest.workload import RandomChanges
from test_main_job import assert_nothing_left
from test_schema import SCHEMAS, assert_same, describe, dump, load, sequences

DESTINATIONS = (10, 15, 18)
IN_SUITE = {(10, 15), (13, 18), (15, 10), (18, 18)}
OLD = [version for version in servers.OLD_VERSIONS if servers.available(version)]
OLD_PAIRS = [(source, destination) for source in OLD for destination in (*OLD, *DESTINATIONS)
             if destination in DESTINATIONS or destination >= source]
PAIRS = [pytest.param(source, destination, marks=() if (source, destination) in IN_SUITE else pytest.mark.long)
         for source in servers.VERSIONS for destination in DESTINATIONS]

ROWS = """
INSERT INTO app.fk_parent SELECT g, g + 1 FROM generate_series(1, 200) g;
INSERT INTO app.fk_child SELECT g, g, g + 1 FROM generate_series(1, 200) g;
INSERT INTO app.everything (id, small, n, t, c, iv, b, arr, m, ms, pr, fr, h, ci, j, u, by)
  SELECT g, 10 + g, g + 0.5, 't' || g, 'c', '1 day 2:03:04.5', B'10101', ARRAY[g, NULL], 'o''k', '{sad,"Happy \\"x\\""}',
    ROW(g, 'x "y"', '{sad}')::app.pair, '[1.5,2.5)', 'a=>1, "b c"=>NULL', 'CI', '{"a": [1, 2, null]}',
    md5(g::text)::uuid, '\\x00ff' FROM generate_series(10, 200) g;
INSERT INTO "a.b".c SELECT g FROM generate_series(1, 200) g;
"""
CHANGES = """
UPDATE app.everything SET t = t || '!', j = NULL, fr = 'empty', h = 'x=>"y=>z"' WHERE id % 3 = 0;
UPDATE app.everything SET id = id + 1000 WHERE id % 7 = 0;
DELETE FROM app.everything WHERE id % 5 = 0 AND NOT EXISTS (SELECT FROM app.fk_child WHERE up = everything.id);
UPDATE "a.b".c SET x = -x WHERE x % 2 = 0;
"""


def alike(entries):
    """A dump's entries without what pg_dump says otherwise of the same object in an older server."""
    entries = [entry for entry in entries if not entry.startswith("keyed_by_oid_oid;")]
    return [re.sub(r"^ +multirange_type_name = .*\n", "", entry.replace("EXECUTE PROCEDURE", "EXECUTE FUNCTION"),
                   flags=re.M) for entry in entries]


def synchronize(pair, sluice, **spec):
    """From nothing, through two kills under load, until both are the same. Returns the load."""
    changes = RandomChanges(pair.source, rows=3000).create()
    task = sluice(pair, keyless="insert_only", objects=[{"schema": name} for name in [*SCHEMAS, "public"]], **spec)
    with changes:
        running = task.background()
        running.wait_event(lambda event: event["event"] == "table.copied", timeout=120)
        running.kill9()
        running = task.background()
        running.wait_event(lambda event: event["event"] == "stream.started", timeout=120)
        pair.source.script(CHANGES)
        running.wait_until(lambda: pair.destination.value('SELECT min(x) FROM "a.b".c') == -200)
        running.kill9()
    task.sync()
    compare.assert_equal(pair.source, pair.destination, schemas=[*SCHEMAS, "public"])
    assert sequences(pair.source, [*SCHEMAS, "public"]) == sequences(pair.destination, [*SCHEMAS, "public"])
    assert pair.destination.sql("SELECT kind, identity, detail FROM pgsluice.object WHERE result = 'failed'") == []
    return task, changes


@pytest.mark.parametrize("source,destination", PAIRS)
def test_versions(make_pair, sluice, source, destination):
    pair = make_pair(source, destination)
    load(pair.source, upto=destination)
    pair.source.script(ROWS)
    task, changes = synchronize(pair, sluice)
    assert changes.transactions > 20
    task.call("release")
    assert_nothing_left(pair)
    if source <= destination:
        allowed = []
        if source < 17 <= destination:  # partitions share the identity of their table
            allowed += [r"^[-+]column \| app\.pi_(1|default|h0|h1)\.id \|"]
        if source in (13, 14) and destination >= 15:  # these hide partitions' copies of a trigger
            allowed += [r"^\+trigger \| app\.pi_(1|default|h0|h1)\.of_parts \|"]
        assert_same(describe(pair.source, source, destination), describe(pair.destination, source, destination), allowed)


@pytest.mark.parametrize("decoder", ["pgsluice", "test_decoding"])
@pytest.mark.parametrize("source,destination", OLD_PAIRS)
def test_old_sources(make_pair, sluice, source, destination, decoder):
    pair = make_pair(source, destination)
    load(pair.source)
    pair.source.script(ROWS)
    # without the key: our plugin, which the source has
    task, changes = synchronize(pair, sluice, **({} if decoder == "pgsluice" else {"decoder": decoder}))
    assert changes.transactions > 20
    assert pair.source.value("SELECT plugin FROM pg_replication_slots WHERE database = current_database()") \
        == {"pgsluice": "pgsluice_decoding"}.get(decoder, decoder)
    left_out = pair.destination.sql("SELECT identity, detail FROM pgsluice.object WHERE result = 'unsupported'")
    task.call("release")
    assert_nothing_left(pair)
    if destination in (*OLD, 15):  # what pg_dump of 15 can judge
        chosen = ["--schema=\"" + name.replace('"', '""') + "\"" for name in SCHEMAS]
        assert_same(*(alike(dump(database, *chosen)) for database in (pair.source, pair.destination)))
        assert dict(left_out) == {"app.keyed_by_oid_oid": "it is on the system column oid (WITH OIDS), which is not "
                                                          "synchronized"}


@pytest.mark.parametrize("source", OLD)
def test_an_idle_database_keeps_no_wal(make_pair, sluice, source):
    """Other databases write; the task's slot lets go of that WAL though nothing of it is the task's."""
    pair = make_pair(source, 15)
    pair.source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    running = sluice(pair).background()
    running.wait_event(lambda event: event["event"] == "stream.started")
    pair.source.cluster.sql("CREATE TABLE noise AS SELECT g, repeat('x', 100) FROM generate_series(1, 300000) g")
    behind = pair.source.value("SELECT pg_current_xlog_insert_location()")
    pair.source.cluster.sql("DROP TABLE noise")

    def let_go():
        pair.source.cluster.sql("CHECKPOINT")  # logs the running transactions, which lets a slot move
        return pair.source.value("SELECT restart_lsn > %s::pg_lsn FROM pg_replication_slots "
                                 "WHERE database = current_database()", [behind])

    running.wait_until(let_go, timeout=60, interval=1)
    running.interrupt()


KEPT = """
CREATE TABLE t (id int PRIMARY KEY, v text UNIQUE, n numeric(6,2));
CREATE TABLE two (a int, b text, c text, PRIMARY KEY (b, a));
CREATE TABLE only_key (id int PRIMARY KEY);
"""


@pytest.mark.parametrize("version", [15, *OLD])
def test_rows_that_are_there(make_pair, sluice, version):
    """conflict: proceed, also where the server has no ON CONFLICT: kept by the copy, overwritten by the stream."""
    pair = make_pair(version, version)
    pair.both(KEPT)
    pair.source.script("INSERT INTO t SELECT g, 'new ' || g, g FROM generate_series(1, 3000) g;"
                       "INSERT INTO two SELECT g, 'b', 'new' FROM generate_series(1, 20) g;"
                       "INSERT INTO only_key SELECT generate_series(1, 20)")
    pair.destination.script("INSERT INTO t SELECT g, 'mine ' || g, -1 FROM generate_series(2991, 3100) g;"
                            "INSERT INTO t VALUES (9000, 'new 7', -1); INSERT INTO two VALUES (3, 'b', 'mine');"
                            "INSERT INTO only_key VALUES (5), (100)")
    task = sluice(pair, conflict="proceed")
    finished = task.run("--until-caught-up")
    kept = {event["table"]: event["rows"] for event in finished.events() if event["event"] == "table.kept_rows"}
    assert kept == {"public.t": 11, "public.two": 1, "public.only_key": 1}
    assert pair.destination.sql("SELECT left(v, 3), count(*), sum(n) FROM t GROUP BY 1 ORDER BY 1") == [
        ("min", 110, -110), ("new", 2990, 2990 * 2991 // 2 - 7 - 1)]
    # the stream: single rows and many at once, new ones and such that are there, a row that is missing
    pair.destination.script("DELETE FROM t WHERE id = 9000; INSERT INTO t SELECT g, 'mine ' || g, -2 FROM generate_series(4001, 4050) g;"
                            "DELETE FROM two WHERE a = 7; INSERT INTO only_key VALUES (200)")
    pair.source.script("INSERT INTO t SELECT g, 'new ' || g, NULL FROM generate_series(4001, 4100) g; INSERT INTO t VALUES (3050, 'one', 1.5);"
                       "UPDATE t SET n = n + 0.25 WHERE id BETWEEN 2991 AND 2993; UPDATE t SET v = 'moved' WHERE id = 2994;"
                       "INSERT INTO two VALUES (30, 'b', 'new'); UPDATE two SET c = 'x' WHERE a = 7;"
                       "INSERT INTO only_key VALUES (200), (201)")
    task.sync()
    ours = "SELECT * FROM t WHERE id BETWEEN 4001 AND 4100 OR id IN (3050) ORDER BY id"
    assert pair.destination.sql(ours) == pair.source.sql(ours) and len(pair.source.sql(ours)) == 101
    assert pair.destination.sql("SELECT n FROM t WHERE id BETWEEN 2991 AND 2993") == pair.source.sql(
        "SELECT n FROM t WHERE id BETWEEN 2991 AND 2993")
    assert pair.destination.sql("SELECT a, c FROM two WHERE a IN (7, 30) ORDER BY 1") == [(7, "x"), (30, "new")]
    assert pair.destination.value("SELECT count(*) FROM only_key") == 23
    counts = dict(((table, kind), count) for table, kind, count in pair.destination.sql(
        "SELECT table_name, kind, count FROM pgsluice.conflict"))
    assert counts[("t", "row_exists")] == 51 and counts[("only_key", "row_exists")] == 1, counts


@pytest.mark.parametrize("source", [10, 18])
@pytest.mark.parametrize("destination", OLD)
def test_a_destination_below_10(make_pair, sluice, source, destination):
    """Older than the source: a warning; identity becomes a default, and what cannot be is named."""
    pair = make_pair(source, destination)
    pair.source.script("""
        CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY (START WITH 5 INCREMENT BY 2) PRIMARY KEY, s smallserial, v text);
        CREATE SEQUENCE small AS smallint;
        CREATE COLLATION c (locale = 'C');
        CREATE TABLE u (id int PRIMARY KEY, v text COLLATE c, w int GENERATED BY DEFAULT AS IDENTITY);
        INSERT INTO t (v) SELECT 'v' FROM generate_series(1, 100); INSERT INTO u VALUES (1, 'x');
    """)
    task = sluice(pair)
    with_warning = task.run("--until-caught-up")
    assert [event["result"] for event in with_warning.events()
            if event["event"] == "finding" and event["check"] == "destination.version"] == ["warning"]
    pair.source.script("INSERT INTO t (v) SELECT 'streamed' FROM generate_series(1, 100); UPDATE t SET v = 'w' WHERE id < 30;"
                       "UPDATE u SET w = 7; DELETE FROM t WHERE id > 300")
    task.sync()
    compare.assert_equal(pair.source, pair.destination)
    assert pair.destination.sql("SELECT detail FROM pgsluice.object WHERE kind = 'table' AND identity = 'public.t'") == [
        ("id has a default: identity needs PostgreSQL 10",)]
    task.call("release")
    last = pair.source.value("SELECT max(id) FROM t")
    pair.destination.sql("SELECT setval('t_id_seq', %s)", [last])
    assert pair.destination.value("INSERT INTO t (v) VALUES ('own') RETURNING id") == last + 2
    pair.destination.sql("ALTER TABLE t DROP COLUMN id")  # and the sequence with it
    assert pair.destination.value("SELECT count(*) FROM pg_class WHERE relname = 't_id_seq'") == 0
    pair.source.sql("CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id)" if source > 10 else
                    "CREATE TABLE parted (id int) PARTITION BY RANGE (id)")
    objects = [{"schema": "public", "tables": [{"table": "parted"}]}]
    refused = sluice(pair, name="parted", keyless="insert_only", objects=objects).run("--until-caught-up", code=None)
    assert refused.code != 0 and "partitions need PostgreSQL 10" in refused.text
