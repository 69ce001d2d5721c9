"""The way of a new user through the console: from the login to a synchronizing task, its troubles and its end."""

import time

from pgtest.cluster import PASSWORD
from pgtest.service import ADMIN_PASSWORD

BUTTON = 'role=button[name="{}"]'


def fill_side(page, side, database):
    params = database.params()
    page.fill(f"#{side}-host", params["host"])
    page.fill(f"#{side}-port", str(params["port"]))
    page.fill(f"#{side}-database", params["dbname"])
    page.fill(f"#{side}-user", params["user"])
    page.fill(f"#{side}-password", params.get("password", PASSWORD))


def wait_until(condition, what, timeout=30):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def test_from_login_to_release(service, pair, browser):
    pair.source.sql("CREATE TABLE orders (id int PRIMARY KEY, what text);"
                    " INSERT INTO orders SELECT i, 'x' FROM generate_series(1, 5000) i; CREATE TABLE log (line text)")
    began = time.monotonic()
    page = browser.page(service.url)
    page.login("admin", ADMIN_PASSWORD)
    page.click("role=link[name=/Create task/]")

    # a wrong port is said where it is entered, and what was typed stays
    fill_side(page, "source", pair.source)
    fill_side(page, "destination", pair.destination)
    page.fill("#source-port", "1")
    page.click(BUTTON.format("Test and continue"))
    page.wait("text=Not reached")
    page.check()
    assert page.value("#destination-database") == pair.destination.params()["dbname"]
    page.fill("#source-port", str(pair.source.params()["port"]))
    page.click(BUTTON.format("Test and continue"))

    page.click("role=treeitem[name=/public/]")
    page.wait("text=1 whole schema")
    page.wait("text=Draft saved")
    page.check()
    page.click(BUTTON.format("Continue"))
    page.check()
    page.click(BUTTON.format("Run precheck"))

    # the precheck names the table without a key; cured as it says, and run again
    page.wait('[data-check="source.identity"][data-result="failed"]')
    page.wait("text=REPLICA IDENTITY FULL")
    page.check()
    assert not page.enabled(BUTTON.format("Continue"))
    pair.source.sql("ALTER TABLE log REPLICA IDENTITY FULL")
    page.click("role=button[name=/Run again/]")
    page.wait("text=100 % in order")
    page.click(BUTTON.format("Continue"))

    page.wait("text=Everything is ready to start")
    page.wait("text=public.orders")
    page.check()
    page.click(BUTTON.format("Start synchronization"))
    page.wait('[data-state="synchronizing"]', "visible", 60000)
    assert page.clicks < 25 and time.monotonic() - began < 180
    pair.source.sql("INSERT INTO orders VALUES (5001, 'later')")
    wait_until(lambda: pair.destination.value("SELECT count(*) FROM orders") == 5001, "the row did not come")
    page.wait("text=public.orders")
    page.check()
    assert service.get("/drafts")["items"] == []

    page.click("role=button[name=/Pause/]")
    page.wait('[data-state="paused"]')
    page.wait("text=The source keeps")
    page.click("role=button[name=/Resume/]")
    page.wait('[data-state="synchronizing"]', "visible", 60000)

    # a change that cannot be applied stops the task; cured in the destination, it goes on
    pair.destination.sql("ALTER TABLE orders ADD CONSTRAINT small CHECK (id < 6000)")
    pair.source.sql("INSERT INTO orders VALUES (6001, 'too large')")
    page.wait('[data-state="failed"]', "visible", 60000)
    page.click("role=tab[name=Errors]")
    page.wait("text=SQLSTATE 23514")
    page.check()
    pair.destination.sql("ALTER TABLE orders DROP CONSTRAINT small")
    page.click("role=button[name=/Resume/]")
    page.wait('[data-state="synchronizing"]', "visible", 60000)
    wait_until(lambda: pair.destination.value("SELECT count(*) FROM orders") == 5002, "the row did not come")

    # release says what it removes, and wants the name
    page.click(BUTTON.format("More actions"))
    page.click("role=menuitem[name=Release]")
    page.wait("text=the replication slot pgsluice_")
    assert not page.enabled('role=dialog >> role=button[name="Release"]')
    page.check()
    page.fill("#confirm-name", page.text("h1"))
    page.click('role=dialog >> role=button[name="Release"]')
    page.wait('[data-state="released"]', "visible", 60000)
    assert not pair.source.slots()
    for tab, awaited in [("Metrics", ".uplot, text=Nothing was measured"), ("Events", ".event"),
                         ("Configuration", ".versions"), ("Log", ".log")]:
        page.click(f"role=tab[name={tab}]")
        page.wait(awaited if tab != "Metrics" else "role=radiogroup")
        page.check()


def test_a_draft_waits_for_its_user(service, pair, browser):
    page = browser.page(service.url)
    page.login("admin", ADMIN_PASSWORD)
    page.goto("/create")
    fill_side(page, "source", pair.source)
    page.wait("text=Draft saved")
    page.goto("/create")
    page.click(BUTTON.format("Go on"))
    wait_until(lambda: page.value("#source-database") == pair.source.params()["dbname"], "the draft is not shown")
    assert page.value("#source-password") == ""  # what is sealed does not come back


def test_a_viewer_looks_only(service, pair, browser):
    pair.source.sql("CREATE TABLE t (a int PRIMARY KEY)")
    task = service.create(pair, name="seen")
    service.post("/users", {"name": "vera", "role": "viewer", "password": "only-looking-around"}, status=201)
    page = browser.page(service.url)
    page.login("vera", "only-looking-around")
    page.wait("role=link[name=seen]")
    assert page.count("text=Create task") == 0
    page.goto("/create")
    page.wait("text=Your role does not allow this")
    page.goto(f"/tasks/{task}")
    page.wait("h1 >> text=seen")
    assert page.count(BUTTON.format("More actions")) == 0
    page.check()
