"""The service's other views of a task: schema report, hops, one check again, stop, bundle, settings, backup."""

import io
import os
import sqlite3
import subprocess
import tarfile
import time

from pgtest import compare
from pgtest.cluster import PASSWORD
from pgtest.service import Service
from pgtest.sluice import executable


def fill(database, rows=100):
    database.script(f"CREATE TABLE items (id int PRIMARY KEY, name text);"
                    f"INSERT INTO items SELECT g, 'item ' || g FROM generate_series(1, {rows}) g;")


def test_schema_report(pair, service):
    fill(pair.source)
    pair.source.script("CREATE INDEX by_name ON items (name); CREATE RULE r AS ON UPDATE TO items DO ALSO NOTIFY x;")
    task = service.create(pair)
    assert service.get(f"/tasks/{task}/schema-report") == {"items": [], "next_cursor": None}
    service.post(f"/tasks/{task}/check", status=202)
    service.wait(task, "ready")
    service.post(f"/tasks/{task}/start", status=202)
    service.wait(task, "synchronizing")
    items = service.get(f"/tasks/{task}/schema-report")["items"]
    found = {(row["kind"], row["object"]): row["result"] for row in items}
    assert found[("table", "public.items")] == "created" and found[("index", "public.by_name")] == "created"
    first = service.get(f"/tasks/{task}/schema-report?limit=1")
    rest = service.get(f"/tasks/{task}/schema-report?limit=1000&cursor={first['next_cursor']}")
    assert first["items"] + rest["items"] == items and rest["next_cursor"] is None
    only = service.get(f"/tasks/{task}/schema-report?q=BY_NAME&result=created")["items"]
    assert [row["object"] for row in only] == ["public.by_name"]
    assert all(row["result"] != "created" and row["detail"]
               for row in service.get(f"/tasks/{task}/schema-report?result=unsupported")["items"])
    service.call("GET", f"/tasks/{task}/schema-report?cursor=x", status=400)


def test_rates_per_hop(pair, service):
    fill(pair.source)
    task = service.create(pair)
    assert service.get(f"/tasks/{task}/rates") == {"hops": []}
    service.post(f"/tasks/{task}/check", status=202)
    service.wait(task, "ready")
    service.post(f"/tasks/{task}/start", status=202)
    service.wait(task, "synchronizing")
    deadline = time.monotonic() + 30
    number = 1000
    while True:
        pair.source.sql("INSERT INTO items SELECT g, repeat('x', 500) FROM generate_series(%s::int, %s::int) g",
                        [number, number + 499])
        number += 500
        hops = {hop["hop"]: hop for hop in service.get(f"/tasks/{task}/rates")["hops"]}
        if hops and (hops["apply"]["rows_per_second"] or 0) > 100 \
                and (hops["source"]["bytes_per_second"] or 0) > 10000:
            break
        assert time.monotonic() < deadline, hops
        time.sleep(0.2)
    assert list(hops) == ["source", "slot", "decode", "apply", "destination"]
    assert hops["apply"]["lsn"] and hops["apply"]["lag_seconds"] is not None
    assert hops["slot"]["lag_bytes"] >= 0 and hops["decode"]["lag_bytes"] >= 0
    service.call("GET", "/tasks/nosuchtask/rates", status=404)


def test_the_slow_hop_is_named(pair, service):
    """The destination's table is locked: what was decoded waits to be applied."""
    fill(pair.source)
    task = service.run(pair)
    with pair.destination.connect() as blocker:
        blocker.execute("BEGIN")
        blocker.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        pair.source.sql("INSERT INTO items SELECT g, repeat('x', 500) FROM generate_series(1001, 9000) g")
        deadline = time.monotonic() + 30
        while True:
            slow = [hop["hop"] for hop in service.get(f"/tasks/{task}/rates")["hops"] if hop["bottleneck"]]
            if slow == ["apply"]:
                break
            assert time.monotonic() < deadline, service.get(f"/tasks/{task}/rates")
            time.sleep(0.2)
        blocker.execute("ROLLBACK")


def test_one_check_again(pair, service):
    fill(pair.source)
    pair.source.sql("CREATE TABLE log (what text)")
    task = service.create(pair)
    service.call("POST", f"/tasks/{task}/findings/source.identity/rerun", status=409)
    service.post(f"/tasks/{task}/check", status=202)
    service.wait(task, "check_failed", unless=())
    before = service.get(f"/tasks/{task}/findings")
    bad = [row for row in before["items"] if row["result"] == "failed"]
    assert [row["object"] for row in bad] == ["public.log"]
    again = service.post(f"/tasks/{task}/findings/{bad[0]['check']}/rerun", status=202)
    assert again["state"] == "check_failed"
    pair.source.sql("ALTER TABLE log ADD COLUMN id serial PRIMARY KEY")
    cured = service.post(f"/tasks/{task}/findings/{bad[0]['check']}/rerun", status=202)
    assert cured["state"] == "ready" and cured["precheck"]["rate"] == 100
    after = service.get(f"/tasks/{task}/findings")
    assert [row["check"] for row in after["items"]] == [row["check"] for row in before["items"]]
    service.call("POST", f"/tasks/{task}/findings/no.such_check/rerun", status=404)
    pair.source.sql("ALTER TABLE log DROP COLUMN id")
    worse = service.post(f"/tasks/{task}/findings/{bad[0]['check']}/rerun", status=202)
    assert worse["state"] == "check_failed" and "1 finding" in worse["reason"]


def test_stop_keeps_the_state(pair, service):
    fill(pair.source)
    task = service.run(pair)
    assert "stop" in service.get(f"/tasks/{task}")["actions"]
    service.post(f"/tasks/{task}/stop", status=202)
    stopped = service.wait(task, "stopped")
    assert stopped["actions"] == ["release"] and stopped["worker"] is None
    assert pair.source.slots() == [] and pair.source.publications() == []
    assert service.get(f"/tasks/{task}/schema-report")["items"]
    assert pair.destination.value("SELECT state FROM pgsluice.task_state") == "stopped"
    service.call("POST", f"/tasks/{task}/resume", status=409)
    service.post(f"/tasks/{task}/release", status=202)
    service.wait(task, "released")
    assert "pgsluice" not in pair.destination.schemas()
    compare.assert_equal(pair.source, pair.destination)


def test_a_paused_task_is_stopped(pair, service):
    fill(pair.source)
    task = service.run(pair)
    service.post(f"/tasks/{task}/pause", status=202)
    service.wait(task, "paused")
    service.post(f"/tasks/{task}/stop", status=202)
    service.wait(task, "stopped")
    assert pair.source.slots() == []


def test_support_bundle_has_no_secrets(pair, service):
    fill(pair.source)
    task = service.run(pair)
    log = os.path.join(service.data_dir, "log", f"{task}.log")
    with open(log, "a", encoding="utf-8") as handle:
        handle.write(f"somebody's extension logs {PASSWORD} here\n")
    archive = service.call("GET", f"/tasks/{task}/support-bundle").body
    files = {}
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        for member in tar:
            files[os.path.basename(member.name)] = tar.extractfile(member).read().decode()
    assert set(files) == {"spec.yaml", "task.json", "findings.json", "tables.json", "events.json",
                          "present.json", f"{task}.log"}
    assert "extension logs (removed) here" in files[f"{task}.log"]
    assert not any(PASSWORD in text for text in files.values())
    assert "items" in files["tables.json"] and "synchronizing" in files["present.json"]
    viewer = service.post("/tokens", {"name": "v", "role": "viewer"}, status=201)["token"]
    service.call("GET", f"/tasks/{task}/support-bundle", status=403, token=viewer)


def test_settings(service):
    assert service.get("/settings") == {"metrics_days": 90, "session_hours": 12, "service_terms": None}
    changed = service.call("PATCH", "/settings", {"session_hours": 1, "service_terms": "As agreed."}).json
    assert changed == {"metrics_days": 90, "session_hours": 1, "service_terms": "As agreed."}
    assert "Max-Age=3600" in service.login().headers["Set-Cookie"]
    service.call("PATCH", "/settings", {"metrics_days": 0}, status=422)
    service.call("PATCH", "/settings", {"nothing": 0}, status=422)
    service.stop()
    service.start()
    assert service.get("/settings") == changed


def test_backup_while_it_runs(pair, service, tmp_path):
    """The copy is a data directory that serves the same tasks with their passwords."""
    fill(pair.source)
    task = service.run(pair)
    copy = tmp_path / "other" / "data"
    copy.parent.mkdir()
    made = subprocess.run([executable(), "backup", "--data-dir", service.data_dir, str(copy)],
                          capture_output=True, text=True, check=False)
    assert made.returncode == 0, made
    assert oct(os.stat(copy / "secret.key").st_mode & 0o777) == "0o600"
    assert sqlite3.connect(copy / "catalog.sqlite").execute("PRAGMA integrity_check").fetchone() == ("ok",)
    again = subprocess.run([executable(), "backup", "--data-dir", service.data_dir, str(copy)],
                           capture_output=True, text=True, check=False)
    assert again.returncode == 2 and "not there yet" in again.stderr
    service.stop()
    other = Service(copy.parent)
    other.token = service.token
    try:
        other.start()
        other.wait(task, "synchronizing")
    finally:
        other.close()


def test_a_filter_is_checked(pair, service):
    pair.source.script("CREATE TABLE items (id int PRIMARY KEY, region text); INSERT INTO items SELECT g, CASE WHEN"
                       " g % 4 = 0 THEN 'eu' ELSE 'us' END FROM generate_series(1, 4000) g; ANALYZE items;")
    endpoint = service.spec(pair)["source"]

    def ask(where, status=200, **more):
        return service.post("/preview/filter", {"endpoint": endpoint, "schema": "public", "table": "items",
                                                "where": where, **more}, status=status)

    good = ask("region = 'eu'")
    assert good["valid"] and 500 < good["rows_estimate"] < 1500 and good["rows_total"] == 4000
    for where in ("region = ", "nothing = 1", "id = 1; DROP TABLE items", "random() < 0.5"):
        bad = ask(where)
        assert bad["valid"] is False and bad["cause"], where
    assert not ask("id = 1", table="nothing")["valid"]
    ask("id = 1", table="it*", status=422)
    service.post("/preview/filter", {"schema": "public", "table": "items", "where": "id = 1"}, status=422)
    assert pair.source.value("SELECT count(*) FROM items") == 4000
