"""Scopes and audiences: what a client may ask for, and which API a token is for."""

import pytest
from flask import Flask

from idp.clients import apis
from idp.oauth import audiences, scopes
from idp.oauth.audiences import Audience
from idp.oauth.errors import InvalidScope, InvalidTarget
from idp.oauth.scopes import SCOPES, Shown
from idp.platform import database, i18n
from idp.platform.i18n import Wish
from idp.platform.settings import settings
from tests.oauth.issuing import LEDGER, PAYMENTS, api, robot, shop
from tests.traces import OPERATOR

DECLARED = Audience(PAYMENTS, {"payments": "Take payments", "refunds": ""}, head=0)
OURS = ("openid", "profile", "email", "address", "phone", "roles", "accounts", "offline_access")


# Scopes


def test_there_are_the_scopes_of_openid_connect_and_two_of_ours() -> None:
    assert set(SCOPES) == set(OURS)


def test_what_nobody_knows_is_ignored(app: Flask) -> None:
    asked = ("payments", "openid", "nonsense", "openid", "organization:org_acme", "account:acct_de", "refunds")
    assert scopes.allowed(asked, shop(), ()) == ("openid",)
    assert scopes.allowed(asked, shop("app_2"), (DECLARED,)) == ("payments", "openid", "refunds")
    assert scopes.allowed(OURS, shop("app_3"), ()) == OURS


def test_a_client_gets_no_scope_that_it_is_not_registered_for(app: Flask) -> None:
    client = shop(scope="openid payments nonsense")
    assert scopes.allowed(("openid", "email", "payments", "refunds", "nonsense"), client, (DECLARED,)) == (
        "openid",
        "payments",
    )


def test_who_cannot_refresh_does_not_stay_connected(app: Flask) -> None:
    client = shop(grant_types=["authorization_code"])
    assert scopes.allowed(("openid", "offline_access"), client, ()) == ("openid",)


def test_a_machine_gets_the_scopes_of_its_api_and_no_others(app: Flask) -> None:
    client = robot()
    assert scopes.of_machine(None, client, DECLARED) == ("payments", "refunds")
    assert scopes.of_machine(("refunds", "organization:org_acme"), client, DECLARED) == ("refunds",)
    for scope in ("openid", "offline_access", "roles", "nonsense"):
        with pytest.raises(InvalidScope):
            scopes.of_machine(("payments", scope), client, DECLARED)
    registered = robot("app_2", scope="refunds nonsense")
    assert scopes.of_machine(None, registered, DECLARED) == ("refunds",)
    with pytest.raises(InvalidScope):
        scopes.of_machine(("payments",), registered, DECLARED)


def test_a_consent_page_says_in_words_what_scopes_mean(app: Flask) -> None:
    shown = scopes.shown(("refunds", "email", "payments", "openid", "gone"), (DECLARED,))
    assert [one.name for one in shown] == ["openid", "email", "payments", "refunds"]
    assert shown[2:] == (Shown("payments", "Take payments"), Shown("refunds", "refunds"))
    english = {one.name: one.words for one in scopes.shown(OURS, ())}
    assert len(set(english.values())) == len(OURS)
    for locale in i18n.LOCALES:
        with i18n.speaking(Wish(query=f"ui_locales={locale}")):
            words = {one.name: one.words for one in scopes.shown(OURS, ())}
        assert locale == "en" or all(words[name] != english[name] for name in OURS), locale


# Audiences


@pytest.fixture
def issuer(app: Flask) -> str:
    """The address of a provider that knows two APIs."""
    api(PAYMENTS, "payments", permissions={"payments.read": ()})
    api(LEDGER)
    return settings().issuer


def uris(found: tuple[Audience, ...]) -> tuple[str, ...]:
    """Which APIs these are."""
    return tuple(audience.uri for audience in found)


def test_an_authorization_is_for_the_apis_that_are_asked_for(issuer: str) -> None:
    both, one, none = shop("app_2", resources=[PAYMENTS, LEDGER]), shop("app_1", resources=[LEDGER]), shop("app_0")
    assert uris(audiences.granted((), both)) == ()
    assert uris(audiences.granted((), one)) == (LEDGER,)
    assert uris(audiences.granted((), none)) == ()
    assert uris(audiences.granted((issuer,), one)) == ()
    assert uris(audiences.granted((LEDGER, PAYMENTS, LEDGER), both)) == (LEDGER, PAYMENTS)
    assert uris(audiences.granted((PAYMENTS, issuer), both)) == (PAYMENTS,)


def test_an_api_that_the_client_is_not_registered_for_is_no_target(issuer: str) -> None:
    client = shop(resources=[LEDGER, "https://gone.example.com"])
    for asked in ((PAYMENTS,), (LEDGER, PAYMENTS), ("https://gone.example.com",), (f"{LEDGER}/",), (f"{issuer}/",)):
        with pytest.raises(InvalidTarget):
            audiences.granted(asked, client)


def test_what_an_api_declares_is_read_as_of_now(issuer: str) -> None:
    client = shop(resources=[PAYMENTS, LEDGER])
    payments, ledger = audiences.granted((PAYMENTS, LEDGER), client)
    assert (payments.scopes, payments.has_permissions) == ({"payments": "Do payments"}, True)
    assert (ledger.scopes, ledger.has_permissions) == ({}, False)
    api(PAYMENTS, "refunds", "charges")
    (changed,) = audiences.granted((PAYMENTS,), client)
    assert (list(changed.scopes), changed.has_permissions) == (["charges", "refunds"], False)
    assert changed.head > payments.head


def test_a_token_is_for_one_api_of_those_that_were_granted(issuer: str) -> None:
    for asked, granted, meant in (
        ((), (), issuer),
        ((issuer,), (), issuer),
        ((), (LEDGER,), LEDGER),
        ((LEDGER,), (PAYMENTS, LEDGER), LEDGER),
        ((issuer,), (PAYMENTS, LEDGER), issuer),
    ):
        audience = audiences.meant(asked, granted)
        assert audience.uri == meant
        assert audience.is_issuer == (meant == issuer)


def test_a_token_is_for_no_more_and_nothing_else(issuer: str) -> None:
    for asked, granted in (
        ((), (PAYMENTS, LEDGER)),
        ((PAYMENTS, LEDGER), (PAYMENTS, LEDGER)),
        ((PAYMENTS, issuer), (PAYMENTS,)),
        ((PAYMENTS,), (LEDGER,)),
        ((PAYMENTS,), ()),
    ):
        with pytest.raises(InvalidTarget):
            audiences.meant(asked, granted)
    with database.writing():
        apis.withdraw(apis.find(LEDGER), by=OPERATOR)
    with pytest.raises(InvalidTarget):
        audiences.meant((), (LEDGER,))


def test_a_machine_names_one_api_unless_it_has_but_one(issuer: str) -> None:
    one, both, none = robot("app_1", resources=[LEDGER]), robot("app_2", resources=[PAYMENTS, LEDGER]), robot("app_0")
    assert audiences.meant_by_machine((), one).uri == LEDGER
    assert audiences.meant_by_machine((PAYMENTS,), both).uri == PAYMENTS
    assert audiences.meant_by_machine((), none).uri == audiences.meant_by_machine((issuer,), one).uri == issuer
    for asked, client in (
        ((PAYMENTS, LEDGER), both),
        ((PAYMENTS, issuer), both),
        ((PAYMENTS,), one),
        ((PAYMENTS,), none),
    ):
        with pytest.raises(InvalidTarget):
            audiences.meant_by_machine(asked, client)
