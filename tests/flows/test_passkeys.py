"""Passkeys in Chromium, with authenticators that it plays itself (WebAuthn §11)."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Never

import pytest
from playwright.sync_api import CDPSession, Page, expect
from sqlalchemy import select, update

from idp.credentials import guesses, passkeys, passwords
from idp.credentials.guesses import TooMany
from idp.login import transactions
from idp.login.demands import Demand
from idp.platform import clock, database
from idp.sessions import browsers as known_browsers
from idp.sessions import levels
from idp.sessions.models import BrowserSession, SessionProof
from idp.users import users
from idp.users.users import UserSettings
from tests import once
from tests.actors import GOOD
from tests.authenticators import Authenticator
from tests.flows import people
from tests.flows.browsers import Look, Visitor, accessibility_problems, overflow, press, visitor
from tests.flows.test_sign_in import LOOKS
from tests.traces import OPERATOR


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    with visitor(tmp_path_factory.mktemp("passkeys"), people.build) as found:
        yield found


@dataclass
class Plugged:
    """An authenticator that is plugged into the browser of a page."""

    devtools: CDPSession
    id: str

    def credentials(self) -> list[dict[str, Any]]:
        """The passkeys on it."""
        found: list[dict[str, Any]] = self._send("getCredentials")["credentials"]
        return found

    def verifies(self, able: bool) -> None:
        """Whether it recognises its owner from now on."""
        self._send("setUserVerified", isUserVerified=able)

    def set_count(self, count: int) -> None:
        """Let its one passkey say `count` + 1 next."""
        (mine,) = self.credentials()
        self._send("removeCredential", credentialId=mine["credentialId"])
        self._send("addCredential", credential=mine | {"signCount": count})

    def unplug(self) -> None:
        """Take it out of the browser."""
        self._send("removeVirtualAuthenticator")

    def _send(self, method: str, **values: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.devtools.send(f"WebAuthn.{method}", {"authenticatorId": self.id} | values)
        return answer


def plug(page: Page, *, synced: bool = False, transport: str = "internal") -> Plugged:
    """Plug an authenticator in."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable", {"enableUI": False})
    options = {
        "protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": transport, "hasResidentKey": True,
        "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True,
        "defaultBackupEligibility": synced, "defaultBackupState": synced,
    }  # fmt: skip
    added = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return Plugged(devtools, added["authenticatorId"])


def listening(page: Page) -> None:
    """Write down what keepers of passkeys are told (Signal API)."""
    page.add_init_script(
        """for (const method of ["UnknownCredential", "AllAcceptedCredentials", "CurrentUserDetails"])
             PublicKeyCredential["signal" + method] = async (what) => {
               const told = JSON.parse(sessionStorage.getItem("told") ?? "[]");
               sessionStorage.setItem("told", JSON.stringify([...told, [method, what]]));
             };"""
    )


def by_button_only(page: Page) -> None:
    """Let the browser not fill passkeys in: this one would pick one at once, again and again."""
    page.add_init_script("PublicKeyCredential.isConditionalMediationAvailable = async () => false")


def told(page: Page) -> list[tuple[str, dict[str, Any]]]:
    """What keepers of passkeys were told."""
    found = json.loads(page.evaluate("sessionStorage.getItem('told') ?? '[]'"))
    return [(method, what) for method, what in found]


def with_password(page: Page, name: str) -> None:
    """Sign in as far as a password goes."""
    page.fill("#username", name)
    press(page, "#identifier-submit")
    page.fill("#password", GOOD)
    press(page, "#login-submit")


def add(page: Page, guest: Visitor, called: str) -> None:
    """Add a passkey, as somebody who has just proven who they are."""
    page.goto(f"{guest.url}/me/security/passkeys")
    page.fill("#name", called)
    press(page, "#passkey-register")
    expect(page.locator("#main")).to_contain_text("The passkey was added.")
    page.goto(f"{guest.url}/me/security")
    expect(page.locator("#main")).to_contain_text(called)


def sign_out(page: Page, guest: Visitor) -> None:
    """Sign out; where it leads."""
    page.goto(f"{guest.url}/logout")
    press(page, "#logout-confirm")


def arrived(page: Page, data_page: str) -> None:
    """Wait until the page of that name is there."""
    expect(page.locator("body")).to_have_attribute("data-page", data_page)


def ages(guest: Visitor, user_id: str) -> None:
    """Let everything that the person has proven be half an hour old."""
    with guest.app.app_context(), database.writing():
        mine = select(BrowserSession.id).where(BrowserSession.user_id == user_id)
        older = update(SessionProof).where(SessionProof.session_id.in_(mine))
        database.session().execute(older.values(at=SessionProof.at - 30 * clock.MINUTE))


def asked_for(page: Page, guest: Visitor, demand: Demand) -> str:
    """Where somebody signs in for an application that wants that."""
    (cookie,) = [one["value"] for one in page.context.cookies() if one["name"] == "idp_browser"]
    with guest.app.app_context(), database.writing():
        known = known_browsers.recognise(cookie)
        assert known
        return f"{guest.url}/login?txn={transactions.begin(known.id, demand, return_to='/me', application='Ledger').id}"


def test_a_passkey_is_added_signs_in_from_the_field_and_from_the_button_and_is_removed(guest: Visitor) -> None:
    with guest.visit("/login") as page:
        listening(page)
        device = plug(page)
        with_password(page, "bob")
        add(page, guest, "Work laptop")
        (kept,) = device.credentials()
        assert (kept["rpId"], kept["isResidentCredential"]) == ("localhost", True)
        methods = dict(told(page))
        assert methods.keys() == {"AllAcceptedCredentials", "CurrentUserDetails"}
        assert len(methods["AllAcceptedCredentials"]["allAcceptedCredentialIds"]) == 1
        assert methods["CurrentUserDetails"]["name"] == "bob"

        sign_out(page, guest)
        page.goto(f"{guest.url}/login")  # the browser fills the passkey in, as if it had been picked in the field
        arrived(page, "me")

        sign_out(page, guest)
        by_button_only(page)
        page.goto(f"{guest.url}/login")
        press(page, "#passkey-login")
        arrived(page, "me")

        page.goto(f"{guest.url}/me/security")
        page.get_by_role("link", name="Rename or remove Work laptop").click()
        press(page, "#passkey-remove")
        arrived(page, "login")  # nothing else was proven in this session
        press(page, "#passkey-login")
        expect(page.get_by_role("alert")).to_contain_text("The passkey was not accepted")
        method, what = told(page)[-1]
        assert (method, what["rpId"]) == ("UnknownCredential", "localhost")
        assert base64.urlsafe_b64decode(what["credentialId"] + "==") == base64.b64decode(kept["credentialId"])


def test_the_offer_in_the_field_is_made_anew_in_time_and_given_up_for_the_button(guest: Visitor) -> None:
    with guest.visit("/login") as page:
        plug(page)
        page.add_init_script(
            """const get = navigator.credentials.get.bind(navigator.credentials), asked = [];
               navigator.credentials.get = (wanted) => {
                 asked.push([wanted.mediation ?? "modal", wanted.signal]);
                 const told = asked.map(([how, signal]) => how + (signal?.aborted ? " given up" : ""));
                 document.documentElement.dataset.asked = told.join(", ");
                 if (!wanted.mediation) return get(wanted);
                 return new Promise((_, no) => wanted.signal.onabort = () => no(wanted.signal.reason));
               }"""
        )
        page.clock.install()
        page.goto(f"{guest.url}/login")
        html = page.locator("html")
        expect(html).to_have_attribute("data-asked", "conditional")
        page.clock.run_for(4 * 60 * 1_000)
        expect(html).to_have_attribute("data-asked", "conditional given up, conditional")
        page.click("#passkey-login")
        over = "conditional given up, conditional given up, modal"
        expect(html).to_have_attribute("data-asked", f"{over}, conditional")
        expect(page.locator("form[data-passkey] [role=status]")).to_contain_text("No passkey was used")


def test_a_passkey_is_the_second_factor_and_given_anew_before_anything_is_changed(guest: Visitor) -> None:
    with guest.visit("/login") as page:
        by_button_only(page)
        plug(page, synced=True)
        with_password(page, "nick")
        add(page, guest, "Phone")
        expect(page.locator("#main")).to_contain_text("Synced to your devices")
        sign_out(page, guest)
        page.goto(f"{guest.url}/login")
        with_password(page, "nick")
        expect(page.get_by_role("heading", name="Use your passkey")).to_be_visible()
        assert accessibility_problems(page) == []
        press(page, "#passkey-login")
        arrived(page, "me")

        ages(guest, "usr_nick")
        page.goto(f"{guest.url}/me/security/passkeys")
        expect(page.get_by_role("heading", name="Use your passkey")).to_be_visible()
        press(page, "#passkey-login")
        expect(page.get_by_role("heading", name="Add a passkey")).to_be_visible()


def test_two_authenticators_are_told_apart_and_one_is_not_added_twice(guest: Visitor) -> None:
    with guest.visit("/login") as page:
        by_button_only(page)
        device = plug(page)
        with_password(page, "otto")
        add(page, guest, "In here")
        page.goto(f"{guest.url}/me/security/passkeys")
        page.click("#passkey-register")
        expect(page.get_by_role("status").filter(has_text="This device has a passkey of yours already")).to_be_visible()
        stick = plug(page, transport="usb")
        page.fill("#name", "On a stick")
        press(page, "#passkey-register")
        expect(page.locator("#main")).to_contain_text("The passkey was added.")
        assert (len(device.credentials()), len(stick.credentials())) == (1, 1)
        device.unplug()
        sign_out(page, guest)
        page.goto(f"{guest.url}/login")
        press(page, "#passkey-login")
        arrived(page, "me")


def test_a_copy_of_a_passkey_is_refused_and_its_owner_sees_it(guest: Visitor) -> None:
    with guest.visit("/login") as page:
        by_button_only(page)
        device = plug(page)
        with_password(page, "olivia")
        add(page, guest, "Perhaps not mine alone")
        sign_out(page, guest)
        for count, comes_in in ((41, True), (7, False), (60, True)):
            device.set_count(count)
            page.goto(f"{guest.url}/login")
            press(page, "#passkey-login")
            arrived(page, "me" if comes_in else "login")
            if not comes_in:
                expect(page.get_by_role("alert")).to_contain_text("The passkey was not accepted")
                continue
            page.goto(f"{guest.url}/me/security")
            expect(page.locator("#main")).to_contain_text("Perhaps not mine alone")
            assert page.get_by_text("Its counter went back").count() == (count == 60)
            sign_out(page, guest)


def test_a_device_that_does_not_recognise_its_owner_proves_nothing(guest: Visitor) -> None:
    with guest.visit("/login") as page:
        device = plug(page)
        with_password(page, "tom")
        add(page, guest, "Laptop")
        sign_out(page, guest)
        device.verifies(False)
        page.goto(f"{guest.url}/login")
        page.click("#passkey-login")
        expect(page.get_by_role("status").filter(has_text="No passkey was used")).to_be_visible()
        arrived(page, "login")


def test_a_passkey_is_set_up_on_the_way_where_that_is_demanded(guest: Visitor) -> None:
    with guest.visit("/login") as page:
        plug(page)
        page.goto(asked_for(page, guest, Demand(least=levels.PHISHING_RESISTANT)))
        with_password(page, "mona")
        expect(page.get_by_role("heading", name="Set up a passkey")).to_be_visible()
        assert accessibility_problems(page) == []
        press(page, "#passkey-register")
        expect(page.get_by_role("heading", name="Keep your recovery codes")).to_be_visible()
        page.check("[name=saved]")
        press(page, "#codes-submit")
        arrived(page, "me")


def newcomer(guest: Visitor, name: str) -> None:
    """Somebody with a password who has not been anywhere yet."""
    with guest.app.app_context(), database.writing():
        person = users.create(UserSettings(name), by=OPERATOR)
        passwords.store(person.id, once.hashed(GOOD), by=OPERATOR)


def offered(page: Page, guest: Visitor, name: str) -> None:
    """Sign in by a password twice, in a browser that fills no passkeys in; the second time one is offered."""
    newcomer(guest, name)
    by_button_only(page)
    page.goto(f"{guest.url}/login")
    with_password(page, name)
    arrived(page, "me")
    sign_out(page, guest)
    page.goto(f"{guest.url}/login")
    with_password(page, name)
    expect(page.locator("#offer-decline")).to_be_visible()


def test_a_passkey_is_offered_after_a_password_and_signs_in_the_next_time(guest: Visitor) -> None:
    with guest.visit("/login") as page:
        device = plug(page)
        offered(page, guest, "petra")
        expect(page.get_by_role("heading", name="Sign in faster next time")).to_be_visible()
        device.verifies(False)
        page.click("#passkey-register")
        expect(page.get_by_role("status").filter(has_text="No passkey was used")).to_be_visible()
        device.verifies(True)
        page.reload()
        press(page, "#passkey-register")
        expect(page.get_by_role("heading", name="Keep your recovery codes")).to_be_visible()
        page.check("[name=saved]")
        press(page, "#codes-submit")
        arrived(page, "me")
        sign_out(page, guest)
        page.goto(f"{guest.url}/login")
        press(page, "#passkey-login")
        arrived(page, "me")


def test_an_offer_is_put_off_and_not_made_again_nor_where_a_device_makes_no_passkeys(guest: Visitor) -> None:
    with guest.visit("/login") as page:
        device = plug(page)
        offered(page, guest, "quentin")
        press(page, "#offer-decline")
        arrived(page, "me")
        page.go_back()
        arrived(page, "me")
        sign_out(page, guest)
        page.goto(f"{guest.url}/login")
        with_password(page, "quentin")
        arrived(page, "me")
        sign_out(page, guest)
        newcomer(guest, "rosa")
        device.unplug()
        plug(page, transport="usb")
        for _ in range(2):
            page.goto(f"{guest.url}/login")
            with_password(page, "rosa")
            arrived(page, "me")
            sign_out(page, guest)


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_everybody_can_read_the_page_that_offers_a_passkey(guest: Visitor, look: Look) -> None:
    with guest.visit("/login", look) as page:
        plug(page)
        offered(page, guest, f"sam{look.width}{look.scheme}{look.language}")
        assert accessibility_problems(page) == []
        assert overflow(page) <= 0


def test_a_browser_that_knows_no_passkeys_offers_none_and_says_so_where_it_matters(guest: Visitor) -> None:
    with guest.visit("/login") as page:
        page.add_init_script("delete window.PublicKeyCredential")
        page.goto(f"{guest.url}/login")
        expect(page.locator("#passkey-login")).to_be_hidden()
        with_password(page, "una")
        page.goto(f"{guest.url}/me/security/passkeys")
        expect(page.get_by_text("This browser cannot use passkeys here")).to_be_visible()
        expect(page.locator("#passkey-register")).to_be_hidden()
        assert accessibility_problems(page) == []


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_everybody_can_read_and_use_the_pages_that_ask_for_a_passkey(guest: Visitor, look: Look) -> None:
    with guest.visit("/login", look) as page:
        for _ in every_page(page, guest):
            assert accessibility_problems(page) == []
            assert overflow(page) <= 0


def every_page(page: Page, guest: Visitor) -> Iterator[None]:
    """The pages that ask for a passkey, one after the other, with everything that goes wrong on them."""
    plug(page)
    equip(guest, "eve")
    by_button_only(page)
    page.goto(f"{guest.url}/login")
    page.click("#passkey-login")
    expect(page.locator("form[data-passkey] [role=status]")).not_to_be_empty()
    yield
    for name in ("", "nobody", "eve"):
        fail(page, name)
        expect(page.get_by_role("alert")).to_be_visible()
        yield
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guesses, "count_unguessable", too_many)
        fail(page, "")
        arrived(page, "error")
        yield


def too_many(_: str) -> Never:
    """Nothing more is looked at from there for a while."""
    raise TooMany(90)


def equip(guest: Visitor, name: str) -> None:
    """Let the person have a passkey that is in none of the authenticators."""
    with guest.app.app_context():
        if passkeys.of(f"usr_{name}"):
            return
        device = Authenticator(guest.url)
        with database.writing():
            options = passkeys.creation_options(users.find(f"usr_{name}"), "txn_other")
            passkeys.register(f"usr_{name}", "txn_other", device.create(options), "Other", by=OPERATOR)


def fail(page: Page, name: str) -> None:
    """Let a passkey be refused: of nobody, of the person who was named, or as the second factor of that person."""
    if name == "eve":
        page.fill("#password", GOOD)
        press(page, "#login-submit")
    elif name:
        page.fill("#username", "eve")
        press(page, "#identifier-submit")
    expect(page.locator("form[data-passkey]")).to_be_attached()
    with page.expect_navigation():
        page.evaluate(
            """() => { const form = document.querySelector("form[data-passkey]");
                       form.elements.credential.value = "{}"; form.submit() }"""
        )
