"""Break-glass codes: ten at a time, shown once, each spent once, by a super admin of that organization alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import select

from idp.audit import seal
from idp.audit.trail import Actor
from idp.credentials import guesses
from idp.credentials.guesses import FREE_IN_A_ROW, Guesser, TooMany
from idp.login import breaking_glass
from idp.notices import telling
from idp.organizations import break_glass, memberships, organizations
from idp.organizations.break_glass import SuperAdminOnly
from idp.organizations.models import BreakGlassCode
from idp.platform import database
from idp.users import lifecycle, users
from tests.mailboxes import letters
from tests.organizations.actors import (
    ACME,
    ADAM,
    BEA,
    BIRCH,
    BORIS,
    DE,
    HOUSE,
    IRIS,
    MIA,
    OLIVIA,
    SAM,
    ZOE,
    act,
    at,
    give,
    member,
    refused,
    to,
)  # fmt: skip
from tests.traces import OPERATOR, entries, events


@pytest.fixture(autouse=True)
def app(acme: Flask) -> Flask:
    return acme


def made(organization_id: str = ACME, *, by: Actor = OPERATOR) -> tuple[str, ...]:
    with database.writing():
        return break_glass.make(organization_id, by=by)


def spent(code: str, *, by: Actor = SAM, organization_id: str = ACME) -> bool:
    with database.writing():
        return break_glass.spend(organization_id, by.id, code)


def left(organization_id: str = ACME) -> int:
    database.session().rollback()
    return break_glass.status(organization_id).left


@pytest.mark.rule("TOT-04")
def test_ten_codes_of_eighty_bits_are_made_and_kept_as_digests() -> None:
    codes = made()
    assert len(set(codes)) == 10
    assert all(len(code.replace("-", "")) == 16 for code in codes)
    rows = list(database.session().scalars(select(BreakGlassCode)))
    assert len(rows) == 10
    assert not any(code in repr(vars(row)) for code in codes for row in rows)
    assert not any(code in (one.after_json or "") for code in codes for one in entries())


@pytest.mark.rule("TOT-04")
def test_each_is_spent_once_and_the_trail_says_by_whom() -> None:
    codes = made()
    assert [spent(codes[0].upper().replace("-", " "), by=who) for who in (SAM, SAM, OLIVIA)] == [True, False, False]
    (entry,) = [one for one in entries(ACME) if one.event == "organization.break.glass.used"]
    assert (entry.actor_id, entry.organization_id, entry.after_json) == (SAM.id, ACME, '{"left": 9}')
    assert (left(), break_glass.status(ACME).used) == (9, 1)


@pytest.mark.rule("TOT-04")
def test_of_many_who_spend_one_at_once_one_does(app: Flask) -> None:
    code, together = made()[0], threading.Barrier(6)

    def come(number: int) -> bool:
        with app.app_context():
            try:
                together.wait(20)
                return spent(code, by=(SAM, OLIVIA)[number % 2])
            finally:
                database.db.session.remove()

    with ThreadPoolExecutor(6) as crowd:
        assert sorted(crowd.map(come, range(6))) == [False] * 5 + [True]


@pytest.mark.rule("TOT-04")
def test_new_ones_void_the_old_used_or_not() -> None:
    old = made()
    assert spent(old[0])
    new = made(by=OLIVIA)
    assert (left(), break_glass.status(ACME).used) == (10, 0)
    assert not any(spent(code) for code in old)
    assert spent(new[0])


@pytest.mark.rule("TOT-04")
def test_they_open_their_own_organization_alone() -> None:
    codes = made()
    made(BIRCH)
    assert not spent(codes[0], by=BEA, organization_id=BIRCH)
    assert (left(), left(BIRCH)) == (10, 10)
    assert spent(codes[0])


@pytest.mark.rule("TOT-04")
@pytest.mark.parametrize("who", [ADAM, IRIS, MIA, BORIS, ZOE, HOUSE], ids=lambda who: who.id)
def test_nobody_but_a_super_admin_makes_voids_or_spends_them(who: Actor) -> None:
    code = made()[0]
    with refused(SuperAdminOnly):
        break_glass.make(ACME, by=who)
    with refused(SuperAdminOnly):
        break_glass.void(ACME, by=who)
    with refused(SuperAdminOnly):
        break_glass.spend(ACME, who.id, code)


@pytest.mark.rule("TOT-04")
@pytest.mark.parametrize("change", ["suspended", "removed", "disabled", "on an account alone"])
def test_whoever_is_no_super_admin_any_more_spends_nothing(change: str) -> None:
    code, who = made()[0], SAM
    if change == "suspended":
        act(memberships.suspend, ACME, member(SAM))
    if change == "removed":
        act(memberships.remove, ACME, member(SAM))
    if change == "disabled":
        act(lifecycle.disable, users.find(SAM.id))
    if change == "on an account alone":
        give(to(MIA, "super_admin", at(DE)))
        who = MIA
    with refused(SuperAdminOnly):
        break_glass.spend(ACME, who.id, code)


def test_in_a_closed_organization_there_is_nothing_to_open() -> None:
    code = made(BIRCH)[0]
    assert break_glass.is_good(BIRCH, code)
    database.session().rollback()
    act(organizations.suspend, BIRCH)
    with refused(SuperAdminOnly):
        break_glass.spend(BIRCH, BORIS.id, code)


def test_they_are_voided_once_and_at_a_restore() -> None:
    code = made()[0]
    assert [act(break_glass.void, ACME, by=OLIVIA) for _ in range(2)] == [10, 0]
    assert events(ACME).count("organization.break.glass.voided") == 1
    assert not spent(code)
    codes = [made(one)[0] for one in (ACME, BIRCH)]
    with database.writing():
        assert break_glass.void_all() == 20
    assert not any(break_glass.is_good(one, code) for one, code in zip((ACME, BIRCH), codes, strict=True))


def test_every_super_admin_is_told_when_they_are_made_and_when_one_is_used() -> None:
    tell()
    known = len(letters())
    codes = made(by=SAM)
    assert spent(codes[0], by=OLIVIA)
    tell()
    told = letters()[known:]
    found = sorted((one.template, one.to) for one in told if one.template.startswith("break_glass"))
    everybody = ["olivia@example.com", "sam@example.com"]
    assert found == [(template, to) for template in ("break_glass_made", "break_glass_used") for to in everybody]
    used = next(one for one in told if one.template == "break_glass_used")
    assert used.facts["person"] == "olivia"
    assert (used.facts["organization"], used.facts["left"]) == ("Acme", 9)
    assert not any(code in repr(one) for code in codes for one in told)


def tell() -> None:
    """Write the letters that the trail asks for."""
    with database.writing():
        while seal.seal_batch():
            pass
    with database.writing():
        while telling.tell():
            pass


# Guessing


def guesser(who: Actor) -> Guesser:
    return Guesser(f"name:{who.id}", "192.0.2.9", who.id)


def tried(code: str, who: Actor = SAM) -> bool:
    with database.writing():
        return breaking_glass.spend(ACME, guesser(who), code)


@pytest.mark.rule("LOG-07")
def test_they_cannot_be_guessed_for_long() -> None:
    codes = made()
    for _ in range(FREE_IN_A_ROW):
        assert not tried("0000-0000-0000-0000")
    with pytest.raises(TooMany):
        tried(codes[0])
    assert left() == 10
    assert events(SAM.id).count("signin.failed") == FREE_IN_A_ROW


@pytest.mark.rule("LOG-07")
def test_a_right_one_counts_for_nothing_and_a_barred_one_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = made()
    for _ in range(FREE_IN_A_ROW - 1):
        assert not tried("x")
    assert tried(codes[0])
    monkeypatch.setattr(guesses, "reserve", lambda _: guesses.Reservation(is_barred=True))
    assert not tried(codes[1])
    with database.writing():
        assert not breaking_glass.check(ACME, codes[1])
    assert left() == 9


@pytest.mark.rule("LOG-07")
def test_checking_is_counted_and_uses_nothing_up() -> None:
    code = made()[0]

    def checked(one: str) -> bool:
        with database.writing():
            return breaking_glass.check(ACME, one)

    assert [checked(code) for _ in range(3)] == [True] * 3
    for _ in range(FREE_IN_A_ROW):
        assert not checked("x")
    with pytest.raises(TooMany):
        checked(code)
    assert left() == 10
