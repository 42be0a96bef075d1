"""`/me/delete`: somebody goes, for good: who may, what ends, and what a second click hears."""

import pytest
from flask import Flask
from sqlalchemy import select
from time_machine import Traveller

from idp.clients.clients import ClientContext
from idp.credentials import factors, passwords
from idp.login import departing
from idp.oauth import authorizations
from idp.oauth.models import Authorization
from idp.organizations import domains, memberships, organizations, own_memberships, ownership
from idp.platform import database
from idp.platform.errors import Conflict, Refusal
from idp.sessions import people
from idp.users import addresses, lifecycle, operators, users
from tests.actors import Page
from tests.mailboxes import letters, only
from tests.me.conftest import LATER
from tests.me.own import browser_of
from tests.oauth.actors import Browser, relying_party
from tests.organizations import actors
from tests.organizations.actors import ACME, act, at_once, state
from tests.phones import given_to
from tests.proving import step_up
from tests.traces import OPERATOR, entries

PATH = "/me/delete"


def delete(browser: Browser, username: str = "vera") -> Page:
    return browser.send(browser.get(PATH), "delete-submit", username=username)


def is_there(user_id: str) -> bool:
    database.session().rollback()
    return not lifecycle.is_deleted(user_id)


def test_the_page_says_what_ends_and_what_stays(acme: Flask) -> None:
    page = browser_of(acme, "vera").get(PATH)
    assert (page.status, page.name, page.heading) == (200, "me", "Delete my account")
    for words in ("You are signed out everywhere", "Acme", "Birch", "What stays", "A last letter", "Download my data"):
        assert words in page.text


@pytest.mark.rule("SES-07")
def test_everything_ends_at_once(acme: Flask) -> None:
    browser, elsewhere = browser_of(acme, "vera"), browser_of(acme, "vera", "203.0.113.9")
    shop = relying_party(acme, "shop", first_party=True, context=ClientContext("organization"))
    browser.get(shop.authorize_url(organization="birch", scope="openid offline_access"))
    given_to("usr_vera")
    step_up(browser, "usr_vera", "password", "totp")
    cookie = browser.cookie()
    page = delete(browser)
    assert (page.path, page.name, page.heading) == ("/me/deleted", "logged-out", "Your account is deleted")
    assert browser.cookie() != cookie
    assert {one.get("/me").name for one in (browser, elsewhere)} == {"login"}
    database.session().rollback()
    assert people.of_person("usr_vera") == []
    assert addresses.of("usr_vera") == []
    assert not passwords.stored("usr_vera")
    assert factors.of("usr_vera") == []
    assert own_memberships.of("usr_vera") == []
    (authorization,) = database.session().scalars(select(Authorization.id))
    assert authorizations.find_live(authorization) is None
    (gone,) = [one for one in entries("usr_vera") if one.event == "user.deleted"]
    assert (gone.actor_kind, gone.actor_id) == ("user", "usr_vera")
    assert browser.send(browser.get("/login"), "username", username="vera").name == "password"
    with database.writing():
        users.create(users.UserSettings("vera"), email="vera@example.com", verified=True, by=OPERATOR)


def test_a_last_letter_is_written_in_the_persons_language(acme: Flask) -> None:
    act(users.reconfigure, users.find("usr_vera"), users.UserSettings("vera", {"locale": "fr"}))
    delete(browser_of(acme, "vera"))
    letter = only("vera@example.com", "deleted")
    assert (letter.language, letter.facts["username"], letter.path) == ("fr", "vera", "")


def test_no_letter_goes_to_an_address_that_does_not_count(acme: Flask) -> None:
    with database.writing():
        proven = domains.claim(ACME, "example.com", by=OPERATOR)
        domains.confirm(ACME, proven.id, by=OPERATOR)
        memberships.remove(ACME, "mem_vera", by=OPERATOR)
    delete(browser_of(acme, "vera"))
    assert not is_there("usr_vera")
    assert letters() == []


@pytest.mark.parametrize("typed", ["", "vera2", "vera@example.com", "usr_vera", "vera" * 1000, "\u202evera"])
def test_whoever_types_something_else_is_asked_again(acme: Flask, typed: str) -> None:
    browser = browser_of(acme, "vera")
    page = delete(browser, typed)
    assert (page.status, page.alerts, page.title) == (422, 1, "Error: Delete my account - Canopy")
    assert (is_there("usr_vera"), letters()) == (True, [])


@pytest.mark.parametrize("typed", ["Vera", " vera "])
def test_the_username_counts_however_it_is_spelled(acme: Flask, typed: str) -> None:
    delete(browser_of(acme, "vera"), typed)
    assert not is_there("usr_vera")


@pytest.mark.rule("TOT-08")
def test_it_takes_a_fresh_proof(app: Flask, acme: Flask, clockwork: Traveller) -> None:
    browser = browser_of(acme, "vera")
    page = browser.get(PATH)
    clockwork.shift(LATER)
    assert browser.get(PATH).name == "password"
    assert browser.send(page, "delete-submit", username="vera").name == "password"
    assert is_there("usr_vera")


@pytest.mark.rule("TOT-08")
def test_a_proof_of_a_lower_level_will_not_do(acme: Flask) -> None:
    browser = browser_of(acme, "vera")
    page = browser.get(PATH)
    given_to("usr_vera")
    assert browser.send(page, "delete-submit", username="vera").name == "otp"
    assert is_there("usr_vera")


# What stands in the way


@pytest.mark.rule("ORG-04")
def test_an_owner_is_told_of_what_and_what_to_do(acme: Flask) -> None:
    browser = browser_of(acme, "vera")
    page = browser.get(PATH)
    act(ownership.transfer, ACME, "mem_vera")
    asked = browser.get(PATH)
    assert "Transfer the ownership" in asked.text
    assert not any(form.buttons and form.buttons[0].get("id") == "delete-submit" for form in asked.forms)
    refused = browser.send(page, "delete-submit", username="vera")
    assert (refused.status, "Acme" in refused.text, is_there("usr_vera")) == (409, True, True)


@pytest.mark.rule("ORG-04")
def test_nobody_becomes_owner_and_is_deleted_at_once(acme: Flask) -> None:
    def become() -> object:
        with database.writing():
            return ownership.transfer(ACME, "mem_vera", by=OPERATOR)

    def depart() -> object:
        with database.writing():
            memberships.lock_homes("usr_vera")
            return departing.depart("usr_vera", "vera", by=actors.VERA)

    outcomes = at_once(acme, become, depart)
    assert sum(isinstance(one, Refusal) for one in outcomes) == 1
    database.session().rollback()
    assert is_there("usr_vera") is isinstance(outcomes[1], Conflict)


def test_whoever_owned_a_closed_organization_may_go(acme: Flask) -> None:
    with database.writing():
        founded = organizations.found(organizations.OrganizationSettings("old", "Old"), "usr_vera", by=OPERATOR)
        organizations.close(founded.id, by=OPERATOR)
    delete(browser_of(acme, "vera"))
    assert not is_there("usr_vera")


def test_whose_address_an_organization_manages_leaves_it_first(acme: Flask) -> None:
    with database.writing():
        proven = domains.claim(ACME, "example.com", by=OPERATOR)
        domains.confirm(ACME, proven.id, by=OPERATOR)
        addresses.add(users.find("usr_vera"), "vera@home.test", verified=True, by=OPERATOR)
    browser = browser_of(acme, "vera")
    page = browser.get(PATH)
    assert "Its people are its to manage: leave it first." in page.text
    before = state()["users"]
    form = browser.get("/me/organizations/acme/leave").form("leave-submit")
    sent = browser._ask("POST", PATH, data=form.fields | {"username": "vera"})
    assert (sent.status_code, state()["users"] == before) == (409, True)
    browser.send(browser.get("/me/organizations/acme/leave"), "leave-submit")
    delete(browser)
    assert not is_there("usr_vera")


def test_an_operator_gives_the_post_up_first(acme: Flask) -> None:
    with database.writing():
        operators.add(users.find("usr_vera"), by=OPERATOR)
    page = browser_of(acme, "vera").get(PATH)
    assert "You are an operator of this service" in page.text
    with pytest.raises(departing.StillOperates), database.writing():
        departing.depart("usr_vera", "vera", by=actors.VERA)


# Twice


def test_a_second_click_hears_that_it_is_done(acme: Flask) -> None:
    browser = browser_of(acme, "vera")
    page, cookie = browser.get(PATH), browser.cookie()
    first = browser.send(page, "delete-submit", username="vera")
    again = browser.send(page, "delete-submit", username="vera")
    browser.put_cookie(cookie)
    with_the_old_cookie = browser.send(page, "delete-submit", username="vera")
    assert {one.heading for one in (first, again, with_the_old_cookie)} == {"Your account is deleted"}
    assert [one.event for one in entries("usr_vera")].count("user.deleted") == 1
    assert len(letters("vera@example.com")) == 1


def test_two_clicks_at_once_delete_once(acme: Flask) -> None:
    browser = browser_of(acme, "vera")
    page, cookie = browser.get(PATH), browser.cookie()

    def click() -> Page:
        own = Browser(acme)
        own.put_cookie(cookie)
        return own.send(page, "delete-submit", username="vera")

    pages = at_once(acme, click, click)
    assert [one.heading for one in pages if isinstance(one, Page)] == ["Your account is deleted"] * 2
    assert [one.event for one in entries("usr_vera")].count("user.deleted") == 1


@pytest.mark.rule("SES-04")
def test_a_form_of_nobodys_making_is_refused_as_everywhere(acme: Flask) -> None:
    browser, other = browser_of(acme, "vera"), browser_of(acme, "nick")
    form = browser.get(PATH).form("delete-submit")
    for fields in ({}, form.fields, form.fields | {"person": "usr_nick"}, {"person": "usr_nick", "signed": "x"}):
        sent = other._ask("POST", PATH, data=fields | {"username": "nick"})
        assert (sent.status_code, "out of date" in sent.text) == (403, True)
    assert is_there("usr_nick")
    assert is_there("usr_vera")


def test_the_page_that_says_so_says_it_to_whoever_did_it_alone(acme: Flask) -> None:
    browser = browser_of(acme, "nick")
    delete(browser_of(acme, "vera"))
    for query in ("", "?person=usr_vera", "?person=usr_vera&signed=x", "?person=usr_nick&signed=x"):
        assert browser.get(f"/me/deleted{query}").heading != "Your account is deleted"


def test_others_in_the_same_browser_stay_signed_in(acme: Flask) -> None:
    browser = browser_of(acme, "nick")
    with database.writing():
        passwords.store("usr_vera", passwords.stored("usr_nick") or "", by=OPERATOR)
    page = browser.send(browser.get("/login"), "username", username="vera")
    browser.send(page, "password", password="correct horse battery staple")
    delete(browser)
    assert browser.get("/me").heading == "nick"
