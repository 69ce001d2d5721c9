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
