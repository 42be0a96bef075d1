"""Second factors as people use them: in Chromium, with scripts and without, narrow, dark, right to left."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from idp.login import transactions
from idp.login.demands import Demand
from idp.platform import database
from idp.sessions import browsers as known_browsers
from tests import phones
from tests.flows import browsers, people
from tests.flows.browsers import Visitor, accessibility_problems, overflow, press
from tests.flows.test_sign_in import LOOKS, SCRIPTS, give, is_at, name
from tests.phones import Phone


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """Somebody with a browser, at a provider that has people."""
    with browsers.visitor(tmp_path_factory.mktemp("site"), people.build, rate_limits="off") as found:
        yield found


def demand(page: Page, visitor: Visitor, wanted: Demand) -> None:
    """Let an application want something of the next sign-in in this browser."""
    (cookie,) = (one["value"] for one in page.context.cookies() if one["name"] == "idp_browser")
    with visitor.app.app_context():
        with database.writing():
            known = known_browsers.recognise(cookie)
            assert known is not None
            begun = transactions.begin(known.id, wanted, return_to="/me", application="Ledger")
        database.db.session.remove()
    page.goto(f"{visitor.url}/login?txn={begun.id}")


def given_to(visitor: Visitor, username: str) -> tuple[Phone, tuple[str, ...]]:
    """A phone and recovery codes of the person, who has none yet."""
    with visitor.app.app_context():
        made = phones.given_to(f"usr_{username}"), phones.codes_of(f"usr_{username}")
        database.db.session.remove()
        return made


def set_up(page: Page, visitor: Visitor, username: str) -> Phone:
    """Sign in as somebody who is to set an app up, and scan its key."""
    demand(page, visitor, Demand(least="aal2"))
    name(page, username)
    give(page)
    expect(page.locator("h1")).to_have_text("Set up a second factor")
    press(page, "#app-begin")
    expect(page.get_by_role("img", name=re.compile("^QR code"))).to_be_visible()
    page.get_by_text("No camera?").click()
    return Phone((page.locator("#app-key").text_content() or "").replace(" ", ""))


@SCRIPTS
def test_somebody_sets_an_app_up_keeps_codes_and_signs_in_with_both(visitor: Visitor, look: browsers.Look) -> None:
    username = "bob" if look.scripts else "tom"
    with visitor.visit("/login", look) as page:
        phone = set_up(page, visitor, username)
        page.fill("#otp", phone.wrong())
        press(page, "#otp-submit")
        expect(page.get_by_role("alert")).to_be_focused()
        expect(page).to_have_title(re.compile("^Error: Set up an authenticator app - Ledger"))
        used = phone.code()
        page.fill("#otp", used)
        press(page, "#otp-submit")
        expect(page.locator("h1")).to_have_text("Keep your recovery codes")
        codes = page.locator("#codes code").all_text_contents()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        assert download.value.suggested_filename == "recovery-codes.txt"
        assert download.value.path().read_text().split() == codes
        expect(page.get_by_role("button", name="Copy")).to_be_visible(visible=look.scripts)
        expect(page.get_by_role("button", name="Print")).to_be_visible(visible=look.scripts)
        page.check("#saved")
        press(page, "#codes-submit")
        is_at(page, "me")

        page.goto(f"{visitor.url}/logout")
        press(page, "#logout-confirm")
        page.goto(f"{visitor.url}/login")
        name(page, username)
        give(page)
        is_at(page, "otp")
        expect(page.locator("#otp")).to_be_focused()
        page.fill("#otp", used)
        press(page, "#otp-submit")
        expect(page.get_by_role("alert")).to_be_focused()
        page.get_by_text("Try another way").click()
        page.get_by_role("link", name="Recovery code").click()
        expect(page.locator("h1")).to_have_text("Enter a recovery code")
        page.fill("#recovery_code", codes[3].upper())
        page.get_by_label("Trust this device for 30 days").check()
        press(page, "#recovery-submit")
        is_at(page, "me")

        page.goto(f"{visitor.url}/logout")
        press(page, "#logout-confirm")
        page.goto(f"{visitor.url}/login")
        name(page, username)
        give(page)
        is_at(page, "me")


def test_codes_are_copied_at_the_press_of_a_button(visitor: Visitor) -> None:
    with visitor.visit("/login") as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        phone = set_up(page, visitor, "nick")
        page.fill("#otp", phone.code())
        press(page, "#otp-submit")
        page.get_by_role("button", name="Copy").click()
        expect(page.get_by_role("status")).to_have_text("Copied")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied.split() == page.locator("#codes code").all_text_contents()


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_the_pages_are_for_everybody(visitor: Visitor, look: browsers.Look) -> None:
    username = dict(zip(LOOKS.values(), ("una", "mona", "eve", "otto"), strict=True))[look]
    found: dict[str, list[str]] = {}

    def look_at(page: Page) -> None:
        found[page.title()] = accessibility_problems(page) + ["too wide"] * (overflow(page) > 0)

    with visitor.visit("/login", look) as page:
        demand(page, visitor, Demand(acr="aal2"))
        name(page, username)
        give(page)
        look_at(page)
        press(page, "#app-begin")
        look_at(page)
        page.locator("main summary").first.click()
        phone = Phone((page.locator("#app-key").text_content() or "").replace(" ", ""))
        page.fill("#otp", phone.wrong())
        press(page, "#otp-submit")
        page.locator("main summary").first.click()
        look_at(page)
        page.fill("#otp", phone.code())
        press(page, "#otp-submit")
        look_at(page)
        demand(page, visitor, Demand(fresh=True))
        name(page, username)
        give(page)
        look_at(page)
        page.fill("#otp", phone.wrong())
        press(page, "#otp-submit")
        page.locator("main summary").first.click()
        look_at(page)
        with page.expect_navigation():
            page.locator("main details a").first.click()
        look_at(page)
    assert [problem for problems in found.values() for problem in problems] == []
    assert len(found) == 7


def test_half_a_sign_in_stays_what_it_is_through_back_and_reload(visitor: Visitor) -> None:
    phone, _ = given_to(visitor, "olivia")
    with visitor.visit("/login") as page:
        name(page, "olivia")
        give(page)
        is_at(page, "otp")
        page.go_back()
        is_at(page, "otp")
        page.reload()
        is_at(page, "otp")
        page.goto(f"{visitor.url}/me")
        is_at(page, "login")
        page.go_back()
        page.fill("#otp", " ".join(phone.code()))
        press(page, "#otp-submit")
        is_at(page, "me")
        page.go_back()
        is_at(page, "me")
