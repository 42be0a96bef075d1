"""Verifying: ours and others' hashes, rehashed when parameters change, at one price for everybody."""

import itertools
import random
import statistics
import time
import unicodedata

import pytest
from flask import Flask
from sqlalchemy import select

from idp.credentials import hashing, passwords, phc
from idp.credentials.models import Password
from idp.credentials.passwords import About, Verdict
from idp.platform import database
from idp.users import users
from idp.users.users import UserSettings
from tests.traces import OPERATOR, events

GOOD = "correct horse battery staple"
SCRYPT = (
    "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDf"
    "zwF7RVdYhw"
)
"""RFC 7914 §12: the password `pleaseletmein`, the salt `SodiumChloride`."""

FOREIGN = [
    ("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password"),
    ("$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW", "abc123xyz"),
    ("$2y$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW", "abc123xyz"),
    (SCRYPT, "pleaseletmein"),
    ("$pbkdf2-sha256$6400$0ZrzXitFSGltTQnBWOsdAw$Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M", "password"),
]
"""Hashes that their makers publish, with the passwords."""


def person(hashed: str = "", name: str = "olivia") -> str:
    with database.writing():
        user = users.create(UserSettings(name), by=OPERATOR)
        if hashed:
            passwords.store(user.id, passwords.imported(hashed), by=OPERATOR)
        return user.id


def stored(user_id: str) -> str:
    database.session().rollback()
    return database.session().scalar(select(Password.hash).where(Password.user_id == user_id)) or ""


def sign_in(user_id: str, plaintext: str) -> Verdict:
    """What a door does with a password that is right."""
    verdict = passwords.verify(user_id, plaintext)
    with database.writing():
        if verdict.is_right and passwords.is_current(verdict):
            passwords.store_rehash(verdict)
    return verdict


@pytest.mark.rule("PWD-05")
@pytest.mark.parametrize(("hashed", "plaintext"), FOREIGN)
def test_hashes_of_others_open_once_and_are_ours_then(app: Flask, hashed: str, plaintext: str) -> None:
    olivia = person(hashed)
    assert passwords.verify(olivia, plaintext + "x") == Verdict.WRONG
    assert sign_in(olivia, plaintext).is_right
    assert phc.is_ours(stored(olivia))
    again = sign_in(olivia, plaintext)
    assert (again.is_right, again.new_hash) == (True, "")
    assert events(olivia) == ["user.created", "user.password.set"]


@pytest.mark.rule("PWD-05")
def test_a_hash_with_other_parameters_of_our_own_scheme_is_replaced(app: Flask) -> None:
    weaker = phc._OURS.__class__(time_cost=1, memory_cost=8_192, parallelism=1).hash(GOOD)
    olivia = person(weaker)
    assert sign_in(olivia, GOOD).new_hash
    assert stored(olivia).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.rule("PWD-02")
def test_a_password_opens_in_every_spelling_and_nothing_is_trimmed_or_cut(app: Flask) -> None:
    plaintext = "  " + unicodedata.normalize("NFD", "Zürich für Anfänger 🐎") + "  "
    olivia = person(passwords.hash(plaintext, About()))
    for form in ("NFC", "NFD"):
        assert passwords.verify(olivia, unicodedata.normalize(form, plaintext)).is_right
    assert not passwords.verify(olivia, plaintext.strip()).is_right
    long = "".join(f"{number} sheep, " for number in range(200))[: passwords.LONGEST]
    bob = person(passwords.hash(long, About()), "bob")
    assert passwords.verify(bob, long).is_right
    assert not passwords.verify(bob, long[:-1]).is_right


@pytest.mark.rule("PWD-02")
@pytest.mark.parametrize("text", ["nul\0 in it", "x" * 1_025, "x" * 1_000_000, "half \ud800 a letter"])
def test_what_nobody_can_have_as_password_is_never_hashed(
    app: Flask, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> bool:
        raise AssertionError("it was hashed")

    monkeypatch.setattr(hashing, "check", never)
    assert passwords.verify(None, text) == Verdict.WRONG


def test_a_password_that_was_changed_meanwhile_is_not_current_and_not_overwritten(app: Flask) -> None:
    olivia = person(FOREIGN[1][0])
    verdict = passwords.verify(olivia, FOREIGN[1][1])
    changed = passwords.hash(GOOD, About())
    with database.writing():
        passwords.store(olivia, changed, by=OPERATOR)
    with database.writing():
        assert not passwords.is_current(verdict)
        passwords.store_rehash(verdict)
    assert stored(olivia) == changed


def test_a_password_that_was_removed_meanwhile_is_not_current(app: Flask) -> None:
    olivia = person(passwords.hash(GOOD, About()))
    verdict = passwords.verify(olivia, GOOD)
    with database.writing():
        passwords.remove(olivia, by=OPERATOR)
    with database.writing():
        assert not passwords.is_current(verdict)


def test_nobody_and_people_without_a_password_are_wrong_whatever_they_say(app: Flask) -> None:
    olivia = person()
    for text in ("", GOOD, "x" * 200):
        assert passwords.verify(None, text) == passwords.verify(olivia, text) == Verdict.WRONG


@pytest.mark.rule("LOG-01")
def test_a_hash_of_nobodys_costs_what_ours_cost() -> None:
    assert phc.is_ours(passwords._NOBODYS)


@pytest.mark.rule("LOG-01")
def test_known_and_unknown_people_and_those_without_a_password_take_the_same_time(app: Flask) -> None:
    """Told apart only if 300 interleaved samples do so three times in a row: machines have moods."""
    people = [person(passwords.hash(GOOD, About())), None, person(name="bob")]
    assert any(_are_alike(_seconds(people, 100)) for _ in range(3))


def _seconds(people: list[str | None], count: int) -> list[list[float]]:
    """How long a wrong password took for each of them, `count` times, in random order."""
    taken: list[list[float]] = [[] for _ in people]
    for which in _order(len(people), count):
        database.session().rollback()
        began = time.perf_counter()
        passwords.verify(people[which], "wrong horse battery staple")
        taken[which].append(time.perf_counter() - began)
    return taken


def _order(kinds: int, count: int) -> list[int]:
    order = [*range(kinds)] * count
    random.shuffle(order)
    return order


def _are_alike(taken: list[list[float]]) -> bool:
    return not any(_are_apart(one, other) for one, other in itertools.combinations(taken, 2))


def _are_apart(one: list[float], other: list[float]) -> bool:
    """A rank test (Mann-Whitney, normal approximation) beyond four deviations, or medians more than a tenth apart."""
    ranked = sorted([(value, True) for value in one] + [(value, False) for value in other])
    ranks = sum(rank for rank, (_, mine) in enumerate(ranked, 1) if mine)
    mean = len(one) * (len(ranked) + 1) / 2
    deviation = (len(one) * len(other) * (len(ranked) + 1) / 12) ** 0.5
    ratio = statistics.median(one) / statistics.median(other)
    return abs(ranks - mean) > 4 * deviation or not 0.9 < ratio < 1.1
