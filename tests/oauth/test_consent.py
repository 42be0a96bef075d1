"""Consent: what is shown and agreed to, what is remembered of it, when it is asked for again, and taken back."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from idp.clients import apis, clients
from idp.clients.apis import ApiSettings, ScopeSettings
from idp.clients.clients import ClientSettings
from idp.clients.models import Client
from idp.oauth import active_clients, authorizations, consent
from idp.oauth.consent import Question
from idp.oauth.models import Authorization, Consent
from idp.platform import database
from tests.actors import Page
from tests.login.conftest import made
from tests.oauth import minting
from tests.oauth.actors import Browser, RelyingParty, answer_in, relying_party
from tests.traces import OPERATOR, entries, events, losses

LEDGER = "https://ledger.example.org/cb"
PAYMENTS = "https://payments.example.com"


@pytest.fixture
def olivia(app: Flask) -> str:
    minting.make_keys()
    return made("olivia", email="olivia@northwind.test", given_name="Olivia", family_name="Lund")


@pytest.fixture
def bob(app: Flask) -> str:
    return made("bob", email="bob@northwind.test")


@pytest.fixture
def browser(app: Flask, olivia: str) -> Browser:
    """Olivia's browser."""
    found = Browser(app)
    found.sign_in("olivia")
    return found


@pytest.fixture
def ledger(app: Flask) -> RelyingParty:
    """Somebody else's application: people are asked."""
    return third_party(app, "ledger")


def third_party(app: Flask, client_id: str, **metadata: Any) -> RelyingParty:
    given = {"client_name": "Ledger", "redirect_uris": [LEDGER], "id_token_signed_response_alg": "ES256"}
    return relying_party(app, client_id, **given | metadata)


def agreed(user_id: str = "") -> list[tuple[str, str]]:
    """Scope and what was declined, of every consent that stands, of that person."""
    database.session().rollback()
    standing = select(Consent.scope, Consent.declined).where(Consent.ended_at.is_(None)).order_by(Consent.id)
    rows = database.session().execute(standing.where(Consent.user_id == user_id) if user_id else standing)
    return [(row.scope, row.declined) for row in rows]


def authorized() -> list[str]:
    """The scope of every authorization, oldest first."""
    database.session().rollback()
    return list(database.session().scalars(select(Authorization.scope).order_by(Authorization.id)))


def leave_out(page: Page, *scopes: str) -> None:
    """Untick these scopes on the consent page."""
    for scope in scopes:
        del page.form("consent-allow").fields[f"scope:{scope}"]


def nothing_is_granted() -> bool:
    database.session().rollback()
    counts = [database.session().scalar(select(func.count()).select_from(one)) for one in (Consent, Authorization)]
    return counts == [0, 0]


# What is shown, and agreed to


def test_the_page_says_who_wants_what_of_whom_and_where_the_answer_goes(browser: Browser, ledger: RelyingParty) -> None:
    page = browser.get(ledger.authorize_url(scope="openid profile email offline_access unheard_of"))
    assert (page.name, page.status, page.path) == ("consent", 200, "/consent")
    assert (page.heading, page.title) == ("Ledger wants access", "Allow Ledger? - Canopy")
    for words in ("Olivia Lund", "ledger.example.org", "See your profile", "See your e-mail address", "Stay connected"):
        assert words in page.text
    assert "unheard_of" not in page.text
    boxes = [one["value"] for one in page.form("consent-allow").inputs if one["type"] == "checkbox"]
    assert boxes == ["email", "offline_access"]


def test_whoever_allows_gets_to_the_application_and_is_not_asked_again(
    browser: Browser, ledger: RelyingParty, olivia: str
) -> None:
    page = browser.get(ledger.authorize_url(scope="openid profile", state="s-1"))
    answer = browser.post(page, "consent-allow", decision="allow")
    assert (answer.status_code, answer.location.split("/")[1:3]) == (303, ["oauth2", "authorize"])
    page = browser.get(answer.location)
    assert (answer_in(page)["state"], "code" in answer_in(page)) == ("s-1", True)
    for scope in ("openid profile", "openid", "profile openid"):
        assert "code" in answer_in(browser.get(ledger.authorize_url(scope=scope, prompt="none")))
    (given,) = [entry for entry in entries() if entry.event == "consent.given"]
    told = json.loads(given.after_json or "")
    assert (given.actor_id, told["client"], told["scope"]) == (olivia, "ledger", "openid profile")


def test_whoever_denies_is_led_back_and_asked_again_another_time(browser: Browser, ledger: RelyingParty) -> None:
    page = browser.get(ledger.authorize_url(state="s-1"))
    answer = browser.post(page, "consent-deny", decision="deny")
    assert answer.status_code == 303
    assert answer.location.startswith(f"{LEDGER}?error=access_denied&")
    assert "state=s-1" in answer.location
    assert nothing_is_granted()
    assert browser.get(page.address).status == 400
    assert browser.get(ledger.authorize_url()).name == "consent"


def test_what_is_optional_can_be_left_out_and_is_not_asked_for_again(browser: Browser, ledger: RelyingParty) -> None:
    page = browser.get(ledger.authorize_url(scope="openid email offline_access"))
    leave_out(page, "email", "offline_access")
    browser.allow(page)
    assert (agreed(), authorized()) == ([("openid", "email offline_access")], ["openid"])
    page = browser.get(ledger.authorize_url(scope="openid email offline_access", prompt="none"))
    assert "code" in answer_in(page)
    assert authorized() == ["openid", "openid"]


def test_what_was_left_out_can_be_asked_for_anew(browser: Browser, ledger: RelyingParty) -> None:
    page = browser.get(ledger.authorize_url(scope="openid email"))
    leave_out(page, "email")
    browser.allow(page)
    page = browser.get(ledger.authorize_url(scope="openid email", prompt="consent"))
    browser.allow(page)
    assert (agreed(), authorized()) == ([("email openid", "")], ["openid", "openid email"])


def test_staying_connected_is_for_whom_it_was_agreed_to(browser: Browser, ledger: RelyingParty) -> None:
    browser.allow(browser.get(ledger.authorize_url(scope="openid")))
    browser.allow(browser.get(ledger.authorize_url(scope="openid offline_access")))
    database.session().rollback()
    offline = database.session().scalars(select(Authorization.offline).order_by(Authorization.id))
    assert list(offline) == [0, 1]


def test_consent_is_of_one_person(app: Flask, browser: Browser, ledger: RelyingParty, bob: str) -> None:
    browser.allow(browser.get(ledger.authorize_url()))
    other = Browser(app)
    other.sign_in("bob")
    assert answer_in(other.get(ledger.authorize_url(prompt="none")))["error"] == "consent_required"
    assert agreed(bob) == []


@pytest.mark.rule("AUZ-12")
def test_without_consent_nobody_is_asked_where_nobody_may_be(browser: Browser, ledger: RelyingParty) -> None:
    page = browser.get(ledger.authorize_url(prompt="none", state="s-1"))
    assert (answer_in(page)["error"], answer_in(page)["state"]) == ("consent_required", "s-1")
    assert nothing_is_granted()


def test_claims_that_are_asked_for_by_name_are_shown_and_agreed_to_like_scopes(
    browser: Browser, ledger: RelyingParty
) -> None:
    browser.allow(browser.get(ledger.authorize_url(scope="openid")))
    by_name = json.dumps({"userinfo": {"email": None}, "id_token": {"phone_number": None}})
    assert answer_in(browser.get(ledger.authorize_url(claims=by_name, prompt="none")))["error"] == "consent_required"
    page = browser.get(ledger.authorize_url(claims=by_name))
    assert "See your e-mail address" in page.text
    leave_out(page, "email")
    browser.allow(page)
    database.session().rollback()
    latest = database.session().scalars(select(Authorization).order_by(Authorization.id.desc())).first()
    assert latest is not None
    assert latest.scope == "openid"
    assert json.loads(latest.claims_json) | {"locales": []} == {
        "id_token": {"phone_number": {}},
        "userinfo": {},
        "locales": [],
    }


def test_what_apis_offer_is_shown_in_their_words(app: Flask, browser: Browser) -> None:
    with database.writing():
        scopes = (ScopeSettings("payments", "Pay out money"),)
        apis.declare(ApiSettings(PAYMENTS, "Payments", scopes), by=OPERATOR)
    ledger = third_party(app, "ledger", resources=[PAYMENTS])
    page = browser.get(ledger.authorize_url(scope="openid payments", resource=PAYMENTS))
    assert "Pay out money" in page.text
    browser.allow(page)
    assert authorized() == ["openid payments"]


# Whose page it is


@pytest.fixture
def page(browser: Browser, ledger: RelyingParty) -> Page:
    """The consent page, in Olivia's browser."""
    return browser.get(ledger.authorize_url(scope="openid email"))


@pytest.mark.rule("CON-01")
@pytest.mark.parametrize("token", [None, "", "x", "another purpose", "another browser"])
def test_a_form_without_our_token_grants_nothing(
    app: Flask, browser: Browser, page: Page, bob: str, ledger: RelyingParty, token: str | None
) -> None:
    form = page.form("consent-allow")
    if token == "another purpose":
        token = browser.get("/login").form("username").fields["csrf_token"]
    elif token == "another browser":
        other = Browser(app)
        other.sign_in("bob")
        token = other.get(ledger.authorize_url()).form("consent-allow").fields["csrf_token"]
    form.fields = {name: value for name, value in form.fields.items() if name != "csrf_token"}
    given = {} if token is None else {"csrf_token": token}
    assert browser.post(page, "consent-allow", decision="allow", **given).status_code == 403
    assert nothing_is_granted()


@pytest.mark.rule("CON-01")
def test_a_page_of_another_browser_grants_nothing(app: Flask, page: Page, bob: str, ledger: RelyingParty) -> None:
    other = Browser(app)
    other.sign_in("bob")
    own = other.get(ledger.authorize_url())
    form = own.form("consent-allow")
    form.action = page.form("consent-allow").action
    assert other.post(own, "consent-allow", decision="allow").status_code in (400, 403)
    assert other.get(page.address).status == 400
    assert nothing_is_granted()


@pytest.mark.rule("CON-01")
@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_a_page_counts_once(browser: Browser, page: Page, decision: str) -> None:
    browser.allow(page)
    assert agreed() == [("email openid", "")]
    assert browser.post(page, "consent-allow", decision=decision).status_code == 400
    assert (agreed(), len(authorized())) == ([("email openid", "")], 1)


@pytest.mark.rule("CON-01")
@pytest.mark.parametrize("name", ["scope:{}", "scope", "scopes"])
@pytest.mark.parametrize("added", ["offline_access", "openid", "admin"])
def test_what_was_not_shown_as_optional_cannot_be_added(browser: Browser, page: Page, name: str, added: str) -> None:
    answer = browser.post(page, "consent-allow", decision="allow", **{name.format(added): added})
    assert answer.status_code == 403
    assert nothing_is_granted()


@pytest.mark.rule("CON-01")
@pytest.mark.parametrize("decision", ["", "ALLOW", "yes"])
def test_an_answer_is_allow_or_deny(browser: Browser, page: Page, decision: str) -> None:
    assert browser.post(page, "consent-allow", decision=decision).status_code == 403
    assert nothing_is_granted()


@pytest.mark.rule("CON-01", "SES-08")
def test_what_one_person_was_shown_nobody_else_agrees_to(browser: Browser, page: Page, bob: str, olivia: str) -> None:
    browser.send(browser.get("/logout"), "logout-confirm")
    browser.sign_in("bob")
    assert browser.post(page, "consent-allow", decision="allow").status_code == 403
    assert nothing_is_granted()
    again = browser.get(page.address)
    assert (again.name, "Olivia" in again.text) == ("consent", False)
    browser.allow(again)
    assert (agreed(bob), agreed(olivia)) == ([("email openid", "")], [])


@pytest.mark.rule("CON-01")
def test_what_has_changed_since_it_was_shown_is_shown_anew(browser: Browser, ledger: RelyingParty) -> None:
    register("ledger", scope="openid email")
    page = browser.get(ledger.authorize_url(scope="openid profile email"))
    assert "See your profile" not in page.text
    register("ledger", scope="openid profile email")
    again = browser.send(page, "consent-allow", decision="allow")
    assert (again.name, again.address) == ("consent", page.address)
    assert nothing_is_granted()
    browser.allow(again)
    assert (agreed(), authorized()) == ([("email openid profile", "")], ["openid profile email"])


def test_a_second_click_changes_nothing_and_leads_on(browser: Browser, page: Page) -> None:
    first = browser.post(page, "consent-allow", decision="allow")
    second = browser.post(page, "consent-allow", decision="allow")
    assert (second.status_code, second.location) == (303, first.location)
    assert "code" in answer_in(browser.get(second.location))
    assert events().count("consent.given") == 1


def test_whoever_changes_their_mind_before_the_code_is_made_is_heard(browser: Browser, page: Page) -> None:
    browser.post(page, "consent-allow", decision="allow")
    assert "error=access_denied" in browser.post(page, "consent-deny", decision="deny").location
    assert authorized() == []


@pytest.mark.rule("CON-02")
def test_the_page_cannot_be_framed(page: Page) -> None:
    policy = page.response.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert page.response.headers["X-Frame-Options"] == "DENY"
    assert "form-action 'self' https://ledger.example.org;" in policy


@pytest.mark.rule("LGO-06")
def test_the_page_is_not_kept(page: Page) -> None:
    assert page.response.headers["Cache-Control"] == "no-store"
    assert "Cookie" in page.response.headers["Vary"]


# When it is asked for again


def register(client_id: str, *, first_party: bool | None = None, **changed: Any) -> None:
    """Change what is registered of a client."""
    with database.writing():
        client = clients.named(client_id)
        was = clients.settings_of(client)
        vouched = was.first_party if first_party is None else first_party
        wanted = ClientSettings(dict(was.metadata) | changed, was.context, was.enabled_for, vouched)
        clients.reconfigure(client, wanted, by=OPERATOR)


@pytest.mark.rule("CON-03")
def test_more_is_asked_for(app: Flask, browser: Browser, ledger: RelyingParty) -> None:
    browser.allow(browser.get(ledger.authorize_url(scope="openid email")))
    page = browser.get(ledger.authorize_url(scope="openid email profile"))
    assert page.name == "consent"
    browser.allow(page)
    assert agreed() == [("email openid profile", "")]
    assert "code" in answer_in(browser.get(ledger.authorize_url(scope="openid email", prompt="none")))


@pytest.mark.rule("CON-03")
def test_another_api_is_asked_for(app: Flask, browser: Browser) -> None:
    ledger = third_party(app, "ledger", resources=[PAYMENTS, "https://files.example.com"])
    with database.writing():
        for audience in (PAYMENTS, "https://files.example.com"):
            apis.declare(ApiSettings(audience, "API"), by=OPERATOR)
    browser.allow(browser.get(ledger.authorize_url(resource=PAYMENTS)))
    assert "code" in answer_in(browser.get(ledger.authorize_url(resource=PAYMENTS, prompt="none")))
    assert browser.get(ledger.authorize_url(resource="https://files.example.com")).name == "consent"


@pytest.mark.rule("CON-03")
def test_the_answer_goes_to_another_host(browser: Browser, ledger: RelyingParty) -> None:
    browser.allow(browser.get(ledger.authorize_url()))
    elsewhere = "https://ledger.example.net/cb"
    register("ledger", redirect_uris=[LEDGER, f"{LEDGER}2", elsewhere])
    assert "code" in answer_in(browser.get(ledger.authorize_url(redirect_uri=f"{LEDGER}2", prompt="none")))
    assert browser.get(ledger.authorize_url(redirect_uri=elsewhere)).name == "consent"


@pytest.mark.rule("CON-03")
def test_the_client_has_another_owner(acme: Flask) -> None:
    minting.make_keys()
    person, ledger = made("xenia"), third_party(acme, "ledger")
    browser = Browser(acme)
    browser.sign_in("xenia")
    browser.allow(browser.get(ledger.authorize_url()))
    with database.writing():
        row = database.session().get_one(Client, "ledger")
        row.owner = "org_birch"
    page = browser.get(ledger.authorize_url())
    assert (page.name, "An application of <bdi>" in page.text) == ("consent", True)
    assert [scope for scope, _ in agreed(person)] == ["openid"]


@pytest.mark.rule("CON-03")
def test_the_operator_vouches_for_it_no_longer(app: Flask, browser: Browser) -> None:
    shop = relying_party(app, "shop", first_party=True)
    assert "code" in answer_in(browser.get(shop.authorize_url()))
    register("shop", first_party=False)
    assert browser.get(shop.authorize_url()).name == "consent"


@pytest.mark.parametrize("first_party", [False, True])
def test_a_client_may_be_registered_to_ask_always(app: Flask, browser: Browser, first_party: bool) -> None:
    shop = relying_party(app, "shop", first_party=first_party, consent="always")
    for _ in range(2):
        assert answer_in(browser.get(shop.authorize_url(prompt="none")))["error"] == "consent_required"
        assert "code" in answer_in(browser.allow(browser.get(shop.authorize_url())))


@pytest.mark.parametrize("kept", ["required", "skip"])
def test_first_party_clients_ask_only_where_they_want_to(app: Flask, browser: Browser, kept: str) -> None:
    shop = relying_party(app, "shop", first_party=True, consent=kept)
    assert "code" in answer_in(browser.get(shop.authorize_url(scope="openid email offline_access", prompt="none")))
    page = browser.get(shop.authorize_url(scope="openid email", prompt="consent"))
    leave_out(page, "email")
    browser.allow(page)
    assert authorized() == ["openid email offline_access", "openid"]


@pytest.mark.rule("DCR-06")
@pytest.mark.parametrize(
    ("address", "asked_again"),
    [
        ("https://app.example.org/cb", False),
        ("http://127.0.0.1/cb", True),
        ("http://localhost:8123/cb", True),
        ("com.example.app:/cb", True),
    ],
)
def test_nothing_is_agreed_silently_for_whoever_can_pretend_to_be_a_public_client(
    app: Flask, browser: Browser, address: str, asked_again: bool
) -> None:
    public = third_party(app, "native", public=True, redirect_uris=[address], application_type="native")
    browser.allow(browser.get(public.authorize_url()))
    page = browser.get(public.authorize_url(prompt="none"))
    assert answer_in(page).get("error", "") == ("consent_required" if asked_again else "")
    page = browser.get(public.authorize_url())
    assert (page.name == "consent") == asked_again
    confidential = third_party(app, "desktop", redirect_uris=[address], application_type="native")
    browser.allow(browser.get(confidential.authorize_url()))
    assert "code" in answer_in(browser.get(confidential.authorize_url(prompt="none")))


# Taken back


def question(user_id: str) -> Question:
    client = active_clients.find("ledger")
    assert client is not None
    return Question(client, user_id, "", ("openid",), (), LEDGER)


@pytest.mark.rule("CON-04")
def test_what_is_taken_back_ends_with_everything_that_hangs_on_it(
    browser: Browser, ledger: RelyingParty, olivia: str
) -> None:
    page = browser.allow(browser.get(ledger.authorize_url(scope="openid offline_access")))
    tokens = ledger.redeem(page)
    with database.writing():
        assert consent.withdraw(olivia, "ledger", by=OPERATOR)
    refreshed = ledger.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert (refreshed.status_code, refreshed.get_json()["error"]) == (400, "invalid_grant")
    authorization_id = database.session().scalars(select(Authorization.id)).one()
    assert authorizations.find_live(authorization_id) is None
    assert (("consent", {"sub": olivia, "client_id": "ledger"}) in losses(), agreed()) == (True, [])
    assert {"consent.withdrawn", "authorization.ended"} <= set(events())
    assert browser.get(ledger.authorize_url()).name == "consent"
    with database.writing():
        assert not consent.withdraw(olivia, "ledger", by=OPERATOR)
    assert events().count("consent.withdrawn") == 1


@pytest.mark.rule("CON-04")
def test_what_was_never_asked_for_can_be_taken_back_as_well(app: Flask, browser: Browser, olivia: str) -> None:
    shop = relying_party(app, "shop", first_party=True)
    browser.get(shop.authorize_url())
    with database.writing():
        assert consent.withdraw(olivia, "shop", by=OPERATOR)
    assert authorizations.find_live(database.session().scalars(select(Authorization.id)).one()) is None


@pytest.mark.rule("CON-04")
def test_nobody_elses_is_taken_back_along(app: Flask, browser: Browser, ledger: RelyingParty, bob: str) -> None:
    browser.allow(browser.get(ledger.authorize_url()))
    other = third_party(app, "other")
    browser.allow(browser.get(other.authorize_url()))
    with database.writing():
        assert not consent.withdraw(bob, "ledger", by=OPERATOR)
        assert not consent.withdraw(bob, "other", by=OPERATOR)
    assert len(agreed()) == 2


@pytest.mark.rule("CON-04")
def test_consent_that_is_taken_back_before_the_code_is_written_gives_none(
    browser: Browser, ledger: RelyingParty, olivia: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.allow(browser.get(ledger.authorize_url()))
    write = database.writing

    def first_withdrawn() -> Iterator[None]:
        monkeypatch.undo()
        with write():
            consent.withdraw(olivia, "ledger", by=OPERATOR)
        return write()  # type: ignore[return-value]

    monkeypatch.setattr("idp.oauth.views.interaction.database.writing", first_withdrawn)
    assert browser.get(ledger.authorize_url()).name == "consent"
    assert len(authorized()) == 1


@pytest.mark.rule("CON-04")
def test_consent_that_is_taken_back_after_it_was_given_for_this_very_request_gives_none(
    browser: Browser, ledger: RelyingParty, olivia: str
) -> None:
    page = browser.get(ledger.authorize_url(prompt="consent"))
    answer = browser.post(page, "consent-allow", decision="allow")
    with database.writing():
        consent.withdraw(olivia, "ledger", by=OPERATOR)
    assert browser.get(answer.location).name == "consent"
    assert authorized() == []


# At once


def test_two_tabs_that_agree_at_once_agree_both(
    app: Flask, browser: Browser, ledger: RelyingParty, olivia: str
) -> None:
    database.session().rollback()

    def agree(scope: str) -> None:
        with app.app_context():
            with database.writing():
                asked = question(olivia)
                consent.give(Question(asked.client, olivia, "", ("openid", scope), (), LEDGER))
            database.db.session.remove()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(agree, ["email", "profile", "phone", "address"]))
    assert agreed() == [("address email openid phone profile", "")]


def test_what_was_agreed_to_elsewhere_does_not_count_here(app: Flask, ledger: RelyingParty, olivia: str) -> None:
    with database.writing():
        consent.give(question(olivia))
    asked = question(olivia)
    elsewhere = Question(asked.client, olivia, "org_1", ("openid",), (), LEDGER)
    more = Question(asked.client, olivia, "", ("openid",), (PAYMENTS,), LEDGER)
    assert [consent.is_agreed(one, consent.remembered(one)) for one in (asked, elsewhere, more)] == [True, False, False]
