"""Tables that were in the destination before: docs/conflicts.md."""

import os
import re

import yaml

from pgtest import REPOSITORY
from pgtest.sluice import PRECHECK


def test_the_document(pair, sluice):
    """The example does what the document says: report refuses; proceed keeps in the copy, overwrites in the stream."""
    with open(os.path.join(REPOSITORY, "docs", "conflicts.md"), encoding="utf-8") as handle:
        [example] = re.findall(r"```yaml\n(.*?)```", handle.read(), re.S)
    pair.source.script("""
        CREATE TABLE customers (id int PRIMARY KEY, name text, vip bool); CREATE TABLE orders (id int PRIMARY KEY, n int);
        INSERT INTO customers VALUES (1, 'source', true), (2, 'source', true), (3, 'source', true);
        INSERT INTO orders VALUES (1, 1);""")
    pair.destination.script("""
        CREATE TABLE customers (id bigint PRIMARY KEY, name text, mine text DEFAULT 'own');
        INSERT INTO customers VALUES (1, 'here', 'kept'), (9, 'here', 'kept');""")
    spec = yaml.safe_load(example)
    assert "public.customers" in sluice(pair, objects=spec["objects"]).run(code=PRECHECK).text
    task = sluice(pair, **spec)
    check = task.call("check").text
    assert "vip" in check and "is not synchronized" in check
    task.sync()
    query = "SELECT id, name, mine FROM customers ORDER BY id"
    assert pair.destination.sql(query) == [
        (1, "here", "kept"), (2, "source", "own"), (3, "source", "own"), (9, "here", "kept")]
    pair.source.sql("UPDATE customers SET name = 'new' WHERE id IN (1, 2); INSERT INTO customers VALUES (9, 'new');"
                    "DELETE FROM customers WHERE id = 3; INSERT INTO orders VALUES (2, 2)")
    pair.destination.sql("DELETE FROM customers WHERE id IN (2, 3)")
    task.sync()
    assert pair.destination.sql(query) == [(1, "new", "kept"), (2, "new", "own"), (9, "new", "kept")]
    assert pair.destination.sql("SELECT * FROM orders ORDER BY 1") == [(1, 1), (2, 2)]
    assert "customers" in task.call("status").text
