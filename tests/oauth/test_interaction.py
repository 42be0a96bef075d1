"""From a request to its code: who is asked to prove what, and what a client is told that forbids to ask."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select, update

from idp.clients import clients
from idp.clients.clients import ClientContext, ClientSettings
from idp.login import transactions
from idp.login.transactions import SignInOver
from idp.oauth import pending_requests
from idp.oauth.models import Authorization, AuthorizationCode, PendingRequest
from idp.oauth.pending_requests import RequestOver
from idp.platform import clock, database
from idp.sessions import browsers, people
from idp.sessions.models import BrowserSession, SessionProof
from idp.users import lifecycle, users
from tests.actors import GOOD, Page, transaction_in
from tests.login.conftest import made
from tests.oauth import minting
from tests.oauth.actors import CALLBACK, Browser, RelyingParty, answer_in, claims_of, relying_party
from tests.proving import decline, prove
from tests.traces import OPERATOR, entries


@pytest.fixture
def olivia(app: Flask) -> str:
    minting.make_keys()
    return made("olivia", email="olivia@northwind.test", given_name="Olivia", family_name="Lund")


@pytest.fixture
def bob(app: Flask) -> str:
    return made("bob")


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


@pytest.fixture
def shop(app: Flask) -> RelyingParty:
    """An application of the operator's own: nobody is asked for consent."""
    return relying_party(app, "shop", first_party=True, id_token_signed_response_alg="ES256")


def count(model: type[object]) -> int:
    database.session().rollback()
    return database.session().scalar(select(func.count()).select_from(model)) or 0


def code_is_for(page: Page) -> str:
    """The id of the person that the code is for which the browser brought."""
    assert "code" in answer_in(page), answer_in(page)
    database.session().rollback()
    latest = select(Authorization.user_id).order_by(Authorization.created_at.desc(), Authorization.id.desc())
    return database.session().scalars(latest).first() or ""


def refused(page: Page) -> str:
    """The error that the browser brought; no code comes with one."""
    assert "code" not in answer_in(page)
    return answer_in(page)["error"]


def also_sign_in(browser: Browser, username: str) -> None:
    """Sign somebody else in in a browser in which somebody is signed in."""
    page = browser.send(browser.get("/login"), "username", username=username)
    assert browser.send(page, "password", password=GOOD).name == "me"


# The story


def test_a_person_signs_in_to_an_application_once(browser: Browser, shop: RelyingParty, olivia: str) -> None:
    page = browser.sign_in("olivia", path=shop.authorize_url(state="s-1"))
    assert page.response.location.startswith(f"{CALLBACK}?")
    assert set(answer_in(page)) == {"code", "state", "iss"}
    assert answer_in(page)["state"] == "s-1"
    page = browser.get(shop.authorize_url(state="s-2"))
    assert (answer_in(page)["state"], page.path) == ("s-2", "/oauth2/authorize")
    claims = claims_of(shop.redeem(page)["id_token"])
    assert (claims["sub"], claims["nonce"], claims["acr"], claims["amr"]) == (olivia, "n-1", "aal1", ["pwd"])


def test_the_page_of_signing_in_names_the_application_and_lets_its_form_lead_there(
    browser: Browser, shop: RelyingParty, olivia: str
) -> None:
    page = browser.get(shop.authorize_url())
    assert (page.name, page.heading) == ("login", "Sign in to Shop")
    policy = page.response.headers["Content-Security-Policy"]
    assert "form-action 'self' https://shop.example.com;" in policy


def test_the_pages_speak_the_language_that_the_application_asks_for(
    browser: Browser, shop: RelyingParty, olivia: str
) -> None:
    page = browser.get(shop.authorize_url(ui_locales="xx fr-CA de"))
    assert 'lang="fr"' in page.text
    page = browser.send(page, "username", username="olivia")
    assert (page.name, 'lang="fr"' in page.text) == ("password", True)


def test_what_was_authorized_stands_in_the_trail(browser: Browser, shop: RelyingParty, olivia: str) -> None:
    browser.sign_in("olivia", path=shop.authorize_url(scope="openid profile"))
    (given,) = [entry for entry in entries() if entry.event == "authorization.given"]
    assert (given.actor_id, given.subject[:3]) == (olivia, "az_")
    told = json.loads(given.after_json or "")
    assert (told["client"], told["scope"]) == ("shop", "openid profile")


def test_nothing_waits_where_nothing_is_asked(browser: Browser, shop: RelyingParty, olivia: str) -> None:
    browser.sign_in("olivia")
    browser.get(shop.authorize_url())
    assert (count(PendingRequest), count(AuthorizationCode)) == (0, 1)


def test_the_use_of_a_session_is_noted(browser: Browser, shop: RelyingParty, olivia: str) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        browser.sign_in("olivia")
        clockwork.shift(600)
        browser.get(shop.authorize_url())
        database.session().rollback()
        assert database.session().scalar(select(BrowserSession.last_seen_at)) == clock.now()


def test_whoever_goes_back_without_signing_in_is_told_of(browser: Browser, shop: RelyingParty, olivia: str) -> None:
    page = browser.get(shop.authorize_url(state="s-1"))
    page = browser.send(page, "login-cancel")
    assert (refused(page), answer_in(page)["state"]) == ("access_denied", "s-1")


def test_a_request_that_was_reloaded_goes_on_with_the_same_sign_in(
    browser: Browser, shop: RelyingParty, olivia: str
) -> None:
    page = browser.get(shop.authorize_url())
    (pending,) = database.session().scalars(select(PendingRequest.id))
    again = browser.get(f"/oauth2/authorize/{pending}")
    assert transaction_in(again) == transaction_in(page)


def test_two_requests_of_one_browser_do_not_disturb_each_other(
    browser: Browser, shop: RelyingParty, olivia: str
) -> None:
    first, second = (browser.get(shop.authorize_url(state=state)) for state in ("s-1", "s-2"))
    page = browser.send(browser.send(second, "username", username="olivia"), "password", password=GOOD)
    assert answer_in(page)["state"] == "s-2"
    page = browser.send(browser.send(first, "username", username="olivia"), "password", password=GOOD)
    assert answer_in(page)["state"] == "s-1"


# Nobody may be asked


@pytest.mark.rule("AUZ-12")
def test_without_a_session_nobody_is_asked_where_nobody_may_be(browser: Browser, shop: RelyingParty) -> None:
    page = browser.get(shop.authorize_url(prompt="none"))
    assert refused(page) == "login_required"
    assert (count(PendingRequest), browser.cookie()) == (0, "")


@pytest.mark.rule("AUZ-12")
def test_with_a_session_that_is_too_old_nobody_is_asked_where_nobody_may_be(
    browser: Browser, shop: RelyingParty, olivia: str
) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        browser.sign_in("olivia")
        clockwork.shift(100)
        assert refused(browser.get(shop.authorize_url(prompt="none", max_age="99"))) == "login_required"
        assert code_is_for(browser.get(shop.authorize_url(prompt="none", max_age="100"))) == olivia


@pytest.mark.rule("AUZ-12")
@pytest.mark.parametrize("acr", ["aal2", "phr", "phr aal1", "urn:unknown aal2"])
def test_with_proofs_that_are_too_weak_nobody_is_asked_where_nobody_may_be(
    browser: Browser, shop: RelyingParty, olivia: str, acr: str
) -> None:
    browser.sign_in("olivia")
    assert refused(browser.get(shop.authorize_url(prompt="none", acr_values=acr))) == "interaction_required"


@pytest.mark.parametrize("acr", ["aal1", "aal1 phr", "urn:unknown", "urn:unknown aal1"])
def test_levels_that_are_reached_or_mean_nothing_stand_in_nobodys_way(
    browser: Browser, shop: RelyingParty, olivia: str, acr: str
) -> None:
    browser.sign_in("olivia")
    assert code_is_for(browser.get(shop.authorize_url(prompt="none", acr_values=acr))) == olivia


def test_a_level_that_is_wished_for_is_gone_without_where_somebody_does_not_want_to_set_anything_up(
    browser: Browser, shop: RelyingParty, olivia: str
) -> None:
    page = browser.sign_in("olivia", path=shop.authorize_url(acr_values="phr"))
    assert page.path == "/login/enrol"
    claims = claims_of(shop.redeem(decline(browser, page))["id_token"])
    assert (claims["acr"], claims["amr"]) == ("aal1", ["pwd"])


@pytest.mark.rule("JWT-12")
@pytest.mark.parametrize(
    ("wished", "proven", "told"),
    [
        ("aal2", ("totp",), ("aal2", ["pwd", "otp", "mfa"])),
        ("phr aal2", ("passkey",), ("phr", ["pwd", "hwk", "user", "mfa"])),
        ("aal1 phr", (), ("aal1", ["pwd"])),
        ("gold", (), ("aal1", ["pwd"])),
    ],
)
def test_what_is_told_is_what_was_proven_whatever_was_wished_for(
    browser: Browser, shop: RelyingParty, olivia: str, wished: str, proven: tuple[str, ...], told: tuple[str, list[str]]
) -> None:
    page = browser.sign_in("olivia", path=shop.authorize_url(acr_values=wished))
    if proven:
        assert page.path == "/login/enrol"
        page = prove(browser, page, *proven)
    claims = claims_of(shop.redeem(page)["id_token"])
    assert (claims["acr"], claims["amr"]) == told


def essential(*values: str) -> str:
    """The `claims` of a request that takes one of these levels."""
    return json.dumps({"id_token": {"acr": {"essential": True, "values": values}}})


@pytest.mark.parametrize("prompt", [None, "login"])
def test_an_essential_level_that_can_never_be_reached_is_a_failure(
    browser: Browser, shop: RelyingParty, olivia: str, prompt: str | None
) -> None:
    url = shop.authorize_url(claims=essential("gold", "platinum"), prompt=prompt)
    assert refused(browser.sign_in("olivia", path=url)) == "unmet_authentication_requirements"
    assert refused(browser.get(shop.authorize_url(claims=essential("gold"), prompt="none"))) == (
        "unmet_authentication_requirements"
    )


@pytest.mark.parametrize("prompt", [None, "login"])
def test_an_essential_level_is_reached_or_nothing_comes_of_it(
    browser: Browser, shop: RelyingParty, olivia: str, prompt: str | None
) -> None:
    page = browser.sign_in("olivia", path=shop.authorize_url(claims=essential("phr", "aal2"), prompt=prompt))
    assert (page.path, count(Authorization)) == ("/login/enrol", 0)
    page = decline(browser, page)
    assert (page.path, count(Authorization)) == ("/login/enrol", 0)
    assert claims_of(shop.redeem(prove(browser, page, "totp"))["id_token"])["acr"] == "aal2"


def test_of_several_essential_levels_one_is_enough(browser: Browser, shop: RelyingParty, olivia: str) -> None:
    page = browser.sign_in("olivia", path=shop.authorize_url(claims=essential("phr", "aal1")))
    assert page.path == "/login/enrol"
    assert code_is_for(decline(browser, page)) == olivia
    browser.sign_in("olivia", path=shop.authorize_url(claims=essential("aal1"), prompt="login"))
    assert code_is_for(browser.get(shop.authorize_url(claims=essential("gold", "aal1"), prompt="none"))) == olivia


# Fresh proofs


@pytest.mark.rule("AUZ-13")
@pytest.mark.parametrize("asked", [{"prompt": "login"}, {"max_age": "0"}], ids=["prompt", "max_age"])
def test_a_live_session_does_not_stand_in_for_a_fresh_proof(
    browser: Browser, shop: RelyingParty, olivia: str, bob: str, asked: dict[str, str]
) -> None:
    before = claims_of(shop.redeem(browser.sign_in("olivia", path=shop.authorize_url()))["id_token"])
    with time_machine.travel((before["auth_time"] + 60) * 1.0, tick=True):
        page = browser.get(shop.authorize_url(**asked))
        assert (page.name, page.form("password").fields["username"]) == ("password", "olivia")
        (pending,) = database.session().scalars(select(PendingRequest.id).where(PendingRequest.settled_at.is_(None)))
        for way in ("", "?prompt=&max_age=9999", "?max_age=9999"):
            assert browser.get(f"/oauth2/authorize/{pending}{way}").name == "password"
        page = browser.send(page, "password", password=GOOD)
        after = claims_of(shop.redeem(page)["id_token"])
    assert after["auth_time"] > before["auth_time"]
    assert after["sub"] == before["sub"]


@pytest.mark.rule("AUZ-13")
@pytest.mark.parametrize("asked", [{"prompt": "login"}, {"max_age": "0"}], ids=["prompt", "max_age"])
def test_nobody_else_proves_something_in_the_stead_of_whoever_is_signed_in(
    browser: Browser, shop: RelyingParty, olivia: str, bob: str, asked: dict[str, str]
) -> None:
    browser.sign_in("olivia")
    page = browser.get(shop.authorize_url(**asked))
    txn = transaction_in(page)
    page = browser.send(browser.get(f"/login?txn={txn}"), "username", username="bob")
    page = browser.send(page, "password", password=GOOD)
    assert (page.name, page.alerts, count(Authorization)) == ("login", 1, 0)


def test_one_fresh_proof_is_enough(browser: Browser, shop: RelyingParty, olivia: str) -> None:
    for number, asked in enumerate(({"prompt": "login"}, {"max_age": "0"}, {"prompt": "login", "max_age": "0"})):
        url = shop.authorize_url(**asked)
        assert code_is_for(browser.sign_in("olivia", path=url)) == olivia, number


def test_how_old_a_proof_may_be_can_be_registered(app: Flask, browser: Browser, olivia: str) -> None:
    strict = relying_party(app, "strict", first_party=True, default_max_age=60)
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        browser.sign_in("olivia")
        assert code_is_for(browser.get(strict.authorize_url())) == olivia
        clockwork.shift(61)
        assert refused(browser.get(strict.authorize_url(prompt="none"))) == "login_required"
        assert code_is_for(browser.get(strict.authorize_url(prompt="none", max_age="3600"))) == olivia


# Who is meant


@pytest.fixture
def hint(browser: Browser, shop: RelyingParty, olivia: str) -> str:
    """An ID token about Olivia, who has signed out since."""
    found = str(shop.redeem(browser.sign_in("olivia", path=shop.authorize_url()))["id_token"])
    browser.send(browser.get("/logout"), "logout-confirm")
    return found


def asking_for_olivia(olivia: str, hint: str) -> dict[str, dict[str, str]]:
    """The ways of a client to say that it means Olivia."""
    return {
        "login_hint": {"login_hint": "Olivia@Northwind.test"},
        "id_token_hint": {"id_token_hint": hint},
        "sub": {"claims": json.dumps({"id_token": {"sub": {"value": olivia}}})},
    }


WAYS = pytest.mark.parametrize("way", ["login_hint", "id_token_hint", "sub"])


@pytest.mark.rule("AUZ-14")
@WAYS
def test_hints_do_not_let_anybody_in(browser: Browser, shop: RelyingParty, olivia: str, hint: str, way: str) -> None:
    asked = asking_for_olivia(olivia, hint)[way]
    assert refused(browser.get(shop.authorize_url(prompt="none", **asked))) == "login_required"
    page = browser.get(shop.authorize_url(**asked))
    assert page.name == "login"
    assert ("olivia" in page.text.casefold()) == (way == "login_hint")


@pytest.mark.rule("AUZ-14")
@WAYS
def test_no_code_for_somebody_else_than_is_meant_is_handed_out_silently(
    browser: Browser, shop: RelyingParty, olivia: str, bob: str, hint: str, way: str
) -> None:
    browser.sign_in("bob")
    asked = asking_for_olivia(olivia, hint)[way]
    assert refused(browser.get(shop.authorize_url(prompt="none", **asked))) == "login_required"
    assert browser.get(shop.authorize_url(**asked)).name == "login"
    also_sign_in(browser, "olivia")
    also_sign_in(browser, "bob")
    assert code_is_for(browser.get(shop.authorize_url(prompt="none", **asked))) == olivia
    assert code_is_for(browser.get(shop.authorize_url(prompt="none"))) == bob


@pytest.mark.rule("AUZ-14")
@pytest.mark.parametrize("way", ["id_token_hint", "sub"])
def test_where_a_subject_is_asked_for_nobody_else_will_do(
    browser: Browser, shop: RelyingParty, olivia: str, bob: str, hint: str, way: str
) -> None:
    page = browser.sign_in("bob", path=shop.authorize_url(**asking_for_olivia(olivia, hint)[way]))
    assert (page.name, page.alerts, count(Authorization)) == ("login", 1, 1)
    page = browser.send(browser.send(page, "username", username="olivia"), "password", password=GOOD)
    assert code_is_for(page) == olivia


def test_whoever_was_wished_for_and_is_somebody_else_can_say_so(
    browser: Browser, shop: RelyingParty, olivia: str, bob: str
) -> None:
    browser.sign_in("bob")
    page = browser.get(shop.authorize_url(login_hint="olivia"))
    (session,) = people.in_browser(browsers.recognise(browser.cookie()))
    assert page.form("username").fields["username"] == "olivia"
    assert code_is_for(browser.send(page, "person", person=session.id)) == bob


@pytest.mark.rule("AUZ-14")
@pytest.mark.parametrize("spoilt", ["not.a.token", "eyJhbGciOiJub25lIn0.e30."])
def test_a_hint_that_cannot_be_read_lets_nobody_through_unasked(
    browser: Browser, shop: RelyingParty, olivia: str, spoilt: str
) -> None:
    browser.sign_in("olivia")
    assert refused(browser.get(shop.authorize_url(prompt="none", id_token_hint=spoilt))) == "login_required"
    page = browser.get(shop.authorize_url(id_token_hint=spoilt))
    assert page.name == "login"
    (session,) = people.in_browser(browsers.recognise(browser.cookie()))
    assert code_is_for(browser.send(page, "person", person=session.id)) == olivia


def test_hints_that_contradict_one_another_are_refused(
    browser: Browser, shop: RelyingParty, olivia: str, bob: str, hint: str
) -> None:
    asked = {"id_token_hint": hint, "claims": json.dumps({"id_token": {"sub": {"value": bob}}})}
    assert refused(browser.get(shop.authorize_url(**asked))) == "invalid_request"


def test_a_person_is_chosen_where_a_client_wants_that(
    browser: Browser, shop: RelyingParty, olivia: str, bob: str
) -> None:
    browser.sign_in("olivia")
    also_sign_in(browser, "bob")
    page = browser.get(shop.authorize_url(prompt="select_account"))
    assert page.name == "login"
    session = next(one for one in people.in_browser(browsers.recognise(browser.cookie())) if one.user_id == olivia)
    assert code_is_for(browser.send(page, "person", person=session.id)) == olivia
    page = browser.get(shop.authorize_url(prompt="select_account login"))
    page = browser.send(page, "person", person=session.id)
    assert (page.name, page.form("password").fields["username"]) == ("password", "olivia")
    assert code_is_for(browser.send(page, "password", password=GOOD)) == olivia


# Requests that are over


@pytest.fixture
def pending(browser: Browser, shop: RelyingParty, olivia: str) -> str:
    """The id of a request whose person has still to sign in."""
    browser.get(shop.authorize_url(state="s-1"))
    return database.session().scalars(select(PendingRequest.id)).one()


@pytest.mark.rule("SES-02")
def test_a_request_is_finished_in_the_browser_that_began_it_alone(
    app: Flask, browser: Browser, shop: RelyingParty, pending: str
) -> None:
    other = Browser(app, "198.51.100.9")
    other.sign_in("olivia")
    page = other.get(f"/oauth2/authorize/{pending}")
    assert (page.name, page.status, page.body["data-error"]) == ("error", 400, "transaction_expired")
    assert other.get("/oauth2/authorize/req_unknown").status == 400
    assert Browser(app).get(f"/oauth2/authorize/{pending}").status == 400


def test_a_request_is_answered_once(browser: Browser, pending: str) -> None:
    assert "code" in answer_in(browser.sign_in("olivia", path=f"/oauth2/authorize/{pending}"))
    page = browser.get(f"/oauth2/authorize/{pending}")
    assert (page.name, page.status, count(AuthorizationCode)) == ("error", 400, 1)


def test_a_request_runs_out_and_its_application_begins_anew(app: Flask, browser: Browser, olivia: str) -> None:
    ledger = relying_party(app, "ledger", first_party=True, initiate_login_uri="https://ledger.example.org/start?x=1")
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        browser.get(ledger.authorize_url())
        pending = database.session().scalars(select(PendingRequest.id)).one()
        clockwork.shift(transactions.LIFETIME / clock.SECOND)
        page = browser.get(f"/oauth2/authorize/{pending}")
    assert (page.name, page.status) == ("error", 400)
    begin = "https://ledger.example.org/start?x=1&iss=http%3A%2F%2Flocalhost%3A8000"
    assert begin in [link["href"] for link in page.links]


@pytest.mark.parametrize("change", ["disabled", "moved"])
def test_a_request_ends_with_its_client(browser: Browser, shop: RelyingParty, pending: str, change: str) -> None:
    with database.writing():
        client = clients.named(shop.id)
        if change == "disabled":
            clients.disable(client, by=OPERATOR)
        else:
            wanted = clients.settings_of(client)
            elsewhere = dict(wanted.metadata) | {"redirect_uris": ["https://elsewhere.example.com/cb"]}
            clients.reconfigure(client, ClientSettings(elsewhere, first_party=True), by=OPERATOR)
    page = browser.get(f"/oauth2/authorize/{pending}")
    assert (page.name, page.status) == ("error", 400)


def test_looking_without_reading_hands_out_nothing(browser: Browser, shop: RelyingParty, pending: str) -> None:
    browser.sign_in("olivia")
    assert browser.client.head(f"/oauth2/authorize/{pending}").status_code == 405
    assert count(AuthorizationCode) == 0


def test_what_waits_goes_when_it_is_long_over_and_keeps_its_browser_until_then(app: Flask, browser: Browser) -> None:
    shop = relying_party(app, "shop", first_party=True)
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        browser.get(shop.authorize_url())
        database.session().rollback()
        with database.writing():
            database.session().execute(update(PendingRequest).values(expires_at=clock.now() + 2 * clock.DAY))
        clockwork.shift(86_401 + 3_600)
        with database.writing():
            transactions.clean_up()
        with database.writing():
            assert (pending_requests.clean_up(), pending_requests.forget_browsers()) == (0, 0)
        clockwork.shift(86_400)
        with database.writing():
            assert (pending_requests.clean_up(), pending_requests.forget_browsers()) == (1, 1)


# What happens meanwhile


def test_of_two_tabs_that_answer_one_request_one_gets_a_code(app: Flask, browser: Browser, pending: str) -> None:
    page = browser.get(f"/oauth2/authorize/{pending}")
    page = browser.send(page, "username", username="olivia")
    answer = browser.post(page, "password", password=GOOD)
    assert answer.location == f"/oauth2/authorize/{pending}"
    cookie = browser.cookie()
    ready = threading.Barrier(4)

    def come_back(_: int) -> int:
        with app.app_context():
            tab = Browser(app)
            tab.put_cookie(cookie)
            ready.wait()
            return tab.get(f"/oauth2/authorize/{pending}").status

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(come_back, range(4)))
    assert statuses == [303, 400, 400, 400]
    assert (count(AuthorizationCode), count(Authorization)) == (1, 1)


@pytest.mark.parametrize("happens", ["disabled", "signed out", "proof gone"])
def test_what_happens_before_the_code_is_written_is_seen(
    browser: Browser, shop: RelyingParty, olivia: str, happens: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.sign_in("olivia")
    write = database.writing

    def first_happens() -> Iterator[None]:
        monkeypatch.undo()
        with write():
            if happens == "disabled":
                lifecycle.disable(users.find(olivia), by=OPERATOR)
            elif happens == "signed out":
                people.end_all_of(olivia, because="signed_out", by=OPERATOR)
            else:
                database.session().execute(update(SessionProof).values(at=clock.now() - clock.HOUR))
        return write()  # type: ignore[return-value]

    monkeypatch.setattr("idp.oauth.views.interaction.database.writing", first_happens)
    page = browser.get(shop.authorize_url(max_age="600"))
    assert page.name in ("login", "password")
    assert count(AuthorizationCode) == 0


def test_a_request_of_another_browser_cannot_be_held(app: Flask, browser: Browser, pending: str) -> None:
    known = browsers.recognise(browser.cookie())
    assert pending_requests.find(known, pending).request.state == "s-1"
    with pytest.raises(RequestOver):
        pending_requests.find(None, pending)
    with pytest.raises(SignInOver), database.writing():
        pending_requests.hold(None, pending)


def test_a_client_without_context_needs_none(browser: Browser, shop: RelyingParty, olivia: str) -> None:
    assert clients.settings_of(clients.named(shop.id)).context == ClientContext()
    browser.sign_in("olivia", path=shop.authorize_url())
    database.session().rollback()
    row = database.session().scalars(select(Authorization)).one()
    assert (row.organization_id, row.account_id, row.acr, row.amr, row.offline) == (None, None, "aal1", "pwd", 0)
