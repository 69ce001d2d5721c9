"""Screenshots of every page of the console: light, dark and 390 px wide.

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

from pgtest.browser import Browser
from pgtest.cluster import Cluster
from pgtest.proxy import Proxy
from pgtest.service import ADMIN_PASSWORD, Service

PGBENCH = "/usr/lib/postgresql/15/bin/pgbench"
LOOKS = [("light", {}), ("dark", {"dark": True}), ("narrow", {"width": 390, "height": 844})]

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
        port = None
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

    def fill(self):
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
    return [
        ("home", "/", "[data-state=failed]", lambda page: time.sleep(12)),
        ("task-tables", task("shop → reporting", "/tables"), "text=shop.orders", lambda page: time.sleep(4)),
        ("task-metrics", task("shop → reporting", "/metrics"), ".uplot", None),
        ("task-events", task("shop → reporting", "/events"), ".event", None),
        ("task-failed", task("stock to warehouse", "/errors"), "text=SQLSTATE", None),
        ("task-precheck", task("billing", "/precheck"), ".finding", None),
        ("task-config", task("crm", "/config"), ".versions", lambda page: page.wait(".versions button")),
        ("create", "/create", "#source-host", None),
        ("connections", "/connections", "text=reporting", None),
        ("settings-users", "/settings/users", "text=anna", None),
        ("settings-audit", "/settings/audit", "text=create_user", None),
        ("task-log", task("shop → reporting", "/log"), ".log", None),
    ]


def shoot(stage, directory, words):
    browser = Browser()
    stage.stack.callback(browser.close)
    logins = [("login", "/", "#password", None)]
    for look, options in LOOKS:
        page = browser.page(stage.service.url, **{"width": 1280, "height": 860, **options})
        for name, path, awaited, then in logins + pages(stage):
            if words and not any(word in name for word in words):
                if name == "login":
                    page.login("admin", ADMIN_PASSWORD)
                continue
            page.goto(path)
            page.wait(awaited)
            if then:
                then(page)
            time.sleep(0.4)
            page.screenshot(os.path.join(directory, f"{name}-{look}.png"))
            if name == "login":
                page.login("admin", ADMIN_PASSWORD)
            found = page.findings() + page.errors()
            if found:
                print(f"{name} {look}: {found}")
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if wide > 0:
                print(f"{name} {look}: {wide} px too wide")


def main():
    directory, words = sys.argv[1], sys.argv[2:]
    os.makedirs(directory, exist_ok=True)
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory(prefix="pgsluice-shots-") as work:
        stage = Stage(stack, work)
        stage.fill()
        shoot(stage, directory, words)


if __name__ == "__main__":
    main()
