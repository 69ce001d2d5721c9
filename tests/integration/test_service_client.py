"""`pgsluice task`, `connection` …: the service's client."""

import io
import json
import os
import signal
import subprocess
import tarfile
import time

from pgtest.cluster import PASSWORD
from pgtest.sluice import executable


def client(service, *words, status=0, text=None, **environment):
    done = subprocess.run([executable(), *words], input=text, capture_output=True, text=True, check=False,
                          timeout=120,
                          env={**os.environ, "PGSLUICE_URL": f"http://127.0.0.1:{service.port}",
                               "PGSLUICE_TOKEN": service.token, **environment})
    assert done.returncode == status, done
    return done.stdout if status == 0 else done.stderr


def test_connections(pair, service):
    endpoint = service.spec(pair)["source"]
    made = client(service, "connection", "create", "the shop", "-", text=json.dumps(endpoint)).strip()
    assert made in client(service, "connection", "list") and "the shop" in client(service, "connection", "list")
    shown = client(service, "connection", "show", made)
    assert endpoint["database"] in shown and PASSWORD not in shown
    tested = client(service, "connection", "test", made, "source")
    assert tested.splitlines()[0].split() == ["reached", "true"] and "version" in tested
    del endpoint["password"]
    client(service, "connection", "change", made, "renamed", "-", text=json.dumps(endpoint))
    assert "renamed" in client(service, "connection", "show", made)
    client(service, "connection", "delete", made)
    assert made not in client(service, "connection", "list")
    client(service, "connection", "show", made, status=1)
    assert "missing" in client(service, "connection", "test", made, status=2)


def test_export_and_import(pair, service):
    pair.source.sql("CREATE TABLE items (id int PRIMARY KEY)")
    task = service.run(pair)
    text = client(service, "task", "export", task)
    assert PASSWORD not in text and f"id: {task}" in text
    made = json.loads(client(service, "task", "import", "-", "--json", text=text,
                             PGSLUICE_SOURCE_PASSWORD=PASSWORD, PGSLUICE_DESTINATION_PASSWORD=PASSWORD))
    assert made["id"] != task
    again = client(service, "task", "export", made["id"])
    assert again.replace(made["id"], task) == text
    assert service.get(f"/tasks/{made['id']}/spec")["source"]["has_password"] is True


def test_looking_at_a_task(pair, service):
    pair.source.sql("CREATE TABLE items (id int PRIMARY KEY)")
    task = service.run(pair)
    assert "created" in client(service, "task", "report", task)
    with open(os.path.join(service.data_dir, "log", f"{task}.log"), "a", encoding="utf-8") as handle:
        handle.write("a line of the log\n")
    assert client(service, "task", "log", task).endswith("a line of the log\n")
    bundle = subprocess.run([executable(), "task", "bundle", task], capture_output=True, check=True,
                            env={**os.environ, "PGSLUICE_URL": f"http://127.0.0.1:{service.port}",
                                 "PGSLUICE_TOKEN": service.token}).stdout
    with tarfile.open(fileobj=io.BytesIO(bundle), mode="r:gz") as tar:
        assert any(name.endswith("spec.yaml") for name in tar.getnames())
    client(service, "task", "resync", task, "public.items")
    client(service, "task", "pause", task)
    service.wait(task, "paused")
    client(service, "task", "stop", task)
    service.wait(task, "stopped")


def test_watch(pair, service):
    """Off a terminal it prints what differs, until it is told to end."""
    pair.source.sql("CREATE TABLE items (id int PRIMARY KEY)")
    task = service.create(pair)
    watching = subprocess.Popen([executable(), "task", "watch"], stdout=subprocess.PIPE, text=True,
                                env={**os.environ, "PGSLUICE_URL": f"http://127.0.0.1:{service.port}",
                                     "PGSLUICE_TOKEN": service.token})
    time.sleep(2)
    service.post(f"/tasks/{task}/check", status=202)
    service.wait(task, "ready")
    time.sleep(2)
    watching.send_signal(signal.SIGINT)
    out, _ = watching.communicate(timeout=20)
    assert watching.returncode == 0
    lines = [line.split()[2] for line in out.splitlines() if line.startswith(task)]
    assert lines[0] == "draft" and lines[-1] == "ready"
    assert len(lines) <= 4, "only what differs"


def test_changing_a_task(pair, service, tmp_path):
    pair.source.script("CREATE TABLE items (id int PRIMARY KEY); CREATE TABLE more (id int PRIMARY KEY);"
                       "CREATE TABLE log (what text)")
    task = service.create(pair, objects=[{"schema": "public", "tables": [{"table": "items"}, {"table": "log"}]}])
    client(service, "task", "check", task)
    service.wait(task, "check_failed", unless=())
    assert "ignored" not in client(service, "task", "findings", task)
    file = tmp_path / "new.yaml"
    text = client(service, "task", "export", task)
    file.write_text(text.replace("retry_minutes: 60", "") + "retry_minutes: 20\nkeyless: insert_only\n")
    client(service, "task", "edit", task, str(file))
    assert service.get(f"/tasks/{task}/spec")["retry_minutes"] == 20
    assert '"version": 2' in client(service, "task", "history", task)
    file.write_text("name: [")
    assert "spec" in client(service, "task", "edit", task, str(file), status=2)
    client(service, "task", "ignore", task, "task.retry_minutes")
    client(service, "task", "check", task)
    service.wait(task, "ready")
    client(service, "task", "start", task)
    service.wait(task, "synchronizing")
    client(service, "task", "add", task, "public.more")
    wait_for_tables(service, task, {"public.items", "public.log", "public.more"})
    client(service, "task", "remove", task, "public.log")
    wait_for_tables(service, task, {"public.items", "public.more"})
    client(service, "task", "password", task, "source", PGSLUICE_PASSWORD=PASSWORD)
    assert "source or destination" in client(service, "task", "password", task, "x", status=2)
    made = client(service, "task", "clone", task, "another")
    assert "another" in made and "draft" in made
    names = json.loads(client(service, "task", "names", "-", "--json", text=json.dumps(service.spec(pair))))
    assert {row["source"] for row in names["items"]} >= {"public", "public.items"}
    assert json.loads(client(service, "task", "plan", task, "--json"))["routes"]


def wait_for_tables(service, task, tables):
    deadline = time.monotonic() + 60
    while True:
        rows = service.get(f"/tasks/{task}/tables")["items"]
        if {row["table"] for row in rows if row["state"] == "synchronizing"} == tables:
            return
        assert time.monotonic() < deadline, rows
        time.sleep(0.1)


def test_any_request(service, tmp_path):
    assert json.loads(client(service, "api", "get", "/api/v1/summary"))["tasks"] == 0
    file = tmp_path / "settings.yaml"
    file.write_text("session_hours: 3\n")
    client(service, "api", "patch", "/api/v1/settings", str(file))
    assert service.get("/settings")["session_hours"] == 3
    draft = json.loads(client(service, "api", "post", "/api/v1/drafts", "-", text='{"name": "d", "content": {}}'))
    changed = '{"name": "e", "content": {}}'
    client(service, "api", "put", f"/api/v1/drafts/{draft['id']}", "-", text=changed)
    assert service.get("/drafts")["items"][0]["name"] == "e"
    client(service, "api", "delete", f"/api/v1/drafts/{draft['id']}")
    assert service.get("/drafts")["items"] == []
    assert "no nothing here" not in client(service, "api", "get", "/api/v1/nothing", status=1)
    assert "begins with /" in client(service, "api", "get", "tasks", status=2)
    client(service, "user", "create", "eve", PGSLUICE_PASSWORD="long-enough-1")
    client(service, "user", "change", "eve", "--role", "operator")
    client(service, "user", "change", "eve", PGSLUICE_PASSWORD="long-enough-2")
    service.login("eve", "long-enough-2")
    assert "eve" in client(service, "user", "list")
