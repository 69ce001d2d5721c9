"""Tasks side by side on the same servers: one to many, many to one (different names, one table), a cascade of
three. In each, one task is killed while it works."""

import time

import pytest

from pgtest.compare import compare
from pgtest.sluice import PRECHECK, USAGE

ITEMS = """
CREATE TABLE customer (id integer PRIMARY KEY, name text);
CREATE TABLE item (id integer PRIMARY KEY, customer integer REFERENCES customer, note text, twice integer
    GENERATED ALWAYS AS (id * 2) STORED, CHECK (id > 0));
CREATE UNIQUE INDEX item_note ON item (note);
"""


def fill(database, mark, n=20000):
    database.sql(f"INSERT INTO customer SELECT i, '{mark}' || i FROM generate_series(1, 100) i")
    database.sql(f"INSERT INTO item SELECT i, i % 100 + 1, '{mark}' || i FROM generate_series(1, {n}) i")


def change(database, mark):
    database.script(f"""
        UPDATE item SET note = note || '{mark}' WHERE id % 10 = 0; DELETE FROM item WHERE id % 9 = 0;
        INSERT INTO item SELECT i, 1, 'new {mark}' || i FROM generate_series(100001, 100500) i;
        UPDATE item SET id = id + 500000 WHERE id BETWEEN 100 AND 120;""")


def rows(database, query):
    return sorted(map(repr, database.sql(query)))


def caught_up(tasks, condition, timeout=90):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "\n".join(task.describe() for task in tasks)
        assert all(task.running() for task in tasks), "\n".join(task.describe() for task in tasks)
        time.sleep(0.1)


def test_one_to_many(make_pair, sluice):
    pair, other = make_pair(), make_pair()
    pair.source.script(ITEMS)
    fill(pair.source, "a")
    tasks = [sluice(pair, name="one"),
             sluice(pair, name="two", source=pair.source, destination=other.destination),
             sluice(pair, name="three", objects=[{"schema": "public", "rename": "copy"}])]
    running = [task.background() for task in tasks]
    caught_up(running, lambda: pair.destination.sql("SELECT 1 FROM pg_tables WHERE tablename = 'item'"))
    running[1].kill9()
    running[1] = tasks[1].background()
    change(pair.source, "x")
    want = rows(pair.source, "SELECT * FROM item")
    caught_up(running, lambda: all(
        database.sql(f"SELECT 1 FROM pg_tables WHERE schemaname = '{schema}' AND tablename = 'item'")
        and rows(database, f"SELECT * FROM {schema}.item") == want
        for database, schema in ((pair.destination, "public"), (other.destination, "public"), (pair.destination, "copy"))))
    running[0].kill9()
    pair.source.sql("UPDATE item SET note = 'z' || id WHERE id < 50")
    running[0] = tasks[0].background()
    want = rows(pair.source, "SELECT * FROM item")
    caught_up(running, lambda: rows(pair.destination, "SELECT * FROM item") == want
              and rows(other.destination, "SELECT * FROM item") == want)
    for task in running:
        task.interrupt()


def two_into_one(make_pair, sluice, killed, left_spec, right_spec):
    """Two sources' tasks into the left pair's destination, both at work; one of them was killed meanwhile, and both sources
    have changed. Returns the pairs and the running tasks."""
    left, right = make_pair(), make_pair()
    for pair, mark in ((left, "l"), (right, "r")):
        pair.source.script(ITEMS)
        fill(pair.source, mark)
    tasks = [sluice(left, name="left", **left_spec), sluice(left, name="right", source=right.source, **right_spec)]
    running = [task.background() for task in tasks]
    time.sleep(0.7)
    running[killed].kill9()
    running[killed] = tasks[killed].background()
    change(left.source, "x")
    change(right.source, "y")
    return left, right, running


def test_many_to_one_with_different_names(make_pair, sluice):
    left, right, running = two_into_one(make_pair, sluice, 1, {"names": {"rules": [{"prefix": "l_"}]}},
                                        {"names": {"rules": [{"prefix": "r_"}]}})
    there = "SELECT count(*) = 2 FROM pg_tables WHERE tablename IN ('l_item', 'r_item')"
    caught_up(running, lambda: left.destination.value(there)
              and rows(left.destination, "SELECT * FROM l_item") == rows(left.source, "SELECT * FROM item")
              and rows(left.destination, "SELECT * FROM r_item") == rows(right.source, "SELECT * FROM item"))
    for task in running:
        task.interrupt()


def merged(column="origin"):
    merge = {"into": "all.items", "source_column": column}
    return [{"schema": "public", "tables": [
        {"table": "customer", "merge": {**merge, "into": "all.customers"}},
        {"table": "item", "merge": merge, "columns": {"rename": {"note": "remark"}}}]}]


def test_many_to_one_table(make_pair, sluice):
    left, right, running = two_into_one(make_pair, sluice, 0, {"objects": merged()}, {"objects": merged()})
    everything = "SELECT {}, id, customer, {}, twice FROM {}"

    def both():
        return sorted(rows(left.source, everything.format("'left'", "note", "item"))
                      + rows(right.source, everything.format("'right'", "note", "item")))

    def found():
        if not left.destination.sql("SELECT 1 FROM pg_tables WHERE tablename = 'items'"):
            return None
        return rows(left.destination, everything.format("origin", "remark", '"all".items'))

    caught_up(running, lambda: found() == both())
    key = left.destination.value("""SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'p'
        AND conrelid = '"all".items'::regclass""")
    assert key == "PRIMARY KEY (id, origin)"
    keys = left.destination.sql("""SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f'
        AND conparentid = 0 ORDER BY conrelid::regclass::text""")
    assert keys == [('FOREIGN KEY (customer, origin) REFERENCES "all".customers_left(id, origin)',),
                    ('FOREIGN KEY (customer, origin) REFERENCES "all".customers_right(id, origin)',)]
    # one source's TRUNCATE is its rows' only
    left.source.sql("TRUNCATE item")
    caught_up(running, lambda: found() == both())
    assert left.destination.value("""SELECT count(*) FROM "all".items WHERE origin = 'right'""") > 1000
    left.source.sql("INSERT INTO item VALUES (1, 1, 'again')")
    right.source.sql("UPDATE item SET note = 'same' WHERE id = 1")
    caught_up(running, lambda: found() == both())
    for task in running:
        task.interrupt()


def test_two_tables_of_one_source_in_one(pair, sluice):
    pair.source.script("""CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, x text);
        CREATE TABLE b.t (id bigint PRIMARY KEY, x text); INSERT INTO a.t (x) SELECT 'a' || i FROM generate_series(1, 100) i;
        INSERT INTO b.t SELECT i, 'b' || i FROM generate_series(1, 100) i;""")

    def entry(schema, **more):
        return {"schema": schema, "tables": [{"table": "t", "merge": {"into": '"All.".t', "source_column": "Q q", **more}}]}

    assert "would both be All..t_test" in sluice(pair, objects=[entry("a"), entry("b")]).run(code=USAGE).text
    task = sluice(pair, conflict="proceed", objects=[entry("a", source_value="A's"), entry("b", source_value="B")])
    task.sync()
    pair.source.script("UPDATE a.t SET x = 'n' WHERE id < 5; UPDATE b.t SET id = id + 1000 WHERE id < 5; DELETE FROM a.t WHERE id = 9;")
    task.sync()
    assert rows(pair.destination, 'SELECT "Q q", id, x FROM "All.".t') == sorted(
        rows(pair.source, "SELECT 'A''s', id, x FROM a.t") + rows(pair.source, "SELECT 'B', id, x FROM b.t"))


def test_merge_into_what_cannot_be(pair, sluice):
    pair.source.sql("CREATE TABLE t (id int PRIMARY KEY, origin text); CREATE TABLE k (id int)")
    pair.destination.sql("CREATE TABLE plain (id int, src text)")

    def spec(table, into, column):
        return [{"schema": "public", "tables": [{"table": table, "merge": {"into": into, "source_column": column}}]}]

    assert "it has a column of the source column's name" in sluice(pair, objects=spec("t", "x", "origin")).run(code=USAGE).text
    assert "not told apart by a primary key" in sluice(pair, objects=spec("k", "x", "src")).run(code=USAGE).text
    assert "public.plain is in the destination and is no partitioned table" in sluice(
        pair, objects=spec("t", "plain", "src")).run(code=PRECHECK).text


def test_cascade_of_three(make_pair, sluice):
    """A row that one task applied is passed on by the next, whose server is that one's destination."""
    first, second = make_pair(), make_pair()
    third = make_pair()
    first.source.script(ITEMS)
    fill(first.source, "a", 5000)
    chain = [first.source, first.destination, second.destination, third.source]
    tasks = [sluice(first, name=f"hop{i}", source=chain[i], destination=chain[i + 1]) for i in range(3)]
    running = []
    for i, task in enumerate(tasks):
        running.append(task.background())
        caught_up(running, lambda to=chain[i + 1]: to.sql("SELECT 1 FROM pg_tables WHERE tablename = 'item'")
                  and to.sql("SELECT 1 FROM pg_constraint WHERE conname = 'item_customer_fkey' AND convalidated")
                  and to.value("SELECT count(*) FROM item") == 5000)
    change(first.source, "x")
    running[1].kill9()
    first.source.sql("UPDATE item SET note = 'k' || id WHERE id % 3 = 0; TRUNCATE customer CASCADE;"
                     " INSERT INTO customer VALUES (1, 'one')")
    first.source.sql("INSERT INTO item SELECT i, 1, 'after ' || i FROM generate_series(1, 300) i")
    running[1] = tasks[1].background()
    want = rows(first.source, "SELECT * FROM item")
    caught_up(running, lambda: rows(chain[3], "SELECT * FROM item") == want)
    for task in running:
        task.interrupt()
    for database in chain[1:]:
        result = compare(first.source, database)
        assert result, result
