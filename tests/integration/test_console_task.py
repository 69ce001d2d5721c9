"""A task's page: the bottleneck by name, objects changed while it runs, errors row by row, report, alerts, usage."""

import time

import pytest

from pgtest.receivers import WebReceiver
from pgtest.service import ADMIN_PASSWORD

BUTTON = 'role=button[name="{}"]'


def until(condition, what, timeout=60):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


@pytest.fixture
def page(service, browser):
    made = browser.page(service.url)
    made.login("admin", ADMIN_PASSWORD)
    return made


def choose(page, field, text):
    """An entry of an Ant Design select."""
    page.click(f".ant-select:has(#{field})")
    page.click(f'.ant-select-dropdown:not(.ant-select-dropdown-hidden) >> .ant-select-item-option >> text="{text}"')


def test_the_bottleneck_has_a_name(service, pair, page):
    pair.source.sql("CREATE TABLE items (id int PRIMARY KEY, name text)")
    task = service.run(pair, name="slow destination")
    page.goto(f"/tasks/{task}/tables")
    page.wait("[data-hop=apply] >> text=rows/s")
    assert page.count("[data-bottleneck=true]") == 0
    with pair.destination.connect() as blocker:
        blocker.execute("BEGIN")
        blocker.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        pair.source.sql("INSERT INTO items SELECT g, repeat('x', 500) FROM generate_series(1001, 9000) g")
        page.wait("[data-hop=apply][data-bottleneck=true]", "visible", 60000)
        page.wait("text=Applying is the bottleneck")
        page.check()
        blocker.execute("ROLLBACK")
    page.wait("[data-hop=apply][data-bottleneck=false]", "visible", 60000)


def test_objects_of_a_running_task(service, pair, page):
    pair.source.script("CREATE TABLE first (id int PRIMARY KEY); CREATE TABLE second (id int PRIMARY KEY);"
                       "INSERT INTO second SELECT generate_series(1, 300); CREATE TABLE keyless (line text)")
    task = service.run(pair, name="growing", objects=[{"schema": "public", "tables": [{"table": "first"}]}])
    page.goto(f"/tasks/{task}/objects")
    page.wait("[data-schema=public] >> text=first")
    page.check()

    # what the precheck would refuse is refused, and what was chosen stays
    page.click("role=button[name=/Add objects/]")
    page.click("role=treeitem >> .tree-fold")
    page.click("role=treeitem[name=/keyless/]")
    page.click(BUTTON.format("Check and add"))
    page.wait("role=dialog >> text=public.keyless", "visible", 60000)
    page.check()
    page.click("role=treeitem[name=/keyless/]")
    page.click("role=treeitem[name=/second/]")
    page.click(BUTTON.format("Check and add"))
    page.wait("[data-schema=public] >> text=second", "visible", 60000)
    until(lambda: pair.destination.value("SELECT to_regclass('public.second') IS NOT NULL")
          and pair.destination.value("SELECT count(*) FROM second") == 300, "the added table was not copied")
    service.wait(task, "synchronizing")

    page.wait('[aria-label="Remove from the task: public.first"]')
    page.click('[aria-label="Remove from the task: public.first"]')
    page.wait("text=Its rows stay in the destination")
    page.fill("#confirm-name", "public.first")
    page.click('role=dialog >> role=button[name="Remove from the task"]')
    page.wait("[data-schema=public] >> text=first", "hidden", 60000)
    assert [one["table"] for one in service.get(f"/tasks/{task}/spec")["objects"][0]["tables"]] == ["second"]


def test_errors_row_by_row(service, pair, page):
    pair.source.sql("CREATE TABLE t (id int PRIMARY KEY)")
    task = service.run(pair, name="with errors", on_error="set_aside")
    pair.destination.sql("ALTER TABLE t ADD CONSTRAINT small CHECK (id < 100)")
    pair.source.sql("INSERT INTO t VALUES (101)")
    pair.source.sql("INSERT INTO t VALUES (102)")
    until(lambda: len(service.get(f"/tasks/{task}/errors")["items"]) == 2, "nothing was set aside")
    page.goto(f"/tasks/{task}/errors")
    page.wait("text=SQLSTATE 23514")
    page.check()
    first, second = "tr:has-text('101')", "tr:has-text('102')"
    page.click(f"{second} >> role=button[name='Leave out']")
    page.wait("text=The destination will differ")
    page.click("role=dialog >> role=button[name='Leave out']")
    page.wait(second, "hidden", 30000)
    pair.destination.sql("ALTER TABLE t DROP CONSTRAINT small")
    page.click(f"{first} >> role=button[name='Try again']")
    page.wait("text=No changes are held up", "visible", 30000)
    assert pair.destination.value("SELECT string_agg(id::text, ',') FROM t") == "101"


def test_schema_report(service, pair, page):
    pair.source.script("CREATE TABLE items (id int PRIMARY KEY, name text); CREATE INDEX by_name ON items (name);"
                       "CREATE RULE r AS ON UPDATE TO items DO ALSO NOTIFY x")
    task = service.run(pair, name="report")
    page.goto(f"/tasks/{task}/schema")
    page.wait("text=public.by_name")
    page.check()
    page.fill("role=searchbox[name=/Search objects/]", "BY_NAME")
    page.wait("text=public.items", "hidden")
    page.wait("text=public.by_name")
    page.click("role=radiogroup >> text=Failed")
    page.wait("text=No object fits")


def test_own_alerts_and_class(service, pair, page):
    receiver = WebReceiver()
    try:
        service.post("/alerts/contacts", {"name": "ops", "kind": "webhook", "url": receiver.url}, status=201)
        pair.source.sql("CREATE TABLE t (id int PRIMARY KEY)")
        task = service.run(pair, name="watched")
        page.goto(f"/tasks/{task}/alerts")
        choose(page, "alert-contacts", "ops · Webhook")
        page.press("Escape")
        page.fill("#alert-lag", "1")
        page.click(BUTTON.format("Save"))
        page.wait("text=Alerts stored")
        page.check()
        assert service.get(f"/tasks/{task}/spec")["alerts"] == {"lag_seconds": 1, "contacts": ["ops"]}
        with pair.destination.connect() as blocker:
            blocker.execute("BEGIN")
            blocker.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
            pair.source.sql("INSERT INTO t VALUES (1)")
            until(receiver.events, "nobody was told")
            page.wait("text=Behind its source", "visible", 30000)
            page.wait("text=delivered", "visible", 30000)
            page.wait("nav .nav-count >> text=1", "visible", 30000)
            assert page.evaluate("document.title") == "watched · pgsluice"
            page.check()
            blocker.execute("ROLLBACK")
    finally:
        receiver.close()
    page.click("role=tab[name='Class and usage']")
    choose(page, "task-class", "small · 2,000 rows/s")
    page.click(BUTTON.format("Save"))
    page.wait("text=Class changed")
    assert service.get(f"/tasks/{task}")["class"] == "small"
    page.check()


def test_one_check_again_and_stop(service, pair, page):
    pair.source.sql("CREATE TABLE log (what text)")
    task = service.create(pair, name="checked")
    service.post(f"/tasks/{task}/check", status=202)
    service.wait(task, "check_failed", unless=())
    page.goto(f"/tasks/{task}/precheck")
    pair.source.sql("ALTER TABLE log ADD COLUMN id serial PRIMARY KEY")
    page.click('[data-check="source.identity"] >> [aria-label^="Run this check again"]')
    page.wait("text=100 % in order", "visible", 30000)
    page.click("role=button[name=/Start/]")
    page.wait('[data-state="synchronizing"]', "visible", 60000)
    page.click(BUTTON.format("More actions"))
    page.click("role=menuitem[name=Stop]")
    page.wait("text=The synchronization cannot be continued")
    page.check()
    page.fill("#confirm-name", "checked")
    page.click('role=dialog >> role=button[name="Stop"]')
    page.wait('[data-state="stopped"]', "visible", 60000)
    assert pair.source.slots() == []


def test_on_a_telephone(service, pair, browser):
    """Sections are a list, tables are cards; no page is wider than the screen."""
    pair.source.sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    task = service.run(pair, name="a task with a rather long name for a telephone")
    page = browser.page(service.url, width=390, height=844)
    page.login("admin", ADMIN_PASSWORD)
    for path, awaited in [("/", "article >> [data-state=synchronizing]"), (f"/tasks/{task}/tables", "td[data-label=Table] >> text=public.t"),
                          (f"/tasks/{task}/config", ".versions button"), ("/create", "text=Step 1 of 5: Connections"),
                          ("/settings/users", "td[data-label=Name] >> text=admin"), ("/usage/prices", ".prices")]:
        page.goto(path)
        page.wait(awaited)
        page.check()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    page.goto(f"/tasks/{task}")
    page.click('.ant-select:has([aria-label="About this task"])')
    page.click('.ant-select-dropdown:not(.ant-select-dropdown-hidden) >> text="Objects"')
    page.wait("[data-schema=public]")
    page.check()
