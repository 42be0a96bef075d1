"""Entering organizations: each takes what it takes, whichever way somebody comes, and no other one is left for it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select
from time_machine import Traveller

from idp.clients.clients import ClientContext
from idp.credentials import passwords
from idp.login import changing_factors
from idp.oauth.models import Authorization
from idp.organizations import domains, policies, roles
from idp.organizations.policies import PolicySettings
from idp.organizations.roles import Permitted, RoleSettings
from idp.platform import clock, database
from idp.sessions import browsers, people, trusted_devices
from idp.sessions.people import LiveSession
from tests import once
from tests.actors import GOOD, Page
from tests.oauth import minting
from tests.oauth.actors import Browser, RelyingParty, answer_in, claims_of, relying_party
from tests.organizations.actors import ACME, BIRCH, DAN, NICK, OLIVIA, VERA, X_DESK, act, give, to
from tests.proving import decline, prove, set_up, step_up, trust
from tests.traces import OPERATOR, events

GOOD_HASH = once.hashed(GOOD)


@pytest.fixture
def shop(acme: Flask) -> RelyingParty:
    """The operator's own application: it acts wherever its people may, who have passwords, and moves among places."""
    minting.make_keys()
    with database.writing():
        for person in (DAN, NICK, OLIVIA, VERA):
            passwords.store(person.id, GOOD_HASH, by=OPERATOR)
    return relying_party(
        acme,
        "shop",
        context=ClientContext("any"),
        first_party=True,
        id_token_signed_response_alg="ES256",
    )


@pytest.fixture
def browser(acme: Flask) -> Browser:
    """A browser in which nobody is signed in."""
    browser = Browser(acme)
    browser.get("/login")
    return browser


@pytest.fixture
def clockwork() -> Iterator[Traveller]:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        yield clockwork  # type: ignore[misc]


def demand(organization_id: str = ACME, **policy: Any) -> None:
    act(policies.change, organization_id, PolicySettings(**policy))


def present(browser: Browser) -> list[LiveSession]:
    database.session().rollback()
    return people.in_browser(browsers.recognise(browser.cookie()))


def how_many() -> int:
    database.session().rollback()
    return database.session().scalar(select(func.count()).select_from(Authorization)) or 0


def told(shop: RelyingParty, page: Page) -> tuple[str, str, list[str]]:
    """Where the token is for that comes of the code in `page`, and how its person signed in."""
    assert "code" in answer_in(page), answer_in(page)
    return said_in(shop.redeem(page))


def said_in(tokens: dict[str, Any]) -> tuple[str, str, list[str]]:
    access, identity = claims_of(tokens["access_token"]), claims_of(tokens["id_token"])
    assert (access["acr"], access["amr"]) == (identity["acr"], identity["amr"])
    return access["org_id"], access["acr"], access["amr"]


def refused(page: Page) -> tuple[str, str]:
    assert "code" not in answer_in(page)
    return answer_in(page)["error"], answer_in(page).get("error_detail", "")


# One after the other


@pytest.mark.rule("TOT-07")
def test_a_stricter_organization_asks_for_what_is_missing_and_nobody_leaves_the_other(
    browser: Browser, shop: RelyingParty
) -> None:
    demand(BIRCH, mfa="required")
    step_up(browser, VERA.id, "password")
    (before,) = present(browser)
    tokens = shop.redeem(browser.get(shop.authorize_url(organization="acme")))
    assert said_in(tokens) == (ACME, "aal1", ["pwd"])
    page = browser.get(shop.authorize_url(organization="birch"))
    assert (page.path, how_many()) == ("/login/enrol", 1)
    assert told(shop, prove(browser, page, "totp")) == (BIRCH, "aal2", ["pwd", "otp", "mfa"])
    assert [one.id for one in present(browser)] == [before.id]
    again = shop.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert said_in(again.get_json()) == (ACME, "aal1", ["pwd"]), "what was proven later belongs to what came later"


@pytest.mark.rule("TOT-07")
def test_nobody_gets_out_of_it_by_declining(browser: Browser, shop: RelyingParty) -> None:
    demand(mfa="required")
    step_up(browser, DAN.id, "password")
    page = browser.get(shop.authorize_url(organization="acme", acr_values="aal1"))
    for _ in range(2):
        assert (page.path, how_many()) == ("/login/enrol", 0)
        page = decline(browser, page)


@pytest.mark.parametrize("asked", [{"acr_values": "aal2"}, {"max_age": "0"}, {"prompt": "login"}], ids=str)
def test_whoever_is_asked_for_something_else_is_asked_for_what_the_organization_takes_at_once(
    browser: Browser, shop: RelyingParty, asked: dict[str, str]
) -> None:
    demand(mfa="required")
    step_up(browser, DAN.id, "password")
    page = browser.get(shop.authorize_url(organization="acme", **asked))
    if "acr_values" not in asked:
        assert page.path == "/login/password"
        page = prove(browser, page, "password")
    assert (page.path, any(form.action.startswith("/login/enrol/decline") for form in page.forms)) == (
        "/login/enrol",
        False,
    )
    assert told(shop, prove(browser, page, "totp"))[1] == "aal2"


@pytest.mark.rule("TOT-07")
def test_whoever_has_a_second_factor_shows_it_and_goes_on(browser: Browser, shop: RelyingParty) -> None:
    demand(mfa="required")
    set_up(DAN.id)
    step_up(browser, DAN.id, "password")
    page = browser.get(shop.authorize_url(organization="acme"))
    assert page.path == "/login/verify"
    assert told(shop, prove(browser, page, "totp")) == (ACME, "aal2", ["pwd", "otp", "mfa"])
    assert told(shop, browser.get(shop.authorize_url(organization="acme", prompt="none")))[1] == "aal2"


@pytest.mark.rule("AUZ-12")
@pytest.mark.rule("TOT-07")
def test_where_nobody_may_be_asked_the_client_is_told(browser: Browser, shop: RelyingParty) -> None:
    demand(mfa="required")
    step_up(browser, DAN.id, "password")
    page = browser.get(shop.authorize_url(organization="acme", prompt="none"))
    assert (refused(page), how_many()) == (("interaction_required", "mfa_required"), 0)


def test_what_was_chosen_stays_chosen_while_more_is_proven(browser: Browser, shop: RelyingParty) -> None:
    demand(BIRCH, mfa="required")
    step_up(browser, VERA.id, "password")
    page = browser.get(shop.authorize_url(prompt="select_context"))
    page = browser.send(page, "context", context=BIRCH)
    assert page.path == "/login/enrol"
    assert told(shop, prove(browser, page, "totp"))[0] == BIRCH


# Of whom


@pytest.mark.rule("TOT-07")
def test_privileged_roles_take_what_cannot_be_phished(browser: Browser, shop: RelyingParty) -> None:
    demand(privileged="phr")
    step_up(browser, OLIVIA.id, "password", "totp")
    page = browser.get(shop.authorize_url(organization="acme"))
    assert (page.path, how_many()) == ("/login/enrol", 0)
    page = prove(browser, page, "totp")
    assert (page.path, how_many()) == ("/login/enrol", 0)
    assert told(shop, prove(browser, page, "passkey"))[1] == "phr"


@pytest.mark.rule("TOT-07")
def test_a_role_that_demands_something_is_worth_nothing_without(browser: Browser, shop: RelyingParty) -> None:
    give(to(NICK, "view_only"))
    step_up(browser, NICK.id, "password")
    tokens = shop.redeem(browser.get(shop.authorize_url(organization="acme")))
    act(
        roles.change,
        ACME,
        X_DESK,
        RoleSettings("x_desk", "Desk", frozenset({Permitted("refunds.write")}), demands="aal2"),
    )
    give(to(NICK, "x_desk"))
    assert browser.get(shop.authorize_url(organization="acme")).path == "/login/enrol"
    answer = shop.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert answer.get_json()["error"] == "insufficient_user_authentication"


@pytest.mark.rule("TOT-07")
def test_guests_show_a_second_factor_unless_the_policy_says_otherwise(browser: Browser, shop: RelyingParty) -> None:
    step_up(browser, DAN.id, "password")
    url = shop.authorize_url(organization="acme")
    assert told(shop, browser.get(url))[0] == ACME
    act(domains.claim, ACME, "acme.example")
    act(domains.confirm, ACME, domains.find(ACME, "acme.example").id)
    assert browser.get(url).path == "/login/enrol"
    demand(guests="sso_only")
    assert refused(browser.get(url)) == ("access_denied", "sso_required")
    assert refused(browser.get(shop.authorize_url(organization="acme", prompt="none"))) == (
        "interaction_required",
        "sso_required",
    )
    demand(guests="any")
    assert told(shop, browser.get(url))[1] == "aal1"


# By which methods


@pytest.mark.rule("JWT-12")
@pytest.mark.rule("TOT-07")
def test_what_an_organization_does_not_allow_does_not_count_there(browser: Browser, shop: RelyingParty) -> None:
    demand(methods=("passkey",))
    step_up(browser, VERA.id, "password", "totp")
    page = browser.get(shop.authorize_url(organization="acme"))
    assert page.path == "/login/enrol"
    assert told(shop, prove(browser, page, "passkey")) == (ACME, "phr", ["hwk", "user", "mfa"])
    elsewhere = told(shop, browser.get(shop.authorize_url(organization="birch")))
    assert elsewhere == (BIRCH, "phr", ["pwd", "otp", "hwk", "user", "mfa"])


@pytest.mark.rule("JWT-12")
def test_a_level_that_was_reached_by_what_does_not_count_is_asked_for_again(
    browser: Browser, shop: RelyingParty
) -> None:
    demand(methods=("password", "passkey"))
    step_up(browser, DAN.id, "password", "totp")
    asked = {"organization": "acme", "acr_values": "aal2"}
    assert refused(browser.get(shop.authorize_url(prompt="none", **asked))) == ("interaction_required", "mfa_required")
    page = browser.get(shop.authorize_url(**asked))
    assert page.path == "/login/enrol"
    assert told(shop, decline(browser, page)) == (ACME, "aal1", ["pwd"])
    page = browser.get(shop.authorize_url(**asked, max_age="3600"))
    assert told(shop, prove(browser, page, "passkey"))[1] == "phr"


def test_an_essential_level_is_not_met_by_what_does_not_count(browser: Browser, shop: RelyingParty) -> None:
    demand(methods=("password", "passkey"))
    step_up(browser, DAN.id, "password", "totp")
    wanted = json.dumps({"id_token": {"acr": {"essential": True, "value": "aal2"}}})
    page = browser.get(shop.authorize_url(organization="acme", claims=wanted))
    page = decline(browser, page)
    assert (page.path, how_many()) == ("/login/enrol", 0)
    assert told(shop, prove(browser, page, "passkey"))[1] == "phr"


# How long ago


@pytest.mark.rule("SES-06")
def test_a_proof_grows_too_old_for_one_organization_and_not_for_the_other(
    clockwork: Traveller, browser: Browser, shop: RelyingParty
) -> None:
    demand(BIRCH, session_idle=600, session_max=3_600)
    step_up(browser, VERA.id, "password")
    clockwork.shift(600)
    assert told(shop, browser.get(shop.authorize_url(organization="birch")))[0] == BIRCH
    for _ in range(6):
        clockwork.shift(500)
        assert told(shop, browser.get(shop.authorize_url(organization="acme")))[0] == ACME
    assert told(shop, browser.get(shop.authorize_url(organization="birch")))[0] == BIRCH
    clockwork.shift(1)
    assert told(shop, browser.get(shop.authorize_url(organization="acme")))[0] == ACME
    assert refused(browser.get(shop.authorize_url(organization="birch", prompt="none")))[0] == "login_required"
    page = browser.get(shop.authorize_url(organization="birch"))
    assert page.path == "/login/password"
    access = claims_of(shop.redeem(prove(browser, page, "password"))["access_token"])
    assert (access["org_id"], access["auth_time"]) == (BIRCH, clock.now() // clock.SECOND)


@pytest.mark.rule("SES-06")
def test_after_too_long_a_pause_something_is_proven_anew(
    clockwork: Traveller, browser: Browser, shop: RelyingParty
) -> None:
    demand(session_idle=600)
    step_up(browser, DAN.id, "password")
    clockwork.shift(601)
    page = browser.get(shop.authorize_url(organization="acme"))
    assert page.path == "/login/password"
    assert told(shop, prove(browser, page, "password"))[0] == ACME


@pytest.mark.rule("SES-06")
@pytest.mark.parametrize("elsewhere", ["/me/security", "birch"])
def test_a_look_elsewhere_does_not_undo_a_pause_that_was_too_long(
    clockwork: Traveller, browser: Browser, shop: RelyingParty, elsewhere: str
) -> None:
    demand(session_idle=600)
    step_up(browser, VERA.id, "password")
    tokens = shop.redeem(browser.get(shop.authorize_url(organization="acme")))
    clockwork.shift(601)
    browser.get(shop.authorize_url(organization=elsewhere) if elsewhere == "birch" else elsewhere)
    for _ in range(3):
        clockwork.shift(100)
        browser.get(elsewhere if elsewhere.startswith("/") else shop.authorize_url(organization=elsewhere))
        answer = shop.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        assert answer.get_json()["error"] == "insufficient_user_authentication"
        assert refused(browser.get(shop.authorize_url(organization="acme", prompt="none")))[0] == "login_required"
    page = browser.get(shop.authorize_url(organization="acme"))
    assert page.path == "/login/password"
    assert told(shop, prove(browser, page, "password"))[0] == ACME
    assert shop.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"]).get_json().get("error") is None
    clockwork.shift(590)
    assert told(shop, browser.get(shop.authorize_url(organization="acme")))[0] == ACME


@pytest.mark.rule("SES-06")
@pytest.mark.parametrize(("offline", "error"), [("", "insufficient_user_authentication"), (" offline_access", "")])
def test_what_outlives_its_session_does_not_age_and_everything_else_does(
    clockwork: Traveller, browser: Browser, shop: RelyingParty, offline: str, error: str
) -> None:
    demand(session_idle=600, session_max=3_600)
    step_up(browser, DAN.id, "password")
    page = browser.get(shop.authorize_url(organization="acme", scope=f"openid{offline}"))
    tokens = shop.redeem(page)
    clockwork.shift(3_601)
    answer = shop.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert answer.get_json().get("error", "") == error
    demand(mfa="required")
    answer = shop.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert answer.get_json()["error"] == "insufficient_user_authentication", "but it never reaches more than it did"


# In a browser that is trusted


def sign_in(browser: Browser, username: str, path: str) -> Page:
    """Sign in by password alone."""
    return browser.sign_in(username, path=path)


@pytest.mark.rule("JWT-12")
@pytest.mark.rule("TOT-07")
def test_a_trusted_browser_spares_the_second_factor_and_is_none(browser: Browser, shop: RelyingParty) -> None:
    demand(mfa="required")
    trust(browser, DAN.id, set_up(DAN.id))
    page = sign_in(browser, "dan", shop.authorize_url(organization="acme"))
    assert told(shop, page) == (ACME, "aal1", ["pwd"])
    page = browser.get(shop.authorize_url(organization="acme", acr_values="aal2"))
    assert page.path == "/login/verify"
    assert told(shop, prove(browser, page, "totp")) == (ACME, "aal2", ["pwd", "otp", "mfa"])


@pytest.mark.rule("TOT-07")
@pytest.mark.parametrize("stricter", [{"trusted_devices": False}, {"privileged": "aal2"}, {"privileged": "phr"}])
def test_a_trusted_browser_spares_nothing_where_that_does_not_do(
    browser: Browser, shop: RelyingParty, stricter: dict[str, Any]
) -> None:
    demand(**{"mfa": "required", **stricter})
    trust(browser, OLIVIA.id, set_up(OLIVIA.id, "passkey"))
    page = sign_in(browser, "olivia", shop.authorize_url(organization="acme"))
    if stricter.get("privileged") == "aal2":
        assert told(shop, page) == (ACME, "aal1", ["pwd"])
    else:
        assert (page.path, how_many()) == ("/login/verify", 0)


@pytest.mark.rule("TOT-07")
@pytest.mark.parametrize("how", ["ended", "over", "forbidden"])
def test_trust_that_is_over_spares_nothing_any_more(
    clockwork: Traveller, browser: Browser, shop: RelyingParty, how: str
) -> None:
    demand(mfa="required")
    device = trust(browser, DAN.id, set_up(DAN.id))
    clockwork.shift(30 * 86_400 - 60)
    tokens = shop.redeem(sign_in(browser, "dan", shop.authorize_url(organization="acme")))
    if how == "ended":
        act(trusted_devices.end, DAN.id, device)
    elif how == "over":
        clockwork.shift(60)
    else:
        demand(mfa="required", trusted_devices=False)
    answer = shop.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert answer.get_json()["error"] == "insufficient_user_authentication"
    page = browser.get(shop.authorize_url(organization="acme", acr_values=answer.get_json()["acr_values"]))
    assert page.path == "/login/verify"
    assert told(shop, prove(browser, page, "totp"))[1] == "aal2"


@pytest.mark.rule("TOT-07")
def test_trust_is_of_one_person_in_one_browser(acme: Flask, browser: Browser, shop: RelyingParty) -> None:
    demand(mfa="required")
    trust(browser, VERA.id, set_up(VERA.id))
    set_up(DAN.id)
    assert sign_in(browser, "dan", shop.authorize_url(organization="acme")).path == "/login/verify"
    other = Browser(acme)
    assert sign_in(other, "vera", shop.authorize_url(organization="acme")).path == "/login/verify"


def test_a_browser_that_is_trusted_meanwhile_spares_the_second_factor_too(browser: Browser, shop: RelyingParty) -> None:
    """A session that was begun before knows nothing of the trust."""
    demand(mfa="required")
    step_up(browser, DAN.id, "password")
    before = present(browser)[0].authenticated_at
    trust(browser, DAN.id, set_up(DAN.id))
    page = browser.get(shop.authorize_url(organization="acme"))
    access = claims_of(shop.redeem(page)["access_token"])
    assert (access["acr"], access["auth_time"]) == ("aal1", before // clock.SECOND)
    assert present(browser)[0].authenticated_at == before, "nothing was proven"
    assert events(present(browser)[0].id).count("session.stepped.up") == 1
    assert told(shop, browser.get(shop.authorize_url(organization="acme", prompt="none")))[1] == "aal1"


# By refresh, and at the code


@pytest.mark.rule("TOT-07")
@pytest.mark.parametrize(
    ("policy", "shown"),
    [
        ({"mfa": "required"}, {"acr_values": "aal2"}),
        ({"methods": ("passkey",)}, {"acr_values": "aal1"}),
        ({"mfa": "required", "session_idle": 120, "session_max": 120}, {"acr_values": "aal2", "max_age": "120"}),
        ({"session_idle": 60}, {"acr_values": "aal1", "max_age": "0"}),
    ],
    ids=["second factor", "method", "age and second factor", "pause"],
)
def test_a_refresh_that_wants_more_says_what_then_works_at_authorize(
    clockwork: Traveller, browser: Browser, shop: RelyingParty, policy: dict[str, Any], shown: dict[str, str]
) -> None:
    demand(BIRCH, **policy)
    set_up(VERA.id, "passkey")
    step_up(browser, VERA.id, "password")
    tokens = shop.redeem(browser.get(shop.authorize_url(organization="acme")))
    clockwork.shift(61)
    browser.get(shop.authorize_url(organization="acme"))
    clockwork.shift(61)
    wanted = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    answer = shop.token(**wanted, organization=BIRCH)
    assert answer.status_code == 400
    body = answer.get_json()
    assert {name: body.get(name) for name in ("acr_values", "max_age")} == {"max_age": None, **shown}
    assert (body["error"], body["error_detail"]) == ("insufficient_user_authentication", "mfa_required")
    page = browser.get(shop.authorize_url(organization=BIRCH, **shown))
    assert page.path == "/login/verify"
    assert told(shop, prove(browser, page, "passkey"))[0] == BIRCH
    assert said_in(shop.token(**wanted).get_json())[0] == ACME, "the refresh token is not spent, and good for others"


@pytest.mark.rule("TOT-07")
def test_a_policy_counts_from_the_moment_it_is_made_also_for_a_code(browser: Browser, shop: RelyingParty) -> None:
    step_up(browser, DAN.id, "password")
    page = browser.get(shop.authorize_url(organization="acme"))
    demand(mfa="required")
    answer = shop.token(
        grant_type="authorization_code",
        code=answer_in(page)["code"],
        redirect_uri=shop.redirect_uri,
        code_verifier=shop.verifiers[answer_in(page)["state"]],
    )
    assert (answer.status_code, answer.get_json()["error"]) == (400, "insufficient_user_authentication")
    assert "access_token" not in answer.get_json()


@pytest.mark.rule("TOT-07")
def test_a_guest_who_has_to_come_by_company_sign_in_is_told_so_at_refresh(browser: Browser, shop: RelyingParty) -> None:
    step_up(browser, DAN.id, "password", "totp")
    tokens = shop.redeem(browser.get(shop.authorize_url(organization="acme")))
    act(domains.claim, ACME, "acme.example")
    act(domains.confirm, ACME, domains.find(ACME, "acme.example").id)
    demand(guests="sso_only")
    body = shop.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"]).get_json()
    assert (body["error"], body["error_detail"]) == ("insufficient_user_authentication", "sso_required")
    assert "acr_values" not in body


# What it was proven with


@pytest.mark.rule("REF-09")
@pytest.mark.parametrize("kind", ["totp", "passkey"])
@pytest.mark.parametrize("offline", ["", " offline_access"], ids=["session", "offline"])
def test_nothing_is_refreshed_that_rests_on_a_factor_that_was_removed(
    acme: Flask, browser: Browser, shop: RelyingParty, kind: str, offline: str
) -> None:
    """What was proven with the password alone goes on, and so does the session."""
    factor = set_up(DAN.id, kind)
    url = shop.authorize_url(organization="acme", scope=f"openid{offline}")
    step_up(browser, DAN.id, "password")
    page = browser.get(url)
    by_password = shop.redeem(page)
    step_up(browser, DAN.id, kind)
    by_both = shop.redeem(browser.get(url))
    assert said_in(by_both)[1] in ("aal2", "phr")
    act(changing_factors.remove, DAN.id, factor)
    answers = [
        shop.token(grant_type="refresh_token", refresh_token=one["refresh_token"]) for one in (by_both, by_password)
    ]
    assert [answer.get_json().get("error") for answer in answers] == ["invalid_grant", None]
    assert not _is_active(acme, shop, by_both["access_token"])
    refreshed = answers[1].get_json()["access_token"]
    assert [_is_active(acme, shop, token) for token in (by_password["access_token"], refreshed)] == [False, True]
    assert told(shop, browser.get(shop.authorize_url(organization="acme", prompt="none"))) == (ACME, "aal1", ["pwd"])


@pytest.mark.rule("REF-09")
def test_nothing_is_refreshed_after_a_reset_but_what_outlives_sessions_and_rests_on_a_password(
    acme: Flask, browser: Browser, shop: RelyingParty
) -> None:
    set_up(DAN.id)
    url = shop.authorize_url(organization="acme")
    lasting = shop.authorize_url(organization="acme", scope="openid offline_access")
    step_up(browser, DAN.id, "password")
    told_apart = [shop.redeem(browser.get(url)), shop.redeem(browser.get(lasting))]
    step_up(browser, DAN.id, "totp")
    told_apart += [shop.redeem(browser.get(url)), shop.redeem(browser.get(lasting))]
    act(changing_factors.reset, DAN.id, "lost their phone")
    answers = [shop.token(grant_type="refresh_token", refresh_token=one["refresh_token"]) for one in told_apart]
    assert [answer.get_json().get("error") for answer in answers] == [
        "invalid_grant",
        None,
        "invalid_grant",
        "invalid_grant",
    ]


def _is_active(app: Flask, client: RelyingParty, token: str) -> bool:
    answer = app.test_client().post("/oauth2/introspect", data={"token": token}, auth=(client.id, client.secret))
    return bool(answer.get_json()["active"])
