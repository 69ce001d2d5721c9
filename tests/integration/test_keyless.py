"""Tables without row identity: what each policy carries over, and that the application is never disturbed."""

import pytest

from pgtest.sluice import PRECHECK

ROWS = "SELECT i, t FROM keyless ORDER BY i, t"


@pytest.mark.parametrize("version", [10, 15])
@pytest.mark.parametrize("how", ["insert_only", "operations", "ignored", "full"])
def test_policies(version, how, make_pair, sluice):
    pair = make_pair(version, version)
    pair.source.sql("CREATE TABLE keyless (i int, t text); INSERT INTO keyless VALUES (1, 'a'), (2, 'b')")
    spec = {
        "insert_only": {"keyless": "insert_only"},
        "operations": {"objects": [{"schema": "public", "tables": [
            {"table": "keyless", "operations": ["insert"]}]}]},
        "ignored": {"precheck": {"ignore": ["source.identity@public.keyless"]}},
        "full": {"keyless": "full"},
    }[how]
    task = sluice(pair, **spec)
    task.sync()
    pair.source.sql("INSERT INTO keyless VALUES (3, 'c')")
    pair.source.sql("UPDATE keyless SET t = 'changed' WHERE i = 1")  # must not fail
    pair.source.sql("DELETE FROM keyless WHERE i = 2")
    task.sync()
    pair.source.sql("INSERT INTO keyless VALUES (4, 'd')")
    task.sync()
    expected = pair.source.sql(ROWS) if how == "full" else [(1, "a"), (2, "b"), (3, "c"), (4, "d")]
    assert pair.destination.sql(ROWS) == expected


def test_refused_by_default(pair, sluice):
    pair.source.sql("CREATE TABLE keyless (i int)")
    sluice(pair).run(code=PRECHECK)
    assert pair.source.publications() == []


@pytest.mark.parametrize("version", [13, 15])
def test_partitions_without_identity(version, make_pair, sluice):
    """Under `refuse` where only inserts are asked for; a leaf with a key beside one without."""
    pair = make_pair(version, version)
    pair.source.sql("""
        CREATE TABLE root (i int NOT NULL, t text) PARTITION BY RANGE (i);
        CREATE TABLE low PARTITION OF root FOR VALUES FROM (0) TO (10);
        CREATE TABLE high PARTITION OF root (PRIMARY KEY (i)) FOR VALUES FROM (10) TO (20);
        INSERT INTO root VALUES (1, 'a'), (11, 'a');""")
    task = sluice(pair, objects=[{"schema": "public", "tables": [
        {"table": "root", "operations": ["insert", "truncate"]}, {"table": "high"}]}])
    task.sync()
    pair.source.sql("INSERT INTO root VALUES (2, 'b'), (12, 'b'); UPDATE root SET t = 'changed'")
    task.sync()
    assert pair.destination.sql("SELECT * FROM root ORDER BY 1") == [
        (1, "a"), (2, "b"), (11, "changed"), (12, "changed")]
