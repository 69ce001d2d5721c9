"""SSH tunnels and client certificates: ways to a server that is not simply there."""

import os
import shutil
import subprocess
import time

import pytest

from pgtest import compare
from pgtest.cluster import children_of
from pgtest.sluice import endpoint
from pgtest.sshd import Sshd

pytestmark = pytest.mark.skipif(not os.path.exists("/usr/sbin/sshd"),
                                reason="no sshd (scripts/install-deps.sh test)")


@pytest.fixture
def make_sshd():
    made = []

    def make(*lines):
        made.append(Sshd(*lines))
        return made[-1].start()

    yield make
    for one in made:
        one.close()


@pytest.fixture
def sshd(make_sshd):
    return make_sshd()


def through(database, sshd, **more):
    return {**endpoint(database), "ssh": sshd.key_of_endpoint(**more)}


def ssh_of(pid):
    found = []
    for child in children_of(pid):
        with open(f"/proc/{child}/comm", encoding="ascii") as handle:
            if handle.read().strip() == "ssh":
                found.append(child)
    return found


def fill(database):
    database.script("CREATE TABLE items (id int PRIMARY KEY, name text);"
                    "INSERT INTO items SELECT g, repeat('x', 100) FROM generate_series(1, 20000) g")


def wait_for_rows(pair, rows, timeout=60):
    deadline = time.monotonic() + timeout
    while pair.destination.value("SELECT count(*) FROM items") != rows:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_both_sides_through_a_tunnel_that_is_cut(pair, sluice, sshd):
    fill(pair.source)
    task = sluice(pair, source=through(pair.source, sshd), destination=through(pair.destination, sshd))
    running = task.background()
    running.wait_event(lambda e: e["event"] == "stage" and e["stage"] == "streaming")
    assert len(ssh_of(running.pid)) == 2  # one per server, however many connections
    pair.source.sql("INSERT INTO items SELECT g, 'more' FROM generate_series(20001, 20100) g")
    wait_for_rows(pair, 20100)
    for number in range(3):
        sshd.drop_sessions()
        pair.source.sql("INSERT INTO items VALUES (%s, 'after a cut')", [30000 + number])
        wait_for_rows(pair, 20101 + number)
    assert running.interrupt().code == 0
    assert not sshd.sessions()
    sshd.stop()
    refused = task.call("check", code=None)
    assert refused.code != 0 and "no SSH tunnel by" in refused.stdout + refused.stderr
    assert compare.compare(pair.source, pair.destination, tables=[("public", "items")])


def test_ssh_ends_with_us(pair, sluice, sshd):
    fill(pair.source)
    running = sluice(pair, source=through(pair.source, sshd)).background()
    running.wait_event(lambda e: e["event"] == "stage" and e["stage"] == "streaming")
    assert ssh_of(running.pid) and sshd.sessions()
    running.kill9()
    deadline = time.monotonic() + 10
    while sshd.sessions():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("change, cause, hint", [
    ({"known_hosts": "/nonexistent"}, "Host key verification failed", "Make the host known"),
    ({"known_hosts": "strangers"}, "Host key verification failed", "It may be another machine"),
    ({"key_file": "stranger"}, "Permission denied", "authorized_keys"),
    ({"key_file": "/nonexistent"}, "not accessible", "cannot read it"),
    ({"user": "nobodyhere"}, "Permission denied", "ssh.user"),
    ({"host": "no.such.host.invalid", "port": 22}, "Could not resolve", "the name is unknown"),
    ({"port": 1}, "Connection refused", "is sshd running"),
])
def test_what_is_wrong_is_said(pair, sluice, sshd, change, cause, hint):
    change = {key: os.path.join(sshd.dir, value) if value in ("strangers", "stranger") else value
              for key, value in change.items()}
    said = sluice(pair, source=through(pair.source, sshd, **change)).call("plan", code=1, timeout=60).stderr
    assert cause in said and hint in said and "no SSH tunnel by" in said


def test_forwarding_that_is_not_allowed(pair, sluice, make_sshd):
    sshd = make_sshd("PermitOpen 127.0.0.1:1")
    said = sluice(pair, source=through(pair.source, sshd)).call("plan", code=1, timeout=60).stderr
    assert "administratively prohibited" in said and "PermitOpen" in said


def test_a_server_that_is_not_there_behind_the_tunnel(pair, sluice, sshd):
    source = {**through(pair.source, sshd), "port": 1}
    said = sluice(pair, source=source).call("plan", code=1, timeout=60).stderr
    assert "connect failed: Connection refused" in said and "as they are seen from 127.0.0.1" in said


def test_a_unix_socket_and_several_hosts_behind_it(pair, sluice, sshd):
    fill(pair.source)
    source, destination = through(pair.source, sshd), through(pair.destination, sshd)
    del source["host"]
    source["socket"] = pair.source.cluster.dir
    destination["port"] = f"1,{destination['port']}"
    destination["host"] = "127.0.0.1,127.0.0.1"
    sluice(pair, source=source, destination=destination).sync()
    assert compare.compare(pair.source, pair.destination, tables=[("public", "items")])


def test_tls_inside_of_the_tunnel_is_checked_against_the_server(sluice, make_cluster, sshd, pair):
    cluster = make_cluster(ssl_only=True)
    database = cluster.create_database("shop")
    fill(database)
    source = {**through(database, sshd), "host": "localhost",
              "ssl": {"mode": "verify-full", "root_cert": cluster.certificate}}
    task = sluice(source=source, destination=pair.destination)
    task.sync()
    task.spec["source"]["ssl"]["root_cert"] = make_other_certificate(sshd.dir)
    task.write()
    said = task.call("plan", code=1).stderr
    assert "certificate" in said and "root_cert" in said


def make_other_certificate(directory):
    path = os.path.join(directory, "other.crt")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", os.path.join(directory, "other.key"),
            "-out", path, "-subj", "/CN=other")
    return path


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, stdin=subprocess.DEVNULL)


def make_client_certificate(directory, user):
    """A certificate authority and a certificate for a role; returns (authority, certificate, key)."""
    ca, ca_key, key, request, cert = (os.path.join(directory, name)
                                      for name in ("ca.crt", "ca.key", "user.key", "user.csr", "user.crt"))
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-keyout", ca_key, "-out", ca,
            "-subj", "/CN=authority")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={user}")
    openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "30",
            "-out", cert)
    os.chmod(key, 0o600)
    return ca, cert, key


def test_a_client_certificate_instead_of_a_password(sluice, make_cluster, pair, tmp_path):
    os.chmod(tmp_path, 0o755)
    ca, cert, key = make_client_certificate(str(tmp_path), "mover")
    cluster = make_cluster(start=False, ssl=True, auth="scram-sha-256", hba=["hostssl all mover 127.0.0.1/32 cert"])
    server_ca = shutil.copy(ca, cluster.dir)
    os.chmod(server_ca, 0o644)
    cluster.settings["ssl_ca_file"] = server_ca
    cluster.start()
    database = cluster.create_database("shop")
    database.script("CREATE ROLE mover LOGIN SUPERUSER")
    fill(database)
    source = {"host": "localhost", "port": cluster.port, "database": "shop", "user": "mover",
              "ssl": {"mode": "verify-full", "root_cert": cluster.certificate, "cert": cert, "key": key}}
    task = sluice(source=source, destination=pair.destination)
    task.sync()
    assert pair.destination.value("SELECT count(*) FROM items") == 20000
    del source["ssl"]["cert"], source["ssl"]["key"]
    said = sluice(source=source, destination=pair.destination).call("plan", code=1).stderr
    assert "certificate" in said and "hint" in said.lower()
    source["ssl"].update(cert=cert, key=str(shutil.copy(key, tmp_path / "open.key")))
    os.chmod(source["ssl"]["key"], 0o644)
    said = sluice(source=source, destination=pair.destination).call("plan", code=1).stderr
    assert "permission" in said and "hint" in said.lower()


# -- the service --


def test_keys_are_those_set_apart(pair, make_service, sshd):
    secrets = os.path.join(sshd.dir, "secrets")
    os.mkdir(secrets)
    own = {"key_file": shutil.copy(sshd.key, secrets), "known_hosts": shutil.copy(sshd.known_hosts, secrets)}
    service = make_service("--secrets", secrets)
    fill(pair.source)
    spec = service.spec(pair)
    spec["source"]["ssh"] = sshd.key_of_endpoint()
    refused = service.call("POST", "/tasks", {"spec": spec}, status=422).json
    assert refused["errors"][0]["path"] == "/source/ssh/key_file" and "--secrets" in refused["hint"]
    spec["source"]["ssh"].update(own)
    del spec["source"]["ssh"]["key_file"]
    service.call("POST", "/tasks", {"spec": spec}, status=422)
    spec["source"]["ssh"].update(own)
    tested = service.post("/connections/test", {"side": "source", "endpoint": spec["source"]})
    assert tested["reached"] and not sshd.sessions()
    wrong = {**spec["source"], "ssh": {**spec["source"]["ssh"], "user": "nobodyhere"}}
    tested = service.post("/connections/test", {"side": "source", "endpoint": wrong})
    assert not tested["reached"] and "Permission denied" in tested["cause"] and "ssh.user" in tested["hint"]
    task = service.post("/tasks", {"spec": spec}, status=201)["id"]
    service.post(f"/tasks/{task}/check", status=202)
    service.wait(task, "ready")
    service.post(f"/tasks/{task}/start", status=202)
    service.wait(task, "synchronizing")
    assert sshd.sessions()
    elsewhere = service.get(f"/tasks/{task}/spec")
    assert elsewhere["source"]["ssh"]["key_file"] == own["key_file"]
    service.kill9()
    deadline = time.monotonic() + 10
    while sshd.sessions():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    service.start()
    service.wait(task, "synchronizing")
    pair.source.sql("INSERT INTO items VALUES (0, 'new')")
    wait_for_rows(pair, 20001)


def test_a_password_does_not_follow_another_way(pair, make_service, sshd):
    service = make_service("--secrets", sshd.dir)
    spec = service.spec(pair)
    spec["source"]["ssh"] = sshd.key_of_endpoint()
    task = service.post("/tasks", {"spec": spec}, status=201)["id"]
    stored = service.call("GET", f"/tasks/{task}/spec")
    spec = stored.json
    spec["source"]["ssh"]["host"] = "elsewhere"
    refused = service.call("PUT", f"/tasks/{task}/spec", spec, status=422,
                           headers={"If-Match": stored.headers["ETag"]}).json
    assert "needed again" in refused["errors"][0]["message"]
