"""Addresses in any order: one counts for one person at most, for nobody whom it did not reach, and can come back.

Two people, one of whom has the account of the other open at times, three mailboxes that each know their own letters,
and time. What the provider says is compared with what a few sentences about it say.
"""

import itertools
from dataclasses import dataclass, field

import time_machine
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from idp.audit.trail import Actor
from idp.credentials.models import MailedLink
from idp.login import asking_addresses, changing_addresses, identifiers, undoing_addresses
from idp.organizations import proven_addresses
from idp.platform import bearer, clock, database
from idp.platform.errors import Refusal
from idp.platform.outbox import StoredLetter
from idp.users import addresses, leaving
from idp.users.models import Address
from tests.login.conftest import made
from tests.mailboxes import letters

BOXES = ("a@example.com", "b@example.com", "c@example.com")
NUMBERS = itertools.count()
START = 1_900_000_000
WEEK = leaving.STAYS // clock.SECOND


@dataclass
class Walk:
    """What has happened: who proved which mailbox, and the letters that each mailbox has got, by what they do."""

    people: tuple[str, str]
    proven: set[tuple[str, str]] = field(default_factory=set)
    links: list[tuple[str, str, str, str]] = field(default_factory=list)
    seen: int = 0

    def collect(self) -> None:
        """Read what the mailboxes got since last time; whose a link is stands beside its digest."""
        for letter in letters()[self.seen :]:
            self.seen += 1
            if letter.template in ("verify", "undo"):
                token = letter.path.rpartition("/")[2]
                self.links.append((letter.template, token, row_of(token).user_id or "", letter.to))


ACTS = st.one_of(
    st.tuples(st.just("get"), st.integers(0, 1), st.sampled_from(BOXES), st.booleans()),
    st.tuples(st.just("ask"), st.integers(0, 1), st.sampled_from(BOXES), st.booleans()),
    st.tuples(st.just("confirm"), st.integers(0, 7)),
    st.tuples(st.just("undo"), st.integers(0, 7)),
    st.tuples(st.just("primary"), st.integers(0, 1), st.sampled_from(BOXES)),
    st.tuples(st.just("remove"), st.integers(0, 1), st.sampled_from(BOXES)),
    st.tuples(st.just("keep"), st.integers(0, 1), st.sampled_from(BOXES)),
    st.tuples(st.just("wait"), st.sampled_from([1, WEEK // 2, WEEK - 1, WEEK])),
    st.just(("clear",)),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(ACTS, min_size=4, max_size=14))
def test_addresses_in_any_order(app: Flask, acts: list[tuple[object, ...]]) -> None:
    forget()
    with time_machine.travel(START, tick=False) as clockwork:
        walk = Walk((made(f"one{next(NUMBERS)}", email=BOXES[0]), made(f"two{next(NUMBERS)}")))
        walk.proven.add((walk.people[0], BOXES[0]))
        for name, *given in acts:
            clockwork.shift(1)
            if name == "wait":
                clockwork.shift(given[0])
            else:
                one(walk, "ask" if name == "get" else str(name), given)
            if name == "get":
                clockwork.shift(1)  # letters of one instant are in no order
                one(walk, "confirm", [0])
            look(walk)


def one(walk: Walk, name: str, given: list[object]) -> None:
    """Do one thing; a refusal is an answer like any other."""
    try:
        with database.writing():
            if name == "clear":
                leaving.clear_away()
            elif name in ("confirm", "undo"):
                follow(walk, "verify" if name == "confirm" else "undo", given[0])
            else:
                by_hand(walk, name, *given)
    except Refusal:
        return
    finally:
        walk.collect()


def by_hand(walk: Walk, name: str, who: object, box: object, is_change: object = False) -> None:
    user_id, text = walk.people[who], str(box)
    by = Actor("user", user_id)
    if name == "ask":
        asking_addresses.ask(user_id, text, is_change=bool(is_change), by=by)
        return
    acts = {
        "primary": changing_addresses.make_primary,
        "remove": changing_addresses.remove,
        "keep": changing_addresses.keep,
    }
    acts[name](user_id, text, by=by)


def follow(walk: Walk, template: str, number: object) -> None:
    """Press the button behind one of the letters, the youngest being 0; and say what has to be true then."""
    mine = [link for link in reversed(walk.links) if link[0] == template]
    if not mine:
        return
    _, token, user_id, box = mine[number % len(mine)]
    if template == "verify":
        changing_addresses.confirm(token)
        walk.proven.add((user_id, box))
        assert [one.address for one in addresses.of(user_id) if one.address_key == box and one.verified_at]
        return
    undoing_addresses.undo(token)
    (primary,) = [one for one in addresses.of(user_id) if one.is_primary]
    assert (primary.address_key, primary.leaves_at) == (box, None)


def look(walk: Walk) -> None:
    """What is always so. Who has lost an address has to prove it anew."""
    database.session().rollback()
    walk.proven &= {(user_id, box) for user_id in walk.people for box in keys(addresses.of(user_id))}
    for box in BOXES:
        has = [user_id for user_id in walk.people if box in keys(proven_addresses.counting(user_id))]
        assert len(has) <= 1
        assert identifiers.person(box) == (has[0] if has else None)
        assert {(user_id, box) for user_id in has} <= walk.proven
    for user_id in walk.people:
        mine = addresses.of(user_id)
        assert len([one for one in mine if one.is_primary]) == (1 if mine else 0)
        assert keys(proven_addresses.recovering(user_id)) <= keys(proven_addresses.counting(user_id))
        undone = {box for kind, token, whose, box in walk.links if (kind, whose) == ("undo", user_id) and works(token)}
        leaving_now = [one for one in mine if one.leaves_at is not None]
        assert keys(leaving_now) <= undone <= keys(mine)
        assert not any(one.is_primary for one in leaving_now)
        assert all(clock.now() < one.leaves_at <= clock.now() + leaving.STAYS for one in leaving_now if one.leaves_at)


def works(token: str) -> bool:
    """Whether the link undoes something; none does so for longer than a week."""
    try:
        undoing_addresses.opened(token)
    except Refusal:
        return False
    assert clock.now() < row_of(token).created_at + leaving.STAYS
    return True


def row_of(token: str) -> MailedLink:
    return database.session().get_one(MailedLink, bearer.digest(token), populate_existing=True)


def keys(found: list[Address]) -> set[str]:
    return {one.address_key for one in found}


def forget() -> None:
    """Every walk begins with no address and no letter."""
    with database.writing():
        for model in (MailedLink, Address, StoredLetter):
            database.session().execute(delete(model))
