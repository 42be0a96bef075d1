"""Signing in by a passkey: in place of a name, of a password, as a second factor; and setting one up on the way."""

import json
import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from idp.audit.trail import Actor
from idp.credentials import factors, guesses, passkeys
from idp.credentials.guesses import TooMany
from idp.credentials.models import Ceremony
from idp.login.demands import Demand
from idp.platform import database
from idp.platform.settings import settings
from idp.sessions import levels, trusted_devices
from idp.users import lifecycle, users
from tests import phones
from tests.actors import GOOD, Browser, Page, transaction_in
from tests.authenticators import AT, UP, Authenticator, Change, decoded, encoded, honest
from tests.login.conftest import made
from tests.login.test_sign_in import asked_for, sessions_in
from tests.traces import OPERATOR, entries, events


@pytest.fixture
def device(app: Flask) -> Authenticator:
    return Authenticator(settings().issuer)


def equipped(user_id: str, device: Authenticator) -> str:
    """The id of a new passkey of that person on that device."""
    with database.writing():
        options = passkeys.creation_options(users.find(user_id), "ses_elsewhere")
        answer = device.create(json.loads(json.dumps(options)))
        return passkeys.register(user_id, "ses_elsewhere", answer, "Laptop", by=Actor("user", user_id)).id


def options(browser: Browser, page: Page, at: str = "/login/passkey") -> dict[str, Any]:
    """What the script of the page is given."""
    answer = fetched(browser, page, at)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def fetched(browser: Browser, page: Page, at: str = "/login/passkey") -> Any:
    """The answer to the script of the page."""
    path = f"{at}/options?{urlsplit(page.address).query}"
    token = page.form("credential").fields["csrf_token"]
    return browser.client.post(
        path,
        data={"csrf_token": token},
        headers={"Accept": "application/json", "Origin": settings().issuer},
        environ_overrides={"REMOTE_ADDR": browser.address},
    )


def used(browser: Browser, page: Page, device: Authenticator, change: Change = honest) -> Page:
    """Use the passkey of the device on the page; the page that comes of it."""
    return browser.send(page, "credential", credential=device.get(options(browser, page), change))


def at_password(browser: Browser, name: str, path: str = "/login") -> Page:
    """The page that asks for the password of `name`."""
    return browser.send(browser.get(path), "username", username=name)


def at_second_factor(browser: Browser, name: str = "olivia", path: str = "/login") -> Page:
    """The page that asks for the passkey of somebody whose password was right."""
    page = browser.sign_in(name, path=path)
    assert (page.name, page.heading) == ("verify", "Use your passkey"), page.text
    return page


def failures(subject: str = "") -> list[str]:
    """The methods of the sign-ins that failed."""
    found = [entry for entry in entries(subject) if entry.event == "signin.failed"]
    return [json.loads(entry.after_json or "")["method"] for entry in found]


# Signing in


def test_a_passkey_signs_in_without_a_name(browser: Browser, olivia: str, device: Authenticator) -> None:
    factor_id = equipped(olivia, device)
    page = used(browser, browser.get("/login"), device)
    assert (page.name, page.heading) == ("me", "Olivia Lund")
    (session,) = sessions_in(browser)
    (proof,) = session.proofs
    assert (session.user_id, proof.method, proof.factor_id, proof.held_in) == (olivia, "passkey", factor_id, "hwk")
    assert levels.of(session.proofs) == levels.Level("phr", ("hwk", "user", "mfa"))


def test_a_passkey_signs_in_in_place_of_a_password(browser: Browser, olivia: str, device: Authenticator) -> None:
    equipped(olivia, device)
    assert used(browser, at_password(browser, "olivia@northwind.test"), device).name == "me"
    (session,) = sessions_in(browser)
    assert [proof.method for proof in session.proofs] == ["passkey"]


def test_somebody_without_a_password_signs_in_by_passkey(browser: Browser, device: Authenticator) -> None:
    nora = made("nora", password=False)
    equipped(nora, device)
    page = at_password(browser, "nora")
    page = browser.send(page, "password", password=GOOD)
    assert (page.name, page.alerts) == ("password", 1)
    assert used(browser, page, device).name == "me"
    (session,) = sessions_in(browser)
    assert session.user_id == nora


def test_a_passkey_is_the_second_factor(browser: Browser, olivia: str, device: Authenticator) -> None:
    equipped(olivia, device)
    page = at_second_factor(browser)
    assert sessions_in(browser) == []
    asked = options(browser, page)
    assert [one["id"] for one in asked["allowCredentials"]] == [encoded(device.keys[0].id)]
    page = browser.send(page, "credential", credential=device.get(asked))
    assert page.name == "me"
    (session,) = sessions_in(browser)
    assert [proof.method for proof in session.proofs] == ["password", "passkey"]
    assert levels.of(session.proofs) == levels.Level("phr", ("pwd", "hwk", "user", "mfa"))


def test_a_browser_can_be_trusted_by_a_passkey(browser: Browser, olivia: str, device: Authenticator) -> None:
    factor_id = equipped(olivia, device)
    page = at_second_factor(browser)
    answer = device.get(options(browser, page))
    assert browser.send(page, "credential", credential=answer, trust="yes").name == "me"
    ((trusted, _),) = trusted_devices.of(olivia)
    assert trusted.factor_id == factor_id
    assert used(browser, browser.get("/login"), device).name == "me"
    assert len(trusted_devices.of(olivia)) == 1


@pytest.mark.rule("TOT-06")
def test_no_browser_is_trusted_where_no_second_factor_was_asked_for(
    browser: Browser, olivia: str, device: Authenticator
) -> None:
    equipped(olivia, device)
    page = browser.get("/login")
    answer = device.get(options(browser, page))
    assert browser.send(page, "credential", credential=answer, trust="yes").name == "me"
    assert trusted_devices.of(olivia) == []


def test_a_synced_passkey_says_that_it_is_software(browser: Browser, olivia: str, device: Authenticator) -> None:
    device.synced = True
    equipped(olivia, device)
    used(browser, browser.get("/login"), device)
    (session,) = sessions_in(browser)
    assert levels.of(session.proofs).amr == ("swk", "user", "mfa")


@pytest.mark.rule("SES-01")
def test_the_browser_gets_a_new_token_with_a_passkey(browser: Browser, olivia: str, device: Authenticator) -> None:
    equipped(olivia, device)
    page = browser.get("/login")
    before = browser.cookie()
    used(browser, page, device)
    assert browser.cookie() != before
    browser.put_cookie(before)
    assert sessions_in(browser) == []


# What is refused


def test_a_passkey_that_is_not_taken_is_told_first_and_something_else_goes_on(
    browser: Browser, olivia: str, device: Authenticator
) -> None:
    equipped(olivia, device)
    unverified: Change = lambda parts: parts.but(flags=UP)  # noqa: E731
    for page in (browser.get("/login"), at_password(browser, "olivia"), at_second_factor(browser)):
        shown = used(browser, page, device, unverified)
        assert (shown.name, shown.alerts) == (page.name, 1)
        assert shown.title.startswith("Error: ")
        assert "The passkey was not accepted" in shown.text
        assert "data-passkey-unknown" not in shown.text
        assert browser.get(shown.address).alerts == 1
        assert sessions_in(browser) == []
    assert used(browser, shown, device).name == "me"
    assert failures(olivia) == ["passkey", "passkey"]


def test_of_a_passkey_that_nobody_has_the_browser_is_told(browser: Browser, olivia: str, device: Authenticator) -> None:
    """So that it is not offered again (`signalUnknownCredential`)."""
    removed = equipped(olivia, device)
    with database.writing():
        factors.end(olivia, removed, by=OPERATOR)
    for page in (browser.get("/login"), at_password(browser, "olivia"), at_password(browser, "nobody")):
        shown = used(browser, page, device)
        assert (shown.name, shown.alerts) == (page.name, 1)
        assert "data-passkey-unknown" in shown.text
    assert sessions_in(browser) == []


@pytest.mark.rule("WAN-03")
def test_somebody_elses_passkey_does_not_end_a_sign_in_that_names_a_person(
    browser: Browser, olivia: str, bob: str, device: Authenticator
) -> None:
    thief = Authenticator(settings().issuer)
    equipped(olivia, device)
    equipped(bob, thief)
    for page in (at_password(browser, "olivia"), at_password(browser, "nobody"), at_second_factor(browser)):
        asked = options(browser, page)
        shown = browser.send(page, "credential", credential=thief.get(asked, key=thief.keys[0]))
        assert (shown.name, shown.alerts) == (page.name, 1)
        assert sessions_in(browser) == []


@pytest.mark.rule("WAN-03")
@pytest.mark.rule("AUZ-13")
def test_a_sign_in_that_is_for_one_person_is_completed_by_nobody_elses_passkey(
    browser: Browser, olivia: str, bob: str, device: Authenticator
) -> None:
    thief = Authenticator(settings().issuer)
    equipped(olivia, device)
    equipped(bob, thief)
    page = browser.get(asked_for(browser, Demand(person=olivia, fresh=True)))
    shown = used(browser, page, thief)
    assert (shown.name, shown.alerts) == ("login", 1)
    assert "This sign-in is for somebody else" in shown.text
    assert sessions_in(browser) == []
    assert used(browser, shown, device).name == "me"


@pytest.mark.rule("WAN-03")
def test_stepping_up_takes_a_passkey_of_the_person_who_is_signed_in(
    browser: Browser, olivia: str, bob: str, device: Authenticator
) -> None:
    browser.sign_in("olivia")
    thief = Authenticator(settings().issuer)
    equipped(olivia, device)
    equipped(bob, thief)
    address = asked_for(browser, Demand(least=levels.PHISHING_RESISTANT))
    page = browser.get(address)
    (session,) = sessions_in(browser)
    page = browser.send(page, "person", person=session.id)
    assert (page.name, page.heading) == ("verify", "Use your passkey")
    answer = thief.get(options(browser, page), key=thief.keys[0])
    page = browser.send(page, "credential", credential=answer)
    assert (page.name, page.alerts) == ("verify", 1)
    assert [proof.method for proof in sessions_in(browser)[0].proofs] == ["password"]
    assert used(browser, page, device).name == "me"
    (stepped,) = sessions_in(browser)
    assert (stepped.id, [proof.method for proof in stepped.proofs]) == (session.id, ["password", "passkey"])


@pytest.mark.rule("WAN-01")
@pytest.mark.rule("SES-02")
def test_an_answer_is_good_in_the_browser_and_the_sign_in_that_asked(
    browser: Browser, other: Browser, olivia: str, device: Authenticator
) -> None:
    equipped(olivia, device)
    page, elsewhere, later = browser.get("/login"), other.get("/login"), browser.get("/login?return_to=/me/apps")
    for asks, posts_to in ((browser, elsewhere), (browser, later)):
        answer = device.get(options(asks, page))
        sender = other if posts_to is elsewhere else browser
        shown = sender.send(posts_to, "credential", credential=answer)
        assert (shown.name, shown.alerts) == ("login", 1)
    assert sessions_in(browser) == sessions_in(other) == []
    stolen = other.client.post(
        f"/login/passkey?{urlsplit(page.address).query}",
        data=elsewhere.form("credential").fields | {"credential": device.get(options(browser, page))},
    )
    assert stolen.status_code == 403
    assert sessions_in(other) == []


@pytest.mark.rule("WAN-01")
def test_an_answer_for_one_step_is_none_for_another(browser: Browser, olivia: str, device: Authenticator) -> None:
    equipped(olivia, device)
    page = at_password(browser, "olivia")
    to_sign_in = device.get(options(browser, page))
    page = browser.send(page, "password", password=GOOD)
    shown = browser.send(page, "credential", credential=to_sign_in)
    assert (shown.name, shown.alerts, sessions_in(browser)) == ("verify", 1, [])
    to_confirm = device.get(options(browser, shown))
    renamed = at_password(browser, "olivia", f"/login?txn={transaction_in(shown)}")
    shown = browser.send(renamed, "credential", credential=to_confirm)
    assert (shown.name, shown.alerts, sessions_in(browser)) == ("password", 1, [])


@pytest.mark.rule("SES-07")
def test_a_disabled_person_gets_nowhere_by_passkey(browser: Browser, olivia: str, device: Authenticator) -> None:
    equipped(olivia, device)
    with database.writing():
        lifecycle.disable(users.find(olivia), by=OPERATOR)
    shown = used(browser, browser.get("/login"), device)
    assert (shown.name, shown.alerts, sessions_in(browser)) == ("login", 1, [])
    assert "data-passkey-unknown" not in shown.text
    assert "olivia" not in shown.text


@pytest.mark.rule("TOT-06")
@pytest.mark.parametrize("answer", ["", "{}", "null", "x" * 20_000, '{"id":1}'])
def test_what_is_no_answer_leads_back_to_the_page(browser: Browser, olivia: str, answer: str) -> None:
    page = browser.get("/login")
    options(browser, page)
    shown = browser.send(page, "credential", credential=answer)
    assert (shown.name, shown.alerts, sessions_in(browser)) == ("login", int(bool(answer)), [])


@pytest.mark.rule("TOT-05")
@pytest.mark.rule("TOT-06")
def test_no_passkey_is_asked_for_where_something_else_is(browser: Browser, olivia: str, device: Authenticator) -> None:
    """Nor set up by whoever knows the password of somebody who has one."""
    equipped(olivia, device)
    page = browser.get("/login")
    refused = fetched(browser, page, "/login/enrol/passkey")
    assert (refused.status_code, refused.json["code"]) == (409, "passkey_not_asked")
    page = at_second_factor(browser)
    assert fetched(browser, page, "/login/enrol/passkey").status_code == 409
    mine = Authenticator(settings().issuer)
    forged = {
        "rp": {"id": "localhost"},
        "user": {"id": encoded(b"x")},
        "challenge": options(browser, page)["challenge"],
    }
    page.form("credential").action = f"/login/enrol/passkey?{urlsplit(page.address).query}"
    assert browser.send(page, "credential", credential=mine.create(forged)).name == "verify"
    assert [factor.id for factor, _ in passkeys.of(olivia)] == [factors.of(olivia)[0].id]
    assert sessions_in(browser) == []


@pytest.mark.rule("SES-04")
@pytest.mark.parametrize("path", ["/login/passkey", "/login/passkey/options", "/login/enrol/passkey/options"])
def test_a_form_that_is_not_ours_changes_nothing(browser: Browser, olivia: str, path: str) -> None:
    page = browser.get("/login")
    address = f"{path}?{urlsplit(page.address).query}"
    token = page.form("credential").fields["csrf_token"]
    assert browser.client.post(address).status_code == 403
    assert browser.client.post(address, data={"csrf_token": token[::-1]}).status_code == 403
    foreign = {"Origin": "https://evil.test"}
    assert browser.client.post(address, data={"csrf_token": token}, headers=foreign).status_code == 403
    assert browser.client.get(address).status_code == 405
    assert database.session().scalar(select(func.count()).select_from(Ceremony)) == 0


# What is told to strangers


@pytest.mark.rule("LOG-02")
def test_nobody_learns_who_has_a_passkey(app: Flask, olivia: str, bob: str, device: Authenticator) -> None:
    nora = made("nora", password=False)
    for user_id in (olivia, nora):
        equipped(user_id, device)
    shapes, texts = [], []
    for name in ("olivia", "bob", "nora", "nobody"):
        browser = Browser(app)
        page = at_password(browser, name)
        asked = options(browser, page)
        assert len(decoded(asked.pop("challenge"))) == 32
        shapes.append(asked)
        texts.append(without_what_differs(page.text, name))
    assert shapes == [shapes[0]] * 4
    assert shapes[0]["allowCredentials"] == []
    assert len(set(texts)) == 1


def without_what_differs(text: str, name: str) -> str:
    """A page without what is another at every visit, and without the name that was typed."""
    named = text.replace(name, "").replace(f">{name[0].upper()}<", "><")
    return re.sub(r'(txn=|nonce="|csrf_token" value=")[\w.-]+', r"\1", named)


@pytest.mark.rule("LOG-05")
def test_a_passkey_is_held_back_by_nobodys_failures(
    browser: Browser, other: Browser, olivia: str, device: Authenticator
) -> None:
    """Nor by those of everybody at the same network."""
    equipped(olivia, device)
    other.address = browser.address
    shown = at_password(other, "olivia")
    while shown.response.status_code != 429:
        shown = other.send(shown, "password", password="wrong")
    with database.writing(), pytest.raises(TooMany):
        for _ in range(guesses.ALLOWANCE + 1):
            guesses.count_unguessable(browser.address)
    assert used(browser, browser.get("/login"), device).name == "me"


@pytest.mark.rule("LOG-07")
def test_passkeys_that_are_not_taken_are_counted_with_everything_else_from_there(
    browser: Browser, olivia: str, device: Authenticator
) -> None:
    equipped(olivia, device)
    page = browser.get("/login")
    wrong = Authenticator(settings().issuer, keys=[replace(device.keys[0], id=b"unknown")])
    with database.writing():
        for _ in range(guesses.ALLOWANCE - 2):
            guesses.count_unguessable(browser.address)
    answers = [browser.post(page, "credential", credential=wrong.get(options(browser, page))) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [303, 303, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert "Too many attempts have failed" in answers[-1].text
    assert len(failures()) == 2
    shown = browser.send(at_password(browser, "bob"), "password", password=GOOD)
    assert shown.response.status_code == 429
    assert used(browser, browser.get("/login"), device).name == "me"


# Setting one up on the way


def test_a_passkey_is_set_up_on_the_way_and_proves_its_owner(
    browser: Browser, olivia: str, device: Authenticator
) -> None:
    page = browser.sign_in("olivia", path=asked_for(browser, Demand(least=levels.PHISHING_RESISTANT)))
    assert (page.name, page.heading) == ("enrol", "Set up a passkey")
    asked = options(browser, page, "/login/enrol/passkey")
    assert asked["user"]["id"] == encoded(passkeys.handle(olivia))
    page = browser.send(page, "credential", credential=device.create(asked))
    assert (page.name, page.heading) == ("enrol", "Keep your recovery codes")
    assert browser.send(page, "saved", saved="yes").name == "me"
    ((factor, _),) = passkeys.of(olivia)
    (session,) = sessions_in(browser)
    assert [(proof.method, proof.factor_id) for proof in session.proofs] == [("password", ""), ("passkey", factor.id)]
    assert levels.of(session.proofs).acr == levels.PHISHING_RESISTANT
    assert "user.factor.added" in events(olivia)


@pytest.mark.rule("TOT-06")
def test_where_a_passkey_is_set_up_none_is_asked_for(browser: Browser, olivia: str, device: Authenticator) -> None:
    page = browser.sign_in("olivia", path=asked_for(browser, Demand(least=levels.PHISHING_RESISTANT)))
    assert fetched(browser, page, "/login/passkey").status_code == 409
    equipped(olivia, device)
    page.form("credential").action = f"/login/passkey?{urlsplit(page.address).query}"
    answer = device.get({"challenge": encoded(bytes(32))})
    assert browser.send(page, "credential", credential=answer).name == "verify"
    assert sessions_in(browser) == []


def test_a_passkey_that_cannot_be_set_up_is_told_and_nothing_is_stored(
    browser: Browser, olivia: str, device: Authenticator
) -> None:
    page = browser.sign_in("olivia", path=asked_for(browser, Demand(least=levels.PHISHING_RESISTANT)))
    asked = options(browser, page, "/login/enrol/passkey")
    shown = browser.send(page, "credential", credential=device.create(asked, lambda parts: parts.but(flags=UP | AT)))
    assert (shown.name, shown.alerts) == ("enrol", 1)
    assert passkeys.of(olivia) == []
    assert sessions_in(browser) == []


@pytest.mark.rule("WAN-08")
@pytest.mark.rule("TOT-05")
def test_who_has_a_second_factor_sets_another_up_only_with_it(
    browser: Browser, olivia: str, device: Authenticator
) -> None:
    phone = phones.given_to(olivia)
    page = browser.sign_in("olivia", path=asked_for(browser, Demand(least=levels.PHISHING_RESISTANT)))
    assert page.name == "otp"
    page.forms[0].fields["credential"] = ""
    assert fetched(browser, page, "/login/enrol/passkey").status_code == 409
    page = browser.send(browser.get(page.address), "otp", otp=phone.code())
    assert page.name == "enrol"
    page = browser.send(page, "credential", credential=device.create(options(browser, page, "/login/enrol/passkey")))
    assert len(passkeys.of(olivia)) == 1


@pytest.mark.rule("WAN-08")
@pytest.mark.rule("TOT-05")
def test_of_two_who_know_the_password_one_sets_the_first_passkey_up(
    browser: Browser, other: Browser, olivia: str, device: Authenticator
) -> None:
    demand, thief = Demand(least=levels.PHISHING_RESISTANT), Authenticator(settings().issuer)
    page, elsewhere = (one.sign_in("olivia", path=asked_for(one, demand)) for one in (browser, other))
    late = thief.create(options(other, elsewhere, "/login/enrol/passkey"))
    browser.send(page, "credential", credential=device.create(options(browser, page, "/login/enrol/passkey")))
    shown = other.send(elsewhere, "credential", credential=late)
    assert (shown.name, shown.heading) == ("verify", "Use your passkey")
    assert [passkey.credential_id for _, passkey in passkeys.of(olivia)] == [encoded(device.keys[0].id)]
    assert sessions_in(other) == []


@pytest.mark.rule("WAN-08")
@pytest.mark.rule("TOT-03")
def test_after_a_while_setting_up_takes_a_fresh_proof(browser: Browser, olivia: str, device: Authenticator) -> None:
    with time_machine.travel(1_800_000_000, tick=False) as time:
        page = browser.sign_in("olivia", path=asked_for(browser, Demand(least=levels.PHISHING_RESISTANT)))
        answer = device.create(options(browser, page, "/login/enrol/passkey"))
        time.shift(301)
        assert fetched(browser, page, "/login/enrol/passkey").status_code == 409
        assert browser.send(page, "credential", credential=answer).name == "password"
        assert passkeys.of(olivia) == []


# For browsers and other sites


def test_no_other_site_may_use_our_passkeys(app: Flask) -> None:
    answer = app.test_client().get("/.well-known/webauthn")
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert answer.json == {"origins": [settings().issuer]}


def test_without_scripts_a_page_says_what_else_there_is(browser: Browser, olivia: str) -> None:
    for page in (browser.get("/login"), at_password(browser, "olivia")):
        assert "<noscript>" in page.text
        assert re.search(r"<form [^>]*data-passkey=[^>]* hidden>", page.text)
        assert 'nonce="' in page.text
