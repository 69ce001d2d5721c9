"""Fixtures over pgtest. Servers are started once per version and process, databases once per test.

    pair           a source and a destination on Debian's 15: .source, .destination are Databases
    make_pair      the same on other versions: make_pair(10, 18)
    make_cluster   a server of the test's own: make_cluster(17, settings={"wal_level": "replica"})
    make_proxy     a Proxy before a cluster or database
    service        a running `pgsluice serve` in the test's directory
    browser        a headless Chromium: browser.page(service.url)
    sluice         makes a Sluice with its spec in the test's directory: sluice(pair, objects=[…])

--with 10:18 runs every test that uses `pair` between these versions.
"""

import itertools

import pytest

from pgtest import cluster as clusters
from pgtest import plugin, servers
from pgtest.browser import Browser
from pgtest.cluster import Cluster, Database
from pgtest.proxy import Proxy
from pgtest.service import Service
from pgtest.sluice import Sluice


def pytest_addoption(parser):
    parser.addoption("--with", dest="versions", default="15:15", metavar="SOURCE:DESTINATION",
                     help="PostgreSQL versions of the fixture `pair`")
    parser.addoption("--long", action="store_true", help="also run the tests marked long")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        dropped = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if not item.get_closest_marker("long")]
    # the longest first, so that the other worker does not wait for it at the end
    items.sort(key=lambda item: "torture/" not in item.nodeid)


class Pair:
    """A source and a destination database of the same name."""

    def __init__(self, source, destination):
        self.source = source
        self.destination = destination

    def both(self, statement):
        """Runs a statement in both."""
        self.source.sql(statement)
        self.destination.sql(statement)


class Pool:
    """Started clusters by version and role; databases by number."""

    def __init__(self):
        self._clusters = {}
        self._numbers = itertools.count(1)

    def cluster(self, version, role):
        found = self._clusters.get((version, role))
        if found is None:
            old = version in servers.OLD_VERSIONS and role == "source"  # they have nothing else
            settings = plugin.settings(version=version) if old else None
            found = self._clusters[(version, role)] = Cluster(version, settings=settings)
        if not found.running():  # a test may have killed it
            found.start()
        return found

    def pair(self, source_version, destination_version):
        name = f"test_{next(self._numbers)}"
        return Pair(self.cluster(source_version, "source").create_database(name),
                    self.cluster(destination_version, "destination").create_database(name))

    def close(self):
        for cluster in self._clusters.values():
            cluster.remove()


@pytest.fixture(scope="session")
def pool():
    clusters.sweep()
    made = Pool()
    yield made
    made.close()


@pytest.fixture
def make_pair(pool):
    made = []

    def make(source=15, destination=None):
        made.append(pool.pair(source, destination or source))
        return made[-1]

    yield make
    for pair in made:
        for database in (pair.source, pair.destination):
            if database.cluster.running():
                database.drop()


@pytest.fixture
def pair(make_pair, pytestconfig):
    return make_pair(*map(servers.parse_version, pytestconfig.getoption("versions").split(":")))


@pytest.fixture
def make_cluster():
    made = []

    def make(version=15, start=True, **options):
        made.append(Cluster(version, **options))
        return made[-1].start() if start else made[-1]

    yield make
    for cluster in made:
        cluster.remove()


@pytest.fixture
def make_proxy():
    made = []

    def make(target):
        port = (target.cluster if isinstance(target, Database) else target).port
        made.append(Proxy(port))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


@pytest.fixture
def sluice(tmp_path, make_pair):  # make_pair first: processes end before databases are dropped
    made = []

    def make(pair=None, source=None, destination=None, **spec):
        spec.setdefault("name", f"test{len(made) or ''}")
        made.append(Sluice(tmp_path, source or pair.source, destination or pair.destination, **spec))
        return made[-1]

    yield make
    for task in made:
        task.kill_all()


@pytest.fixture
def make_service(tmp_path, make_pair):  # make_pair first: processes end before databases are dropped
    made = []

    def make(*options, **more):
        made.append(Service(tmp_path, *options, **more))
        return made[-1].start()

    yield make
    for one in made:
        one.close()


@pytest.fixture
def service(make_service):
    return make_service()


@pytest.fixture(scope="session")
def browser():
    made = Browser()
    yield made
    made.close()
