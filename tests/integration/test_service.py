"""`pgsluice serve`: tasks through the API on real servers, from creation to release, over kills."""

import contextlib
import datetime
import os
import random
import re
import signal
import subprocess
import time

import pytest

from pgtest import compare, openapi
from pgtest.cluster import PASSWORD
from pgtest.service import ADMIN_PASSWORD
from pgtest.sluice import executable
from pgtest.workload import RandomChanges


def fill(database, rows=1000):
    database.script(f"CREATE TABLE items (id int PRIMARY KEY, name text);"
                    f"INSERT INTO items SELECT g, 'item ' || g FROM generate_series(1, {rows}) g;")


def wait_until(condition, what, timeout=30):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not in {timeout} s"
        time.sleep(0.1)


def arrived(pair, number):
    return lambda: pair.destination.value("SELECT count(*) FROM items WHERE id = %s", [number]) == 1


def flows(pair, number):
    pair.source.sql("INSERT INTO items VALUES (%s, 'late')", [number])
    wait_until(arrived(pair, number), f"row {number} in the destination")


def test_routes_are_those_of_the_file():
    """Every route of the program is in docs/openapi.yaml and the other way round, roles included."""
    text = subprocess.run([executable(), "help", "routes"], capture_output=True, text=True,
                          check=True).stdout
    program = {(method, path, role, name) for method, path, role, name in map(str.split, text.splitlines())}
    file = {(method, re.sub(r"\{\w+\}", "*", path), operation["x-role"], operation["operationId"])
            for method, path, operation in openapi.operations() if "x-status" not in operation}
    assert program == file
    assert len(program) > 40


def test_from_creation_to_release(pair, service):
    fill(pair.source)
    task = service.create(pair)
    assert service.get(f"/tasks/{task}")["actions"] == ["edit", "check", "delete"]
    assert service.post(f"/tasks/{task}/start", status=409)["type"] == "wrong_state"
    service.post(f"/tasks/{task}/check", status=202)
    checked = service.wait(task, "ready")
    assert checked["precheck"]["rate"] == 100 and checked["precheck"]["failed"] == 0
    assert service.get(f"/tasks/{task}/findings")["items"]
    plan = service.get(f"/tasks/{task}/plan")
    assert plan["slot"] == f"pgsluice_{task}" and plan["routes"][0]["table"] == "items"
    assert service.get(f"/tasks/{task}/errors")["items"] == []

    service.post(f"/tasks/{task}/start", status=202)
    service.wait(task, "synchronizing")
    flows(pair, 5000)
    wait_until(lambda: (service.get(f"/tasks/{task}")["progress"] or {}).get("inserts", 0) >= 1, "progress")
    wait_until(lambda: service.get(f"/tasks/{task}/tables")["items"][0]["inserts"] == 1, "the table's progress")
    found = service.get(f"/tasks/{task}")
    assert found["progress"]["stage"] == "streaming" and found["worker"]["pid"] > 0
    tables = service.get(f"/tasks/{task}/tables")
    assert [(row["table"], row["rows"]) for row in tables["items"]] == [("public.items", 1000)]
    assert service.get(f"/tasks/{task}/errors")["items"] == []
    assert service.call("DELETE", f"/tasks/{task}", status=409)

    service.post(f"/tasks/{task}/pause", status=202)
    service.wait(task, "paused")
    assert service.get(f"/tasks/{task}")["worker"] is None
    assert pair.source.slots() != []
    pair.source.sql("UPDATE items SET name = 'while paused' WHERE id <= 10")
    service.post(f"/tasks/{task}/resume", status=202)
    service.wait(task, "synchronizing")
    flows(pair, 5001)
    compare.assert_equal(pair.source, pair.destination)

    service.post(f"/tasks/{task}/release", status=202)
    service.wait(task, "released")
    assert pair.source.slots() == [] and pair.source.publications() == []
    assert "pgsluice" not in pair.destination.schemas()
    compare.assert_equal(pair.source, pair.destination)
    events = service.get(f"/tasks/{task}/events?limit=1000")["items"]
    states = [event["fields"]["state"] for event in reversed(events) if event["event"] == "task.state"]
    assert states == ["checking", "ready", "initializing", "synchronizing", "pausing", "paused",
                      "initializing", "synchronizing", "releasing", "released"]
    log = service.call("GET", f"/tasks/{task}/log").body.decode()
    assert log == service.log(task)
    assert len(service.call("GET", f"/tasks/{task}/log?bytes=20").body) <= 20
    service.call("DELETE", f"/tasks/{task}", status=204)
    service.call("GET", f"/tasks/{task}", status=404)
    actions = {entry["action"] for entry in service.get("/audit?limit=1000")["items"]
               if entry["object"] == task}
    assert {"create_task", "check_task", "start_task", "pause_task", "resume_task", "release_task",
            "delete_task"} == actions


def test_goes_on_where_run_ended(pair, sluice, service):
    """A task of `pgsluice run` is taken over by its id; one id is one task."""
    fill(pair.source)
    begun = sluice(pair)
    begun.run("--until-caught-up")
    task = begun.call("plan", "--json").events()[0]["task"]
    pair.source.sql("UPDATE items SET name = 'between the two' WHERE id = 7")
    pair.destination.sql("ALTER TABLE items ADD COLUMN not_copied_again int")
    assert service.run(pair, id=task) == task
    wait_until(lambda: pair.destination.value("SELECT name FROM items WHERE id = 7") == "between the two", "row 7")
    flows(pair, 5000)
    assert pair.destination.value("SELECT count(*) FROM items") == 1001
    assert pair.source.slots() == [f"pgsluice_{task}"]
    taken = service.post("/tasks", {"spec": service.spec(pair, id=task)}, status=409)
    assert taken["type"] == "conflict" and "Leave id out" in taken["hint"]
    wrong = service.post("/tasks", {"spec": service.spec(pair, id="No such id")}, status=422)
    assert "8 to 16" in str(wrong)


def test_full_copy_only_finishes(pair, service):
    fill(pair.source)
    task = service.run(pair, stages=["schema", "full"])
    service.wait(task, "finished")
    compare.assert_equal(pair.source, pair.destination)
    service.post(f"/tasks/{task}/release", status=202)
    service.wait(task, "released")


def test_a_failed_check_is_cured_or_ignored(pair, service):
    """A table without identity fails the check; the remedy, carried out, cures it."""
    fill(pair.source)
    pair.source.sql("CREATE TABLE log (what text)")
    task = service.create(pair)
    service.post(f"/tasks/{task}/check", status=202)
    failed = service.wait(task, "check_failed", unless=())
    assert failed["precheck"]["rate"] < 100
    findings = [finding for finding in service.get(f"/tasks/{task}/findings")["items"]
                if finding["result"] == "failed"]
    assert [finding["object"] for finding in findings] == ["public.log"]
    assert findings[0]["cause"] and findings[0]["remedy"]
    service.post(f"/tasks/{task}/start", status=409)
    pair.source.sql("ALTER TABLE log ADD COLUMN id serial PRIMARY KEY")
    service.post(f"/tasks/{task}/check", status=202)
    service.wait(task, "ready")


def test_worker_killed(pair, service):
    fill(pair.source)
    task = service.run(pair)
    first = service.get(f"/tasks/{task}")["worker"]
    os.kill(first["pid"], signal.SIGKILL)
    service.wait(task, "retrying", "initializing")
    flows(pair, 5000)
    again = service.wait(task, "synchronizing")
    assert again["worker"]["pid"] != first["pid"] and again["worker"]["restarts"] == 1
    compare.assert_equal(pair.source, pair.destination)


def wakes(pid):
    """How often the threads of a process went to sleep by themselves."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status", encoding="ascii") as handle:
            total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", handle.read(), re.M)[1])
    return total


def test_an_idle_task_sleeps(pair, service):
    """Whatever else its cluster does; and it is awake at once when something comes."""
    fill(pair.source)
    task = service.run(pair)
    pid = service.get(f"/tasks/{task}")["worker"]["pid"]
    elsewhere = pair.source.cluster.create_database("elsewhere")
    elsewhere.sql("CREATE TABLE noise (n int)")

    def noise(seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            elsewhere.sql("INSERT INTO noise VALUES (1)")
            time.sleep(0.05)

    noise(15)
    before = wakes(pid)
    noise(5)
    assert wakes(pid) - before < 60, "in five seconds"
    assert pair.destination.value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE %s",
                                  [f"%{task}%"]) <= 3
    started = time.monotonic()
    flows(pair, 5000)
    assert time.monotonic() - started < 3
    elsewhere.drop()


@pytest.mark.parametrize("end", ["kill9", "stop"])
def test_service_ends_and_starts_again(end, pair, make_pair, service):
    """Whether killed or stopped: no worker stays behind, and at the next start all go on by themselves."""
    other = make_pair()
    for one in (pair, other):
        fill(one.source)
    tasks = [service.run(pair, name="a"), service.run(other, name="b")]
    workers = [service.get(f"/tasks/{task}")["worker"]["pid"] for task in tasks]
    finished = getattr(service, end)()
    assert finished.code == (0 if end == "stop" else -9), finished
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), "workers gone", 10)
    for one in (pair, other):
        one.source.sql("INSERT INTO items VALUES (6000, 'nobody was there')")
    service.start()
    for task, one in zip(tasks, (pair, other)):
        service.wait(task, "synchronizing")
        wait_until(arrived(one, 6000), "what was missed")
        flows(one, 6001)
        compare.assert_equal(one.source, one.destination)
        assert one.source.value("SELECT count(*) FROM pg_replication_slots WHERE database = "
                                "current_database()") == 1
    assert service.get("/summary")["states"] == {"synchronizing": 2}


def kill_everything(service, tasks):
    """The service and the tasks' processes, in an order of chance."""
    pids = [worker["pid"] for worker in (service.get(f"/tasks/{task}")["worker"] for task in tasks) if worker]
    dice = random.Random()
    if dice.random() < 0.5:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    if dice.random() < 0.7:
        service.kill9()
        service.start()


@pytest.mark.parametrize("times", [6, pytest.param(50, marks=pytest.mark.long)])
def test_kills_under_load(times, pair, service):
    """Service, processes and both are killed while rows change: in the end all is equal, nothing is lost."""
    load = RandomChanges(pair.source, rows=500).create()
    task = service.run(pair, keyless="insert_only")
    with load:
        for _ in range(times):
            time.sleep(random.uniform(0, 2))
            kill_everything(service, [task])
    service.wait(task, "synchronizing", timeout=120)
    assert load.transactions > 20
    wait_until(lambda: same_now(pair), "both sides equal", 60)
    assert service.get("/summary")["tasks"] == 1
    assert len(pair.source.slots()) == 1


def same_now(pair):
    with contextlib.suppress(AssertionError):
        compare.assert_equal(pair.source, pair.destination)
        return True
    return False


def test_one_table_again(pair, service):
    fill(pair.source)
    task = service.run(pair)
    pair.destination.sql("DELETE FROM items WHERE id <= 10")
    service.post(f"/tasks/{task}/tables/public.nothing/resync", status=502)
    service.post(f"/tasks/{task}/tables/public.items/resync", status=202)
    wait_until(lambda: pair.destination.value("SELECT count(*) FROM items") == 1000, "the rows are back", 60)
    flows(pair, 5000)


def test_lowest_retry_time_holds(pair, make_pair, service):
    """Of tasks on the same servers the lowest one's holds, also for those that ran before it."""
    fill(pair.source)
    other = make_pair()
    fill(other.source)
    service.run(pair, name="low", retry_minutes=15)
    second = service.run(other, name="high", retry_minutes=600)
    pairs = [make_pair(), make_pair()]
    for one in pairs:
        fill(one.source)
    first = service.run(pairs[0], name="before", retry_minutes=300)
    third = service.run(pairs[1], name="after", retry_minutes=12)
    time.sleep(2)
    other.source.cluster.kill9()
    try:
        for task in (first, second, third):
            retrying = service.wait(task, "retrying", unless=())
            wait_until(lambda task=task: service.get(f"/tasks/{task}")["retry"]["until"], "until when")
            retry = service.get(f"/tasks/{task}")["retry"]
            since, until = (datetime.datetime.fromisoformat(retry[key].replace("Z", "+00:00"))
                            for key in ("since", "until"))
            assert abs((until - since).total_seconds() - 12 * 60) < 60, retry
        assert retrying["actions"] == ["pause", "stop", "release"]
    finally:
        other.source.cluster.start()
    service.wait(second, "synchronizing", timeout=90)
    flows(other, 5000)


def test_killed_at_random_moments(pair, service):
    """During the copy too: the task ends in step, nothing is doubled."""
    fill(pair.source, 100_000)
    task = service.create(pair)
    service.post(f"/tasks/{task}/check", status=202)
    service.wait(task, "ready")
    service.post(f"/tasks/{task}/start", status=202)
    for number, wait in enumerate((0.05, 0.3, 0.7, 1.5)):
        time.sleep(wait)
        service.kill9()
        pair.source.sql("INSERT INTO items VALUES (%s, 'between')", [200_000 + number])
        service.start()
    service.wait(task, "synchronizing", timeout=90)
    flows(pair, 300_000)
    compare.assert_equal(pair.source, pair.destination)


def test_a_task_that_cannot_go_on_says_why(pair, service):
    fill(pair.source)
    task = service.run(pair)
    pair.destination.sql("INSERT INTO items VALUES (7000, 'was here first')")
    pair.source.sql("INSERT INTO items VALUES (7000, 'the same')")
    failed = service.wait(task, "failed", unless=())
    assert failed["reason"] and failed["last_error"]["message"] == failed["reason"]
    assert failed["actions"] == ["edit", "resume", "stop", "release"]
    errors = service.get(f"/tasks/{task}/errors")["items"]
    assert len(errors) == 1 and errors[0]["table"] == "items" and errors[0]["state"] == "stopped"
    done = service.post(f"/tasks/{task}/errors/skip", {"ids": [errors[0]["id"]]})
    assert "1 change" in done["message"]
    service.post(f"/tasks/{task}/resume", status=202)
    service.wait(task, "synchronizing")
    flows(pair, 7001)


def test_edited_while_paused(pair, service):
    fill(pair.source)
    task = service.run(pair)
    service.call("PUT", f"/tasks/{task}/spec", {}, status=428)
    answer = service.call("GET", f"/tasks/{task}/spec")
    spec = {**answer.json, "workers": 3}
    etag = {"If-Match": answer.headers["ETag"]}
    assert service.call("PUT", f"/tasks/{task}/spec", spec, headers=etag, status=409)
    service.post(f"/tasks/{task}/pause", status=202)
    service.wait(task, "paused")
    changed = service.call("PUT", f"/tasks/{task}/spec", spec, headers=etag)
    assert changed.json["workers"] == 3 and changed.headers["ETag"] != answer.headers["ETag"]
    service.call("PUT", f"/tasks/{task}/spec", spec, headers=etag, status=412)
    assert [row["version"] for row in service.get(f"/tasks/{task}/spec/history")["items"]] == [2, 1]
    assert "workers" not in service.get(f"/tasks/{task}/spec/history/1")
    service.post(f"/tasks/{task}/resume", status=202)  # with the password that was kept
    service.wait(task, "synchronizing")
    flows(pair, 5000)


def test_a_kept_password_is_not_sent_elsewhere(pair, service):
    task = service.create(pair)
    answer = service.call("GET", f"/tasks/{task}/spec")
    answer.json["source"]["host"] = "192.0.2.1"
    problem = service.call("PUT", f"/tasks/{task}/spec", answer.json, status=422,
                           headers={"If-Match": answer.headers["ETag"]}).json
    assert problem["errors"][0]["path"] == "/source/password"


def test_yaml_in_and_out(pair, service):
    import yaml
    spec = service.spec(pair, keyless="insert_only", workers=2)
    spec["source"]["user"] = "007"  # text that looks like a number stays text
    created = service.call("POST", "/tasks", yaml.safe_dump(spec), status=201,
                           headers={"Content-Type": "application/yaml"}).json
    text = service.call("GET", f"/tasks/{created['id']}/spec", headers={"Accept": "application/yaml"}).body
    back = yaml.safe_load(text)
    for side in ("source", "destination"):
        del spec[side]["password"]
    assert back == {**spec, "id": created["id"]}


@pytest.mark.parametrize("change, path", [
    ({"worker": 3}, "/worker"),
    ({"workers": 1000}, "/workers"),
    ({"objects": [{"schema": "public", "tables": [{"table": "a", "wher": "x"}]}]}, "/objects/0/tables/0/wher"),
    ({"objects": []}, "/objects"),
    ({"source": {"host": "h", "database": "d", "user": "u", "password_file": "/etc/shadow"}},
     "/source/password_file"),
    ({"source": {"host": "h", "database": "d", "user": "u", "port": 99999}}, "/source/port"),
    ({"destination": {"host": "h", "user": "u"}}, "/destination/database"),
])
def test_wrong_specifications_name_the_field(change, path, pair, service):
    problem = service.post("/tasks", {"spec": {**service.spec(pair), **change}}, status=422)
    assert [error["path"] for error in problem["errors"]] == [path], problem
    assert service.get("/tasks")["items"] == []


def test_plan_before_creation(pair, service):
    fill(pair.source)
    plan = service.post("/preview/plan", {"spec": service.spec(pair)})
    assert [route["table"] for route in plan["routes"]] == ["items"]
    assert any("items" in (made.get("sql") or "") for made in plan["objects"])
    wrong = service.spec(pair, objects=[{"schema": "public", "tables": [{"table": "itens"}]}])
    problem = service.post("/preview/plan", {"spec": wrong}, status=422)
    assert "items" in problem["detail"] + problem["hint"]
    assert service.get("/tasks")["items"] == []


def test_creation_can_be_repeated(pair, service):
    body = {"spec": service.spec(pair)}
    key = {"Idempotency-Key": "once-and-only-once"}
    first = service.post("/tasks", body, headers=key, status=201)
    assert service.post("/tasks", body, headers=key, status=201)["id"] == first["id"]
    body["spec"]["name"] = "another"
    assert service.post("/tasks", body, headers=key, status=409)["type"] == "conflict"
    assert len(service.get("/tasks")["items"]) == 1
    clone = service.post(f"/tasks/{first['id']}/clone", {"name": "second"}, status=201)
    assert clone["id"] != first["id"]
    page = service.get("/tasks?limit=1")
    assert len(page["items"]) == 1 and page["next_cursor"]
    rest = service.get(f"/tasks?limit=1&cursor={page['next_cursor']}")
    assert {page["items"][0]["id"], rest["items"][0]["id"]} == {first["id"], clone["id"]}
    assert rest["next_cursor"] is None


# -- connections --


def test_connectivity(pair, service):
    endpoint = service.spec(pair)["source"]
    good = service.post("/connections/test", {"side": "source", "endpoint": endpoint})
    assert good["reached"] and good["replication"]["reached"] and good["rights"]["superuser"]
    wrong = service.post("/connections/test", {"side": "source", "endpoint": {**endpoint, "database": "no"}})
    assert not wrong["reached"] and wrong["sqlstate"] == "3D000" and "no" in wrong["cause"] and wrong["hint"]
    nowhere = service.post("/connections/test", {"side": "source", "endpoint": {**endpoint, "port": 1}})
    assert not nowhere["reached"] and nowhere["cause"] and nowhere["hint"]
    stored = service.post("/connections", {"name": "shop", "endpoint": endpoint}, status=201)
    assert stored["endpoint"]["has_password"] and "password" not in stored["endpoint"]
    by_template = {"side": "destination", "connection": stored["id"]}
    assert service.post("/connections/test", by_template)["reached"]
    renamed = service.call("PUT", f"/connections/{stored['id']}",
                           {"name": "shop 2", "endpoint": {k: v for k, v in endpoint.items() if k != "password"}})
    assert renamed.json["name"] == "shop 2" and renamed.json["endpoint"]["has_password"]
    moved = {"name": "shop 2", "endpoint": {**stored["endpoint"], "host": "192.0.2.1"}}
    service.call("PUT", f"/connections/{stored['id']}", moved, status=422)
    assert service.get("/connections?q=SHOP")["items"][0]["endpoint"]["has_password"]
    spec = service.spec(pair)
    del spec["source"]
    task = service.post("/tasks", {"spec": spec, "source_connection": stored["id"]}, status=201)["id"]
    service.call("DELETE", f"/connections/{stored['id']}", status=204)
    assert service.post("/connections/test", {"side": "source", "task": task})["reached"]


def test_tree_of_objects(pair, service):
    pair.source.script("CREATE SCHEMA \"Odd name\"; CREATE TABLE \"Odd name\".t (a int, b text, "
                       "PRIMARY KEY (b, a)); CREATE TABLE keyless (v text);"
                       + "".join(f"CREATE TABLE many_{i} (id int PRIMARY KEY);" for i in range(25)))
    where = {"side": "source", "endpoint": service.spec(pair)["source"]}
    schemas = service.post("/connections/objects", where)["items"]
    assert {row["name"]: row["tables"] for row in schemas} == {"Odd name": 1, "public": 26}
    names, cursor = [], None
    while True:
        page = service.post("/connections/objects", {**where, "schema": "public", "search": "MANY", "limit": 10,
                                                     **({"cursor": cursor} if cursor else {})})
        names += [row["name"] for row in page["items"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert names == sorted(f"many_{i}" for i in range(25))
    odd = service.post("/connections/objects", {**where, "schema": "Odd name"})["items"][0]
    assert odd["key"] == ["b", "a"] and odd["identity"] == "key"
    columns = service.post("/connections/objects", {**where, "schema": "Odd name", "table": "t"})["items"]
    assert [(row["name"], row["type"], row["in_key"]) for row in columns] == [
        ("a", "integer", True), ("b", "text", True)]
    keyless = service.post("/connections/objects", {**where, "schema": "public", "search": "keyless"})["items"]
    assert keyless[0]["identity"] == "none"


# -- events --


def test_stream_of_events(pair, service):
    """What happens is sent at once; a client that comes back gets what it missed."""
    import http.client
    fill(pair.source)
    task = service.create(pair)

    def listen(last=None):
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
        connection.request("GET", f"/api/v1/tasks/{task}/events", headers={
            "Accept": "text/event-stream", "Authorization": f"Bearer {service.token}",
            **({"Last-Event-ID": last} if last else {})})
        response = connection.getresponse()
        assert response.headers["Content-Type"] == "text/event-stream"
        return connection, response

    def read_until(response, wanted):
        last = None
        while True:
            line = response.readline().decode()
            assert line
            if line.startswith("id: "):
                last = line[4:].strip()
            if wanted in line:
                return last

    connection, response = listen()
    service.post(f"/tasks/{task}/check", status=202)
    read_until(response, '"state":"checking"')
    last = read_until(response, '"state":"ready"')
    connection.close()
    service.post(f"/tasks/{task}/start", status=202)
    service.wait(task, "synchronizing")
    connection, response = listen(last)
    read_until(response, '"state":"initializing"')
    read_until(response, "event: table.copied")
    read_until(response, "event: progress")
    connection.close()
    wait_until(lambda: service.get(f"/tasks/{task}/metrics")["times"], "a point of the metrics")
    text = service.call("GET", "/metrics").body.decode()
    assert f'pgsluice_task_lag_seconds{{task="{task}"}}' in text
    assert f'pgsluice_task_state{{task="{task}",state="synchronizing"}} 1' in text


# -- secrets --


def test_secrets_are_nowhere(pair, service):
    fill(pair.source)
    task = service.run(pair)
    service.post("/connections", {"name": "c", "endpoint": service.spec(pair)["source"]}, status=201)
    service.post("/drafts", {"name": "d", "content": {"source": {"password": PASSWORD}}}, status=201)
    draft = service.get("/drafts")["items"][0]
    assert service.get(f"/drafts/{draft['id']}")["content"] == {"source": {"password": None}}
    assert service.post("/tasks", {"spec": {**service.spec(pair), "workers": "x"}}, status=422)
    worker = service.get(f"/tasks/{task}")["worker"]["pid"]
    secrets = [secret.encode() for secret in (PASSWORD, ADMIN_PASSWORD, service.token)]
    places = {}
    for pid in (service.running.pid, worker):
        for name in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{name}", "rb") as handle:
                places[f"{name} of {pid}"] = handle.read()
    for directory, _, names in os.walk(service.data_dir):
        for name in names:
            with open(os.path.join(directory, name), "rb") as handle:
                places[name] = handle.read()
    places["output"] = (service.running.stdout + service.running.stderr).encode()
    for path in ("/tasks", f"/tasks/{task}", f"/tasks/{task}/spec", "/connections", "/tokens", "/users",
                 f"/tasks/{task}/events?limit=1000", "/audit"):
        places[path] = service.call("GET", path).body
    assert b"pgsluice" in places[f"cmdline of {worker}"]
    assert any(task.encode() in content for name, content in places.items() if name.startswith("catalog"))
    for where, content in places.items():
        for secret in secrets:
            assert secret not in content, f"{secret!r} in {where}"
    with open(f"/proc/{worker}/limits", encoding="ascii") as handle:
        assert re.search(r"Max core file size\s+0\s+0", handle.read())
