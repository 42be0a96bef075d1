"""Random walks: two people in two browsers do everything in any order, and nobody is ever signed in without a proof."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from idp.app import start
from idp.credentials import passwords, phc
from idp.login.models import Transaction
from idp.organizations import organizations
from idp.organizations.organizations import OrganizationSettings
from idp.platform import clock, database
from idp.sessions import browsers, csrf, people
from idp.sessions.models import Browser as BrowserRow
from idp.sessions.models import BrowserSession, SessionProof
from idp.sessions.people import LiveSession
from idp.users import lifecycle, users
from idp.users.users import UserSettings
from tests.traces import OPERATOR

BROWSERS = st.integers(0, 1)
PEOPLE = st.integers(0, 1)
NTH = st.integers(0, 20)
"""One of what there is, counted from the latest, and round."""

NAMED = st.sampled_from(["0", "0", "1", "1", "nobody", "", " "])
PASSWORDS = st.sampled_from(["0", "0", "1", "1", "wrong", ""])
TOKENS = st.sampled_from([*["own"] * 8, "missing", "junk", "of the other browser", "of another page"])
PATHS = st.sampled_from(["/login", "/login/password", "/select", "/logout", "/me", "/"])
STEPS = st.sampled_from(["/login", "/login/password", "/select", "/login/cancel", "/logout"])

_examples = count()


@dataclass
class Window:
    """A browser and what has happened in it: cookies that were changed, sign-ins begun, and the names given in each.

    `proven`: who gave a password here since the last sign-out, and when. `sent`: genuine forms, to be sent again.
    """

    client: FlaskClient
    address: str
    dead: list[str] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    named: dict[str, set[int]] = field(default_factory=dict)
    proven: dict[int, set[int]] = field(default_factory=dict)
    sent: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def ask(self, method: str, path: str, fields: dict[str, str] | None = None) -> TestResponse:
        """The answer itself, no redirect followed."""
        return self.client.open(path, method=method, data=fields, environ_overrides={"REMOTE_ADDR": self.address})

    def cookie(self) -> str:
        """What the browser carries."""
        found = self.client.get_cookie("idp_browser")
        return found.value if found else ""

    def row(self) -> BrowserRow | None:
        """The row that the cookie leads to."""
        database.session().rollback()
        return browsers.recognise(self.cookie())

    def signed_in(self) -> list[LiveSession]:
        """Who is signed in here."""
        return people.in_browser(self.row())


class Walk(RuleBasedStateMachine):
    """Two people, two browsers, and a model that knows only which passwords were given where, for whom and when."""

    def __init__(self, app: Flask) -> None:
        super().__init__()
        self.app = app
        self.number, self.turns = next(_examples), count()
        self.traveller = time_machine.travel(datetime(2027, 1, 1, tzinfo=UTC), tick=False)
        self.watch = self.traveller.start()
        self.windows = [Window(app.test_client(), f"192.0.2.{(2 * self.number + n) % 256}") for n in (0, 1)]
        self.people = [self._person(n) for n in (0, 1)]
        with database.writing():
            wanted = OrganizationSettings(f"northwind-{self.number}", "Northwind")
            self.organization = organizations.found(wanted, self.people[0], by=OPERATOR).id

    def teardown(self) -> None:
        self.traveller.stop()

    def _person(self, who: int) -> str:
        hashed = phc.make(_password(who))
        with database.writing():
            person = users.create(UserSettings(self.username(who)), by=OPERATOR)
            passwords.store(person.id, hashed, by=OPERATOR)
            return person.id

    def username(self, who: int) -> str:
        return f"walker-{self.number}-{who}"

    # What the browsers do

    @rule(at=BROWSERS)
    def begin(self, at: int) -> None:
        assert "txn=" in self.look_at(at, "/login", "").location

    @rule(at=BROWSERS)
    def ask_to_choose(self, at: int) -> None:
        found = {self.people.index(one.user_id) for one in self.windows[at].signed_in()}
        begun = self.look_at(at, "/select", "").location
        if "txn=" in begun:
            self.windows[at].named[_transaction(begun)] = found

    @rule(at=BROWSERS, path=PATHS, of=BROWSERS, nth=NTH)
    def look(self, at: int, path: str, of: int, nth: int) -> None:
        txn = self.one_of(of, nth)
        if txn or path not in ("/login", "/select"):
            before = rows()
            answer = self.look_at(at, path, txn)
            assert path == "/me" or rows() == before
            assert at == of or answer.status_code == 400 or path in ("/logout", "/me", "/")

    @rule(at=BROWSERS, of=BROWSERS, nth=NTH, who=NAMED, token=TOKENS)
    def name(self, at: int, of: int, nth: int, who: str, token: str) -> None:
        typed = self.username(int(who)) if who.isdecimal() else who
        self.send(at, "/login", self.one_of(of, nth), {"username": typed}, token)

    @rule(at=BROWSERS, of=BROWSERS, nth=NTH, whose=BROWSERS, which=NTH, token=TOKENS)
    def pick(self, at: int, of: int, nth: int, whose: int, which: int, token: str) -> None:
        found = self.windows[whose].signed_in()
        picked = found[which % len(found)].id if found else "sid_of_nobody"
        self.send(at, "/login", self.one_of(of, nth), {"person": picked}, token)

    @rule(at=BROWSERS, of=BROWSERS, nth=NTH, given=PASSWORDS, token=TOKENS)
    def try_password(self, at: int, of: int, nth: int, given: str, token: str) -> None:
        password = _password(int(given)) if given.isdecimal() else given
        self.send(at, "/login/password", self.one_of(of, nth), {"password": password}, token)

    @rule(at=BROWSERS, of=BROWSERS, nth=NTH, what=st.sampled_from(["own", "foreign", ""]), token=TOKENS)
    def choose(self, at: int, of: int, nth: int, what: str, token: str) -> None:
        context = {"own": self.organization, "foreign": "org_of_others", "": ""}[what]
        self.send(at, "/select", self.one_of(of, nth), {"context": context}, token)

    @rule(at=BROWSERS, token=TOKENS)
    def sign_out(self, at: int, token: str) -> None:
        self.send(at, "/logout", "", {}, token)

    @rule(at=BROWSERS, of=BROWSERS, nth=NTH, path=STEPS, token=TOKENS)
    def send_nothing(self, at: int, of: int, nth: int, path: str, token: str) -> None:
        self.send(at, path, self.one_of(of, nth) if path != "/logout" else "", {}, token)

    @rule(at=BROWSERS, of=BROWSERS, nth=NTH)
    def send_again(self, at: int, of: int, nth: int) -> None:
        """A form that was sent before, from this browser or the other one."""
        if sent := self.windows[of].sent:
            path, txn, fields = sent[-1 - nth % len(sent)]
            self.send(at, path, txn, fields, "as it was" if at == of else "as it was elsewhere")

    @rule(at=BROWSERS, who=PEOPLE)
    def sign_in(self, at: int, who: int) -> None:
        """The way in, without a detour."""
        self.begin(at)
        txn = self.windows[at].begun[-1]
        self.send(at, "/login", txn, {"username": self.username(who)}, "own")
        answer = self.send(at, "/login/password", txn, {"password": _password(who)}, "own")
        if answer.status_code != 429:
            assert (answer.location == "/me") is not lifecycle.is_disabled(self.people[who])

    @rule(at=BROWSERS, who=PEOPLE, given=PASSWORDS)
    def try_to_sign_in(self, at: int, who: int, given: str) -> None:
        """The same with any password: only the right one opens anything."""
        self.begin(at)
        txn = self.windows[at].begun[-1]
        self.send(at, "/login", txn, {"username": self.username(who)}, "own")
        password = _password(int(given)) if given.isdecimal() else given
        answer = self.send(at, "/login/password", txn, {"password": password}, "own")
        assert given == str(who) or answer.location != "/me"

    @rule(nth=NTH)
    def come_with_a_dead_cookie(self, nth: int) -> None:
        dead = [cookie for window in self.windows for cookie in window.dead]
        if dead:
            thief = Window(self.app.test_client(), "198.51.100.7")
            thief.client.set_cookie("idp_browser", dead[nth % len(dead)])
            assert thief.ask("GET", "/me").location.startswith("/login")
            for txn in (self.one_of(0, nth), self.one_of(1, nth)):
                assert thief.ask("GET", f"/login/password?txn={txn}").status_code == 400

    # What happens around them

    @rule(seconds=st.sampled_from([20, 60, 1_700, 1_801, 9 * 3_600]))
    def time_passes(self, seconds: int) -> None:
        self.watch.shift(seconds)

    @rule()
    def disable_or_enable_the_second_person(self) -> None:
        with database.writing():
            person = users.find(self.people[1])
            was_disabled = lifecycle.is_disabled(person.id)
            (lifecycle.enable if was_disabled else lifecycle.disable)(person, by=OPERATOR)
        for window in self.windows:
            window.proven.pop(1, None)

    # What must hold

    @invariant()
    def nobody_is_signed_in_but_by_what_was_proven_there(self) -> None:
        for window in self.windows:
            for session in window.signed_in():
                given = window.proven.get(self.people.index(session.user_id), set())
                assert {(proof.method, proof.at) for proof in session.proofs} <= {("password", at) for at in given}
                assert session.proofs

    @invariant()
    def pages_are_shown_to_nobody_else(self) -> None:
        window = self.windows[next(self.turns) % 2]
        page = window.ask("GET", "/me")
        assert page.status_code == (200 if window.signed_in() else 303)
        assert all(who in window.proven or self.username(who) not in page.text for who in (0, 1))

    @invariant()
    def a_cookie_that_was_changed_is_dead(self) -> None:
        database.session().rollback()
        assert [one for window in self.windows for one in window.dead[-5:] if browsers.recognise(one)] == []

    # How it is done

    def one_of(self, of: int, nth: int) -> str:
        begun = self.windows[of].begun
        return begun[-1 - nth % len(begun)] if begun else ""

    def look_at(self, at: int, path: str, txn: str) -> TestResponse:
        window = self.windows[at]
        answer = window.ask("GET", f"{path}?txn={txn}" if txn else path)
        assert answer.status_code in (200, 303, 400), answer.text
        begun = _transaction(answer.location or "")
        if begun and not txn:
            window.begun.append(begun)
        assert not begun or begun in window.begun
        return answer

    def send(self, at: int, path: str, txn: str, fields: dict[str, str], token: str) -> TestResponse:
        """Send a form; what the answer means is learned, and what it must not mean is excluded."""
        window = self.windows[at]
        sent, is_genuine = self.form(window, txn, fields, token)
        before, held, cookie = rows(), proofs(window), window.cookie()
        answer = window.ask("POST", f"{path}?txn={txn}" if txn else path, sent)
        assert answer.status_code in (303, 400, 403, 429), answer.text
        if not is_genuine or answer.status_code in (400, 403):
            assert answer.status_code == (400 if is_genuine else 403)
            assert (rows(), window.cookie()) == (before, cookie)
            return answer
        assert path == "/logout" or txn in window.begun
        if token == "own":
            window.sent.append((path, txn, sent))
        self.learn(window, path, txn, sent, answer)
        assert (window.cookie() != cookie) == (path == "/logout" or proofs(window) != held)
        if window.cookie() != cookie:
            window.dead.append(cookie)
        return answer

    def form(self, window: Window, txn: str, fields: dict[str, str], token: str) -> tuple[dict[str, str], bool]:
        """The fields with a token of that kind, and whether the form must be taken for one of ours."""
        own, other = window.row(), next(one for one in self.windows if one is not window).row()
        if token.startswith("as it was"):
            return fields, token == "as it was"
        if token == "own" and own:
            return fields | {csrf.FIELD: csrf.token(own.id, txn)}, True
        if token == "of the other browser" and other:
            return fields | {csrf.FIELD: csrf.token(other.id, txn)}, False
        if token == "of another page" and own:
            return fields | {csrf.FIELD: csrf.token(own.id, "txn_of_another_page")}, False
        return fields | ({csrf.FIELD: "junk"} if token == "junk" else {}), False

    def learn(self, window: Window, path: str, txn: str, sent: dict[str, str], answer: TestResponse) -> None:
        """What an accepted form means for the model, as far as the answer tells."""
        if path == "/logout":
            window.proven = {}
        if path == "/login" and "person" in sent:
            here = {one.id: self.people.index(one.user_id) for one in window.signed_in()}
            window.named.setdefault(txn, set()).update({here[sent["person"]]} if sent["person"] in here else ())
        if path == "/login" and sent.get("username", "").strip() and answer.location.startswith("/login/password"):
            window.named[txn] = {who for who in (0, 1) if sent["username"] == self.username(who)}
        if path == "/login/password" and answer.status_code == 303:
            for who in window.named.get(txn, set()):
                if sent.get("password") == _password(who) and not lifecycle.is_disabled(self.people[who]):
                    window.proven.setdefault(who, set()).add(clock.now())


def rows() -> list[Sequence[object]]:
    """Everything that signing in keeps, but for when a session was last used."""
    database.session().rollback()
    kept = (
        select(Transaction.__table__).order_by(Transaction.id),
        select(BrowserRow.id, BrowserRow.token_digest).order_by(BrowserRow.id),
        select(BrowserSession.id, BrowserSession.ended_at).order_by(BrowserSession.id),
        select(SessionProof.__table__).order_by(SessionProof.id),
    )
    return [database.session().execute(statement).all() for statement in kept]


def proofs(window: Window) -> list[tuple[str, int]]:
    """The sessions of a browser that nobody has ended, and how many proofs each of them has."""
    row = window.row()
    counted = (
        select(BrowserSession.id, func.count(SessionProof.id))
        .join(SessionProof, SessionProof.session_id == BrowserSession.id)
        .where(BrowserSession.browser_id == (row.id if row else ""), BrowserSession.ended_at.is_(None))
        .group_by(BrowserSession.id)
    )
    return sorted((id, number) for id, number in database.session().execute(counted))


def _password(who: int) -> str:
    return f"correct horse battery {who}"


def _transaction(location: str) -> str:
    return parse_qs(urlsplit(location).query).get("txn", [""])[0]


@pytest.mark.rule("SES-01")
@pytest.mark.rule("SES-02")
@pytest.mark.rule("SES-04")
@pytest.mark.rule("SES-05")
@pytest.mark.rule("SES-08")
def test_whatever_is_done_in_whatever_order_nobody_is_signed_in_without_a_proof(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phc, "_OURS", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    start()
    run_state_machine_as_test(
        lambda: Walk(app),  # type: ignore[arg-type]
        settings=settings(
            max_examples=int(os.environ.get("CANOPY_WALKS", "12")),
            stateful_step_count=30,
            deadline=None,
            phases=[Phase.generate],  # to make a walk that went wrong shorter takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
