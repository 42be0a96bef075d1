"""Signing in: the story, its detours, and what it leaves behind."""

import json
import re

import pytest
import time_machine
from flask import Flask

from idp.credentials import guesses, hashing, passwords, phc
from idp.credentials.hashing import TooBusy
from idp.login import transactions
from idp.login.demands import Demand
from idp.platform import clock, database
from idp.sessions import browsers, people
from idp.sessions.models import Browser as KnownBrowser
from idp.sessions.people import LiveSession
from idp.users import lifecycle, users
from tests.actors import GOOD, Browser, Page, transaction_in
from tests.login.conftest import made
from tests.traces import OPERATOR, entries, events


def sessions_in(browser: Browser) -> list[LiveSession]:
    """Who is signed in in the browser."""
    database.session().rollback()
    return people.in_browser(browsers.recognise(browser.cookie()))


def asked_for(browser: Browser, demand: Demand, *, application: str = "Ledger", return_to: str = "/me") -> str:
    """The address of a sign-in that another room asks for."""
    if not browser.cookie():
        browser.get("/login")
    with database.writing():
        known = browsers.recognise(browser.cookie())
        assert known is not None
        begun = transactions.begin(known.id, demand, return_to=return_to, application=application)
    return f"/login?txn={begun.id}"


# The story


def test_a_person_signs_in_with_a_name_and_a_password(browser: Browser, olivia: str) -> None:
    page = browser.get("/")
    assert (page.name, page.heading, page.title) == ("login", "Sign in", "Sign in - Canopy")
    page = browser.send(page, "username", username="olivia@northwind.test")
    assert (page.name, page.heading, page.path) == ("password", "Enter your password", "/login/password")
    page = browser.send(page, "password", password=GOOD)
    assert (page.name, page.heading, page.path) == ("me", "Olivia Lund", "/me")
    (session,) = sessions_in(browser)
    assert (session.user_id, [proof.method for proof in session.proofs]) == (olivia, ["password"])
    assert events(session.id) == ["session.opened"]
    assert browser.get("/").name == "me"


@pytest.mark.parametrize("typed", ["olivia", " Olivia ", "OLIVIA@NORTHWIND.TEST", "olivia@Northwind.test"])
def test_a_name_is_compared_in_its_normal_form(browser: Browser, olivia: str, typed: str) -> None:
    assert browser.sign_in(typed).name == "me"


@pytest.mark.rule("LOG-11")
def test_a_name_with_an_at_sign_is_only_ever_an_address(browser: Browser, olivia: str, bob: str) -> None:
    assert browser.sign_in("bob@northwind.test").alerts == 1


def test_every_answer_to_a_form_is_a_way_to_a_page(browser: Browser, olivia: str) -> None:
    page = browser.get("/login")
    for name, values in (("username", {"username": "olivia"}), ("password", {"password": "wrong"})):
        answer = browser.post(page, name, **values)
        assert answer.status_code == 303
        page = browser.get(answer.location)
    assert (page.name, page.alerts) == ("password", 1)


# Failing


def test_a_wrong_password_is_told_first_and_focused_and_can_be_put_right(browser: Browser, olivia: str) -> None:
    page = browser.sign_in("olivia", "wrong")
    assert (page.name, page.alerts) == ("password", 1)
    assert page.title.startswith("Error: ")
    assert 'role="alert" tabindex="-1" autofocus' in page.text
    assert 'aria-invalid="true" aria-describedby="password-err"' in page.text
    assert browser.get(page.address).alerts == 1
    assert sessions_in(browser) == []
    assert browser.send(page, "password", password=GOOD).name == "me"


@pytest.mark.parametrize(("field", "name"), [("username", "login"), ("password", "password")])
def test_an_empty_field_is_asked_for_again(browser: Browser, olivia: str, field: str, name: str) -> None:
    page = browser.get("/login")
    if field == "password":
        page = browser.send(page, "username", username="olivia")
    page = browser.send(page, field, **{field: ""})
    assert (page.name, page.alerts) == (name, 1)
    assert f'href="#{field}"' in page.text
    assert 'aria-invalid="true"' in page.text


@pytest.mark.rule("AUD-03")
def test_what_failed_is_in_the_trail_and_what_was_typed_is_not(browser: Browser, olivia: str) -> None:
    browser.sign_in("olivia", "my-first-secret")
    browser.sign_in("my-second-secret", "my-first-secret")
    browser.sign_in("My-Second-Secret ", "x")
    failed = [entry for entry in entries() if entry.event == "signin.failed"]
    assert failed[0].subject == olivia
    assert failed[1].subject == failed[2].subject
    assert failed[1].subject.startswith("typed:")
    assert "secret" not in repr([vars(entry) for entry in entries()]).casefold()
    assert json.loads(failed[0].after_json or "") == {"method": "password"}


@pytest.mark.rule("LOG-01")
def test_nobody_who_may_not_sign_in_can_be_told_from_anybody_else(app: Flask, olivia: str) -> None:
    made("passwordless", password=False)
    for name in ("disabled", "deleted"):
        user_id = made(name)
        with database.writing():
            (lifecycle.disable if name == "disabled" else lifecycle.delete)(users.find(user_id), by=OPERATOR)
    tried = [("olivia", "wrong"), ("nobody", GOOD), ("passwordless", GOOD), ("disabled", GOOD), ("deleted", GOOD),
             ("nobody@northwind.test", GOOD), ("not a name \u202e", GOOD)]  # fmt: skip
    seen = {transcript(app, name, password) for name, password in tried}
    assert len(seen) == 1


@pytest.mark.rule("LOG-02")
def test_naming_somebody_tells_nothing(app: Flask, olivia: str) -> None:
    seen = {transcript(app, name, None) for name in ("olivia", "nobody", "olivia@northwind.test", "no@northwind.test")}
    assert len(seen) == 1


def transcript(app: Flask, name: str, password: str | None) -> str:
    """Everything that the provider says to somebody with that name and password, less what always differs."""
    browser = Browser(app)
    page = browser.get("/login")
    answers = [browser.post(page, "username", username=name)]
    page = browser.get(answers[0].location)
    answers.append(page.response)
    if password is not None:
        answers.append(browser.post(page, "password", password=password))
        answers.append(browser.get(answers[-1].location).response)
    told = "\n".join(f"{answer.status}\n{answer.headers}\n{answer.text}" for answer in answers)
    told = told.replace(transaction_in(page), "TXN").replace(browser.cookie(), "COOKIE").replace(name, "NAME")
    told = re.sub(r'(csrf_token" value|nonce)="[^"]+"', "", told)
    told = re.sub(r"(X-Request-Id: |nonce-|Content-Length: )\S+", "", told)
    return re.sub(r'aria-hidden="true">.</span>', "INITIAL", told)


def failed_often(browser: Browser, name: str) -> Page:
    """The page on which the last free attempt to sign in as somebody has just failed."""
    return [browser.sign_in(name, "wrong") for _ in range(guesses.FREE_IN_A_ROW)][-1]


def test_after_too_many_failures_the_page_says_when_to_try_again(browser: Browser, olivia: str) -> None:
    page = failed_often(browser, "olivia")
    answer = browser.post(page, "password", password=GOOD)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 3600
    assert "Try again in" in answer.text
    assert 'data-page="password"' in answer.text
    assert "locked" not in answer.text
    assert sessions_in(browser) == []
    assert "signin.held.back" in events(olivia)


@pytest.mark.rule("LOG-01")
def test_being_held_back_tells_nothing_either(app: Flask, olivia: str) -> None:
    seen = set()
    for name in ("olivia", "nobody"):
        browser = Browser(app, f"203.0.113.{len(name)}")
        page = failed_often(browser, name)
        answer = browser.post(page, "password", password=GOOD)
        text = re.sub(r'(csrf_token" value|nonce)="[^"]+"', "", answer.text.replace(name, "NAME"))
        text = re.sub(r'aria-hidden="true">.</span>', "", text.replace(transaction_in(page), "TXN"))
        seen.add((answer.status_code, text, *sorted(answer.headers.keys())))
    assert len(seen) == 1


@pytest.mark.rule("LOG-01")
def test_that_two_names_are_one_persons_is_not_told_by_holding_one_back(browser: Browser, olivia: str) -> None:
    failed_often(browser, "olivia")
    for known, unknown in (("olivia@northwind.test", "nobody@northwind.test"), ("OLIVIA", "olivia")):
        pages = [browser.send(browser.get("/login"), "username", username=name) for name in (known, unknown)]
        told = [browser.post(page, "password", password="wrong").status_code for page in pages]
        assert told[0] == told[1]
    assert browser.sign_in("olivia@northwind.test").name == "me"


@pytest.mark.rule("LOG-01", "LOG-04")
def test_of_a_person_who_is_guessed_at_by_many_names_nothing_is_looked_at_and_nothing_is_told(
    app: Flask, browser: Browser, olivia: str
) -> None:
    browser.sign_in("olivia")
    failed = [guesses.Guesser(f"name:{number}", f"203.0.113.{number}", olivia) for number in range(100)]
    with database.writing():
        for one in failed:
            guesses.reserve(one)
    seen = {transcript(app, name, password) for name, password in (("olivia", GOOD), ("nobody", GOOD))}
    assert len(seen) == 1
    (entry,) = [one for one in entries(olivia) if one.event == "signin.failed"]
    assert json.loads(entry.after_json or "") == {"method": "password", "held_back": True}
    browser.send(browser.get("/logout"), "logout-confirm")
    assert browser.sign_in("olivia").name == "me"


def test_a_right_password_is_not_counted_and_clears_the_count(browser: Browser, olivia: str) -> None:
    for _ in range(3):
        for _ in range(8):
            browser.sign_in("olivia", "wrong")
        assert browser.sign_in("olivia").name == "me"
        browser.send(browser.get("/logout"), "logout-confirm")


def test_when_too_many_sign_in_at_once_the_password_was_not_looked_at_and_not_counted(
    browser: Browser, olivia: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = browser.send(browser.get("/login"), "username", username="olivia")
    with monkeypatch.context() as busy:

        def full(stored: str, text: str) -> bool:
            raise TooBusy

        busy.setattr(hashing, "check", full)
        for _ in range(15):
            answer = browser.post(page, "password", password=GOOD)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
            assert "was not looked at" in answer.text
    assert browser.send(page, "password", password=GOOD).name == "me"


def test_a_password_that_changes_while_it_is_looked_at_does_not_count(
    browser: Browser, olivia: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = passwords.verify

    def slowly(user_id: str | None, plaintext: str) -> passwords.Verdict:
        verdict = verify(user_id, plaintext)
        new_hash = phc.make("another good pass phrase")
        with database.writing():
            passwords.store(olivia, new_hash, by=OPERATOR)
        return verdict

    monkeypatch.setattr(passwords, "verify", slowly)
    assert browser.sign_in("olivia").alerts == 1
    assert sessions_in(browser) == []


def test_whoever_is_disabled_while_their_password_is_looked_at_stays_out(
    browser: Browser, olivia: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = passwords.verify

    def slowly(user_id: str | None, plaintext: str) -> passwords.Verdict:
        verdict = verify(user_id, plaintext)
        with database.writing():
            lifecycle.disable(users.find(olivia), by=OPERATOR)
        return verdict

    monkeypatch.setattr(passwords, "verify", slowly)
    assert browser.sign_in("olivia").alerts == 1


# Back, reload, tabs, expiry


def test_going_back_and_naming_somebody_else_starts_over(browser: Browser, olivia: str, bob: str) -> None:
    named = browser.get("/login")
    asked = browser.send(named, "username", username="olivia")
    again = browser.get(f"/login?txn={transaction_in(asked)}")
    assert again.name == "login"
    assert 'value="olivia"' in again.text
    browser.send(again, "username", username="bob")
    stale = browser.send(asked, "password", password=GOOD)
    assert stale.name == "password"
    assert sessions_in(browser) == []
    assert "bob" in stale.text
    assert browser.send(stale, "password", password=GOOD).heading == "bob"


def test_two_tabs_do_not_disturb_each_other(browser: Browser, olivia: str, bob: str) -> None:
    one, two = browser.get("/login"), browser.get("/login")
    one, two = browser.send(one, "username", username="olivia"), browser.send(two, "username", username="bob")
    assert browser.send(one, "password", password=GOOD).heading == "Olivia Lund"
    assert browser.send(two, "password", password=GOOD).heading == "bob"
    assert {session.user_id for session in sessions_in(browser)} == {olivia, bob}


def test_a_sign_in_that_is_done_leads_on_and_does_nothing_twice(browser: Browser, olivia: str) -> None:
    named = browser.get("/login?return_to=/me?context=acct_1")
    asked = browser.send(named, "username", username="olivia")
    assert browser.send(asked, "password", password=GOOD).address == "/me?context=acct_1"
    before = len(entries())
    for page, field, value in ((asked, "password", "wrong"), (named, "username", "bob")):
        assert browser.send(page, field, **{field: value}).address == "/me?context=acct_1"
        assert browser.get(page.address).address == "/me?context=acct_1"
    assert len(entries()) == before


@pytest.mark.parametrize("path", ["/login/password", "/select"])
def test_a_step_that_is_not_next_leads_to_the_one_that_is(browser: Browser, olivia: str, path: str) -> None:
    page = browser.get("/login")
    token = page.form("username").fields["csrf_token"]
    assert browser.get(f"{path}?txn={transaction_in(page)}").name == "login"
    sent = browser.client.post(
        f"{path}?txn={transaction_in(page)}", data={"csrf_token": token, "password": GOOD, "context": "org_1"}
    )
    assert (sent.status_code, sent.location) == (303, page.address)


def test_a_sign_in_that_ran_out_says_so_and_leads_on(browser: Browser, olivia: str) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        page = browser.send(browser.get("/login?return_to=/me?a=1"), "username", username="olivia")
        clockwork.shift(transactions.LIFETIME / clock.SECOND)
        over = browser.send(page, "password", password=GOOD)
        assert (over.status, over.name, over.body["data-error"]) == (400, "error", "transaction_expired")
        assert "/me?a=1" in [link["href"] for link in over.links]
        assert browser.get("/me?a=1").name == "login"
        assert sessions_in(browser) == []


@pytest.mark.parametrize("path", ["/login?txn=txn_unknown", "/login/password", "/login/password?txn=", "/select?txn=x"])
def test_an_address_without_a_sign_in_is_not_a_dead_end(browser: Browser, path: str) -> None:
    browser.get("/login")
    page = browser.get(path)
    assert (page.status, page.body["data-error"]) == (400, "transaction_expired")
    assert "/" in [link["href"] for link in page.links]


# What others demand


def test_the_application_is_named_and_can_be_gone_back_to(browser: Browser, olivia: str) -> None:
    page = browser.get(asked_for(browser, Demand(login_hint="olivia"), return_to="/?asked"))
    assert (page.heading, page.title) == ("Sign in to Ledger", "Sign in - Ledger - Canopy")
    assert 'value="olivia"' in page.text
    answer = browser.post(page, "login-cancel")
    assert (answer.status_code, answer.location) == (303, "/?asked")
    database.session().rollback()
    assert transactions.outcome(browsers.recognise(browser.cookie()), transaction_in(page)).outcome == "cancelled"


@pytest.mark.rule("HTT-01")
def test_forms_of_a_sign_in_may_lead_where_it_leads_and_nowhere_else(browser: Browser, olivia: str) -> None:
    page = browser.get(asked_for(browser, Demand(targets=("https://shop.example.com", "com.example.app:"))))
    policy = page.response.headers["Content-Security-Policy"]
    assert "form-action 'self' https://shop.example.com com.example.app:; " in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    plain = browser.get("/login").response.headers
    assert "form-action 'self'; " in plain["Content-Security-Policy"]
    assert plain["Content-Security-Policy"] != browser.get("/login").response.headers["Content-Security-Policy"]


@pytest.mark.rule("HTT-02")
def test_pages_of_a_person_are_not_kept_by_anybody(browser: Browser, olivia: str) -> None:
    pages = [browser.get("/login"), browser.sign_in("olivia"), browser.get("/logout"), browser.get("/select")]
    for page in pages:
        assert page.response.headers["Cache-Control"] == "no-store"
        assert "Cookie" in page.response.headers["Vary"]


def test_whoever_has_to_prove_something_now_does_not_get_by_with_a_session(browser: Browser, olivia: str) -> None:
    browser.sign_in("olivia")
    (before,) = sessions_in(browser)
    page = browser.get(asked_for(browser, Demand(fresh=True)))
    page = browser.send(page, "person", person=before.id)
    assert page.name == "password"
    assert browser.get(f"/login?txn={transaction_in(page)}&fresh=").name == "login"
    assert browser.send(page, "password", password=GOOD).name == "me"
    (after,) = sessions_in(browser)
    assert after.id == before.id
    assert after.authenticated_at > before.authenticated_at
    assert [proof.method for proof in after.proofs] == ["password", "password"]


def test_a_proof_that_is_too_old_is_asked_for_again(browser: Browser, olivia: str) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        browser.sign_in("olivia")
        (session,) = sessions_in(browser)
        clockwork.shift(60)
        for max_age, name in ((clock.HOUR, "me"), (clock.SECOND, "password")):
            page = browser.get(asked_for(browser, Demand(max_age=max_age)))
            assert browser.send(page, "person", person=session.id).name == name


@pytest.mark.rule("AUZ-14")
def test_a_sign_in_that_is_for_one_person_is_completed_by_nobody_else(browser: Browser, olivia: str, bob: str) -> None:
    address = asked_for(browser, Demand(person=olivia), return_to="/?asked")
    page = browser.send(browser.get(address), "username", username="bob")
    assert (page.name, page.text.count("olivia")) == ("password", 0)
    page = browser.send(page, "password", password=GOOD)
    assert (page.name, page.alerts, sessions_in(browser)) == ("login", 1, [])
    page = browser.send(page, "username", username="olivia")
    browser.send(page, "password", password=GOOD)
    (session,) = sessions_in(browser)
    assert (session.user_id, transactions.find(known(browser), transaction_in(page)).outcome) == (olivia, "done")


@pytest.mark.rule("AUZ-14")
def test_nobody_else_who_is_signed_in_can_be_picked_where_one_person_is_meant(
    browser: Browser, olivia: str, bob: str
) -> None:
    browser.sign_in("bob")
    (session,) = sessions_in(browser)
    page = browser.get(asked_for(browser, Demand(person=olivia), return_to="/?asked"))
    assert session.id not in page.text
    page = browser.send(page, "username", username="", person=session.id)
    assert (page.name, page.alerts) == ("login", 1)
    assert transactions.find(known(browser), transaction_in(page)).outcome is None


@pytest.mark.rule("LOG-02")
def test_whether_it_was_the_person_who_is_meant_is_told_to_nobody_without_the_password(
    browser: Browser, olivia: str, bob: str
) -> None:
    for name in ("bob", "olivia", "nobody"):
        page = browser.get(asked_for(browser, Demand(person=olivia)))
        page = browser.send(browser.send(page, "username", username=name), "password", password="wrong")
        assert (page.name, page.alerts) == ("password", 1)


def known(browser: Browser) -> KnownBrowser | None:
    database.session().rollback()
    return browsers.recognise(browser.cookie())


# What is typed by strangers is shown as text


@pytest.mark.rule("API-04")
def test_what_is_typed_is_shown_as_text(browser: Browser, olivia: str) -> None:
    evil = "\"><script>alert(1)</script>'{{1234*4321}}"
    page = browser.send(
        browser.get(asked_for(browser, Demand(login_hint=evil), application=evil)), "username", username=evil
    )
    texts = [page.text, browser.get(f"/login?txn={transaction_in(page)}").text]
    page = browser.sign_in(evil, evil)
    texts += [page.text, browser.get("/login?login_hint=" + "%22%3E%3Cscript%3Ealert(1)%3C/script%3E").text]
    assert browser.sign_in("olivia").name == "me"
    texts.append(browser.get("/me?context=%22%3E%3Cscript%3Ealert(1)").text)
    for text in texts:
        assert "<script>alert" not in text
        assert str(1234 * 4321) not in text


# The password field


@pytest.mark.rule("PWD-08")
def test_password_managers_and_people_who_paste_are_welcome(browser: Browser, olivia: str) -> None:
    page = browser.send(browser.get("/login"), "username", username="olivia")
    inputs = {one["name"]: one for one in page.form("password").inputs}
    assert inputs["password"]["autocomplete"] == "current-password webauthn"
    assert inputs["username"] | {"autocomplete": "username", "value": "olivia"} == inputs["username"]
    assert "maxlength" not in inputs["password"]
    assert "onpaste" not in page.text
    assert 'id="password-show"' in page.text


@pytest.mark.rule("PWD-02")
def test_a_password_is_taken_as_it_is_up_to_what_anybody_can_have(browser: Browser, olivia: str) -> None:
    for password in (" " + GOOD, GOOD + " ", "x" * 4_096, "x" * 900_000, "\ufeff", "ä" * 50):
        assert browser.sign_in("olivia", password).alerts == 1
    assert browser.sign_in("olivia", "\0").status == 400
    assert browser.sign_in("olivia").name == "me"
