"""Passwords by reference: only what whoever runs the service has set apart."""

import pytest

from pgtest.cluster import PASSWORD


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
