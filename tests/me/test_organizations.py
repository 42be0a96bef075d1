"""`/me/organizations`: where somebody belongs, and leaving: at once, by whoever has just proven who they are."""

import pytest
from flask import Flask
from sqlalchemy import select
from time_machine import Traveller

from idp.clients.clients import ClientContext
from idp.login import changing_addresses
from idp.oauth import authorizations
from idp.oauth.models import Authorization
from idp.organizations import domains, memberships, own_memberships, ownership, teams
from idp.organizations.models import Membership
from idp.organizations.proven_addresses import NoOtherAddress
from idp.platform import clock, database
from idp.sessions import people
from idp.users import leaving as leaving_addresses
from tests.me.conftest import LATER
from tests.me.own import browser_of
from tests.oauth.actors import relying_party
from tests.organizations import actors
from tests.organizations.actors import ACME, OPS, act, at_once, held, state
from tests.traces import OPERATOR, entries, losses

PATH = "/me/organizations"


def leaving(slug: str) -> str:
    return f"{PATH}/{slug}/leave"


def slugs(user_id: str) -> list[str]:
    database.session().rollback()
    return [one.slug for one in own_memberships.of(user_id)]


def test_memberships_are_shown_with_roles_and_state(acme: Flask) -> None:
    page = browser_of(acme, "vera").get(PATH)
    assert (page.status, page.name, page.heading) == (200, "me", "Organizations")
    for words in ("Acme", "View only", "Birch", "Developer", "Since"):
        assert words in page.text
    assert "Owner" not in page.text
    assert "Owner" in browser_of(acme, "olivia").get(PATH).text
    invited = browser_of(acme, "ina").get(PATH)
    assert "open the link that was mailed to you" in invited.text
    act(memberships.suspend, ACME, "mem_nick")
    assert "Suspended" in browser_of(acme, "nick").get(PATH).text


def test_many_memberships_are_leafed_through(acme: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_memberships, "PAGE", 1)
    browser = browser_of(acme, "vera")
    page = browser.get(PATH)
    assert ("Acme" in page.text, "Birch" in page.text) == (True, False)
    (more,) = [link["href"] for link in page.links if link.get("id") == "next"]
    page = browser.get(more)
    assert ("Acme" in page.text, "Birch" in page.text) == (False, True)


def test_leaving_ends_what_hangs_on_it_at_once_and_nothing_else(acme: Flask) -> None:
    act(teams.add, ACME, OPS, ["mem_vera"])
    browser = browser_of(acme, "vera")
    shop = relying_party(acme, "shop", first_party=True, context=ClientContext("organization"))
    for organization in ("acme", "birch"):
        browser.get(shop.authorize_url(organization=organization, scope="openid offline_access"))
    before = len(losses())
    page = browser.get(leaving("acme"))
    assert "Your roles there end at once" in page.text
    page = browser.send(page, "leave-submit")
    assert (page.path, "You have left the organization" in page.text) == (PATH, True)
    assert slugs("usr_vera") == ["birch"]
    assert held(actors.VERA).roles == frozenset()
    database.session().rollback()
    alive = {
        one.organization_id: authorizations.find_live(one.id) is not None
        for one in database.session().scalars(select(Authorization))
    }
    assert alive == {"org_acme": False, "org_birch": True}
    assert "Acme" not in browser.get("/me/apps").text
    assert ("membership", {"sub": "usr_vera", "org_id": ACME}) in losses()[before:]
    (removed,) = [one for one in entries("mem_vera") if one.event == "member.removed"]
    assert (removed.actor_kind, removed.actor_id, removed.organization_id) == ("user", "usr_vera", ACME)
    assert len(people.of_person("usr_vera")) == 1


def test_pressing_twice_says_that_it_is_so(acme: Flask) -> None:
    browser = browser_of(acme, "vera")
    page = browser.get(leaving("birch"))
    browser.send(page, "leave-submit")
    again = browser.send(page, "leave-submit")
    assert (again.status, again.path, slugs("usr_vera")) == (200, PATH, ["acme"])


@pytest.mark.rule("ORG-04")
def test_the_owner_stays_and_hears_what_to_do_first(acme: Flask) -> None:
    olivia, vera = browser_of(acme, "olivia"), browser_of(acme, "vera")
    page = olivia.get(leaving("acme"))
    assert "Transfer the ownership to another active member first." in page.text
    assert not [button for form in page.forms for button in form.buttons if button.get("id") == "leave-submit"]
    page = vera.get(leaving("acme"))
    act(ownership.transfer, ACME, "mem_vera")
    refused = vera.send(page, "leave-submit")
    assert (refused.status, refused.alerts) == (409, 1)
    assert "Transfer the ownership" in refused.text
    assert slugs("usr_vera") == ["acme", "birch"]


@pytest.mark.rule("ORG-04")
def test_nobody_becomes_owner_and_leaves_at_once(acme: Flask) -> None:
    def become() -> object:
        with database.writing():
            return ownership.transfer(ACME, "mem_sam", by=OPERATOR)

    def leave() -> object:
        with database.writing():
            return memberships.remove(ACME, "mem_sam", by=actors.SAM)

    at_once(acme, become, leave)
    database.session().rollback()
    owner = database.session().get_one(Membership, ownership.owner_of(ACME).member_id)
    assert owner.ended_at is None


@pytest.mark.rule("TOT-08")
def test_leaving_takes_a_fresh_proof(app: Flask, acme: Flask, clockwork: Traveller) -> None:
    browser = browser_of(acme, "vera")
    page = browser.get(leaving("birch"))
    clockwork.shift(LATER)
    assert browser.get(leaving("birch")).name == "password"
    before = state()
    assert browser.send(page, "leave-submit").name == "password"
    after = state()
    assert before["memberships"] == after["memberships"]
    assert slugs("usr_vera") == ["acme", "birch"]


def manage(organization_id: str) -> None:
    with database.writing():
        domains.confirm(organization_id, domains.claim(organization_id, "example.com", by=OPERATOR).id, by=OPERATOR)


@pytest.mark.rule("RST-05")
def test_nobody_leaves_with_the_only_address_they_recover_by(app: Flask, acme: Flask, clockwork: Traveller) -> None:
    manage(ACME)
    page = browser_of(acme, "vera").get(leaving("acme"))
    assert "vera@example.com" in page.text
    assert "No other e-mail address of yours recovers your password yet" in page.text
    assert not [button for form in page.forms for button in form.buttons if button.get("id") == "leave-submit"]
    with pytest.raises(NoOtherAddress), database.writing():
        memberships.remove(ACME, "mem_vera", by=actors.VERA)
    with database.writing():
        changing_addresses.prove("usr_vera", "vera@home.test", by=actors.VERA)
    with pytest.raises(NoOtherAddress), database.writing():
        memberships.remove(ACME, "mem_vera", by=actors.VERA)
    clockwork.shift(leaving_addresses.STAYS / clock.SECOND + 1)
    with database.writing():
        memberships.remove(ACME, "mem_vera", by=actors.VERA)
    assert slugs("usr_vera") == ["birch"]


@pytest.mark.rule("RST-05")
def test_an_administrator_does_not_put_themselves_to_rest_for_that(acme: Flask) -> None:
    manage(ACME)
    with pytest.raises(NoOtherAddress), database.writing():
        memberships.suspend(ACME, "mem_sam", by=actors.SAM)
    act(memberships.suspend, ACME, "mem_sam")


def test_an_address_of_another_organization_is_not_named(acme: Flask) -> None:
    manage(ACME)
    assert "vera@example.com" not in browser_of(acme, "vera").get(leaving("birch")).text


@pytest.mark.rule("ORG-11")
@pytest.mark.parametrize("slug", ["birch", "nowhere", "org_birch", "mem_boris", "mem_bea"])
def test_nobody_leaves_where_they_do_not_belong(acme: Flask, slug: str) -> None:
    browser = browser_of(acme, "mia")
    assert browser.get(leaving(slug)).status == 404
    form = browser.get(leaving("acme")).form("leave-submit")
    before = state()["memberships"]
    sent = browser._ask("POST", leaving(slug), data=form.fields)
    assert (sent.status_code, sent.location) == (303, PATH)
    assert state()["memberships"] == before
