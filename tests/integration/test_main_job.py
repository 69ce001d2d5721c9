"""The main job: `pgsluice run` brings a database, from nothing, in step and keeps it there.

Each test ends in a row-by-row comparison or in the proof that nothing was left behind.
"""

import random
import time

import psycopg
import pytest

from pgtest import compare
from pgtest.cluster import PASSWORD
from pgtest.proxy import DOWN, UP
from pgtest.sluice import DONE, FAILED, PRECHECK, USAGE, endpoint
from pgtest.workload import Pgbench, RandomChanges, stays_in_step

VERSIONS = [(10, 10), (10, 18), (15, 15), (18, 18)]


def table_states(destination):
    """{table: state} as the destination remembers them; empty before the first worker."""
    try:
        return dict(destination.sql("SELECT schema_name || '.' || table_name, state "
                                    "FROM pgsluice.tables"))
    except psycopg.Error:
        return {}


def in_copy(destination):
    """Some table has begun and some table is not complete."""
    states = set(table_states(destination).values())
    return "copying" in states


def streaming(destination):
    states = set(table_states(destination).values())
    return bool(states) and states <= {"synchronizing", "catching_up"}


def assert_nothing_left(pair):
    """No slot, publication or session of ours on the source, nothing of ours on the destination."""
    assert pair.source.slots() == []
    assert pair.source.publications() == []
    for database in (pair.source, pair.destination):
        assert "pgsluice" not in database.schemas()
        assert database.value("SELECT count(*) FROM pg_stat_activity WHERE datname = "
                              "current_database() AND application_name LIKE 'pgsluice%%'", []) == 0


def fill(database, rows=1000):
    database.script(f"CREATE TABLE items (id int PRIMARY KEY, name text);"
                    f"INSERT INTO items SELECT g, 'item ' || g FROM generate_series(1, {rows}) g;"
                    "CREATE TABLE log (at int, what text);"
                    "INSERT INTO log SELECT g, 'event' FROM generate_series(1, 100) g;")


# -- in step ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("source, destination", VERSIONS)
def test_every_version(source, destination, make_pair, sluice):
    """The oldest and the newest, and from the one to the other, under random changes."""
    pair = make_pair(source, destination)
    stays_in_step(pair, sluice(pair, keyless="insert_only"))


def copy_while_writing(pair, sluice, scale, timeout, rate=None):
    Pgbench.initialize(pair.source, scale, ["--foreign-keys"])
    task = sluice(pair, keyless="insert_only")
    with Pgbench(pair.source, clients=4, rate=rate) as load:
        time.sleep(0.3)
        task.sync(timeout)
        assert load.running()
    task.sync(timeout)
    result = compare.assert_equal(pair.source, pair.destination)
    assert result.rows >= scale * 100_011
    assert pair.source.value("SELECT count(*) FROM pgbench_history") > 50


def test_copied_while_written(pair, sluice):
    copy_while_writing(pair, sluice, 3, 180, rate=400)


@pytest.mark.long
@pytest.mark.parametrize("number", range(10))
def test_copied_while_written_scale_50(number, make_cluster, sluice):
    """10 times out of 10, each on new servers."""
    clusters = [make_cluster(15, settings={"shared_buffers": "512MB"}) for _ in range(2)]
    source, destination = (cluster.create_database("bench") for cluster in clusters)

    class Both:
        pass

    Both.source, Both.destination = source, destination
    copy_while_writing(Both, sluice, 50, 900)


def test_until_caught_up_applies_what_was_committed_before(pair, sluice):
    fill(pair.source)
    task = sluice(pair, keyless="insert_only")
    task.sync()
    for number in range(3):
        # an asynchronous commit is committed, whether its WAL is written out or not
        with pair.source.connect(options="-c synchronous_commit=off") as connection:
            connection.execute("INSERT INTO items VALUES (%s, 'late')", [10_000 + number])
        task.sync()
        assert pair.destination.value("SELECT count(*) FROM items WHERE id = %s", [10_000 + number])


def test_changes_flow_while_it_runs(pair, sluice):
    fill(pair.source)
    running = sluice(pair, keyless="insert_only").background()
    running.wait_until(lambda: streaming(pair.destination), what="streaming")
    pair.source.sql("UPDATE items SET name = 'changed' WHERE id <= 10")
    pair.source.sql("DELETE FROM items WHERE id > 990")
    running.wait_until(lambda: pair.destination.sql(
        "SELECT count(*), count(*) FILTER (WHERE name = 'changed') FROM items") == [(990, 10)],
        timeout=15, what="the changes in the destination")
    assert running.interrupt().code == DONE
    compare.assert_equal(pair.source, pair.destination)


# -- restarts -------------------------------------------------------------------------------------


def test_interrupt_and_resume(pair, sluice):
    """Ctrl-C in the stream: a clean end, the slot stays, a second run goes on."""
    fill(pair.source)
    task = sluice(pair, keyless="insert_only")
    running = task.background()
    running.wait_until(lambda: streaming(pair.destination), what="streaming")
    assert running.interrupt().code == DONE
    assert len(pair.source.slots()) == 1
    pair.source.sql("INSERT INTO items SELECT g, 'meanwhile' FROM generate_series(5000, 6000) g")
    pair.source.sql("INSERT INTO log VALUES (1, 'meanwhile')")
    copied = pair.destination.value("SELECT string_agg(DISTINCT xmin::text, ',') FROM items")
    task.sync()
    compare.assert_equal(pair.source, pair.destination)
    assert copied in pair.destination.value(
        "SELECT string_agg(DISTINCT xmin::text, ',' ORDER BY xmin::text) FROM items WHERE id <= 1000")


def test_interrupt_in_the_copy(pair, sluice, make_proxy):
    fill(pair.source, rows=200_000)
    proxy = make_proxy(pair.source)
    proxy.throttle(2_000_000, DOWN)
    task = sluice(pair, source=endpoint(pair.source, port=proxy.port), keyless="insert_only")
    running = task.background()
    running.wait_until(lambda: in_copy(pair.destination), what="the copy")
    running.interrupt()
    proxy.throttle(None)
    task.sync()
    compare.assert_equal(pair.source, pair.destination)


def test_finished_tables_are_not_copied_again(pair, sluice, make_proxy):
    """A small table is done, a large one is under way: kill -9; the small one keeps its rows."""
    pair.source.script("""
CREATE TABLE small (id int PRIMARY KEY, v text);
INSERT INTO small SELECT g, 'v' FROM generate_series(1, 500) g;
CREATE TABLE large (id int PRIMARY KEY, v text);
INSERT INTO large SELECT g, repeat('w', 100) FROM generate_series(1, 100000) g;
ANALYZE;""")
    proxy = make_proxy(pair.source)
    proxy.throttle(1_000_000, DOWN)
    task = sluice(pair, source=endpoint(pair.source, port=proxy.port), workers=2)
    running = task.background()
    running.wait_until(lambda: table_states(pair.destination).get("public.small") in
                       ("indexing", "catching_up", "synchronizing"), what="the small table")
    running.kill9()
    assert table_states(pair.destination)["public.large"] in ("waiting", "copying")
    rows = "SELECT array_agg(DISTINCT xmin::text), pg_relation_filenode('small') FROM small"
    before = pair.destination.sql(rows)
    pair.source.sql("UPDATE large SET v = 'changed' WHERE id % 100 = 0")
    proxy.throttle(None)
    task.sync()
    assert pair.destination.sql(rows) == before
    compare.assert_equal(pair.source, pair.destination)


class Killer:
    """Restarts a task and kills it at random moments of a chosen phase."""

    def __init__(self, pair, task, proxy, source):
        self.pair = pair
        self.task = task
        self.proxy = proxy
        self.source = source
        self.in_copy = 0
        self.elsewhere = 0

    def kill_in_copy(self):
        """Starts it, waits until rows flow, and kills it before they all have."""
        self.proxy.throttle(self.source.choice((500_000, 1_000_000, 2_000_000)), DOWN)
        running = self.task.background()
        running.wait_until(lambda: in_copy(self.pair.destination), timeout=90, what="the copy")
        time.sleep(self.source.uniform(0, 1.5))
        running.kill9()
        self._count()

    def kill_anywhere(self):
        self.proxy.throttle(None)
        running = self.task.background()
        time.sleep(self.source.uniform(0, 4))
        running.kill9()
        self._count()

    def _count(self):
        if in_copy(self.pair.destination):
            self.in_copy += 1
        else:
            self.elsewhere += 1


def killed_at_random(pair, sluice, make_proxy, rows, kills, seed):
    source = random.Random(seed)
    print(f"kill seed {seed}")
    load = RandomChanges(pair.source, seed=seed, rows=rows, pause=0.005).create()
    proxy = make_proxy(pair.source)
    task = sluice(pair, source=endpoint(pair.source, port=proxy.port), keyless="insert_only", workers=2,
                  environment={"PGSLUICE_PART_BYTES": "300000"})
    killer = Killer(pair, task, proxy, source)
    inside = (kills + 1) // 2
    # VACUUM FULL and a rewriting ALTER TABLE, each between two kills inside the copy
    between = {1: "VACUUM FULL parted", inside - 1:
               "ALTER TABLE parted ALTER counter TYPE int USING counter + 0"}
    with load:
        for number in range(inside):
            killer.kill_in_copy()
            if number in between:
                pair.source.sql(between[number])
        for _ in range(kills - inside):
            killer.kill_anywhere()
    proxy.throttle(None)
    assert load.transactions > 50
    assert killer.in_copy >= inside * 0.8, (killer.in_copy, killer.elsewhere)
    task.sync(300)
    assert pair.destination.value("SELECT count(*) FROM pgsluice.part WHERE table_name = 'parted'") > 3
    compare.assert_equal(pair.source, pair.destination)
    print(f"{killer.in_copy} kills inside the copy, {killer.elsewhere} elsewhere, "
          f"{load.transactions} transactions")


def test_killed_at_random(pair, sluice, make_proxy):
    """So many rows that the ranges which each start finishes do not make the whole before the last kill."""
    killed_at_random(pair, sluice, make_proxy, rows=100_000, kills=6, seed=random.randrange(1 << 30))


@pytest.mark.long
@pytest.mark.parametrize("number", range(3))
def test_killed_at_random_20_times(number, pair, sluice, make_proxy):
    killed_at_random(pair, sluice, make_proxy, rows=400_000, kills=20,
                     seed=random.randrange(1 << 30))


@pytest.mark.parametrize("wait", [0.0, 1.0])
def test_commit_in_the_socket(pair, sluice, make_proxy, wait):
    """A worker dies with a COMMIT under way, which the server gets while a successor has begun."""
    fill(pair.source)
    proxy = make_proxy(pair.destination)
    proxy.orphan()
    through = endpoint(pair.destination, port=proxy.port, ssl={"mode": "disable"})
    task = sluice(pair, destination=through, keyless="insert_only")
    running = task.background()
    running.wait_until(lambda: streaming(pair.destination), what="streaming")
    time.sleep(0.5)  # the states' own commits are through
    trapped = proxy.trap(b"COMMIT", UP)
    # no key: what is applied twice is there twice
    pair.source.sql("INSERT INTO log SELECT g, 'once' FROM generate_series(1, 500) g")
    assert trapped.wait(20), running.describe()
    running.kill9()
    successor = task.start("run", "--json", "--until-caught-up")
    time.sleep(wait)
    proxy.release()
    assert successor.wait(60).code == DONE, successor.describe()
    compare.assert_equal(pair.source, pair.destination)
    time.sleep(0.5)  # whatever the dead one's session still does
    compare.assert_equal(pair.source, pair.destination)


def test_commit_of_a_part_in_the_socket(pair, sluice, make_proxy):
    """The same inside the copy: no part may come twice."""
    pair.source.script("CREATE TABLE keyless (i int, v text); "
                       "INSERT INTO keyless SELECT g, 'row' FROM generate_series(1, 50000) g; ANALYZE")
    proxy = make_proxy(pair.destination)
    proxy.orphan()
    through = endpoint(pair.destination, port=proxy.port, ssl={"mode": "disable"})
    task = sluice(pair, destination=through, keyless="insert_only")
    running = task.background()
    running.wait_until(lambda: in_copy(pair.destination), interval=0.005, what="the copy")
    proxy.trap(b"COMMIT", UP).wait(20)
    running.kill9()
    successor = task.start("run", "--json", "--until-caught-up")
    time.sleep(0.5)
    proxy.release()
    assert successor.wait(60).code == DONE, successor.describe()
    compare.assert_equal(pair.source, pair.destination)


# -- one worker at a time ------------------------------------------------------------------------


def test_a_second_run_refuses(pair, sluice):
    fill(pair.source)
    task = sluice(pair, keyless="insert_only")
    running = task.background()
    running.wait_until(lambda: streaming(pair.destination), what="streaming")
    second = task.run(code=FAILED, timeout=60)
    assert "--takeover" in second.text
    pair.source.sql("INSERT INTO items VALUES (-1, 'still served by the first')")
    running.wait_until(lambda: pair.destination.value("SELECT count(*) FROM items WHERE id = -1"),
                       timeout=15, what="the change")
    assert running.interrupt().code == DONE


def test_takeover(pair, sluice):
    fill(pair.source)
    task = sluice(pair, keyless="insert_only")
    first = task.background()
    first.wait_until(lambda: streaming(pair.destination), what="streaming")
    second = task.background("--takeover")
    assert first.wait(60).code == FAILED
    pair.source.sql("INSERT INTO items VALUES (-2, 'by the second')")
    second.wait_until(lambda: pair.destination.value("SELECT count(*) FROM items WHERE id = -2"),
                      timeout=30, what="the change")
    assert second.interrupt().code == DONE
    compare.assert_equal(pair.source, pair.destination)


# -- release -------------------------------------------------------------------------------------


def test_release_removes_everything(pair, sluice):
    fill(pair.source)
    task = sluice(pair, keyless="insert_only")
    task.sync()
    assert pair.source.slots() and pair.source.publications()
    task.call("release")
    assert_nothing_left(pair)
    compare.assert_equal(pair.source, pair.destination)  # the data stays
    task.call("release")  # nothing to do any more


def test_release_after_a_kill_in_the_copy(pair, sluice, make_proxy):
    fill(pair.source, rows=200_000)
    proxy = make_proxy(pair.source)
    proxy.throttle(1_000_000, DOWN)
    task = sluice(pair, source=endpoint(pair.source, port=proxy.port), keyless="insert_only")
    running = task.background()
    running.wait_until(lambda: in_copy(pair.destination), what="the copy")
    running.kill9()
    proxy.throttle(None)
    task.call("release")
    assert_nothing_left(pair)


# -- what a user gets wrong ------------------------------------------------------------------------


def refused(task, pair, *words, code=PRECHECK):
    """check and run say what is wrong and what to do, and leave nothing behind."""
    for command in ("check", "run"):
        finished = task.call(command, code=code, timeout=90)
        for word in words:
            assert word.lower() in finished.text.lower(), (word, finished)
    assert_nothing_left(pair)


def test_wrong_password(make_cluster, make_pair, sluice):
    cluster = make_cluster(15, auth="scram-sha-256")
    pair = make_pair()
    source = cluster.create_database("locked")
    fill(source)
    wrong = {**endpoint(source), "password_env": "WRONG_PASSWORD"}
    task = sluice(source=wrong, destination=pair.destination, keyless="insert_only",
                  environment={"WRONG_PASSWORD": "wrong" + PASSWORD})
    pair.source = source
    refused(task, pair, "password authentication failed", "password")
    for command in ("check", "run"):
        assert PASSWORD not in task.call(command, code=PRECHECK).text


def test_wrong_host(pair, sluice):
    task = sluice(pair, source=endpoint(pair.source, host="no-such-host.invalid"))
    refused(task, pair, "no-such-host.invalid")


def test_unreachable_destination(pair, sluice):
    fill(pair.source)
    task = sluice(pair, destination=endpoint(pair.destination, port=1), keyless="insert_only")
    refused(task, pair, "destination", "connection refused")


def test_wal_level_replica(make_cluster, make_pair, sluice):
    pair = make_pair()
    pair.source = make_cluster(15, settings={"wal_level": "replica"}).create_database("x")
    fill(pair.source)
    refused(sluice(pair, keyless="insert_only"), pair, "wal_level", "logical", "ALTER SYSTEM SET")


def test_no_free_slot(make_cluster, make_pair, sluice):
    cluster = make_cluster(15, settings={"max_replication_slots": 1})
    pair = make_pair()
    pair.source = cluster.create_database("x")
    fill(pair.source)
    cluster.sql("SELECT pg_create_physical_replication_slot('somebody_elses')")
    refused(sluice(pair, keyless="insert_only"), pair, "max_replication_slots")
    assert cluster.sql("SELECT slot_name FROM pg_replication_slots") == [("somebody_elses",)]


def test_existing_table(pair, sluice):
    fill(pair.source)
    pair.destination.sql("CREATE TABLE items (mine int); INSERT INTO items VALUES (42)")
    refused(sluice(pair, keyless="insert_only"), pair, "public.items")
    assert pair.destination.sql("SELECT mine FROM items") == [(42,)]
    assert pair.destination.value("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 1


def test_keyless_table_is_refused_by_default(pair, sluice):
    fill(pair.source)
    refused(sluice(pair), pair, "public.log")


@pytest.mark.parametrize("spoil, words", [
    (lambda spec: spec.update(stagse=["full"]), ["stagse"]),
    (lambda spec: spec.update(stages=["fully"]), ["fully", "schema"]),
    (lambda spec: spec.pop("objects"), ["objects"]),
    (lambda spec: spec["source"].update(port="many"), ["port", "65535"]),
])
def test_wrong_spec(pair, sluice, spoil, words):
    task = sluice(pair)
    spoil(task.spec)
    task.write()
    refused(task, pair, task.path.rsplit("/", 1)[1], *words, code=USAGE)


def test_missing_table(pair, sluice):
    fill(pair.source)
    task = sluice(pair, objects=[{"schema": "public", "tables": [{"table": "no_such_table"}]}])
    for command in ("check", "run"):
        finished = task.call(command, code=None)
        assert finished.code in (USAGE, PRECHECK) and "no_such_table" in finished.text, finished
    assert_nothing_left(pair)
