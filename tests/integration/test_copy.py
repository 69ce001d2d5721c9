"""The copy: parts, locks and rewrites, tables that were there, publications, slots, what it reports.

Kills and restarts are in test_main_job.py. PGSLUICE_PART_BYTES makes small tables come in several parts.
"""

import time

import pytest

from pgtest.compare import assert_equal
from pgtest.proxy import DOWN
from pgtest.sluice import DONE, FAILED, PRECHECK, endpoint

FULL = ["schema", "full"]
SMALL_PARTS = {"PGSLUICE_PART_BYTES": "65536"}


def events_of(finished, name):
    return [e for e in finished.events() if e["event"] == name]


def states(pair):
    return dict(pair.destination.sql(
        "SELECT table_name, state FROM pgsluice.tables WHERE schema_name = 'public'"))


EVERYTHING = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE many (id bigserial PRIMARY KEY, t text, n numeric(12,3), f float8, m mood, p positive, c pair,
  a int[], ts timestamptz, d date, iv interval, j jsonb, u uuid, b bytea, bits varbit, mon money,
  ip inet, r int4range, doubled int GENERATED ALWAYS AS (p * 2) STORED);
INSERT INTO many (t, n, f, m, p, c, a, ts, d, iv, j, u, b, bits, mon, ip, r)
  SELECT repeat(md5(g::text), g % 4), g / 7.0, 1.0 / g, 'ok', g, ROW(g, E'x\\ty\\\\')::pair, ARRAY[g, NULL, -g],
  now() + g * interval '1 s', date '2000-01-01' + g, g * interval '1 day 1 s', '{"a": 1}',
  md5(g::text)::uuid, sha256(g::text::bytea), B'101', g::money, '10.0.0.1', int4range(g, g + 5)
  FROM generate_series(1, 20000) g;
INSERT INTO many (f, ts, d) VALUES ('NaN', 'infinity', '-infinity'), ('-0', '0044-03-15 BC', '0001-01-01 BC');
CREATE INDEX ON many (t); CREATE INDEX ON many (n); CREATE UNIQUE INDEX ON many (u);
CREATE TABLE bare ();
INSERT INTO bare SELECT FROM generate_series(1, 500);
CREATE TABLE always (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
INSERT INTO always (v) SELECT 'v' || g FROM generate_series(1, 3000) g;
CREATE TABLE nothing (id int PRIMARY KEY);
CREATE TABLE wide (id int PRIMARY KEY, v text);
ALTER TABLE wide ALTER v SET STORAGE EXTERNAL;
INSERT INTO wide SELECT g, repeat(md5(g::text), 300) FROM generate_series(1, 200) g;
CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, v text);
INSERT INTO unlogged SELECT g, 'u' FROM generate_series(1, 1000) g;
CREATE TABLE parent (id int PRIMARY KEY, v text);
CREATE TABLE child (extra int) INHERITS (parent);
ALTER TABLE child ADD PRIMARY KEY (id);
INSERT INTO parent SELECT g, 'p' FROM generate_series(1, 2000) g;
INSERT INTO child SELECT g, 'c', g FROM generate_series(1, 2000) g;
CREATE TABLE split (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE split_a PARTITION OF split FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE split_b PARTITION OF split FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
INSERT INTO split SELECT g, date '2020-01-01' + g % 700 FROM generate_series(1, 5000) g;
CREATE TABLE referring (id int PRIMARY KEY, other int REFERENCES always (id), self int REFERENCES referring (id));
INSERT INTO referring SELECT g, g, g / 2 + 1 FROM generate_series(1, 3000) g;
CREATE TABLE "Odd ""Name" ("Col ""umn" int PRIMARY KEY, "select" text);
INSERT INTO "Odd ""Name" SELECT g, 's' FROM generate_series(1, 100) g;
ANALYZE;
"""


@pytest.mark.parametrize("parts", [False, True], ids=["whole", "parts"])
@pytest.mark.parametrize("relay", ["", "libpq"])
def test_every_kind_of_table(pair, sluice, parts, relay):
    pair.source.script(EVERYTHING)
    environment = {"PGSLUICE_RELAY": relay, **(SMALL_PARTS if parts else {})}
    finished = sluice(pair, stages=FULL, environment=environment).run()
    assert_equal(pair.source, pair.destination)
    copied = {e["table"]: e for e in events_of(finished, "table.copied")}
    assert copied["public.many"]["rows"] == 20002
    assert copied["public.bare"]["rows"] == 500
    began = {e["table"]: e["parts"] for e in events_of(finished, "table.copying")}
    assert (began["public.many"] > 3) == parts
    # 200 rows of 9600 bytes, all of them in TOAST: the parts count it
    assert (began["public.wide"] > 3) == parts
    assert pair.destination.value("SELECT bool_and(convalidated) FROM pg_constraint "
                                  "WHERE contype = 'f'")
    analyzed = pair.destination.value("SELECT count(*) FROM pg_class WHERE reltuples > 0 AND relkind = 'r' "
                                      "AND relnamespace = 'public'::regnamespace")
    assert analyzed >= 9


@pytest.mark.parametrize("source, destination", [(10, 10), (13, 15), (14, 18)])
def test_parts_on_other_versions(make_pair, sluice, source, destination):
    """By ranges of an integer or uuid key before 14, by pages from there on."""
    pair = make_pair(source, destination)
    pair.source.script("""
CREATE TABLE keyed (id int PRIMARY KEY, v text);
INSERT INTO keyed SELECT g * 3 - 30000, repeat('x', 50) FROM generate_series(1, 20000) g;
CREATE TABLE ends (id bigint PRIMARY KEY, v text);
INSERT INTO ends SELECT g, repeat('x', 50) FROM generate_series(1, 9000) g;
INSERT INTO ends VALUES (-9223372036854775808, 'least'), (9223372036854775807, 'greatest');
CREATE TABLE uuids (part uuid, id int, v text, PRIMARY KEY (part, id));
INSERT INTO uuids SELECT md5(g::text)::uuid, g, repeat('x', 50) FROM generate_series(1, 9000) g;
CREATE TABLE texts (id text PRIMARY KEY, v text);
INSERT INTO texts SELECT g::text, repeat('x', 50) FROM generate_series(1, 9000) g;
ANALYZE""")
    finished = sluice(pair, stages=FULL, environment=SMALL_PARTS).run()
    assert_equal(pair.source, pair.destination)
    parts = {e["table"]: e["parts"] for e in events_of(finished, "table.copying")}
    assert parts["public.keyed"] > 3 and parts["public.ends"] > 3 and parts["public.uuids"] > 3
    assert (parts["public.texts"] > 3) == (source >= 14)


PADDED = """
CREATE DOMAIN code AS char(6);
CREATE TABLE padded (id int PRIMARY KEY, c char(30), u char(7), d code, free bpchar, a char(4)[], t text, g char(3)
    GENERATED ALWAYS AS ('g') STORED, last char(9));
INSERT INTO padded (id, c, u, d, free, a, t, last) SELECT g, CASE g % 4 WHEN 0 THEN '' WHEN 1 THEN NULL WHEN 2 THEN 'x ' || g ELSE ' ' END,
    CASE g % 3 WHEN 0 THEN 'é ü' WHEN 1 THEN '日本語日本語日' ELSE E'a\t \n' END, 'd', 'free  ', '{"a   ",b}', 'text  ',
    CASE g % 2 WHEN 0 THEN '\\ ' END FROM generate_series(1, 40000) g;
ANALYZE;
"""


@pytest.mark.parametrize("there", [False, True], ids=["made", "there"])
def test_padded_values_keep_their_blanks(pair, sluice, there):
    """Blanks of char(n) are not sent; comparing char(n) ignores them, so bytes are compared."""
    pair.source.script(PADDED)
    if there:  # the same values in other types: nothing may be left out of them
        pair.destination.script("""CREATE DOMAIN code AS text;
CREATE TABLE padded (id int PRIMARY KEY, c text, u char(7), d code, free varchar, a char(4)[], t text, g char(3)
    GENERATED ALWAYS AS ('g') STORED, last varchar(9))""")
    stages = ["full"] if there else FULL
    sluice(pair, stages=stages, **({"conflict": "proceed"} if there else {})).run()
    columns = ["c", "u", "d", "free", "t", "g", "last"]
    sums = ", ".join(f"sum(octet_length({c})), sum(hashtext(rpad({c}::text, 40, '.'))::bigint)" for c in columns)
    query = f"SELECT count(*), sum(length(a::text)), {sums} FROM padded"
    sent, got = pair.source.sql(query)[0], pair.destination.sql(query)[0]
    if there:  # what rpad sees: bpchar loses its blanks in the cast to text
        lengths = ", ".join(f"sum(octet_length({c}))" for c in columns)
        sent, got = (side.sql(f"SELECT count(*), {lengths} FROM padded")[0] for side in (pair.source, pair.destination))
    assert sent == got and sent[0] == 40000


def test_over_tls(make_cluster, make_pair, sluice):
    pair = make_pair()
    cluster = make_cluster(ssl_only=True, auth="scram-sha-256")
    source = cluster.create_database("tls")
    source.script(EVERYTHING)
    finished = sluice(source=source, destination=pair.destination, stages=FULL,
                      environment=SMALL_PARTS).run()
    assert_equal(source, pair.destination)
    assert events_of(finished, "table.copied")


# -- locks and rewrites ----------------------------------------------------------------------------

TWO = """
CREATE TABLE big (id int PRIMARY KEY, v text);
INSERT INTO big SELECT g, repeat('b', 200) FROM generate_series(1, 60000) g;
CREATE TABLE held (id int PRIMARY KEY, v text);
INSERT INTO held SELECT g, 'before' FROM generate_series(1, 5000) g;
ANALYZE;
"""


@pytest.fixture
def slow_start(pair, sluice, make_proxy):
    """Starts a task that copies `big` slowly first, with one worker; `held` is next."""
    def start(stages, *options):
        pair.source.script(TWO)
        proxy = make_proxy(pair.source)
        proxy.throttle(6_000_000, DOWN)
        task = sluice(pair, source=endpoint(pair.source, port=proxy.port), stages=stages, workers=1)
        running = task.background(*options)
        running.task = task
        running.wait_event(lambda e: e["event"] == "table.copying" and e["table"] == "public.big")
        return running
    return start


@pytest.mark.parametrize("stages", [FULL, FULL + ["incremental"]], ids=["full", "incremental"])
@pytest.mark.parametrize("rewrite", [
    "ALTER TABLE held ALTER id TYPE int USING id + 0",
    "TRUNCATE held; INSERT INTO held VALUES (1, 'after')",
    "UPDATE held SET v = 'in place'",
])
def test_locked_and_rewritten_meanwhile(pair, slow_start, rewrite, stages):
    """A table is locked when its turn comes; then its heap is another than the snapshot shows."""
    with pair.source.connect(autocommit=False) as holder:
        running = slow_start(stages, *(["--until-caught-up"] if "incremental" in stages else []))
        holder.execute("LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
        locked = running.wait_event(lambda e: e["event"] == "table.locked")
        assert locked["table"] == "public.held"
        assert locked["pid"] == holder.info.backend_pid
        holder.execute(rewrite)
        holder.commit()
    finished = running.wait()
    assert finished.code == DONE, finished
    rewritten = [e["table"] for e in events_of(finished, "table.rewritten")]
    assert rewritten == ([] if rewrite.startswith("UPDATE") else ["public.held"])
    if "incremental" in stages:  # it was committed after the flag was read: the next run's, at the latest
        running.task.sync()
    if "incremental" in stages or rewritten:
        assert_equal(pair.source, pair.destination)
    else:
        assert pair.destination.value("SELECT count(*) FROM held WHERE v = 'before'") == 5000


def test_rewritten_between_two_parts(pair, sluice, make_proxy):
    """VACUUM FULL gets the lock between a kill and the restart; the parts that were there are not kept."""
    pair.source.script("CREATE TABLE moving (id int PRIMARY KEY, v text) WITH (fillfactor = 50);"
                       "INSERT INTO moving SELECT g, repeat('m', 100) FROM generate_series(1, 30000) g; ANALYZE")
    proxy = make_proxy(pair.source)
    proxy.throttle(1_000_000, DOWN)
    task = sluice(pair, source=endpoint(pair.source, port=proxy.port), environment=SMALL_PARTS, workers=2)
    running = task.background()
    running.wait_until(lambda: pair.destination.value(
        "SELECT to_regclass('pgsluice.part') IS NOT NULL") and pair.destination.value(
        "SELECT count(*) FROM pgsluice.part") > 5, what="some parts")
    running.kill9()
    pair.source.sql("DELETE FROM moving WHERE id % 3 = 0")
    pair.source.sql("VACUUM FULL moving")
    pair.source.sql("UPDATE moving SET v = 'moved' WHERE id % 5 = 0")
    proxy.throttle(None)
    task.sync()
    assert_equal(pair.source, pair.destination)


def start_and_change(pair, slow_start, change):
    with pair.source.connect(autocommit=False) as holder:
        running = slow_start(FULL)
        holder.execute("LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
        running.wait_event(lambda e: e["event"] == "table.locked")
        holder.execute(change)
        holder.commit()
    return running.wait()


def test_a_changed_type_is_named(pair, slow_start):
    finished = start_and_change(pair, slow_start, "ALTER TABLE held ALTER id TYPE bigint")
    assert finished.code == FAILED
    assert "public.held.id" in finished.stderr


def test_a_replaced_table_is_copied_as_it_is_then(pair, slow_start):
    finished = start_and_change(pair, slow_start, "DROP TABLE held; CREATE TABLE held (id int PRIMARY KEY, "
                                "v text); INSERT INTO held VALUES (7, 'another')")
    assert finished.code == DONE, finished
    assert_equal(pair.source, pair.destination)


# -- tables that were there ------------------------------------------------------------------------


def test_proceed_keeps_what_is_there(pair, sluice):
    pair.both("CREATE TABLE t (id int PRIMARY KEY, v text, w int GENERATED ALWAYS AS (id * 2) STORED NOT NULL)")
    pair.both("CREATE TABLE u (id int GENERATED ALWAYS AS IDENTITY, v text UNIQUE)")
    pair.source.sql("INSERT INTO t SELECT g, 'new' FROM generate_series(1, 10000) g")
    pair.source.sql("INSERT INTO u (v) SELECT 'u' || g FROM generate_series(1, 1000) g")
    pair.destination.sql("INSERT INTO t SELECT g, 'mine' FROM generate_series(9001, 11000) g")
    pair.destination.sql("INSERT INTO u (v) VALUES ('u7'), ('other')")
    finished = sluice(pair, stages=FULL, conflict="proceed", keyless="insert_only",
                      environment=SMALL_PARTS).run()
    assert pair.destination.sql("SELECT v, count(*) FROM t GROUP BY 1 ORDER BY 1") == [
        ("mine", 2000), ("new", 9000)]
    assert pair.destination.value("SELECT count(*) FROM u") == 1001
    kept = {e["table"]: e["rows"] for e in events_of(finished, "table.kept_rows")}
    assert kept == {"public.t": 1000, "public.u": 1}
    assert not pair.destination.sql("SELECT 1 FROM pg_class WHERE relname LIKE 'staging%%'", [])


def test_proceed_with_other_types_goes_as_text(pair, sluice):
    pair.source.sql("CREATE TABLE t (id int PRIMARY KEY, v int, ts timestamp)")
    pair.destination.sql("CREATE TABLE t (ts timestamptz, v bigint, id int PRIMARY KEY)")
    pair.source.sql("INSERT INTO t SELECT g, g, '2020-01-01' FROM generate_series(1, 100) g")
    sluice(pair, stages=FULL, conflict="proceed").run()
    assert pair.destination.value("SELECT sum(v) FROM t WHERE ts = '2020-01-01Z'") == 5050


def test_without_the_schema_stage(pair, sluice):
    """Tables that exist: filled if they are empty, with foreign keys on them."""
    schema = ("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a)")
    pair.both(schema)
    pair.source.sql("INSERT INTO a SELECT generate_series(1, 20000)")
    pair.source.sql("INSERT INTO b SELECT g, g FROM generate_series(1, 20000) g")
    sluice(pair, stages=["full"]).run()
    assert_equal(pair.source, pair.destination)


def test_a_table_that_is_not_empty_is_left_alone(pair, sluice):
    pair.both("CREATE TABLE a (id int PRIMARY KEY)")
    pair.both("INSERT INTO a VALUES (1)")
    finished = sluice(pair, stages=["full"]).run(code=None)
    assert finished.code in (FAILED, PRECHECK)
    assert "public.a" in finished.text
    assert pair.destination.value("SELECT count(*) FROM a") == 1


# -- publications and slots ------------------------------------------------------------------------


def published(database):
    return {(pub, table) for pub, table in database.sql(
        "SELECT p.pubname, c.relname FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid "
        "JOIN pg_class c ON c.oid = r.prrelid")}


@pytest.mark.parametrize("version", [10, 11, 15])
def test_what_is_published(make_pair, sluice, version):
    pair = make_pair(version)
    pair.source.script("""
CREATE TABLE keyed (id int PRIMARY KEY);
CREATE TABLE keyless (a int);
CREATE TABLE whole (a int);
CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY);
CREATE TABLE byday (id int, at int) PARTITION BY RANGE (at);
CREATE TABLE byday_1 PARTITION OF byday FOR VALUES FROM (1) TO (2);
CREATE TABLE byday_2 PARTITION OF byday FOR VALUES FROM (2) TO (3);
ALTER TABLE byday_1 ADD PRIMARY KEY (id);
INSERT INTO byday VALUES (1, 1), (2, 2);
""" + ("""
CREATE TABLE rooted (id int, at int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE rooted_1 PARTITION OF rooted FOR VALUES FROM (1) TO (2);
""" if version > 10 else ""))
    task = sluice(pair, id="abcdefgh", objects=[{"schema": "public", "tables": [
        {"table": "whole", "keyless": "full"}, {"table": "*", "keyless": "insert_only"}]}])
    task.sync()
    main, inserts = "pgsluice_abcdefgh", "pgsluice_abcdefgh_inserts"
    expected = {(main, "keyed"), (main, "whole"), (inserts, "keyless"), (main, "byday_1")}
    expected |= {(inserts, "byday")} if version >= 13 else {(inserts, "byday_2")}
    if version > 10:
        expected |= {(main, "rooted" if version >= 13 else "rooted_1")}
    assert published(pair.source) == expected
    assert pair.source.value("SELECT relreplident::text FROM pg_class WHERE relname = 'whole'") == "f"
    pair.source.sql("UPDATE keyed SET id = id; DELETE FROM byday_2")  # the application's own go on
    pair.source.sql("CREATE TABLE added (id int PRIMARY KEY)")
    pair.source.sql("DROP TABLE keyless")
    pair.source.sql(f"ALTER PUBLICATION {main} DROP TABLE keyed")
    task.run("--until-caught-up", code=None)
    expected -= {(inserts, "keyless")}
    assert published(pair.source) >= expected
    if version < 11:
        assert pair.source.value(f"SELECT pubdelete OR pubupdate FROM pg_publication "
                                 f"WHERE pubname = '{inserts}'") is False
    else:
        assert pair.source.sql(f"SELECT pubupdate, pubdelete, pubtruncate FROM pg_publication "
                               f"WHERE pubname = '{inserts}'") == [(False, False, True)]


def test_who_holds_the_slot_up(pair, sluice):
    pair.source.script(TWO)
    with pair.source.connect(autocommit=False) as writer:
        writer.execute("INSERT INTO held VALUES (-1, 'open')")
        running = sluice(pair).start("run", "--json", "--until-caught-up")
        waiting = running.wait_event(lambda e: e["event"] == "slot.waiting", timeout=30)
        assert waiting["pid"] == writer.info.backend_pid
        writer.commit()
    finished = running.wait()
    assert finished.code == DONE, finished
    assert_equal(pair.source, pair.destination)


def test_stopped_while_the_slot_waits(pair, sluice):
    pair.source.script(TWO)
    with pair.source.connect(autocommit=False) as writer:
        writer.execute("INSERT INTO held VALUES (-1, 'open')")
        running = sluice(pair).background()
        running.wait_event(lambda e: e["event"] == "slot.waiting", timeout=30)
        before = time.monotonic()
        assert running.interrupt().code == DONE
        assert time.monotonic() - before < 3
        writer.commit()


def test_no_rights_to_read(make_cluster, make_pair, sluice):
    """A table that the account may not read, and one whose rows a policy hides."""
    pair = make_pair()
    pair.source.cluster.sql("DROP ROLE IF EXISTS reader")
    pair.source.cluster.sql("CREATE ROLE reader LOGIN")
    pair.source.script("CREATE TABLE open (id int PRIMARY KEY); GRANT SELECT ON open TO reader;"
                       "CREATE TABLE closed (id int PRIMARY KEY);")
    task = sluice(pair, source=endpoint(pair.source, user="reader"), stages=FULL)
    finished = task.run(code=None)
    assert finished.code in (FAILED, PRECHECK)
    assert "closed" in finished.text and "GRANT SELECT ON" in finished.text
    pair.source.sql("GRANT SELECT ON closed TO reader; ALTER TABLE closed ENABLE ROW LEVEL SECURITY")
    pair.source.sql("INSERT INTO closed VALUES (1)")
    finished = task.run(code=None)
    assert finished.code in (FAILED, PRECHECK)
    assert "BYPASSRLS" in finished.text
    pair.source.sql("DROP TABLE open, closed; DROP ROLE reader")


# -- stopping --------------------------------------------------------------------------------------


def test_stopped_in_an_index_build(pair, sluice):
    """Ctrl-C cancels what runs on the servers; a later run builds what is missing and copies nothing again."""
    pair.source.script("""
CREATE TABLE t (id int PRIMARY KEY);
CREATE INDEX slowly ON t (md5(repeat('x', id + 1000000)));
INSERT INTO t SELECT generate_series(1, 250); ANALYZE""")
    task = sluice(pair, stages=FULL)
    running = task.background()
    running.wait_event(lambda e: e["event"] == "table.copied")
    running.wait_until(lambda: pair.destination.value(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%slowly%%' AND state = 'active' "
        "AND pid <> pg_backend_pid()", []) > 0, what="the index build")
    # nothing of ours keeps the source from cleaning up, or a table locked, meanwhile
    running.wait_until(lambda: pair.source.value(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgsluice/%%' "
        "AND backend_xmin IS NOT NULL", []) == 0, timeout=10, what="the snapshot's end")
    before = time.monotonic()
    running.interrupt()
    assert time.monotonic() - before < 3
    finished = task.run()
    assert events_of(finished, "table.copied") == []
    assert [e["name"] for e in events_of(finished, "index.built")] == ["public.slowly"]
    assert_equal(pair.source, pair.destination)


def test_one_lost_session_ends_the_attempt_not_the_task(pair, sluice):
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY, v text);"
                       "INSERT INTO t SELECT g, repeat('x', 500) FROM generate_series(1, 100000) g; ANALYZE")
    task = sluice(pair, stages=FULL, environment={"PGSLUICE_PART_BYTES": "2000000"}, workers=2)
    running = task.background()
    running.wait_until(lambda: pair.source.value(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_progress_copy") > 0, interval=0.001,
        what="a copy to kill")
    finished = running.wait()
    assert finished.code == DONE, finished
    assert_equal(pair.source, pair.destination)
