"""Output plugins other than pgoutput: the same tables stay in step, and what is said when one cannot be used."""

import time

import pytest

from pgtest import compare, plugin
from pgtest.sluice import FAILED, PRECHECK
from pgtest.workload import RandomChanges


@pytest.fixture(scope="module")
def source_server(pool):
    from pgtest.cluster import Cluster
    cluster = Cluster(15, settings=plugin.settings()).start()
    yield cluster
    cluster.remove()


@pytest.fixture
def pair(pool, source_server, make_pair):
    """Like the common fixture, with a source that has the plugin."""
    made = make_pair(15, 15)
    plain, made.source = made.source, source_server.create_database(made.source.name)
    yield made
    made.source.drop()
    made.source = plain


@pytest.mark.parametrize("decoder", ["pgsluice", "test_decoding"])
def test_random_changes(pair, sluice, decoder):
    load = RandomChanges(pair.source, rows=3000).create()
    task = sluice(pair, keyless="insert_only", decoder=decoder)
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
    assert pair.source.value("SELECT plugin FROM pg_replication_slots WHERE database = current_database()") \
        == {"pgsluice": plugin.NAME}.get(decoder, decoder)


@pytest.mark.parametrize("decoder", ["pgsluice", "test_decoding"])
def test_whole_rows_and_toast(pair, sluice, decoder):
    """Binary where every type allows it: NULLs, values that are not sent, changed keys, whole rows."""
    pair.source.script("""
        CREATE TABLE a (id int PRIMARY KEY, t text, n numeric, at timestamptz, f float8, u uuid, b bytea, x int[]);
        ALTER TABLE a ALTER t SET STORAGE EXTERNAL;
        CREATE TABLE whole (id int, t text); ALTER TABLE whole REPLICA IDENTITY FULL;
    """)
    task = sluice(pair, decoder=decoder)
    task.sync()
    pair.source.script("""
        INSERT INTO a SELECT g, repeat('x', 5000), g / 7.0, now(), 'NaN', md5(g::text)::uuid, '\\x00ff', ARRAY[g, NULL]
            FROM generate_series(1, 500) g;
        INSERT INTO whole SELECT g, NULLIF('t' || g, 't3') FROM generate_series(1, 50) g;
        UPDATE a SET n = NULL, f = '-Infinity' WHERE id % 2 = 0;
        UPDATE a SET id = id + 1000 WHERE id % 5 = 0;
        UPDATE whole SET t = NULL WHERE id % 2 = 0;
        DELETE FROM whole WHERE id % 3 = 0;
        DELETE FROM a WHERE id % 7 = 0;
        BEGIN; TRUNCATE whole; INSERT INTO whole VALUES (1, 'again'); COMMIT;
    """)
    task.sync()
    compare.assert_equal(pair.source, pair.destination)
    assert pair.destination.value("SELECT count(*) FROM a") > 400


def test_a_type_without_proven_binary_form(pair, sluice):
    """Its column comes as text into a stream of binary values that was started without it."""
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY, v int)")
    task = sluice(pair, decoder="pgsluice")
    running = task.background()
    started = running.wait_event(lambda event: event["event"] == "stream.started")
    assert started["binary"] is True and started["decoder"] == "pgsluice"
    pair.both("ALTER TABLE t ADD COLUMN q tsvector")
    pair.source.script("INSERT INTO t SELECT g, g, 'a:1' FROM generate_series(1, 300) g;"
                       "UPDATE t SET q = NULL WHERE id % 2 = 0; UPDATE t SET q = 'b' WHERE id = 1;"
                       "DELETE FROM t WHERE id = 300")
    running.wait_until(lambda: pair.destination.value("SELECT count(*) FROM t WHERE q IS NULL") == 149)
    compare.assert_equal(pair.source, pair.destination)
    running.interrupt()


def test_another_decoder_for_the_same_slot(pair, sluice):
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY)")
    sluice(pair, decoder="pgsluice").sync()
    refused = sluice(pair, name="test", decoder="pgoutput").run("--until-caught-up", code=FAILED)
    assert "was made for the output plugin pgsluice_decoding" in refused.text


def test_a_source_without_it(make_pair, make_cluster, sluice, pool):
    made = make_pair(15, 15)
    made.source.script("CREATE TABLE t (id int PRIMARY KEY)")
    refused = sluice(made, decoder="pgsluice").run("--until-caught-up", code=PRECHECK)
    assert "does not allow pgsluice_decoding" in refused.text
    assert "output_plugin_libraries = pgoutput, test_decoding, pgsluice_decoding" in refused.text
    assert made.source.slots() == []
