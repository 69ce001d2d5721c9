"""Output plugins other than pgoutput: the same tables stay in step, and what is said when one cannot be used."""

import json
import os
import struct
import subprocess
import time

import pytest

from pgtest import compare, plugin
from pgtest.sluice import DONE, FAILED, PRECHECK, executable
from pgtest.workload import RandomChanges, stays_in_step


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
    stays_in_step(pair, sluice(pair, keyless="insert_only", decoder=decoder))
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


def test_unselected_columns_stay_on_the_source(pair, sluice):
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY, a text, b text); CREATE TABLE u (id int PRIMARY KEY, a text, b text);"
                       "INSERT INTO t VALUES (1, 'copied', 'left')")
    objects = [{"schema": "public", "tables": [{"table": "t", "columns": {"exclude": ["b"]}},
                                               {"table": "u", "columns": {"include": ["id", "b"]}}]}]
    task = sluice(pair, decoder="pgsluice", objects=objects)
    task.sync()
    pair.source.script("INSERT INTO t VALUES (2, 'new', 'left'); UPDATE t SET a = 'changed', b = 'x' WHERE id = 1;"
                       "INSERT INTO u VALUES (1, 'left', 'b'); UPDATE u SET b = 'c'; UPDATE u SET id = 3, a = 'x';")
    task.sync()
    assert pair.destination.sql("SELECT * FROM t ORDER BY 1") == [(1, "changed"), (2, "new")]
    assert pair.destination.sql("SELECT * FROM u") == [(3, "c")]
    log = pair.source.cluster.log_tail(5000)
    assert "exclude_columns" in log and '"public"."t"("b")' in log and '"public"."u"("id","b")' in log


# -- chosen automatically -------------------------------------------------------------------------------


def chosen(make_pair, make_cluster, sluice, settings, code=DONE):
    """Runs a task without the key `decoder` from such a source: (its decoder or None, the finding, the pair)."""
    pair = make_pair(15, 15)
    pair.source = make_cluster(15, settings=settings).create_database("chosen")
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'copied')")
    task = sluice(pair)
    finished = task.run("--until-caught-up", code=code)
    (finding,) = [event for event in finished.events()
                  if event["event"] == "finding" and event["check"] == "source.decoder"]
    started = [event["decoder"] for event in finished.events() if event["event"] == "stream.started"]
    if started:
        pair.source.sql("UPDATE t SET v = 'streamed'")
        task.sync()
        compare.assert_equal(pair.source, pair.destination)
    return started[0] if started else None, finding, pair


def test_pgoutput_is_not_allowed(make_pair, make_cluster, sluice):
    settings = {**plugin.settings(), "output_plugin_libraries": f"test_decoding, {plugin.NAME}"}
    decoder, finding, pair = chosen(make_pair, make_cluster, sluice, settings)
    assert decoder == "pgsluice" and finding["result"] == "warning"
    assert "Changes are read with pgsluice_decoding" in finding["cause"]
    assert "does not allow pgoutput" in finding["cause"]
    assert f"output_plugin_libraries = test_decoding, {plugin.NAME}, pgoutput;" in finding["remedy"]
    assert pair.source.publications() == []


def test_the_next_one_is_not_installed(make_pair, make_cluster, sluice):
    settings = {"output_plugin_libraries": f"test_decoding, {plugin.NAME}"}
    decoder, finding, _ = chosen(make_pair, make_cluster, sluice, settings)
    assert decoder == "test_decoding"
    assert "pgsluice_decoding is not installed on the source" in finding["cause"]
    assert "Install pgsluice_decoding on the source" in finding["remedy"]


def test_the_next_one_is_of_another_protocol_version(make_pair, make_cluster, sluice):
    settings = {**plugin.settings(), "output_plugin_libraries": f"test_decoding, {plugin.NAME}",
                "dynamic_library_path": f"{plugin.of_the_future()}:$libdir"}
    decoder, finding, pair = chosen(make_pair, make_cluster, sluice, settings)
    assert decoder == "test_decoding"
    assert "does not understand this pgsluice" in finding["cause"]
    refused = sluice(pair, name="asked", decoder="pgsluice").run("--until-caught-up", code=PRECHECK)
    assert "does not understand this pgsluice" in refused.text


def test_none_is_allowed(make_pair, make_cluster, sluice):
    decoder, finding, pair = chosen(make_pair, make_cluster, sluice, {"output_plugin_libraries": "other"},
                                    code=PRECHECK)
    assert decoder is None and finding["result"] == "failed"
    for name in ("pgoutput", plugin.NAME, "test_decoding"):
        assert f"does not allow {name}" in finding["cause"]
    assert "output_plugin_libraries = other, pgoutput;" in finding["remedy"]
    assert pair.source.slots() == [] and "pgsluice" not in pair.destination.schemas()


def test_a_held_up_slot_does_not_hold_up_the_choice(make_pair, make_cluster, sluice):
    """An open transaction: the library is loaded before the server waits for it."""
    pair = make_pair(15, 15)
    pair.source = make_cluster(15, settings=plugin.settings()).create_database("held")
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY)")
    with pair.source.connect(autocommit=False) as blocker:
        blocker.execute("INSERT INTO t VALUES (1)")
        started = time.monotonic()
        checked = sluice(pair, decoder="pgsluice").call("check")
        assert time.monotonic() - started < 20
        assert "source.decoder" in checked.stdout and pair.source.slots() == []


# -- the same rows -----------------------------------------------------------------------------------

SLOTS = {
    "pgoutput": ("pgoutput", "'proto_version', '1', 'publication_names', 'p'"),
    "pgsluice": (plugin.NAME, "'min_proto_version', '1', 'max_proto_version', '1', 'binary', 'off'"),
    "test_decoding": ("test_decoding", "'include-timestamp', 'on'"),
}
CATALOG = """
SELECT n.nspname || '.' || c.relname, c.oid::int8, c.relreplident::text, json_agg(json_build_array(a.attname,
    a.atttypid::int8, a.atttypmod, c.relreplident = 'f' OR coalesce(a.attnum = ANY (i.indkey), false),
    a.attgenerated <> '') ORDER BY a.attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
WHERE c.relkind = 'r' AND n.nspname = 'public' AND a.attnum > 0 AND NOT a.attisdropped GROUP BY 1, 2, 3
"""


def decoded(database, decoder, catalog):
    """The lines of tests/tools/decode_tool for what the decoder's slot has."""
    rows = database.sql("SELECT lsn - '0/0', data FROM pg_logical_slot_get_binary_changes("
                        f"'{decoder}', NULL, NULL, {SLOTS[decoder][1]})")
    messages = b"".join(struct.pack(">QI", int(lsn), len(data)) + bytes(data) for lsn, data in rows)
    tool = os.path.join(os.path.dirname(executable()), "tests", "tools", "decode_tool")
    done = subprocess.run([tool, decoder, catalog], input=messages, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().splitlines()


def test_the_same_rows(pair, tmp_path):
    """All decoders hand on exactly what pgoutput's does: tables, keys, values, transactions, positions."""
    source = pair.source
    load = RandomChanges(source, rows=1000, identity_full=True).create()
    source.script("""
        CREATE TABLE "Odd ""name" ("a b" int PRIMARY KEY, v bool, w varbit, x text[], y name, z "char", n numeric,
            g int GENERATED ALWAYS AS ("a b" + 1) STORED);
        CREATE TABLE loose (a int);
        CREATE PUBLICATION p FOR ALL TABLES WITH (publish = 'insert, update, delete, truncate');
        ALTER TABLE loose REPLICA IDENTITY NOTHING;
    """)
    for slot, (library, _) in SLOTS.items():
        source.sql(f"SELECT pg_create_logical_replication_slot('{slot}', '{library}')")
    with load:
        time.sleep(2)
    source.script("""
        INSERT INTO "Odd ""name" VALUES (1, true, B'101', ARRAY['a "b"', NULL, 'c''d'], 'null', ' ', 'NaN'),
            (2, NULL, NULL, '{}', 'x[y]:z', '''', -1.50);
        UPDATE "Odd ""name" SET "a b" = 3, v = false WHERE "a b" = 1;
        UPDATE "Odd ""name" SET y = E'two\nlines \\\\ ' || repeat('x', 20);
        DELETE FROM "Odd ""name" WHERE "a b" = 2;
        INSERT INTO loose VALUES (1), (NULL);
        BEGIN; TRUNCATE entries, accounts RESTART IDENTITY CASCADE; TRUNCATE loose; COMMIT;
    """)
    catalog = tmp_path / "catalog.json"
    catalog.write_text(json.dumps({name: {"oid": oid, "identity": identity, "columns": columns}
                                   for name, oid, identity, columns in source.sql(CATALOG)}))
    expected = decoded(source, "pgoutput", str(catalog))
    assert len(expected) > 500 and load.transactions > 20
    for kind in ("insert", "update", "delete", "truncate 3"):
        assert any(line.startswith(kind) for line in expected), kind
    for part in (" key(", " old(", " unchanged", "=n, "):
        assert any(part in line for line in expected), part
    for decoder in ("pgsluice", "test_decoding"):
        assert decoded(source, decoder, str(catalog)) == expected, decoder


def test_a_plugin_that_is_allowed_but_not_installed(make_pair, make_cluster, sluice):
    settings = {name: value for name, value in plugin.settings().items() if name != "dynamic_library_path"}
    source = make_cluster(15, settings=settings).create_database("missing")
    made = make_pair(15, 15)
    source.script("CREATE TABLE t (id int PRIMARY KEY)")
    refused = sluice(source=source, destination=made.destination, decoder="pgsluice").run(
        "--until-caught-up", code=PRECHECK)
    assert 'could not access file "pgsluice_decoding"' in refused.text or "pgsluice_decoding\\\"" in refused.text
    assert "Install pgsluice_decoding on the source" in refused.text
    assert source.slots() == []
