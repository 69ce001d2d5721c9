"""A role with nothing, on both sides: `check` says what is missing, one carries it out, and the task runs.

This is the promise of a precheck: what it asks for is enough, and no superuser is needed.
"""

import pytest

from pgtest import compare
from pgtest.sluice import DONE, PRECHECK, endpoint


def findings(task):
    """The failed findings of `pgsluice check`."""
    finished = task.call("check", "--json", code=None)
    assert finished.code in (DONE, PRECHECK), finished
    return [e for e in finished.events() if e.get("result") == "failed" and not e.get("ignored")]


def carry_out(pair, task, rounds=5):
    """Does what `check` asks for, as a superuser, until it asks for nothing. Returns the checks' names."""
    done = []
    for _ in range(rounds):
        failed = findings(task)
        if not failed:
            return done
        for finding in failed:
            database = pair.source if finding["side"] == "source" else pair.destination
            database.script(finding["remedy"])
            done.append(finding["check"])
            if "publication: " in finding["remedy"]:
                task.spec["publication"] = finding["remedy"].split("publication: ")[1].strip()
                task.write()
    raise AssertionError(f"still failing: {findings(task)}")


def fill(database):
    database.script("""
        CREATE SCHEMA sales;
        CREATE TYPE sales.state AS ENUM ('new', 'paid');
        CREATE TABLE sales.customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
        CREATE TABLE sales.orders (id serial PRIMARY KEY, state sales.state DEFAULT 'new',
            customer int NOT NULL REFERENCES sales.customers ON DELETE CASCADE);
        CREATE TABLE sales.log (at timestamptz DEFAULT now(), what text);
        INSERT INTO sales.customers (name) SELECT 'c' || g FROM generate_series(1, 200) g;
        INSERT INTO sales.orders (customer) SELECT 1 + g % 200 FROM generate_series(1, 1000) g;
        INSERT INTO sales.log (what) SELECT 'w' || g FROM generate_series(1, 100) g;""")


def change(database):
    database.script("""
        UPDATE sales.orders SET state = 'paid' WHERE id % 3 = 0;
        DELETE FROM sales.customers WHERE id % 10 = 0;
        INSERT INTO sales.customers (name) VALUES ('late');
        INSERT INTO sales.orders (customer) SELECT max(id) FROM sales.customers;
        INSERT INTO sales.log (what) VALUES ('late');
        UPDATE sales.log SET what = 'changed' WHERE what = 'w7';""")


@pytest.mark.parametrize("version", [10, 15, 18])
def test_nothing_but_a_login(version, make_pair, sluice):
    pair = make_pair(version, version)
    fill(pair.source)
    reader, owner = f"reader of {pair.source.name}", f"owner of {pair.destination.name}"
    pair.source.sql(f'CREATE ROLE "{reader}" LOGIN')
    pair.destination.sql(f'CREATE ROLE "{owner}" LOGIN')
    task = sluice(pair, source=endpoint(pair.source, user=reader),
                  destination=endpoint(pair.destination, user=owner), objects=[{"schema": "sales"}])
    done = carry_out(pair, task)
    assert {"source.replication", "source.select", "source.sequences", "source.publication",
            "source.identity", "destination.state_schema", "destination.schemas"} <= set(done)
    task.sync()
    compare.assert_equal(pair.source, pair.destination)
    change(pair.source)
    task.sync()
    compare.assert_equal(pair.source, pair.destination)
    assert pair.destination.value("SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = %s",
                                  [owner]) is False
    assert pair.source.value("SELECT rolsuper FROM pg_roles WHERE rolname = %s", [reader]) is False


def test_schemas_that_the_owner_made(pair, sluice):
    """No CREATE on the destination database: its schemas are there, and ours to create in."""
    fill(pair.source)
    owner = f"owner of {pair.destination.name}"
    pair.destination.script(f'CREATE ROLE "{owner}" LOGIN; CREATE SCHEMA pgsluice AUTHORIZATION "{owner}";'
                            f'CREATE SCHEMA sales; GRANT USAGE, CREATE ON SCHEMA sales TO "{owner}";')
    task = sluice(pair, destination=endpoint(pair.destination, user=owner),
                  objects=[{"schema": "sales"}], keyless="full")
    assert findings(task) == []
    task.sync()
    change(pair.source)
    task.sync()
    compare.assert_equal(pair.source, pair.destination)


def test_check_beside_a_running_task(pair, sluice):
    """`check` neither disturbs a running task nor finds its work in the way; another task is warned."""
    fill(pair.source)
    task = sluice(pair, objects=[{"schema": "sales"}], keyless="insert_only")
    running = task.background()
    running.wait_until(lambda: "sales" in pair.destination.schemas() and pair.destination.sql(
        "SELECT 1 FROM pgsluice.checkpoint"), what="the stream")
    assert findings(task) == []
    other = sluice(pair, objects=[{"schema": "sales"}], keyless="insert_only", conflict="proceed")
    finished = other.call("check", "--json")
    assert "destination.other_tasks" in {
        e["check"] for e in finished.events() if e["result"] == "warning"}
    assert running.interrupt().code == DONE
    assert findings(task) == []  # and not after it either
