"""Objects of a running task: added with a copy of their own while the others flow, and removed."""

import threading
import time

from pgtest import compare


def wait_for_table(service, task, table, state="synchronizing", timeout=60):
    deadline = time.monotonic() + timeout
    while True:
        rows = {row["table"]: row for row in service.get(f"/tasks/{task}/tables")["items"]}
        if table in rows and rows[table]["state"] == state:
            return
        assert time.monotonic() < deadline, (rows, service.log(task))
        time.sleep(0.1)


class Writer(threading.Thread):
    """Writes to both tables all the time; knows the longest time a row of items took to arrive."""

    def __init__(self, pair):
        super().__init__(daemon=True)
        self.pair = pair
        self.ended = threading.Event()
        self.longest = 0
        self.number = 10_000_000

    def run(self):
        with self.pair.source.connect() as source, self.pair.destination.connect() as destination:
            while not self.ended.is_set():
                self.number += 1
                source.execute("INSERT INTO items VALUES (%s, 'new')", [self.number])
                source.execute("UPDATE big SET name = 'changed' WHERE id = %s", [self.number % 200_000])
                self.wait(destination)

    def wait(self, destination):
        started = time.monotonic()
        while not destination.execute("SELECT 1 FROM items WHERE id = %s", [self.number]).fetchone():
            time.sleep(0.01)
            if time.monotonic() - started > 60:
                break
        self.longest = max(self.longest, time.monotonic() - started)

    def stop(self):
        self.ended.set()
        self.join()


def test_added_while_the_others_flow(pair, service):
    pair.source.script("CREATE TABLE items (id int PRIMARY KEY, name text); CREATE TABLE big (id int PRIMARY KEY,"
                       " name text); CREATE INDEX big_name ON big (name); INSERT INTO big SELECT g, repeat('x', 100)"
                       " FROM generate_series(1, 200000) g; CREATE TABLE never (id int PRIMARY KEY)")
    task = service.run(pair, objects=[{"schema": "public", "tables": [{"table": "items"}]}])
    wait_for_table(service, task, "public.items")
    writer = Writer(pair)
    writer.start()
    try:
        time.sleep(1)
        service.call("PATCH", f"/tasks/{task}/objects",
                     {"add": [{"schema": "public", "tables": [{"table": "big"}]}]}, status=202)
        wait_for_table(service, task, "public.big")
        time.sleep(1)
    finally:
        writer.stop()
    assert writer.longest < 15, "items waited for the copy of big"
    flowing = service.wait(task, "synchronizing")
    assert flowing["worker"]["restarts"] == 0
    events = [event["event"] for event in service.get(f"/tasks/{task}/events?limit=1000")["items"]]
    assert "table.added" in events and "resync.done" in events
    deadline = time.monotonic() + 30
    while not compare.compare(pair.source, pair.destination, tables=[("public", "items"), ("public", "big")]):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = 'big'"
    assert pair.destination.value(indexes) == pair.source.value(indexes) == 2
    assert pair.destination.value("SELECT to_regclass('never')") is None


def test_removed(pair, service):
    pair.source.script("CREATE TABLE items (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)")
    task = service.run(pair)
    wait_for_table(service, task, "public.other")
    pid = service.get(f"/tasks/{task}")["worker"]["pid"]
    service.call("PATCH", f"/tasks/{task}/objects", {"remove": ["public.other"]}, status=202)
    deadline = time.monotonic() + 30
    while (service.get(f"/tasks/{task}")["worker"] or {"pid": pid})["pid"] == pid:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    service.wait(task, "synchronizing")
    pair.source.script("INSERT INTO other VALUES (1); INSERT INTO items VALUES (1)")
    while pair.destination.value("SELECT count(*) FROM items") == 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert pair.destination.value("SELECT count(*) FROM other") == 0
    wait_for_table(service, task, "public.items")
    assert [row["table"] for row in service.get(f"/tasks/{task}/tables")["items"]] == ["public.items"]


def test_what_would_not_work_changes_nothing(pair, service):
    pair.source.script("CREATE TABLE items (id int PRIMARY KEY); CREATE TABLE log (what text)")
    objects = [{"schema": "public", "tables": [{"table": "items"}]}]
    task = service.create(pair, objects=objects)
    add = {"add": [{"schema": "public", "tables": [{"table": "log"}]}]}
    service.call("PATCH", f"/tasks/{task}/objects", add, status=422)
    service.post(f"/tasks/{task}/check", status=202)
    service.wait(task, "ready")
    service.post(f"/tasks/{task}/start", status=202)
    worker = service.wait(task, "synchronizing")["worker"]
    refused = service.call("PATCH", f"/tasks/{task}/objects", add, status=422).json
    assert "public.log" in refused["detail"] and refused["hint"]
    for wrong in ({"remove": ["public.nothing"]}, {"remove": ["else"]}, {}, {"add": [1]}):
        service.call("PATCH", f"/tasks/{task}/objects", wrong, status=422)
    assert service.get(f"/tasks/{task}")["worker"] == worker
    assert service.get(f"/tasks/{task}/spec")["objects"] == objects


def test_a_table_is_set_aside_and_comes_back(pair, service):
    pair.source.script("CREATE TABLE items (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)")
    task = service.run(pair)
    wait_for_table(service, task, "public.items")
    service.call("POST", f"/tasks/{task}/tables/public.nothing/set-aside", status=502)
    service.post(f"/tasks/{task}/tables/public.other/set-aside", status=202)
    wait_for_table(service, task, "public.other", "set_aside")
    pair.source.script("INSERT INTO other VALUES (1); INSERT INTO items VALUES (1)")
    wait_for_rows(pair, "items", 1)
    assert pair.destination.value("SELECT count(*) FROM other") == 0
    again = service.call("POST", f"/tasks/{task}/tables/public.other/set-aside", status=502).json
    assert "only one that is synchronizing" in again["hint"] and f"pgsluice task tables {task}" in again["hint"]
    service.post(f"/tasks/{task}/pause", status=202)
    service.wait(task, "paused")
    service.post(f"/tasks/{task}/tables/public.items/set-aside", status=202)
    service.post(f"/tasks/{task}/resume", status=202)
    wait_for_table(service, task, "public.items", "set_aside")
    pair.source.script("INSERT INTO other VALUES (2); INSERT INTO items VALUES (2)")
    for table in ("other", "items"):
        service.post(f"/tasks/{task}/tables/public.{table}/resync", status=202)
        wait_for_table(service, task, f"public.{table}")
        wait_for_rows(pair, table, 2)


def wait_for_rows(pair, table, rows):
    deadline = time.monotonic() + 30
    while pair.destination.value(f"SELECT count(*) FROM {table}") != rows:
        assert time.monotonic() < deadline
        time.sleep(0.1)
