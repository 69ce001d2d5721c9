"""Bars that a test can hold: memory and own CPU. Speed against others is measured by bench/."""

import resource

import pytest

from pgtest import compare
from pgtest.workload import Pgbench

pytestmark = pytest.mark.timing
MEMORY = 150 * 2**20


def peak_while_running(running):
    """Highest resident memory, read until the process ends."""
    peak = 0
    while running.running():
        try:
            peak = max(peak, running.peak_memory())
        except OSError:
            break
    return peak


def apply_one_transaction(pair, sluice, statements):
    pair.source.script("CREATE TABLE huge (id bigint PRIMARY KEY, payload text);"
                       "ALTER TABLE huge ALTER payload SET STORAGE EXTERNAL;"
                       "INSERT INTO huge SELECT -g, 'old' FROM generate_series(1, 1000) g")
    task = sluice(pair)
    task.sync()
    pair.source.script("BEGIN;" + statements + "COMMIT;")
    running = task.background("--until-caught-up")
    peak = peak_while_running(running)
    assert running.wait(600).code == 0, running.describe()
    compare.assert_equal(pair.source, pair.destination)
    assert 2**20 < peak < MEMORY, f"{peak / 2**20:.0f} MiB"


@pytest.mark.parametrize("statements", [
    "INSERT INTO huge SELECT g, repeat(md5(g::text), 30) FROM generate_series(1, 400000) g;",
    "INSERT INTO huge SELECT g, repeat(md5(g::text), 320000) FROM generate_series(1, 20) g;",
    "INSERT INTO huge SELECT g, 'x' FROM generate_series(1, 300000) g;"
    "UPDATE huge SET payload = repeat(md5(id::text), 20); DELETE FROM huge WHERE id % 3 = 0;",
], ids=["many rows", "large rows", "mixed"])
def test_memory_in_a_large_transaction(pair, sluice, statements):
    apply_one_transaction(pair, sluice, statements)


@pytest.mark.long
def test_memory_in_a_2_gb_transaction(pair, sluice):
    apply_one_transaction(
        pair, sluice,
        "INSERT INTO huge SELECT g, repeat(md5(g::text), 30) FROM generate_series(1, 2000000) g;")


def test_own_cpu_in_the_copy(pair, sluice):
    """The relay moves whole blocks: at most a tenth of what the servers need."""
    Pgbench.initialize(pair.source, 20)
    clusters = (pair.source.cluster, pair.destination.cluster)
    task = sluice(pair, stages=["schema", "full"], keyless="insert_only")
    servers_before = sum(cluster.cpu_seconds() for cluster in clusters)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    task.run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    servers = sum(cluster.cpu_seconds() for cluster in clusters) - servers_before
    own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert servers > 0.5
    assert own <= servers * 0.10, f"own {own:.2f} s, servers {servers:.2f} s"
    compare.assert_equal(pair.source, pair.destination)
