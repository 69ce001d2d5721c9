"""What goes wrong around a stream: it either goes on by itself, shown as retrying, or ends with a clear state and remedy."""

import os
import shutil
import struct
import subprocess
import tempfile
import time

import psycopg
import pytest

from pgtest import compare
from pgtest.cluster import Cluster, Database, server_user
from pgtest.proxy import UP
from pgtest.sluice import FAILED, PRECHECK, endpoint

TABLE = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' FROM generate_series(1, 1000) g;"
STARTED = "stream.started"


def streaming(task):
    running = task.background()
    running.wait_event(lambda e: e["event"] == STARTED)
    running.wait_event(lambda e: e["event"] == "table.state" and e["state"] == "synchronizing")
    return running


def retrying(running, after=0):
    return running.wait_event(lambda e: e["event"] == "retrying", after=after)


def caught_up(running, source, destination, timeout=60):
    """The worker, still the same, has brought both sides in step."""
    query = "SELECT count(*), sum(id), md5(string_agg(v, '' ORDER BY id)) FROM t"

    def same():
        try:
            return destination.sql(query) == source.sql(query)
        except psycopg.Error:
            return False

    running.wait_until(same, timeout, interval=0.2, what="both sides in step")


def fails(task, *words):
    """A final state: the message, and what to do, by the command and in `status`."""
    finished = task.call("run", "--json", "--until-caught-up", code=FAILED)
    error = finished.events()[-1]
    assert error["event"] == "error" and error["hint"], finished
    for word in words:
        assert word in error["message"] + error["hint"], (word, error)
    return error


def state_of(database):
    return database.sql("SELECT state, reason FROM pgsluice.task_state")[0]


# -- the slot -------------------------------------------------------------------------------------


def test_slot_dropped_while_it_runs(pair, sluice):
    pair.source.script(TABLE)
    task = sluice(pair)
    running = streaming(task)
    with pair.source.connect() as connection:
        for _ in range(100):  # the worker comes back at once: whoever is faster
            connection.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
                               " WHERE database = current_database() AND active")
            try:
                connection.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
                                   " WHERE database = current_database()")
                break
            except psycopg.errors.ObjectInUse:
                continue
    finished = running.wait(60)
    assert finished.code == FAILED
    assert "does not exist" in finished.events()[-1]["message"] and "release" in finished.events()[-1]["hint"]
    state, reason = state_of(pair.destination)
    assert state == "failed" and "does not exist" in reason


def lose_slot(source):
    for _ in range(5):
        source.script("CREATE TABLE filler AS SELECT repeat('x', 1000) FROM generate_series(1, 15000); DROP TABLE filler")
        source.sql("SELECT pg_switch_wal()")
        source.sql("CHECKPOINT")
    assert source.value("SELECT wal_status FROM pg_replication_slots") == "lost"


@pytest.mark.parametrize("version", [13, 15, 18])
def test_slot_lost(version, make_cluster, sluice):
    """max_slot_wal_keep_size is exceeded while the task rests."""
    source = make_cluster(version, settings={"max_slot_wal_keep_size": "16MB", "max_wal_size": "64MB",
                                             "min_wal_size": "32MB"}).create_database("shop")
    destination = make_cluster(version).create_database("shop")
    source.script(TABLE)
    task = sluice(source=source, destination=destination)
    task.sync()
    lose_slot(source)
    finished = task.call("run", "--json", "--until-caught-up", code=PRECHECK)
    assert "invalidated (lost)" in finished.events()[-1]["message"] and "release" in finished.events()[-1]["hint"]
    assert "lost" in task.call("status").text


def test_slot_lost_while_it_waits(make_cluster, make_proxy, sluice):
    """The worker is cut off for too long: when it is back, its slot is not what it was."""
    cluster = make_cluster(15, settings={"max_slot_wal_keep_size": "16MB", "max_wal_size": "64MB", "min_wal_size": "32MB"})
    source, destination = cluster.create_database("shop"), make_cluster(15).create_database("shop")
    source.script(TABLE)
    proxy = make_proxy(source)
    running = streaming(sluice(source=endpoint(source, port=proxy.port), destination=destination))
    proxy.refuse()
    proxy.cut()
    retrying(running)
    lose_slot(source)
    proxy.refuse(False)
    finished = running.wait(60)
    error = finished.events()[-1]
    assert finished.code == FAILED and "invalidated" in error["message"]
    assert "max_slot_wal_keep_size" in error["hint"] and "release" in error["hint"]
    assert state_of(destination)[0] == "failed"


def test_a_warning_before_the_slot_is_lost(make_cluster, sluice):
    """A transaction on the source that does not end holds the slot back: told while there is room."""
    source = make_cluster(15, settings={"max_slot_wal_keep_size": "128MB", "max_wal_size": "64MB",
                                        "min_wal_size": "32MB"}).create_database("shop")
    source.script(TABLE)
    running = streaming(sluice(source=source, destination=make_cluster(15).create_database("shop")))
    with source.connect(autocommit=False) as idle:
        idle.execute("UPDATE t SET v = 'held' WHERE id = 1")
        for _ in range(7):
            source.script("CREATE TABLE filler AS SELECT repeat('x', 1000) FROM generate_series(1, 15000); DROP TABLE filler")
        source.sql("CHECKPOINT")
        event = running.wait_event(lambda e: e["event"] == "slot.endangered")
        assert event["wal_status"] == "extended" and 0 < event["left_bytes"] < 2**25 and event["limit_bytes"] == 2**27
        assert "max_slot_wal_keep_size" in running.stderr
        idle.rollback()
    running.interrupt()


def test_wal_removed(make_cluster, sluice):
    """Somebody tidied up in pg_wal."""
    cluster = make_cluster(15)
    source, destination = cluster.create_database("shop"), make_cluster(15).create_database("shop")
    source.script(TABLE)
    task = sluice(source=source, destination=destination)
    task.sync()
    needed = source.value("SELECT pg_walfile_name(restart_lsn) FROM pg_replication_slots")
    source.sql("UPDATE t SET v = 'new'")
    for _ in range(2):
        source.sql("SELECT pg_switch_wal()")
        source.sql("CHECKPOINT")
    os.rename(os.path.join(cluster.data, "pg_wal", needed), os.path.join(cluster.dir, needed))
    fails(task, "WAL", "release")
    assert state_of(destination)[0] == "failed"


def test_slot_moved_in_the_copy(pair, sluice, make_proxy):
    """Found before a long copy goes on, not after it."""
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY, v text);"
                       "INSERT INTO t SELECT g, repeat('w', 100) FROM generate_series(1, 50000) g; ANALYZE")
    proxy = make_proxy(pair.source)
    proxy.throttle(500_000)
    task = sluice(pair, source=endpoint(pair.source, port=proxy.port))
    running = task.background()
    running.wait_event(lambda e: e["event"] == "table.copying")
    running.kill9()
    proxy.throttle(None)
    pair.source.sql("UPDATE t SET v = 'unseen' WHERE id < 100")
    pair.source.sql("SELECT pg_replication_slot_advance(slot_name, pg_current_wal_lsn()) FROM pg_replication_slots"
                    " WHERE database = current_database() AND NOT temporary")
    error = fails(task, "moved", "somebody else", "release")
    assert error and pair.destination.value("SELECT state FROM pgsluice.tables") == "copying"


# -- another server -------------------------------------------------------------------------------


class Standby:
    """A primary with a physical standby."""

    def __init__(self, make_cluster, version, slots=True):
        self.primary = make_cluster(version, settings={"wal_keep_size": "256MB"} if version >= 13 else {})
        self.primary.create_database("shop")
        self.primary.sql("SELECT pg_create_physical_replication_slot('standby')")
        self.primary.stop()
        self.standby = Cluster.copy_of(self.primary)
        settings = {"primary_conninfo": f"host=127.0.0.1 port={self.primary.port} user=postgres dbname=postgres",
                    "primary_slot_name": "standby", "hot_standby_feedback": "on"}
        if slots and version >= 17:
            settings["sync_replication_slots"] = "on"
        self.standby.settings.update(settings)
        with open(os.path.join(self.standby.data, "standby.signal"), "w", encoding="ascii"):
            pass
        os.chown(os.path.join(self.standby.data, "standby.signal"), self.primary._user.pw_uid,
                 self.primary._user.pw_gid)
        self.primary.start()
        self.standby.start()

    def wait(self, query, timeout=60):
        deadline = time.monotonic() + timeout
        while not self.standby.value(query):
            assert time.monotonic() < deadline, (query, self.standby.log_tail(20))
            time.sleep(0.2)

    def wait_synced(self, task):
        """The standby takes a slot over once the task has moved it on."""
        running = task.background()
        deadline = time.monotonic() + 90
        while not self.standby.value("SELECT count(*) = 1 FROM pg_replication_slots WHERE synced AND NOT temporary"):
            assert time.monotonic() < deadline, self.standby.log_tail(20)
            self.primary.sql("UPDATE t SET v = v || '.' WHERE id = 1", dbname="shop")
            self.primary.sql("SELECT pg_log_standby_snapshot()")
            time.sleep(1)
        running.interrupt()

    def caught_up(self):
        at = self.primary.value("SELECT pg_current_wal_lsn()")
        self.wait(f"SELECT pg_last_wal_replay_lsn() >= '{at}'")

    def promote(self):
        self.primary.stop("immediate")
        self.standby.sql("SELECT pg_promote()")
        self.wait("SELECT NOT pg_is_in_recovery()")
        return Database(self.standby, "shop")

    def remove(self):
        self.standby.remove()


@pytest.fixture
def with_standby(make_cluster, sluice):
    """with_standby(version): a primary with its standby, the databases, and a task that is in step."""
    made = []

    def make(version, slots=True):
        both = Standby(make_cluster, version, slots)
        made.append(both)
        source, destination = Database(both.primary, "shop"), make_cluster(version).create_database("shop")
        source.script(TABLE)
        task = sluice(source=source, destination=destination)
        task.sync()
        return both, source, destination, task

    yield make
    for one in made:
        one.remove()


def point_to(task, source):
    task.spec["source"] = endpoint(source)
    task.write()


@pytest.mark.parametrize("version", [17, 18])
def test_failover_with_a_failover_slot(version, with_standby):
    """The promoted standby has the slot: the task goes on, on another timeline, with nothing lost."""
    both, source, destination, task = with_standby(version)
    both.wait_synced(task)
    source.sql("UPDATE t SET v = 'before' WHERE id % 2 = 0")  # replicated, but not read by us
    both.caught_up()
    promoted = both.promote()
    promoted.sql("UPDATE t SET v = 'after' WHERE id % 3 = 0")
    point_to(task, promoted)
    finished = task.sync()
    assert [e for e in finished.events() if e["event"] == "source.timeline"][0]["is"] == 2
    compare.assert_equal(promoted, destination)
    promoted.sql("DELETE FROM t WHERE id % 7 = 0")
    assert not [e for e in task.sync().events() if e["event"] == "source.timeline"]
    compare.assert_equal(promoted, destination)


def test_failover_to_a_standby_that_was_behind(with_standby):
    """The destination has a transaction that the new primary never had: no silent gap, whatever its LSN is now."""
    both, source, destination, task = with_standby(17)
    both.wait_synced(task)
    both.caught_up()
    both.standby.settings["primary_conninfo"] = ""
    both.standby.reload()
    time.sleep(1)
    source.sql("UPDATE t SET v = 'lost' WHERE id <= 10")
    task.sync()
    assert destination.value("SELECT count(*) FROM t WHERE v = 'lost'") == 10
    promoted = both.promote()
    promoted.sql("INSERT INTO t SELECT g, 'other' FROM generate_series(2000, 60000) g")  # far beyond that position
    point_to(task, promoted)
    fails(task, "lost transactions", "left our timeline", "Release")
    assert destination.value("SELECT count(*) FROM t WHERE v = 'other'") == 0


@pytest.mark.parametrize("version", [15, 17])
def test_failover_without_the_slot(version, with_standby):
    """Before 17, or a standby that does not take slots over."""
    both, _, _, task = with_standby(version, slots=False)
    both.caught_up()
    promoted = both.promote()
    point_to(task, promoted)
    fails(task, "does not exist", "promoted standby", "release")


def test_another_server(make_cluster, sluice):
    """The address leads to a server with another system identifier."""
    first, other, destination = (make_cluster(15).create_database("shop") for _ in range(3))
    for database in (first, other):
        database.script(TABLE)
    task = sluice(source=first, destination=destination, id="shop00001")
    task.sync()
    point_to(task, other)
    finished = task.call("run", "--json", "--until-caught-up", code=None)
    assert finished.code in (FAILED, PRECHECK)
    error = finished.events()[-1]
    assert "another server" in error["message"] and error["hint"], error
    assert other.slots() == []


# -- what goes away by itself ---------------------------------------------------------------------


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_restart_of_a_server(side, mode, make_cluster, sluice):
    """A fast shutdown of the source waits for us, not for long; the same worker goes on afterwards."""
    clusters = {name: make_cluster(15) for name in ("source", "destination")}
    source, destination = (clusters[name].create_database("shop") for name in ("source", "destination"))
    source.script(TABLE)
    running = streaming(sluice(source=source, destination=destination))
    source.sql("UPDATE t SET v = 'one'")
    began = time.monotonic()
    clusters[side].stop(mode)
    assert time.monotonic() - began < 20
    event = retrying(running)
    assert event["error"] and event["attempt"] == 1 and event["wait_ms"] > 0
    if side == "source":
        running.wait_until(lambda: state_of(destination)[0] == "retrying", what="the state")
    clusters[side].start()
    source.sql("UPDATE t SET v = 'two' WHERE id % 2 = 0")
    caught_up(running, source, destination)
    running.wait_until(lambda: state_of(destination)[0] == "synchronizing", what="the state")
    running.interrupt()


def test_sessions_ended_by_an_administrator(pair, sluice):
    pair.source.script(TABLE)
    running = streaming(sluice(pair))
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgsluice/%'"
    for number, database in enumerate((pair.source, pair.destination, pair.source)):
        before = len(running.events)
        database.sql(end)
        pair.source.sql(f"UPDATE t SET v = 'v{number}'")
        running.wait_event(lambda e: e["event"] == STARTED, after=before)
        caught_up(running, pair.source, pair.destination)
    running.interrupt()


def test_a_replaced_worker_does_not_come_back(pair, sluice, make_proxy):
    """Both may take over, but once: the one that was replaced while it could not reach a server ends."""
    pair.source.script(TABLE)
    proxy = make_proxy(pair.source)
    task = sluice(pair, source=endpoint(pair.source, port=proxy.port))
    first = task.background("--takeover")
    first.wait_event(lambda e: e["event"] == STARTED)
    proxy.refuse()
    proxy.cut()
    retrying(first)
    first.wait_event(lambda e: e["event"] == "retrying" and e["attempt"] >= 3)  # some seconds until the next
    proxy.refuse(False)
    second = task.background("--takeover")
    second.wait_event(lambda e: e["event"] == STARTED)
    finished = first.wait(60)
    assert finished.code == FAILED and "taken over" in finished.text
    pair.source.sql("UPDATE t SET v = 'new'")
    caught_up(second, pair.source, pair.destination)
    assert [e["epoch"] for e in second.events if e["event"] == "worker.started"] == [2]
    second.interrupt()


@pytest.mark.parametrize("side", ["source", "destination"])
def test_cut_while_it_reads_who_the_server_is(side, pair, sluice, make_proxy):
    """The task's id is made of the servers' identities: one that could not be read must not make another task."""
    pair.source.script(TABLE)
    database = getattr(pair, side)
    proxy = make_proxy(database)
    task = sluice(pair, **{side: endpoint(database, port=proxy.port)})

    def cut_there():
        caught = proxy.trap(b"pg_control_system", UP)
        proxy.cut()
        yield
        assert caught.wait(30)
        proxy.rules[UP].trap = None
        proxy.cut()
        proxy.release()
        yield

    running = streaming(task)
    steps = cut_there()
    next(steps)
    pair.source.sql("UPDATE t SET v = 'seen'")  # an idle worker does not notice that its destination is gone
    next(steps)
    pair.source.sql("UPDATE t SET v = 'new'")
    caught_up(running, pair.source, pair.destination)
    running.interrupt()
    steps = cut_there()
    next(steps)
    running = task.background("--until-caught-up")
    next(steps)
    finished = running.wait(60)
    assert finished.code == PRECHECK and f"{side}.reachable" in finished.text
    task.sync()
    assert pair.destination.value("SELECT count(*) FROM pgsluice.task") == 1 and len(pair.source.slots()) == 1


def test_retry_time_is_over(pair, sluice, tmp_path, make_proxy):
    """Then the task fails, says since when it tried, and goes on when it is run again."""
    clock = tmp_path / "clock"
    clock.write_bytes(struct.pack("=q", 0))
    pair.source.script(TABLE)
    proxy = make_proxy(pair.source)
    task = sluice(pair, source=endpoint(pair.source, port=proxy.port), retry_minutes=10,
                  environment={"PGSLUICE_TEST_CLOCK": str(clock)})
    running = streaming(task)
    proxy.refuse()
    proxy.cut()
    retrying(running)
    with open(clock, "r+b") as handle:
        handle.write(struct.pack("=q", 11 * 60 * 1_000_000))
    finished = running.wait(60)
    assert finished.code == FAILED
    assert "retry_minutes" in finished.text and "retrying since" in finished.text
    assert state_of(pair.destination)[0] == "failed"
    proxy.refuse(False)
    pair.source.sql("UPDATE t SET v = 'later'")
    task.sync()
    compare.assert_equal(pair.source, pair.destination)


def test_timeouts_of_the_servers_do_not_apply(pair, sluice, make_proxy):
    """An administrator's limits are for applications: copy, index builds and a waiting stream take their time."""
    limits = {"statement_timeout": "200ms", "lock_timeout": "200ms", "idle_in_transaction_session_timeout": "200ms"}
    for database in (pair.source, pair.destination):
        for name, value in limits.items():
            database.sql(f'ALTER DATABASE "{database.name}" SET {name} = \'{value}\'')
    pair.source.script("SET statement_timeout = 0; CREATE TABLE t (id int PRIMARY KEY, v text);"
                       "INSERT INTO t SELECT g, repeat('w', 100) FROM generate_series(1, 20000) g; ANALYZE")
    proxy = make_proxy(pair.source)
    proxy.throttle(500_000)
    running = streaming(sluice(pair, source=endpoint(pair.source, port=proxy.port)))
    proxy.throttle(None)
    with pair.destination.connect(options="-c idle_in_transaction_session_timeout=0", autocommit=False) as other:
        other.execute("LOCK TABLE t")
        pair.source.sql("UPDATE t SET v = 'new' WHERE id <= 5")
        time.sleep(1.5)
    caught_up(running, pair.source, pair.destination)
    assert not [e for e in running.events if e["event"] == "retrying"]
    running.interrupt()


def test_deadlock_with_another_user(pair, sluice):
    """The worker is the one that the server ends: it tries again."""
    pair.source.script(TABLE + "CREATE TABLE other (id int PRIMARY KEY, v text); INSERT INTO other VALUES (1, 'a')")
    running = streaming(sluice(pair))
    with pair.destination.connect(options="-c deadlock_timeout=1h", autocommit=False) as other:
        other.execute("UPDATE other SET v = 'mine' WHERE id = 1")
        with pair.source.connect(autocommit=False) as connection:
            connection.execute("UPDATE t SET v = 'new'")
            connection.execute("UPDATE other SET v = 'new'")
            connection.commit()
        running.wait_until(lambda: pair.destination.value(
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted"
            " AND a.application_name LIKE 'pgsluice/%%'"), what="the worker at the lock")
        other.execute("UPDATE t SET v = 'mine' WHERE id = 1")  # returns when the worker's transaction is gone
        other.rollback()
    assert "deadlock" in retrying(running)["error"]
    caught_up(running, pair.source, pair.destination)
    running.interrupt()


def too_many(error):
    return "too many" in error or "remaining connection slots" in error or "max_wal_senders" in error


@pytest.mark.parametrize("side", ["source", "destination"])
def test_no_connection_is_left(side, make_cluster, sluice):
    """All are in use: at the start it is said with a remedy; a worker that lost its own tries again until there are some."""
    clusters = {name: make_cluster(15, settings={"max_connections": 20, "superuser_reserved_connections": 0,
                                                 "max_wal_senders": 4, "autovacuum": "off"}) for name in ("source", "destination")}
    source, destination = (clusters[name].create_database("shop") for name in ("source", "destination"))
    source.script(TABLE)
    task = sluice(source=source, destination=destination)
    running = streaming(task)
    full = clusters[side]
    greedy = [full.connect()]

    def take_all():
        while True:
            try:
                greedy.append(full.connect())
            except psycopg.OperationalError:
                return

    def told():
        return [e for e in running.events if e["event"] == "retrying" and too_many(e["error"])]

    take_all()
    deadline = time.monotonic() + 40
    while not told() and time.monotonic() < deadline:  # whatever it opens anew meets a full house
        greedy[0].execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgsluice/%'")
        take_all()
        time.sleep(0.2)
    event = told()[0]
    assert side in event["error"]
    refused = task.call("run", "--until-caught-up", code=PRECHECK)
    assert too_many(refused.text) and "max_connections" in refused.text
    for connection in greedy:
        connection.close()
    source.sql("UPDATE t SET v = 'later'")
    caught_up(running, source, destination, 90)
    running.interrupt()


def test_connection_limit_of_the_role(pair, sluice):
    """A role that may have too few sessions for all that the task does."""
    pair.destination.sql("DROP ROLE IF EXISTS few")
    pair.destination.sql("CREATE ROLE few LOGIN SUPERUSER CONNECTION LIMIT 2")
    pair.source.script(TABLE)
    try:
        pair.destination.sql("ALTER ROLE few NOSUPERUSER")  # the limit holds for others only
        pair.destination.sql(f'GRANT ALL ON DATABASE "{pair.destination.name}" TO few; GRANT ALL ON SCHEMA public TO few')
        task = sluice(pair, destination=endpoint(pair.destination, user="few"))
        running = task.background()
        event = retrying(running)
        assert "too many connections for role" in event["error"]
        pair.destination.sql("ALTER ROLE few CONNECTION LIMIT 20")
        caught_up(running, pair.source, pair.destination)
        running.interrupt()
    finally:
        task.kill_all()
        pair.destination.sql("DROP OWNED BY few CASCADE")
        pair.destination.sql("DROP ROLE few")


@pytest.fixture
def small_disk():
    """A directory on a disk of 24 MB that can be made larger."""
    path = tempfile.mkdtemp(prefix="pgs-disk-")
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", path], check=False,
                                          capture_output=True).returncode != 0:
        os.rmdir(path)
        pytest.skip("only root can mount a small disk")
    yield path
    subprocess.run(["umount", "-l", path], check=True)
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.parametrize("side", ["source", "destination"])
def test_disk_of_the_wal_full(side, small_disk, make_cluster, sluice):
    """The server goes down by itself; the worker waits, and goes on when it is up again."""
    user = server_user()
    os.chown(small_disk, user.pw_uid, user.pw_gid)
    subprocess.run(["mount", "-o", "remount,size=100m", small_disk], check=True)
    wal = os.path.join(small_disk, "wal")
    settings = {"min_wal_size": "32MB", "max_wal_size": "1GB"}
    clusters = {name: make_cluster(15, settings=settings, initdb=("--waldir", wal) if name == side else ())
                for name in ("source", "destination")}
    source, destination = (clusters[name].create_database("shop") for name in ("source", "destination"))
    source.script(TABLE)
    running = streaming(sluice(source=source, destination=destination))
    try:
        for _ in range(10):
            source.sql("INSERT INTO t SELECT (SELECT max(id) FROM t) + g, repeat('w', 500) FROM generate_series(1, 20000) g")
    except psycopg.OperationalError:
        assert side == "source"  # its commit was answered by a crash
    retrying(running)
    clusters[side].process.wait(60)
    clusters[side].process = None
    subprocess.run(["mount", "-o", "remount,size=800m", small_disk], check=True)
    clusters[side].start()
    source.sql("UPDATE t SET v = 'after' WHERE id < 100")
    caught_up(running, source, destination, 120)
    running.interrupt()
    clusters[side].stop("immediate")


@pytest.mark.parametrize("when", ["copy", "stream"])
def test_disk_full(when, small_disk, make_cluster, sluice):
    """The destination's disk is full: retrying, and on it goes when there is room."""
    cluster = make_cluster(15)
    os.chown(small_disk, cluster._user.pw_uid, cluster._user.pw_gid)
    source = make_cluster(15).create_database("shop")
    cluster.sql(f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    destination = cluster.create_database("shop", "TABLESPACE small")
    fill = "INSERT INTO t SELECT g, repeat('w', 500) FROM generate_series(2000, 52000) g"
    source.script(TABLE + (fill if when == "copy" else "") + "; ANALYZE")
    task = sluice(source=source, destination=destination)
    running = task.background() if when == "copy" else streaming(task)
    if when == "stream":
        source.sql(fill)
    assert "No space left" in retrying(running)["error"]
    subprocess.run(["mount", "-o", "remount,size=400m", small_disk], check=True)
    caught_up(running, source, destination, 90)
    running.interrupt()
    cluster.stop("immediate")
