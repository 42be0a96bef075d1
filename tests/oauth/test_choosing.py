"""Where a client acts for a person: named, registered, hinted at, the only one there is, or chosen."""

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from idp.app import start
from idp.clients import clients
from idp.clients.clients import ClientContext
from idp.oauth.models import Authorization
from idp.organizations import accounts, grants, memberships, organizations, policies, scopes
from idp.organizations.accounts import AccountSettings, NewAccount
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.memberships import NewMember
from idp.organizations.organizations import OrganizationSettings
from idp.organizations.policies import PolicySettings
from idp.platform import clock, database
from tests.actors import GOOD, Page, transaction_in
from tests.login.conftest import made
from tests.oauth import minting
from tests.oauth.actors import Browser, RelyingParty, answer_in, relying_party
from tests.proving import prove
from tests.traces import OPERATOR

ORGANIZATION, ACCOUNT, ANY = (ClientContext(kind) for kind in ("organization", "account", "any"))


@pytest.fixture
def world(app: Flask) -> Flask:
    """Northwind with two accounts, and Birch with one: Olivia works in all of Northwind, Una in one account of it."""
    start()
    minting.make_keys()
    for name in ("olivia", "una", "nick", "otto"):
        made(name, id=f"usr_{name}")
    with database.writing():
        for key, name, shops in (("northwind", "Northwind", ("eu", "us")), ("birch", "Birch", ("fi",))):
            organizations.found(OrganizationSettings(key, name), "usr_otto", id=f"org_{key}", by=OPERATOR)
            for shop in shops:
                settings = AccountSettings(shop, f"{shop.upper()} shop", "DE")
                accounts.open_account(f"org_{key}", NewAccount(settings, True, id=f"acct_{shop}"), by=OPERATOR)
        work("olivia", "view_only", "northwind")
        work("una", "developer", "northwind/eu")
    return app


def work(username: str, role: str, place: str) -> None:
    """Let somebody be a member of the organization of a place, and give them a role there. Inside `writing()`."""
    scope = scopes.named(place)
    member = memberships.add(scope.organization_id, NewMember(f"usr_{username}"), by=OPERATOR)
    grants.grant(Wanted(Grantee("member", member.id), role, scope), by=OPERATOR)


@pytest.fixture
def browser(world: Flask) -> Browser:
    return Browser(world)


def party(app: Flask, context: ClientContext, **given: object) -> RelyingParty:
    return relying_party(app, "shop", context=context, first_party=True, id_token_signed_response_alg="ES256", **given)  # type: ignore[arg-type]


def decided(page: Page) -> tuple[str | None, str | None]:
    """Organization and account that the code is for which the browser brought."""
    assert "code" in answer_in(page), answer_in(page)
    database.session().rollback()
    latest = select(Authorization).order_by(Authorization.created_at.desc(), Authorization.id.desc())
    row = database.session().scalars(latest).first()
    assert row is not None
    return row.organization_id, row.account_id


def refused(page: Page) -> tuple[str, str]:
    """Error and its detail that the browser brought."""
    assert "code" not in answer_in(page)
    return answer_in(page)["error"], answer_in(page).get("error_detail", "")


def test_whoever_can_work_in_several_places_chooses(world: Flask, browser: Browser) -> None:
    shop = party(world, ACCOUNT)
    page = browser.sign_in("olivia", path=shop.authorize_url(state="s-1"))
    assert (page.name, "All of" in page.text) == ("select", False)
    assert "Shop</bdi> will act in the one you choose" in page.text
    page = browser.send(page, "context", context="acct_us")
    assert (decided(page), answer_in(page)["state"]) == (("org_northwind", "acct_us"), "s-1")
    page = browser.get(shop.authorize_url())
    assert page.name == "select"


def test_what_is_chosen_speaks_in_the_tokens(world: Flask, browser: Browser) -> None:
    shop = party(world, ANY)
    page = browser.sign_in("olivia", path=shop.authorize_url())
    page = browser.send(page, "context", context="org_northwind")
    assert decided(page) == ("org_northwind", None)
    assert shop.redeem(page)["access_token"]


@pytest.mark.parametrize(
    ("username", "context", "where"),
    [
        ("una", ANY, ("org_northwind", "acct_eu")),
        ("una", ACCOUNT, ("org_northwind", "acct_eu")),
        ("olivia", ORGANIZATION, ("org_northwind", None)),
        ("olivia", ClientContext("none"), (None, None)),
        (
            "olivia",
            ClientContext("fixed", "org_northwind", "acct_eu"),
            ("org_northwind", "acct_eu"),
        ),
    ],
)
def test_where_there_is_but_one_place_nobody_is_asked(
    world: Flask, browser: Browser, username: str, context: ClientContext, where: tuple[str | None, str | None]
) -> None:
    shop = party(world, context)
    assert decided(browser.sign_in(username, path=shop.authorize_url())) == where
    assert decided(browser.get(shop.authorize_url(prompt="none"))) == where


@pytest.mark.parametrize(
    ("named", "where"),
    [
        ({"account": "acct_us"}, ("org_northwind", "acct_us")),
        ({"organization": "northwind", "account": "us"}, ("org_northwind", "acct_us")),
        ({"organization": "org_northwind"}, ("org_northwind", None)),
        ({"scope": "openid organization:org_northwind"}, ("org_northwind", None)),
        ({"scope": "openid account:acct_us"}, ("org_northwind", "acct_us")),
    ],
)
def test_a_place_that_is_named_is_not_asked_for(
    world: Flask, browser: Browser, named: dict[str, str], where: tuple[str, str | None]
) -> None:
    assert decided(browser.sign_in("olivia", path=party(world, ANY).authorize_url(**named))) == where


@pytest.mark.parametrize(
    ("named", "is_shown"),
    [
        ({"organization": "northwind"}, True),
        ({"account": "acct_eu"}, True),
        ({"organization": "nowhere"}, False),
        ({}, False),
    ],
)
def test_the_organization_of_a_request_is_named_before_anybody_signs_in(
    world: Flask, browser: Browser, named: dict[str, str], is_shown: bool
) -> None:
    page = browser.get(party(world, ANY).authorize_url(**named))
    assert (page.status, page.name, "Northwind" in page.text) == (200, "login", is_shown)


def test_an_organization_may_be_named_and_the_account_left_to_choose(world: Flask, browser: Browser) -> None:
    with database.writing():
        work("olivia", "view_only", "birch")
    page = browser.sign_in("olivia", path=party(world, ACCOUNT).authorize_url(organization="northwind"))
    assert (page.name, "Birch" in page.text) == ("select", False)
    refused_choice = browser.send(page, "context", context="acct_fi")
    assert (refused_choice.name, refused_choice.alerts) == ("select", 1)
    page = browser.send(refused_choice, "context", context="acct_eu")
    assert decided(page) == ("org_northwind", "acct_eu")


@pytest.mark.rule("ORG-05")
@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"organization": "birch"}, ("access_denied", "not_a_member")),
        ({"account": "acct_fi"}, ("access_denied", "not_a_member")),
        ({"account": "acct_nowhere"}, ("access_denied", "not_a_member")),
        ({"organization": "northwind", "account": "acct_fi"}, ("access_denied", "not_a_member")),
        ({"organization": "northwind", "scope": "openid organization:org_birch"}, ("invalid_request", "")),
    ],
)
def test_a_place_that_is_not_the_persons_is_refused(
    world: Flask, browser: Browser, named: dict[str, str], told: tuple[str, str]
) -> None:
    shop = party(world, ANY)
    browser.sign_in("olivia")
    assert refused(browser.get(shop.authorize_url(**named))) == told
    assert refused(browser.get(shop.authorize_url(prompt="none", **named))) == told


@pytest.mark.rule("ORG-05")
def test_where_the_client_is_switched_off_it_acts_for_nobody(world: Flask, browser: Browser) -> None:
    shop = party(world, ANY)
    browser.sign_in("olivia")
    with database.writing():
        work("olivia", "view_only", "birch")
    page = browser.get(shop.authorize_url())
    assert "Birch" in page.text
    with database.writing():
        clients.switch(clients.named("shop"), "org_birch", on=False, by=OPERATOR)
    again = browser.get(shop.authorize_url())
    assert (again.name, "Birch" in again.text) == ("select", False)
    late = browser.send(page, "context", context="org_birch")
    assert (late.name, "Birch" in late.text) == ("select", False)
    assert refused(browser.get(shop.authorize_url(organization="birch"))) == ("access_denied", "client_not_enabled")


@pytest.mark.rule("AUZ-12")
def test_nobody_is_asked_to_choose_where_nobody_may_be(world: Flask, browser: Browser) -> None:
    shop = party(world, ANY)
    browser.sign_in("olivia")
    assert refused(browser.get(shop.authorize_url(prompt="none"))) == ("interaction_required", "")


def test_an_id_token_says_where_to_go_on_where_nobody_may_be_asked(world: Flask, browser: Browser) -> None:
    shop = party(world, ANY)
    page = browser.sign_in("olivia", path=shop.authorize_url())
    hint = shop.redeem(browser.send(page, "context", context="acct_us"))["id_token"]
    assert decided(browser.get(shop.authorize_url(prompt="none", id_token_hint=hint))) == (
        "org_northwind",
        "acct_us",
    )
    assert browser.get(shop.authorize_url(id_token_hint=hint)).name == "select"


def test_a_client_may_want_the_place_to_be_chosen_anew(world: Flask, browser: Browser) -> None:
    shop = party(world, ANY)
    page = browser.sign_in("una", path=shop.authorize_url(prompt="select_context"))
    assert page.name == "select"
    assert decided(browser.send(page, "context", context="acct_eu")) == ("org_northwind", "acct_eu")


def test_a_place_is_chosen_after_a_fresh_proof_and_both_count(world: Flask, browser: Browser) -> None:
    shop = party(world, ANY)
    browser.sign_in("olivia")
    page = browser.get(shop.authorize_url(prompt="login select_context consent"))
    assert page.name == "password"
    page = browser.send(page, "password", password=GOOD)
    assert page.name == "select"
    page = browser.send(page, "context", context="acct_us")
    assert (page.name, "US shop" in page.text, "Northwind" in page.text) == ("consent", True, True)
    assert decided(browser.allow(page)) == ("org_northwind", "acct_us")


@pytest.mark.rule("AUZ-13")
def test_a_proof_that_grew_too_old_while_somebody_chose_is_asked_for(world: Flask, browser: Browser) -> None:
    shop = party(world, ANY)
    with time_machine.travel(clock.now() // clock.SECOND + 1, tick=False) as clockwork:
        browser.sign_in("olivia")
        clockwork.shift(50)
        page = browser.get(shop.authorize_url(prompt="select_account", max_age="60"))
        page = browser.send(page, "person", person=next(iter(page.form("person").buttons))["value"])
        assert page.name == "select"
        clockwork.shift(20)
        page = browser.send(page, "context", context="org_northwind")
        assert page.name == "password"
        page = browser.send(page, "password", password=GOOD)
        assert page.name == "select"
        assert decided(browser.send(page, "context", context="org_northwind")) == ("org_northwind", None)


def test_whoever_has_nowhere_to_work_is_told_and_can_go_back(world: Flask, browser: Browser) -> None:
    shop = party(world, ANY)
    page = browser.sign_in("nick", path=shop.authorize_url())
    assert (page.name, "There is nothing to choose from yet" in page.text) == ("select", True)
    assert refused(browser.send(page, "login-cancel")) == ("access_denied", "")


def test_what_was_chosen_and_lost_before_the_code_is_refused(world: Flask, browser: Browser) -> None:
    shop = party(world, ANY)
    page = browser.sign_in("olivia", path=shop.authorize_url())
    answer = browser.post(page, "context", context="org_northwind")
    with database.writing():
        member = memberships.of_user("org_northwind", "usr_olivia")
        memberships.suspend("org_northwind", member.id, by=OPERATOR)
    page = browser.get(answer.location)
    assert (page.name, "There is nothing to choose from yet" in page.text) == ("select", True)


@pytest.mark.rule("SES-08")
def test_nobody_chooses_for_whoever_was_here_before(world: Flask, browser: Browser) -> None:
    shop = party(world, ANY)
    page = browser.sign_in("olivia", path=shop.authorize_url())
    transaction = transaction_in(page)
    browser.send(browser.get("/logout"), "logout-confirm")
    browser.sign_in("otto")
    assert refused(browser.get(f"/select?txn={transaction}"))[0] == "access_denied"


@pytest.mark.rule("AUZ-12")
def test_an_organization_that_demands_a_second_factor_is_not_entered_without(world: Flask, browser: Browser) -> None:
    shop = party(world, ORGANIZATION)
    browser.sign_in("olivia")
    with database.writing():
        policies.change("org_northwind", PolicySettings(mfa="required"), by=OPERATOR)
    assert refused(browser.get(shop.authorize_url(prompt="none"))) == ("interaction_required", "mfa_required")
    page = browser.get(shop.authorize_url())
    assert (page.path, database.session().scalar(select(func.count(Authorization.id)))) == ("/login/enrol", 0)
    assert decided(prove(browser, page, "totp")) == ("org_northwind", None)


def test_consent_is_of_one_organization(world: Flask, browser: Browser) -> None:
    ledger = relying_party(world, "ledger", context=ANY)
    with database.writing():
        work("olivia", "view_only", "birch")
    browser.sign_in("olivia")
    page = browser.get(ledger.authorize_url(organization="northwind"))
    assert ("Northwind" in page.text, "Never more than you may do there yourself" in page.text) == (True, True)
    browser.allow(page)
    assert decided(browser.get(ledger.authorize_url(account="acct_us")))[0] == "org_northwind"
    assert browser.get(ledger.authorize_url(organization="birch")).name == "consent"
