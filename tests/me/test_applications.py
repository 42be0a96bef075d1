"""`/me/apps`: what applications may do in somebody's name, and taking it back."""

import pytest
from flask import Flask
from sqlalchemy import select

from idp.clients import clients
from idp.oauth import authorizations, connected
from idp.oauth.models import Authorization
from idp.platform import database
from tests.login.conftest import made
from tests.oauth.actors import Browser, RelyingParty, answer_in, relying_party
from tests.traces import OPERATOR, entries


@pytest.fixture
def olivia(app: Flask) -> str:
    return made("olivia", given_name="Olivia")


@pytest.fixture
def browser(app: Flask, olivia: str) -> Browser:
    found = Browser(app)
    found.sign_in("olivia")
    return found


@pytest.fixture
def ledger(app: Flask) -> RelyingParty:
    return relying_party(app, "ledger", client_name="Ledger")


def names(user_id: str) -> list[str]:
    database.session().rollback()
    return [one.name for one in connected.of(user_id)]


def test_nobody_has_applications_without_having_agreed(browser: Browser) -> None:
    page = browser.get("/me")
    assert "/me/apps" in [link["href"] for link in page.links]
    page = browser.get("/me/apps")
    assert (page.status, page.name, page.heading) == (200, "me", "Connected applications")
    assert "No application may do anything in your name" in page.text


@pytest.mark.rule("CON-04")
def test_what_was_agreed_to_is_shown_and_taken_back(browser: Browser, ledger: RelyingParty, olivia: str) -> None:
    browser.allow(browser.get(ledger.authorize_url(scope="openid email offline_access")))
    page = browser.get("/me/apps")
    for words in ("Ledger", "See your e-mail address", "Stay connected"):
        assert words in page.text
    page = browser.send(page, "client", client="ledger")
    assert (page.path, "Ledger" in page.text, names(olivia)) == ("/me/apps", False, [])
    (authorization_id,) = database.session().scalars(select(Authorization.id))
    assert authorizations.find_live(authorization_id) is None
    (withdrawn,) = [entry for entry in entries() if entry.event == "consent.withdrawn"]
    assert (withdrawn.actor_kind, withdrawn.actor_id) == ("user", olivia)
    assert browser.get(ledger.authorize_url()).name == "consent"


def test_what_stays_connected_is_shown_also_where_nobody_was_asked(app: Flask, browser: Browser, olivia: str) -> None:
    shop = relying_party(app, "shop", first_party=True)
    browser.get(shop.authorize_url())
    assert names(olivia) == []
    browser.get(shop.authorize_url(scope="openid offline_access"))
    browser.get(shop.authorize_url(scope="openid offline_access"))
    assert names(olivia) == ["Shop"]
    browser.send(browser.get("/me/apps"), "client", client="shop")
    assert names(olivia) == []


@pytest.mark.rule("CON-04")
def test_nobody_takes_back_what_somebody_else_agreed_to(
    app: Flask, browser: Browser, ledger: RelyingParty, olivia: str
) -> None:
    browser.allow(browser.get(ledger.authorize_url()))
    made("bob")
    other = Browser(app)
    other.sign_in("bob")
    other.allow(other.get(ledger.authorize_url()))
    page = other.get("/me/apps")
    other.send(page, "client", client="ledger")
    assert other.send(page, "client", client="unheard_of").status == 200
    assert names(olivia) == ["Ledger"]
    assert "code" in answer_in(browser.get(ledger.authorize_url(prompt="none")))


def test_an_application_that_is_gone_is_not_shown(browser: Browser, ledger: RelyingParty, olivia: str) -> None:
    browser.allow(browser.get(ledger.authorize_url()))
    with database.writing():
        clients.delete(clients.named("ledger"), by=OPERATOR)
    assert names(olivia) == []


def test_whoever_is_not_signed_in_signs_in_first(app: Flask) -> None:
    assert Browser(app).get("/me/apps").name == "login"
