"""The second factor: asked of whoever has one, taken once, counted with everything else that can be guessed."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from idp.credentials import authenticator_apps, factors, guesses
from idp.credentials.guesses import FREE_FOR_A_PERSON, FREE_IN_A_ROW
from idp.credentials.models import AppEnrolment, Factor
from idp.login import transactions
from idp.login.demands import Demand
from idp.platform import clock, database
from idp.sessions import browsers, levels, people, trusted_devices
from idp.sessions.models import TrustedDevice
from idp.sessions.people import LiveSession
from idp.users import lifecycle, users
from tests import phones
from tests.actors import GOOD, Browser, Page, transaction_in
from tests.login.conftest import made
from tests.phones import Phone
from tests.proving import set_up
from tests.traces import OPERATOR, entries, events


@pytest.fixture
def phone(olivia: str) -> Phone:
    """Olivia's."""
    return phones.given_to(olivia)


def sessions_in(browser: Browser) -> list[LiveSession]:
    """Who is signed in in the browser."""
    database.session().rollback()
    return people.in_browser(browsers.recognise(browser.cookie()))


def methods_in(browser: Browser) -> list[str]:
    """What was proven in the one session that is there, in alphabetical order."""
    (session,) = sessions_in(browser)
    return sorted(proof.method for proof in session.proofs)


def asked_for(browser: Browser, demand: Demand) -> str:
    """The address of a sign-in that another room asks for."""
    if not browser.cookie():
        browser.get("/login")
    with database.writing():
        known = browsers.recognise(browser.cookie())
        assert known is not None
        return f"/login?txn={transactions.begin(known.id, demand, return_to='/me', application='Ledger').id}"


def at_code(browser: Browser, path: str = "/login", name: str = "olivia") -> Page:
    """The page that asks for a code, after the password."""
    page = browser.sign_in(name, path=path)
    assert page.name == "otp", page.text
    return page


def other_way(browser: Browser, page: Page, way: str) -> Page:
    return browser.get(f"/login/verify?txn={transaction_in(page)}&way={way}")


# The story


def test_whoever_has_an_app_is_asked_for_its_code_after_the_password(
    browser: Browser, olivia: str, phone: Phone
) -> None:
    page = at_code(browser)
    assert (page.heading, page.title) == ("Enter the code", "Enter the code - Canopy")
    (field,) = (one for one in page.form("otp").inputs if one["name"] == "otp")
    assert (field["inputmode"], field["autocomplete"]) == ("numeric", "one-time-code")
    assert sessions_in(browser) == []
    assert browser.send(page, "otp", otp=phone.code()).name == "me"
    assert methods_in(browser) == ["password", "totp"]
    (session,) = sessions_in(browser)
    assert levels.of(session.proofs).amr == ("pwd", "otp", "mfa")
    assert session.proofs[1].factor_id == factors.of(olivia)[0].id
    assert factors.of(olivia)[0].last_used_at is not None


def test_a_wrong_code_is_told_first_and_can_be_put_right(browser: Browser, olivia: str, phone: Phone) -> None:
    page = browser.send(at_code(browser), "otp", otp=phone.wrong())
    assert (page.name, page.alerts, page.status) == ("otp", 1, 200)
    assert page.title.startswith("Error: ")
    assert 'aria-describedby="otp-err otp-hint" aria-invalid="true"' in page.text
    assert browser.send(page, "otp", otp="").text.count("The code is missing") == 1
    assert browser.get(page.address).alerts == 1
    assert browser.send(page, "otp", otp=phone.code()).name == "me"


@pytest.mark.rule("TOT-02")
def test_whatever_is_typed_is_answered_with_a_page(browser: Browser, olivia: str, phone: Phone) -> None:
    phones.codes_of(olivia)
    for way in ("totp", "recovery_code"):
        page = other_way(browser, at_code(browser), way)
        field = "otp" if way == "totp" else way
        for typed in ("-1", "1e5", "\uff11" * 5, "²" * 6, "\u202e123456", "9" * 100_000, "<b>", "½"):
            answer = browser.post(page, field, **{field: typed})
            assert (answer.status_code, Page(answer).name) in ((303, ""), (429, page.name))
    assert sessions_in(browser) == []


@pytest.mark.rule("AUD-03")
def test_what_failed_is_in_the_trail_and_what_was_typed_is_not(browser: Browser, olivia: str, phone: Phone) -> None:
    typed = phone.wrong()
    browser.send(at_code(browser), "otp", otp=typed)
    (entry,) = (one for one in entries(olivia) if one.event == "signin.failed")
    assert entry.after_json == '{"method": "totp"}'
    assert not any(typed in f"{one.after_json}{one.before_json}" for one in entries())


@pytest.mark.rule("TOT-04")
def test_a_recovery_code_stands_in_for_the_app_and_is_written_down(browser: Browser, olivia: str, phone: Phone) -> None:
    code, *_ = phones.codes_of(olivia)
    page = other_way(browser, at_code(browser), "recovery_code")
    assert (page.name, page.heading) == ("verify", "Enter a recovery code")
    page = browser.send(page, "recovery_code", recovery_code="0000-0000-0000-0000")
    assert (page.name, page.alerts, page.heading) == ("verify", 1, "Enter a recovery code")
    assert browser.send(page, "recovery_code", recovery_code=code).name == "me"
    assert methods_in(browser) == ["password", "recovery_code"]
    assert "user.code.used" in events(olivia)


@pytest.mark.rule("TOT-04", "TOT-01")
def test_what_was_used_in_one_browser_is_used_up_in_every_other(
    browser: Browser, other: Browser, olivia: str, phone: Phone
) -> None:
    code, *_ = phones.codes_of(olivia)
    shown = phone.code()
    assert browser.send(at_code(browser), "otp", otp=shown).name == "me"
    page = other.send(at_code(other), "otp", otp=shown)
    assert page.alerts == 1
    other.send(other_way(other, page, "recovery_code"), "recovery_code", recovery_code=code)
    assert methods_in(other) == ["password", "recovery_code"]
    third = Browser(other.client.application)
    page = other_way(third, at_code(third), "recovery_code")
    assert third.send(page, "recovery_code", recovery_code=code).alerts == 1


def test_a_way_that_the_person_does_not_have_is_not_offered(browser: Browser, olivia: str, phone: Phone) -> None:
    page = at_code(browser)
    for way in ("recovery_code", "passkey", "email_code", "password", "", "x"):
        assert other_way(browser, page, way).name == "otp"
    assert "way=recovery_code" not in page.text
    phones.codes_of(olivia)
    assert "way=recovery_code" in browser.get(page.address).text


def test_a_code_that_comes_again_with_the_form_changes_nothing(browser: Browser, olivia: str, phone: Phone) -> None:
    page = at_code(browser)
    assert browser.send(page, "otp", otp=phone.code()).name == "me"
    assert browser.send(page, "otp", otp=phone.code()).name == "me"
    assert methods_in(browser) == ["password", "totp"]
    assert "signin.failed" not in events(olivia)


def test_a_code_counts_for_whoever_was_named_when_it_was_given(
    browser: Browser, olivia: str, bob: str, phone: Phone
) -> None:
    phones.given_to(bob)
    page = at_code(browser)
    browser.send(browser.get(f"/login?txn={transaction_in(page)}"), "username", username="bob")
    browser.send(browser.get(f"/login/password?txn={transaction_in(page)}"), "password", password=GOOD)
    assert browser.send(page, "otp", otp=phone.code()).alerts == 0
    assert sessions_in(browser) == []
    assert "signin.failed" not in events(bob)


def test_whoever_is_disabled_before_the_code_stays_out(browser: Browser, olivia: str, phone: Phone) -> None:
    page = at_code(browser)
    with database.writing():
        lifecycle.disable(users.find(olivia), by=OPERATOR)
    page = browser.send(page, "otp", otp=phone.code())
    assert (page.name, page.alerts, sessions_in(browser)) == ("otp", 1, [])


# Nothing but the second step


@pytest.mark.rule("TOT-05", "TOT-06")
def test_after_the_password_alone_every_page_leads_to_the_code(browser: Browser, olivia: str, phone: Phone) -> None:
    page = at_code(browser, asked_for(browser, Demand(context="any", least="aal2")))
    for path in ("/login/enrol", "/login/renew", "/select", "/login/password"):
        assert browser.get(f"{path}?txn={transaction_in(page)}").name == "otp", path
    for path in ("/login/enrol?way=app", "/login/verify?way=passkey"):
        assert browser.get(f"{path}&txn={transaction_in(page)}").name == "otp", path


FORMS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/login/enrol/app", {}),
    ("/login/enrol/app", {"otp": "000000"}),
    ("/login/enrol/decline", {}),
    ("/login/renew", {"password": "another long password of mine"}),
    ("/login/password", {"password": GOOD}),
    ("/login/verify", {}),
    ("/login/verify", {"otp": ""}),
    ("/login/verify", {"recovery_code": "0000-0000-0000-0000"}),
    ("/select", {"context": "org_x"}),
)


@pytest.mark.rule("TOT-05", "TOT-06")
def test_after_the_password_alone_no_other_form_does_anything(browser: Browser, olivia: str, phone: Phone) -> None:
    page = at_code(browser, asked_for(browser, Demand(context="any", least="aal2")))
    before = events()
    for path, said in FORMS:
        form = {"csrf_token": page.form("otp").fields["csrf_token"], **said}
        answer = browser.client.post(f"{path}?txn={transaction_in(page)}", data=form)
        assert (answer.status_code, browser.get(answer.location).name) == (303, "otp"), path
        assert sessions_in(browser) == []
        assert database.session().scalars(select(AppEnrolment)).all() == []
        assert len(database.session().scalars(select(Factor)).all()) == 1
    assert events() == before


@pytest.mark.rule("TOT-06")
def test_once_enough_was_proven_no_more_is_taken(browser: Browser, olivia: str, phone: Phone) -> None:
    set_up(olivia, "passkey")
    page = browser.sign_in("olivia", path=asked_for(browser, Demand(context="any", forced=True)))
    assert page.heading == "Use your passkey"
    page = browser.send(other_way(browser, page, "totp"), "otp", otp=phone.code())
    assert page.name == "select"
    assert other_way(browser, page, "passkey").name == "select"


@pytest.mark.rule("TOT-05")
def test_half_a_sign_in_opens_no_page_of_the_person(browser: Browser, olivia: str, phone: Phone) -> None:
    at_code(browser)
    for path in ("/me", "/me/security", "/me/sessions", "/me/apps"):
        assert browser.get(path).name == "login", path


@pytest.mark.rule("TOT-06")
@pytest.mark.parametrize("said", [{"otp": "000000"}, {"recovery_code": "x"}, {}, {"otp": "000000", "trust": "yes"}])
def test_a_code_before_the_password_is_not_looked_at(
    browser: Browser, olivia: str, phone: Phone, said: dict[str, str]
) -> None:
    page = browser.send(browser.get("/login"), "username", username="olivia")
    form = {"csrf_token": page.form("password").fields["csrf_token"], **{name: phone.code() for name in said}}
    answer = browser.client.post(f"/login/verify?txn={transaction_in(page)}", data=form)
    assert browser.get(answer.location).name == "password"
    assert events(olivia).count("signin.failed") == 0
    assert browser.send(at_code(browser), "otp", otp=phone.code()).name == "me"


@pytest.mark.rule("TOT-06")
def test_a_code_that_was_given_in_one_sign_in_proves_nothing_in_another(
    browser: Browser, olivia: str, phone: Phone
) -> None:
    first, second = at_code(browser), at_code(browser)
    browser.send(first, "otp", otp=phone.code())
    assert browser.get(f"/login/verify?txn={transaction_in(second)}").name == "otp"


# Guessing


@pytest.mark.rule("LOG-04", "LOG-07")
def test_after_too_many_wrong_codes_the_page_says_when_to_try_again(
    browser: Browser, olivia: str, phone: Phone
) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        page = at_code(browser)
        for _ in range(FREE_IN_A_ROW):
            page = browser.send(page, "otp", otp=phone.wrong())
            assert (page.status, page.alerts) == (200, 1)
        page = browser.send(page, "otp", otp=phone.code())
        assert (page.status, page.name, page.alerts) == (429, "otp", 1)
        assert page.response.headers["Retry-After"] == "15"
        clockwork.shift(15)
        assert browser.send(page, "otp", otp=phone.code()).name == "me"
    assert "signin.held.back" in events(olivia)


@pytest.mark.rule("LOG-07")
@pytest.mark.parametrize("way", ["password", "otp", "recovery_code"])
def test_what_fails_in_one_way_counts_in_every_other(browser: Browser, olivia: str, phone: Phone, way: str) -> None:
    right = {"password": GOOD, "otp": phone.code(), "recovery_code": phones.codes_of(olivia)[0]}
    wrong = {"password": "wrong", "otp": phone.wrong(), "recovery_code": "0000-0000-0000-0000"}
    tabs = {
        "password": browser.send(browser.get("/login"), "username", username="olivia"),
        "otp": at_code(browser),
        "recovery_code": other_way(browser, at_code(browser), "recovery_code"),
    }
    with time_machine.travel(clock.now() / clock.SECOND, tick=False):
        for _ in range(FREE_IN_A_ROW):
            assert browser.post(tabs[way], way, **{way: wrong[way]}).status_code == 303
        held_back = {name: browser.post(tab, name, **{name: right[name]}).status_code for name, tab in tabs.items()}
    assert held_back == dict.fromkeys(tabs, 429)


@pytest.mark.rule("LOG-04", "LOG-07")
def test_a_right_password_does_not_make_guessing_codes_free_again(browser: Browser, olivia: str, phone: Phone) -> None:
    with time_machine.travel(1_900_000_000, tick=False):
        for _ in range(FREE_IN_A_ROW):
            assert browser.send(at_code(browser), "otp", otp=phone.wrong()).status == 200
        assert browser.sign_in("olivia").status == 429


@pytest.mark.rule("LOG-06")
def test_of_many_wrong_codes_at_once_no_more_are_looked_at_than_the_limit(
    app: Flask, browser: Browser, olivia: str, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str] = []
    verify_code = authenticator_apps.verify

    def counted(user_id: str, code: str) -> str | None:
        looked_at.append(code)
        return verify_code(user_id, code)

    monkeypatch.setattr(authenticator_apps, "verify", counted)
    page = at_code(browser)
    form = page.form("otp").fields | {"otp": phone.wrong()}
    together = threading.Barrier(16)

    def give(_: int) -> int:
        tab = app.test_client()
        tab.set_cookie("idp_browser", browser.cookie())
        together.wait(30)
        return tab.post(
            f"/login/verify?txn={transaction_in(page)}", data=form, environ_overrides={"REMOTE_ADDR": browser.address}
        ).status_code

    with ThreadPoolExecutor(16) as crowd:
        statuses = sorted(crowd.map(give, range(16)))
    assert statuses == [303] * FREE_IN_A_ROW + [429] * (16 - FREE_IN_A_ROW)
    assert len(looked_at) == FREE_IN_A_ROW


@pytest.mark.rule("LOG-06", "TOT-01")
def test_a_right_code_that_comes_many_times_at_once_signs_in_once(
    app: Flask, browser: Browser, olivia: str, phone: Phone
) -> None:
    tabs = [at_code(browser) for _ in range(6)]
    code, together = phone.code(), threading.Barrier(6)

    def give(page: Page) -> int:
        tab = app.test_client()
        tab.set_cookie("idp_browser", browser.cookie())
        form = page.form("otp").fields | {"otp": code}
        together.wait(30)
        at = f"/login/verify?txn={transaction_in(page)}"
        return tab.post(at, data=form, environ_overrides={"REMOTE_ADDR": browser.address}).status_code

    with ThreadPoolExecutor(6) as crowd:
        assert {*crowd.map(give, tabs)} <= {303, 403}  # 403: the cookie changed under it
    assert events().count("session.opened") == 1


@pytest.mark.rule("LOG-05")
def test_where_the_person_has_signed_in_before_others_do_not_hold_them_back(
    browser: Browser, other: Browser, olivia: str, phone: Phone
) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        browser.send(at_code(browser), "otp", otp=phone.code())
        browser.send(browser.get("/logout"), "logout-confirm")
        clockwork.shift(60)
        for _ in range(FREE_IN_A_ROW):
            other.send(at_code(other), "otp", otp=phone.wrong())
        assert other.sign_in("olivia").status == 429
        assert browser.send(at_code(browser), "otp", otp=phone.code()).name == "me"


@pytest.mark.rule("LOG-01", "LOG-04")
def test_of_a_person_who_is_guessed_at_by_many_names_no_code_is_looked_at(
    browser: Browser, olivia: str, phone: Phone
) -> None:
    with time_machine.travel(1_900_000_000, tick=False):
        page = at_code(browser)
        for number in range(FREE_FOR_A_PERSON):
            guesser = guesses.Guesser(f"name {number}", f"198.51.{number}.1", olivia)
            with database.writing():
                guesses.reserve(guesser)
        page = browser.send(page, "otp", otp=phone.code())
        assert (page.status, page.alerts, sessions_in(browser)) == (200, 1, [])
        assert '"held_back": true' in (entries(olivia)[-1].after_json or "")


# Trust


def trusts(user_id: str) -> int:
    database.session().rollback()
    return len(trusted_devices.of(user_id))


def sign_out(browser: Browser) -> None:
    browser.send(browser.get("/logout"), "logout-confirm")


def test_a_trusted_browser_is_not_asked_again_for_thirty_days(
    browser: Browser, other: Browser, olivia: str, phone: Phone
) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        browser.send(at_code(browser), "otp", otp=phone.code(), trust="yes")
        assert trusts(olivia) == 1
        (device,) = database.session().scalars(select(TrustedDevice))
        assert device.factor_id == factors.of(olivia)[0].id
        sign_out(browser)
        clockwork.shift(30 * 86_400 - 1)
        assert browser.sign_in("olivia").name == "me"
        assert methods_in(browser) == ["device", "password"]
        at_code(other)
        sign_out(browser)
        clockwork.shift(1)
        at_code(browser)
    assert "device.trusted" in {one.event for one in entries()}


def test_a_browser_is_trusted_only_if_the_person_says_so_and_was_right(
    browser: Browser, olivia: str, phone: Phone
) -> None:
    page = at_code(browser)
    assert "Trust this device for 30 days" in page.text
    browser.send(page, "otp", otp=phone.wrong(), trust="yes")
    assert trusts(olivia) == 0
    browser.send(page, "otp", otp=phone.code())
    assert trusts(olivia) == 0


def test_trust_by_a_recovery_code_is_given_for_no_factor(browser: Browser, olivia: str, phone: Phone) -> None:
    code, *_ = phones.codes_of(olivia)
    page = other_way(browser, at_code(browser), "recovery_code")
    browser.send(page, "recovery_code", recovery_code=code, trust="yes")
    assert [device.factor_id for device, _ in trusted_devices.of(olivia)] == [""]


@pytest.mark.parametrize(
    ("demand", "is_offered"),
    [
        (Demand(), True),
        (Demand(acr="aal1"), True),
        (Demand(least="aal2", spares=True), True),
        (Demand(acr="aal2", spares=True), True),
        (Demand(least="aal2"), False),
        (Demand(acr="aal2"), False),
        (Demand(least="phr", spares=True), False),
    ],
    ids=["nothing", "aal1", "aal2, spares", "aal2 wished for, spares", "aal2", "aal2 wished for", "phr"],
)
def test_trust_is_offered_and_taken_only_where_it_counts(
    browser: Browser, olivia: str, phone: Phone, demand: Demand, is_offered: bool
) -> None:
    page = browser.sign_in("olivia", path=asked_for(browser, demand))
    assert ("Trust this device" in page.text) == is_offered
    browser.send(page, "otp", otp=phone.code(), trust="yes")
    assert trusts(olivia) == is_offered


def test_trust_is_of_one_person(browser: Browser, olivia: str, bob: str, phone: Phone) -> None:
    bobs = phones.given_to(bob)
    browser.send(at_code(browser), "otp", otp=phone.code(), trust="yes")
    sign_out(browser)
    browser.send(at_code(browser, name="bob"), "otp", otp=bobs.code())
    assert (trusts(olivia), trusts(bob)) == (1, 0)


# Again


def test_what_is_too_old_is_proven_anew_within_the_session(browser: Browser, olivia: str, phone: Phone) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        browser.send(at_code(browser), "otp", otp=phone.code())
        (session,) = sessions_in(browser)
        clockwork.shift(600)
        address = asked_for(browser, Demand(person=olivia, max_age=5 * clock.MINUTE, least="aal2"))
        page = browser.send(browser.get(address), "person", person=session.id)
        assert (page.name, "It has been a while" in page.text) == ("otp", True)
        assert "Trust this device" not in page.text
        assert browser.send(page, "otp", otp=phone.code()).name == "me"
        assert methods_in(browser) == ["password", "totp", "totp"]
        assert sessions_in(browser)[0].id == session.id


def test_a_person_without_a_second_factor_is_asked_for_none(browser: Browser, app: Flask) -> None:
    made("nobody-special")
    phones.codes_of(users.named("nobody-special").id)
    assert browser.sign_in("nobody-special").name == "me"
