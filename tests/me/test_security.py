"""`/me/security`: what somebody proves themselves with, changed only by who has just proven that it is they."""

import json
import re
from typing import Any

import pytest
from flask import Flask
from time_machine import Traveller

from idp.credentials import factors, held, passkeys, recovery_codes
from idp.platform import database
from idp.platform.settings import settings
from idp.sessions import people, trusted_devices
from tests.actors import GOOD, Browser, Page
from tests.authenticators import Authenticator
from tests.me.conftest import LATER
from tests.organizations.actors import state
from tests.phones import Phone, codes_of, given_to
from tests.proving import set_up, step_up
from tests.traces import entries, events

PAGES = ("/me/security/passkeys", "/me/security/app", "/me/security/codes")
"""What only those see who have just proven who they are; and `/me/security/password`, of who has more than one."""


@pytest.fixture
def device(app: Flask) -> Authenticator:
    return Authenticator(settings().issuer)


def with_passkey(browser: Browser, device: Authenticator, name: str = "Laptop") -> Page:
    """Add a passkey in the browser, as its script would; the page that comes of it."""
    page = browser.get("/me/security/passkeys")
    asked = browser.client.post("/me/security/passkeys/options", data={"csrf_token": token(page)})
    assert asked.status_code == 200, asked.text
    return browser.send(page, "credential", credential=device.create(asked.get_json()), name=name)


def by_passkey(browser: Browser, device: Authenticator, page: Page) -> Page:
    """Prove it is you on the page of a sign-in, as its script would."""
    form = page.form("credential")
    options = form.action.replace("/login/passkey", "/login/passkey/options")
    asked = browser.client.post(options, data={"csrf_token": form.fields["csrf_token"]})
    assert asked.status_code == 200, asked.text
    return browser.send(page, "credential", credential=device.get(asked.get_json()))


def token(page: Page) -> str:
    return next(form.fields["csrf_token"] for form in page.forms if "csrf_token" in form.fields)


def setting_up(browser: Browser) -> tuple[Page, str]:
    """The page on which an app is set up, begun now; and the address that it shows."""
    page = browser.send(browser.get("/me/security/app"), "app-begin", act="begin")
    (uri,) = [one["href"] for one in page.links if one["href"].startswith("otpauth:")]
    return page, uri


def has(user_id: str) -> set[str]:
    database.session().rollback()
    return set(held.methods(user_id))


def made_codes(page: Page) -> list[str]:
    return re.findall(r"<code>([0-9a-z-]{19})</code>", page.text)


# The overview


def test_whoever_is_not_signed_in_signs_in_first(browser: Browser) -> None:
    for path in ("/me/security", "/me/sessions", *PAGES, "/me/security/password"):
        assert browser.get(path).name == "login", path


def test_whoever_has_only_a_password_is_told_what_is_missing(browser: Browser, olivia: str) -> None:
    browser.sign_in("olivia")
    page = browser.get("/me/security")
    assert (page.status, page.name, page.heading) == (200, "me", "Security")
    for words in (
        "Only one way to sign in is set up",
        "You have no passkey yet",
        "Not set up",
        "No browser is trusted",
    ):
        assert words in page.text
    assert "Get new codes" not in page.text


def test_whoever_has_everything_sees_all_of_it(browser: Browser, olivia: str, bob: str, device: Authenticator) -> None:
    browser.sign_in("olivia")
    with_passkey(browser, device, "<b>Work laptop</b>")
    set_up(olivia, "totp"), codes_of(olivia), set_up(bob, "passkey")
    page = browser.get("/me/security")
    for words in (
        "&lt;b&gt;Work laptop&lt;/b&gt;",
        "On one device only",
        "2 ways to sign in are set up",
        "10 of 10 left",
        "On since",
    ):
        assert words in page.text
    assert "Synced to your devices" not in page.text


def test_a_passkey_whose_counter_went_back_is_shown_with_a_warning(
    browser: Browser, olivia: str, device: Authenticator
) -> None:
    browser.sign_in("olivia")
    with_passkey(browser, device)
    ((factor, passkey),) = passkeys.of(olivia)
    with database.writing():
        database.session().get_one(type(passkey), factor.id).went_back_at = 1
    assert "Perhaps copied" in browser.get("/me/security").text
    assert "counter went back" in browser.get(f"/me/security/passkeys/{factor.id}").text


def test_few_codes_are_a_warning(browser: Browser, olivia: str) -> None:
    phone, codes = given_to(olivia), codes_of(olivia)
    with database.writing():
        for code in codes[:8]:
            recovery_codes.use(olivia, code)
    browser.send(browser.sign_in("olivia"), "otp", otp=phone.code())
    assert '<span class="badge warn">2 of 10 left</span>' in browser.get("/me/security").text


# Recently proven


@pytest.mark.rule("TOT-08")
def test_an_old_proof_is_asked_for_anew_and_leads_back(browser: Browser, olivia: str, clockwork: Traveller) -> None:
    browser.sign_in("olivia")
    for path in PAGES:
        clockwork.shift(LATER)
        page = browser.get(path)
        assert page.name == "password", path
        assert browser.send(page, "password", password="wrong").name == "password"
        page = browser.send(page, "password", password=GOOD)
        assert (page.path, page.name) == (path, "me")
        assert browser.get(path).path == path


@pytest.mark.rule("TOT-08")
def test_a_second_factor_is_asked_for_where_there_is_one(browser: Browser, olivia: str, clockwork: Traveller) -> None:
    phone = given_to(olivia)
    browser.send(browser.sign_in("olivia"), "otp", otp=phone.code())
    for path in (*PAGES, "/me/security/password"):
        assert browser.get(path).path == path
        clockwork.shift(LATER)
        page = browser.get(path)
        assert page.name == "otp", path
        page = browser.send(page, "otp", otp=phone.code())
        assert (page.path, page.name) == (path, "me")


@pytest.mark.rule("TOT-08")
def test_a_trusted_browser_spares_nobody_who_changes_something(
    browser: Browser, olivia: str, clockwork: Traveller
) -> None:
    phone = given_to(olivia)
    browser.send(browser.sign_in("olivia"), "otp", otp=phone.code(), trust="yes")
    browser.send(browser.get("/logout"), "logout-confirm")
    clockwork.shift(LATER)
    assert browser.sign_in("olivia").name == "me"
    for path in (*PAGES, "/me/security/password"):
        assert browser.get(path).name == "otp", path


@pytest.mark.rule("TOT-08")
def test_whoever_has_a_passkey_shows_that_one_and_a_code_will_not_do(
    browser: Browser, other: Browser, olivia: str, device: Authenticator, clockwork: Traveller
) -> None:
    browser.sign_in("olivia")
    with_passkey(browser, device)
    phone = given_to(olivia)
    page = other.sign_in("olivia")
    page = other.send(other.get(f"{page.address}&way=totp"), "otp", otp=phone.code())
    assert page.name == "me"
    for path in (*PAGES, "/me/security/password"):
        page = other.get(path)
        assert (page.name, "otp" in page.text) == ("verify", False), path
        assert other.get(f"{page.address}&way=totp").name == "verify"
    page = by_passkey(other, device, page)
    assert (page.path, page.name) == ("/me/security/password", "me")


@pytest.mark.rule("TOT-08")
def test_a_code_does_not_renew_what_a_passkey_proved(
    browser: Browser, olivia: str, device: Authenticator, clockwork: Traveller
) -> None:
    browser.sign_in("olivia")
    with_passkey(browser, device)
    given_to(olivia)
    clockwork.shift(LATER)
    page = browser.get("/me/security/app")
    assert page.name == "verify"
    assert browser.get(f"{page.address}&way=totp").name == "verify"
    step_up(browser, olivia, "totp")
    clockwork.shift(1)
    page = browser.get("/me/security/app")
    assert page.name == "password"
    page = by_passkey(browser, device, page)
    assert (page.path, page.name) == ("/me/security/app", "me")


@pytest.mark.rule("TOT-08")
def test_a_form_of_somebody_whose_proof_is_old_changes_nothing(
    browser: Browser, olivia: str, device: Authenticator, clockwork: Traveller
) -> None:
    phone = given_to(olivia)
    browser.send(browser.sign_in("olivia"), "otp", otp=phone.code())
    set_up(olivia, "passkey")
    step_up(browser, olivia, "passkey")
    (passkey,) = [one for one in factors.of(olivia) if one.kind == "passkey"]
    secret = token(browser.get("/me/security/app"))
    clockwork.shift(LATER)
    attempts: list[tuple[str, dict[str, Any]]] = [
        ("/me/security/passkeys", {"credential": "{}", "name": "x"}),
        (f"/me/security/passkeys/{passkey.id}", {"name": "Mine now"}),
        (f"/me/security/passkeys/{passkey.id}", {"act": "remove"}),
        ("/me/security/app", {"act": "remove"}),
        ("/me/security/app", {"act": "begin"}),
        ("/me/security/app", {"otp": "123456"}),
        ("/me/security/codes", {}),
        ("/me/security/password", {"password": "another good long password"}),
        ("/me/security/password", {"act": "remove"}),
    ]
    has_before = [(one.id, one.name) for one in factors.of(olivia)], has(olivia)
    for path, values in attempts:
        answer = browser.client.post(path, data={"csrf_token": secret, **values})
        assert answer.status_code == 303, path
        assert answer.location.startswith("/login/verify"), path
        database.session().rollback()
        assert ([(one.id, one.name) for one in factors.of(olivia)], has(olivia)) == has_before
    before = state()
    refused = browser.client.post("/me/security/passkeys/options", data={"csrf_token": secret})
    assert (refused.status_code, "challenge" in refused.text) == (403, False)
    assert state() == before


# Passkeys


def test_a_passkey_is_added_used_renamed_and_removed(
    browser: Browser, other: Browser, olivia: str, device: Authenticator
) -> None:
    browser.sign_in("olivia")
    page = with_passkey(browser, device)
    assert (page.path, "The passkey was added." in page.text) == ("/me/security/codes", True)
    assert by_passkey(other, device, other.get("/login")).name == "me"
    page = browser.get("/me/security")
    (link,) = [one["href"] for one in page.links if one["href"].startswith("/me/security/passkeys/")]
    page = browser.send(browser.get(link), "name", name="  YubiKey\n 5C ")
    assert "another name now" in page.text
    assert "YubiKey 5C" in page.text
    page = browser.send(browser.get(link), "name", name=" ")
    assert (page.status, page.alerts) == (400, 1)
    page = browser.send(browser.get(link), "act", act="remove")
    assert "The passkey was removed." in page.text
    assert has(olivia) == {"password"}
    assert other.get("/me").name == "login"
    assert browser.get(link).status == 404
    assert by_passkey(other, device, other.get("/login")).name == "login"


def test_what_is_no_passkey_is_refused_on_the_page(browser: Browser, olivia: str) -> None:
    browser.sign_in("olivia")
    for offered in ("", "{}", "no"):
        page = browser.send(browser.get("/me/security/passkeys"), "credential", credential=offered)
        assert (page.status, page.path, page.alerts) == (400, "/me/security/passkeys", 1)
        assert page.title.startswith("Error: ")
    assert has(olivia) == {"password"}


@pytest.mark.rule("WAN-01")
def test_a_passkey_that_was_begun_in_one_session_is_not_added_in_another(
    browser: Browser, other: Browser, olivia: str, device: Authenticator
) -> None:
    browser.sign_in("olivia")
    other.sign_in("olivia")
    page = browser.get("/me/security/passkeys")
    asked = browser.client.post("/me/security/passkeys/options", data={"csrf_token": token(page)}).get_json()
    page = other.send(other.get("/me/security/passkeys"), "credential", credential=device.create(asked))
    assert (page.status, has(olivia)) == (400, {"password"})


def test_nobody_sees_renames_or_removes_what_is_somebody_elses(browser: Browser, olivia: str, bob: str) -> None:
    browser.sign_in("olivia")
    his, app_id = set_up(bob, "passkey"), set_up(olivia, "totp")
    step_up(browser, olivia, "totp")
    secret = token(browser.get("/me/security/app"))
    for id in (his, app_id, "fac_unknown"):
        assert browser.get(f"/me/security/passkeys/{id}").status == 404
    for values in ({"name": "Mine now"}, {"act": "remove"}):
        answer = browser.client.post(f"/me/security/passkeys/{his}", data={"csrf_token": secret, **values})
        assert answer.status_code == 404
    assert [one.name for one in factors.of(bob)] == ["passkey"]


@pytest.mark.rule("TOT-09")
def test_the_last_way_in_is_not_offered_for_removal_and_not_taken(
    browser: Browser, olivia: str, device: Authenticator
) -> None:
    browser.sign_in("olivia")
    with_passkey(browser, device)
    ((factor, _),) = passkeys.of(olivia)
    link = f"/me/security/passkeys/{factor.id}"
    stale = browser.get(link)
    page = browser.send(browser.get("/me/security/password"), "act", act="remove")
    assert ("The password was removed." in page.text, has(olivia)) == (True, {"passkey"})
    page = browser.send(stale, "act", act="remove")
    assert (page.status, "This is your only way to sign in." in page.text, "passkey-remove" in page.text) == (
        409,
        True,
        False,
    )
    assert has(olivia) == {"passkey"}


# The authenticator app


@pytest.mark.rule("TOT-03")
def test_an_app_counts_after_one_code_that_is_right_and_codes_are_offered(browser: Browser, olivia: str) -> None:
    browser.sign_in("olivia")
    page, uri = setting_up(browser)
    phone = Phone.scanning(uri)
    assert uri in [one["href"] for one in browser.get("/me/security/app").links]
    page = browser.send(page, "otp", otp=phone.wrong())
    assert (page.status, page.alerts, has(olivia)) == (400, 1, {"password"})
    page = browser.send(page, "otp", otp=phone.code())
    assert (page.path, "The authenticator app is set up." in page.text) == ("/me/security/codes", True)
    assert has(olivia) == {"password", "totp"}
    assert uri not in [one.get("href") for one in browser.get("/me/security/app").links]
    page = browser.send(browser.get("/me/security/codes"), "codes-make")
    codes = made_codes(page)
    assert (len(codes), has(olivia)) == (10, {"password", "totp", "recovery_code"})


@pytest.mark.rule("TOT-03")
def test_a_secret_that_one_session_was_shown_is_of_no_use_in_another(
    browser: Browser, other: Browser, olivia: str, bob: str
) -> None:
    browser.sign_in("olivia")
    _, uri = setting_up(browser)
    for username, user_id in (("olivia", olivia), ("bob", bob)):
        other.sign_in(username)
        page = other.send(setting_up(other)[0], "otp", otp=Phone.scanning(uri).code())
        assert (page.status, has(user_id)) == (400, {"password"})


@pytest.mark.rule("TOT-03")
def test_a_secret_waits_ten_minutes_and_no_longer(browser: Browser, olivia: str, clockwork: Traveller) -> None:
    browser.sign_in("olivia")
    page, uri = setting_up(browser)
    clockwork.shift(601)
    browser.send(browser.get("/me/security/codes"), "password", password=GOOD)
    page = browser.send(page, "otp", otp=Phone.scanning(uri).code())
    assert (page.status, "That took too long" in page.text, has(olivia)) == (400, True, {"password"})


@pytest.mark.rule("TOT-03")
def test_an_app_is_replaced_by_who_proved_it_and_its_codes_count_no_more(
    browser: Browser, other: Browser, olivia: str, clockwork: Traveller
) -> None:
    old = given_to(olivia)
    codes_of(olivia)
    browser.send(browser.sign_in("olivia"), "otp", otp=old.code(), trust="yes")
    page, uri = setting_up(browser)
    assert "takes the place of the old one" in page.text
    page = browser.send(page, "otp", otp=Phone.scanning(uri).code())
    assert page.path == "/me/security"
    assert trusted_devices.of(olivia) == []
    assert len(factors.of(olivia)) == 1
    clockwork.shift(60)
    page = other.sign_in("olivia")
    page = other.send(page, "otp", otp=old.code())
    assert (page.name, page.alerts) == ("otp", 1)
    assert other.send(page, "otp", otp=Phone.scanning(uri).code()).name == "me"


def test_an_app_is_removed_and_codes_with_it(browser: Browser, olivia: str) -> None:
    phone = given_to(olivia)
    codes_of(olivia)
    browser.send(browser.sign_in("olivia"), "otp", otp=phone.code())
    page = browser.get("/me/security/app")
    assert "your recovery codes become void" in page.text
    page = browser.send(page, "app-remove", act="remove")
    assert ("The authenticator app was removed." in page.text, has(olivia)) == (True, {"password"})
    assert browser.get("/me").name == "me"


# Recovery codes


@pytest.mark.rule("TOT-04")
def test_codes_are_shown_once_and_new_ones_void_the_old(browser: Browser, olivia: str) -> None:
    phone, old = given_to(olivia), codes_of(olivia)
    browser.send(browser.sign_in("olivia"), "otp", otp=phone.code())
    page = browser.get("/me/security/codes")
    assert ("10 of your codes are left" in page.text, made_codes(page)) == (True, [])
    shown = browser.send(page, "codes-make")
    codes = made_codes(shown)
    assert len(set(codes)) == 10
    assert not set(codes) & set(old)
    assert made_codes(browser.get("/me/security/codes")) == []
    with database.writing():
        assert not recovery_codes.use(olivia, old[0])
    file = browser.post(shown, "saved", file="text")
    assert file.text.split() == codes
    assert "attachment" in file.headers["Content-Disposition"]
    page = browser.send(shown, "codes-submit")
    assert (page.alerts, made_codes(page)) == (1, codes)
    page = browser.send(page, "codes-submit", saved="yes")
    assert ("You have new recovery codes." in page.text, recovery_codes.left(olivia)) == (True, 10)


@pytest.mark.rule("TOT-04")
def test_a_page_of_codes_that_is_loaded_again_does_not_void_them(browser: Browser, olivia: str) -> None:
    phone = given_to(olivia)
    browser.send(browser.sign_in("olivia"), "otp", otp=phone.code())
    page = browser.get("/me/security/codes")
    codes = made_codes(browser.send(page, "codes-make"))
    again = browser.send(page, "codes-make")
    assert (again.status, made_codes(again), "10 of your codes are left" in again.text) == (200, [], True)
    assert events(olivia).count("user.codes.made") == 1
    with database.writing():
        assert recovery_codes.use(olivia, codes[0])


def test_codes_can_be_kept_also_when_that_took_a_while(browser: Browser, olivia: str, clockwork: Traveller) -> None:
    phone = given_to(olivia)
    browser.send(browser.sign_in("olivia"), "otp", otp=phone.code())
    shown = browser.send(browser.get("/me/security/codes"), "codes-make")
    clockwork.shift(LATER)
    assert browser.post(shown, "saved", file="text").text.split() == made_codes(shown)
    assert "You have new recovery codes." in browser.send(shown, "codes-submit", saved="yes").text


def test_there_are_no_codes_without_a_factor(browser: Browser, olivia: str) -> None:
    browser.sign_in("olivia")
    page = browser.get("/me/security/codes")
    assert ("you have none" in page.text, "codes-make" in page.text) == (True, False)
    secret = token(browser.get("/me/security/app"))
    refused = browser.client.post("/me/security/codes", data={"csrf_token": secret})
    assert (refused.status_code, recovery_codes.left(olivia)) == (303, 0)


# What is said afterwards


@pytest.mark.rule("TOT-08")
def test_after_a_change_every_other_session_can_be_ended(browser: Browser, other: Browser, olivia: str) -> None:
    other.sign_in("olivia")
    browser.sign_in("olivia")
    page, uri = setting_up(browser)
    browser.send(page, "otp", otp=Phone.scanning(uri).code())
    page = browser.send(browser.get("/me/security/app"), "app-remove", act="remove")
    page = browser.send(page, "session", session="others")
    assert (page.path, "signed out everywhere else" in page.text) == ("/me/sessions", True)
    assert other.get("/me").name == "login"
    assert len(people.of_person(olivia)) == 1


def test_what_was_done_is_told_to_nobody_who_is_sent_a_link(
    browser: Browser, other: Browser, olivia: str, bob: str
) -> None:
    phone = given_to(olivia)
    browser.send(browser.sign_in("olivia"), "otp", otp=phone.code())
    page = browser.send(browser.get("/me/security/app"), "app-remove", act="remove")
    assert 'id="done"' in page.text
    other.sign_in("bob")
    assert 'id="done"' not in other.get(page.address).text
    assert 'id="done"' not in browser.get("/me/security?done=app.removed").text
    assert 'id="done"' not in browser.get(page.address.replace("app.removed", "password.set")).text


@pytest.mark.rule("AUD-01")
def test_each_change_is_in_the_trail_once_and_by_whom(browser: Browser, olivia: str, device: Authenticator) -> None:
    browser.sign_in("olivia")
    with_passkey(browser, device)
    ((factor, _),) = passkeys.of(olivia)
    browser.send(browser.get("/me/security/codes"), "codes-make")
    link = f"/me/security/passkeys/{factor.id}"
    browser.send(browser.get(link), "name", name="Key")
    browser.send(browser.get(link), "act", act="remove")
    changed = [entry for entry in entries(olivia) if entry.event.startswith(("user.factor", "user.code"))]
    assert [entry.event for entry in changed] == [
        "user.factor.added",
        "user.codes.made",
        "user.factor.renamed",
        "user.factor.removed",
        "user.codes.removed",
    ]
    assert {(entry.actor_kind, entry.actor_id) for entry in changed} == {("user", olivia)}
    assert "user.created" in events(olivia)
    assert all(GOOD not in json.dumps(vars(entry), default=str) for entry in changed)
