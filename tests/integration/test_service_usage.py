"""Classes, metering and billing of the service on real servers."""

import csv
import datetime
import io
import json
import os
import random
import signal
import struct
import subprocess
import time

import pytest

from pgtest import compare
from pgtest.sluice import executable


def wait_until(condition, what, timeout=30):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not in {timeout} s"
        time.sleep(0.1)


def same(pair):
    def arrived():
        content = "SELECT count(*) || ' ' || sum(hashtext(id || coalesce(name, ''))) FROM items"
        return pair.source.value(content) == pair.destination.value(content)
    return arrived


def fill(database, rows=1000):
    database.script(f"CREATE TABLE items (id int PRIMARY KEY, name text);"
                    f"INSERT INTO items SELECT g, 'item ' || g FROM generate_series(1, {rows}) g;")


@pytest.fixture
def clock(make_service, tmp_path):
    """A service whose clock the test sets: clock(seconds)."""
    path = str(tmp_path / "clock")
    with open(path, "wb") as handle:
        handle.write(struct.pack("=q", 0))
    os.environ["PGSLUICE_TEST_CLOCK"] = path

    def set_to(seconds):
        with open(path, "r+b") as handle:
            handle.write(struct.pack("=q", int(seconds * 1e6)))
    yield set_to
    del os.environ["PGSLUICE_TEST_CLOCK"]


def usage(service, task, query=""):
    return [row for row in service.get(f"/usage?from=2026-01-01&to=2030-12-31{query}")["items"] if row["task"] == task]


def total(service, task, key):
    return sum(row[key] for row in usage(service, task))


# -- classes --


def rate_over(count, seconds):
    """Rows per second, by a count that is taken at both ends."""
    before, started = count(), time.monotonic()
    time.sleep(seconds)
    return (count() - before) / (time.monotonic() - started)


SECONDS = int(os.environ.get("PGSLUICE_CLASS_SECONDS", "12"))


def test_classes_are_those_of_the_document(service):
    classes = {row["name"]: row["rows_per_second"] for row in service.get("/classes")["items"]}
    assert classes == {"micro": 200, "small": 2000, "medium": 5000, "large": 11000, "xlarge": 17000, "2xlarge": 34000,
                       "4xlarge": 68000, "unlimited": None}


def test_class_in_the_copy(pair, service):
    """small holds 2,000 rows/s within 10 %; medium does from the moment it is chosen; unlimited ends it."""
    fill(pair.source, 2000 * SECONDS * 3 + 60000)
    task = service.create(pair, **{"class": "small"})
    service.post(f"/tasks/{task}/check", status=202)
    service.wait(task, "ready")
    service.post(f"/tasks/{task}/start", status=202)

    def copied():
        return (service.get(f"/tasks/{task}")["progress"] or {}).get("rows_copied", 0)
    wait_until(lambda: copied() > 2000, "rows")
    deviation = 2500 / SECONDS  # progress is told once a second
    assert rate_over(copied, SECONDS) == pytest.approx(2000, abs=max(200, deviation))
    service.call("PUT", f"/tasks/{task}/class", {"class": "medium"}, status=202)
    time.sleep(2)
    assert rate_over(copied, 6) == pytest.approx(5000, abs=1000)
    service.call("PUT", f"/tasks/{task}/class", {"class": "unlimited"}, status=202)
    service.wait(task, "synchronizing", timeout=30)
    compare.assert_equal(pair.source, pair.destination)
    assert service.get(f"/tasks/{task}")["class"] == "unlimited"


def test_class_in_the_stream(pair, service):
    """Many transactions, then one large one."""
    fill(pair.source, 10)
    task = service.run(pair, **{"class": "small"})
    pair.source.script("".join(f"INSERT INTO items SELECT g, 'x' FROM generate_series({k}, {k + 99}) g;"
                               for k in range(100, 2000 * SECONDS + 40000, 100)))

    def applied():
        return pair.destination.value("SELECT count(*) FROM items")
    wait_until(lambda: applied() > 1000, "rows")
    assert rate_over(applied, SECONDS) == pytest.approx(2000, rel=0.1)
    service.call("PUT", f"/tasks/{task}/class", {"class": "large"}, status=202)
    time.sleep(1)
    assert rate_over(applied, 2) == pytest.approx(11000, rel=0.25)
    service.call("PUT", f"/tasks/{task}/class", {"class": "unlimited"}, status=202)
    wait_until(same(pair), "the rest")
    service.call("PUT", f"/tasks/{task}/class", {"class": "medium"}, status=202)
    pair.source.sql("INSERT INTO items SELECT g, 'y' FROM generate_series(1000000, 1019999) g")
    started = time.monotonic()
    wait_until(same(pair), "the large transaction")
    assert 3 < time.monotonic() - started < 6
    assert service.get(f"/tasks/{task}")["worker"]["restarts"] == 0
    service.call("PUT", f"/tasks/{task}/class", {"class": "tiny"}, status=422)


# -- metering --


def test_usage_over_kills(pair, make_pair, service):
    """Rows and bytes after kills of the task's process and of the service: exactly those of a task that was left alone."""
    other = make_pair()
    dice = random.Random(7)
    for one in (pair, other):
        fill(one.source, 20000)
    tasks = [service.run(one, name=f"task {number}") for number, one in enumerate((pair, other))]
    rows = 20000
    for number in range(20):
        for one in (pair, other):
            one.source.sql("INSERT INTO items SELECT g, repeat('x', g %% 50) FROM generate_series(%s, %s) g",
                           [100000 + number * 1000, 100999 + number * 1000])
            one.source.sql("UPDATE items SET name = 'changed' WHERE id <= %s", [100 + number])
            one.source.sql("DELETE FROM items WHERE id = %s", [1000 + number])
        rows += 1000 + 100 + number + 1
        time.sleep(dice.random() / 3)
        if number % 4 == 3:
            service.kill9()
            service.start()
        else:
            worker = service.get(f"/tasks/{tasks[0]}")["worker"]
            if worker:
                try:
                    os.kill(worker["pid"], signal.SIGKILL)
                except ProcessLookupError:
                    pass
        service.wait(tasks[0], "synchronizing", timeout=60)
    for task, one in zip(tasks, (pair, other)):
        service.wait(task, "synchronizing", timeout=60)
        wait_until(same(one), "all changes", 60)
        wait_until(lambda task=task: total(service, task, "rows") >= rows, "the rows", 60)
    time.sleep(2)
    assert [total(service, task, "rows") for task in tasks] == [rows, rows]
    assert total(service, tasks[0], "bytes") == total(service, tasks[1], "bytes") > 20000 * 10
    # released, and begun anew: what was counted stays, and counting begins at nothing
    service.post(f"/tasks/{tasks[0]}/release", status=202)
    service.wait(tasks[0], "released")
    assert total(service, tasks[0], "rows") == rows


def test_copy_killed_counts_once(pair, service):
    fill(pair.source, 30000)
    task = service.create(pair, **{"class": "medium"})
    service.post(f"/tasks/{task}/check", status=202)
    service.wait(task, "ready")
    service.post(f"/tasks/{task}/start", status=202)
    for _ in range(3):
        wait_until(lambda: (service.get(f"/tasks/{task}")["progress"] or {}).get("rows_copied", 0) > 3000, "rows")
        os.kill(service.get(f"/tasks/{task}")["worker"]["pid"], signal.SIGKILL)
        service.wait(task, "retrying", "initializing")
        wait_until(lambda: (service.get(f"/tasks/{task}")["progress"] or {}).get("rows_copied", 0) < 3000, "a new beginning")
    assert total(service, task, "rows") == 0
    service.call("PUT", f"/tasks/{task}/class", {"class": "unlimited"}, status=202)
    service.wait(task, "synchronizing", timeout=60)
    wait_until(lambda: total(service, task, "rows") == 30000, "the rows")
    pair.source.sql("INSERT INTO items SELECT g, 'x' FROM generate_series(100001, 100500) g")
    wait_until(same(pair), "the changes")
    os.kill(service.get(f"/tasks/{task}")["worker"]["pid"], signal.SIGKILL)  # perhaps before it has told
    service.post(f"/tasks/{task}/release", status=202)
    service.wait(task, "released")
    assert total(service, task, "rows") == 30500


def test_older_state_is_upgraded(pair, service):
    """A state schema of version 2, which had no meter, gets one and goes on."""
    fill(pair.source)
    task = service.run(pair)
    wait_until(lambda: total(service, task, "rows") == 1000, "the rows")
    service.post(f"/tasks/{task}/pause", status=202)
    service.wait(task, "paused")
    pair.destination.script("DROP TABLE pgsluice.meter; ALTER TABLE pgsluice.checkpoint DROP COLUMN row_count,"
                            " DROP COLUMN byte_count; ALTER TABLE pgsluice.tables DROP condition, DROP source_oid;"
                            "UPDATE pgsluice.version SET version = 2;")
    pair.source.sql("INSERT INTO items SELECT g, 'x' FROM generate_series(2001, 2100) g")
    service.post(f"/tasks/{task}/resume", status=202)
    service.wait(task, "synchronizing")
    wait_until(same(pair), "the changes")
    assert pair.destination.value("SELECT version FROM pgsluice.version") == 5
    wait_until(lambda: total(service, task, "rows") == 1100, "the rows")


def test_months_and_prices(clock, pair, service):
    """Hours over months and a change of prices, by the test clock."""
    fill(pair.source)
    prices = {"currency": "EUR", "hour": {"unlimited": 2.0}, "month": {"unlimited": 100}, "million_rows": 1000}
    service.call("PUT", "/prices", prices)
    task = service.run(pair)
    wait_until(lambda: total(service, task, "rows") == 1000, "the rows")
    clock(40 * 86400)
    wait_until(lambda: total(service, task, "hours") > 39.9 * 24, "40 days")
    found = usage(service, task)
    assert len(found) in (2, 3) and len({row["month"] for row in found}) == len(found)
    assert sum(row["hours"] for row in found) == pytest.approx(960, abs=0.2)
    assert all(row["retrying_hours"] < 0.1 and row["class"] == "unlimited" for row in found)
    price = sum(row["price"] for row in found)
    assert price == pytest.approx(960 * 2 + 1000 / 1e6 * 1000, abs=1)
    service.call("PUT", "/prices", {**prices, "hour": {"unlimited": 4.0}})
    clock(41 * 86400)
    wait_until(lambda: total(service, task, "hours") > 40.9 * 24, "a day more")
    assert sum(row["price"] for row in usage(service, task)) == pytest.approx(price + 24 * 4, abs=1)
    service.call("PUT", f"/tasks/{task}/class", {"class": "micro"}, status=202)  # has no price
    clock(42 * 86400)
    wait_until(lambda: [row["price"] for row in usage(service, task) if row["class"] == "micro"] == [None], "no price")
    answer = service.call("GET", "/usage?from=2026-01-01&to=2030-12-31", headers={"Accept": "text/csv"})
    lines = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert {line["task"] for line in lines} == {task} and {line["currency"] for line in lines} == {"EUR"}
    assert sum(int(line["rows"]) for line in lines) == 1000
    service.call("PUT", "/prices", {"currency": "euro"}, status=422)
    service.call("PUT", "/prices", {"currency": "EUR", "hour": {"tiny": 1}}, status=422)
    service.call("GET", "/usage?from=yesterday", status=400)


def test_subscription(clock, pair, service):
    """Charged at once, warned of in time, paused at its end, renewed."""
    fill(pair.source)
    service.call("PUT", "/prices", {"currency": "USD", "hour": {"unlimited": 2}, "month": {"unlimited": 100}})
    service.call("PUT", "/terms", {"version": "2026-1", "text": "Be kind."})
    task = service.run(pair)
    assert service.get(f"/tasks/{task}/billing") == {"kind": "pay_as_you_go", "months": None, "ends_at": None,
                                                     "accepted_terms": None}
    billing = {"kind": "subscription", "months": 2}
    service.call("PUT", f"/tasks/{task}/billing", billing, status=422)
    service.call("PUT", f"/tasks/{task}/billing", {**billing, "accepted_terms": "2025"}, status=422)
    service.call("PUT", f"/tasks/{task}/billing", {**billing, "months": 10, "accepted_terms": "2026-1"}, status=422)
    stored = service.call("PUT", f"/tasks/{task}/billing", {**billing, "accepted_terms": "2026-1"}).json
    ends = datetime.datetime.fromisoformat(stored["ends_at"].replace("Z", "+00:00"))
    seconds = (ends - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
    assert 58.9 * 86400 < seconds <= 62.1 * 86400 and stored["accepted_terms"] == "2026-1"
    rows = [row for row in usage(service, task) if row["billing"] == "subscription"]
    assert sum(row["price"] for row in rows) == 200
    time.sleep(2)  # new terms count within a second
    clock(seconds - 3600)
    time.sleep(3)
    assert service.get(f"/tasks/{task}")["state"] in ("synchronizing", "retrying", "initializing")
    clock(seconds + 60)
    paused = service.wait(task, "paused")
    assert "subscription has ended" in paused["reason"]
    refused = service.post(f"/tasks/{task}/resume", status=409)
    assert "subscription" in refused["detail"] and task in refused["hint"]
    rows = [row for row in usage(service, task) if row["billing"] == "subscription"]
    assert sum(row["price"] for row in rows) == 200 and sum(row["hours"] for row in rows) > 1000
    service.call("PUT", f"/tasks/{task}/billing", {"kind": "pay_as_you_go", "accepted_terms": "2026-1"})
    wait_until(lambda: service.call("POST", f"/tasks/{task}/resume", status=None if resumable(service, task) else 409), "resume")
    service.wait(task, "synchronizing")
    actions = [entry["action"] for entry in service.get("/audit")["items"] if entry["object"] == task]
    assert actions.count("put_billing") == 2


def resumable(service, task):
    """The new terms count within a second."""
    time.sleep(2)
    return "resume" in service.get(f"/tasks/{task}")["actions"]


def test_command_line(service, tmp_path, pair):
    environment = {**os.environ, "PGSLUICE_URL": f"http://127.0.0.1:{service.port}", "PGSLUICE_TOKEN": service.token}
    fill(pair.source)
    task = service.run(pair)
    wait_until(lambda: total(service, task, "rows") == 1000, "the rows")

    def run(*words, code=0):
        done = subprocess.run([executable(), *words], env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, done
        return done.stdout
    (tmp_path / "prices.json").write_text('{"currency": "CHF", "hour": {"unlimited": 0.5}}')
    run("usage", "set-prices", str(tmp_path / "prices.json"))
    assert "small" in run("usage", "classes") and "CHF" in run("usage", "prices")
    assert "1000" in run("usage", "report", "--from", "2026-01-01")
    assert json.loads(run("usage", "report", "--json"))["currency"] == "CHF"
    assert run("usage", "report", "--csv").startswith("task,name,month,")
    (tmp_path / "billing.yaml").write_text("kind: subscription\nmonths: 3\n")
    assert "subscription" in run("usage", "set-billing", task, str(tmp_path / "billing.yaml"))
    run("task", "class", task, "large")
    assert service.get(f"/tasks/{task}")["class"] == "large"
    run("task", "class", task, code=2)
    (tmp_path / "task.json").write_text(json.dumps(service.spec(pair, name="many")))
    made = run("task", "create", str(tmp_path / "task.json"), "--count", "3")
    assert made.count(" is draft\n") == 3
    assert {"many", "many-2", "many-3"} <= {row["name"] for row in service.get("/tasks")["items"]}
