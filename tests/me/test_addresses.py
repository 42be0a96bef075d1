"""`/me/addresses`, and the pages behind the letters: addresses are changed by who has just proven who they are."""

import re

import pytest
from flask import Flask
from time_machine import Traveller

from idp.login import asking_addresses
from idp.organizations import domains, memberships, organizations
from idp.organizations.memberships import NewMember
from idp.organizations.organizations import OrganizationSettings
from idp.platform import database
from idp.users import addresses, users
from tests.actors import GOOD, Browser, Page
from tests.login.conftest import made
from tests.login.test_changing_addresses import NEW, OLD, WEEK, held
from tests.mailboxes import letters, only
from tests.me.conftest import LATER
from tests.traces import OPERATOR

PATH = "/me/addresses"


def add(browser: Browser, text: str, **values: str) -> Page:
    """Fill in the form and send it."""
    return browser.send(browser.get(PATH), "address-add", act="add", email=text, **values)


def press(browser: Browser, act: str, address: str) -> Page:
    """Press the button beside an address (its id, or its text while it waits to be proven)."""
    page = browser.get(PATH)
    page.forms = [
        form
        for form in page.forms
        if form.fields.get("address") == address and any(one.get("value") == act for one in form.buttons)
    ]
    assert page.forms, f"{address} has no button to {act}"
    return browser.send(page, "address", act=act)


def id_of(user_id: str, text: str) -> str:
    return addresses.find(user_id, text).id


def link(to: str) -> str:
    return [one for one in letters(to) if one.template == "verify"][-1].path


def test_an_address_is_added_by_the_letter_that_is_mailed_to_it(browser: Browser, olivia: str) -> None:
    browser.sign_in("olivia")
    page = add(browser, NEW)
    assert (page.path, "Waits for you" in page.text, held(olivia)) == (PATH, True, {OLD: "primary"})
    page = browser.get(link(NEW))
    assert (page.name, page.heading, "Olivia Lund" in page.text) == ("verify", "Confirm your e-mail address", True)
    assert page.response.headers["Referrer-Policy"] == "no-referrer"
    assert held(olivia) == {OLD: "primary"}
    page = browser.send(page, "verify-submit")
    assert (page.path, "The address is confirmed." in page.text) == ("/me", True)
    assert held(olivia) == {OLD: "primary", NEW: "counts"}


def test_an_address_is_changed_and_the_old_one_undoes_it(
    app: Flask, browser: Browser, other: Browser, olivia: str, clockwork: Traveller
) -> None:
    browser.sign_in("olivia")
    add(browser, NEW, change="1")
    browser.send(browser.get(link(NEW)), "verify-submit")
    assert held(olivia) == {NEW: "primary", OLD: "counts leaving"}
    assert "Leaving" in browser.get("/me").text
    clockwork.shift(WEEK // 2)
    path = only(OLD, "undo").path
    page = other.get(path)
    assert (page.name, page.heading, NEW in page.text) == ("recover", "Undo the change of your address", False)
    assert held(olivia)[NEW] == "primary"
    page = other.send(page, "undo-submit")
    assert (page.heading, [one["href"] for one in page.links if one.get("id")]) == (
        "The change was undone",
        ["/recover"],
    )
    assert held(olivia) == {OLD: "primary"}
    assert browser.get("/me").name == "login"
    assert other.get(page.address).heading == "The change was undone"
    assert other.get(path).body["data-error"] == "link_void"
    assert browser.get(page.address).body["data-error"] == "link_void"


@pytest.mark.rule("RST-05")
@pytest.mark.parametrize(
    "fields", [{"act": "add", "email": NEW}, {"act": "remove"}, {"act": "primary"}, {"act": "keep"}, {"act": "verify"}]
)
def test_whoever_has_not_just_proven_who_they_are_changes_no_address(
    browser: Browser, olivia: str, clockwork: Traveller, fields: dict[str, str]
) -> None:
    with database.writing():
        addresses.add(users.find(olivia), NEW, verified=True, by=OPERATOR)
    browser.sign_in("olivia")
    form = browser.get(PATH).form("address-add").fields | {"address": id_of(olivia, NEW)}
    clockwork.shift(LATER)
    before = held(olivia)
    assert browser.get(PATH).name == "password"
    page = browser._follow(browser._ask("POST", PATH, data=form | fields))
    assert (page.name, held(olivia), letters(NEW)) == ("password", before, [])
    assert browser.send(page, "password", password=GOOD).path == PATH


@pytest.mark.rule("RST-07")
def test_no_field_of_a_form_verifies_or_takes_an_address(browser: Browser, olivia: str, bob: str) -> None:
    with database.writing():
        addresses.add(users.find(olivia), NEW, by=OPERATOR)
        addresses.add(users.find(bob), "bob@example.com", verified=True, by=OPERATOR)
    browser.sign_in("olivia")
    more = {"email_verified": "true", "verified": "1", "verified_at": "1", "recovers_from": "0", "user_id": olivia}
    sub = {"sub": bob, "username": "root", "claims": '{"email_verified": true}', "phone_number_verified": "true"}
    for path, button in (("/me", "profile-submit"), (PATH, "address-add")):
        page = browser.get(path)
        browser.send(page, button, act="add", email="third@example.com", **more, **sub)
    assert held(olivia) == {OLD: "primary", NEW: "unproven"}
    for stolen in ("primary", "remove", "keep", "verify"):
        page = browser.get(PATH)
        answer = browser.send(page, "address-add", act=stolen, address=id_of(bob, "bob@example.com"))
        assert (answer.status, answer.alerts) == (404, 1)
    assert held(bob) == {"bob@example.com": "primary"}
    assert users.find(olivia).username == "olivia"
    assert "phone_number_verified" not in users.find(olivia).claims
    everything = browser.get(PATH).text + browser.get("/me").text
    for letter in letters():
        assert letter.path.rpartition("/")[2] not in everything


@pytest.mark.rule("RST-04")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_opens_links_on_the_way_changes_nothing(browser: Browser, olivia: str, method: str) -> None:
    browser.sign_in("olivia")
    add(browser, NEW, change="1")
    scanner = browser.client.application.test_client()
    for _ in range(2):
        assert scanner.open(link(NEW), method=method).status_code == 200
    assert held(olivia) == {OLD: "primary"}
    browser.send(browser.get(link(NEW)), "verify-submit")
    for _ in range(2):
        assert scanner.open(only(OLD, "undo").path, method=method).status_code == 200
    assert held(olivia)[NEW] == "primary"


@pytest.mark.rule("LOG-03")
def test_the_page_is_the_same_for_an_address_that_somebody_has(browser: Browser, olivia: str) -> None:
    made("bob", email="bobby@example.com")
    browser.sign_in("olivia")
    told = []
    for text in ("bobby@example.com", "nobod@example.com"):
        page = add(browser, text)
        told.append((page.status, _plain(page.text, text)))
        told.append((200, _plain(press(browser, "again", text).text, text)))
        press(browser, "forget", text)
    assert told[:2] == told[2:]
    assert [one.template for one in letters("bobby@example.com")] == ["address_known"] * 2


def _plain(text: str, address: str) -> str:
    """The page without what differs every time: tokens and times."""
    text = re.sub(r'(name="csrf_token" value|nonce|datetime|signed)="?[^"&>]*', "", text.replace(address, "X"))
    return re.sub(r"<time[^<]*</time>", "", re.sub(r"signed=[^&\"]*", "", text))


def test_the_mistakes_that_people_make_are_told(browser: Browser, olivia: str, clockwork: Traveller) -> None:
    browser.sign_in("olivia")
    for typed, said in (("", "not an e-mail address"), ("nobody", "not an e-mail address"), (OLD, "already")):
        page = add(browser, typed)
        assert (page.status, page.alerts, said in page.text.lower()) == (422, 1, True), typed
        assert f'value="{typed}"' in page.text
    add(browser, NEW)
    page = browser.get(link(NEW))
    assert browser.send(page, "verify-submit").path == "/me"
    assert browser.send(page, "verify-submit").body["data-error"] == "link_void"
    page = browser.send(browser.get(PATH), "address-add", act="remove", address=id_of(olivia, OLD))
    assert (page.status, "Make another one your primary address first." in page.text) == (409, True)
    page = browser.send(browser.get(PATH), "address-add", act="dance", address=OLD)
    assert page.status == 404
    add(browser, "late@example.com")
    clockwork.shift(24 * 3600)
    assert browser.get(link("late@example.com")).body["data-error"] == "link_void"


def test_a_link_works_in_another_persons_browser_and_says_for_whom(
    app: Flask, browser: Browser, other: Browser, olivia: str, bob: str
) -> None:
    browser.sign_in("olivia")
    add(browser, NEW)
    other.sign_in("bob")
    page = other.get(link(NEW))
    assert "You are signed in here as" in page.text
    page = other.send(page, "verify-submit")
    assert (page.heading, [one["href"] for one in page.links if one.get("id")]) == (
        "The address is confirmed",
        ["/login"],
    )
    assert (held(olivia)[NEW], held(bob)) == ("counts", {})
    stranger = Browser(app, "203.0.113.9")
    add(browser, "third@example.com")
    page = stranger.send(stranger.get(link("third@example.com")), "verify-submit")
    assert page.heading == "The address is confirmed"
    assert held(olivia)["third@example.com"] == "counts"


def test_buttons_do_what_they_say(browser: Browser, olivia: str) -> None:
    with database.writing():
        addresses.add(users.find(olivia), NEW, by=OPERATOR)
    browser.sign_in("olivia")
    press(browser, "verify", id_of(olivia, NEW))
    browser.send(browser.get(link(NEW)), "verify-submit")
    assert held(olivia) == {OLD: "primary", NEW: "counts"}
    press(browser, "primary", id_of(olivia, NEW))
    page = press(browser, "remove", id_of(olivia, OLD))
    assert "The address leaves you." in page.text
    assert held(olivia) == {NEW: "primary", OLD: "counts leaving"}
    press(browser, "keep", id_of(olivia, OLD))
    assert held(olivia) == {NEW: "primary", OLD: "counts"}


def test_an_address_that_an_organization_gave_is_not_given_back_while_one_is_there(
    browser: Browser, olivia: str
) -> None:
    otto = made("otto", email="otto@example.com")
    with database.writing():
        organizations.found(OrganizationSettings("northwind", "Northwind"), otto, id="org_northwind", by=OPERATOR)
        domain = domains.claim("org_northwind", "northwind.test", by=OPERATOR)
        domains.confirm("org_northwind", domain.id, by=OPERATOR)
        memberships.add("org_northwind", NewMember(olivia, id="mem_olivia"), by=OPERATOR)
    browser.sign_in("olivia")
    page = browser.get(PATH)
    assert ("Managed by" in page.text, 'value="remove"' in page.text, 'name="change"' in page.text) == (
        True,
        False,
        False,
    )
    add(browser, NEW, change="1")
    browser.send(browser.get(link(NEW)), "verify-submit")
    assert held(olivia) == {NEW: "primary", OLD: "counts"}
    page = browser.send(browser.get(PATH), "address-add", act="remove", address=id_of(olivia, OLD))
    assert (page.status, "belongs to an organization of yours" in page.text) == (409, True)
    with database.writing():
        memberships.remove("org_northwind", "mem_olivia", by=OPERATOR)
    assert "Does not count" in browser.get("/me").text
    page = browser.send(browser.get(PATH), "address-add", act="primary", address=id_of(olivia, OLD))
    assert (page.status, held(olivia)) == (409, {NEW: "primary", OLD: "unproven"})
    assert Browser(browser.client.application).sign_in(OLD).name == "password"
    press(browser, "remove", id_of(olivia, OLD))
    assert held(olivia) == {NEW: "primary"}


def test_letters_are_not_asked_for_without_end(browser: Browser, olivia: str) -> None:
    browser.sign_in("olivia")
    for number in range(asking_addresses.LETTERS_OF_A_PERSON):
        add(browser, f"n{number}@example.com")
    page = add(browser, NEW)
    assert (page.status, page.alerts, page.response.headers["Retry-After"]) == (429, 1, "360")
