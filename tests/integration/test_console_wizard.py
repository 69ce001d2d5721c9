"""The wizard's second step: names, filters, operations, columns, mapping rules, consequences."""

import pytest

from pgtest.service import ADMIN_PASSWORD

BUTTON = 'role=button[name="{}"]'


@pytest.fixture
def page(service, pair, browser):
    made = browser.page(service.url)
    made.login("admin", ADMIN_PASSWORD)
    made.goto("/create")
    for side, database in (("source", pair.source), ("destination", pair.destination)):
        params = database.params()
        for field, value in (("host", params["host"]), ("port", params["port"]), ("database", params["dbname"]),
                             ("user", params["user"]), ("password", params.get("password", "postgres"))):
            made.fill(f"#{side}-{field}", str(value))
    return made


def to_objects(page):
    page.click(BUTTON.format("Test and continue"))
    page.wait("role=treeitem[name=/public/]")


def through_precheck(page):
    page.click(BUTTON.format("Continue"))
    page.click(BUTTON.format("Run precheck"))
    page.wait("text=100 % in order", "visible", 60000)
    page.click(BUTTON.format("Continue"))
    page.wait("text=Everything is ready to start")


def test_filter_operations_columns_names(service, pair, page):
    pair.source.script("CREATE TABLE orders (id int PRIMARY KEY, region text, cust int, note text);"
                       "INSERT INTO orders SELECT i, (ARRAY['eu','us'])[1 + i % 2], i, 'x' FROM generate_series(1, 1000) i;"
                       "CREATE TABLE skipped (id int PRIMARY KEY); ANALYZE")
    to_objects(page)
    page.click("role=treeitem[name=/public/]")
    page.click("role=treeitem[name=/public/] >> .tree-fold")
    page.click("role=treeitem[name=/skipped/]")
    page.wait("text=1 table left out")

    # a name in place, by the pencil; a column's by the keyboard
    page.hover("role=treeitem[name=/orders/]")
    page.click('[aria-label="Name of orders in the destination"]')
    page.fill(".tree-input", "orders_eu")
    page.press("Enter")
    page.wait("text=→ orders_eu")
    page.press("ArrowRight")
    page.wait("role=treeitem[name=/region/]")
    page.click("role=treeitem[name=/note/]")  # not this one
    page.press("ArrowUp")
    page.press("F2")
    page.fill(".tree-input", "customer")
    page.press("Enter")
    page.wait("text=→ customer")
    page.wait("text=without 1 column")
    page.check()

    # the filter: refused with its cause, then with an estimate
    page.hover("role=treeitem[name=/orders_eu/]")
    page.click('[aria-label="Settings of orders"]')
    page.fill("#table-where", "region = 'eu' AND now() > '2024-01-01'")
    page.click(BUTTON.format("Check and estimate"))
    page.wait("role=dialog >> .ant-alert-error", "visible", 30000)
    page.check()
    page.fill("#table-where", "region = 'eu'")
    page.wait("text=Changed since it was checked")
    page.click(BUTTON.format("Check and estimate"))
    page.wait("text=/Valid: about \\d+ of 1,000 rows match/", "visible", 30000)
    page.click("role=checkbox[name=/TRUNCATE/]")
    page.wait("text=rows stay when the source empties the table")
    page.check()
    page.click(BUTTON.format("Apply"))
    page.wait("text=3 of 4 operations")
    page.wait("text=filtered")

    # what writing into tables that exist does is said before it is chosen for good
    page.click("role=radio[name=/Write into them/]")
    page.wait("text=an INSERT whose key is there overwrites that row")
    page.click("role=radio[name=/Stop and report/]")
    through_precheck(page)
    page.click(BUTTON.format("Start synchronization"))
    page.wait('[data-state="synchronizing"]', "visible", 60000)
    assert pair.destination.value("SELECT count(*) FROM orders_eu") == 500
    assert pair.destination.value("SELECT customer FROM orders_eu WHERE id = 2") == 2
    task = service.get("/tasks")["items"][0]["id"]
    assert service.get(f"/tasks/{task}/spec")["objects"] == [{"schema": "public", "tables": [
        {"table": "*"},
        {"table": "orders", "rename": "orders_eu", "where": "region = 'eu'", "operations": ["insert", "update", "delete"],
         "columns": {"exclude": ["note"], "rename": {"cust": "customer"}}},
        {"table": "skipped", "exclude": True}]}]


def test_mapping_rules_and_collisions(service, pair, page):
    pair.source.script("CREATE TABLE a_users (id int PRIMARY KEY); CREATE TABLE b_users (id int PRIMARY KEY);"
                       "CREATE TABLE plain (id int PRIMARY KEY)")
    to_objects(page)
    page.click("role=treeitem[name=/public/]")
    page.click("role=button[name=/Add a rule/]")
    page.click('.ant-select:has([aria-label="Rule 1: change"])')
    page.click(".ant-select-dropdown:not(.ant-select-dropdown-hidden) >> text=replace expression")
    page.fill('[aria-label="Rule 1: from"]', "^[ab]_")
    page.click(BUTTON.format("Show all names before and after"))
    page.wait("text=2 names are given twice", "visible", 60000)
    assert page.count("tr.collision") == 2
    page.check()
    page.fill('[aria-label="Rule 1: from"]', "^a_")
    page.click("role=button[name=/Add a rule/]")
    page.fill('[aria-label="Rule 2: to"]', "eu_")
    page.wait("text=Changed since: ask again")
    page.click(BUTTON.format("Show all names before and after"))
    page.wait("text=3 of 4 names change; none is given twice", "visible", 60000)
    page.wait("text=public.eu_b_users")
    page.check()
    through_precheck(page)
    page.wait("text=eu_plain")
    task = service.get("/tasks")["items"][0]["id"]
    assert service.get(f"/tasks/{task}/spec")["names"] == {"rules": [{"regex": {"^a_": ""}}, {"prefix": "eu_"}]}
