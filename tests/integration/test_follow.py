"""Tables that appear on the source while the stream runs: schema, copy and stream, without a restart."""

import random
import threading
import time

import pytest

from pgtest import compare
from pgtest.sluice import DONE
from pgtest.workload import RandomChanges

SEEN = 30  # seconds


def synchronizing(running, pair, names=()):
    running.wait_until(lambda: pair.destination.sql(
        "SELECT 1 FROM pg_tables WHERE schemaname = 'pgsluice' AND tablename = 'tables'") and pair.destination.value(
        "SELECT count(*) FILTER (WHERE table_name = ANY (%s)) = %s AND bool_and(state = 'synchronizing')"
        " FROM pgsluice.tables", [list(names), len(names)]), timeout=90, what=f"synchronizing {names}")


def same(pair, table):
    query = f"SELECT * FROM {table} ORDER BY 1"
    return lambda: (pair.destination.sql(f"SELECT to_regclass('{table}') IS NOT NULL")[0][0]
                    and pair.source.sql(query) == pair.destination.sql(query))


def test_a_new_table_under_load(pair, sluice):
    """With rows from before it was seen, an index, a sequence, a foreign key, and changes all the time."""
    load = RandomChanges(pair.source, rows=1000, pause=0.01).create()
    task = sluice(pair, keyless="insert_only")
    running = task.background()
    synchronizing(running, pair)
    with load:
        pair.source.script("CREATE TYPE kind AS ENUM ('a', 'b');"
                           "CREATE TABLE fresh (id serial PRIMARY KEY, k kind, t text UNIQUE);"
                           "INSERT INTO fresh (k, t) SELECT 'a', g FROM generate_series(1, 5000) g;"
                           "CREATE TABLE child (id int PRIMARY KEY, f int REFERENCES fresh);")
        began = time.monotonic()
        while time.monotonic() - began < 3:
            pair.source.sql("INSERT INTO fresh (k, t) VALUES ('b', gen_random_uuid()); DELETE FROM fresh WHERE id ="
                            " (SELECT min(id) FROM fresh); UPDATE fresh SET k = 'b' WHERE id % 100 = 7;"
                            "INSERT INTO child SELECT max(id), max(id) FROM fresh")
        running.wait_event(lambda e: e["event"] == "table.found" and e["table"] == "public.fresh", SEEN)
        running.wait_event(lambda e: e["event"] == "resync.done" and e["table"] == "public.fresh", 90)
        pair.source.sql("UPDATE fresh SET t = 'x' || id WHERE id % 2 = 0")
    synchronizing(running, pair, ["fresh", "child"])
    assert not [e for e in running.events if e["event"] in ("retrying", "worker.retrying")]
    assert running.interrupt().code == DONE
    task.sync()
    compare.assert_equal(pair.source, pair.destination)
    assert pair.destination.sql("SELECT conname FROM pg_constraint WHERE conrelid IN ('fresh'::regclass,"
                                " 'child'::regclass) AND contype <> 'n' ORDER BY 1") == [
        ("child_f_fkey",), ("child_pkey",), ("fresh_pkey",), ("fresh_t_key",)]
    assert pair.destination.value("SELECT count(*) FROM pgsluice.error") == 0


def test_others_do_not_wait(pair, sluice):
    """While a new table of some size is copied, changes of another arrive."""
    pair.source.script("CREATE TABLE small (id int PRIMARY KEY, n int); INSERT INTO small VALUES (1, 0);")
    task = sluice(pair)
    running = task.background()
    synchronizing(running, pair)
    pair.source.script("CREATE TABLE big (id int PRIMARY KEY, t text);"
                       "INSERT INTO big SELECT g, repeat(md5(g::text), 8) FROM generate_series(1, 150000) g;")
    worst, n = 0, 0
    deadline = time.monotonic() + 90
    while not any(e["event"] == "resync.done" for e in running.events):
        assert time.monotonic() < deadline
        n += 1
        began = time.monotonic()
        pair.source.sql("UPDATE small SET n = %s", [n])
        running.wait_until(lambda: pair.destination.value("SELECT n FROM small") == n, timeout=30,
                           interval=0.01, what="the change of the other table")
        worst = max(worst, time.monotonic() - began)
        time.sleep(0.02)
    assert n > 10
    assert worst < 6, f"another table waited {worst:.1f} s"
    assert running.interrupt().code == DONE
    compare.assert_equal(pair.source, pair.destination)


@pytest.mark.parametrize("versions", [(15, 15), (10, 15), (18, 18)])
def test_a_new_partition(versions, make_pair, sluice):
    """Its rows come at once, before anybody has seen it; so did they stop the stream once."""
    pair = make_pair(*versions)
    key = "" if versions[0] == 10 else ", PRIMARY KEY (id)"
    pair.source.script(f"CREATE TABLE p (id int, v text{key}) PARTITION BY RANGE (id);"
                       "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);"
                       "INSERT INTO p SELECT g, 'x' FROM generate_series(0, 99) g;")
    if not key:
        pair.source.sql("ALTER TABLE p1 ADD PRIMARY KEY (id)")
    task = sluice(pair)
    running = task.background()
    synchronizing(running, pair)
    pair.source.script("BEGIN; CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200);"
                       + ("" if key else "ALTER TABLE p2 ADD PRIMARY KEY (id);") +
                       "INSERT INTO p SELECT g, 'y' FROM generate_series(100, 150) g; COMMIT;"
                       "UPDATE p SET v = 'z' WHERE id % 3 = 0;"
                       + ("UPDATE p SET id = 175 WHERE id = 5;" if key else ""))
    running.wait_until(same(pair, "p"), timeout=SEEN + 30, what="the partition's rows")
    pair.source.sql("DELETE FROM p WHERE id > 120; INSERT INTO p VALUES (199, 'late')")
    running.wait_until(same(pair, "p"), timeout=30, what="its changes")
    assert running.interrupt().code == DONE
    compare.assert_equal(pair.source, pair.destination)


def test_a_table_without_identity_waits_for_one(pair, sluice):
    pair.source.script("CREATE TABLE a (id int PRIMARY KEY);")
    task = sluice(pair)
    running = task.background()
    synchronizing(running, pair)
    pair.source.script("CREATE TABLE late (id int, v int); INSERT INTO late VALUES (1, 1);")
    told = running.wait_event(lambda e: e["event"] == "table.not_followed", SEEN)
    assert told["table"] == "public.late" and "primary key" in told["reason"]
    pair.source.sql("INSERT INTO a VALUES (1)")
    running.wait_until(same(pair, "a"), what="the others' changes")
    pair.source.sql("ALTER TABLE late ADD PRIMARY KEY (id); UPDATE late SET v = 2")
    running.wait_until(same(pair, "late"), timeout=SEEN + 30, what="the table, once it has a key")
    assert running.interrupt().code == DONE


def test_a_partition_without_a_key(pair, sluice):
    """Its rows reach the stream, and it cannot be followed: told; once it has a key its rows come."""
    pair.source.script("CREATE TABLE p (id int NOT NULL, v text) PARTITION BY RANGE (id);"
                       "CREATE TABLE p1 PARTITION OF p (PRIMARY KEY (id)) FOR VALUES FROM (0) TO (100);"
                       "INSERT INTO p SELECT g, 'x' FROM generate_series(0, 99) g;")
    task = sluice(pair)
    running = task.background()
    synchronizing(running, pair)
    pair.source.script("CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200);"
                       "INSERT INTO p SELECT g, 'y' FROM generate_series(100, 150) g;")
    told = running.wait_event(lambda e: e["event"] == "table.not_followed", SEEN)
    assert told["table"] == "public.p2"
    pair.source.sql("UPDATE p SET v = 'z' WHERE id < 100")
    running.wait_until(lambda: pair.destination.value("SELECT count(*) FROM p WHERE v = 'z'") == 100, what="p1's changes")
    pair.source.sql("ALTER TABLE p2 ADD PRIMARY KEY (id); UPDATE p SET v = 'k'")
    running.wait_until(same(pair, "p"), timeout=SEEN + 60, what="the partition's rows")
    assert running.interrupt().code == DONE


def test_patterns_exclusions_and_filters(pair, sluice):
    """What the specification does not select stays unknown; entries apply to tables that come later."""
    pair.source.script("CREATE SCHEMA s; CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE s.x (id int PRIMARY KEY);"
                       "CREATE TABLE log_1 (id int PRIMARY KEY, level text, secret text);")
    task = sluice(pair, objects=[
        {"schema": "public", "tables": [{"table": "tmp_*", "exclude": True}, {"table": "*"},
                                        {"table": "log_*", "where": "level = 'warn'", "columns": {"exclude": ["secret"]}}]},
        {"schema": "s", "tables": [{"table": "x"}]}])
    running = task.background()
    synchronizing(running, pair)
    pair.source.script("CREATE TABLE tmp_1 (id int PRIMARY KEY); CREATE TABLE s.y (id int PRIMARY KEY);"
                       "CREATE TABLE log_2 (id int PRIMARY KEY, level text, secret text);"
                       "INSERT INTO log_2 VALUES (1, 'warn', 's'), (2, 'info', 's');")
    running.wait_event(lambda e: e["event"] == "resync.done", SEEN + 60)
    pair.source.sql("INSERT INTO log_2 VALUES (3, 'warn', 't'); UPDATE log_2 SET level = 'warn' WHERE id = 2;"
                    "UPDATE log_2 SET level = 'info' WHERE id = 1")
    running.wait_until(lambda: pair.destination.sql("SELECT * FROM log_2 ORDER BY 1") == [(2, "warn"), (3, "warn")],
                       what="the filtered changes")
    assert {e["table"] for e in running.events if e["event"] == "table.found"} == {"public.log_2"}
    assert pair.destination.value("SELECT to_regclass('tmp_1') IS NULL AND to_regclass('s.y') IS NULL")
    assert running.interrupt().code == DONE


def test_killed_while_it_follows(pair, sluice):
    load = RandomChanges(pair.source, rows=500, pause=0.02).create()
    task = sluice(pair, keyless="insert_only")
    task.sync()
    pair.source.sql("CREATE TABLE fresh (id int PRIMARY KEY, t text);"
                    "INSERT INTO fresh SELECT g, repeat('x', 500) FROM generate_series(1, 60000) g")
    with load:
        for delay in (0.5, 1.2, 2):
            running = task.background()
            running.wait_event(lambda e: e["event"] == "stream.started", 60)
            time.sleep(delay)
            pair.source.sql("UPDATE fresh SET t = t || 'y' WHERE id % 1000 = 0; DELETE FROM fresh WHERE id % 997 = 0")
            running.kill9()
        running = task.background()
        running.wait_until(lambda: pair.destination.value(
            "SELECT state FROM pgsluice.tables WHERE table_name = 'fresh'") == "synchronizing", timeout=90, what="fresh")
    assert running.interrupt().code == DONE
    task.sync()
    compare.assert_equal(pair.source, pair.destination)


def test_a_table_that_cannot_be_made(pair, sluice):
    """The others go on without it."""
    pair.source.script("CREATE TABLE a (id int PRIMARY KEY);")
    task = sluice(pair)
    running = task.background()
    synchronizing(running, pair)
    # Something that the generator makes before the table, and that the destination refuses.
    pair.destination.sql("CREATE TYPE kind AS (x int)")
    pair.source.script("CREATE TYPE kind AS ENUM ('a');"
                       "CREATE TABLE bad (id int PRIMARY KEY, k kind DEFAULT 'a', CHECK (k > 'a'));")
    told = running.wait_event(lambda e: e["event"] == "table.not_followed", SEEN + 30)
    assert told["table"] == "public.bad" and "could not be created" in told["reason"]
    pair.source.sql("INSERT INTO a VALUES (1); CREATE TABLE good (id int PRIMARY KEY); INSERT INTO good VALUES (3)")
    running.wait_until(same(pair, "a"), what="the others' changes")
    running.wait_until(same(pair, "good"), timeout=SEEN + 60, what="the next new table")
    assert len([e for e in running.events if e["event"] == "table.found" and e["table"] == "public.bad"]) == 1
    assert running.interrupt().code == DONE


class Writer(threading.Thread):
    """Changes that nothing later hides: every one counts up in rows of its own choice."""

    def __init__(self, database, seed):
        super().__init__(daemon=True)
        self.database, self.random, self.ended = database, random.Random(seed), threading.Event()

    def run(self):
        with self.database.connect() as source:
            while not self.ended.is_set():
                first = self.random.randrange(20000)
                source.execute("UPDATE fresh SET n = n + 1 WHERE id BETWEEN %s AND %s", [first, first + 3])
                time.sleep(0.002)

    def __exit__(self, *_):
        self.ended.set()
        self.join()

    def __enter__(self):
        self.start()
        return self


@pytest.mark.parametrize("end", ["kill9", "interrupt"])
def test_ended_at_any_moment(end, pair, sluice):
    """No change is lost, whatever the new table's resync was doing: above all while the main stream takes it back."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    moments = random.Random(seed)
    pair.source.script("CREATE TABLE other (id int PRIMARY KEY);")
    task = sluice(pair)
    task.sync()
    pair.source.script("CREATE TABLE fresh (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, t text);"
                       "INSERT INTO fresh SELECT g, 0, repeat('x', 200) FROM generate_series(0, 20010) g;")
    with Writer(pair.source, seed):
        for _ in range(4):
            running = task.background()
            running.wait_event(lambda e: e["event"] == "resync.started", 60)
            phase = moments.choice(["resync.started", "resync.merged", "resync.merged"])
            running.wait_event(lambda e: e["event"] == phase, 90)
            time.sleep(moments.random() * (1.0 if phase == "resync.started" else 0.3))
            getattr(running, end)()
            if pair.destination.value("SELECT snapshot_lsn < 'FFFFFFFF/FFFFFFFF' FROM pgsluice.tables"
                                      " WHERE table_name = 'fresh'"):
                task.call("resync", "fresh")
        time.sleep(0.2)
    task.sync()
    compare.assert_equal(pair.source, pair.destination)
    assert pair.source.sql("SELECT slot_name FROM pg_replication_slots WHERE slot_name ~ '_r[0-9a-f]{8}$'") == []


def test_a_locked_table(pair, sluice):
    """Whoever loads it or builds its indexes is waited for, and the others are not held up."""
    pair.source.script("CREATE TABLE a (id int PRIMARY KEY);")
    task = sluice(pair)
    running = task.background()
    synchronizing(running, pair)
    with pair.source.connect() as loader:
        loader.autocommit = False
        pair.source.sql("CREATE TABLE late (id int PRIMARY KEY); INSERT INTO late VALUES (1)")
        loader.execute("LOCK TABLE late IN SHARE MODE")
        deadline = time.monotonic() + 20
        n = 0
        while time.monotonic() < deadline:
            n += 1
            pair.source.sql("INSERT INTO a VALUES (%s)", [n])
            running.wait_until(same(pair, "a"), timeout=8, what="the others' changes")
            time.sleep(0.5)
        loader.rollback()
    running.wait_until(same(pair, "late"), timeout=SEEN + 30, what="the table")
    assert not [e for e in running.events if e["event"] in ("table.not_followed", "retrying")]
    assert running.interrupt().code == DONE


def test_without_the_schema_stage(pair, sluice):
    pair.source.script("CREATE TABLE a (id int PRIMARY KEY);")
    pair.destination.script("CREATE TABLE a (id int PRIMARY KEY);")
    task = sluice(pair, stages=["full", "incremental"])
    running = task.background()
    synchronizing(running, pair)
    pair.source.sql("CREATE TABLE late (id int PRIMARY KEY); INSERT INTO late VALUES (1)")
    told = running.wait_event(lambda e: e["event"] == "table.not_followed", SEEN)
    assert told["table"] == "public.late" and "destination does not have it" in told["reason"]
    pair.destination.sql("CREATE TABLE late (id int PRIMARY KEY)")
    pair.source.sql("CREATE TABLE elsewhere (id int PRIMARY KEY)")  # what makes the catalogs be looked at again
    running.wait_until(same(pair, "late"), timeout=SEEN + 30, what="the table")
    assert running.interrupt().code == DONE


def test_the_first_sync_has_new_tables(pair, sluice):
    """--until-caught-up: the tables that are new since the last run are complete too."""
    pair.source.script("CREATE TABLE a (id int PRIMARY KEY);")
    task = sluice(pair)
    task.sync()
    pair.source.sql("CREATE TABLE late (id int PRIMARY KEY); INSERT INTO late SELECT generate_series(1, 20000)")
    task.sync()
    assert same(pair, "late")()
