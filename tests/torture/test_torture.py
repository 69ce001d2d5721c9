"""The torture test's short runs: one seed that is always the same; with --long one that never is."""

import random

import pytest

from torture.torture import Run, arguments

FIXED = 20261


def run(*words):
    assert Run(arguments(list(words))).go()


# A seed that nobody has seen may find something new: that is for --all, not for somebody's first ./test.sh.
@pytest.mark.parametrize("seed", [FIXED, pytest.param(None, marks=pytest.mark.long)],
                         ids=["fixed", "random"])
def test_three_minutes(seed):
    run("--minutes", "3", "--faults", "12", "--seed", str(random.randrange(1 << 30) if seed is None else seed))


@pytest.mark.long
@pytest.mark.parametrize("source, destination", [(10, 18), (18, 18)])
def test_other_versions(source, destination):
    run("--minutes", "4", "--faults", "16", "--src-version", str(source), "--dst-version", str(destination),
        "--seed", str(random.randrange(1 << 30)))


@pytest.mark.long
def test_our_plugin():
    run("--minutes", "3", "--faults", "12", "--decoder", "pgsluice", "--seed", str(FIXED))


@pytest.mark.long
def test_an_hour():
    """At least 200 faults, at least 20 of them inside a table in several parts under load."""
    go = Run(arguments(["--minutes", "60", "--faults", "230", "--seed", str(random.randrange(1 << 30))]))
    assert go.go()
    assert go.count["faults"] >= 200 and go.count["of these with several parts"] >= 20
