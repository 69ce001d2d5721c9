"""Alerts of the service: real receivers of webhooks and mail on loopback, programs; rules on real tasks."""

import base64
import hashlib
import hmac
import json
import os
import struct
import subprocess
import time
import urllib.parse

import pytest

from pgtest.receivers import MailReceiver, WebReceiver
from pgtest.sluice import executable


def wait_until(condition, what, timeout=30):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not in {timeout} s"
        time.sleep(0.1)


@pytest.fixture
def web():
    made = WebReceiver()
    yield made
    made.close()


@pytest.fixture
def make_mail(tmp_path):
    made = []

    def make(**more):
        made.append(MailReceiver(str(tmp_path), **more))
        return made[-1]
    yield make
    for receiver in made:
        receiver.close()


class Clock:
    """The test clock: what it holds is added to the service's and its workers' clocks."""

    def __init__(self, path):
        self.path = str(path)
        self.set(0)

    def set(self, seconds):
        with open(self.path, "r+b" if os.path.exists(self.path) else "wb") as handle:
            handle.write(struct.pack("=q", int(seconds * 1e6)))


def contact(service, **content):
    return service.post("/alerts/contacts", content, status=201)["id"]


def rule(service, contacts, kind="lag", **more):
    return service.post("/alerts/rules", {"name": f"{kind} rule", "kind": kind, "contacts": contacts, **more},
                        status=201)["id"]


def fill(database):
    database.script("CREATE TABLE items (id int PRIMARY KEY, name text);"
                    "INSERT INTO items SELECT g, 'item ' || g FROM generate_series(1, 100) g;")


class Blocked:
    """Holds the destination's table, so that the stream cannot go on."""

    def __init__(self, pair, service, task):
        self.connection = pair.destination.connect()
        self.connection.autocommit = False
        self.connection.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        pair.source.sql("UPDATE items SET name = 'late' WHERE id = 1")

    def end(self):
        self.connection.rollback()
        self.connection.close()


# -- contacts and messages --


def test_webhook_is_signed(service, web):
    made = contact(service, name="ops", kind="webhook", url=web.url, secret="shared")
    delivery = service.post(f"/alerts/contacts/{made}/test")
    assert (delivery["state"], delivery["result"], delivery["event"]) == ("delivered", "HTTP 200", "test")
    _, path, headers, body = web.received[0]
    assert path == "/hook/secret-part"
    stamp = headers["X-Pgsluice-Timestamp"]
    mac = hmac.new(b"shared", stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["X-Pgsluice-Signature"] == f"sha256={mac}"
    assert abs(int(stamp) - time.time()) < 60
    message = json.loads(body)
    assert message["event"] == "test" and message["delivery"] == delivery["id"] and "ops" in message["text"]


def test_slack_and_dingtalk_forms(service, web):
    slack = contact(service, name="slack", kind="slack", url=web.url)
    ding = contact(service, name="ding", kind="dingtalk", url=web.url + "?access_token=abc", secret="SECgeheim")
    assert service.post(f"/alerts/contacts/{slack}/test")["state"] == "delivered"
    assert json.loads(web.received[0][3])["text"].startswith("*[pgsluice] test*\n")
    web.answer = b'{"errcode": 0, "errmsg": "ok"}'
    assert service.post(f"/alerts/contacts/{ding}/test")["state"] == "delivered"
    _, path, _, body = web.received[1]
    assert json.loads(body)["msgtype"] == "text" and "pgsluice" in json.loads(body)["text"]["content"]
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)
    mac = hmac.new(b"SECgeheim", f"{query['timestamp'][0]}\nSECgeheim".encode(), hashlib.sha256).digest()
    assert query["sign"] == [base64.b64encode(mac).decode()] and query["access_token"] == ["abc"]
    web.answer = b'{"errcode": 310000, "errmsg": "sign not match"}'  # with status 200
    failed = service.post(f"/alerts/contacts/{ding}/test")
    assert failed["state"] == "failed" and "sign not match" in failed["result"]


@pytest.mark.parametrize("tls", ["none", "starttls", "tls"])
def test_mail(tls, service, make_mail):
    login = ("alerter", "mail-password") if tls != "none" else None
    mail = make_mail(tls=tls, login=login)
    more = {"user": login[0], "password": login[1], "ca_cert": mail.ca_cert} if login else {}
    made = contact(service, name="büro", kind="smtp", host="localhost", port=mail.port, tls=tls, to=["ops@example.org", "b@example.org"],
                   **{"from": "pgsluice@example.org"}, **more)
    delivery = service.post(f"/alerts/contacts/{made}/test")
    assert delivery["state"] == "delivered", delivery
    _, envelope, message = mail.mails[0]
    assert envelope.mail_from == "pgsluice@example.org"
    assert envelope.rcpt_tos == ["ops@example.org", "b@example.org"]
    assert message["Subject"] == "[pgsluice] test" and message["Message-ID"] and message["Date"]
    assert "büro" in message.get_content()
    shown = service.get("/alerts/contacts")["items"][0]
    assert "password" not in shown and shown["has_secret"] == bool(login)
    if login:
        service.call("PUT", f"/alerts/contacts/{made}", {"name": "büro", "kind": "smtp", "host": "localhost", "port": mail.port, "user": login[0],
                     "tls": tls, "password": "wrong", "from": "a@example.org", "to": ["b@example.org"], "ca_cert": mail.ca_cert})
        assert service.post(f"/alerts/contacts/{made}/test")["state"] == "failed"
        # not signed by anybody whom the system knows
        service.call("PUT", f"/alerts/contacts/{made}", {"name": "büro", "kind": "smtp", "host": "localhost", "port": mail.port, "user": login[0],
                     "tls": tls, "password": login[1], "from": "a@example.org", "to": ["b@example.org"]})
        failed = service.post(f"/alerts/contacts/{made}/test")
        assert failed["state"] == "failed" and "certificate" in failed["result"].lower()
    assert len(mail.mails) == 1


def test_program(make_service, tmp_path):
    directory = tmp_path / "commands"
    directory.mkdir()
    script = directory / "tell"
    script.write_text(f"#!/bin/sh\necho \"$1\" > {tmp_path}/told\ncat >> {tmp_path}/told\n")
    script.chmod(0o755)
    service = make_service("--alert-commands", str(directory))
    made = contact(service, name="program", kind="command", command="tell")
    assert service.post(f"/alerts/contacts/{made}/test")["result"] == "exit code 0"
    word, body = (tmp_path / "told").read_text().split("\n", 1)
    assert word == "test" and json.loads(body)["event"] == "test"
    operator = service.login_token(role="operator")
    content = {"name": "other", "kind": "command", "command": "tell"}
    service.call("POST", "/alerts/contacts", content, token=operator, status=403)
    service.call("PUT", f"/alerts/contacts/{made}", content, token=operator, status=403)
    service.call("DELETE", f"/alerts/contacts/{made}", token=operator, status=403)
    for name in ("../tell", "/bin/sh", ".hidden", "a b", ""):
        service.call("POST", "/alerts/contacts", {"name": "x", "kind": "command", "command": name}, status=422)


def test_contacts_keep_their_secrets(service, web):
    made = contact(service, name="ops", kind="webhook", url=web.url, secret="s3cret-of-hook")
    shown = service.get("/alerts/contacts")["items"]
    assert "url" not in shown[0] and shown[0]["target"] == f"http://127.0.0.1:{web.port}/…" and shown[0]["has_secret"]
    service.call("POST", "/alerts/contacts", {"name": "ops", "kind": "slack", "url": web.url}, status=409)
    service.call("PUT", f"/alerts/contacts/{made}", {"name": "operators", "kind": "webhook"})
    assert service.post(f"/alerts/contacts/{made}/test")["state"] == "delivered"
    assert "X-Pgsluice-Signature" in web.received[0][2]
    service.call("PUT", f"/alerts/contacts/{made}", {"name": "operators", "kind": "webhook", "secret": None})
    service.post(f"/alerts/contacts/{made}/test")
    assert "X-Pgsluice-Signature" not in web.received[1][2]
    used = rule(service, ["operators"], threshold=5)
    assert service.call("DELETE", f"/alerts/contacts/{made}", status=409)
    service.call("DELETE", f"/alerts/rules/{used}", status=204)
    service.call("DELETE", f"/alerts/contacts/{made}", status=204)
    for name in os.listdir(service.data_dir):
        if name.startswith("catalog"):
            with open(os.path.join(service.data_dir, name), "rb") as handle:
                content = handle.read()
            assert b"s3cret-of-hook" not in content and b"secret-part" not in content, name


@pytest.mark.parametrize("wrong, path", [
    ({"kind": "pigeon"}, "/kind"), ({"url": "file:///etc/passwd"}, "/url"), ({"url": "http://"}, "/url"),
    ({"url": "http://a b"}, "/url"), ({"host": "x"}, "/host"),
    ({"kind": "smtp", "url": None, "host": "h", "from": "no address", "to": ["a@b"]}, "/from"),
    ({"kind": "smtp", "url": None, "host": "h", "from": "a@b", "to": ["a@b\r\nBcc: c@d"]}, "/to"),
    ({"kind": "smtp", "url": None, "host": "h/x", "from": "a@b", "to": ["a@b"]}, "/host"),
    ({"kind": "smtp", "url": None, "host": "h", "from": "a@b", "to": ["a@b"], "tls": "none", "user": "u", "password": "p"}, "/tls"),
])
def test_wrong_contacts(wrong, path, service):
    content = {"name": "x", "kind": "webhook", "url": "http://127.0.0.1:9/", **wrong}
    content = {key: value for key, value in content.items() if value is not None}
    answer = service.post("/alerts/contacts", content, status=422)
    assert answer["errors"][0]["path"] == path


@pytest.mark.parametrize("wrong, path", [
    ({"kind": "mood"}, "/kind"), ({"threshold": None}, "/threshold"), ({"threshold": -1}, "/threshold"),
    ({"kind": "failed"}, "/threshold"), ({"contacts": []}, "/contacts"), ({"contacts": ["nobody"]}, "/contacts/0"),
    ({"tasks": ["nosuchtask"]}, "/tasks/0"), ({"template": "is {valeu}"}, "/template"), ({"muted_until": "soon"}, "/muted_until"),
    ({"repeat_minutes": 0}, "/repeat_minutes"), ({"for_seconds": -1}, "/for_seconds"),
])
def test_wrong_rules(wrong, path, service, web):
    contact(service, name="ops", kind="webhook", url=web.url)
    content = {"name": "x", "kind": "lag", "threshold": 5, "contacts": ["ops"], **wrong}
    assert service.post("/alerts/rules", content, status=422)["errors"][0]["path"] == path


# -- rules on tasks --


def test_lag_and_recovery(pair, service, web, make_mail):
    """At a webhook and by mail within 15 s of the threshold; the recovery too."""
    fill(pair.source)
    mail = make_mail()
    contact(service, name="web", kind="webhook", url=web.url)
    contact(service, name="mail", kind="smtp", host="127.0.0.1", port=mail.port, tls="none", to=["ops@example.org"],
            **{"from": "pgsluice@example.org"})
    made = rule(service, ["web", "mail"], threshold=3)
    task = service.run(pair, name="übung")
    blocked = Blocked(pair, service, task)
    behind_since = time.time()
    wait_until(lambda: web.received and mail.mails, "both alerts", 40)
    for when in (web.received[0][0], mail.mails[0][0]):
        assert 3 <= when - behind_since < 3 + 15
    message = web.events()[0]
    assert message["event"] == "firing" and message["rule"]["id"] == made and message["task"]["id"] == task
    assert message["value"] > 3 and message["threshold"] == 3 and "übung" in message["text"]
    assert mail.mails[0][2]["Subject"] == "[pgsluice] übung: lag" and "limit 3 s" in mail.mails[0][2].get_content()
    on = service.get("/alerts")["items"]
    assert [(alert["rule"], alert["task"], alert["told"]) for alert in on] == [(made, task, True)]
    blocked.end()
    over_since = time.time()
    wait_until(lambda: len(web.received) == 2 and len(mail.mails) == 2, "both recoveries", 40)
    for when in (web.received[1][0], mail.mails[1][0]):
        assert when - over_since < 15
    assert web.events()[1]["event"] == "recovered"
    assert service.get("/alerts")["items"] == []
    events = [event["event"] for event in service.get(f"/tasks/{task}/events?limit=1000")["items"]]
    assert events.count("alert.firing") == 1 and events.count("alert.recovered") == 1
    deliveries = service.get(f"/alerts/deliveries?task={task}")["items"]
    assert [(d["event"], d["state"]) for d in deliveries] == [("recovered", "delivered")] * 2 + [("firing", "delivered")] * 2
    page = service.get("/alerts/deliveries?limit=3")
    assert len(page["items"]) == 3 and len(service.get(f"/alerts/deliveries?cursor={page['next_cursor']}")["items"]) == 1


def test_failed_deliveries_are_retried(pair, service, web):
    """A receiver that is down gets it later; one that hangs holds up no other."""
    slow = WebReceiver()
    slow.delay = 8
    try:
        clock = Clock(os.path.join(service.directory, "clock"))
        service.stop()
        service.environment["PGSLUICE_TEST_CLOCK"] = clock.path
        service.start()
        fill(pair.source)
        contact(service, name="slow", kind="webhook", url=slow.url)
        contact(service, name="down", kind="webhook", url=web.url)
        web.status = 500
        rule(service, ["slow", "down"], kind="failed", template="{task} is {state}: {reason}")
        task = service.run(pair)
        pair.destination.sql("INSERT INTO items VALUES (5000, 'in the way')")
        pair.source.sql("INSERT INTO items VALUES (5000, 'x')")
        service.wait(task, "failed", unless=())
        wait_until(lambda: web.received, "the first attempt", 7)
        assert slow.received == []
        waiting = service.get("/alerts/deliveries?contact=down")["items"][0]
        wait_until(lambda: service.get("/alerts/deliveries?contact=down")["items"][0]["attempts"] == 1, "its result")
        waiting = service.get("/alerts/deliveries?contact=down")["items"][0]
        assert (waiting["state"], waiting["result"]) == ("waiting", "HTTP 500") and waiting["next_attempt_at"]
        service.kill9()
        service.start()
        web.status = 200
        clock.set(20)
        wait_until(lambda: service.get("/alerts/deliveries?contact=down")["items"][0]["state"] == "delivered", "the retry")
        assert web.events()[-1]["text"].startswith("test is failed: ")
        assert len(service.get("/alerts")["items"]) == 1  # over the kill
        before = len(web.received)
        again = service.post(f"/alerts/deliveries/{waiting['id']}/retry")
        assert again["state"] == "delivered" and len(web.received) == before + 1
        wait_until(lambda: slow.received, "the slow one", 30)
        firing = [event for event in web.events() if event["event"] == "firing"]
        assert len({event["delivery"] for event in firing}) == 1
    finally:
        slow.close()


def test_mute_repeat_and_own_alerts(pair, service, web):
    clock = Clock(os.path.join(service.directory, "clock"))
    service.stop()
    service.environment["PGSLUICE_TEST_CLOCK"] = clock.path
    service.start()
    fill(pair.source)
    contact(service, name="ops", kind="webhook", url=web.url)
    muted_until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    made = rule(service, ["ops"], kind="failed", muted_until=muted_until, repeat_minutes=30)
    task = service.run(pair, alerts={"contacts": ["ops"], "lag_seconds": 5})
    assert service.get(f"/tasks/{task}/spec")["alerts"]["contacts"] == ["ops"]
    service.call("PUT", f"/tasks/{task}/alerts", {"contacts": ["ops"], "on_failure": False})  # while it runs
    service.call("PUT", f"/tasks/{task}/alerts", {"contacts": ["nobody"]}, status=422)
    pair.destination.sql("INSERT INTO items VALUES (5000, 'in the way')")
    pair.source.sql("INSERT INTO items VALUES (5000, 'x')")
    service.wait(task, "failed", unless=())
    wait_until(lambda: [alert["told"] for alert in service.get("/alerts")["items"]] == [False], "the muted alert")
    time.sleep(2)
    assert web.received == []
    clock.set(3700)
    wait_until(lambda: [e["event"] for e in web.events()] == ["firing"], "told when no longer muted")
    clock.set(3700 + 1860)
    wait_until(lambda: [e["event"] for e in web.events()] == ["firing", "repeat"], "told again")
    service.call("PUT", f"/tasks/{task}/alerts", {"contacts": ["ops"]})
    wait_until(lambda: web.events()[-1]["rule"]["id"] == "own.failed", "the task's own")
    service.call("DELETE", f"/alerts/rules/{made}", status=204)
    wait_until(lambda: [alert["rule"] for alert in service.get("/alerts")["items"]] == ["own.failed"], "the rule's end")
    pair.destination.sql("DELETE FROM items WHERE id = 5000")
    service.post(f"/tasks/{task}/resume", status=202)
    service.wait(task, "synchronizing", unless=())
    wait_until(lambda: web.events()[-1]["event"] == "recovered", "recovery")


def test_command_line(service, web, tmp_path):
    environment = {**os.environ, "PGSLUICE_URL": f"http://127.0.0.1:{service.port}", "PGSLUICE_TOKEN": service.token}

    def run(*words, code=0):
        done = subprocess.run([executable(), "alert", *words], env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, done
        return done.stdout
    (tmp_path / "contact.yaml").write_text(f"name: ops\nkind: webhook\nurl: {web.url}\n")
    (tmp_path / "rule.yaml").write_text("name: late\nkind: lag\nthreshold: 60\nfor_seconds: 30\ncontacts: [ops]\n")
    made = run("contact", str(tmp_path / "contact.yaml")).strip()
    assert run("test", made) == "delivered: HTTP 200\n"
    late = run("rule", str(tmp_path / "rule.yaml")).strip()
    assert late in run("rules") and "ops" in run("contacts") and "delivered" in run("deliveries")
    (tmp_path / "rule.json").write_text('{"name": "later", "kind": "lag", "threshold": 0.5, "contacts": ["ops"]}')
    run("change-rule", late, str(tmp_path / "rule.json"))
    assert json.loads(run("rules", "--json"))["items"][0]["threshold"] == 0.5
    run("delete-contact", made, code=1)
    run("delete-rule", late)
    run("delete-contact", made)
    run("change-rule", late, code=2)
    assert "delete-contact" in run("--help")
