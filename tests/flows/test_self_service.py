"""One's own pages as people use them: in Chromium, with scripts and without, narrow, dark, right to left."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from idp.credentials import factors
from idp.credentials.models import Passkey
from idp.platform import clock, database
from idp.sessions import browsers as known_browsers
from idp.sessions import people as sessions
from idp.sessions import trusted_devices
from idp.sessions.models import SessionProof
from idp.sessions.proofs import Proof
from tests import phones
from tests.actors import GOOD
from tests.flows import browsers, people
from tests.flows.browsers import Look, Visitor, accessibility_problems, press
from tests.flows.test_passkeys import plug
from tests.flows.test_sign_in import SCRIPTS, fits, give, is_at, name, sign_in
from tests.phones import Phone
from tests.traces import OPERATOR

NEW = "another good long password"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit Version/26.0 Safari/604.1"


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """Somebody with a browser, at a provider that has people."""
    with browsers.visitor(tmp_path_factory.mktemp("site"), people.build, rate_limits="off") as found:
        yield found


def ages(visitor: Visitor, username: str) -> None:
    """Let everything that the person has proven be half an hour old."""
    with visitor.app.app_context(), database.writing():
        mine = [one.id for one in sessions.of_person(f"usr_{username}")]
        older = update(SessionProof).where(SessionProof.session_id.in_(mine))
        database.session().execute(older.values(at=SessionProof.at - 30 * clock.MINUTE))


def scanned(page: Page) -> Phone:
    """A phone that has read the key off the page."""
    page.get_by_text("No camera?").click()
    return Phone((page.locator("#app-key").text_content() or "").replace(" ", ""))


@SCRIPTS
def test_somebody_sets_an_app_up_gets_codes_and_takes_it_away_again(visitor: Visitor, look: Look) -> None:
    username = "bob" if look.scripts else "tom"
    with visitor.visit("/login", look) as page:
        sign_in(page, visitor, username)
        ages(visitor, username)
        page.get_by_role("link", name="Security").first.click()
        page.get_by_role("link", name="Set up authenticator app").click()
        is_at(page, "password")
        give(page)
        expect(page.locator("h1")).to_have_text("Authenticator app")
        press(page, "#app-begin")
        phone = scanned(page)
        page.fill("#otp", phone.wrong())
        press(page, "#otp-submit")
        expect(page.get_by_role("alert")).to_be_focused()
        page.fill("#otp", phone.code())
        press(page, "#otp-submit")
        expect(page.get_by_role("status").first).to_contain_text("The authenticator app is set up.")
        press(page, "#codes-make")
        codes = page.locator("#codes code").all_text_contents()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        assert download.value.path().read_text().split() == codes
        page.check("#saved")
        press(page, "#codes-submit")
        expect(page.get_by_role("status").first).to_contain_text("You have new recovery codes.")
        expect(page.get_by_text("10 of 10 left")).to_be_visible()

        ages(visitor, username)
        page.get_by_role("link", name="Change authenticator app").click()
        is_at(page, "otp")
        page.fill("#otp", phone.code(1))
        press(page, "#otp-submit")
        press(page, "#app-remove")
        expect(page.get_by_role("status").first).to_contain_text("The authenticator app was removed.")


@SCRIPTS
def test_somebody_changes_their_password_and_is_signed_out_elsewhere(visitor: Visitor, look: Look) -> None:
    username = "una" if look.scripts else "otto"
    with visitor.visit("/login", look) as elsewhere, visitor.visit("/login", look) as page:
        sign_in(elsewhere, visitor, username)
        sign_in(page, visitor, username)
        page.goto(f"{visitor.url}/.well-known/change-password")
        expect(page.locator("h1")).to_have_text("Change your password")
        page.fill("#current", "wrong")
        page.fill("#password", NEW)
        if look.scripts:
            page.click("#password-show")
            expect(page.locator("#password")).to_have_attribute("type", "text")
        press(page, "#password-submit")
        expect(page.get_by_role("alert")).to_be_focused()
        page.fill("#current", GOOD)
        page.fill("#password", NEW)
        press(page, "#password-submit")
        expect(page.get_by_role("status").first).to_contain_text("The password was changed.")
        elsewhere.goto(f"{visitor.url}/me")
        name(elsewhere, username)
        give(elsewhere, NEW)
        is_at(elsewhere, "me")
        page.get_by_role("link", name="Sessions").first.click()
        page.get_by_role("button", name="Sign out everywhere else").click()
        expect(page.get_by_role("status").first).to_contain_text("You are signed out everywhere else.")
        elsewhere.goto(f"{visitor.url}/me")
        is_at(elsewhere, "login")


def test_a_passkey_is_added_on_the_overview_and_outlives_the_password(visitor: Visitor) -> None:
    with visitor.visit("/login") as page:
        plug(page)
        sign_in(page, visitor, "nick")
        page.goto(f"{visitor.url}/me/security")
        press(page, "#passkey-register")
        expect(page.get_by_role("status").first).to_contain_text("The passkey was added.")
        page.goto(f"{visitor.url}/me/security/password")
        press(page, "#password-remove")
        expect(page.get_by_text("Only one way to sign in is set up")).to_be_visible()
        page.get_by_role("link", name=re.compile("Rename or remove")).click()
        expect(page.get_by_text("This is your only way to sign in.")).to_be_visible()
        expect(page.locator("#passkey-remove")).to_have_count(0)


# Looks


LOOKS = {"wide": Look(), "right to left, narrow and dark": Look(width=320, scheme="dark", language="ar")}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_everybody_can_read_and_use_every_page_about_themselves(visitor: Visitor, look: Look) -> None:
    with visitor.visit("/login", look) as page:
        for _ in every_page(page, visitor):
            assert accessibility_problems(page) == []
            fits(page)


def test_longer_words_still_fit(visitor: Visitor) -> None:
    with visitor.visit("/login?ui_locales=xx-long", Look(width=320)) as page:
        for _ in every_page(page, visitor):
            fits(page)


def every_page(page: Page, visitor: Visitor) -> Iterator[None]:
    """Lead `page` over every page about oneself: with nothing, with much and long names, and with what goes wrong."""

    def at(path: str) -> None:
        page.goto(visitor.url + path)
        is_at(page, "me")
        page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = !one.closest('.foot, .menu'))")

    equip(visitor)
    sign_in(page, visitor, "eve")
    for path in ("", "/security", "/sessions", "/apps", "/security/passkeys", "/security/app", "/security/codes"):
        at(f"/me{path}")
        yield
    at("/me/security/password")
    page.fill("#current", "wrong")
    page.fill("#password", "wrong")
    press(page, "#password-submit")
    is_at(page, "me")
    yield
    sign_in(page, visitor, "mona")
    known = prove_everything(page, visitor)
    for path in ("", "/sessions", "/apps"):
        at(f"/me{path}")
        yield
    for path in ("/passkeys", "/codes", "/password", ""):
        at(f"/me/security{path}")
        yield
    at(f"/me/security/passkeys/{known}")
    page.evaluate("document.querySelector('#name').required = false")
    page.fill("#name", "")
    press(page, "#passkey-rename")
    is_at(page, "me")
    yield
    at("/me/security/app")
    press(page, "#app-begin")
    is_at(page, "me")
    yield
    page.fill("#otp", "000000")
    press(page, "#otp-submit")
    is_at(page, "me")
    yield
    at("/me/security/codes")
    press(page, "#codes-make")
    is_at(page, "me")
    yield
    page.evaluate("document.querySelector('#saved').required = false")
    press(page, "#codes-submit")
    is_at(page, "me")
    yield
    page.check("#saved")
    press(page, "#codes-submit")
    is_at(page, "me")
    yield


def equip(visitor: Visitor) -> None:
    """Let Mona have everything, and long names for it."""
    with visitor.app.app_context():
        if not factors.of("usr_mona"):
            phones.given_to("usr_mona"), phones.codes_of("usr_mona")
            with database.writing():
                for number, called in enumerate((people.LONG, people.EVIL, "Wort" * 16)):
                    made = factors.add("usr_mona", "passkey", called, by=OPERATOR)
                    kept = Passkey(factor_id=made.id, credential_id=made.id, public_key="", sign_count=0)
                    kept.is_synced = kept.is_backed_up = number % 2
                    kept.went_back_at = clock.now() if number == 1 else None
                    database.session().add(kept)
        with database.writing():
            for agent in (PHONE, ""):
                known, _ = known_browsers.begin()
                known.user_agent, known.address = agent, "2001:db8:85a3:8d3:1319:8a2e:370:7348" if agent else ""
                sessions.open_session(known, "usr_mona", [Proof("password", clock.now())])
                known.user_agent = agent
                trusted_devices.trust(known, "usr_mona", "")
        database.db.session.remove()


def prove_everything(page: Page, visitor: Visitor) -> str:
    """Let Mona have proven all there is in the browser of `page`; the id of a passkey of hers."""
    (cookie,) = [one for one in page.context.cookies() if one["name"] == "idp_browser"]
    with visitor.app.app_context():
        passkey = factors.of("usr_mona")[-1].id
        with database.writing():
            known = known_browsers.recognise(cookie["value"])
            assert known
            proofs = [Proof(method, clock.now()) for method in ("password", "passkey")]
            _, token = sessions.open_session(known, "usr_mona", proofs)
            known = known_browsers.recognise(token)
            assert known
            trusted_devices.trust(known, "usr_mona", "")
        database.db.session.remove()
    page.context.add_cookies([{"name": "idp_browser", "value": token, "url": visitor.url}])
    return passkey
