"""A large table's copy goes on after a restart: what is copied stays, whatever happens to the rows meanwhile."""

import random
import threading
import time

import psycopg
import pytest

from pgtest import compare
from pgtest.proxy import DOWN
from pgtest.sluice import endpoint

ROWS = 20_000
KEYS = {
    "int": ("id bigint PRIMARY KEY", "g * 10"),
    "negative": ("id int PRIMARY KEY", "g - 10000"),
    "uuid": ("id uuid PRIMARY KEY", "md5(g::text)::uuid"),
    "composite": ("id int, second text, PRIMARY KEY (id, second)", "g / 3, 's' || g"),
}
# A type without a proven binary form makes the stream text.
FORMS = {"binary": "", "text": ", p point DEFAULT '(1,2)'"}


def large(database, key="int", form="binary", more=""):
    columns, value = KEYS[key]
    database.script(f"""
CREATE TABLE large ({columns}, n int NOT NULL DEFAULT 0, mark int UNIQUE, v text NOT NULL, long text{FORMS[form]});
ALTER TABLE large ALTER long SET STORAGE EXTERNAL;
INSERT INTO large SELECT {value}, 0, g, repeat('v', 60), CASE WHEN g % 500 = 0 THEN repeat('L', 9000) END
  FROM generate_series(1, {ROWS}) g;
{more}; ANALYZE""")


class Moves(threading.Thread):
    """Rows change, come, go, move between the ranges, and exchange their unique marks."""

    def __init__(self, database, key, seed, full=False):
        super().__init__(daemon=True)
        self.connection = database.connect(autocommit=False)
        self.random = random.Random(seed)
        self.key = key
        self.full = full
        self.n = 0
        self.ended = threading.Event()

    def _key(self):
        pick = self.random.randrange
        if self.key == "uuid":
            return f"md5('{pick(10 ** 9)}')::uuid"
        return str({"int": pick(10 * ROWS), "negative": pick(-10000, 10000), "composite": pick(ROWS // 3)}[self.key])

    def _some(self, n):
        return f"ctid = ANY (ARRAY(SELECT ctid FROM large TABLESAMPLE SYSTEM (5) ORDER BY random() LIMIT {n}))"

    def _statement(self):
        short = "" if self.full else " AND long IS NULL"
        new = self.random.randrange(10 ** 6, 10 ** 9)
        columns = "id, second" if self.key == "composite" else "id"
        values = self._key() + (", 'new'" if self.key == "composite" else "")
        return self.random.choice((
            f"UPDATE large SET n = n + 1 WHERE {self._some(20)}",
            f"UPDATE large SET v = md5(v) WHERE {self._some(5)}",
            f"UPDATE large SET id = {self._key()} WHERE {self._some(1)}{short}",
            f"UPDATE large SET id = {self._key()}, n = -1 WHERE {self._some(1)}{short}",
            f"DELETE FROM large WHERE {self._some(3)}",
            f"INSERT INTO large ({columns}, mark, v) VALUES ({values}, {new}, 'new')",
            "WITH a AS (SELECT id, mark FROM large TABLESAMPLE SYSTEM (5) LIMIT 1) "
            "UPDATE large SET mark = NULL FROM a WHERE large.mark = a.mark",
            f"UPDATE large SET mark = {self.random.randrange(ROWS)} WHERE {self._some(1)}",
        ))

    def run(self):
        while not self.ended.is_set():
            try:
                for _ in range(self.random.randrange(1, 5)):
                    self.connection.execute(self._statement())
                self.connection.commit()
                self.n += 1
            except psycopg.errors.UniqueViolation:
                self.connection.rollback()
            time.sleep(0.002)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()
        self.connection.close()


def parts(database):
    """What is copied: part → when it began."""
    try:
        return dict(database.sql("SELECT part, started_at FROM pgsluice.part WHERE table_name = 'large'"))
    except psycopg.Error:
        return {}


def interrupted(pair, task, proxy, kills, meanwhile=lambda number: None):
    """Kills the copy again and again when a few more parts are done; returns what was copied first."""
    first = {}
    for number in range(kills):
        before = len(parts(pair.destination))
        proxy.throttle(400_000, DOWN)
        running = task.background()
        running.wait_until(lambda: len(parts(pair.destination)) >= before + 3, what="three more parts")
        running.kill9()
        time.sleep(0.3)  # the server ends the dead one's transactions
        first = first or parts(pair.destination)
        meanwhile(number)
    proxy.throttle(None)
    return first


def through(pair, sluice, make_proxy, **more):
    proxy = make_proxy(pair.source)
    return proxy, sluice(pair, source=endpoint(pair.source, port=proxy.port), workers=2,
                         environment={"PGSLUICE_PART_BYTES": "200000"}, **more)


def copying(finished):
    return [e for e in finished.events() if e["event"] == "table.copying" and e["table"] == "public.large"]


def structure(database):
    return database.sql("SELECT indexdef FROM pg_indexes WHERE tablename = 'large' UNION ALL "
                        "SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint "
                        "WHERE conrelid = 'large'::regclass AND contype <> 'n' ORDER BY 1")


@pytest.mark.parametrize("key, form, identity", [
    ("int", "binary", "DEFAULT"), ("negative", "text", "DEFAULT"), ("uuid", "binary", "FULL"),
    ("uuid", "text", "DEFAULT"), ("composite", "binary", "DEFAULT"), ("int", "text", "FULL")])
def test_finished_ranges_stay(key, form, identity, pair, sluice, make_proxy):
    large(pair.source, key, form, f"ALTER TABLE large REPLICA IDENTITY {identity}")
    proxy, task = through(pair, sluice, make_proxy)
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    kills = 2 if key == "uuid" else 3  # a heap that is not in its key's order has few ranges
    with Moves(pair.source, key, seed, identity == "FULL") as moves:
        first = interrupted(pair, task, proxy, kills)
        finished = task.sync(240)
    assert moves.n > 50
    now = parts(pair.destination)
    assert len(first) >= 3 and {part: now[part] for part in first} == first
    assert copying(finished)[0]["parts_kept"] >= 6
    assert pair.destination.value("SELECT count(DISTINCT snapshot_lsn) FROM pgsluice.part") > kills
    task.sync()
    compare.assert_equal(pair.source, pair.destination)
    assert structure(pair.source) == structure(pair.destination)
    assert pair.destination.value("SELECT count(*) FROM pgsluice.tables WHERE ranges IS NOT NULL") == 0


@pytest.mark.parametrize("source, destination", [(10, 18), (18, 10)])
def test_on_other_versions(source, destination, make_pair, sluice, make_proxy):
    pair = make_pair(source, destination)
    large(pair.source)
    proxy, task = through(pair, sluice, make_proxy)
    with Moves(pair.source, "int", 1):
        first = interrupted(pair, task, proxy, 2)
    task.sync()
    assert {part: at for part, at in parts(pair.destination).items() if part in first} == first
    compare.assert_equal(pair.source, pair.destination)


def test_a_retry_keeps_them_too(pair, sluice, make_proxy):
    """A lost connection, not a lost worker."""
    large(pair.source)
    proxy, task = through(pair, sluice, make_proxy)
    proxy.throttle(400_000, DOWN)
    running = task.background()
    running.wait_until(lambda: len(parts(pair.destination)) >= 3, what="three parts")
    first = parts(pair.destination)
    pair.source.sql("UPDATE large SET id = 1000000 + id WHERE id % 1000 = 0 AND long IS NULL")
    proxy.cut()
    proxy.throttle(None)
    running.wait_event(lambda e: e["event"] == "table.copying" and e.get("parts_kept", 0) >= 3)
    running.wait_event(lambda e: e["event"] == "table.state" and e["state"] == "synchronizing")
    running.interrupt()
    assert {part: at for part, at in parts(pair.destination).items() if part in first} == first
    compare.assert_equal(pair.source, pair.destination)


@pytest.mark.parametrize("rewrite", ["VACUUM FULL large", "TRUNCATE large",
                                     "ALTER TABLE large ALTER n TYPE int USING n + 7"])
def test_a_rewritten_table_starts_anew(rewrite, pair, sluice, make_proxy):
    """Its ranges are of a heap that is no more; no event tells what the rewrite did to the rows."""
    large(pair.source)
    proxy, task = through(pair, sluice, make_proxy)
    first = interrupted(pair, task, proxy, 1)
    pair.source.sql(rewrite)
    pair.source.sql("INSERT INTO large (id, v) VALUES (5, 'new')")
    finished = task.sync()
    assert copying(finished)[0]["parts_kept"] == 0
    assert not set(first.items()) & set(parts(pair.destination).items())
    compare.assert_equal(pair.source, pair.destination)


def test_killed_with_nothing_left_but_the_end(pair, sluice, make_proxy):
    """All ranges are there, the table's state is not."""
    large(pair.source)
    proxy, task = through(pair, sluice, make_proxy)
    interrupted(pair, task, proxy, 1)
    task.sync()
    # as it was before the state was stored; the stream's position may be later
    pair.destination.sql("UPDATE pgsluice.tables SET state = 'copying', ranges = (SELECT json_build_object("
                         "'column', 'id', 'type', 'integer', 'filenode', %s, 'bounds', (SELECT json_agg("
                         "(200000 * g / (m + 1))::text ORDER BY g) FROM generate_series(1, m) g))"
                         " FROM (SELECT max(part) AS m FROM pgsluice.part) p)",
                         [pair.source.value("SELECT pg_relation_filenode('large')")])
    finished = task.sync()
    assert not copying(finished)
    compare.assert_equal(pair.source, pair.destination)


def test_a_moved_row_with_an_unsent_value(pair, sluice, make_proxy):
    """A row moves into a range whose copy is older, and its TOASTed value is not sent: the table comes anew."""
    large(pair.source)
    proxy, task = through(pair, sluice, make_proxy)
    interrupted(pair, task, proxy, 1, lambda number: pair.source.sql(
        "UPDATE large SET id = -id WHERE id = (SELECT max(id) FROM large WHERE long IS NOT NULL)"))
    running = task.background()
    running.wait_event(lambda e: e["event"] == "resync.done", timeout=90)
    running.interrupt()
    task.sync()
    compare.assert_equal(pair.source, pair.destination)


def test_state_of_an_older_version(pair, sluice):
    """A state schema without these columns gets them."""
    large(pair.source)
    task = sluice(pair)
    task.sync()
    pair.destination.script("DROP TABLE pgsluice.conflict; ALTER TABLE pgsluice.part DROP snapshot_lsn; "
                            "ALTER TABLE pgsluice.tables DROP ranges, DROP condition, DROP source_oid; DROP TABLE pgsluice.meter;"
                            "ALTER TABLE pgsluice.checkpoint DROP row_count, DROP byte_count;"
                            "UPDATE pgsluice.version SET version = 1")
    pair.source.sql("UPDATE large SET n = 1 WHERE id % 7 = 0")
    task.sync()
    assert pair.destination.value("SELECT version FROM pgsluice.version") == 5
    assert pair.destination.value("SELECT source_oid FROM pgsluice.tables") == pair.source.value("SELECT 'large'::regclass::oid")
    compare.assert_equal(pair.source, pair.destination)
