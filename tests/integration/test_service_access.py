"""Who may do what at `pgsluice serve`, hostile clients, and the command line as its client."""

import json
import os
import random
import re
import socket
import subprocess
import time

import pytest

from pgtest import openapi
from pgtest.cluster import process_memory
from pgtest.service import ADMIN_PASSWORD, Service
from pgtest.sluice import SANITIZERS, executable

OPERATIONS = [(method, path, operation) for method, path, operation in openapi.operations()
              if "x-status" not in operation]
ROLES = ["none", "viewer", "operator", "admin"]


def concrete(path):
    """A path with something for each parameter that does not exist."""
    return re.sub(r"\{\w+\}", "nosuch1234", path)


def cookies(answer):
    return {"Cookie": answer.headers["Set-Cookie"].split(";")[0]}


def test_nothing_without_access(service):
    for method, path, operation in OPERATIONS:
        if operation["x-role"] == "none":
            continue
        for headers in ({}, {"Authorization": "Bearer pgs_wrong"}, {"Authorization": "Basic YTpi"},
                        {"Cookie": "pgsluice_session=wrong"}, {"Authorization": "Bearer " + "x" * 5000}):
            answer = service.raw(method, concrete(path), headers=headers)
            assert answer.status == 401, (method, path, headers, answer)
            assert answer.json["type"] == "unauthenticated"


def test_roles(service):
    """Each operation is refused below its role; with it, the answer is another one."""
    tokens = {}
    for role in ROLES[1:]:
        service.post("/users", {"name": f"a-{role}", "role": role, "password": "a-long-password"}, status=201)
        tokens[role] = service.login_token(f"a-{role}", "a-long-password")
    assert service.post("/tokens", {"name": "more", "role": "admin"}, token=tokens["operator"], status=422)
    for method, path, operation in OPERATIONS:
        need = ROLES.index(operation["x-role"])
        if need == 0:
            continue
        for role, token in tokens.items():
            answer = service.raw(method, concrete(path), headers={"Authorization": f"Bearer {token}"})
            assert (answer.status == 403) == (ROLES.index(role) < need), (method, path, role, answer)
            openapi.check_answer(method, concrete(path), answer.status,
                                 answer.headers.get("Content-Type", ""), answer.json)


def test_sessions(service):
    answer = service.login()
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    headers = cookies(answer)
    assert service.get("/session", headers=headers, token=False)["csrf_token"] == answer.json["csrf_token"]
    new = {"name": "x", "role": "viewer", "password": "a-long-password"}
    for wrong in ({}, {"X-CSRF-Token": "x"}, {"X-CSRF-Token": answer.json["csrf_token"][:-1] + "_"}):
        problem = service.post("/users", new, headers={**headers, **wrong}, token=False, status=403)
        assert problem["type"] == "csrf"
    right = {**headers, "X-CSRF-Token": answer.json["csrf_token"]}
    service.post("/users", new, headers=right, token=False, status=201)
    service.post("/users", new, headers=right, token=False, status=409)
    # a new password ends the sessions; logging out ends this one
    service.call("PUT", "/session/password", {"old_password": "wrong", "new_password": "another-password"},
                 headers=right, token=False, status=401)
    service.call("DELETE", "/session", headers=right, token=False, status=204)
    service.call("GET", "/session", headers=headers, token=False, status=401)
    other = cookies(service.login("x", "a-long-password"))
    service.call("PATCH", "/users/x", {"disabled": True})
    service.call("GET", "/session", headers=other, token=False, status=401)
    service.login("x", "a-long-password", status=401)
    service.call("DELETE", "/users/admin", status=409)


def test_guessing_is_slowed_down(service):
    for _ in range(5):
        service.login(password="wrong", status=401)
    answer = service.login(status=429)  # the right one too
    assert 0 < int(answer.headers["Retry-After"]) <= 901
    service.get("/tasks")  # tokens go on
    assert any(entry["action"] == "login_failed" for entry in service.get("/audit")["items"])


def test_addresses_behind_a_proxy(make_service):
    """The last address counts, which the proxy added; those before it are whatever the client says."""
    service = make_service("--behind-proxy", listen="0.0.0.0:0")
    body = json.dumps({"user": "admin", "password": "wrong"})

    def guess(forwarded):
        return service.raw("POST", "/api/v1/session", body, {"Content-Type": "application/json",
                                                             "X-Forwarded-For": forwarded}).status

    assert [guess(f"10.9.9.{n}, 10.0.0.1") for n in range(6)] == [401] * 5 + [429]
    assert guess("10.0.0.1, 10.0.0.2") == 401
    addresses = {entry["address"] for entry in service.get("/audit")["items"]
                 if entry["action"] == "login_failed"}
    assert addresses == {"10.0.0.1", "10.0.0.2"}


def test_withdrawn_tokens(service):
    made = service.post("/tokens", {"name": "ci", "role": "viewer", "days": 1}, status=201)
    service.get("/tasks", token=made["token"])
    service.call("DELETE", f"/tokens/{made['id']}", status=204)
    service.call("GET", "/tasks", token=made["token"], status=401)


# -- hostile clients --

PIECES = [b"GET ", b"POST ", b"PUT ", b"DELETE ", b"XYZZY ", b"/api/v1/tasks", b"/api/v1/session", b"/healthz", b"/../",
          b"%00", b"%ff", b"//", b"?limit=99999999999999999999", b"?cursor=%25%25", b" HTTP/1.1\r\n", b" HTTP/9.9\r\n",
          b"Host: x\r\n", b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999\r\n",
          b"Transfer-Encoding: chunked\r\n", b"Authorization: Bearer \xff\xfe\r\n", b"Cookie: pgsluice_session=a=b;;\r\n",
          b"Content-Type: application/json\r\n", b"Content-Type: application/yaml\r\n", b"If-Match: \"1\r\n", b"\r\n\r\n",
          b"{\"user\":", b"[" * 3000, b"\x00\x01\x02", b"A" * 9000, b"5\r\nhello\r\n0\r\n\r\n", b"\r\n"]


def send_raw(port, data, wait=0.3):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(wait)
            return connection.recv(65536)
        except OSError:
            return b""


def test_malformed_requests(service):
    dice = random.Random(5)
    token = b"Authorization: Bearer " + service.token.encode() + b"\r\n"
    for number in range(700):
        data = b"".join(dice.choice(PIECES) for _ in range(dice.randrange(1, 12)))
        if number % 2:  # a whole request around the rubbish, with access
            path = dice.choice([b"/api/v1/tasks", b"/api/v1/connections/test", b"/api/v1/users", b"/api/v1/drafts"])
            data = (b"POST " + path + b" HTTP/1.1\r\nHost: x\r\n" + token + b"Content-Type: application/json\r\n"
                    b"Content-Length: " + str(len(data)).encode() + b"\r\nConnection: close\r\n\r\n" + data)
        answer = send_raw(service.port, data, 0.1 if number % 2 == 0 else 5)
        assert b" 500 " not in answer.split(b"\r\n")[0], (data, answer)
        assert answer or number % 2 == 0
    assert service.call("GET", "/healthz").json == {"status": "ok"}
    finished = service.stop()
    assert finished.code == 0, finished


def values(dice, depth=0):
    """Any JSON."""
    kind = dice.randrange(8 if depth < 4 else 6)
    if kind == 6:
        return [values(dice, depth + 1) for _ in range(dice.randrange(4))]
    if kind == 7:
        return {dice.choice(WORDS): values(dice, depth + 1) for _ in range(dice.randrange(5))}
    return [None, True, -1, 1e300, "", dice.choice(WORDS)][kind]


WORDS = ["spec", "source", "destination", "objects", "name", "schema", "tables", "table", "host", "port", "user",
         "database", "password", "side", "endpoint", "connection", "task", "content", "role", "ids", "all", "lsn",
         "ignore", "precheck", "source_connection", "days", "disabled", "force", "x" * 5000, "\x00", "ü", "'; --",
         "../../etc/passwd", "\u202e", "limit", "cursor", "search", "state_schema", "ssl", "mode"]


def test_wrong_bodies(pair, service):
    """Any JSON at any route that takes one: refused in a way that the file promises, or done."""
    dice = random.Random(6)
    task = service.create(pair)
    routes = [(method, path) for method, path, operation in OPERATIONS
              if "requestBody" in operation and "/session" not in path]
    for _ in range(400):
        method, path = dice.choice(routes)
        path = path.replace("{task}", task).replace("{user}", "nobody")
        path = re.sub(r"\{\w+\}", "nosuch1234", path)[len("/api/v1"):]
        body = values(dice)
        headers = {"If-Match": '"1"', "Content-Type": "application/json"}
        text = json.dumps(body if isinstance(body, dict) else {"spec": body, "endpoint": body, "side": "source"})
        answer = service.call(method, path, text, headers=headers,
                              status=status_of(service, method, path, text, headers))
        assert answer.status != 500
    assert service.stop().code == 0


def status_of(service, method, path, text, headers):
    """The status of the same request sent before: it is judged by the file when it is sent again."""
    answer = service.raw(method, "/api/v1" + path, text,
                         {**headers, "Authorization": f"Bearer {service.token}"})
    return answer.status


def test_too_much(service):
    big = json.dumps({"name": "x", "content": {"x": "y" * (2 << 20)}})
    assert service.call("POST", "/drafts", big, status=413, headers={"Content-Type": "application/json"})
    stranger = service.raw("POST", "/api/v1/session", json.dumps({"user": "x" * 20000, "password": "y"}),
                           {"Content-Type": "application/json"})
    assert stranger.status == 413
    # without a length, in chunks
    request = (b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
               b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + b"1000\r\n" + b"x" * 4096 + b"\r\n")
    answer = send_raw(service.port, request + (b"1000\r\n" + b"x" * 4096 + b"\r\n") * 200 + b"0\r\n\r\n", 10)
    assert b" 413 " in answer.split(b"\r\n")[0], answer[:200]
    service.call("POST", "/drafts", "{}", status=415, headers={"Content-Type": "text/plain"})
    service.call("GET", "/tasks?limit=0", status=400)
    service.call("GET", "/tasks?cursor=%25", status=400)
    assert service.raw("GET", "/" + "a" * 5000).status == 400
    assert service.raw("GET", "/api/v1/nothing").json["type"] == "unknown_route"
    assert service.raw("TRACE", "/api/v1/tasks").status == 405


def test_many_slow_connections(service):
    """500 connections that say little: others are answered, memory stays bounded, all are closed in the end."""
    before = process_memory(service.running.pid)[0]
    held = []
    for _ in range(500):
        connection = socket.create_connection(("127.0.0.1", service.port), timeout=10)
        connection.sendall(b"GET /api/v1/tasks HT")
        held.append(connection)
    started = time.monotonic()
    assert service.call("GET", "/healthz", timeout=10).status == 200
    assert time.monotonic() - started < 5
    assert process_memory(service.running.pid)[0] - before < 300 << 20
    for connection in held:
        connection.close()
    assert service.stop().code == 0


# -- starting --


def start(tmp_path, *options, variables=None):
    return subprocess.run([executable(), "serve", *options], cwd=tmp_path, capture_output=True, text=True,
                          timeout=60, check=False, env={**os.environ, **SANITIZERS, **(variables or {})})


@pytest.mark.parametrize("options, says", [
    ([], "--data-dir is missing"),
    (["--data-dir", "d", "--listen", "nowhere"], "ADDR:PORT"),
    (["--data-dir", "d", "--listen", "0.0.0.0:0"], "in clear"),
    (["--data-dir", "d", "--tls-cert", "c"], "together"),
    (["--data-dir", "/proc/nothing"], "cannot be made"),
])
def test_refused_at_the_start(options, says, tmp_path):
    finished = start(tmp_path, *options)
    assert finished.returncode in (1, 2) and says in finished.stderr, finished


def test_first_password_is_printed_once(tmp_path):
    service = Service(tmp_path)
    del service.environment["PGSLUICE_ADMIN_PASSWORD"]
    service.token = "none yet"
    service.start()
    password = re.search(r"admin has the password (\w{20})", service.running.stdout)[1]
    service.login("admin", password)
    second = start(tmp_path, "--data-dir", "data", "--listen", "127.0.0.1:0")
    assert second.returncode == 1 and "in use" in second.stderr
    service.stop()
    service.start()
    assert "password" not in service.running.stdout
    service.login("admin", password)
    service.close()


def test_tls(tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "k.pem", "-out", "c.pem",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
                   cwd=tmp_path, check=True, capture_output=True)
    service = Service(tmp_path, "--tls-cert", "c.pem", "--tls-key", "k.pem")
    service.token = "none"
    service.start()
    command = ["curl", "-sS", "--cacert", "c.pem", f"https://127.0.0.1:{service.port}/healthz"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout) == {"status": "ok"}
    assert service.stop().code == 0


# -- the command line --


def test_command_line(pair, service, tmp_path):
    """The service from a shell: a token, a task from a file, its life, and its end."""
    import yaml
    pair.source.script("CREATE TABLE t (i int PRIMARY KEY); INSERT INTO t VALUES (1)")
    environment = {**os.environ, **SANITIZERS, "PGSLUICE_URL": f"http://127.0.0.1:{service.port}"}

    def run(*words, code=0, **variables):
        finished = subprocess.run([executable(), *words], capture_output=True, text=True, cwd=tmp_path, timeout=60,
                                  stdin=subprocess.DEVNULL, env={**environment, **variables}, check=False)
        assert finished.returncode == code, finished
        return finished.stdout if code == 0 else finished.stderr

    assert "token create" in run("task", "list", code=2)
    token = run("token", "create", "shell", "--user", "admin", PGSLUICE_PASSWORD=ADMIN_PASSWORD).strip()
    (tmp_path / "token").write_text(token + "\n")
    environment["PGSLUICE_TOKEN"] = token
    (tmp_path / "task.yaml").write_text(yaml.safe_dump(service.spec(pair, name="from-file")))
    task = json.loads(run("task", "create", "task.yaml", "--json"))["id"]
    assert "from-file" in run("task", "list") and "draft" in run("task", "list", "--token-file", "token")
    assert "is checking" in run("task", "check", task)
    service.wait(task, "ready")
    assert "success rate: 100 %" in run("task", "findings", task)
    run("task", "start", task)
    service.wait(task, "synchronizing")
    assert "public.t" in run("task", "tables", task)
    assert "synchronizing" in run("task", "show", task)
    assert "table.copied" in run("task", "events", task)
    run("task", "errors", task)
    assert yaml.safe_load(run("task", "export", task))["name"] == "from-file"
    assert "Release it first" in run("task", "delete", task, code=1)
    run("task", "release", task)
    service.wait(task, "released")
    run("task", "delete", task)
    run("user", "create", "anna", "--role", "viewer", PGSLUICE_PASSWORD="a-long-password")
    assert "anna" in run("user", "list") and "shell" in run("token", "list")
    assert "unknown action" in run("task", "dance", code=2)
    assert "serve" in run("task", "list", "--url", "http://127.0.0.1:1", code=1)
