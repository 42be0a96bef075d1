"""`/me/access`: what somebody may do, where, and why; the same answer as `idp why`, and nothing about anybody else."""

import re
from urllib.parse import urlencode

import pytest
import time_machine
from flask import Flask

from idp.clients import declaration
from idp.me import permissions_in_words, reasons_in_words
from idp.organizations import accounts, grants, memberships, organizations, reasons, scopes, teams
from idp.organizations.accounts import AccountSettings, NewAccount
from idp.organizations.effective import Context, Holder, effective_roles
from idp.organizations.grants import Wanted
from idp.organizations.memberships import NewMember
from idp.organizations.organizations import OrganizationSettings
from idp.platform import clock, database
from idp.users import users
from idp.users.users import UserSettings
from tests.actors import Page
from tests.me.own import browser_of, counting
from tests.oauth.actors import Browser
from tests.organizations import actors
from tests.organizations.actors import ACME, BIRCH, DE, EU, OPS, US, act, give, to
from tests.traces import OPERATOR

PATH = "/me/access"


def ask(browser: Browser, **wanted: str) -> Page:
    return browser.get(f"{PATH}?{urlencode(wanted)}" if wanted else PATH)


def text_of(page: Page) -> str:
    """What people read."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page.text))


def test_the_roles_and_why_they_are_held_are_shown_place_by_place(acme: Flask) -> None:
    act(teams.add, ACME, OPS, ["mem_vera"])
    give(to(OPS, "developer", actors.at(EU)))
    give(to(actors.VERA, "refund_analyst", actors.at(US)), by=actors.OLIVIA)
    with database.writing():
        users.reconfigure(users.find("usr_olivia"), UserSettings("olivia", {"name": "Olivia Lund"}), by=OPERATOR)
    page = ask(browser_of(acme, "vera"), organization="acme")
    assert (page.status, page.name, page.heading) == (200, "me", "What may I do, where, and why?")
    said = text_of(page)
    for words in ("All of Acme", "View only", "Developer", "Refund analyst", "Team Operations", "Account group Europe",
                  "by Olivia Lund", "From the whole organization", "given by hand"):  # fmt: skip
        assert words in said, words
    assert said.index("Team Operations") < said.index("by Olivia Lund")


def test_who_granted_a_role_is_named_only_to_who_is_in_the_same_organization(acme: Flask) -> None:
    give(to(actors.VERA, "refund_analyst"), by=actors.SAM)
    browser = browser_of(acme, "vera")
    assert "by sam" in text_of(ask(browser, organization="acme"))
    act(memberships.remove, ACME, "mem_sam")
    assert "sam" not in text_of(ask(browser, organization="acme")).replace("same", "")


@pytest.mark.parametrize("who", ["olivia", "vera", "mia", "greg", "dan", "bea", "nick"])
def test_reasons_are_those_that_count(acme: Flask, who: str) -> None:
    act(teams.add, ACME, OPS, ["mem_nick"])
    give(to(OPS, "developer", actors.at(EU)))
    soon = clock.now() + clock.HOUR
    give(to(actors.NICK, "view_only", actors.at(US), expires_at=soon))
    for organization_id in (ACME, BIRCH):
        ids = [one.id for one in _accounts(organization_id)]
        found = reasons.of(f"usr_{who}", organization_id, ids)
        on_all = {one.key for one in found if not one.account_id}
        for account_id in ("", *ids):
            held = effective_roles(Holder(f"usr_{who}"), Context(organization_id, account_id))
            assert {one.key for one in found if one.account_id == account_id} == (
                set(held.account_roles) if account_id else on_all
            )
            assert held.organization_roles == on_all


def _accounts(organization_id: str) -> list[accounts.Account]:
    return [database.session().get_one(accounts.Account, one) for one in {ACME: (DE, US), BIRCH: ("acct_oslo",)}[
        organization_id]]  # fmt: skip


# Asking


def test_a_yes_names_the_whole_way(acme: Flask) -> None:
    act(teams.add, ACME, OPS, ["mem_nick"])
    give(to(OPS, "developer", actors.at(EU)))
    said = text_of(ask(browser_of(acme, "nick"), may="permission:payments.write", place="de"))
    for words in ("Yes: Make and change payments in De", "The role \u2068Developer\u2069 allows it", "You would lose",
                  "You are in the team \u2068Operations\u2069", "the group \u2068Europe\u2069",
                  "Your membership is active"):  # fmt: skip
        assert words in said, words


def test_a_no_says_what_is_missing_and_which_role_would_do(acme: Flask) -> None:
    said = text_of(ask(browser_of(acme, "vera"), organization="acme", may="permission:refunds.write"))
    assert "No: Refund payments in Acme" in said
    assert "A role that would do:" in said
    assert "Refund analyst" in said
    assert "one of the organization's own" in said
    assert "Ask an administrator of Acme." in said


@pytest.mark.rule("ORG-11")
def test_roles_of_the_organizations_own_are_not_named_to_who_does_not_hold_them(acme: Flask) -> None:
    browser = browser_of(acme, "vera")
    page = ask(browser, organization="acme", may="permission:refunds.write")
    assert "x_desk" not in page.text
    assert "Desk" not in page.text
    give(to(actors.VERA, "x_desk"))
    assert "Desk" in ask(browser, organization="acme").text


def test_a_role_that_has_not_begun_or_has_expired_says_so(acme: Flask) -> None:
    ended = give(to(actors.NICK, "developer"))
    act(grants.end, ACME, ended)
    give(to(actors.NICK, "view_only", actors.at(US), expires_at=clock.now() + clock.MINUTE))
    browser = browser_of(acme, "nick")
    said = text_of(ask(browser, organization="acme", may="role:developer"))
    assert "No: Developer" in said
    assert "Not so: You were given the role \u2068Developer\u2069" in said
    with time_machine.travel(clock.now() / clock.SECOND + 120, tick=False):
        said = text_of(ask(browser, organization="acme", may="role:view_only", place=US))
    assert "No: View only in Us" in said
    assert "Not so: It counts until" in said


def test_a_suspended_membership_is_what_blocks(acme: Flask) -> None:
    browser = browser_of(acme, "vera")
    act(memberships.suspend, ACME, "mem_vera")
    page = ask(browser, organization="acme", may="role:view_only")
    assert "Your membership is suspended" in page.text
    assert "Not so: Your membership is active" in text_of(page)


def test_whoever_belongs_nowhere_is_told_what_to_do(acme: Flask) -> None:
    page = ask(browser_of(acme, "zoe"))
    assert (page.status, "Whoever invites you sends you a link" in page.text) == (200, True)


@pytest.mark.parametrize(
    "wanted", [{"may": "nonsense"}, {"may": "role:"}, {"may": "permission:" + "x" * 5000}, {"q": "%"}, {"after": "~"}]
)
def test_what_is_no_question_is_no_error(acme: Flask, wanted: dict[str, str]) -> None:
    assert ask(browser_of(acme, "vera"), **wanted).status == 200


def test_a_name_that_is_nothing_is_held_by_no_role(acme: Flask) -> None:
    said = text_of(ask(browser_of(acme, "vera"), may="permission:<b>nothing</b>"))
    assert "No role of this organization gives it." in said


# Nothing of anybody else


@pytest.mark.rule("ORG-11")
@pytest.mark.parametrize(
    "wanted",
    [
        {"organization": "birch"},
        {"organization": "nowhere"},
        {"place": "oslo"},
        {"place": "acct_oslo"},
        {"place": "box"},
        {"organization": "acme", "place": "us"},
    ],
)
def test_what_is_not_theirs_cannot_be_told_from_what_is_not_there(acme: Flask, wanted: dict[str, str]) -> None:
    browser = browser_of(acme, "mia")
    known = ask(browser, **wanted)
    unknown = ask(browser, **wanted | {list(wanted)[-1]: "unheard-of"})
    assert (known.status, known.heading) == (unknown.status, unknown.heading) == (404, "Something went wrong")
    assert "Oslo" not in known.text


def test_an_account_that_was_once_somebodys_can_be_asked_about(acme: Flask) -> None:
    browser = browser_of(acme, "mia")
    act(accounts.suspend, ACME, DE)
    said = text_of(ask(browser, place="de", may="permission:members.write"))
    assert "Not so: The account is active" in said


# Words


def test_every_permission_of_ours_has_words() -> None:
    assert set(permissions_in_words.known()) == set(declaration.shipped().permissions)


def test_every_condition_has_words() -> None:
    from idp.organizations import explain

    source = explain.__loader__.get_source("idp.organizations.explain")  # type: ignore[union-attr]
    named = set(re.findall(r'fact="?([a-z ]+)"|"(granted|expires|begins|team|group|reaches|owns|enters)"', source))
    standing = {says for _, says, _ in (*explain._OF_PERSONS, *explain._OF_ORGANIZATIONS, *explain._OF_ACCOUNTS)}
    assert {one for pair in named for one in pair if one and one != "says"} | standing <= reasons_in_words.facts()


# Thousands

MANY, FEW = 5_000, 3


@pytest.fixture
def shopkeepers(acme: Flask) -> dict[int, str]:
    """Somebody who is a developer on each of 5,000 accounts, and somebody with three: their usernames."""

    def keeper(number: int, *, by: object) -> str:
        name = f"keeper{number}"
        users.create(UserSettings(name), id=f"usr_{name}", by=OPERATOR)
        settings = OrganizationSettings(name, name)
        there = organizations.found(settings, actors.OLIVIA.id, by=OPERATOR).id
        member = memberships.add(there, NewMember(f"usr_{name}"), by=OPERATOR)
        wanted = [NewAccount(AccountSettings(f"a{one:04}", f"A{one:04}", "DE"), True) for one in range(number)]
        ids = list(accounts.open_many(there, wanted, by=OPERATOR))
        everywhere = scopes.of_accounts(there, ids)
        grantee = grants.Grantee("member", member.id)
        grants.grant_many([Wanted(grantee, "developer", scope) for scope in everywhere], by=OPERATOR)
        return name

    return {number: act(keeper, number) for number in (MANY, FEW)}


def test_five_thousand_accounts_cost_as_many_statements_as_three_and_are_leafed_through(
    acme: Flask, shopkeepers: dict[int, str]
) -> None:
    spent = {}
    for number, name in reversed(shopkeepers.items()):
        browser = browser_of(acme, name)
        browser.get(PATH)
        with counting() as statements:
            page = browser.get(f"{PATH}?may=permission:payments.write&place=a0001")
        assert page.status == 200
        assert "Yes: " in text_of(page)
        spent[number] = len(statements)
    assert spent[MANY] == spent[FEW] <= 30, spent
    page = ask(browser_of(acme, shopkeepers[MANY]))
    assert "A0024" in page.text
    assert "A0025" not in page.text
    (more,) = [link["href"] for link in page.links if link.get("id") == "next"]
    assert "A0025" in browser.get(more).text
    found = ask(browser, q="a49")
    assert ("A4900" in found.text, "A0001" in found.text) == (True, False)
    assert "No account of yours is called so." in ask(browser, q="zz").text
