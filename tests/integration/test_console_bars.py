"""How fast the console is: the first view, a tree of 20,000 tables. Medians of three; servers idle."""

import statistics
import time

import pytest

from pgtest.service import ADMIN_PASSWORD

pytestmark = pytest.mark.timing

FIRST_VIEW_MS = 1000
LONG_TASK_MS = 100
ROUNDS = 3

# When the page's heading is there, in ms since the navigation began.
SEEN = """
new MutationObserver((_, self) => {
  if (!document.querySelector('#main h1')) return;
  requestAnimationFrame(() => { window.seenAt = performance.now(); });
  self.disconnect();
}).observe(document, { childList: true, subtree: true });
"""

WATCH = """
window.longTasks = [];
window.watcher ??= new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((e) => e.duration)));
window.watcher.observe({ type: 'longtask' });
"""

# Scrolls an element from top to bottom, a step per frame.
SCROLL = """
(async () => {
  const box = document.querySelector('%s');
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  for (let i = 0; i <= 60; i++) { box.scrollTop = (box.scrollHeight - box.clientHeight) * i / 60; await frame(); }
  await new Promise((done) => setTimeout(done, 300));
  return box.scrollTop;
})()
"""


def longest(page, action):
    """The longest task (ms) while something is done, median of three; below 50 ms none is reported."""
    found = []
    for number in range(ROUNDS):
        page.evaluate(WATCH)
        action(number)
        page.evaluate("new Promise((done) => setTimeout(done, 400))")
        found.append(max(page.evaluate("window.longTasks"), default=0))
    return statistics.median(found)


@pytest.fixture
def page(service, browser):
    made = browser.page(service.url)
    made.login("admin", ADMIN_PASSWORD)
    return made


def test_first_view(page, record_property):
    page.init(SEEN)
    times = []
    for _ in range(ROUNDS):
        page.reload()
        page.wait("#main h1")
        page.evaluate("new Promise((done) => setTimeout(done, 100))")
        times.append(page.evaluate("window.seenAt"))
    record_property("first_view_ms", times)
    print(f"first view: {times} ms")
    assert statistics.median(times) < FIRST_VIEW_MS, times


def test_20000_tables(pair, page):
    for schema in range(4):
        pair.source.sql(f"CREATE SCHEMA s{schema}")
        for part in range(10):
            pair.source.script(f"""DO $$ BEGIN FOR i IN 0..499 LOOP
                EXECUTE format('CREATE TABLE s{schema}.table_%s (id int PRIMARY KEY)', {part} * 500 + i); END LOOP; END $$""")
    page.goto("/create")
    for side, database in (("source", pair.source), ("destination", pair.destination)):
        params = database.params()
        for field, value in (("host", params["host"]), ("port", params["port"]), ("database", params["dbname"]),
                             ("user", params["user"]), ("password", params.get("password", "postgres"))):
            page.fill(f"#{side}-{field}", str(value))
    page.click("role=button[name='Test and continue']")
    page.wait("role=treeitem[name=/s3/]", "visible", 60000)
    for schema in range(3, -1, -1):  # from below, so that the others stay in sight
        page.click(f"role=treeitem[name=/^s{schema} /] >> .tree-fold")
        page.evaluate("document.querySelector('.tree').scrollTop = 0")
    deadline = time.monotonic() + 60
    while page.evaluate("document.querySelector('.tree > div').clientHeight / 34") < 20004:
        assert time.monotonic() < deadline, "not all tables are in the tree"
        time.sleep(0.2)
    scrolled = longest(page, lambda _: page.evaluate(SCROLL % ".tree"))
    words = ["table_499", "s2.table_4", "table_77"]

    def search(number):
        page.fill("role=searchbox", "")
        for i in range(len(words[number])):
            page.fill("role=searchbox", words[number][:i + 1])
    filtered = longest(page, search)
    page.fill("role=searchbox", "")
    page.evaluate("document.querySelector('.tree').scrollTop = 0")
    chosen = longest(page, lambda number: page.click(f"role=treeitem >> nth={number + 2}"))
    print(f"20,000 tables: longest task while scrolling {scrolled} ms, filtering {filtered} ms, choosing {chosen} ms")
    assert page.count("role=treeitem") < 100  # only what is in sight
    assert max(scrolled, filtered, chosen) <= LONG_TASK_MS, (scrolled, filtered, chosen)
