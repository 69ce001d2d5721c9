"""What the torture test found, each as small as it could be made."""

from pgtest import compare
from pgtest.sluice import DONE


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
