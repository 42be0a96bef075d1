"""`/me/activity`: what happened to oneself, in words, without anything about anybody else."""

import re
from collections.abc import Mapping

import pytest
from flask import Flask
from time_machine import Traveller

from idp.audit import trail
from idp.audit.events import EVENTS
from idp.audit.trail import Actor
from idp.login import changing_factors
from idp.me import happenings
from idp.organizations import memberships, teams
from idp.platform import clock, correlation, database
from idp.platform.correlation import Origin
from idp.users import users
from idp.users.users import UserSettings
from tests.actors import Page
from tests.me.own import browser_of, counting
from tests.organizations import actors
from tests.organizations.actors import ACME, OPS, act, give, to
from tests.phones import given_to
from tests.traces import OPERATOR

PATH = "/me/activity"
ELSEWHERE = Origin("R-1", "203.0.113.99", "Mozilla/5.0 (Windows NT 10.0) Firefox/150.0")


def lines(page: Page) -> list[str]:
    """The rows of the table, as people read them."""
    rows = re.findall(r"<tr role=\"row\"><th role=\"rowheader\".*?</tr>", page.text, re.DOTALL)
    return [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row)).strip() for row in rows]


def test_what_one_did_is_told_with_where_and_on_what(acme: Flask) -> None:
    page = browser_of(acme, "vera", "198.51.100.4").get(PATH)
    assert (page.status, page.name, page.heading) == (200, "me", "Activity")
    assert any(line.startswith("You signed in") and "198.51.100.4" in line for line in lines(page))


def test_what_others_did_is_told_without_their_names_and_whereabouts(acme: Flask) -> None:
    with database.writing():
        users.reconfigure(users.find("usr_sam"), UserSettings("sam", {"name": "Samuel Secret"}), by=OPERATOR)
    browser = browser_of(acme, "vera")
    given_to("usr_vera")
    with correlation.working_for(ELSEWHERE):
        give(to(actors.VERA, "refund_analyst"), by=actors.SAM)
        act(teams.add, ACME, OPS, ["mem_vera"], by=actors.SAM)
        act(changing_factors.reset, "usr_vera", "Lost the phone", by=OPERATOR)
    browser = browser_of(acme, "vera")
    said = lines(browser.get(PATH))
    assert any(line.startswith("You got a role") and "An administrator of Acme" in line for line in said)
    assert any(line.startswith("You were put into a team") and "An administrator of Acme" in line for line in said)
    assert any(line.startswith("All your passkeys") and "The people who run this service" in line for line in said)
    assert any(line.startswith("A session ended") and "The people who run this service" in line for line in said)
    text = browser.get(PATH).text
    for secret in ("Samuel", "usr_sam", "ops", "203.0.113.99", "Windows", "Lost the phone"):
        assert secret not in re.sub(r"drops|stops|laptops", "", text), secret


def test_a_stranger_who_tried_is_told_with_where_they_tried(acme: Flask) -> None:
    browser = browser_of(acme, "vera")
    stranger = browser_of(acme, "boris", "203.0.113.50")
    stranger.get("/logout")
    page = stranger.send(stranger.get("/login?login_hint=vera"), "username", username="vera")
    stranger.send(page, "password", password="wrong")
    (tried,) = [line for line in lines(browser.get(PATH)) if line.startswith("Somebody failed")]
    assert "203.0.113.50" in tried
    assert "Nobody knows who" in tried


@pytest.mark.rule("ORG-11")
def test_nothing_is_told_that_happened_to_somebody_else(acme: Flask) -> None:
    sam = browser_of(acme, "sam")
    with database.writing():
        memberships.suspend(ACME, "mem_nick", by=actors.SAM)
        memberships.reactivate(ACME, "mem_nick", by=actors.SAM)
    give(to(actors.NICK, "refund_analyst"), by=actors.SAM)
    browser_of(acme, "nick").get(PATH)
    said = "\n".join(lines(sam.get(PATH)))
    assert "You signed in" in said
    for words in ("refund_analyst", "suspended", "suspension"):
        assert words not in said
    assert "nick" not in said


def test_it_is_narrowed_by_kind_and_leafed_through(acme: Flask) -> None:
    browser = browser_of(acme, "vera")
    for _ in range(30):
        act(users.reconfigure, users.find("usr_vera"), UserSettings("vera", {"name": f"Vera {clock.now()}"}))
    page = browser.get(PATH)
    assert len(lines(page)) == 25
    (older,) = [link["href"] for link in page.links if link.get("id") == "older"]
    rest = browser.get(older)
    assert len(lines(rest)) > 5
    assert "Newest" in rest.text
    assert {line[:13] for line in lines(browser.get(f"{PATH}?kind=signing-in"))} == {"You signed in"}
    assert "There is nothing here." in browser.get(f"{PATH}?kind=applications").text


def test_pages_hold_every_entry_once(acme: Flask) -> None:
    from idp.me.views import activity

    browser_of(acme, "vera")
    for number in range(40):
        act(users.reconfigure, users.find("usr_vera"), UserSettings("vera", {"name": f"Vera {number}"}))
    seen, after = list[str](), None
    while True:
        page = activity.of("usr_vera", after=after, limit=7)
        seen += [one.id for one in page.entries]
        after = page.next
        if after is None:
            break
    whole = [one.id for one in activity.of("usr_vera", limit=500).entries]
    assert seen == whole
    assert len(set(whole)) == len(whole) > 40


@pytest.mark.parametrize("before", ["x", "1", ".", "99999999999999999999.x", "1.%00", "-1.a", "²3.a"])
def test_a_page_that_begins_nowhere_is_no_error(acme: Flask, before: str) -> None:
    browser = browser_of(acme, "vera")
    assert browser.get(f"{PATH}?before={before}&kind=nothing").status in (200, 400)


@pytest.mark.rule("ORG-11")
def test_a_place_in_somebody_elses_trail_leads_into_ones_own(acme: Flask) -> None:
    from idp.me.views import activity

    browser_of(acme, "boris")
    (his,) = activity.of("usr_boris", limit=1).entries
    browser = browser_of(acme, "vera")
    page = browser.get(f"{PATH}?before={his.at + 1}.{his.id}")
    assert page.status == 200
    database.session().rollback()
    mine = {happenings.EVENTS[one.event]() for one in activity.of("usr_vera", limit=500).entries}
    assert all(any(line.startswith(words) for words in mine) for line in lines(page))


def test_what_is_older_than_ninety_days_is_not_shown(app: Flask, acme: Flask, clockwork: Traveller) -> None:
    browser_of(acme, "vera")
    clockwork.shift(91 * 86_400)
    (line,) = lines(browser_of(acme, "vera").get(f"{PATH}?kind=signing-in"))
    assert line.startswith("You signed in")


def test_it_is_told_on_the_clocks_of_the_reader(app: Flask, acme: Flask, clockwork: Traveller) -> None:
    act(users.reconfigure, users.find("usr_vera"), UserSettings("vera", {"zoneinfo": "Asia/Tokyo"}))
    page = browser_of(acme, "vera").get(PATH)
    assert "18 Mar 2030, 02:46:40" in page.text


def test_a_page_costs_the_same_however_much_happened(acme: Flask) -> None:
    spent = []
    for number in (1, 200):
        browser = browser_of(acme, "vera")
        for one in range(number):
            act(users.reconfigure, users.find("usr_vera"), UserSettings("vera", {"name": f"Vera {number} {one}"}))
        browser.get(PATH)
        with counting() as statements:
            assert browser.get(PATH).status == 200
        spent.append(len(statements))
    assert spent[0] == spent[1] <= 15


# Words

_NOT_TOLD: Mapping[str, str] = {"user.deleted": "there is nobody left to read it"}


def test_every_event_about_a_person_has_words() -> None:
    about = re.compile(
        r"(user|session|signin|device|member|team\.member|operator|grant|authorization|consent)\.|tokens\."
    )
    wanted = {event for event in EVENTS if about.match(event)}
    assert wanted - set(happenings.EVENTS) == set(_NOT_TOLD)
    assert set(happenings.EVENTS) <= set(EVENTS)
    assert all(happenings.EVENTS[event]() for event in wanted - set(_NOT_TOLD))


@pytest.mark.rule("AUD-03")
@pytest.mark.parametrize("actor", [Actor("client", "app_x"), Actor("connection", "conn_x"), Actor("system", "canopy")])
def test_programs_are_not_named(acme: Flask, actor: Actor) -> None:
    with database.writing():
        trail.record("user.changed", by=actor, subject="usr_vera", organization=ACME, email="someone@else.test")
    text = "\n".join(lines(browser_of(acme, "vera").get(f"{PATH}?kind=profile")))
    assert actor.id not in text.replace("Canopy", "")
    assert "someone@else.test" not in text
    assert "Your profile was changed" in text
