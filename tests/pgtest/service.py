"""Drives `pgsluice serve`: starts it, speaks its API, kills it. Every answer is judged by docs/openapi.yaml."""

import http.client
import json
import os
import re
import signal
import time
import urllib.parse

from pgtest import openapi
from pgtest.cluster import PASSWORD
from pgtest.sluice import SANITIZERS, Running, executable

ADMIN_PASSWORD = "first-admin-password"


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body
        kind = headers.get("Content-Type", "")
        self.json = json.loads(body) if "json" in kind and body else None

    def __repr__(self):
        return f"{self.status} {self.body[:2000]!r}"


class Service:
    """One data directory and the process that serves it."""

    def __init__(self, directory, *options, listen="127.0.0.1:0"):
        self.directory = str(directory)
        self.data_dir = os.path.join(self.directory, "data")
        self.options = options
        self.listen = listen
        self.environment = {**os.environ, **SANITIZERS, "PGSLUICE_ADMIN_PASSWORD": ADMIN_PASSWORD}
        self.running = None
        self.token = None
        self.finished = []

    def start(self):
        self.running = Running([executable(), "serve", "--data-dir", self.data_dir, "--listen",
                                self.listen, *self.options], self.environment, self.directory)
        self.running.wait_output("listening on", timeout=60)
        self.port = int(re.search(r"listening on \w+://\S*:(\d+)", self.running.stderr)[1])
        if self.token is None:
            self.token = self.login_token()
        return self

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self, timeout=60):
        self.running.send(signal.SIGTERM)
        finished = self.running.wait(timeout)
        self.finished.append(finished)
        return finished

    def kill9(self):
        finished = self.running.kill9()
        self.finished.append(finished)
        return finished

    def close(self):
        if self.running and self.running.running():
            self.running.kill9()

    # -- requests --

    def raw(self, method, path, body=None, headers=None, timeout=60):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def call(self, method, path, body=None, status=None, headers=None, token=True, timeout=150):
        """One request; `status` is what it has to be answered with (default: below 300)."""
        sent = dict(headers or {})
        if token and self.token:
            sent.setdefault("Authorization", f"Bearer {self.token if token is True else token}")
        if isinstance(body, (dict, list)):
            sent.setdefault("Content-Type", "application/json")
            body = json.dumps(body)
        if not path.startswith("/healthz") and not path.startswith("/readyz") \
                and not path.startswith("/metrics"):
            path = "/api/v1" + path
        answer = self.raw(method, path, body, sent, timeout)
        assert answer.status < 300 if status is None else answer.status == status, (
            f"{method} {path}: {answer!r}\n{self.running.describe()}")
        if (answer.json or {}).get("type") != "unknown_route":
            openapi.check_answer(method, urllib.parse.urlsplit(path).path, answer.status,
                                 answer.headers.get("Content-Type", ""), answer.json)
        return answer

    def get(self, path, **more):
        return self.call("GET", path, **more).json

    def post(self, path, body=None, **more):
        return self.call("POST", path, body, **more).json

    def login(self, user="admin", password=ADMIN_PASSWORD, status=200):
        return self.call("POST", "/session", {"user": user, "password": password}, status=status,
                         token=False)

    def login_token(self, user="admin", password=ADMIN_PASSWORD, **more):
        answer = self.login(user, password)
        headers = {"Cookie": answer.headers["Set-Cookie"].split(";")[0],
                   "X-CSRF-Token": answer.json["csrf_token"]}
        return self.call("POST", "/tokens", {"name": "tests", **more}, headers=headers,
                         token=False).json["token"]

    # -- tasks --

    def spec(self, pair, name="test", **more):
        def endpoint(database):
            params = database.params()
            return {"host": params["host"], "port": int(params["port"]), "database": params["dbname"],
                    "user": params["user"], "password": params.get("password", PASSWORD)}
        return {"name": name, "source": endpoint(pair.source), "destination": endpoint(pair.destination),
                "objects": [{"schema": "public"}], **more}

    def create(self, pair, **more):
        return self.post("/tasks", {"spec": self.spec(pair, **more)}, status=201)["id"]

    def wait(self, task, *states, timeout=60, unless=("failed", "check_failed")):
        deadline = time.monotonic() + timeout
        while True:
            found = self.get(f"/tasks/{task}")
            if found["state"] in states:
                return found
            assert found["state"] not in unless, f"{found}\n{self.log(task)}"
            assert time.monotonic() < deadline, f"not {states}: {found}\n{self.log(task)}"
            time.sleep(0.1)

    def run(self, pair, **more):
        """Creates a task, checks and starts it; returns its id when it synchronizes."""
        task = self.create(pair, **more)
        self.post(f"/tasks/{task}/check", status=202)
        self.wait(task, "ready")
        self.post(f"/tasks/{task}/start", status=202)
        self.wait(task, "synchronizing", "finished")
        return task

    def log(self, task):
        try:
            with open(os.path.join(self.data_dir, "log", f"{task}.log"), encoding="utf-8") as handle:
                return handle.read()[-5000:]
        except FileNotFoundError:
            return "(no log)"
