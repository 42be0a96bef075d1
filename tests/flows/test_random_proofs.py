"""Random walks: factors, trust, step-up and policies in any order; nothing is entered with less proof than it takes."""

import json
import os
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import time_machine
from argon2 import PasswordHasher
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import select

from idp.app import start
from idp.clients.clients import ClientContext
from idp.credentials import factors, passwords, phc
from idp.credentials.models import Factor
from idp.login import changing_factors, transactions
from idp.oauth.models import Authorization
from idp.organizations import grants, memberships, organizations, policies, scopes
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.memberships import NewMember
from idp.organizations.organizations import OrganizationSettings
from idp.organizations.policies import PolicySettings
from idp.platform import clock, database
from idp.platform.errors import Conflict
from idp.sessions import browsers, csrf, people, trusted_devices
from idp.sessions.people import LiveSession
from idp.sessions.proofs import Proof
from idp.users import users
from idp.users.users import UserSettings
from tests import phones
from tests.actors import Page
from tests.authenticators import Authenticator, encoded
from tests.oauth import minting
from tests.oauth.actors import Browser, RelyingParty, answer_in, claims_of, relying_party
from tests.phones import Phone
from tests.traces import OPERATOR

TWO = st.integers(0, 1)
NTH = st.integers(0, 30)
OFTEN = st.booleans()

POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {"mfa": "required"},
    {"mfa": "required", "trusted_devices": False},
    {"privileged": "phr"},
    {"privileged": "aal2", "trusted_devices": False},
    {"methods": ("password", "passkey")},
    {"mfa": "required", "methods": ("password", "totp", "recovery_code")},
    {"session_max": 900, "session_idle": 600},
)
WISHES: tuple[dict[str, str], ...] = (
    {},
    {},
    {"acr_values": "aal2"},
    {"acr_values": "phr"},
    {"max_age": "0"},
    {"prompt": "login"},
    {"prompt": "none"},
)
PAGES = ("/login", "/login/password", "/login/verify", "/login/enrol", "/login/renew", "/select")
RANK = {"aal1": 1, "aal2": 2, "phr": 3}

MOST = 3
"""Refresh tokens that are kept, the newest."""

_examples = count()


@dataclass
class Person:
    """Somebody with a password, and what they have set up: a phone, codes on paper, passkeys on a device."""

    number: int
    id: str
    username: str
    password: str
    device: Authenticator
    phone: Phone | None = None
    codes: list[str] = field(default_factory=list)


@dataclass
class Window:
    """A browser, the page that is open in it, and what was given in it since the last sign-out: by whom, how, when.

    `trusting`: who said that it is to be trusted, with something right beside it.
    """

    browser: Browser
    page: Page
    given: dict[int, set[tuple[str, int]]] = field(default_factory=lambda: defaultdict(set))
    trusting: set[int] = field(default_factory=set)
    begun: list[str] = field(default_factory=list)

    def sessions(self) -> list[LiveSession]:
        database.session().rollback()
        return people.in_browser(browsers.recognise(self.browser.cookie()))


@dataclass(frozen=True)
class Taken:
    """A refresh token: of whom, with which proofs."""

    who: int
    token: str
    proofs: tuple[Proof, ...]


def level(methods: set[str]) -> int:
    """What these come to together: 1 to 3, or nothing."""
    if "passkey" in methods:
        return 3
    return (1 if methods & {"password", "totp", "recovery_code"} else 0) + (
        1 if "password" in methods and methods & {"totp", "recovery_code"} else 0
    )


class Walk(RuleBasedStateMachine):
    """Two people, two browsers, two organizations; each person owns one of them and works in the other."""

    def __init__(self, app: Flask, shop: RelyingParty) -> None:
        super().__init__()
        self.app, self.shop, self.number = app, shop, next(_examples)
        self.traveller = time_machine.travel(datetime(2027, 1, 1, tzinfo=UTC), tick=False)
        self.watch = self.traveller.start()
        self.people = [self._person(n) for n in (0, 1)]
        self.organizations = [self._organization(n) for n in (0, 1)]
        self.policies: list[dict[str, Any]] = [{}, {}]
        self.taken: list[Taken] = []
        self.windows = [self._window(n) for n in (0, 1)]
        self.change_a_policy(where=0, policy={"mfa": "required"})
        self.known_sessions: set[str] = set()
        self.known_authorizations: set[str] = set()
        self.known_factors = {one.id for person in self.people for one in factors.of(person.id)}
        self.held_before: list[set[str]] = [{"totp"}, set()]

    def teardown(self) -> None:
        self.traveller.stop()

    def _person(self, number: int) -> Person:
        password = f"correct horse battery {number}"
        with database.writing():
            person = users.create(UserSettings(f"prover-{self.number}-{number}"), by=OPERATOR)
            passwords.store(person.id, phc.make(password), by=OPERATOR)
        found = Person(number, person.id, person.username, password, Authenticator("http://localhost:8000"))
        if number == 0:
            found.phone, found.codes = phones.given_to(person.id), list(phones.codes_of(person.id))
        return found

    def _organization(self, number: int) -> str:
        owner, other = self.people[number], self.people[1 - number]
        with database.writing():
            wanted = OrganizationSettings(f"house-{self.number}-{number}", "House")
            found = organizations.found(wanted, owner.id, by=OPERATOR).id
            member = memberships.add(found, NewMember(other.id), by=OPERATOR)
            scope = scopes.of_organization(found)
            grants.grant(Wanted(Grantee("member", member.id), "view_only", scope), by=OPERATOR)
        return found

    def _window(self, number: int) -> Window:
        browser = Browser(self.app, f"192.0.2.{(2 * self.number + number) % 256}")
        return Window(browser, browser.get("/login"))

    # What applications ask for

    @rule(at=TWO, where=TWO, wish=st.sampled_from(WISHES))
    def authorize(self, at: int, where: int, wish: dict[str, str]) -> None:
        window = self.windows[at]
        url = self.shop.authorize_url(organization=self.organizations[where], **wish)
        self.see(window, window.browser.get(url))

    # What people do on the page that is open

    @rule(at=TWO, who=TWO, right=st.sampled_from([True, True, True, False]), trust=OFTEN, way=NTH)
    def go_on(self, at: int, who: int, right: bool, trust: bool, way: int) -> None:
        self.answer(self.windows[at], self.people[who], right, trust, way)

    @rule(at=TWO, who=TWO, where=TWO, wish=st.sampled_from(WISHES), trust=OFTEN, way=NTH)
    def go_all_the_way(self, at: int, who: int, where: int, wish: dict[str, str], trust: bool, way: int) -> None:
        """The way in, without a detour, to its end or to where more is wanted than the person has."""
        window, person = self.windows[at], self.people[who]
        self.watch.shift(30)  # the next code
        wanted = {"organization": self.organizations[where], "login_hint": person.username, **wish}
        self.see(window, window.browser.get(self.shop.authorize_url(**wanted)))
        for number in range(7):
            if window.page.path.startswith("/login") and window.page.status == 200:
                self.answer(window, person, True, trust, way + number)

    @rule(at=TWO, path=st.sampled_from(PAGES), nth=NTH)
    def go_elsewhere(self, at: int, path: str, nth: int) -> None:
        """Back, or ahead, in whichever sign-in."""
        window = self.windows[at]
        if window.begun:
            txn = window.begun[-1 - nth % len(window.begun)]
            self.see(window, window.browser.get(f"{path}?txn={txn}"))

    @rule(at=TWO, who=TWO, nth=NTH, what=st.sampled_from(["password", "otp", "recovery_code", "app", "decline"]))
    def send_what_is_not_asked(self, at: int, who: int, nth: int, what: str) -> None:
        """A genuine form, with the right answer, at whichever moment of whichever sign-in."""
        window, person = self.windows[at], self.people[who]
        if not window.begun:
            return
        txn = window.begun[-1 - nth % len(window.begun)]
        path = {"password": "/login/password", "app": "/login/enrol/app", "decline": "/login/enrol/decline"}
        fields = {"decline": {}, "app": {}, "password": {"password": person.password}}.get(what)
        if fields is None:
            fields = self.code(person, what, right=True)
        row = browsers.recognise(window.browser.cookie())
        if row is None or fields is None:
            return
        self.remember(window, person, what, trust=True)
        form = {**fields, "trust": "yes", csrf.FIELD: csrf.token(row.id, txn)}
        response = window.browser._ask("POST", f"{path.get(what, '/login/verify')}?txn={txn}", data=form)
        assert response.status_code in (200, 303, 400, 403, 429), response.text
        if response.status_code == 303:
            self.see(window, window.browser._follow(response))

    @rule(at=TWO, who=TWO, where=TWO, way=NTH)
    def come_back(self, at: int, who: int, where: int, way: int) -> None:
        """Another day in the same browser, which is asked to trust whoever uses it."""
        self.sign_out(at)
        self.go_all_the_way(at, who, where, {}, True, way)

    @rule(at=TWO)
    def sign_out(self, at: int) -> None:
        window = self.windows[at]
        page = window.browser.get("/logout")
        if page.name == "logout":
            window.browser.send(page, "logout-confirm")
            window.given.clear()
            assert window.sessions() == []
        window.begun.clear()
        self.see(window, window.browser.get("/login"))

    # What happens around them

    @rule(where=TWO, policy=st.sampled_from(POLICIES))
    def change_a_policy(self, where: int, policy: dict[str, Any]) -> None:
        with database.writing():
            policies.change(self.organizations[where], PolicySettings(**policy), by=OPERATOR)
        self.policies[where] = policy
        self.try_everything_again()

    @rule(seconds=st.sampled_from([30, 30, 90, 301, 700, 1_000, 9 * 3_600]))
    def time_passes(self, seconds: int) -> None:
        self.watch.shift(seconds)
        self.try_everything_again()

    @rule(who=TWO, nth=NTH)
    def lose_a_factor(self, who: int, nth: int) -> None:
        mine = factors.of(self.people[who].id)
        if mine:
            self.lose(who, mine[nth % len(mine)])
            self.try_everything_again()

    @rule(who=TWO)
    def lose_everything(self, who: int) -> None:
        person = self.people[who]
        with database.writing():
            changing_factors.reset(person.id, "lost", by=OPERATOR)
        person.phone, person.codes, person.device.keys = None, [], []
        for window in self.windows:
            window.given.pop(who, None)
            window.trusting.discard(who)
        self.try_everything_again()

    @rule(who=TWO)
    def trust_no_browser_any_more(self, who: int) -> None:
        with database.writing():
            trusted_devices.end_all_of(self.people[who].id, by=OPERATOR)
        for window in self.windows:
            window.trusting.discard(who)
        self.try_everything_again()

    def try_everything_again(self) -> None:
        """Whatever is signed in, and every token: into both organizations, without a question."""
        for organization in self.organizations:
            for window in self.windows:
                window.browser.get(self.shop.authorize_url(organization=organization, prompt="none"))
            self.taken = [left for one in self.taken[-MOST:] if (left := self.refreshed(one, organization))]

    def refreshed(self, one: Taken, organization_id: str) -> Taken | None:
        """What is left of a refresh token that was used, or refused; `None` where it is dead."""
        answer = self.shop.token(grant_type="refresh_token", refresh_token=one.token, organization=organization_id)
        body = answer.get_json()
        if answer.status_code == 200:
            self.judge(body["access_token"], one.who, one.proofs)
            return Taken(one.who, body["refresh_token"], one.proofs)
        assert body["error"] in ("insufficient_user_authentication", "invalid_grant"), body
        return one if body["error"] == "insufficient_user_authentication" else None

    def lose(self, who: int, factor: Factor) -> None:
        """What was proven with it is gone, and sessions that rest on nothing else."""
        try:
            with database.writing():
                changing_factors.remove(self.people[who].id, factor.id, by=OPERATOR)
        except Conflict:  # somebody demands it
            return
        if factor.kind == "totp":
            self.people[who].phone = None
        for window in self.windows:
            assert all(proof.factor_id != factor.id for one in window.sessions() for proof in one.proofs)

    # What must hold

    @invariant()
    def nobody_is_signed_in_but_by_what_was_given_there(self) -> None:
        for window in self.windows:
            for session in window.sessions():
                who = self.index(session.user_id)
                self.require_given(window, who, session.proofs)
                if session.id not in self.known_sessions:
                    self.known_sessions.add(session.id)
                    reached = level({proof.method for proof in session.proofs})
                    assert reached >= 2 or not self.held_before[who] or who in window.trusting

    @invariant()
    def nothing_is_set_up_but_by_whoever_has_just_proven_who_they_are(self) -> None:
        for who, person in enumerate(self.people):
            mine = {one.id: one for one in factors.of(person.id)}
            for new in mine.keys() - self.known_factors:
                self.known_factors.add(new)
                recent = {
                    (method, at)
                    for window in self.windows
                    for method, at in window.given[who]
                    if clock.now() - at <= 5 * clock.MINUTE
                }
                assert recent, "set up without a proof"
            self.held_before[who] = {one.kind for one in mine.values()}

    @invariant()
    def nothing_is_authorized_that_takes_more(self) -> None:
        database.session().rollback()
        mine = select(Authorization).where(Authorization.user_id.in_([person.id for person in self.people]))
        for row in database.session().scalars(mine):
            if row.id not in self.known_authorizations:
                self.known_authorizations.add(row.id)
                proofs = tuple(Proof(**one) for one in json.loads(row.proofs_json))
                who = self.index(row.user_id)
                assert any(self.was_given(window, who, proofs) for window in self.windows)
                self.require_enough(row.organization_id or "", who, proofs)

    # How it is judged, without a word of ours

    def judge(self, token: str, who: int, proofs: tuple[Proof, ...]) -> None:
        """The token was issued: what it says is what counts there, and that is enough."""
        said = claims_of(token)
        self.require_enough(said["org_id"], who, proofs)
        allowed = self.policies[self.organizations.index(said["org_id"])].get("methods", policies.METHODS)
        assert RANK[said["acr"]] == level({proof.method for proof in proofs if proof.method in allowed})
        assert RANK[said["acr"]] < 2 or "mfa" in said["amr"]
        live = {one.id for one in factors.of(self.people[who].id)}
        assert {proof.factor_id for proof in proofs if proof.factor_id and proof.method != "device"} <= live

    def require_enough(self, organization_id: str, who: int, proofs: tuple[Proof, ...]) -> None:
        where = self.organizations.index(organization_id)
        policy = self.policies[where]
        wanted = 2 if policy.get("mfa") == "required" else 1
        if who == where:  # its owner, who may do everything
            wanted = max(wanted, RANK[policy.get("privileged", "aal1")])
        counting = {proof.method for proof in proofs if proof.method in policy.get("methods", policies.METHODS)}
        is_spared = (
            wanted == 2
            and policy.get("trusted_devices", True)
            and all(trusted_devices.given_for(one.factor_id) is not None for one in proofs if one.method == "device")
            and any(one.method == "device" for one in proofs)
        )
        assert level(counting) >= (1 if is_spared else wanted), (policy, proofs)
        latest = max(proof.at for proof in proofs if proof.method != "device")
        assert clock.now() - latest <= policy.get("session_max", 86_400) * clock.SECOND

    def require_given(self, window: Window, who: int, proofs: tuple[Proof, ...]) -> None:
        assert self.was_given(window, who, proofs), (proofs, window.given[who])
        live = {one.id for one in factors.of(self.people[who].id)}
        assert {proof.factor_id for proof in proofs if proof.factor_id and proof.method != "device"} <= live

    def was_given(self, window: Window, who: int, proofs: tuple[Proof, ...]) -> bool:
        shown = {(proof.method, proof.at) for proof in proofs if proof.method != "device"}
        return bool(shown) and shown <= window.given[who]

    def index(self, user_id: str) -> int:
        return [person.id for person in self.people].index(user_id)

    # How it is done

    def see(self, window: Window, page: Page) -> None:
        """What a page tells: a sign-in that was begun, a code, or a refusal."""
        assert page.status in (200, 303, 400, 429), page.text
        window.page = page
        txn = dict(parse_qsl(urlsplit(page.address).query)).get("txn", "")
        if txn.startswith("txn_") and txn not in window.begun:
            window.begun.append(txn)
        if page.status == 303 and "code" in answer_in(page):
            self.redeem(page)

    def redeem(self, page: Page) -> None:
        """Here and now, so that nothing has changed since it was authorized."""
        tokens = self.shop.redeem(page)
        said = claims_of(tokens["access_token"])
        database.session().rollback()
        row = database.session().get_one(Authorization, said["jti"].partition(".")[0])
        proofs = tuple(Proof(**one) for one in json.loads(row.proofs_json))
        self.judge(tokens["access_token"], self.index(said["sub"]), proofs)
        self.taken.append(Taken(self.index(said["sub"]), tokens["refresh_token"], proofs))

    def answer(self, window: Window, person: Person, right: bool, trust: bool, way: int) -> None:
        """Fill in what the open page asks for, as that person would."""
        page = window.page
        step = page.path if page.status == 200 else ""
        if step == "/login":
            self.submit(window, "username", username=person.username)
        elif step == "/login/password":
            self.submit(window, "password", person, right, password=person.password if right else "wrong")
        elif step == "/login/verify":
            self.verify(window, person, right, trust, way)
        elif step == "/login/enrol":
            self.enrol(window, way)
        elif step.startswith("/login/enrol/"):
            self.submit(window, "codes", saved="yes")

    def submit(self, window: Window, of: str, person: Person | None = None, right: bool = True, **values: str) -> None:
        if person is not None and right:
            self.remember(window, person, of, trust="trust" in values)
        self.see(window, window.browser.send(window.page, of, **values))

    def verify(self, window: Window, person: Person, right: bool, trust: bool, way: int) -> None:
        offered = [link["href"] for link in window.page.links if "way=" in link.get("href", "")]
        if offered and way % 3 == 0:
            self.see(window, window.browser.get(offered[way % len(offered)]))
        page = window.page
        trusting = {"trust": "yes"} if trust and any(form.inputs and _has(form, "trust") for form in page.forms) else {}
        if any(_has(form, "credential") for form in page.forms):
            self.use_passkey(window, person, trusting)
            return
        for name in ("otp", "recovery_code"):
            if any(_has(form, name) for form in page.forms):
                fields = self.code(person, name, right)
                if fields:
                    self.submit(window, name, person, right, **fields, **trusting)

    def use_passkey(self, window: Window, person: Person, trusting: dict[str, str]) -> None:
        if not person.device.keys:
            return
        options = self.options(window, "/login/passkey")
        if options is None:
            return
        allowed = {one["id"] for one in options.get("allowCredentials", [])}
        mine = [key for key in person.device.keys if not allowed or encoded(key.id) in allowed]
        if mine:
            answer = person.device.get(options, key=mine[-1])
            self.submit(window, "credential", person, credential=answer, **trusting)

    def enrol(self, window: Window, way: int) -> None:
        page = window.page
        offered = [name for name in ("app-begin", "credential", "otp", "enrol-decline") if _shows(page, name)]
        if not offered:
            return
        name = offered[way % len(offered)]
        txn = dict(parse_qsl(urlsplit(page.address).query))["txn"]
        database.session().rollback()
        found = transactions.find(browsers.recognise(window.browser.cookie()), txn)
        person = self.people[self.index(found.user_id or "")]
        if name == "credential":
            options = self.options(window, "/login/enrol/passkey")
            if options is not None:
                answer = person.device.create(options)
                window.given[person.number].add(("passkey", clock.now()))
                self.submit(window, "credential", credential=answer)
        elif name == "otp":
            (uri,) = (link["href"] for link in page.links if link.get("href", "").startswith("otpauth:"))
            phone = Phone.scanning(uri)
            window.given[person.number].add(("totp", clock.now()))
            self.submit(window, "otp", otp=phone.code())
            if any(one.kind == "totp" for one in factors.of(person.id)):
                person.phone = phone
        else:
            self.submit(window, name)
        if shown := next((form.fields["codes"] for form in window.page.forms if "codes" in form.fields), ""):
            person.codes = shown.split()

    def options(self, window: Window, path: str) -> dict[str, Any] | None:
        """What the script of the page is given."""
        form = window.page.form("credential")
        answer = window.browser.client.post(
            f"{path}/options?{urlsplit(window.page.address).query}",
            data={csrf.FIELD: form.fields[csrf.FIELD]},
            environ_overrides={"REMOTE_ADDR": window.browser.address},
        )
        found: dict[str, Any] | None = answer.get_json() if answer.status_code == 200 else None
        return found

    def code(self, person: Person, name: str, right: bool) -> dict[str, str] | None:
        """The field of the form, filled in; nothing where the person has nothing to fill in."""
        if name == "otp":
            return {"otp": person.phone.code() if right else person.phone.wrong()} if person.phone else None
        if not person.codes:
            return None
        return {"recovery_code": person.codes.pop() if right else "AAAAA-AAAAA"}

    def remember(self, window: Window, person: Person, of: str, *, trust: bool) -> None:
        """That something right was sent from this browser now."""
        method = {"otp": "totp", "credential": "passkey"}.get(of, of)
        if method in ("password", "totp", "recovery_code", "passkey"):
            window.given[person.number].add((method, clock.now()))
            if trust:
                window.trusting.add(person.number)


def _has(form: Any, name: str) -> bool:
    return name in form.fields or any(one.get("name") == name for one in form.inputs)


def _shows(page: Page, name: str) -> bool:
    return any(_has(form, name) or any(one.get("id") == name for one in form.buttons) for form in page.forms)


@pytest.mark.rule("TOT-05")
@pytest.mark.rule("TOT-06")
@pytest.mark.rule("TOT-07")
@pytest.mark.rule("TOT-08")
def test_whatever_is_done_in_whatever_order_nothing_is_entered_with_fewer_proofs_than_it_takes(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phc, "_OURS", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    start()
    minting.make_keys()
    shop = relying_party(
        app, "shop", context=ClientContext("any"), first_party=True, id_token_signed_response_alg="ES256"
    )
    run_state_machine_as_test(
        lambda: Walk(app, shop),  # type: ignore[arg-type]
        settings=settings(
            max_examples=int(os.environ.get("CANOPY_WALKS", "8")),
            stateful_step_count=30,
            deadline=None,
            phases=[Phase.generate],  # to make a walk that went wrong shorter takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
