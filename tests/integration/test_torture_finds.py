"""What the torture test found, each as small as it could be made."""

import psycopg

from pgtest import compare
from pgtest.proxy import DOWN
from pgtest.sluice import DONE, PRECHECK, endpoint


def test_array_of_an_extensions_type(pair, sluice):
    """The extension is created too where only an array of its type is used."""
    pair.source.script("CREATE SCHEMA s; CREATE EXTENSION hstore;"
                       "CREATE TABLE s.t (id int PRIMARY KEY, h hstore[]);"
                       """INSERT INTO s.t VALUES (1, ARRAY['a=>1'::hstore, NULL]);""")
    sluice(pair, objects=[{"schema": "s"}]).sync()
    compare.assert_equal(pair.source, pair.destination)


def test_not_null_of_an_inherited_key(make_pair, sluice):
    """From 18 on NOT NULL is a named constraint; a child's key gives its inherited column its own."""
    pair = make_pair(18)
    pair.source.script("CREATE TABLE parent (id int PRIMARY KEY);"
                       "CREATE TABLE child (more int, PRIMARY KEY (id)) INHERITS (parent);"
                       "INSERT INTO child VALUES (1, 2)")
    sluice(pair).sync()
    query = ("SELECT conname, conislocal, coninhcount FROM pg_constraint "
             "WHERE contype = 'n' AND connamespace = 'public'::regnamespace ORDER BY 1")
    assert pair.destination.sql(query) == pair.source.sql(query)
    compare.assert_equal(pair.source, pair.destination)


def test_interrupted_while_the_destination_waits(pair, sluice):
    """Ctrl-C cancels a statement that waits for a lock: what it was to write is not acknowledged."""
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'old'), (2, 'old')")
    task = sluice(pair)
    task.sync()
    running = task.background()
    running.wait_event(lambda event: event["event"] == "stream.started")
    with pair.destination.connect() as other:
        other.execute("BEGIN")
        other.execute("LOCK TABLE t")
        pair.source.sql("UPDATE t SET v = 'new'")
        running.wait_until(lambda: pair.destination.value(
            "SELECT count(*) FROM pg_locks WHERE NOT granted"), what="the worker at the lock")
        assert running.interrupt().code == DONE
        other.execute("ROLLBACK")
    task.sync()
    compare.assert_equal(pair.source, pair.destination)


FAMILY = """
CREATE TABLE parent (id int PRIMARY KEY);
INSERT INTO parent SELECT generate_series(1, 10);
CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE, v text);
INSERT INTO child SELECT g, 1 + g % 10, repeat('w', 100) FROM generate_series(1, 50000) g;
ANALYZE;"""


def parent_before_child(pair, sluice, make_proxy, between):
    """`between` happens when only the parent has been copied; then everything comes in step."""
    pair.source.script(FAMILY)
    proxy = make_proxy(pair.source)
    proxy.throttle(500_000, DOWN)
    task = sluice(pair, source=endpoint(pair.source, port=proxy.port), workers=2)
    running = task.background()

    def states():
        try:
            return dict(pair.destination.sql("SELECT table_name, state FROM pgsluice.tables"))
        except psycopg.Error:
            return {}

    running.wait_until(lambda: states() == {"parent": "indexing", "child": "copying"},
                       what="the parent's copy, while the child's goes on")
    running.kill9()
    assert states()["child"] == "copying"
    pair.source.script(between)
    proxy.throttle(None)
    task.sync()
    compare.assert_equal(pair.source, pair.destination)


def test_truncate_of_a_table_whose_child_is_copied_later(pair, sluice, make_proxy):
    """Only the parent's copy is older than the TRUNCATE: it is emptied although rows refer to it."""
    parent_before_child(pair, sluice, make_proxy,
                        "TRUNCATE parent CASCADE; INSERT INTO parent VALUES (1), (77);"
                        "INSERT INTO child VALUES (1, 77, 'new')")


def test_foreign_key_between_copies_of_different_moments(pair, sluice, make_proxy):
    """The child's copy refers to a parent that only the stream brings: valid once that is in step."""
    parent_before_child(pair, sluice, make_proxy,
                        "INSERT INTO parent VALUES (77); INSERT INTO child VALUES (-1, 77, 'new')")
    query = "SELECT conname, convalidated, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f'"
    assert pair.destination.sql(query) == pair.source.sql(query)


def test_generated_column_in_a_full_identity(make_pair, sluice):
    """On 18 an unpublished generated column would make the application's own UPDATE fail."""
    pair = make_pair(18)
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY, v int, twice int GENERATED ALWAYS AS (id * 2) STORED);"
                       "ALTER TABLE t REPLICA IDENTITY FULL;"
                       "CREATE TABLE keyless (v int, next int GENERATED ALWAYS AS (v + 1) STORED);"
                       "INSERT INTO t SELECT g, g FROM generate_series(1, 100) g;"
                       "INSERT INTO keyless SELECT g % 10 FROM generate_series(1, 100) g")
    task = sluice(pair, keyless="full")
    task.sync()
    pair.source.script("UPDATE t SET v = 0 WHERE id < 10; UPDATE t SET id = -id WHERE id > 90; DELETE FROM t WHERE id = 50;"
                       "UPDATE keyless SET v = v + 1 WHERE v < 3; INSERT INTO t VALUES (500); DELETE FROM keyless WHERE v = 9")
    task.sync()
    compare.assert_equal(pair.source, pair.destination)


def test_virtual_column_in_a_full_identity(make_pair, sluice):
    """On 18 such a table cannot be published with its updates: told before the application's fail."""
    pair = make_pair(18)
    pair.source.script("CREATE TABLE t (id int PRIMARY KEY, v int, w int GENERATED ALWAYS AS (v + 1) VIRTUAL);"
                       "ALTER TABLE t REPLICA IDENTITY FULL; INSERT INTO t VALUES (1, 1)")
    task = sluice(pair)
    finished = task.run(code=PRECHECK)
    assert "virtual generated columns" in finished.text and "REPLICA IDENTITY DEFAULT" in finished.text
    pair.source.sql("ALTER TABLE t REPLICA IDENTITY DEFAULT")
    task.sync()
    pair.source.sql("UPDATE t SET v = 2")
    task.sync()
    compare.assert_equal(pair.source, pair.destination)
