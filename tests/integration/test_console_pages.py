"""The pages that are not about one task: connections, alerts, usage, settings, each from end to end."""

import time

import pytest

from pgtest.receivers import WebReceiver
from pgtest.service import ADMIN_PASSWORD

BUTTON = 'role=button[name="{}"]'
DIALOG = 'role=dialog >> role=button[name="{}"]'
OPEN_LIST = ".ant-select-dropdown:not(.ant-select-dropdown-hidden)"
OPEN_POPUP = ".ant-popover:not(.ant-popover-hidden)"


@pytest.fixture
def page(service, browser):
    made = browser.page(service.url)
    made.login("admin", ADMIN_PASSWORD)
    return made


def choose(page, field, text):
    page.click(f".ant-select:has(#{field})")
    page.click(f'{OPEN_LIST} >> .ant-select-item-option >> text="{text}"')


def test_connections(service, pair, page):
    params = pair.source.params()
    page.goto("/connections")
    page.wait("text=No templates yet")
    page.check()
    page.click(BUTTON.format("plus New connection"))
    assert not page.enabled(DIALOG.format("Save"))
    for field, value in (("name", "production"), ("host", params["host"]), ("port", "1"), ("database", params["dbname"]),
                         ("user", params["user"]), ("password", params.get("password", "postgres"))):
        page.fill(f"#connection-{field}", str(value))
    page.check()
    page.click(DIALOG.format("Save"))
    page.wait("td >> text=production")
    page.click(BUTTON.format("Test connectivity"))
    page.wait("role=dialog >> text=Not reached", "visible", 30000)
    page.check()
    page.escape("role=dialog >> text=Not reached")
    # the password is kept where it is not entered again: but not for another server
    page.click('[aria-label="Edit production"]')
    page.fill("#connection-port", str(params["port"]))
    page.fill("#connection-password", params.get("password", "postgres"))
    page.click(DIALOG.format("Save"))
    page.wait("role=dialog >> #connection-port", "hidden")
    page.click(BUTTON.format("Test connectivity"))
    page.wait(f"role=dialog >> text=database {params['dbname']}", "visible", 30000)
    page.check()
    page.escape("role=dialog >> text=database")
    page.click('[aria-label="Edit production"]')
    page.fill("#connection-name", "production, Paris")
    page.fill("#connection-region", "paris")
    page.click(DIALOG.format("Save"))
    page.wait("td >> text=production, Paris")
    page.click('[aria-label="Delete production, Paris?"]')
    page.wait("text=Tasks made from it keep what they have")
    page.fill("#confirm-name", "production, Paris")
    page.click(DIALOG.format("Delete"))
    page.wait("text=No templates yet")


def test_alerts(service, page):
    receiver = WebReceiver()
    try:
        page.goto("/alerts")
        page.wait("text=No alert is on")
        page.check()
        page.click("role=tab[name=Rules]")
        page.wait("text=A rule tells contacts: make one first")
        page.click("role=tab[name=Contacts]")
        page.click("role=button[name=/New contact/]")
        page.fill("#contact-name", "ops")
        page.fill("#contact-url", "nonsense")
        page.click(DIALOG.format("Save"))
        page.wait("role=dialog >> .ant-form-item-explain-error")  # said at the field; what was typed stays
        page.check()
        page.fill("#contact-url", receiver.url)
        page.click(DIALOG.format("Save"))
        page.wait("td >> text=ops")
        page.click('[aria-label="Send a test: ops"]')
        page.wait("text=The test message was delivered")
        assert receiver.events()[0]["event"] == "test"
        page.check()
        page.escape("text=The test message was delivered")
        receiver.status = 500
        page.click('[aria-label="Send a test: ops"]')
        page.wait("text=The test message was not delivered")
        page.escape("text=The test message was not delivered")

        page.click("role=tab[name=Rules]")
        page.click("role=button[name=/New rule/]")
        page.fill("#rule-name", "late")
        choose(page, "rule-kind", "Behind its source")
        assert not page.enabled(DIALOG.format("Save"))
        page.fill("#rule-threshold", "60")
        page.click(".ant-select:has(#rule-contacts)")
        page.click(f'{OPEN_LIST} >> .ant-select-item-option >> text="ops"')
        page.press("Escape")
        page.wait("#rule-name")
        page.check()
        page.click(DIALOG.format("Save"))
        page.wait("td >> text=late")
        page.wait("td >> text=> 1 min")
        page.click('[aria-label="Mute: late"]')
        page.click("role=menuitem[name='8 h']")
        page.wait("text=muted until")
        page.check()
        page.click(BUTTON.format("Unmute"))
        page.wait("text=muted until", "hidden")
        page.click("role=tab[name=Sent]")
        page.wait("td >> text=delivered")
        page.check()
        page.click("role=tab[name=Rules]")
        page.click('[aria-label="Delete: late"]')
        page.click(f"{OPEN_POPUP} >> {BUTTON.format('Delete')}")
        page.wait("text=No rules yet")
        assert service.get("/alerts/rules")["items"] == []
    finally:
        receiver.close()


def test_usage(service, pair, page):
    pair.source.sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 1000)")
    page.goto("/usage")
    page.wait("text=Nothing was used in this time")
    page.check()
    page.click("role=tab[name=Prices]")
    page.fill("#currency", "eur")
    page.fill("#million-rows", "2000")
    page.fill("#hour-unlimited", "0.5")
    page.click(BUTTON.format("Save"))
    page.wait("text=Prices stored")
    page.check()
    assert service.get("/prices")["million_rows"] == 2000 and service.get("/prices")["hour"] == {"unlimited": 0.5}
    page.click("role=tab[name='Service terms']")
    page.click(BUTTON.format("Write new terms"))
    page.fill("#terms-version", "1.0")
    page.fill("#terms-text", "Be kind.")
    page.click(BUTTON.format("Put in force"))
    page.wait("text=service terms 1.0")
    page.check()

    task = service.run(pair, name="metered")
    page.click("role=tab[name=Report]")
    deadline = time.monotonic() + 90
    while True:
        page.reload()
        page.wait("#main h1")
        time.sleep(1)
        if page.count("td >> text=metered") and page.count("td >> text='1,000'"):
            break
        assert time.monotonic() < deadline, service.get("/usage")
    page.check()

    # a subscription takes the terms by name
    page.goto(f"/tasks/{task}/usage")
    page.click("role=radio[name=/Subscription/]")
    assert not page.enabled(BUTTON.format("Subscribe"))
    page.click("role=checkbox[name=/I accept/]")
    page.check()
    page.click(BUTTON.format("Subscribe"))
    page.wait("text=The subscription ends")
    found = service.get(f"/tasks/{task}/billing")
    assert found["kind"] == "subscription" and found["accepted_terms"] == "1.0"


def test_users(service, page, browser):
    page.goto("/settings/users")
    page.click(BUTTON.format("New user"))
    page.fill("#name", "vera")
    page.fill("#password", "short")
    page.click(DIALOG.format("Save"))
    page.wait("role=dialog >> .ant-form-item-explain-error")
    page.check()
    page.fill("#password", "long-enough-password")
    page.click(DIALOG.format("Save"))
    page.wait("td >> text=vera")
    page.check()
    other = browser.page(service.url)
    other.login("vera", "long-enough-password")
    row = "tr:has-text('vera')"
    page.click(f"{row} >> {BUTTON.format('Disable')}")
    page.wait(f"{row} >> text=disabled")
    other.reload()
    other.wait("#password")  # her sessions have ended
    page.click(f"{row} >> {BUTTON.format('Enable')}")
    page.click(f"{row} >> {BUTTON.format('Set password')}")
    page.fill("role=dialog >> #password", "another-long-password")
    page.click(DIALOG.format("Save"))
    page.wait("role=dialog >> #password", "hidden")
    other.login("vera", "another-long-password")
    other.goto("/settings")
    other.wait("role=tab[name=Tokens]")
    assert other.count("role=tab[name=Users]") == 0
    other.check()
    page.click(f"{row} >> {BUTTON.format('Delete')}")
    page.wait("text=its tokens, sessions and drafts are deleted")
    page.fill("#confirm-name", "vera")
    page.click(DIALOG.format("Delete"))
    page.wait(row, "hidden")
    page.click("role=tab[name=Audit]")
    page.wait("td >> text=delete_user")
    page.check()


def test_tokens_and_account(service, page):
    page.goto("/settings/tokens")
    page.click(BUTTON.format("New token"))
    page.fill("#name", "backup job")
    page.check()
    page.click(DIALOG.format("Save"))
    page.wait("text=It is not shown again")
    token = page.text(".ant-alert pre").strip()
    page.check()
    assert service.call("GET", "/session", token=token).json["role"] == "viewer"
    page.click('[aria-label="Withdraw: backup job"]')
    page.click(f"{OPEN_POPUP} >> {BUTTON.format('Withdraw')}")
    page.wait("td >> text=backup job", "hidden")
    service.call("GET", "/session", token=token, status=401)

    page.click("role=tab[name='My account']")
    page.fill("#old_password", "not the present one")
    page.fill("#new_password", "a-new-password-of-mine")
    page.click(BUTTON.format("Save"))
    page.wait("role=alert")
    page.check()
    page.fill("#old_password", ADMIN_PASSWORD)
    page.click(BUTTON.format("Save"))
    page.wait("text=Password changed")
    service.login("admin", "a-new-password-of-mine")
