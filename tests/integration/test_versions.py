"""Every source version into every destination version: schema, copy, stream, kills, release.

The suite runs the oldest, 13, 15 and the newest; `--long` (./test.sh --all) all of them. Sources of 9.4 to 9.6 run
where $PGSLUICE_OLD_SERVERS names some, see pgtest/servers.py: with our plugin and with test_decoding.
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
@pytest.mark.parametrize("destination", DESTINATIONS)
@pytest.mark.parametrize("source", OLD)
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
    if destination == 15:  # the version of pg_dump
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
