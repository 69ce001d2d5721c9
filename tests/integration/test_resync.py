"""One table again (`pgsluice resync`): right under load, resumable, and no other table waits for it."""

import time

import pytest

from pgtest import compare
from pgtest.sluice import DONE, FAILED, USAGE
from pgtest.workload import RandomChanges

RESYNCED = "SELECT count(*) FROM pgsluice.tables WHERE request IS NOT NULL OR state <> 'synchronizing'"


def leftovers(pair):
    """Slots and shadow tables of resyncs."""
    slots = pair.source.sql("SELECT slot_name FROM pg_replication_slots"
                            " WHERE slot_name ~ '_r[0-9a-f]{8}$'")
    shadows = pair.destination.sql("SELECT relname FROM pg_class WHERE relname LIKE 'shadow\\_%'")
    tasks = pair.destination.sql("SELECT task_id FROM pgsluice.task WHERE task_id ~ '_r[0-9a-f]{8}$'")
    return slots + shadows + tasks


def synchronizing(running, pair):
    running.wait_until(lambda: pair.destination.sql(
        "SELECT 1 FROM pg_tables WHERE schemaname = 'pgsluice'") and pair.destination.value(
        "SELECT count(*) > 0 AND bool_and(state = 'synchronizing') FROM pgsluice.tables"),
        what="synchronizing")


def done(event):
    return event["event"] == "resync.done"


def damage(pair, table, sql):
    """What somebody did to the destination, out of the stream's sight."""
    with pair.destination.connect(options="-c session_replication_role=replica") as connection:
        assert connection.execute(sql.format(table=table)).rowcount > 0


@pytest.mark.parametrize("table, keyless", [("parted", "insert_only"), ("compound", "insert_only"),
                                            ("keyless", "full")])
def test_damaged_table_is_cured_under_load(table, keyless, pair, sluice):
    load = RandomChanges(pair.source, rows=3000, identity_full=keyless == "full", pause=0.005).create()
    task = sluice(pair, keyless=keyless)
    running = task.background()
    synchronizing(running, pair)
    damage(pair, table, "DELETE FROM public.{table}")
    task.call("resync", f"public.{table}")
    # The stream may meet the damage before the resync has begun, and stop at it. The next run leaves the
    # table alone from its start on.
    with load:
        time.sleep(0.1)
    finished = running.interrupt()
    assert finished.code in (DONE, FAILED)
    task.call("resync", table)
    running = task.background()
    with load:
        running.wait_event(done, 90)
        time.sleep(0.3)
    running.wait_until(lambda: pair.destination.value(RESYNCED) == 0, what="the table in step")
    assert running.interrupt().code == DONE
    task.sync()
    compare.assert_equal(pair.source, pair.destination)
    assert leftovers(pair) == []


def test_caught_up_is_not_said_before_it_is_through(pair, sluice):
    """Asked for while nobody runs: the next run ends when that table is in step too."""
    pair.source.script("CREATE TABLE big (id int PRIMARY KEY, t text); CREATE TABLE small (id int PRIMARY KEY);"
                       "INSERT INTO big SELECT g, repeat(md5(g::text), 8) FROM generate_series(1, 60000) g;")
    task = sluice(pair)
    task.sync()
    damage(pair, "big", "DELETE FROM public.{table} WHERE id % 3 = 0")
    task.call("resync", "big")
    pair.source.sql("INSERT INTO small VALUES (1)")
    pair.source.sql("UPDATE big SET t = 'new' WHERE id % 5 = 0")
    task.sync()
    compare.assert_equal(pair.source, pair.destination)


def test_other_tables_go_on(pair, sluice):
    """While a table is copied again, changes to others arrive within a second or two."""
    pair.source.script("CREATE TABLE big (id int PRIMARY KEY, t text);"
                       "INSERT INTO big SELECT g, repeat(md5(g::text), 8) FROM generate_series(1, 150000) g;"
                       "CREATE TABLE small (id int PRIMARY KEY, n int); INSERT INTO small VALUES (1, 0);")
    task = sluice(pair)
    running = task.background()
    synchronizing(running, pair)
    damage(pair, "big", "UPDATE public.{table} SET t = 'wrong' WHERE id % 3 = 0")
    task.call("resync", "big")
    running.wait_event(lambda e: e["event"] == "resync.started", 20)
    worst, n = 0, 0
    while not any(done(e) for e in running.events):
        n += 1
        began = time.monotonic()
        pair.source.sql("UPDATE small SET n = %s", [n])
        running.wait_until(lambda: pair.destination.value("SELECT n FROM small") == n, timeout=30,
                           interval=0.01, what="the change of the other table")
        worst = max(worst, time.monotonic() - began)
        time.sleep(0.02)
    assert n > 5
    assert worst < 5, f"another table waited {worst:.1f} s"
    [event] = [e for e in running.events if done(e)]
    assert event["gate_seconds"] < 5
    assert running.interrupt().code == DONE
    compare.assert_equal(pair.source, pair.destination)


def test_swapped_unique_values(pair, sluice):
    pair.source.script("CREATE TABLE u (id int PRIMARY KEY, v int UNIQUE, x text);"
                       "INSERT INTO u SELECT g, g, 'x' FROM generate_series(1, 100) g;")
    task = sluice(pair)
    task.sync()
    with pair.destination.connect() as connection:
        connection.execute("UPDATE u SET v = -v")
        connection.execute("UPDATE u SET v = 101 + v")
        connection.execute("DELETE FROM u WHERE id > 90")
    task.call("resync", "public.u")
    running = task.background()
    running.wait_event(done, 60)
    assert running.interrupt().code == DONE
    compare.assert_equal(pair.source, pair.destination)
    assert leftovers(pair) == []


def test_killed_in_a_resync(pair, sluice):
    """kill -9 at several moments; the next run begins the resync anew and ends it."""
    load = RandomChanges(pair.source, rows=4000, pause=0.01).create()
    task = sluice(pair, keyless="insert_only")
    task.sync()
    damage(pair, "parted", "DELETE FROM public.{table} WHERE id % 2 = 0")
    task.call("resync", "parted")
    with load:
        for delay in (0.2, 0.6, 1.0, 1.5):
            task.call("resync", "parted")  # the one before may have been quicker than the kill
            running = task.background()
            running.wait_event(lambda e: e["event"] == "resync.started", 30)
            time.sleep(delay)
            running.kill9()
        task.call("resync", "parted")
        running = task.background()
        running.wait_event(done, 90)
    assert running.interrupt().code == DONE
    task.sync()
    compare.assert_equal(pair.source, pair.destination)
    assert leftovers(pair) == []


def test_release_in_the_middle(pair, sluice):
    load = RandomChanges(pair.source, rows=2000).create()
    task = sluice(pair, keyless="insert_only")
    task.sync()
    task.call("resync", "parted")
    running = task.background()
    running.wait_event(lambda e: e["event"] == "resync.started", 30)
    running.wait_until(lambda: leftovers(pair), what="the resync's slot")
    running.kill9()
    task.call("release", "--force")
    assert load.transactions == 0
    assert pair.source.slots() == []
    assert "pgsluice" not in pair.destination.schemas()


def test_wrong_use(pair, sluice):
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY)")
    task = sluice(pair)
    finished = task.call("resync", "t", code=FAILED)
    assert "knows no task" in finished.text
    task.sync()
    finished = task.call("resync", "public.nothing", code=FAILED)
    assert "public.nothing" in finished.text and "status" in finished.text
    task.call("resync", code=USAGE)
