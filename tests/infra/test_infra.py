"""The test infrastructure itself: a fixture that silently does nothing would pass everything."""

import socket
import threading
import time

import psycopg
import pytest

from pgtest import compare, servers
from pgtest.cluster import PASSWORD, Cluster, alive
from pgtest.proxy import DOWN, UP
from pgtest.workload import Pgbench, RandomChanges


@pytest.mark.parametrize("version", servers.VERSIONS)
def test_every_version_starts(version, make_cluster):
    auth = "scram-sha-256" if version >= 11 else "md5"
    cluster = make_cluster(version, auth=auth, ssl=True)
    assert cluster.value("SHOW server_version_num")[:2] == str(version)
    assert cluster.value("SHOW wal_level") == "logical"
    with cluster.connect(sslmode="verify-full", sslrootcert=cluster.certificate) as connection:
        assert connection.pgconn.ssl_in_use
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        cluster.connect(password="not " + PASSWORD)
    cluster.sql("CREATE TABLE kept (i int)")
    cluster.kill9()
    cluster.start()
    assert cluster.value("SELECT count(*) FROM kept") == 0
    before = cluster.cpu_seconds()
    cluster.sql("SELECT sum(g) FROM generate_series(1, 3000000) g")
    assert cluster.cpu_seconds() > before + 0.1


def test_remove_leaves_nothing(make_cluster):
    cluster = make_cluster(15)
    pid = cluster.process.pid
    cluster.remove()
    cluster.remove()
    assert not alive(pid)
    with pytest.raises(FileNotFoundError):
        open(cluster.logfile, encoding="utf-8")


def test_copy_of_cluster(make_cluster):
    cluster = make_cluster(15)
    cluster.sql("CREATE TABLE t AS SELECT 42 AS i")
    cluster.stop()
    copy = Cluster.copy_of(cluster).start()
    cluster.start()
    assert copy.value("SELECT i FROM t") == 42
    assert copy.port != cluster.port
    copy.remove()


def test_drop_with_slot_and_sessions(make_pair):
    pair = make_pair()
    session = pair.source.connect()
    pair.source.sql("SELECT pg_create_logical_replication_slot('left_behind', 'pgoutput')")
    assert pair.source.slots() == ["left_behind"]
    pair.source.drop()
    assert pair.source.cluster.value("SELECT count(*) FROM pg_replication_slots") == 0
    session.close()


ROWS = """
CREATE SCHEMA odd;
CREATE TABLE odd."Na me" (id int, "va,l" text, d double precision);
INSERT INTO odd."Na me" SELECT g % 10, CASE WHEN g % 3 = 0 THEN NULL ELSE E'a\\tb\\\\' || g % 7 END,
  g / 3.0 FROM generate_series(1, 1000) g;
CREATE TABLE nothing ();
CREATE TABLE leafed (i int) PARTITION BY RANGE (i);
CREATE TABLE leaf PARTITION OF leafed FOR VALUES FROM (0) TO (10);
INSERT INTO leafed VALUES (1), (1), (2);
"""


def test_compare_equal_in_any_order(pair):
    for database in (pair.source, pair.destination):
        database.script(ROWS)
    pair.destination.sql('CREATE TABLE odd.other AS SELECT * FROM odd."Na me" ORDER BY random();'
                         'DROP TABLE odd."Na me"; ALTER TABLE odd.other RENAME TO "Na me"')
    result = compare.assert_equal(pair.source, pair.destination)
    assert (result.tables, result.rows) == (3, 1003)
    assert compare.assert_equal(pair.source, pair.destination, roots=True).rows == 1003


@pytest.mark.parametrize("change, expected", [
    ('UPDATE odd."Na me" SET d = d + 1e-15 WHERE ctid = \'(0,1)\'', "1 rows only in the source, 1 only"),
    ('DELETE FROM odd."Na me" WHERE ctid = \'(0,2)\'', "1 rows only in the source, 0 only"),
    ('UPDATE odd."Na me" SET "va,l" = \'\' WHERE ctid = \'(0,3)\'', "1 rows only in the source, 1 only"),
    ("INSERT INTO leafed VALUES (1)", "public.leaf: 0 rows only in the source, 1 only"),
    ("CREATE TABLE extra ()", "public.extra: only in the destination"),
    ("DROP TABLE nothing", "public.nothing: missing in the destination"),
    ("DROP SCHEMA odd CASCADE", "odd.Na me: its schema is missing"),
    ('ALTER TABLE odd."Na me" ADD extra int', "columns ['d', 'id', 'va,l'] in the source"),
])
def test_compare_finds(pair, change, expected):
    for database in (pair.source, pair.destination):
        database.script(ROWS)
    pair.destination.sql(change)
    result = compare.compare(pair.source, pair.destination)
    assert not result
    assert expected in str(result)
    with pytest.raises(AssertionError, match="the databases differ"):
        compare.assert_equal(pair.source, pair.destination)


def test_compare_shows_the_rows(pair):
    pair.both("CREATE TABLE t (i int, v text)")
    pair.source.sql("INSERT INTO t VALUES (1, ''), (2, 'mine')")
    pair.destination.sql("INSERT INTO t VALUES (1, ''), (2, 'theirs')")
    text = str(compare.compare(pair.source, pair.destination))
    assert "source:      2\tmine" in text and "destination: 2\ttheirs" in text


def test_compare_sequences(pair):
    pair.both("CREATE SEQUENCE s")
    compare.assert_equal(pair.source, pair.destination, sequences=True)
    pair.source.sql("SELECT nextval('s')")
    compare.assert_equal(pair.source, pair.destination)
    assert "sequence public.s" in str(compare.compare(pair.source, pair.destination, sequences=True))


def test_compare_does_not_take_failure_for_equality(pair):
    pair.both("CREATE TABLE t (i int)")
    pair.source.sql("INSERT INTO t VALUES (1)")
    with pytest.raises(RuntimeError, match="division by zero"):
        compare.compare(pair.source, pair.destination, where={("public", "t"): "i / (i - 1) = 0"})


# -- proxy ------------------------------------------------------------------------------------------


class Echo:
    """A server that collects what it gets and can send."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.received = b""
        self.ended = threading.Event()
        self.connection = None
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        self.connection, _ = self.listener.accept()
        while True:
            try:
                data = self.connection.recv(65536)
            except OSError:
                data = b""
            if not data:
                self.ended.set()
                return
            self.received += data


def eventually(condition, timeout=5):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


@pytest.fixture
def echo():
    server = Echo()
    yield server
    server.listener.close()


@pytest.fixture
def wire(echo, make_proxy):
    """(echo server, proxy, client socket)"""
    proxy = make_proxy(echo)
    client = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
    client.sendall(b"hello")
    eventually(lambda: echo.received == b"hello")
    yield echo, proxy, client
    client.close()


def test_proxy_holds_and_releases_one_direction(wire):
    echo, proxy, client = wire
    proxy.hold(UP)
    client.sendall(b"x" * 20_000_000)  # far more than socket buffers take: it goes on reading
    eventually(lambda: proxy.held_bytes(UP) == 20_000_000)
    assert echo.received == b"hello"
    echo.connection.sendall(b"other way")
    assert client.recv(100) == b"other way"
    proxy.release(UP)
    eventually(lambda: len(echo.received) == 20_000_005)


def test_proxy_stall_stops_the_sender(wire):
    echo, proxy, client = wire
    proxy.stall(UP)
    client.settimeout(0.5)
    with pytest.raises(TimeoutError):
        client.sendall(b"x" * 50_000_000)
    proxy.resume(UP)
    eventually(lambda: len(echo.received) > 1_000_000)


def test_proxy_trap_holds_only_that_connection(wire):
    echo, proxy, client = wire
    event = proxy.trap(b"COMMIT", UP)
    client.sendall(b"before")
    eventually(lambda: echo.received == b"hellobefore")
    client.sendall(b"now COMMIT it")
    assert event.wait(5)
    time.sleep(0.1)
    assert echo.received == b"hellobefore"
    assert proxy.held_bytes(UP) == 13
    proxy.release()
    eventually(lambda: echo.received == b"hellobeforenow COMMIT it")


def test_proxy_delays(wire):
    echo, proxy, client = wire
    proxy.delay(0.3, UP)
    started = time.monotonic()
    client.sendall(b"!")
    eventually(lambda: echo.received == b"hello!")
    assert time.monotonic() - started > 0.28


def test_proxy_throttles(wire):
    echo, proxy, client = wire
    proxy.throttle(1_000_000, UP)
    started = time.monotonic()
    client.sendall(b"x" * 500_000)
    eventually(lambda: len(echo.received) == 500_005)
    assert 0.3 < time.monotonic() - started < 1.5


def test_proxy_cuts(wire):
    echo, proxy, client = wire
    proxy.refuse()
    proxy.cut()
    assert echo.ended.wait(5)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        for _ in range(100):
            client.sendall(b"x")
            time.sleep(0.01)
    with pytest.raises(OSError):
        again = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
        assert again.recv(1) == b"" and False


def test_proxy_cuts_after(wire):
    echo, proxy, client = wire
    proxy.cut_after(1000, UP)
    client.sendall(b"x" * 5000)
    assert echo.ended.wait(5)
    assert len(echo.received) == 5 + 1000


def test_proxy_half_close(wire):
    echo, proxy, client = wire
    proxy.half_close(UP)
    assert echo.ended.wait(5)
    echo.connection.sendall(b"still here")
    assert client.recv(100) == b"still here"


def test_proxy_orphan_delivers_after_death(wire):
    echo, proxy, client = wire
    proxy.orphan()
    proxy.hold(UP)
    client.sendall(b" last words")
    eventually(lambda: proxy.held_bytes(UP) == 11)
    client.close()
    time.sleep(0.2)
    proxy.release(UP)
    eventually(lambda: echo.received == b"hello last words")
    assert not echo.ended.wait(0.3)
    proxy.cut()
    assert echo.ended.wait(5)


def test_proxy_carries_a_session(pair, make_proxy):
    proxy = make_proxy(pair.source)
    with psycopg.connect(pair.source.conninfo(port=proxy.port)) as connection:
        text = connection.execute("SELECT repeat('x', 30000000)").fetchone()[0]
    assert len(text) == 30_000_000
    assert proxy.passed[DOWN] > 30_000_000


# -- load -------------------------------------------------------------------------------------------


def test_random_changes_change_everything(pair):
    load = RandomChanges(pair.source, seed=1, rows=2000, identity_full=True).create()
    before = compare.list_tables(pair.source.conninfo())
    counts = "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables"
    with load:
        time.sleep(2)
    assert load.transactions > 50
    assert len(before) == 5
    eventually(lambda: all(n > 20 for name, n in pair.source.sql(counts) if name != "nothing"))


def test_pgbench(pair):
    Pgbench.initialize(pair.source)
    with Pgbench(pair.source, clients=2) as load:
        time.sleep(1)
        assert load.running()
    assert not load.running()
    assert pair.source.value("SELECT count(*) FROM pgbench_history") > 10
    Pgbench(pair.source, clients=2, transactions=100).start().wait()


def test_compare_floats_between_versions(make_pair):
    pair = make_pair(10, 18)
    pair.both("CREATE TABLE t (d double precision, r real)")
    pair.both("INSERT INTO t SELECT g / 3.0, g / 7.0 FROM generate_series(-5, 100) g")
    assert compare.assert_equal(pair.source, pair.destination).rows == 106
    pair.destination.sql("UPDATE t SET d = d + 1e-16 WHERE d BETWEEN 0.1 AND 0.5")
    assert not compare.compare(pair.source, pair.destination)
