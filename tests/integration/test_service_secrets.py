"""Passwords by reference: only what whoever runs the service has set apart."""

import gzip
import os
import re

import pytest

from pgtest import openapi
from pgtest.cluster import PASSWORD, children_of
from pgtest.service import ADMIN_PASSWORD


def spec_with(service, pair, **reference):
    spec = service.spec(pair)
    for side in ("source", "destination"):
        del spec[side]["password"]
        spec[side].update(reference)
    return {"spec": spec}


@pytest.fixture
def scram(make_cluster):
    """Databases of a server that wants the password."""
    cluster = make_cluster(15, auth="scram-sha-256")

    class Pair:
        source = cluster.create_database("src")
        destination = cluster.create_database("dst")
    Pair.source.sql("CREATE TABLE items (id int PRIMARY KEY)")
    return Pair


def test_references(scram, make_service, tmp_path, monkeypatch):
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "pg").write_text(PASSWORD + "\n")
    (tmp_path / "elsewhere").write_text(PASSWORD)
    (secrets / "link").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setenv("PGSLUICE_SECRET_PG", PASSWORD)
    monkeypatch.setenv("OTHER_PG", PASSWORD)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(secrets))
    service = make_service("--secrets", str(secrets))
    for wrong in ({"password_file": str(tmp_path / "elsewhere")}, {"password_file": str(secrets / "link")},
                  {"password_file": f"{secrets}/../elsewhere"}, {"password_env": "OTHER_PG"},
                  {"password_credential": "../elsewhere"}):
        refused = service.post("/tasks", spec_with(service, scram, **wrong), status=422)
        assert refused["errors"][0]["path"].startswith("/source/password_"), refused
    for right in ({"password_file": str(secrets / "pg")}, {"password_env": "PGSLUICE_SECRET_PG"},
                  {"password_credential": "pg"}):
        task = service.post("/tasks", spec_with(service, scram, **right), status=201)["id"]
        service.post(f"/tasks/{task}/check", status=202)
        service.wait(task, "ready")


def test_refused_without_the_option(scram, service, tmp_path):
    (tmp_path / "pg").write_text(PASSWORD)
    service.post("/tasks", spec_with(service, scram, password_file=str(tmp_path / "pg")), status=422)


# -- where no secret may be --

SECRETS = {"source": "source-secret-4711", "destination": "destination-secret-4712", "typed": "mistyped-secret-4713",
           "hmac": "hmac-secret-4714", "smtp": "smtp-secret-4715", "user": "user-secret-4716"}


@pytest.fixture
def watched(make_cluster):
    """Databases of a server that wants passwords and logs every statement."""
    cluster = make_cluster(15, auth="scram-sha-256", settings={"log_statement": "all"})
    cluster.sql("CREATE ROLE reader LOGIN SUPERUSER; CREATE ROLE writer LOGIN SUPERUSER")
    for role, side in (("reader", "source"), ("writer", "destination")):
        with cluster.connect() as session:  # two statements: the log has them whole
            session.execute("SET log_statement = 'none'")
            session.execute(f"ALTER ROLE {role} PASSWORD '{SECRETS[side]}'")

    class Pair:
        source = cluster.create_database("src")
        destination = cluster.create_database("dst")
    Pair.source.sql("CREATE TABLE items (id int PRIMARY KEY)")
    return Pair


def answers(service, names):
    """What every GET of the API says of these things."""
    for method, path, _ in openapi.operations():
        path = re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], found[0]), path)
        if method == "GET" and "{" not in path:
            answer = service.raw("GET", path, headers={"Authorization": f"Bearer {service.token}"})
            body = gzip.decompress(answer.body) if answer.body[:2] == b"\x1f\x8b" else answer.body
            assert answer.status < 500, (path, answer)
            yield path, body


def files(*roots):
    for root in roots:
        for directory, _, found in os.walk(root):
            for name in found:
                path = os.path.join(directory, name)
                if os.path.isfile(path):
                    with open(path, "rb") as handle:
                        yield path, handle.read()


def processes(pids):
    for pid in pids:
        for name in ("cmdline", "environ", "comm"):
            with open(f"/proc/{pid}/{name}", "rb") as handle:
                yield f"{name} of {pid}", handle.read()


def state(database):
    for schema, table in database.sql("SELECT schemaname, tablename FROM pg_tables WHERE schemaname = 'pgsluice'"):
        yield f"{schema}.{table}", repr(database.sql(f"SELECT t::text FROM {schema}.{table} t")).encode()


def test_secrets_are_nowhere_in_clear(watched, service):
    spec = service.spec(watched)
    for side, role in (("source", "reader"), ("destination", "writer")):
        spec[side].update(user=role, password=SECRETS[side])
    task = service.post("/tasks", {"spec": spec}, status=201)["id"]
    connection = service.post("/connections", {"name": "c", "endpoint": spec["source"]}, status=201)["id"]
    contact = service.post("/alerts/contacts", {"name": "w", "kind": "webhook", "url": "http://127.0.0.1:1/hook",
                                                "secret": SECRETS["hmac"]}, status=201)["id"]
    service.post("/alerts/contacts", {"name": "m", "kind": "smtp", "to": ["a@example.com"], "from": "b@example.com",
                                      "host": "127.0.0.1", "user": "u", "password": SECRETS["smtp"]}, status=201)
    service.post(f"/alerts/contacts/{contact}/test")
    service.post("/users", {"name": "eve", "role": "viewer", "password": SECRETS["user"]}, status=201)
    service.login("eve", SECRETS["typed"], status=401)
    wrong = {**spec["source"], "password": SECRETS["typed"]}
    assert not service.post("/connections/test", {"side": "source", "endpoint": wrong})["reached"]
    service.post("/preview/plan", {"spec": {**spec, "source": wrong}}, status=502)
    service.post(f"/tasks/{task}/check", status=202)
    service.wait(task, "ready")
    service.post(f"/tasks/{task}/start", status=202)
    service.wait(task, "synchronizing")
    watched.source.sql("INSERT INTO items VALUES (1)")
    service.call("PUT", f"/tasks/{task}/credentials", {"source_password": SECRETS["typed"]}, status=204)
    service.post(f"/tasks/{task}/pause", status=202)
    service.wait(task, "paused")
    service.post(f"/tasks/{task}/resume", status=202)
    service.wait(task, "failed", "retrying", unless=())
    service.call("PUT", f"/tasks/{task}/credentials", {"source_password": SECRETS["source"]}, status=204)
    service.post(f"/tasks/{task}/resume", status=202)
    service.wait(task, "synchronizing", unless=())

    places = dict(answers(service, {"task": task, "connection": connection, "contact": contact, "version": "1"}))
    assert len(places) > 30 and any("support-bundle" in path for path in places)
    places.update(files(service.data_dir, os.path.dirname(watched.source.cluster.logfile)))
    places.update(processes([service.running.pid, *children_of(service.running.pid)]))
    places.update(state(watched.destination))
    places["output"] = (service.running.stdout + service.running.stderr).encode()
    places["activity"] = repr(watched.source.sql("SELECT * FROM pg_stat_activity")).encode()
    assert any(path.endswith("/log") and b"statement:" in text for path, text in places.items())
    for where, text in places.items():
        for secret in (*SECRETS.values(), ADMIN_PASSWORD, service.token):
            assert secret.encode() not in text, f"{secret} in {where}"
