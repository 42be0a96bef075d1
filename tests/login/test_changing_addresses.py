"""Addresses that people change themselves: nobody has one that does not reach them; who reads the old one undoes it."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import time_machine
from flask import Flask
from time_machine import Traveller

from idp.audit.trail import Actor
from idp.credentials import not_me
from idp.credentials.mailed_links import LinkVoid
from idp.login import asking_addresses, changing_addresses, disowning, everywhere, identifiers, undoing_addresses
from idp.login.asking import TooManyLetters
from idp.login.asking_addresses import TooManyAddresses
from idp.login.changing_addresses import LastAddress, StillPrimary
from idp.organizations import proven_addresses
from idp.platform import clock, database
from idp.platform.errors import Invalid, Refusal
from idp.platform.outbox import Letter
from idp.sessions import browsers, people
from idp.sessions.proofs import Proof
from idp.users import addresses, leaving, lifecycle, users
from idp.users.users import UserSettings
from tests.login.conftest import made
from tests.mailboxes import letters
from tests.traces import OPERATOR, events

WEEK = 7 * clock.DAY // clock.SECOND
OLD, NEW, OTHER = "olivia@northwind.test", "new@example.com", "other@example.com"


@pytest.fixture
def clockwork(app: Flask) -> Iterator[Traveller]:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        yield clockwork  # type: ignore[misc]


@pytest.fixture
def olivia(app: Flask) -> str:
    return made("olivia", email=OLD, given_name="Olivia", family_name="Lund")


@pytest.fixture
def bob(app: Flask) -> str:
    return made("bob", email="bob@northwind.test")


def ask(user_id: str, text: str, *, is_change: bool = False) -> str:
    """Ask for an address, and the token of the letter that is mailed; empty where none is that proves anything."""
    before = letters()
    with database.writing():
        asking_addresses.ask(user_id, text, is_change=is_change, by=Actor("user", user_id))
    posted = [one for one in letters() if one not in before and one.template == "verify"]
    return token_of(*posted) if posted else ""


def token_of(letter: Letter) -> str:
    return letter.path.rpartition("/")[2]


def confirm(token: str) -> None:
    with database.writing():
        changing_addresses.confirm(token)


def undo(token: str) -> None:
    with database.writing():
        undoing_addresses.undo(token)


def undoing(to: str) -> str:
    """The token of the last letter to that address that undoes something."""
    return token_of([one for one in letters(to) if one.template == "undo"][-1])


def held(user_id: str) -> dict[str, str]:
    """Each address of the person: `primary`, `counts`, `unproven`; with `leaving` where it is."""
    database.session().rollback()
    found = {}
    for one in addresses.of(user_id):
        state = "primary" if one.is_primary else "counts" if proven_addresses.counts(one) else "unproven"
        found[one.address] = state + (" leaving" if one.leaves_at else "")
    return found


def recovers(user_id: str) -> list[str]:
    database.session().rollback()
    return [one.address for one in proven_addresses.recovering(user_id)]


def signed_in(user_id: str) -> str:
    """The id of a session of the person."""
    with database.writing():
        browser, _ = browsers.begin()
        return people.open_session(browser, user_id, (Proof("password", clock.now()),))[0].id


@pytest.mark.rule("RST-05")
def test_another_address_counts_once_it_is_proven_and_recovers_after_a_week(olivia: str, clockwork: Traveller) -> None:
    token = ask(olivia, NEW)
    assert held(olivia) == {OLD: "primary"}
    assert identifiers.person(NEW) is None
    confirm(token)
    assert held(olivia) == {OLD: "primary", NEW: "counts"}
    assert identifiers.person(NEW) == olivia
    assert recovers(olivia) == [OLD]
    clockwork.shift(WEEK)
    assert recovers(olivia) == [OLD, NEW]


@pytest.mark.rule("RST-05")
def test_a_changed_address_stays_for_a_week_and_then_counts_for_nothing(olivia: str, clockwork: Traveller) -> None:
    confirm(ask(olivia, NEW, is_change=True))
    assert held(olivia) == {NEW: "primary", OLD: "counts leaving"}
    assert [one.template for one in letters(OLD)] == ["undo"]
    assert letters(OLD)[0].facts == {"what": "changed", "new_address": NEW}
    clockwork.shift(WEEK - 1)
    assert (recovers(olivia), identifiers.person(OLD)) == ([OLD], olivia)
    clockwork.shift(1)
    assert (recovers(olivia), identifiers.person(OLD), held(olivia)) == ([NEW], None, {NEW: "primary"})
    with database.writing():
        assert (leaving.clear_away(), leaving.clear_away()) == (1, 0)
    assert "user.address.removed" in events(olivia)


@pytest.mark.rule("RST-05", "RST-01")
@pytest.mark.parametrize("how", ["not me", "recovered"])
def test_what_a_thief_asked_for_is_void_once_everybody_is_signed_out(olivia: str, how: str) -> None:
    thiefs = ask(olivia, NEW)
    with database.writing():
        if how == "not me":
            disowning.disown(not_me.path(olivia, OLD, OLD).rpartition("/")[2])
        else:
            everywhere.sign_out(olivia, because="password_changed", by=OPERATOR)
    with pytest.raises(LinkVoid):
        confirm(thiefs)
    assert held(olivia) == {OLD: "primary"}


@pytest.mark.rule("RST-05")
def test_whoever_reads_the_old_address_undoes_the_change(olivia: str, clockwork: Traveller) -> None:
    with database.writing():
        users.reconfigure(users.find(olivia), UserSettings(OLD), by=OPERATOR)
    confirm(ask(olivia, NEW, is_change=True))
    assert users.find(olivia).username == NEW
    clockwork.shift(WEEK - 1)
    pending, session_id = ask(olivia, OTHER), signed_in(olivia)
    token = undoing(OLD)
    undo(token)
    assert held(olivia) == {OLD: "primary"}
    assert (recovers(olivia), identifiers.person(NEW), users.find(olivia).username) == ([OLD], None, OLD)
    assert session_id not in [one.id for one in people.of_person(olivia)]
    for void in (lambda: confirm(pending), lambda: undo(token)):
        with pytest.raises(LinkVoid):
            void()
    assert "user.address.undone" in events(olivia)
    assert [one.path for one in letters(OLD) if one.template == "undone"] == ["/recover"]


@pytest.mark.rule("RST-05")
def test_after_a_week_nobody_undoes_anything(olivia: str, clockwork: Traveller) -> None:
    confirm(ask(olivia, OTHER))
    added = undoing(OLD)
    clockwork.shift(1)
    confirm(ask(olivia, NEW, is_change=True))
    with database.writing():
        changing_addresses.keep(olivia, OLD, by=OPERATOR)
    clockwork.shift(WEEK)
    for token in (added, undoing(OLD), undoing(OTHER)):
        with pytest.raises(LinkVoid):
            undo(token)
    assert held(olivia) == {NEW: "primary", OLD: "counts", OTHER: "counts"}


@pytest.mark.rule("RST-05")
def test_one_letter_undoes_everything_that_came_after_it(olivia: str, clockwork: Traveller) -> None:
    confirm(ask(olivia, NEW))
    first = undoing(OLD)
    clockwork.shift(60)
    confirm(ask(olivia, OTHER, is_change=True))
    clockwork.shift(60)
    undo(first)
    assert held(olivia) == {OLD: "primary"}
    with pytest.raises(LinkVoid):
        undo(undoing(NEW))


@pytest.mark.rule("RST-05")
def test_a_young_address_that_is_undone_into_waits_anew_and_the_old_ones_are_told(
    olivia: str, clockwork: Traveller
) -> None:
    confirm(ask(olivia, NEW, is_change=True))
    clockwork.shift(3 * WEEK // 7)
    confirm(ask(olivia, OTHER, is_change=True))
    clockwork.shift(5 * WEEK // 7)
    assert (recovers(olivia), held(olivia)) == ([], {OTHER: "primary", NEW: "counts leaving"})
    undo(undoing(NEW))
    assert (recovers(olivia), held(olivia)) == ([], {NEW: "primary"})
    clockwork.shift(WEEK)
    assert recovers(olivia) == [NEW]


@pytest.mark.rule("RST-06")
def test_a_link_gives_the_address_that_it_was_mailed_to_and_no_other(olivia: str, bob: str) -> None:
    first, second = ask(olivia, NEW, is_change=True), ask(olivia, OTHER, is_change=True)
    confirm(second)
    assert held(olivia) == {OTHER: "primary", OLD: "counts leaving"}
    confirm(first)
    assert held(olivia) == {OTHER: "primary", NEW: "counts", OLD: "counts leaving"}
    for token in (first, second, "clink_none"):
        with pytest.raises(LinkVoid):
            confirm(token)
    assert held(bob) == {"bob@northwind.test": "primary"}


@pytest.mark.rule("RST-06")
def test_a_newer_link_for_the_same_address_ends_the_older_one(olivia: str, bob: str) -> None:
    older, others = ask(olivia, NEW), ask(bob, NEW)
    with database.writing():
        asking_addresses.ask_again(olivia, NEW.upper(), by=OPERATOR)
    with pytest.raises(LinkVoid):
        confirm(older)
    confirm(others)
    assert held(bob)[NEW] == "counts"
    with pytest.raises(LinkVoid), database.writing():
        asking_addresses.ask_again(olivia, OTHER, by=OPERATOR)


def test_a_link_that_is_too_old_or_given_up_proves_nothing(olivia: str, clockwork: Traveller) -> None:
    old = ask(olivia, NEW)
    clockwork.shift(24 * 3600)
    given_up = ask(olivia, OTHER)
    with database.writing():
        asking_addresses.give_up(olivia, OTHER)
    for token in (old, given_up):
        with pytest.raises(LinkVoid):
            confirm(token)
    assert (held(olivia), asking_addresses.pending(olivia)) == ({OLD: "primary"}, [])


# Addresses of somebody else


@pytest.mark.rule("LOG-03")
def test_who_has_an_address_already_is_told_by_mail_alone(olivia: str, bob: str) -> None:
    assert ask(olivia, "Bob@northwind.test") == ""
    (letter,) = letters("bob@northwind.test")
    assert (letter.template, letter.path, dict(letter.facts)) == ("address_known", "/login", {})
    assert ask(olivia, NEW)
    shown = [(one.address, one.replaces) for one in asking_addresses.pending(olivia)]
    assert shown == [("Bob@northwind.test", ""), (NEW, "")]
    assert [name for name in events(olivia) if name == "user.address.asked"] == ["user.address.asked"] * 2


@pytest.mark.rule("LOG-03")
def test_a_link_for_an_address_that_somebody_else_proved_meanwhile_is_void(olivia: str, bob: str) -> None:
    mine, theirs = ask(olivia, NEW), ask(bob, NEW)
    confirm(theirs)
    with pytest.raises(LinkVoid):
        changing_addresses.opened(mine)
    with pytest.raises(LinkVoid):
        confirm(mine)
    assert (held(olivia), held(bob)[NEW]) == ({OLD: "primary"}, "counts")


@pytest.mark.rule("LNK-04")
def test_an_address_that_its_holder_never_proved_is_its_readers(olivia: str, bob: str) -> None:
    with database.writing():
        addresses.add(users.find(bob), NEW, by=OPERATOR)
        users.reconfigure(users.find(bob), UserSettings(NEW), by=OPERATOR)
    confirm(ask(olivia, NEW))
    assert (held(olivia)[NEW], held(bob)) == ("counts", {"bob@northwind.test": "primary"})
    assert (identifiers.person(NEW), users.find(bob).username) == (olivia, bob)


@pytest.mark.rule("RST-02")
@pytest.mark.parametrize(
    ("typed", "to"),
    [
        ("\uff2eew@example.com", "new@example.com"),
        ("NEW@Example.COM", "NEW@example.com"),
        ("stra\u00dfe@example.com", "strasse@example.com"),
    ],
)
def test_what_is_proven_is_what_the_letter_went_to(olivia: str, typed: str, to: str) -> None:
    with database.writing():
        asking_addresses.ask(olivia, typed, by=OPERATOR)
    assert [one.to for one in letters()] == [to]


@pytest.mark.parametrize(
    "text", ["", "x", "a@b", "a@example.com,b@example.com", "a@example.com\r\nBcc: b@example.com", OLD]
)
@pytest.mark.rule("RST-02")
def test_what_is_no_address_or_an_own_one_gets_no_letter(olivia: str, text: str) -> None:
    with pytest.raises(Invalid), database.writing():
        asking_addresses.ask(olivia, text, by=OPERATOR)
    assert letters() == []


# Limits


@pytest.mark.rule("LOG-07")
def test_letters_are_asked_for_only_so_often(olivia: str, bob: str) -> None:
    for number in range(asking_addresses.LETTERS_TO_A_MAILBOX + 2):
        with database.writing():
            asking_addresses.ask(olivia, NEW, by=OPERATOR)
        assert len(letters(NEW)) == min(number + 1, asking_addresses.LETTERS_TO_A_MAILBOX)
    for number in range(asking_addresses.LETTERS_OF_A_PERSON - asking_addresses.LETTERS_TO_A_MAILBOX - 2):
        ask(olivia, f"n{number}@example.com")
    with pytest.raises(TooManyLetters):
        ask(olivia, OTHER)
    assert ask(bob, OTHER)


def test_nobody_has_more_addresses_than_a_page_can_show(olivia: str) -> None:
    with database.writing():
        for number in range(asking_addresses.MOST - 2):
            addresses.add(users.find(olivia), f"n{number}@example.com", by=OPERATOR)
    ask(olivia, NEW)
    with pytest.raises(TooManyAddresses):
        ask(olivia, OTHER)
    assert ask(olivia, NEW)


# Making primary, removing


def test_an_address_that_is_removed_leaves_in_a_week_unless_it_is_kept(olivia: str, clockwork: Traveller) -> None:
    confirm(ask(olivia, NEW))
    by = Actor("user", olivia)
    for refusal, address in ((StillPrimary, OLD),):
        with pytest.raises(refusal), database.writing():
            changing_addresses.remove(olivia, address, by=by)
    clockwork.shift(60)
    with database.writing():
        changing_addresses.make_primary(olivia, NEW, by=by)
    with database.writing():
        changing_addresses.remove(olivia, OLD, by=by)
    assert held(olivia) == {NEW: "primary", OLD: "counts leaving"}
    with pytest.raises(LastAddress), database.writing():
        changing_addresses.remove(olivia, NEW, by=by)
    assert sorted(str(one.facts["what"]) for one in letters(OLD)) == ["added", "primary", "removed"]
    with database.writing():
        changing_addresses.keep(olivia, OLD, by=by)
    clockwork.shift(2 * WEEK)
    assert held(olivia) == {NEW: "primary", OLD: "counts"}


def test_an_unproven_address_goes_at_once_and_the_username_with_it(olivia: str) -> None:
    with database.writing():
        addresses.add(users.find(olivia), NEW, by=OPERATOR)
        users.reconfigure(users.find(olivia), UserSettings(NEW), by=OPERATOR)
    with database.writing():
        changing_addresses.remove(olivia, NEW, by=OPERATOR)
    assert (held(olivia), users.find(olivia).username) == ({OLD: "primary"}, OLD)


def test_a_first_address_that_is_proven_recovers_at_once_and_is_primary(app: Flask) -> None:
    nina = made("nina")
    confirm(ask(nina, NEW))
    assert (held(nina), recovers(nina)) == ({NEW: "primary"}, [NEW])
    otto = made("otto")
    with database.writing():
        addresses.add(users.find(otto), OTHER, by=OPERATOR)
    confirm(ask(otto, "otto@example.com"))
    assert (held(otto), recovers(otto)) == ({"otto@example.com": "primary", OTHER: "unproven"}, ["otto@example.com"])


@pytest.mark.rule("PWD-07")
def test_who_is_told_of_a_change_is_whoever_had_the_account_before_it(olivia: str, clockwork: Traveller) -> None:
    def told() -> list[str]:
        database.session().rollback()
        return [one.address for one in proven_addresses.told(olivia)]

    assert told() == [OLD]
    confirm(ask(olivia, OTHER))
    assert told() == [OLD]
    confirm(ask(olivia, NEW, is_change=True))
    assert told() == [NEW, OLD]
    clockwork.shift(WEEK)
    assert told() == [NEW]


def test_a_disabled_person_neither_proves_nor_undoes(olivia: str) -> None:
    confirm(ask(olivia, NEW, is_change=True))
    token, back = ask(olivia, OTHER), undoing(OLD)
    with database.writing():
        lifecycle.disable(users.find(olivia), by=OPERATOR)
    for act in (lambda: confirm(token), lambda: undo(back)):
        with pytest.raises(LinkVoid):
            act()


# At once


def together(app: Flask, *acts: Callable[[], None]) -> list[str]:
    """What becomes of each of these that begin at the same time: `done`, or the refusal."""
    begin = threading.Barrier(len(acts))

    def run(act: Callable[[], None]) -> str:
        with app.app_context():
            begin.wait()
            try:
                act()
            except Refusal as refusal:
                return refusal.code
            finally:
                database.db.session.remove()
            return "done"

    with ThreadPoolExecutor(len(acts)) as several:
        return list(several.map(run, acts))


@pytest.mark.rule("LOG-05")
def test_whoever_has_letters_sent_to_a_mailbox_keeps_nobody_elses_from_it(olivia: str, bob: str) -> None:
    assert [bool(ask(bob, NEW)) for _ in range(6)] == [True] * 5 + [False]
    confirm(ask(olivia, NEW))
    assert held(olivia) == {OLD: "primary", NEW: "counts"}


@pytest.mark.rule("RST-05")
def test_an_address_that_is_undone_is_told_so(olivia: str) -> None:
    """Whoever reads the old one may be why it was changed."""
    confirm(ask(olivia, NEW, is_change=True))
    undo(undoing(OLD))
    told = letters(NEW)[-1]
    assert (told.template, told.facts["address"]) == ("address_removed", NEW)


@pytest.mark.rule("RST-06")
def test_of_confirmations_at_once_one_counts(app: Flask, olivia: str, bob: str) -> None:
    same = ask(olivia, NEW, is_change=True)
    assert sorted(together(app, *[lambda: confirm(same)] * 4)) == ["done", "link_void", "link_void", "link_void"]
    assert held(olivia) == {NEW: "primary", OLD: "counts leaving"}
    mine, theirs = ask(olivia, OTHER), ask(bob, OTHER)
    assert sorted(together(app, lambda: confirm(mine), lambda: confirm(theirs))) == ["done", "link_void"]
    assert [OTHER in held(olivia), OTHER in held(bob)].count(True) == 1


@pytest.mark.rule("RST-05")
@pytest.mark.rule("RST-06")
def test_changes_and_their_undoing_at_once_leave_the_old_address(app: Flask, olivia: str) -> None:
    confirm(ask(olivia, NEW, is_change=True))
    second, back = ask(olivia, OTHER, is_change=True), undoing(OLD)
    answers = together(app, lambda: confirm(second), lambda: undo(back))
    assert answers[1] == "done"
    assert held(olivia) == {OLD: "primary"}


@pytest.mark.rule("RST-06")
def test_two_changes_at_once_are_both_what_they_were_asked_for(app: Flask, olivia: str) -> None:
    first, second = ask(olivia, NEW, is_change=True), ask(olivia, OTHER, is_change=True)
    assert together(app, lambda: confirm(first), lambda: confirm(second)) == ["done", "done"]
    assert sorted(held(olivia).values()) == ["counts", "counts leaving", "primary"]
    assert held(olivia)[OLD] == "counts leaving"


@pytest.mark.rule("LNK-04")
def test_whoever_asks_anew_keeps_the_link_that_works_where_no_other_can_be_mailed(
    clockwork: Traveller, olivia: str
) -> None:
    mine = ask(olivia, NEW)
    for number in range(asking_addresses.LETTERS_TO_A_MAILBOX + 1):
        ask(made(f"thief{number}"), NEW)
    before = len(letters(NEW))
    with database.writing():
        asking_addresses.ask_again(olivia, NEW, by=Actor("user", olivia))
    assert len(letters(NEW)) == before
    confirm(mine)
    assert NEW in held(olivia)
