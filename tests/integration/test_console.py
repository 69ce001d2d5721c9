"""The web console in a real browser, against a real service and real servers."""

import gzip
import os
import subprocess

from pgtest.browser import ROOT
from pgtest.service import ADMIN_PASSWORD


def text_html(service, path, **headers):
    return service.raw("GET", path, headers={"Accept": "text/html", "Accept-Encoding": "gzip", **headers})


def test_files_are_served_with_a_policy(service):
    page = text_html(service, "/")
    assert page.status == 200 and page.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy and "frame-ancestors 'none'" in policy
    assert page.headers["Cache-Control"] == "no-cache"
    script = page.body.decode().split('src="')[1].split('"')[0]
    code = text_html(service, script)
    assert code.headers["Content-Encoding"] == "gzip" and "immutable" in code.headers["Cache-Control"]
    assert code.headers["Content-Type"].startswith("text/javascript")
    assert len(gzip.decompress(code.body)) > len(code.body) > 10_000
    # a page of the console is index.html; what else is unknown stays unknown
    assert text_html(service, "/tasks/abcdefgh").body == page.body
    assert text_html(service, "/api/v1/nonsense").status == 404
    assert text_html(service, "/assets/nonsense.js").status == 404
    assert service.raw("GET", "/nonsense", headers={"Accept": "application/json"}).status == 404
    again = text_html(service, "/", **{"If-None-Match": page.headers["ETag"]})
    assert again.status == 304 and again.body == b""
    head = service.raw("HEAD", "/")
    assert head.status == 200 and head.body == b""


def test_login_and_logout(service, browser):
    page = browser.page(service.url)
    page.goto("/")
    page.fill("#user", "admin")
    page.fill("#password", "wrong password")
    page.press("Enter")
    page.wait("role=alert >> text=User or password is wrong")
    page.check()
    assert page.value("#user") == "admin"
    page.login("admin", ADMIN_PASSWORD)
    page.wait("text=No tasks yet")
    page.check()
    page.reload()
    page.wait("text=No tasks yet")
    page.click("role=button[name=/^Account/]")
    page.click("text=Log out")
    page.wait("#password")


def test_home_follows_its_tasks(service, pair, browser):
    pair.source.sql("CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 1000)")
    task = service.run(pair, name="orders")
    page = browser.page(service.url)
    page.login("admin", ADMIN_PASSWORD)
    page.wait("role=link[name=orders]")
    page.wait('[data-state="synchronizing"]')
    page.wait("role=status >> text=Live")
    page.check()
    service.post(f"/tasks/{task}/pause", status=202)
    page.wait('[data-state="paused"]')
    page.click('role=checkbox[name="orders"]')
    page.click('role=toolbar >> role=button[name="Resume"]')
    page.wait('[data-state="synchronizing"]')
    page.fill("role=searchbox", "nonsense")
    page.wait("text=No task fits the filters")
    page.check()
    service.post(f"/tasks/{task}/release", status=202)
    page.click("text=Show all tasks")
    page.wait('[data-state="released"]')


def test_chinese_dark_and_narrow(service, browser):
    page = browser.page(service.url, language="zh-CN", dark=True, width=390, height=800)
    page.login("admin", ADMIN_PASSWORD)
    page.wait("text=还没有任务")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.check()


def test_types_and_logic():
    """The console's own checks: tsc, and vitest for what can be judged without a browser."""
    for script in ("check", "test"):
        done = subprocess.run(["npm", "run", script], cwd=os.path.join(ROOT, "console"), capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_size():
    dist = os.path.join(ROOT, "console", "dist")
    files = [os.path.join(d, f) for d, _, names in os.walk(dist) for f in names]
    total = 0
    for path in files:
        with open(path, "rb") as handle:
            total += len(gzip.compress(handle.read(), 9))
    assert 100_000 < total < 900_000, total
