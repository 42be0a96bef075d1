"""The story of the README, in a minute: what a token is good for, here and there, and how it ends.

In Chromium, with scripts and without, at the three servers of the demo; the command line takes away what is taken.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping

import pyotp
import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.examples import demos
from tests.examples.demos import WITHIN, Demo
from tests.flows import browsers
from tests.flows.browsers import Look, accessibility_problems, overflow, press

PASSWORD = "walled-garden-demo-7"
LOOKS = (Look(), Look(width=320, scheme="dark"), Look(scheme="dark"), Look(width=320))
"""How pages are looked at: from left to right, and the other way."""

IN_ALL_OF_NORTHWIND = {"GET /balance", "GET /payments", "GET /payouts"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo, running."""
    found = Demo(tmp_path_factory.mktemp("demo"))
    found.prepare()
    with demos.running(found):
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsers.chromium() as found:
        yield found


def test_a_role_that_is_taken_away_is_refused_at_the_next_call(demo: Demo, browser: Browser) -> None:
    with (
        browsers.visit(browser, demo.ledger) as page,
        browsers.visit(browser, demo.ledger, Look(scripts=False)) as plain,
    ):
        for each in (page, plain):
            sign_in(each, "Bob Baker", "Northwind EU")
            expect(each.get_by_role("heading", name="Hello, Bob")).to_be_visible()
            assert claims(each)["roles"] == '["view_only", "x_refund_lead"]'
            assert results(each)["POST /refunds"].startswith("Allowed 201 Your token lists it.")

            switch(each, "Northwind US")
            assert claims(each)["roles"] == '["view_only"]'
            assert allowed(each) == IN_ALL_OF_NORTHWIND
            assert results(each)["POST /refunds"].startswith("Denied 403 No role of yours holds it here.")
            switch(each, "Northwind EU")

        demo.idp("team", "update", "northwind/finance", "--remove-member", "bob")
        took = until(page, lambda: "POST /refunds" not in allowed(page))
        print(f"\nThe call was refused {took:.2f} s after the command that took the role away.")
        plain.reload()
        for each in (page, plain):
            assert "Payments refused your token (401 superseded)" in each.locator(".news").inner_text()
            assert results(each)["POST /refunds"].startswith("Denied 403 Allowed until just now. No role of yours")
            assert allowed(each) == IN_ALL_OF_NORTHWIND

        demo.idp("team", "update", "northwind/finance", "--add-member", "bob")
        switch(plain, "Northwind EU")
        assert "POST /refunds" in allowed(plain)


def test_who_is_suspended_is_refused_everything_and_told_so(demo: Demo, browser: Browser) -> None:
    with browsers.visit(browser, demo.ledger) as page:
        sign_in(page, "Dana Díaz", "Northwind EU")
        assert "POST /charges" in allowed(page)
        demo.idp("member", "update", "northwind", "dana", "--status", "suspended")
        until(page, lambda: not allowed(page))
        assert "Your sign-in has ended" in page.locator(".news").inner_text()
        assert results(page)["GET /balance"].startswith("Denied 401 Allowed until just now.")
        assert_good_to_look_at(page)


def test_who_lost_the_last_role_in_a_place_may_go_on_in_another(demo: Demo, browser: Browser) -> None:
    with browsers.visit(browser, demo.ledger) as page:
        sign_in(page, "Frank Fischer", "Northwind US")
        grant = demo.idp("grant", "list", "northwind/us-shop", "--to", "frank", "--here", "--json")
        demo.idp("grant", "delete", json.loads(grant)[0]["id"])
        until(page, lambda: not allowed(page))
        assert "You may do nothing in Northwind US any more" in page.locator(".news").inner_text()
        switch(page, "All of Fabrikam")
        assert "POST /charges" in allowed(page)
        expect(page.get_by_text("each call names an account")).to_be_visible()


def test_a_payout_asks_for_a_second_factor_and_works_with_one(demo: Demo, browser: Browser) -> None:
    """Payments challenges (RFC 9470), Ledger sends Olivia to prove more, and her session is stepped up."""
    with browsers.visit(browser, demo.ledger) as page:
        sign_in(page, "Olivia Okafor", "Northwind EU")
        assert results(page)["POST /payouts"].startswith("Wants proof 401 You hold it, but it wants a second factor")
        page.get_by_role("link", name="Prove it").click()
        expect(page.get_by_role("heading", name="Set up a second factor")).to_be_visible()
        press(page, "#enrol-decline")
        expect(page.get_by_text("You came back with what you had proved before: one factor.")).to_be_visible()
        assert results(page)["POST /charges"].startswith("Allowed 201")

        page.get_by_role("link", name="Prove it").click()
        phone = set_up_an_app(page)
        expect(page.locator("body")).to_have_attribute("data-page", "dashboard")
        assert results(page)["POST /payouts"].startswith("Allowed 201 Your token lists it.")
        assert (claims(page)["acr"], claims(page)["amr"]) == ("aal2", '["pwd", "otp", "mfa"]')
        assert_good_to_look_at(page)

    with browsers.visit(browser, demo.ledger, Look(scripts=False)) as plain:
        plain.get_by_role("link", name="Olivia Okafor").click()
        press(plain, "#identifier-submit")
        plain.fill("#password", PASSWORD)
        press(plain, "#login-submit")
        plain.fill("#otp", next_code(phone))
        press(plain, "#otp-submit")
        choose(plain, "Northwind EU")
        assert "POST /payouts" in allowed(plain)
    demo.idp("user", "reset-mfa", "olivia", "--now", "--reason", "the story is over")


def test_an_organization_that_wants_more_says_so_at_the_next_token(demo: Demo, browser: Browser) -> None:
    """Without signing anybody out: whoever goes on proves it, and works where they worked."""
    with browsers.visit(browser, demo.ledger) as page:
        sign_in(page, "Bob Baker", "Northwind EU")
        demo.idp("org", "update", "northwind", "--policy", "mfa=required")
        enter(page, "Northwind US")
        expect(page.get_by_role("heading", name="Set up a second factor")).to_be_visible()
        expect(page.locator("#enrol-decline")).to_have_count(0)
        press(page, "#login-cancel")
        expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()
        page.goto(demo.ledger)
        assert claims(page)["account_id"] == "acct_northwind_eu", "what he had he has until it runs out"
        enter(page, "Northwind US")
        set_up_an_app(page)
        expect(page.locator("details.pop > summary")).to_contain_text("Northwind US")
        assert (claims(page)["account_id"], claims(page)["acr"]) == ("acct_northwind_us", "aal2")
    demo.idp("org", "update", "northwind", "--policy", "mfa=optional")
    demo.idp("user", "reset-mfa", "bob", "--now", "--reason", "the story is over")


def test_money_moves_once_however_often_the_page_is_loaded(demo: Demo, browser: Browser) -> None:
    with browsers.visit(browser, demo.ledger) as page:
        sign_in(page, "Olivia Okafor", "Northwind sandbox")
        assert {"POST /charges", "POST /refunds"} < allowed(page)
        before = balance_of_the_sandbox(demo)
        for _ in range(2):
            page.reload()
            assert {"POST /charges", "POST /refunds"} < allowed(page)
        assert balance_of_the_sandbox(demo) == before


def test_signing_out_ends_it_at_both(demo: Demo, browser: Browser) -> None:
    with browsers.visit(browser, demo.ledger) as page:
        sign_in(page, "Bob Baker", "Northwind EU")
        press(page, "form[action='/logout'] button")
        expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
        assert_good_to_look_at(page)
        page.goto(demo.issuer + "/me")
        expect(page.locator("body")).to_have_attribute("data-page", "login")


def test_every_page_can_be_read_by_everybody(demo: Demo, browser: Browser) -> None:
    with browsers.visit(browser, demo.ledger) as page:
        assert_good_to_look_at(page)
        page.goto(demo.ledger + "/nowhere")
        assert_good_to_look_at(page)
        page.goto(demo.ledger)
        sign_in(page, "Bob Baker", "All of Northwind")
        page.click("details.pop > summary")
        page.locator("details.lines > summary").first.click()
        assert_good_to_look_at(page)


# What people do, and see


def sign_in(page: Page, name: str, place: str) -> None:
    """As somebody whom the first page offers."""
    page.get_by_role("link", name=name).click()
    press(page, "#identifier-submit")
    page.fill("#password", PASSWORD)
    press(page, "#login-submit")
    choose(page, place)


def set_up_an_app(page: Page) -> pyotp.TOTP:
    """Set up an authenticator app where the provider asks for something, and keep the recovery codes; the app."""
    press(page, "#app-begin")
    phone = pyotp.parse_uri(page.locator("a[href^='otpauth:']").get_attribute("href") or "")
    assert isinstance(phone, pyotp.TOTP)
    page.fill("#otp", phone.now())
    press(page, "#otp-submit")
    page.check("#saved")
    press(page, "#codes-submit")
    return phone


def next_code(phone: pyotp.TOTP) -> str:
    """The code of the step to come: that of this one may be spent, and the next one is taken already."""
    return phone.at(int(time.time()) + phone.interval)


def choose(page: Page, place: str) -> None:
    """Where to work, at the provider."""
    page.get_by_label(place).first.check()
    press(page, "#context-submit")
    expect(page.locator("body")).to_have_attribute("data-page", "dashboard")


def switch(page: Page, place: str) -> None:
    """Where to work, at Ledger."""
    enter(page, place)
    expect(page.locator("details.pop > summary")).to_contain_text(place)


def enter(page: Page, place: str) -> None:
    """Ask Ledger for another place; the provider may have a question first."""
    page.click("details.pop > summary")
    with page.expect_navigation():
        page.get_by_role("button", name=place).first.click()


def claims(page: Page) -> Mapping[str, str]:
    """What the token says, as it is shown."""
    names, values = page.locator(".claims dt").all_inner_texts(), page.locator(".claims dd > code").all_inner_texts()
    return dict(zip(names, values, strict=True))


def results(page: Page) -> Mapping[str, str]:
    """What came of each call, in the words of the table; the last one is about another account."""
    rows = page.locator("tbody tr")
    texts = [" ".join(rows.nth(index).inner_text().split()) for index in range(rows.count())]
    words = [text.split(" ", 3) for text in texts]
    return {f"{method} {path}": rest for method, path, _, rest in words[:6]}


def allowed(page: Page) -> set[str]:
    """The calls that are allowed."""
    return {call for call, result in results(page).items() if result.startswith("Allowed")}


def until(page: Page, seen: Callable[[], bool]) -> float:
    """Load the page again until something is to be seen; the seconds that this took."""
    began = time.monotonic()
    page.reload()
    while not seen():
        assert time.monotonic() - began < WITHIN
        page.reload()
    return time.monotonic() - began


def balance_of_the_sandbox(demo: Demo) -> object:
    """What a machine of Northwind is told of it."""
    asked = {"grant_type": "client_credentials", "account": "acct_northwind_sandbox"}
    who = ("app_nightly-reports", "demo-secret-of-the-nightly-reports")
    token = requests.post(f"{demo.issuer}/oauth2/token", data=asked, auth=who, timeout=WITHIN).json()["access_token"]
    answer = requests.get(
        f"http://localhost:{demo.ports[2]}/balance", headers={"Authorization": f"Bearer {token}"}, timeout=WITHIN
    )
    assert answer.status_code == 200
    return answer.json()["available"]


def assert_good_to_look_at(page: Page) -> None:
    """No problems for people who see little, have a narrow window, like it dark, or read from the right."""
    for look in LOOKS:
        page.set_viewport_size({"width": look.width, "height": 800})
        page.emulate_media(color_scheme=look.scheme)
        page.evaluate("dir => document.documentElement.dir = dir", "rtl" if look in LOOKS[2:] else "ltr")
        assert overflow(page) == 0, look
        assert accessibility_problems(page) == [], look
    page.set_viewport_size({"width": 1280, "height": 800})
    page.evaluate("document.documentElement.dir = 'ltr'")
