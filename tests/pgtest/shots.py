"""Screenshots of every page of the console: light and dark, 1280 and 390 px wide, English and Chinese.

    PGSLUICE=build/pgsluice PYTHONPATH=tests /usr/bin/python3 -m pgtest.shots DIRECTORY [WORD…]

Two servers, a service and tasks in many states are made for it and removed afterwards. With words, only
pages whose name contains one of them. scripts/console-shots calls it.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time

from pgtest.browser import Browser, BrowserError
from pgtest.cluster import Cluster
from pgtest.proxy import Proxy
from pgtest.receivers import WebReceiver
from pgtest.service import ADMIN_PASSWORD, Service

PGBENCH = "/usr/lib/postgresql/15/bin/pgbench"
WIDE, NARROW, CHINESE = {"width": 1280, "height": 860}, {"width": 390, "height": 1400}, {"language": "zh-CN"}
LOOKS = [("light", WIDE), ("dark-zh", {**WIDE, **CHINESE, "dark": True}), ("narrow-dark", {**NARROW, "dark": True}),
         ("narrow-zh", {**NARROW, **CHINESE})]

SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, mail text UNIQUE,
    country text NOT NULL, since timestamptz NOT NULL DEFAULT now());
CREATE TABLE shop.products (id int PRIMARY KEY, title text NOT NULL, price numeric(10,2) NOT NULL, stock int NOT NULL);
CREATE TABLE shop.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer bigint NOT NULL REFERENCES shop.customers,
    placed timestamptz NOT NULL DEFAULT now(), status text NOT NULL DEFAULT 'new', note text);
CREATE TABLE shop.order_items (order_id bigint REFERENCES shop.orders ON DELETE CASCADE, line int, product int NOT NULL
    REFERENCES shop.products, quantity int NOT NULL, PRIMARY KEY (order_id, line));
CREATE TABLE shop.events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), payload jsonb);
INSERT INTO shop.customers (name, mail, country) SELECT 'Customer ' || i, i || '@example.net', (ARRAY['fr','de','cn','us'])[1 + i % 4]
    FROM generate_series(1, 20000) i;
INSERT INTO shop.products SELECT i, 'Product ' || i, 5 + i % 90, 1000 FROM generate_series(1, 3000) i;
INSERT INTO shop.orders (customer) SELECT 1 + i % 20000 FROM generate_series(1, 60000) i;
INSERT INTO shop.order_items SELECT o, l, 1 + (o * l) % 3000, l FROM generate_series(1, 60000) o, generate_series(1, 2) l;
"""
TRAFFIC = r"""
\set customer random(1, 20000)
\set product random(1, 3000)
\set old random(1, 60000)
INSERT INTO shop.orders (customer, note) VALUES (:customer, 'live');
UPDATE shop.products SET stock = stock - 1 WHERE id = :product;
UPDATE shop.orders SET status = 'shipped' WHERE id = :old;
INSERT INTO shop.events (payload) VALUES (jsonb_build_object('order', :old));
"""


class Stage:
    """Everything that the pages show."""

    def __init__(self, stack, directory):
        self.source, self.destination = (Cluster(15).start() for _ in range(2))
        stack.callback(self.source.remove)
        stack.callback(self.destination.remove)
        self.service = Service(directory).start()
        stack.callback(self.service.close)
        self.stack = stack
        self.directory = directory
        self.tasks = {}

    def spec(self, database, name, schema="shop", port=None, **more):
        def end(cluster, region):
            params = cluster.params(database)
            return {"host": params["host"], "port": port or int(params["port"]), "database": database,
                    "user": params["user"], "password": "postgres", "region": region}
        source = end(self.source, "frankfurt")
        port = None  # a proxy is before the source only
        return {"name": name, "source": source, "destination": end(self.destination, "paris"),
                "objects": [{"schema": schema}], **more}

    def create(self, *args, **more):
        spec = self.spec(*args, **more)
        task = self.service.post("/tasks", {"spec": spec}, status=201)["id"]
        self.tasks[spec["name"]] = task
        return task

    def check(self, task):
        self.service.post(f"/tasks/{task}/check", status=202)
        return self.service.wait(task, "ready", "check_failed", unless=())["state"]

    def start(self, *args, **more):
        task = self.create(*args, **more)
        assert self.check(task) == "ready", self.service.get(f"/tasks/{task}/findings")
        self.service.post(f"/tasks/{task}/start", status=202)
        self.service.wait(task, "synchronizing", "finished")
        return task

    def database(self, name, sql):
        source, _ = self.source.create_database(name), self.destination.create_database(name)
        source.script(sql)
        return source

    def watch(self):
        """Contacts, rules, prices, terms, a token."""
        receiver = WebReceiver()
        self.stack.callback(receiver.close)
        post = self.service.post
        ops = post("/alerts/contacts", {"name": "ops", "kind": "webhook", "url": receiver.url}, status=201)["id"]
        mail = post("/alerts/contacts", {"name": "on call", "kind": "smtp", "host": "127.0.0.1", "port": 9, "tls": "none",
                                         "from": "pgsluice@example.net", "to": ["oncall@example.net"]}, status=201)["id"]
        rule = {"for_seconds": 0, "contacts": [ops, mail]}
        post("/alerts/rules", {"name": "any failure", "kind": "failed", **rule}, status=201)
        post("/alerts/rules", {"name": "half a minute behind", "kind": "lag", "threshold": 30, **rule, "for_seconds": 60}, status=201)
        post("/alerts/rules", {"name": "WAL on the source's disk", "kind": "wal_held", "threshold": 5 << 30, **rule}, status=201)
        self.service.call("PUT", "/prices", {"currency": "EUR", "hour": {"small": 0.05, "unlimited": 0.8}, "million_rows": 0.1,
                                             "month": {"small": 30, "large": 240}})
        self.service.call("PUT", "/terms", {"version": "2026-11", "text": "1. What this is\nA service that copies rows.\n\n"
                                            "2. What it costs\nWhat the price list says."})

    def fill(self):
        self.watch()
        self.database("shop", SHOP)
        self.start("shop", "shop → reporting")
        script = os.path.join(self.directory, "traffic.sql")
        with open(script, "w", encoding="utf-8") as handle:
            handle.write(TRAFFIC)
        traffic = subprocess.Popen([PGBENCH, "-n", "-c", "2", "-R", "40", "-T", "3000", "-f", script,
                                    self.source.conninfo("shop")], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.stack.callback(traffic.wait)
        self.stack.callback(traffic.kill)
        small = "CREATE SCHEMA shop; CREATE TABLE shop.t (a int PRIMARY KEY, b text); INSERT INTO shop.t SELECT i, 'x' FROM generate_series(1, 5000) i"
        self.database("crm", small)
        task = self.start("crm", "crm")
        self.service.post(f"/tasks/{task}/pause", status=202)
        self.service.wait(task, "paused")
        billing = self.database("billing", small + "; CREATE TABLE shop.log (line text); CREATE TABLE shop.audit (line text)")
        self.check(self.create("billing", "billing"))
        failing = self.database("stock", small)
        task = self.start("stock", "stock to warehouse")
        self.destination.sql("INSERT INTO shop.t VALUES (9000, 'in the way')", dbname="stock")
        self.destination.sql("ALTER TABLE shop.t ADD UNIQUE (b, a); ALTER TABLE shop.t ADD CHECK (a < 9500)", dbname="stock")
        failing.sql("INSERT INTO shop.t VALUES (9600, 'too large')")
        self.service.wait(task, "failed", unless=())
        self.database("lists", small)
        proxy = Proxy(self.source.port)
        self.stack.callback(proxy.close)
        self.start("lists", "price lists", port=proxy.port)
        proxy.close()
        self.create("billing", "archive of 2025", stages=["schema", "full"])
        self.service.post("/connections", {"name": "shop (production)", "endpoint": self.spec("shop", "x")["source"]}, status=201)
        self.service.post("/connections", {"name": "reporting", "endpoint": self.spec("shop", "x")["destination"]}, status=201)
        self.service.post("/users", {"name": "anna", "role": "operator", "password": "correct-horse-battery"}, status=201)
        spec = self.service.call("GET", f"/tasks/{self.tasks['crm']}/spec")
        changed = {**spec.json, "retry_minutes": 60, "on_error": "set_aside"}
        self.service.call("PUT", f"/tasks/{self.tasks['crm']}/spec", changed, headers={"If-Match": spec.headers["ETag"]})
        assert billing


def pages(stage):
    """name, path, what it waits for, what else is done before the picture"""
    def task(name, tab=""):
        return f"/tasks/{stage.tasks[name]}{tab}"
    shop = "shop → reporting"
    return [
        ("home", "/", "[data-state=failed]", lambda page: time.sleep(6)),
        ("task-tables", task(shop, "/tables"), "text=shop.orders", lambda page: time.sleep(2)),
        ("task-metrics", task(shop, "/metrics"), ".uplot", None),
        ("task-events", task(shop, "/events"), ".event", None),
        ("task-failed", task("stock to warehouse", "/errors"), "text=SQLSTATE", None),
        ("task-retrying", task("price lists"), "[data-state=retrying]", None),
        ("task-objects", task(shop, "/objects"), "[data-schema=shop]", None),
        ("task-schema", task(shop, "/schema"), "text=shop.orders", None),
        ("task-precheck", task("billing", "/precheck"), ".finding", None),
        ("task-alerts", task("stock to warehouse", "/alerts"), "#alert-contacts", None),
        ("task-usage", task(shop, "/usage"), "#task-class", None),
        ("task-config", task("crm", "/config"), ".versions", lambda page: page.wait(".versions button")),
        ("task-log", task(shop, "/log"), ".log, .ant-empty", None),
        ("connections", "/connections", "text=reporting", None),
        ("alerts-now", "/alerts/now", ".ant-table-row", None),
        ("alerts-rules", "/alerts/rules", "text=half a minute behind", None),
        ("alerts-contacts", "/alerts/contacts", "text=ops", None),
        ("alerts-sent", "/alerts/sent", ".ant-table-row", None),
        ("usage-report", "/usage/report", ".ant-table-row", None),
        ("usage-prices", "/usage/prices", ".prices", None),
        ("usage-terms", "/usage/terms", "#main h2", None),
        ("settings-users", "/settings/users", "text=anna", None),
        ("settings-tokens", "/settings/tokens", ".ant-table-row", None),
        ("settings-audit", "/settings/audit", "text=create_user", None),
        ("settings-account", "/settings/account", "#old_password", None),
    ]


def wizard(stage, page):
    """The steps of the wizard: yields the name of each picture when it can be taken."""
    page.goto("/create")
    page.wait("#source-host")
    yield "create-connections"
    spec = stage.spec("shop", "x")
    for side in ("source", "destination"):
        for field in ("host", "port", "database", "user", "password"):
            page.fill(f"#{side}-{field}", str(spec[side][field]))
    page.click(".wizard-foot .ant-btn-primary")
    page.click("role=treeitem[name=/shop/]")
    page.click("role=treeitem[name=/shop/] >> .tree-fold")
    page.click("role=treeitem[name=/events/]")
    page.hover("role=treeitem[name=/orders/]")
    page.click("role=treeitem[name=/orders/] >> .tree-button >> nth=0")
    page.fill(".tree-input", "orders_eu")
    page.press("Enter")
    page.press("ArrowRight")
    page.wait("role=treeitem[name=/placed/]")
    page.click("role=treeitem[name=/note/]")
    yield "create-objects"
    page.click("role=treeitem[name=/orders_eu/] >> .tree-button >> nth=-1")
    page.fill("#table-where", "status <> 'new'")
    page.click(".ant-drawer .ant-btn-sm")
    page.wait(".ant-drawer .ant-alert-success")
    yield "create-table"
    page.click(".ant-drawer-footer .ant-btn-primary")
    page.wait(".ant-drawer", "hidden")
    page.click(".wizard-content section:last-of-type .ant-btn >> nth=0")
    page.fill("[data-rule] input[placeholder=eu_]", "eu_")
    page.click(".wizard-content section:last-of-type > .stack .ant-btn >> nth=0")
    page.wait(".wizard-content section .ant-alert-success")
    page.evaluate("document.querySelector('.wizard-content section:last-of-type').scrollIntoView()")
    yield "create-names"
    page.click(".wizard-foot .ant-btn-primary")
    page.wait("#retry")
    yield "create-options"
    page.click(".wizard-foot .ant-btn-primary")
    page.wait(".findings-summary", "visible", 60000)
    yield "create-precheck"
    if page.enabled(".wizard-foot .ant-btn-primary"):
        page.click(".wizard-foot .ant-btn-primary")
        page.wait("text=orders_eu", "visible", 60000)
        yield "create-review"


class Camera:
    """Takes the pictures of one look, and says what axe, the browser and the page's width have against them."""

    def __init__(self, page, directory, look):
        self.page = page
        self.directory = directory
        self.look = look

    def shoot(self, name):
        time.sleep(0.4)
        page = self.page
        page.screenshot(os.path.join(self.directory, f"{name}-{self.look}.png"))
        found = page.findings() + page.errors()
        if found:
            print(f"{name} {self.look}: {found}", flush=True)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            print(f"{name} {self.look}: {wide} px too wide", flush=True)

    def visit(self, name, path, awaited, then):
        try:
            self.page.goto(path)
            self.page.wait(awaited)
            if then:
                then(self.page)
        except BrowserError as error:
            print(f"{name} {self.look}: {error}", flush=True)
        self.shoot(name)


def shoot(stage, directory, words):
    browser = Browser()
    stage.stack.callback(browser.close)

    def wanted(name):
        return not words or any(word in name for word in words)
    for look, options in LOOKS:
        page = browser.page(stage.service.url, **options)
        camera = Camera(page, directory, look)
        if wanted("login"):
            camera.visit("login", "/", "#password", None)
        page.login("admin", ADMIN_PASSWORD)
        for name, path, awaited, then in pages(stage):
            if wanted(name):
                camera.visit(name, path, awaited, then)
        if wanted("create"):
            try:
                for name in wizard(stage, page):
                    camera.shoot(name)
            except BrowserError as error:
                print(f"wizard {look}: {error}", flush=True)


def main():
    directory, words = sys.argv[1], sys.argv[2:]
    os.makedirs(directory, exist_ok=True)
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory(prefix="pgsluice-shots-") as work:
        stage = Stage(stack, work)
        stage.fill()
        shoot(stage, directory, words)


if __name__ == "__main__":
    main()
