"""The socket relay between real servers, by tests/tools/relay_tool: text and binary, plain and TLS,
failures of either side, sessions killed, rows far larger than its buffer; libpq's way as reference."""

import json
import os
import signal
import subprocess
import time

import pytest

from pgtest import REPOSITORY
from pgtest.compare import assert_equal
from pgtest.sluice import SANITIZERS, executable

FORMATS = ["text", "binary"]
MANY = 60_000


def tool():
    return os.path.join(os.path.dirname(executable()), "tests", "tools", "relay_tool")


@pytest.fixture(scope="module")
def tls_pair(pool):
    from pgtest.cluster import Cluster
    clusters = [Cluster(15, ssl_only=True).start() for _ in range(2)]
    yield clusters
    for cluster in clusters:
        cluster.remove()


@pytest.fixture(params=["tcp", "unix", "tls"])
def way(request, pair, tls_pair):
    """(source, destination, how to reach each) over each kind of socket."""
    if request.param == "tls":
        source, destination = (c.create_database(f"db{time.monotonic_ns()}") for c in tls_pair)
        return source, destination, "require"
    return pair.source, pair.destination, request.param


def address(database, how):
    host = database.cluster.dir if how == "unix" else "127.0.0.1"
    return f"{host} {database.cluster.port} {database.name} {'require' if how == 'require' else 'disable'}"


def start(source, destination, how, copy_out, copy_in, libpq=False):
    environment = {**os.environ, **SANITIZERS}
    if libpq:
        environment["PGSLUICE_RELAY"] = "libpq"
    return subprocess.Popen(
        [tool(), address(source, how), address(destination, how), copy_out, copy_in],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process, timeout=60):
    out, err = process.communicate(timeout=timeout)
    assert out.startswith("{"), f"exit code {process.returncode}: {out}{err}"
    return json.loads(out)


def relay(*arguments, **options):
    return finish(start(*arguments, **options))


def statements(fmt, out_of="public.t", into="public.t"):
    return (f"COPY {out_of} TO STDOUT (FORMAT {fmt})", f"COPY {into} FROM STDIN (FORMAT {fmt})")


def make_table(*databases):
    for database in databases:
        database.sql("CREATE TABLE t (id bigint, a text, b bytea, c numeric, d timestamptz[])")


def fill(source, rows=MANY):
    source.sql(f"INSERT INTO t SELECT g, repeat(md5(g::text), g % 7), NULLIF(sha256(g::text::bytea), "
               f"sha256('5')), g / 7.0, ARRAY[now(), NULL] FROM generate_series(1, {rows}) g")


@pytest.mark.parametrize("libpq", [False, True], ids=["relay", "libpq"])
@pytest.mark.parametrize("fmt", FORMATS)
def test_rows_arrive(way, fmt, libpq):
    source, destination, how = way
    make_table(source, destination)
    fill(source)
    result = relay(source, destination, how, *statements(fmt), libpq=libpq)
    assert (result["rc"], result["rows"], result["counted_rows"]) == ("ok", MANY, MANY), result
    assert result["source_answers"] and result["destination_answers"]
    assert_equal(source, destination)


@pytest.mark.parametrize("fmt", FORMATS)
def test_empty_and_columnless_tables(pair, fmt):
    pair.both("CREATE TABLE empty (a int); CREATE TABLE bare ()")
    pair.source.sql("INSERT INTO bare SELECT FROM generate_series(1, 1000)")
    for table, rows in (("empty", 0), ("bare", 1000)):
        result = relay(pair.source, pair.destination, "tcp",
                       *statements(fmt, f"public.{table}", f"public.{table}"))
        assert (result["rc"], result["rows"]) == ("ok", rows), result


def test_a_row_of_200_megabytes_is_not_held(way):
    source, destination, how = way
    for database in (source, destination):
        database.sql("CREATE TABLE t (id int, a text)")
        database.sql("ALTER TABLE t ALTER a SET STORAGE EXTERNAL")
    source.sql("INSERT INTO t SELECT g, repeat('0123456789', 20000000) FROM generate_series(1, 1) g")
    result = relay(source, destination, how, *statements("binary"))
    assert (result["rc"], result["rows"]) == ("ok", 1), result
    assert result["max_rss_kb"] < 100_000 or "asan" in os.environ.get("PGSLUICE", "")
    assert destination.value("SELECT sum(length(a)) FROM t") == 200_000_000


def test_source_error_in_the_middle(way):
    source, destination, how = way
    make_table(source, destination)
    fill(source)
    copy_out = f"COPY (SELECT id / ({MANY} - id), a, b, c, d FROM public.t) TO STDOUT"
    result = relay(source, destination, how, copy_out, statements("text")[1])
    assert (result["rc"], result["sqlstate"]) == ("failed", "22012"), result
    assert result["source_answers"] and result["destination_answers"], result
    assert destination.value("SELECT count(*) FROM t") == 0


@pytest.mark.parametrize("row", [1, 1000, MANY])
def test_destination_error_in_the_middle(way, row):
    source, destination, how = way
    make_table(source, destination)
    fill(source)
    destination.sql(f"ALTER TABLE t ADD CHECK (id <> {row})")
    result = relay(source, destination, how, *statements("binary"))
    assert (result["rc"], result["sqlstate"]) == ("failed", "23514"), result
    assert "COPY t, line" in result["where"]
    assert result["source_answers"] and result["destination_answers"], result
    assert destination.value("SELECT count(*) FROM t") == 0


@pytest.mark.parametrize("out_of, into, sqlstate, side", [
    ("public.missing", "public.t", "42P01", "source"),
    ("public.t", "public.missing", "42P01", "destination"),
])
def test_refused_by_one_side(way, out_of, into, sqlstate, side):
    source, destination, how = way
    make_table(source, destination)
    fill(source)
    result = relay(source, destination, how, *statements("text", out_of, into))
    assert (result["rc"], result["sqlstate"]) == ("failed", sqlstate), result
    assert result["message"].startswith(side + ":")
    assert result["source_answers"] and result["destination_answers"], result


def wait_for_copy(database, timeout=20):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        rows = database.sql("SELECT pid FROM pg_stat_progress_copy WHERE datname = current_database() "
                            "AND tuples_processed > 100")
        if rows:
            return rows[0][0]
    raise AssertionError("no COPY is running")


SLOW = ("COPY (SELECT id, a, b, c, d FROM public.t, "
        "pg_sleep(CASE WHEN id % 500 = 0 THEN 0.02 ELSE 0 END)) TO STDOUT")


@pytest.mark.parametrize("victim", ["source", "destination"])
def test_killed_session(way, victim):
    source, destination, how = way
    make_table(source, destination)
    fill(source)
    process = start(source, destination, how, SLOW, statements("text")[1])
    database = {"source": source, "destination": destination}[victim]
    database.sql("SELECT pg_terminate_backend(%s)", [wait_for_copy(database)])
    result = finish(process)
    assert (result["rc"], result["sqlstate"]) == ("transient", "57P01"), result
    assert result["message"].startswith(victim)
    assert result["source_answers"] == (victim != "source"), result
    assert result["destination_answers"] == (victim != "destination"), result
    assert destination.value("SELECT count(*) FROM t") == 0


@pytest.mark.parametrize("victim", ["source", "destination"])
def test_cut_connection(pair, make_proxy, victim):
    make_table(pair.source, pair.destination)
    fill(pair.source)
    proxy = make_proxy(getattr(pair, victim))
    ends = {side: address(getattr(pair, side), "tcp") for side in ("source", "destination")}
    ends[victim] = ends[victim].replace(str(getattr(pair, victim).cluster.port), str(proxy.port))
    process = subprocess.Popen(
        [tool(), ends["source"], ends["destination"], SLOW, statements("text")[1]],
        env={**os.environ, **SANITIZERS}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_copy(getattr(pair, victim))
    proxy.cut()
    result = finish(process)
    assert (result["rc"], result["sqlstate"]) == ("transient", ""), result
    assert f"the {victim} closed the connection" in result["message"], result
    assert pair.destination.value("SELECT count(*) FROM t") == 0


@pytest.mark.parametrize("libpq", [False, True], ids=["relay", "libpq"])
def test_stop_ends_it_at_once(pair, libpq):
    make_table(pair.source, pair.destination)
    fill(pair.source)
    process = start(pair.source, pair.destination, "tcp", SLOW, statements("text")[1], libpq=libpq)
    wait_for_copy(pair.source)
    process.send_signal(signal.SIGTERM)
    before = time.monotonic()
    assert finish(process)["rc"] == "cancelled"
    assert time.monotonic() - before < 2


def test_notices_do_not_disturb(pair):
    make_table(pair.source, pair.destination)
    fill(pair.source, 5000)
    for database in (pair.source, pair.destination):
        database.sql("CREATE FUNCTION say(bigint) RETURNS bigint LANGUAGE plpgsql AS "
                     "$$BEGIN RAISE NOTICE 'row %', $1; RETURN $1; END$$")
    pair.destination.sql(
        "CREATE FUNCTION trig() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN RAISE NOTICE 'row %', NEW.id; RETURN NEW; END$$;"
        "CREATE TRIGGER t BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION trig();"
        "ALTER TABLE t ENABLE ALWAYS TRIGGER t")
    result = relay(pair.source, pair.destination, "tcp",
                   "COPY (SELECT public.say(id), a, b, c, d FROM public.t) TO STDOUT",
                   statements("text")[1])
    assert (result["rc"], result["rows"]) == ("ok", 5000), result
    assert_equal(pair.source, pair.destination)


def test_memory_stays_small(pair):
    """The destination is slower than the source: what waits is bounded."""
    make_table(pair.source, pair.destination)
    fill(pair.source)
    pair.destination.sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.id % 1000 = 0 THEN "
        "PERFORM pg_sleep(0.005); END IF; RETURN NEW; END$$;"
        "CREATE TRIGGER t BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow();"
        "ALTER TABLE t ENABLE ALWAYS TRIGGER t")
    result = relay(pair.source, pair.destination, "tcp", *statements("binary"))
    assert result["rows"] == MANY
    assert result["max_rss_kb"] < 60_000 or "asan" in os.environ.get("PGSLUICE", "")
