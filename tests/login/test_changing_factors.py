"""What people prove themselves with, taken: nobody strands themselves, and nothing outlives what it rests on."""

import json
from typing import Any

import pytest
from flask import Flask

from idp.credentials import authenticator_apps, factors, held, mailed_links, passwords, recovery_codes
from idp.credentials.mailed_links import LinkVoid
from idp.login import changing_factors
from idp.login.changing_factors import LastWayIn, StillDemanded, WrongCode
from idp.organizations import policies, roles
from idp.organizations.policies import PolicySettings
from idp.organizations.roles import Permitted, RoleSettings
from idp.platform import clock, database
from idp.platform.errors import NotFound
from idp.sessions import browsers, people, trusted_devices
from idp.sessions.people import LiveSession
from idp.sessions.proofs import Proof
from tests import once
from tests.actors import GOOD
from tests.organizations.actors import (
    ACME,
    BIRCH,
    DAN,
    DE,
    EU,
    MIA,
    NICK,
    VERA,
    ZOE,
    act,
    at,
    give,
    overlapping,
    refused,
    to,
)  # fmt: skip
from tests.organizations.conftest import acme, settled  # noqa: F401 fixtures
from tests.phones import Phone, codes_of, given_to
from tests.proving import set_up
from tests.traces import OPERATOR, entries, events

GOOD_HASH = once.hashed(GOOD)
OTHER_HASH = once.hashed("another good long password")


@pytest.fixture(autouse=True)
def app(acme: Flask) -> Flask:  # noqa: F811
    """With a password for some of its people."""
    for who in (DAN, VERA, NICK, MIA, ZOE):
        act(passwords.store, who.id, GOOD_HASH)
    return acme


def demand(organization_id: str = ACME, **policy: Any) -> None:
    act(policies.change, organization_id, PolicySettings(**policy))


def signed_in(user_id: str, *proofs: Proof) -> LiveSession:
    """A session of the person, in a browser of its own."""
    with database.writing():
        browser, _ = browsers.begin()
        return people.open_session(browser, user_id, proofs)[0]


def given(method: str, factor_id: str = "") -> Proof:
    return Proof(method, clock.now(), factor_id=factor_id)


def methods_in(session: LiveSession) -> list[str] | None:
    """What is proven in the session; `None` when it has ended."""
    database.session().rollback()
    found = [one for one in people.of_person(session.user_id) if one.id == session.id]
    return sorted(proof.method for proof in found[0].proofs) if found else None


def trusting(user_id: str, factor_id: str) -> str:
    """The id of the trust of the person in a new browser, given with that factor."""
    with database.writing():
        browser, _ = browsers.begin()
        trusted_devices.trust(browser, user_id, factor_id)
        return trusted_devices.trusted(browser, user_id)


def trusted(user_id: str) -> list[str]:
    database.session().rollback()
    return [device.id for device, _ in trusted_devices.of(user_id)]


# Removing


def test_a_factor_is_gone_with_all_that_rests_on_it_and_nothing_else_is() -> None:
    mine, other, his = set_up(DAN.id, "passkey"), set_up(DAN.id, "totp"), set_up(VERA.id, "passkey")
    codes_of(DAN.id)
    alone = signed_in(DAN.id, given("passkey", mine))
    both = signed_in(DAN.id, given("password"), given("totp", other), given("passkey", mine))
    trusts = [trusting(DAN.id, mine), trusting(DAN.id, other), trusting(VERA.id, his)]
    act(changing_factors.remove, DAN.id, mine, by=DAN)
    assert held.methods(DAN.id) == {"password", "totp", "recovery_code"}
    assert methods_in(alone) is None
    assert methods_in(both) == ["password", "totp"]
    assert (trusted(DAN.id), trusted(VERA.id)) == ([trusts[1]], [trusts[2]])
    assert held.methods(VERA.id) == {"password", "passkey"}
    assert recovery_codes.left(DAN.id) == 10
    assert "user.factor.removed" in events(DAN.id)


def test_recovery_codes_are_void_with_the_last_factor() -> None:
    app_id, code = set_up(DAN.id), codes_of(DAN.id)[0]
    act(changing_factors.remove, DAN.id, app_id, by=DAN)
    assert held.methods(DAN.id) == {"password"}
    assert recovery_codes.left(DAN.id) == 0
    with database.writing():
        assert not recovery_codes.use(DAN.id, code)


def test_codes_by_mail_are_turned_off_with_all_that_rests_on_them() -> None:
    mine, code = set_up(DAN.id, "email_code"), codes_of(DAN.id)[0]
    both = signed_in(DAN.id, given("password"), given("email_code", mine))
    trust = trusting(DAN.id, mine)
    assert (held.methods(DAN.id), trusted(DAN.id)) == ({"password", "email_code", "recovery_code"}, [trust])
    act(changing_factors.remove, DAN.id, mine, by=DAN)
    assert (held.methods(DAN.id), trusted(DAN.id), methods_in(both)) == ({"password"}, [], ["password"])
    with database.writing():
        assert not recovery_codes.use(DAN.id, code)


@pytest.mark.rule("TOT-09")
def test_codes_by_mail_stay_where_two_factors_are_demanded_and_they_count() -> None:
    mine = set_up(NICK.id, "email_code")
    demand(mfa="required")
    with refused(StillDemanded):
        changing_factors.remove(NICK.id, mine, by=NICK)
    demand(mfa="required", methods=("password", "passkey", "totp"))
    assert changing_factors.hindrance(NICK.id, mine) is None
    demand(mfa="required")
    app_id = set_up(NICK.id, "totp")
    act(changing_factors.remove, NICK.id, mine, by=NICK)
    assert isinstance(changing_factors.hindrance(NICK.id, app_id), StillDemanded)


@pytest.mark.rule("TOT-09")
def test_codes_by_mail_are_nothing_to_stay_with_beside_a_password_that_came_by_mail() -> None:
    app_id = set_up(NICK.id)
    set_up(NICK.id, "email_code")
    demand(mfa="required")
    assert changing_factors.hindrance(NICK.id, app_id) is None
    act(passwords.store, NICK.id, OTHER_HASH, by_mail=True)
    assert isinstance(changing_factors.hindrance(NICK.id, app_id), StillDemanded)


@pytest.mark.rule("TOT-09")
def test_codes_by_mail_let_nobody_in_alone() -> None:
    passkey = set_up(ZOE.id, "passkey")
    set_up(ZOE.id, "email_code")
    act(changing_factors.remove_password, ZOE.id, by=ZOE)
    with refused(LastWayIn):
        changing_factors.remove(ZOE.id, passkey, by=ZOE)


def test_nobody_removes_what_somebody_else_has() -> None:
    mine = set_up(DAN.id)
    with refused(NotFound):
        changing_factors.remove(VERA.id, mine, by=VERA)


@pytest.mark.rule("TOT-09")
def test_the_last_way_in_stays() -> None:
    mine = set_up(ZOE.id, "passkey")
    act(changing_factors.remove_password, ZOE.id, by=ZOE)
    assert held.methods(ZOE.id) == {"passkey"}
    assert isinstance(changing_factors.hindrance(ZOE.id, mine), LastWayIn)
    with refused(LastWayIn):
        changing_factors.remove(ZOE.id, mine, by=ZOE)
    set_up(ZOE.id, "totp")
    with refused(LastWayIn):  # a code is asked for besides something, and never instead
        changing_factors.remove(ZOE.id, mine, by=ZOE)
    another = set_up(ZOE.id, "passkey")
    act(changing_factors.remove, ZOE.id, mine, by=ZOE)
    assert [one.id for one in factors.of(ZOE.id) if one.kind == "passkey"] == [another]


@pytest.mark.rule("TOT-09")
@pytest.mark.parametrize("kinds", [(), ("totp",)], ids=["nothing else", "an app"])
def test_a_password_stays_where_there_is_no_passkey(kinds: tuple[str, ...]) -> None:
    for kind in kinds:
        set_up(DAN.id, kind)
    assert isinstance(changing_factors.password_hindrance(DAN.id), LastWayIn)
    with refused(LastWayIn):
        changing_factors.remove_password(DAN.id, by=DAN)


@pytest.mark.rule("TOT-09")
def test_of_two_that_remove_the_last_two_passkeys_at_once_one_is_refused(app: Flask) -> None:
    first, second = set_up(ZOE.id, "passkey"), set_up(ZOE.id, "passkey")
    act(changing_factors.remove_password, ZOE.id, by=ZOE)
    done = overlapping(
        app,
        lambda: changing_factors.remove(ZOE.id, first, by=ZOE),
        lambda: changing_factors.remove(ZOE.id, second, by=ZOE),
    )
    assert [type(one) for one in done] == [type(None), LastWayIn]
    assert held.methods(ZOE.id) == {"passkey"}


@pytest.mark.rule("TOT-09")
def test_what_an_organization_demands_stays() -> None:
    app_id = set_up(NICK.id)
    demand(mfa="required")
    stays = changing_factors.hindrance(NICK.id, app_id)
    assert isinstance(stays, StillDemanded)
    assert stays.message == "Acme demands what this is needed for"
    with refused(StillDemanded):
        changing_factors.remove(NICK.id, app_id, by=NICK)
    set_up(NICK.id, "passkey")
    act(changing_factors.remove, NICK.id, app_id, by=NICK)


@pytest.mark.rule("TOT-09")
def test_recovery_codes_are_nothing_to_stay_with() -> None:
    passkey, _ = set_up(NICK.id, "passkey"), set_up(NICK.id, "totp")
    codes_of(NICK.id)
    demand(mfa="required", methods=("password", "passkey", "recovery_code"))
    assert isinstance(changing_factors.hindrance(NICK.id, passkey), StillDemanded)


@pytest.mark.rule("TOT-09")
@pytest.mark.parametrize("place", [ACME, DE, EU], ids=["organization", "account", "group"])
def test_what_a_role_demands_stays_wherever_it_is_held(place: str) -> None:
    passkey, _ = set_up(NICK.id, "passkey"), set_up(NICK.id, "totp")
    demands = RoleSettings("x_desk", "Desk", frozenset({Permitted("refunds.write")}), demands="phr")
    act(roles.change, ACME, "role_desk", demands)
    assert changing_factors.hindrance(NICK.id, passkey) is None
    give(to(NICK, "x_desk", at(place)))
    assert isinstance(changing_factors.hindrance(NICK.id, passkey), StillDemanded)


@pytest.mark.rule("TOT-09")
def test_of_several_organizations_each_is_asked() -> None:
    app_id = set_up(VERA.id)
    assert changing_factors.hindrance(VERA.id, app_id) is None
    demand(BIRCH, mfa="required")
    stays = changing_factors.hindrance(VERA.id, app_id)
    assert stays is not None
    assert stays.message.startswith("Birch ")


@pytest.mark.rule("TOT-09")
def test_a_password_stays_where_a_passkey_does_not_count() -> None:
    set_up(NICK.id, "passkey")
    set_up(NICK.id, "totp")
    demand(mfa="required", methods=("password", "totp"))
    with refused(StillDemanded):
        changing_factors.remove_password(NICK.id, by=NICK)


def test_what_could_not_be_reached_before_keeps_nothing() -> None:
    app_id = set_up(NICK.id)
    demand(mfa="required", methods=("password", "passkey"))
    act(changing_factors.remove, NICK.id, app_id, by=NICK)
    assert held.methods(NICK.id) == {"password"}


# Replacing


@pytest.mark.rule("TOT-03")
def test_a_new_app_takes_the_place_of_the_old_one_with_all_that_rests_on_it() -> None:
    old = given_to(DAN.id)
    (factor,) = factors.of(DAN.id)
    session, trust = signed_in(DAN.id, given("password"), given("totp", factor.id)), trusting(DAN.id, factor.id)
    setup = act(lambda *, by: authenticator_apps.begin(DAN.id, "ses_here"))
    new = Phone.scanning(setup.uri)
    with refused(WrongCode):
        changing_factors.set_up_app(DAN.id, "ses_here", old.code(), by=DAN)
    with refused(WrongCode):
        changing_factors.set_up_app(DAN.id, "ses_other", new.code(), by=DAN)
    assert (methods_in(session), trusted(DAN.id)) == (["password", "totp"], [trust])
    made = act(changing_factors.set_up_app, DAN.id, "ses_here", new.code(), by=DAN)
    assert [one.id for one in factors.of(DAN.id)] == [made.id]
    assert (methods_in(session), trusted(DAN.id)) == (["password"], [])
    with database.writing():
        assert authenticator_apps.verify(DAN.id, old.code()) is None


# Passwords


def test_a_new_password_ends_trust_in_every_browser() -> None:
    trusting(DAN.id, ""), trusting(DAN.id, set_up(DAN.id))
    his = trusting(VERA.id, "")
    act(changing_factors.set_password, DAN.id, OTHER_HASH, by=DAN)
    assert (trusted(DAN.id), trusted(VERA.id)) == ([], [his])


def test_without_a_password_no_browser_is_trusted() -> None:
    trusting(DAN.id, set_up(DAN.id, "passkey"))
    act(changing_factors.remove_password, DAN.id, by=DAN)
    assert (trusted(DAN.id), held.methods(DAN.id)) == ([], {"passkey"})


# Resetting


@pytest.mark.rule("SES-07")
def test_a_reset_takes_everything_but_the_password() -> None:
    mine = [set_up(DAN.id, "passkey"), set_up(DAN.id, "totp")]
    his = set_up(VERA.id, "passkey")
    codes_of(DAN.id)
    trusting(DAN.id, ""), trusting(DAN.id, mine[0])
    sessions = [signed_in(DAN.id, given("passkey", mine[0])), signed_in(DAN.id, given("password"))]
    other = signed_in(VERA.id, given("passkey", his))
    assert act(changing_factors.reset, DAN.id, "showed her passport", by=OPERATOR) == 2
    assert held.methods(DAN.id) == {"password"}
    assert (factors.of(DAN.id), recovery_codes.left(DAN.id), trusted(DAN.id)) == ([], 0, [])
    assert [methods_in(one) for one in sessions] == [None, None]
    assert methods_in(other) == ["passkey"]
    (reset,) = [entry for entry in entries(DAN.id) if entry.event == "user.factors.reset"]
    assert json.loads(reset.after_json or "")["reason"] == "showed her passport"
    assert (reset.actor_kind, reset.actor_id) == ("operator", "ops")


def test_a_reset_takes_also_what_an_organization_demands() -> None:
    demand(mfa="required")
    set_up(NICK.id)
    assert act(changing_factors.reset, NICK.id, "lost", by=OPERATOR) == 1


@pytest.mark.rule("RST-05")
@pytest.mark.parametrize("how", ["password", "reset"])
def test_links_that_add_an_address_end_with_what_they_were_asked_for_by(how: str) -> None:
    with database.writing():
        token = mailed_links.make("verify", DAN.id, "new@dan.test", "new@dan.test", lifetime=clock.HOUR)
        others = mailed_links.make("verify", VERA.id, "new@vera.test", "new@vera.test", lifetime=clock.HOUR)
    if how == "password":
        act(changing_factors.set_password, DAN.id, OTHER_HASH)
    else:
        act(changing_factors.reset, DAN.id, "lost their phone")
    with pytest.raises(LinkVoid):
        mailed_links.find(token, "verify")
    assert mailed_links.find(others, "verify").user_id == VERA.id
