"""Signing out because an application asks: of whom without a question, of whom only after one, and where to then."""

from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from flask import Flask

from idp.audit.trail import SYSTEM
from idp.clients import clients
from idp.keys import material, rotation
from idp.oauth import authorizations
from idp.platform import clock, database
from idp.platform.settings import settings
from idp.sessions import people
from tests.actors import Page
from tests.login.conftest import made
from tests.oauth import minting
from tests.oauth.actors import Browser, RelyingParty, relying_party
from tests.oauth.holding import decision
from tests.traces import entries

GOODBYE = "https://shop.example.com/bye"
LOGOUT = "/oauth2/logout"


@pytest.fixture
def shop(app: Flask) -> RelyingParty:
    minting.make_keys()
    return relying_party(
        app, "app_shop", post_logout_redirect_uris=[GOODBYE, f"{GOODBYE}?lang=de", "com.shop.app:/bye"]
    )


@pytest.fixture
def olivia(app: Flask) -> str:
    return made("olivia", given_name="Olivia", family_name="Lund")


@pytest.fixture
def browser(app: Flask, olivia: str) -> Browser:
    """A browser in which Olivia is signed in."""
    visitor = Browser(app)
    assert visitor.sign_in("olivia").name == "me"
    return visitor


def sessions(user_id: str) -> list[str]:
    database.session().rollback()
    return [one.id for one in people.of_person(user_id)]


def id_token(user_id: str, **changed: Any) -> str:
    """An ID token of the shop's about the person's session."""
    found = sessions(user_id)
    claims = {
        "iss": settings().issuer,
        "sub": user_id,
        "aud": "app_shop",
        "iat": minting.seconds(),
        "exp": minting.seconds(300),
        "sid": found[0] if found else "ses_x",
        **changed,
    }
    return minting.signed({name: said for name, said in claims.items() if said is not None}, "id_token", "ES256")


def address(**parameters: str) -> str:
    return f"{LOGOUT}?{urlencode(parameters)}"


def sent_to(page: Page) -> str:
    """Where the browser is sent that is not ours."""
    return str(page.response.headers.get("Location", ""))


def test_the_person_of_the_hint_is_signed_out_and_sent_back_with_the_state(
    browser: Browser, shop: RelyingParty, olivia: str
) -> None:
    cookie = browser.cookie()
    page = browser.get(address(id_token_hint=id_token(olivia), post_logout_redirect_uri=GOODBYE, state="a b&c=d"))
    assert sent_to(page) == f"{GOODBYE}?state=a%20b%26c%3Dd"
    assert sessions(olivia) == []
    assert browser.cookie() not in ("", cookie)


def test_the_address_keeps_its_own_query_and_a_state_is_not_made_up(
    browser: Browser, shop: RelyingParty, olivia: str
) -> None:
    hint = id_token(olivia)
    page = browser.get(address(id_token_hint=hint, post_logout_redirect_uri=f"{GOODBYE}?lang=de", state="s"))
    assert sent_to(page) == f"{GOODBYE}?lang=de&state=s"
    page = browser.get(address(id_token_hint=hint, post_logout_redirect_uri="com.shop.app:/bye"))
    assert sent_to(page) == "com.shop.app:/bye"


def test_without_an_address_the_way_ends_on_our_own_page(browser: Browser, shop: RelyingParty, olivia: str) -> None:
    page = browser.get(address(id_token_hint=id_token(olivia)))
    assert (page.name, page.heading) == ("logged-out", "You are signed out")
    assert page.response.headers["Cache-Control"] == "no-store"


@pytest.mark.rule("LGO-01")
@pytest.mark.parametrize("hint", ["", "x", "a.b.c", "access", "none"])
def test_without_a_hint_that_counts_somebody_is_asked_and_nobody_signed_out(
    browser: Browser, shop: RelyingParty, olivia: str, hint: str
) -> None:
    presented = {"access": minting.access_token(sid=sessions(olivia)[0], sub=olivia), "none": _unsigned(olivia)}
    sent = {"id_token_hint": presented.get(hint, hint), "client_id": shop.id, "post_logout_redirect_uri": GOODBYE}
    asked = browser.get(address(**sent, state="s"))
    assert (asked.name, asked.heading) == ("logout", "Sign out")
    assert sessions(olivia)
    page = browser.send(asked, "logout-confirm")
    assert sent_to(page) == f"{GOODBYE}?state=s"
    assert sessions(olivia) == []


def _unsigned(user_id: str) -> str:
    payload = id_token(user_id).split(".")[1]
    return f"{minting.segment({'alg': 'none', 'typ': 'JWT'})}.{payload}."


@pytest.mark.rule("LGO-01")
def test_a_form_from_another_site_signs_nobody_out_by_itself(
    app: Flask, browser: Browser, shop: RelyingParty, olivia: str
) -> None:
    hint, cookie = id_token(olivia), browser.cookie()
    form = {"id_token_hint": hint, "post_logout_redirect_uri": GOODBYE, "state": "s", "other": "x"}
    answer = browser.client.post(LOGOUT, data=form, headers={"Origin": "https://shop.example.com"})
    assert answer.status_code == 303
    assert "Set-Cookie" not in answer.headers
    assert sessions(olivia)
    assert answer.headers["Location"] == address(id_token_hint=hint, post_logout_redirect_uri=GOODBYE, state="s")
    assert sent_to(browser.get(answer.headers["Location"])) == f"{GOODBYE}?state=s"
    assert browser.cookie() != cookie
    assert sessions(olivia) == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_question_is_put_in_the_language_asked_for(browser: Browser, olivia: str, method: str) -> None:
    asked = (
        address(ui_locales="fr")
        if method == "GET"
        else browser.client.post(LOGOUT, data={"ui_locales": "xx fr"}).headers["Location"]
    )
    page = browser.get(asked)
    assert (page.name, '<html lang="fr"' in page.text) == ("logout", True)


@pytest.mark.rule("LGO-01", "SES-04")
def test_the_question_is_answered_by_a_form_of_ours_alone(
    app: Flask, browser: Browser, shop: RelyingParty, olivia: str
) -> None:
    browser.get(address(client_id=shop.id))
    answer = browser.client.post(f"{LOGOUT}/confirm", data={"client_id": shop.id})
    assert answer.status_code == 403
    assert browser.client.get(f"{LOGOUT}/confirm").status_code == 405
    assert browser.client.head(address(id_token_hint=id_token(olivia))).status_code == 405
    assert sessions(olivia)


@pytest.mark.rule("LGO-02")
@pytest.mark.parametrize(
    "wanted",
    [
        f"{GOODBYE}/",
        f"{GOODBYE}?lang=en",
        "https://SHOP.example.com/bye",
        "https://shop.example.com@evil.test/bye",
        "https://evil.test/bye",
        "//evil.test",
        "javascript:alert(1)",
        "com.shop.app:/other",
        f"{GOODBYE}\n",
        f"{GOODBYE}#x",
        "https://shop.example.com/cb",
    ],
)
def test_an_address_that_is_not_registered_is_not_gone_to(
    browser: Browser, shop: RelyingParty, olivia: str, wanted: str
) -> None:
    page = browser.get(address(id_token_hint=id_token(olivia), post_logout_redirect_uri=wanted, state="s"))
    assert (page.name, page.status) == ("logged-out", 200)
    assert sessions(olivia) == []


@pytest.mark.rule("LGO-02")
@pytest.mark.parametrize("client_id", [None, "app_unknown", "app_other"])
def test_without_a_client_that_is_known_to_use_it_no_address_is_gone_to(
    app: Flask, browser: Browser, shop: RelyingParty, olivia: str, client_id: str | None
) -> None:
    relying_party(app, "app_other")
    named = {} if client_id is None else {"client_id": client_id}
    asked = browser.get(address(post_logout_redirect_uri=GOODBYE, **named))
    assert asked.name == "logout"
    assert "https:" not in asked.response.headers["Content-Security-Policy"]
    assert browser.send(asked, "logout-confirm").name == "logged-out"


@pytest.mark.rule("LGO-02")
def test_what_the_question_carries_is_looked_up_anew(
    app: Flask, browser: Browser, shop: RelyingParty, olivia: str
) -> None:
    asked = browser.get(address(client_id=shop.id, post_logout_redirect_uri=GOODBYE))
    with database.writing():
        clients.disable(clients.named(shop.id), by=SYSTEM)
    assert browser.send(asked, "logout-confirm").name == "logged-out"
    browser.sign_in("olivia")
    asked = browser.get(LOGOUT)
    page = browser.send(asked, "logout-confirm", post_logout_redirect_uri="https://evil.test/", client_id=shop.id)
    assert page.name == "logged-out"


@pytest.mark.rule("LGO-03")
def test_an_expired_hint_counts(browser: Browser, shop: RelyingParty, olivia: str) -> None:
    hint = id_token(olivia, iat=minting.seconds(-7200), exp=minting.seconds(-3600))
    browser.get(address(id_token_hint=hint))
    assert sessions(olivia) == []


@pytest.mark.rule("LGO-03")
def test_a_hint_about_somebody_else_leads_to_a_question_and_leaves_both_alone(
    app: Flask, browser: Browser, shop: RelyingParty, olivia: str
) -> None:
    bob, elsewhere = made("bob"), Browser(app, "198.51.100.9")
    elsewhere.sign_in("bob")
    for hint in (id_token(bob), id_token(olivia, sub=bob), id_token(bob, sub=olivia), id_token(olivia, sid=None)):
        page = browser.get(address(id_token_hint=hint, post_logout_redirect_uri=GOODBYE))
        assert page.name == "logout"
        assert sessions(olivia)
        assert sessions(bob)


@pytest.mark.rule("LGO-03")
def test_a_hint_for_another_client_or_by_a_key_that_is_gone_leads_to_a_question(
    app: Flask, browser: Browser, shop: RelyingParty, olivia: str
) -> None:
    relying_party(app, "app_other")
    hint = id_token(olivia)
    assert browser.get(address(id_token_hint=hint, client_id="app_other")).name == "logout"
    kids, replacements = rotation.in_use(), material.generate([minting.ID, minting.ACCESS])
    with database.writing():
        rotation.withdraw(kids, replacements, by=SYSTEM)
    with time_machine.travel(clock.now() / clock.SECOND + 5, tick=True):
        assert browser.get(address(id_token_hint=hint)).name == "logout"
    assert sessions(olivia)


def test_of_several_people_in_one_browser_only_the_one_of_the_hint_signs_out(
    app: Flask, browser: Browser, shop: RelyingParty, olivia: str
) -> None:
    bob = made("bob")
    browser.sign_in("bob")
    assert sessions(bob)
    page = browser.get(address(id_token_hint=id_token(bob), post_logout_redirect_uri=GOODBYE))
    assert sent_to(page) == GOODBYE
    assert (sessions(bob), len(sessions(olivia))) == ([], 1)
    assert browser.get("/me").name == "me"
    asked = browser.get(LOGOUT)
    browser.send(asked, "logout-confirm")
    assert sessions(olivia) == []


def test_where_nobody_is_signed_in_nobody_is_asked(app: Flask, shop: RelyingParty) -> None:
    nobody = Browser(app)
    assert nobody.get(LOGOUT).name == "logged-out"
    page = nobody.get(address(client_id=shop.id, post_logout_redirect_uri=GOODBYE, state="s"))
    assert sent_to(page) == f"{GOODBYE}?state=s"


@pytest.mark.rule("LGO-04")
def test_after_signing_out_the_old_cookie_and_what_hung_on_the_session_are_dead(
    app: Flask, browser: Browser, shop: RelyingParty, olivia: str
) -> None:
    (session_id,) = sessions(olivia)
    with database.writing():
        online = authorizations.begin(decision(shop.id, olivia, session_id, offline=False))
        offline = authorizations.begin(decision(shop.id, olivia, session_id, offline=True))
    cookie = browser.cookie()
    browser.get(address(id_token_hint=id_token(olivia)))
    database.session().rollback()
    assert authorizations.find_live(online) is None
    assert authorizations.find_live(offline) is not None
    browser.put_cookie(cookie)
    assert browser.get("/me").name == "login"
    assert [entry.event for entry in entries(session_id)] == ["session.opened", "session.ended"]


@pytest.mark.rule("LGO-06")
def test_no_page_on_the_way_out_may_be_kept(browser: Browser, shop: RelyingParty, olivia: str) -> None:
    asked = browser.get(address(client_id=shop.id, post_logout_redirect_uri=GOODBYE))
    back = browser.client.post(LOGOUT, data={"client_id": shop.id})
    for answer in (asked.response, back, browser.send(asked, "logout-confirm").response):
        assert answer.headers["Cache-Control"] == "no-store"


def test_the_question_may_lead_on_to_the_application_and_nowhere_else(
    browser: Browser, shop: RelyingParty, olivia: str
) -> None:
    for wanted, source in ((GOODBYE, "https://shop.example.com"), ("com.shop.app:/bye", "com.shop.app:")):
        asked = browser.get(address(client_id=shop.id, post_logout_redirect_uri=wanted))
        assert f"form-action 'self' {source};" in asked.response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", ["state", "client_id", "id_token_hint", "post_logout_redirect_uri"])
def test_what_is_sent_twice_is_refused(browser: Browser, shop: RelyingParty, name: str, olivia: str) -> None:
    assert browser.client.get(f"{LOGOUT}?{name}=a&{name}=b").status_code == 400
    assert browser.client.post(LOGOUT, data={name: ["a", "b"]}).status_code == 400
    assert sessions(olivia)


def test_what_is_too_long_counts_as_not_sent(browser: Browser, shop: RelyingParty, olivia: str) -> None:
    page = browser.get(address(id_token_hint=id_token(olivia), post_logout_redirect_uri=GOODBYE, state="s" * 4_001))
    assert sent_to(page) == GOODBYE
    answer = browser.client.post(LOGOUT, data={"id_token_hint": "x" * 7_999, "state": "&" * 4_000})
    assert answer.status_code == 400
