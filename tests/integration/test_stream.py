"""The stream: every committed change, exactly once, whatever kind it is.

Each test copies a few tables, changes them on the source, lets pgsluice catch up and compares row by row.
"""

import os
import time

import pytest

from pgtest import compare
from pgtest.sluice import DONE, FAILED, endpoint

VERSIONS = [(10, 10), (10, 18), (13, 15), (15, 15), (18, 18)]

TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE couple AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE DOMAIN short AS varchar(10);
"""
TABLES = """
CREATE TABLE plain (id int PRIMARY KEY, n numeric(10, 2), t varchar(20), f float8, at timestamptz, c char(5));
CREATE TABLE whole (a int, b text, n numeric); ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE wholekey (a int PRIMARY KEY, b text, c text); ALTER TABLE wholekey REPLICA IDENTITY FULL;
CREATE TABLE byindex (b text, a int NOT NULL); CREATE UNIQUE INDEX bi ON byindex (a);
ALTER TABLE byindex REPLICA IDENTITY USING INDEX bi;
CREATE TABLE uniq (id int PRIMARY KEY, v int UNIQUE);
CREATE TABLE compound (a int, b text, v int, PRIMARY KEY (a, b));
"""
ODD = """
CREATE TABLE odd (id bigint PRIMARY KEY, m mood, p couple, d positive, s short, a int[], ms mood[], j jsonb,
                  b bytea, x xml, ts tsvector, r int4range, i interval, bits bit(3), money money);
CREATE TABLE "Quoted "" name" ("a b" int PRIMARY KEY, "SELECT" text);
CREATE TABLE deferred (id int PRIMARY KEY DEFERRABLE, v int); ALTER TABLE deferred REPLICA IDENTITY FULL;
CREATE TABLE ident (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v int);
CREATE TABLE inserts (a int, b text);
"""
GENERATED = "CREATE TABLE gen (id int PRIMARY KEY, v int, g int GENERATED ALWAYS AS (v * 2) STORED);"


def run_all(database, text):
    """Each statement in a transaction of its own, except between BEGIN and COMMIT."""
    with database.connect() as connection:
        for statement in filter(str.strip, text.split(";")):
            connection.execute(statement)


def started(pair, sluice, ddl, **spec):
    """The tables, synchronized once; changes after it go through the stream."""
    pair.source.script(ddl)
    task = sluice(pair, **spec)
    task.sync()
    return task


def caught_up(pair, task):
    task.sync()
    compare.assert_equal(pair.source, pair.destination)


PLAIN_CHANGES = """
INSERT INTO plain SELECT g, g * 1.5, 'x' || g, g, now(), 'ab' FROM generate_series(1, 2000) g;
UPDATE plain SET t = 'y' WHERE id % 3 = 0; DELETE FROM plain WHERE id % 7 = 0;
INSERT INTO plain VALUES (-1, NULL, NULL, 'NaN', '-infinity', NULL), (-2, 'NaN', '', '-0', 'infinity', '');
BEGIN; UPDATE plain SET n = 1; UPDATE plain SET n = n + id WHERE id > 100; DELETE FROM plain WHERE id > 1900; COMMIT;
INSERT INTO whole VALUES (1, 'a', 1.0), (1, 'a', 1.00), (1, 'a', 1.0), (NULL, NULL, NULL), (2, 'b', 'NaN');
DELETE FROM whole WHERE ctid IN (SELECT ctid FROM whole WHERE a = 1 AND n::text = '1.0' LIMIT 1);
UPDATE whole SET b = 'c' WHERE a IS NULL; UPDATE whole SET n = n + 1 WHERE a = 2;
INSERT INTO wholekey VALUES (1, 'a', repeat('x', 10)), (2, 'b', 'c');
UPDATE wholekey SET a = 3 WHERE a = 1; UPDATE wholekey SET b = 'z'; DELETE FROM wholekey WHERE a = 2;
INSERT INTO byindex VALUES ('a', 1), ('b', 2); UPDATE byindex SET a = 5 WHERE a = 2; UPDATE byindex SET b = 'q';
INSERT INTO compound SELECT g, 'k' || g, g FROM generate_series(1, 500) g; UPDATE compound SET v = v + 1;
UPDATE compound SET a = a + 1000 WHERE a < 10; DELETE FROM compound WHERE a % 11 = 0;
"""
ODD_CHANGES = """
INSERT INTO odd SELECT g, 'ok', ROW(g, 'x,"y')::couple, g, 'ten chars!', ARRAY[g, NULL], '{sad,ok}', '{"a": [1]}',
  '\\x00ff', '<a>b</a>', 'fat cat', '[1,5)', '1 mon 2 days', B'101', 12.34 FROM generate_series(1, 30) g;
UPDATE odd SET m = 'sad', a = '[0:1][3:4]={{1,2},{3,NULL}}' WHERE id % 2 = 0; DELETE FROM odd WHERE id % 5 = 0;
UPDATE odd SET p = NULL, a = '{}', r = 'empty', ms = NULL WHERE id % 3 = 0;
INSERT INTO "Quoted "" name" VALUES (1, E'tab\\t, newline\\n, return\\r, \\\\N, \\\\.'), (2, '\\N'), (3, '');
UPDATE "Quoted "" name" SET "a b" = "a b" + 10 WHERE "a b" > 1;
INSERT INTO deferred VALUES (1, 1), (2, 2); BEGIN; UPDATE deferred SET id = id + 1; COMMIT;
DELETE FROM deferred WHERE id = 2;
INSERT INTO ident (v) SELECT g FROM generate_series(1, 20) g; UPDATE ident SET v = v + 1; DELETE FROM ident WHERE id = 3;
INSERT INTO inserts SELECT g, 'b' FROM generate_series(1, 1000) g; INSERT INTO inserts VALUES (1, 'b');
"""


@pytest.mark.parametrize("source, destination", VERSIONS)
def test_every_identity_and_type(source, destination, make_pair, sluice):
    pair = make_pair(source, destination)
    generated = GENERATED if min(source, destination) >= 12 else ""
    task = started(pair, sluice, TYPES + TABLES + ODD + generated, keyless="insert_only")
    run_all(pair.source, PLAIN_CHANGES + ODD_CHANGES)
    if generated:
        run_all(pair.source, "INSERT INTO gen VALUES (1, 1), (2, 2); UPDATE gen SET v = 5 WHERE id = 1")
    caught_up(pair, task)
    run_all(pair.source, "UPDATE odd SET d = d + 1; DELETE FROM plain WHERE id % 2 = 0")
    caught_up(pair, task)


@pytest.mark.parametrize("source, destination", [(14, 14), (15, 18), (18, 18)])
def test_binary(source, destination, make_pair, sluice):
    """Only types whose binary form is proven: the stream is binary, arrays included."""
    pair = make_pair(source, destination)
    task = started(pair, sluice, """CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN small AS varchar(5);
        CREATE TABLE arrays (id bigint PRIMARY KEY, a int[], t text[], m mood, d small, u uuid, j jsonb,
                             i inet, r tstzrange, n numeric, b bytea);""" + TABLES)
    run_all(pair.source, PLAIN_CHANGES + """
        INSERT INTO arrays SELECT g, ARRAY[g, NULL], ARRAY['x', NULL, '"'], 'ok', 'five!', md5('')::uuid, '{"a": 1}',
          '10.0.0.0/8', '[2020-01-01, infinity)', g / 3.0, '\\x00ff' FROM generate_series(1, 100) g;
        UPDATE arrays SET a = '{{1,2},{3,4}}', m = 'sad' WHERE id % 2 = 0; DELETE FROM arrays WHERE id % 5 = 0;
        UPDATE arrays SET t = NULL, n = 'NaN' WHERE id = 7""")
    finished = task.sync()
    compare.assert_equal(pair.source, pair.destination)
    assert [e for e in finished.events() if e["event"] == "stream.started"][0]["binary"] is True


UNSENT = """
CREATE TABLE big (id int PRIMARY KEY, a text, b text, n int);
ALTER TABLE big ALTER a SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL;
CREATE TABLE bigfull (id int PRIMARY KEY, a text, b text, n int); ALTER TABLE bigfull REPLICA IDENTITY FULL;
ALTER TABLE bigfull ALTER a SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL;
CREATE TABLE bigkey (k text PRIMARY KEY, n int); ALTER TABLE bigkey ALTER k SET STORAGE EXTERNAL;
"""


def test_unchanged_toast(pair, sluice):
    """In every combination, also within one transaction, and in keys."""
    task = started(pair, sluice, UNSENT)
    run_all(pair.source, "".join(f"""
        INSERT INTO {t} SELECT g, repeat('a' || g, 4000), repeat('b' || g, 4000), 0 FROM generate_series(1, 60) g;
        UPDATE {t} SET n = 1; UPDATE {t} SET a = 'short' WHERE id % 2 = 0; UPDATE {t} SET b = NULL WHERE id % 3 = 0;
        UPDATE {t} SET id = id + 1000 WHERE id % 5 = 0;
        BEGIN; UPDATE {t} SET a = repeat('z' || id, 4000) WHERE id % 7 = 0; UPDATE {t} SET n = 2;
          UPDATE {t} SET b = repeat('y' || id, 4000) WHERE id % 11 = 0; UPDATE {t} SET n = 3; COMMIT;
        BEGIN; INSERT INTO {t} VALUES (500, repeat('q', 9000), 'x', 1); UPDATE {t} SET n = 9 WHERE id = 500;
          UPDATE {t} SET id = 501 WHERE id = 500; UPDATE {t} SET b = 'w' WHERE id = 501; COMMIT;"""
                                 for t in ("big", "bigfull")) + """
        INSERT INTO bigkey SELECT string_agg(md5((g * i)::text), ''), g FROM generate_series(1, 9) g,
          generate_series(1, 80) i GROUP BY g; UPDATE bigkey SET n = n + 1; DELETE FROM bigkey WHERE n = 3;
        UPDATE bigkey SET k = k || '!' WHERE n = 5""")
    caught_up(pair, task)


def test_swapped_unique_values(pair, sluice):
    """Coalesced they collide; in order they do not, and nobody notices."""
    task = started(pair, sluice, TABLES)
    pair.source.sql("INSERT INTO uniq SELECT g, g FROM generate_series(1, 100) g")
    run_all(pair.source, """
        BEGIN; UPDATE uniq SET v = -1 WHERE id = 1; UPDATE uniq SET v = 1 WHERE id = 2;
          UPDATE uniq SET v = 2 WHERE id = 1; COMMIT;
        BEGIN; DELETE FROM uniq WHERE id = 3; UPDATE uniq SET v = 3 WHERE id = 4; INSERT INTO uniq VALUES (3, 4); COMMIT;
        BEGIN; INSERT INTO uniq VALUES (200, 200); DELETE FROM uniq WHERE id = 200; INSERT INTO uniq VALUES (200, 201);
          UPDATE uniq SET id = 202 WHERE id = 200; INSERT INTO uniq VALUES (200, 200); COMMIT;
        UPDATE uniq SET v = v + 1000 WHERE id > 50; UPDATE uniq SET v = v - 1000 WHERE id > 50;
        UPDATE uniq SET id = -id; UPDATE uniq SET id = -id""")
    caught_up(pair, task)


def test_truncate(pair, sluice):
    task = started(pair, sluice, TABLES + "CREATE TABLE child (id int REFERENCES plain); CREATE TABLE other (a int);"
                   "ALTER TABLE child REPLICA IDENTITY FULL; ALTER TABLE other REPLICA IDENTITY FULL;")
    run_all(pair.source, """
        INSERT INTO plain (id) SELECT generate_series(1, 100); INSERT INTO child VALUES (1); INSERT INTO other VALUES (1);
        BEGIN; INSERT INTO byindex VALUES ('a', 1); TRUNCATE byindex, compound; INSERT INTO byindex VALUES ('b', 2); COMMIT;
        TRUNCATE plain CASCADE; INSERT INTO plain (id) VALUES (7); INSERT INTO child VALUES (7)""")
    caught_up(pair, task)


def test_other_columns_in_the_destination(pair, sluice):
    """Another order, columns of its own, another type that takes the values, identity and generated ones."""
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY, a text, b int)")
    pair.destination.script("CREATE TABLE t (own text DEFAULT 'mine', b bigint, id int GENERATED ALWAYS AS IDENTITY,"
                            " a varchar(30), g int GENERATED ALWAYS AS (b + 1) STORED, PRIMARY KEY (id))")
    task = sluice(pair, stages=["full", "incremental"])
    task.sync()
    run_all(pair.source, "INSERT INTO t SELECT g, 'a' || g, g FROM generate_series(1, 50) g")
    task.sync()
    pair.destination.sql("UPDATE t SET own = 'kept' WHERE id <= 25")
    run_all(pair.source, "UPDATE t SET b = -b; UPDATE t SET a = 'x' WHERE id = 3; DELETE FROM t WHERE id > 40")
    task.sync()
    assert pair.destination.sql("SELECT id, a, b FROM t ORDER BY id") == pair.source.sql("SELECT * FROM t ORDER BY id")
    assert pair.destination.value("SELECT count(*) FROM t WHERE (own = 'kept') <> (id <= 25) OR g <> b + 1") == 0


FAMILY = """
CREATE TABLE parent (id int PRIMARY KEY, v int);
CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, v int);
CREATE TABLE node (id int PRIMARY KEY, up int REFERENCES node DEFERRABLE INITIALLY DEFERRED);
"""


def test_without_replica_role(pair, sluice):
    """A destination account that is no superuser: foreign keys act while we apply, so order is kept."""
    pair.destination.sql("DROP ROLE IF EXISTS owner")
    pair.destination.sql("CREATE ROLE owner LOGIN")
    name = pair.destination.params()["dbname"]
    pair.destination.sql(f'ALTER DATABASE "{name}" OWNER TO owner')
    pair.destination.sql("ALTER SCHEMA public OWNER TO owner")
    pair.source.script(FAMILY)
    task = sluice(pair, destination=endpoint(pair.destination, user="owner"))
    try:
        task.sync()
        run_all(pair.source, """
            BEGIN; INSERT INTO parent SELECT g, g FROM generate_series(1, 50) g;
              INSERT INTO child SELECT g, 1 + g % 50, g FROM generate_series(1, 200) g; COMMIT;
            UPDATE parent SET id = id + 100 WHERE id <= 10; DELETE FROM parent WHERE id BETWEEN 11 AND 20;
            BEGIN; INSERT INTO node VALUES (1, 2); INSERT INTO node VALUES (2, 1); COMMIT;
            BEGIN; DELETE FROM node WHERE id = 1; INSERT INTO node VALUES (1, 2), (3, 3); COMMIT;
            BEGIN; DELETE FROM parent WHERE id = 30; INSERT INTO parent VALUES (30, 1); INSERT INTO child VALUES (999, 30, 1);
            COMMIT; UPDATE child SET v = v + 1""")
        caught_up(pair, task)
    finally:
        task.kill_all()
        pair.destination.sql("ALTER SCHEMA public OWNER TO postgres")
        pair.destination.sql(f'ALTER DATABASE "{name}" OWNER TO postgres')
        pair.destination.sql("DROP OWNED BY owner CASCADE")
        pair.destination.sql("DROP ROLE owner")


# -- conflicts -------------------------------------------------------------------------------------

CONFLICTS = [
    # name, what somebody does in the destination, what the source then does, operation, conflict
    ("row exists", "INSERT INTO uniq VALUES (500, 500)", "INSERT INTO uniq VALUES (500, 1500)", "insert", "row_exists"),
    ("row missing on update", "DELETE FROM uniq WHERE id = 5", "UPDATE uniq SET v = 55 WHERE id = 5", "update",
     "row_missing"),
    ("row missing on delete", "DELETE FROM uniq WHERE id = 5", "DELETE FROM uniq WHERE id = 5", "delete",
     "row_missing"),
    ("second key", "INSERT INTO uniq VALUES (900, 77)", "INSERT INTO uniq VALUES (600, 77)", "insert",
     "unique_conflict"),
]


@pytest.mark.parametrize("there, change, operation, conflict", [c[1:] for c in CONFLICTS],
                         ids=[c[0] for c in CONFLICTS])
def test_conflict_is_reported(there, change, operation, conflict, pair, sluice):
    """Never silent: the stream stops at it, with all before it applied, until the user decides."""
    task = started(pair, sluice, TABLES + "INSERT INTO uniq SELECT g, g FROM generate_series(1, 20) g;")
    pair.destination.sql(there)
    run_all(pair.source, f"INSERT INTO plain (id) VALUES (1); {change}; INSERT INTO plain (id) VALUES (2)")
    failed = task.call("run", "--json", "--until-caught-up", code=FAILED)
    assert "public.uniq" in failed.text and "errors" in failed.text
    assert pair.destination.sql("SELECT id FROM plain") == [(1,)]
    assert pair.destination.sql("SELECT operation, conflict, state FROM pgsluice.error") == [
        (operation, conflict, "stopped")]
    task.call("run", "--json", "--until-caught-up", code=FAILED)  # still there, and recorded once
    assert pair.destination.value("SELECT count(*) FROM pgsluice.error") == 1
    number = pair.destination.value("SELECT id FROM pgsluice.error")
    task.call("errors", "skip", str(number))
    task.sync()
    assert pair.destination.sql("SELECT id FROM plain ORDER BY 1") == [(1,), (2,)]


def test_stopped_change_is_applied_once_it_can_be(pair, sluice):
    """The user makes room; the next run applies it, and the list of errors is empty."""
    task = started(pair, sluice, TABLES)
    pair.destination.sql("INSERT INTO uniq VALUES (900, 77)")
    pair.source.sql("INSERT INTO uniq VALUES (600, 77)")
    task.call("run", "--until-caught-up", code=FAILED)
    assert "uniq" in task.call("errors", "list").text
    pair.destination.sql("DELETE FROM uniq WHERE id = 900")
    caught_up(pair, task)
    assert "uniq" not in task.call("errors", "list").text


def test_conflicts_are_overwritten(pair, sluice):
    """conflict: proceed: what the source has wins, also where the row is missing."""
    pair.both(TABLES)
    task = sluice(pair, stages=["full", "incremental"], conflict="proceed")
    task.sync()
    run_all(pair.source, "INSERT INTO uniq SELECT g, g FROM generate_series(1, 100) g")
    task.sync()
    run_all(pair.destination, "INSERT INTO uniq VALUES (500, 9500), (501, 9501), (502, 9502);"
            "DELETE FROM uniq WHERE id BETWEEN 1 AND 20")
    run_all(pair.source, "INSERT INTO uniq SELECT g, g FROM generate_series(490, 530) g;"
            "UPDATE uniq SET v = -v WHERE id BETWEEN 5 AND 30; DELETE FROM uniq WHERE id BETWEEN 1 AND 4;"
            "UPDATE uniq SET v = v WHERE id BETWEEN 1 AND 25")
    run_all(pair.destination, "DELETE FROM uniq WHERE id BETWEEN 5 AND 7")
    task.sync()
    assert pair.destination.sql("SELECT * FROM uniq ORDER BY id") == pair.source.sql("SELECT * FROM uniq ORDER BY id")


def test_missing_row_is_never_completed_with_nulls(pair, sluice):
    """proceed, the row is missing, and a value was not sent: an error, not NULL."""
    pair.both(UNSENT)
    task = sluice(pair, stages=["full", "incremental"], conflict="proceed")
    pair.source.sql("INSERT INTO big VALUES (1, repeat('x', 9000), 'b', 1)")
    task.sync()
    pair.destination.sql("DELETE FROM big")
    pair.source.sql("UPDATE big SET n = 2")
    task.call("run", "--json", "--until-caught-up", code=FAILED)
    assert pair.destination.value("SELECT count(*) FROM big") == 0


def test_set_aside(pair, sluice):
    """on_error: set_aside: what cannot be applied is listed, all else goes on, and it can be retried."""
    task = started(pair, sluice, TABLES + "INSERT INTO uniq SELECT g, g FROM generate_series(1, 20) g;",
                   on_error="set_aside")
    pair.destination.sql("INSERT INTO uniq VALUES (500, 777), (501, 778)")
    run_all(pair.source, "BEGIN; INSERT INTO uniq VALUES (30, 30); INSERT INTO uniq VALUES (31, 777);"
            "INSERT INTO plain (id) VALUES (1); INSERT INTO uniq VALUES (32, 778); UPDATE uniq SET v = 300 WHERE id = 30;"
            "COMMIT; INSERT INTO plain (id) VALUES (2)")
    task.sync()
    assert pair.destination.sql("SELECT id FROM plain ORDER BY 1") == [(1,), (2,)]
    assert pair.destination.sql("SELECT * FROM uniq WHERE id BETWEEN 30 AND 40") == [(30, 300)]
    assert pair.destination.sql("SELECT state, key->>'id' FROM (SELECT state, key::jsonb, id FROM pgsluice.error) e"
                                " ORDER BY id") == [("set_aside", "31"), ("set_aside", "32")]
    pair.destination.sql("DELETE FROM uniq WHERE id >= 500")
    task.call("errors", "retry", "--all")
    compare.assert_equal(pair.source, pair.destination)


def errors(pair):
    return pair.destination.sql("SELECT id::text, operation, state FROM pgsluice.error ORDER BY id")


def set_aside_update(pair, sluice):
    """UPDATE uniq SET v = 777 WHERE id = 5 is set aside; nothing is in its way any more."""
    task = started(pair, sluice, TABLES + "INSERT INTO uniq SELECT g, g FROM generate_series(1, 20) g;",
                   on_error="set_aside")
    pair.destination.sql("INSERT INTO uniq VALUES (500, 777)")
    pair.source.sql("UPDATE uniq SET v = 777 WHERE id = 5")
    task.sync()
    pair.destination.sql("DELETE FROM uniq WHERE id = 500")
    return task, errors(pair)[0][0]


def test_retry_never_overwrites_a_newer_change(pair, sluice):
    task, number = set_aside_update(pair, sluice)
    pair.source.sql("UPDATE uniq SET v = 6000 WHERE id = 5")
    task.sync()
    failed = task.call("errors", "retry", number, code=FAILED)
    assert "newer change" in failed.text and f"skip {number}" in failed.text
    compare.assert_equal(pair.source, pair.destination)
    task.call("errors", "skip", number)
    assert "uniq" not in task.call("errors", "list").text


def test_retry_does_not_bring_a_deleted_row_back(pair, sluice):
    task = started(pair, sluice, TABLES, on_error="set_aside")
    pair.destination.sql("INSERT INTO uniq VALUES (500, 777)")
    pair.source.sql("INSERT INTO uniq VALUES (5, 777)")
    task.sync()  # in one batch the two would be nothing
    pair.source.sql("DELETE FROM uniq WHERE id = 5")
    task.sync()
    pair.destination.sql("DELETE FROM uniq WHERE id = 500")
    assert [operation for _, operation, _ in errors(pair)] == ["insert", "delete"]
    assert "newer change" in task.call("errors", "retry", errors(pair)[0][0], code=FAILED).text
    assert pair.destination.value("SELECT count(*) FROM uniq") == 0
    task.call("errors", "retry", "--all")  # both, in order: the last one is what the source says
    assert pair.destination.value("SELECT count(*) FROM uniq") == 0
    compare.assert_equal(pair.source, pair.destination)


def test_retry_in_order(pair, sluice):
    """What was set aside only because of something before it comes after it."""
    task = started(pair, sluice, TABLES, on_error="set_aside")
    pair.destination.sql("INSERT INTO uniq VALUES (500, 777)")
    pair.source.sql("INSERT INTO uniq VALUES (5, 777)")
    task.sync()  # in one batch the two would be one insert, of 778
    pair.source.sql("UPDATE uniq SET v = 778 WHERE id = 5")
    task.sync()
    pair.destination.sql("DELETE FROM uniq WHERE id = 500")
    task.call("errors", "retry", "--all")
    compare.assert_equal(pair.source, pair.destination)
    assert {state for _, _, state in errors(pair)} == {"done"}


def counted(pair):
    return pair.destination.sql("SELECT table_name, kind, count FROM pgsluice.conflict ORDER BY 1, 2")


def test_conflicts_are_counted(pair, sluice):
    """Per table and kind, over restarts, each once: in the destination, by `status`, by events."""
    task = started(pair, sluice, TABLES + "INSERT INTO uniq SELECT g, g FROM generate_series(1, 20) g;",
                   on_error="set_aside")
    pair.destination.sql("DELETE FROM uniq WHERE id <= 3")
    pair.destination.sql("INSERT INTO uniq VALUES (500, 777); INSERT INTO plain (id) VALUES (1)")
    run_all(pair.source, "DELETE FROM uniq WHERE id = 1; UPDATE uniq SET v = v + 1000 WHERE id IN (2, 3);"
            "INSERT INTO uniq VALUES (30, 777); INSERT INTO plain (id) VALUES (1)")
    finished = task.sync()
    expected = [("plain", "row_exists", 1), ("uniq", "row_missing", 3), ("uniq", "unique_conflict", 1)]
    assert counted(pair) == expected
    told = [(e["table"], e["kind"], e["count"]) for e in finished.events() if e["event"] == "table.conflicts"]
    assert ("public.uniq", "unique_conflict", 1) in told
    status = task.call("status", "--json").stdout
    assert '"conflicts":[{' in status and '"row_missing"' in status
    assert "row_missing" in task.call("status").text
    pair.destination.sql("DELETE FROM uniq WHERE id = 10")
    pair.source.sql("UPDATE uniq SET v = v + 1000 WHERE id = 10")
    task.sync()
    assert counted(pair)[1] == ("uniq", "row_missing", 4)


def test_a_conflict_that_stops_counts_once(pair, sluice):
    task = started(pair, sluice, TABLES)
    pair.destination.sql("INSERT INTO uniq VALUES (500, 777)")
    pair.source.sql("INSERT INTO uniq VALUES (30, 777)")
    for _ in range(3):
        task.call("run", "--until-caught-up", code=FAILED)
    assert counted(pair) == [("uniq", "unique_conflict", 1)]


def test_overwritten_rows_are_counted(pair, sluice):
    pair.both(TABLES)
    task = sluice(pair, stages=["full", "incremental"], conflict="proceed")
    task.sync()
    pair.destination.sql("INSERT INTO uniq SELECT g, -g FROM generate_series(1, 50) g")
    pair.source.sql("INSERT INTO uniq SELECT g, g FROM generate_series(1, 100) g")
    task.sync()
    assert counted(pair) == [("uniq", "row_exists", 50)]


def test_skip_of_a_transaction(pair, sluice):
    """All of it, and nothing else."""
    task = started(pair, sluice, TABLES)
    pair.destination.sql("INSERT INTO uniq VALUES (500, 777)")
    run_all(pair.source, "INSERT INTO plain (id) VALUES (1); BEGIN; INSERT INTO plain (id) VALUES (2);"
            "INSERT INTO uniq VALUES (30, 777); INSERT INTO plain (id) VALUES (3); COMMIT; INSERT INTO plain (id) VALUES (4)")
    task.call("run", "--until-caught-up", code=FAILED)
    lsn = pair.destination.value("SELECT commit_lsn::text FROM pgsluice.error")
    task.call("skip", "--lsn", lsn)
    task.sync()
    assert pair.destination.sql("SELECT id FROM plain ORDER BY 1") == [(1,), (4,)]
    assert pair.destination.sql("SELECT id FROM uniq WHERE id = 30") == []


# -- faults and changes of the tables --------------------------------------------------------------


def test_large_transaction_and_kills(pair, sluice):
    """Larger than many batches: written on in one open transaction, all of it visible at once or not at all."""
    task = started(pair, sluice, TABLES + "CREATE TABLE wide (id int PRIMARY KEY, t text);")
    pair.source.sql("INSERT INTO wide SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, 150000) g")
    run_all(pair.source, "UPDATE wide SET t = t || '!' WHERE id % 2 = 0; UPDATE wide SET id = -id WHERE id % 1000 = 0")
    for wait in (0.4, 0.8, 1.2):
        running = task.background("--until-caught-up")
        time.sleep(wait)
        running.kill9()
        assert pair.destination.value("SELECT count(*) FROM wide") in (0, 150000)
    running = task.background("--until-caught-up")
    peak = 0
    while running.running():
        try:
            peak = max(peak, running.peak_memory())
        except FileNotFoundError:
            break
        time.sleep(0.02)
    assert running.wait().code == DONE
    assert 0 < peak and (peak < 150 * 1024 * 1024 or "asan" in os.environ.get("PGSLUICE", ""))
    compare.assert_equal(pair.source, pair.destination)


def test_stop_is_quick_and_resumes(pair, sluice):
    task = started(pair, sluice, TABLES)
    running = task.background()
    running.wait_event(lambda e: e["event"] == "stream.started")
    pair.source.sql("INSERT INTO plain (id) SELECT generate_series(1, 1000)")
    running.wait_until(lambda: pair.destination.value("SELECT count(*) FROM plain") == 1000)
    began = time.monotonic()
    running.interrupt()
    assert time.monotonic() - began < 3
    pair.source.sql("DELETE FROM plain WHERE id % 2 = 0")
    caught_up(pair, task)


def slot(pair):
    return pair.source.value("SELECT slot_name FROM pg_replication_slots WHERE database = current_database()")


def test_slot_was_moved(pair, sluice):
    """Somebody consumed our slot: rows are lost, which must not go unnoticed."""
    task = started(pair, sluice, TABLES)
    run_all(pair.source, "INSERT INTO plain (id) VALUES (1)")
    pair.source.value("SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", [slot(pair)])
    failed = task.call("run", "--until-caught-up", code=FAILED)
    assert "moved" in failed.text and "release" in failed.text
    assert pair.destination.value("SELECT count(*) FROM plain") == 0


def test_slot_was_dropped(pair, sluice):
    task = started(pair, sluice, TABLES)
    pair.source.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
                    " WHERE database = current_database()")
    failed = task.call("run", "--until-caught-up", code=FAILED)
    assert "does not exist" in failed.text and "release" in failed.text


def test_idle_source_does_not_keep_wal(pair, sluice):
    """Other databases write; the slot moves on with keepalives, and what it was told is stored first."""
    task = started(pair, sluice, TABLES)
    running = task.background()
    running.wait_event(lambda e: e["event"] == "stream.started")
    pair.source.script("CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.unrelated (a text)")
    before = pair.source.value("SELECT pg_current_wal_insert_lsn()")
    pair.source.sql("INSERT INTO elsewhere.unrelated SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
    name = slot(pair)
    running.wait_until(lambda: pair.source.value(
        "SELECT confirmed_flush_lsn >= %s FROM pg_replication_slots WHERE slot_name = %s", [before, name]), timeout=30)
    assert pair.destination.value("SELECT acked_lsn >= %s FROM pgsluice.checkpoint", [before])
    running.interrupt()
    task.sync()


def test_column_added(pair, sluice):
    """With the column in the destination: on we go, nothing lost."""
    task = started(pair, sluice, TABLES)
    pair.destination.sql("ALTER TABLE plain ADD COLUMN extra text")
    run_all(pair.source, "INSERT INTO plain (id) VALUES (1); ALTER TABLE plain ADD COLUMN extra text;"
            "INSERT INTO plain (id, extra) VALUES (2, 'e'); UPDATE plain SET extra = 'f' WHERE id = 1")
    caught_up(pair, task)


def set_aside(event):
    return event["event"] == "table.state" and event["state"] == "set_aside"


@pytest.mark.parametrize("change, cure, words", [
    ("ALTER TABLE plain ADD COLUMN extra text; UPDATE plain SET extra = 'e' WHERE id = 1",
     "ALTER TABLE plain ADD COLUMN extra text", ("extra", "ADD COLUMN")),
    ("ALTER TABLE plain RENAME COLUMN t TO renamed; UPDATE plain SET renamed = 'e' WHERE id = 1",
     "ALTER TABLE plain RENAME COLUMN t TO renamed", ("renamed",)),
], ids=["added", "renamed"])
def test_changed_columns_stop_only_their_table(change, cure, words, pair, sluice):
    """The destination does not have the column: its table is set aside, the others go on; then a resync cures it."""
    task = started(pair, sluice, TABLES + "INSERT INTO plain (id) SELECT generate_series(1, 100);")
    running = task.background()
    running.wait_event(lambda e: e["event"] == "stream.started")
    run_all(pair.source, f"BEGIN; INSERT INTO compound VALUES (1, 'a', 1); {change};"
            "INSERT INTO plain (id) VALUES (200); COMMIT; UPDATE compound SET v = 2; DELETE FROM plain WHERE id = 3")
    event = running.wait_event(set_aside)
    assert event["table"] == "public.plain" and all(word in event["reason"] for word in words)
    running.wait_until(lambda: pair.destination.sql("SELECT v FROM compound") == [(2,)], what="the other table")
    running.interrupt()
    failed = task.call("run", "--until-caught-up", code=FAILED)  # never said to be caught up
    assert "set aside" in failed.text and "resync" in failed.text and "public.plain" in failed.text
    assert words[0] in task.call("status").text
    pair.destination.sql(cure)
    running = task.background()
    running.wait_event(lambda e: e["event"] == "stream.started")
    task.call("resync", "public.plain")
    running.wait_event(lambda e: e["event"] == "resync.done")
    running.interrupt()
    caught_up(pair, task)


def test_resync_knows_the_new_columns(pair, sluice):
    """Asked of the very worker that set the table aside, whose routes are older than the column."""
    task = started(pair, sluice, TABLES + "INSERT INTO plain (id) SELECT generate_series(1, 100);")
    running = task.background()
    running.wait_event(lambda e: e["event"] == "stream.started")
    run_all(pair.source, "ALTER TABLE plain ADD COLUMN extra text; UPDATE plain SET extra = 'e' WHERE id < 50")
    running.wait_event(set_aside)
    pair.destination.sql("ALTER TABLE plain ADD COLUMN extra text")
    task.call("resync", "public.plain")
    running.wait_event(lambda e: e["event"] == "resync.done", 90)
    run_all(pair.source, "UPDATE plain SET extra = 'g' WHERE id > 90")
    running.interrupt()
    caught_up(pair, task)
    assert pair.destination.value("SELECT count(*) FROM plain WHERE extra IS NOT NULL") == 59


@pytest.mark.parametrize("changes", [
    "ALTER TABLE plain RENAME t TO renamed",
    "ALTER TABLE plain RENAME t TO old_t; ALTER TABLE plain ADD t varchar(20)",
    "ALTER TABLE plain RENAME t TO x; ALTER TABLE plain RENAME c TO t; ALTER TABLE plain RENAME x TO c",
    "ALTER TABLE plain DROP COLUMN n; ALTER TABLE plain RENAME c TO n",
], ids=["renamed", "replaced", "swapped", "dropped, and its name taken"])
def test_renamed_while_changes_are_on_their_way(changes, pair, sluice):
    """On both sides, while the task rests: older changes speak of columns by names that are others' now."""
    task = started(pair, sluice, TABLES)
    run_all(pair.source, "INSERT INTO plain (id, n, t, c) SELECT g, g, 't' || g, 'c' FROM generate_series(1, 20) g;" + changes)
    run_all(pair.destination, changes)
    run_all(pair.source, "INSERT INTO plain (id) VALUES (30); INSERT INTO uniq VALUES (1, 1)")
    failed = task.call("run", "--until-caught-up", code=FAILED)
    assert "renamed" in failed.text and "resync" in failed.text
    assert pair.destination.sql("SELECT * FROM uniq") == [(1, 1)]
    running = task.background()
    running.wait_event(lambda e: e["event"] == "stream.started")
    task.call("resync", "public.plain")
    running.wait_event(lambda e: e["event"] == "resync.done")
    running.interrupt()
    caught_up(pair, task)


def test_dropped_and_added_while_changes_are_on_their_way(pair, sluice):
    """What was not renamed goes on: a dropped column's values matter to nobody."""
    task = started(pair, sluice, TABLES)
    run_all(pair.source, "INSERT INTO plain (id, n, t, c) SELECT g, g, 't' || g, 'c' FROM generate_series(1, 20) g")
    for database in (pair.source, pair.destination):
        run_all(database, "ALTER TABLE plain DROP COLUMN n; ALTER TABLE plain ADD COLUMN more int")
    run_all(pair.source, "INSERT INTO plain (id, more) VALUES (30, 1); UPDATE plain SET more = 5 WHERE id < 5")
    for database in (pair.source, pair.destination):
        run_all(database, "ALTER TABLE plain DROP COLUMN at; ALTER TABLE plain ADD COLUMN last int")
    run_all(pair.source, "UPDATE plain SET last = 5 WHERE id > 15")
    caught_up(pair, task)


def test_wider_types(pair, sluice):
    """The destination's first, then the source's, while the worker goes on, perhaps with a new look at the tables."""
    task = started(pair, sluice, "CREATE TABLE t (id int PRIMARY KEY, i int, v varchar(5), n numeric(4, 1))")
    running = task.background()
    running.wait_event(lambda e: e["event"] == "stream.started")
    pair.source.sql("INSERT INTO t SELECT g, g, 'v', 1.5 FROM generate_series(1, 500) g")
    running.wait_until(lambda: pair.destination.value("SELECT count(*) FROM t") == 500)
    wider = "ALTER TABLE t ALTER i TYPE bigint, ALTER v TYPE text, ALTER n TYPE numeric"
    pair.destination.sql(wider)
    run_all(pair.source, f"UPDATE t SET i = i + 1; INSERT INTO t SELECT g, 7, 'w', 2 FROM generate_series(501, 1500) g; {wider};"
            "UPDATE t SET i = 1::bigint << 40, v = repeat('x', 100), n = 1e20 + id WHERE id % 3 = 0;"
            "INSERT INTO t SELECT g, 1::bigint << 50, 'longer than 5', 1234567.891 FROM generate_series(2001, 4000) g;"
            "INSERT INTO t VALUES (9000, 0, '', 0)")
    running.wait_until(lambda: pair.destination.value("SELECT count(*) FROM t WHERE id = 9000") == 1)
    compare.assert_equal(pair.source, pair.destination)
    running.interrupt()


def test_nondeterministic_collation(pair, sluice):
    """Keys that are equal without being the same bytes: other spellings of a row, in one transaction and in several."""
    task = started(pair, sluice, """CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        CREATE TABLE words (w text COLLATE ci PRIMARY KEY, other text COLLATE ci UNIQUE, n int);
        INSERT INTO words SELECT 'Word' || g, 'Other' || g, 0 FROM generate_series(1, 50) g;""")
    run_all(pair.source, "UPDATE words SET n = 1 WHERE w = 'wORD7'; UPDATE words SET w = 'WORD' || n || w WHERE n = 1;"
            "UPDATE words SET w = upper(w) WHERE w IN ('word1', 'word2'); DELETE FROM words WHERE w = 'wOrD3';"
            "BEGIN; DELETE FROM words WHERE w = 'word4'; INSERT INTO words VALUES ('wORD4', 'oTHER4', 4);"
            "UPDATE words SET w = 'woRD4' WHERE w = 'WORD4'; UPDATE words SET n = n + 1; COMMIT;"
            "BEGIN; UPDATE words SET other = 'x' WHERE w = 'word5'; UPDATE words SET other = 'OTHER5' WHERE w = 'word6';"
            "UPDATE words SET other = 'other6' WHERE w = 'word5'; COMMIT; UPDATE words SET n = n + 1")
    caught_up(pair, task)


def test_identity_always_and_deferrable_keys(pair, sluice):
    """Values of GENERATED ALWAYS keys that change; keys that are only unique at the end of a transaction."""
    task = started(pair, sluice, """CREATE TABLE always (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v int);
        INSERT INTO always (v) SELECT generate_series(1, 20);
        CREATE TABLE swapped (id int PRIMARY KEY, place int UNIQUE DEFERRABLE INITIALLY DEFERRED);
        INSERT INTO swapped SELECT g, g FROM generate_series(1, 20) g;
        CREATE TABLE late (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v int);
        ALTER TABLE late REPLICA IDENTITY FULL; INSERT INTO late SELECT g, g FROM generate_series(1, 20) g;""")
    run_all(pair.source, "UPDATE always SET id = DEFAULT WHERE id % 3 = 0; UPDATE always SET v = v + 1;"
            "UPDATE always SET id = DEFAULT, v = -v WHERE id = 7; UPDATE swapped SET place = 21 - place;"
            "UPDATE late SET id = id + 1; BEGIN; UPDATE late SET id = 100 WHERE v = 1; UPDATE late SET id = 2 WHERE v = 5;"
            "UPDATE late SET id = 6 WHERE v = 1; COMMIT; DELETE FROM late WHERE id = 6; UPDATE swapped SET id = id + 100")
    caught_up(pair, task)


def test_new_enum_value(pair, sluice):
    """No event tells of it; the message does, and with the value there the change is applied."""
    task = started(pair, sluice, TYPES + "CREATE TABLE t (id int PRIMARY KEY, m mood);")
    run_all(pair.source, "ALTER TYPE mood ADD VALUE 'happy'; INSERT INTO t VALUES (1, 'happy')")
    failed = task.call("run", "--until-caught-up", code=FAILED)
    assert "happy" in failed.text and "ADD VALUE" in failed.text
    pair.destination.sql("ALTER TYPE mood ADD VALUE 'happy'")
    caught_up(pair, task)


def test_column_dropped_and_type_changed(pair, sluice):
    task = started(pair, sluice, TABLES)
    run_all(pair.source, "INSERT INTO plain (id, n) VALUES (1, 2); ALTER TABLE plain DROP COLUMN n;"
            "INSERT INTO plain (id) VALUES (2); ALTER TABLE compound ALTER v TYPE bigint;"
            "INSERT INTO compound VALUES (1, 'x', 7)")
    task.sync()
    assert pair.destination.sql("SELECT id, n FROM plain ORDER BY 1") == [(1, 2), (2, None)]
    assert pair.destination.sql("SELECT v FROM compound") == [(7,)]


def test_binary_stream_meets_another_type(pair, sluice):
    """A column's new type has no proven binary form: the stream goes on as text, from where it was."""
    task = started(pair, sluice, "CREATE TABLE t (id int PRIMARY KEY, v text)")
    running = task.background()
    running.wait_event(lambda e: e["event"] == "stream.started")
    run_all(pair.source, "INSERT INTO t VALUES (1, 'a'); ALTER TABLE t ALTER v TYPE tsvector USING v::tsvector;"
            "INSERT INTO t VALUES (2, 'b'); UPDATE t SET v = 'c' WHERE id = 1")
    running.wait_until(lambda: pair.destination.sql("SELECT id, v FROM t ORDER BY id") == [(1, "'c'"), (2, "'b'")])
    assert [e["binary"] for e in running.events if e["event"] == "stream.started"] == [True, False]
    running.interrupt()


def test_table_renamed(pair, sluice):
    task = started(pair, sluice, TABLES)
    running = task.background()
    running.wait_event(lambda e: e["event"] == "stream.started")
    run_all(pair.source, "ALTER TABLE plain RENAME TO renamed; INSERT INTO renamed (id) VALUES (1)")
    finished = running.wait()
    assert finished.code == FAILED and "renamed" in finished.text


def test_new_partition(pair, sluice):
    """It is made in the destination with what its table gives it, and its rows arrive."""
    task = started(pair, sluice, "CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);"
                   "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);")
    running = task.background()
    running.wait_event(lambda e: e["event"] == "stream.started")
    run_all(pair.source, "INSERT INTO p VALUES (1, 'a'); UPDATE p SET v = 'b'; TRUNCATE p; INSERT INTO p VALUES (2, 'a')")
    running.wait_until(lambda: pair.destination.sql("SELECT id FROM p") == [(2,)])
    run_all(pair.source, "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20); INSERT INTO p VALUES (11, 'x')")
    running.wait_event(lambda e: e["event"] == "resync.done")
    assert pair.destination.sql("SELECT id FROM ONLY p2") == [(11,)]
    assert not [e for e in running.events if e["event"] == "object.failed"]
    assert pair.destination.value("SELECT count(*) FROM pg_index WHERE indrelid = 'p2'::regclass") == 1
    run_all(pair.source, "INSERT INTO p VALUES (12, 'y'); UPDATE p SET v = 'z' WHERE id = 11")
    running.interrupt()
    caught_up(pair, task)


def test_row_movement_between_partitions(pair, sluice):
    task = started(pair, sluice, "CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);"
                   "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
                   "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);"
                   "INSERT INTO p SELECT g, 'x' FROM generate_series(0, 8) g;")
    run_all(pair.source, "UPDATE p SET id = id + 10 WHERE id % 2 = 0; UPDATE p SET v = 'y'; DELETE FROM p WHERE id > 16")
    caught_up(pair, task)


def test_operations(pair, sluice):
    """What was not selected does not arrive, and is missed by nobody."""
    pair.source.script(TABLES)
    task = sluice(pair, objects=[{"schema": "public", "tables": [
        {"table": "plain", "operations": ["insert", "update"]},
        {"table": "uniq", "operations": ["update", "delete"]}]}])
    task.sync()
    run_all(pair.source, "INSERT INTO plain (id) SELECT generate_series(1, 20); DELETE FROM plain WHERE id > 5;"
            "UPDATE plain SET t = 'u' WHERE id = 1; INSERT INTO uniq SELECT g, g FROM generate_series(1, 20) g;"
            "UPDATE uniq SET v = v + 100; DELETE FROM uniq WHERE id = 3")
    finished = task.sync()
    assert finished.code == DONE
    assert pair.destination.value("SELECT count(*) FROM plain") == 20
    assert pair.destination.value("SELECT t FROM plain WHERE id = 1") == "u"
    assert pair.destination.value("SELECT count(*) FROM uniq") == 0


@pytest.mark.long
def test_more_tables_than_prepared_statements(pair, sluice):
    """1,500 tables in one transaction and then in many: statements come and go, rows do not."""
    names = [f"t{i}" for i in range(1500)]
    task = started(pair, sluice, "".join(f"CREATE TABLE {n} (id int PRIMARY KEY, v int);" for n in names))
    with pair.source.connect() as connection:
        with connection.transaction():
            for name in names:
                connection.execute(f"INSERT INTO {name} VALUES (1, 1), (2, 2)")
        for name in names[::3]:
            connection.execute(f"UPDATE {name} SET v = 3 WHERE id = 1; DELETE FROM {name} WHERE id = 2")
    caught_up(pair, task)
