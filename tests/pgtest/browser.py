"""A headless Chromium, driven through console/e2e/bridge.mjs. Selectors are Playwright's."""

import itertools
import json
import os
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BRIDGE = os.path.join(ROOT, "console", "e2e", "bridge.mjs")


class BrowserError(AssertionError):
    pass


class Browser:
    def __init__(self):
        self._numbers = itertools.count(1)
        self._process = subprocess.Popen(["node", BRIDGE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         text=True, bufsize=1)

    def call(self, page, op, *args):
        self._process.stdin.write(json.dumps({"id": next(self._numbers), "page": page, "op": op,
                                              "args": args}) + "\n")
        line = self._process.stdout.readline()
        if not line:
            raise BrowserError("the bridge to Chromium ended; its standard error says why")
        answer = json.loads(line)
        if "error" in answer:
            raise BrowserError(f"{op} {args}: {answer['error']}")
        return answer["result"]

    def page(self, url, **options):
        """options: width, height, dark, language, timeout (ms)."""
        return Page(self, f"page{next(self._numbers)}", url, options)

    def close(self):
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class Page:
    """A window of its own, with its own cookies. `clicks` counts what a user would have to click."""

    def __init__(self, browser, name, url, options):
        self.browser = browser
        self.name = name
        self.base = url
        self.clicks = 0
        self._call("open", options)

    def _call(self, op, *args):
        try:
            return self.browser.call(self.name, op, *args)
        except BrowserError as error:
            shot = os.environ.get("PGSLUICE_SHOT_ON_ERROR")
            if shot and op not in ("open", "screenshot"):
                self.browser.call(self.name, "screenshot", shot)
            shown = "" if op == "open" else self.browser.call(self.name, "text", "body")[:3000]
            raise BrowserError(f"{error}\nThe page shows:\n{shown}") from None

    def __getattr__(self, op):
        if op.startswith("_"):
            raise AttributeError(op)
        return lambda *args: self._call(op, *args)

    def goto(self, path):
        return self._call("goto", self.base + path)

    def click(self, selector, **options):
        self.clicks += 1
        return self._call("click", selector, options)

    def login(self, user, password):
        self.goto("/")
        self.fill("#user", user)
        self.fill("#password", password)
        self.click("role=button[name=/^Log in|登 ?录$/]")
        self.wait("#main h1")

    def findings(self):
        """What axe calls serious or critical on the page as it is."""
        return [v for v in self._call("axe", {"resultTypes": ["violations"]})
                if v["impact"] in ("serious", "critical")]

    def escape(self, gone):
        """Escape until the selector `gone` is: a dialog takes keys once it has the focus."""
        for _ in range(10):
            self.press("Escape")
            try:
                return self.browser.call(self.name, "wait", gone, "hidden", 1000)
            except BrowserError:
                pass
        return self.wait(gone, "hidden")

    def check(self):
        """No serious finding that lasts (colours on their way to others are none), and no error in
        the browser's console."""
        deadline = time.monotonic() + 3
        while (found := self.findings()) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert not found, json.dumps(found, indent=1)
        errors = self._call("errors")
        assert not errors, errors
