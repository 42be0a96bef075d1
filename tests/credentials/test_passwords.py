"""Passwords: normalised, hashed, stored, taken over from elsewhere."""

import unicodedata

import argon2
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from idp.audit.models import Entry
from idp.credentials import passwords
from idp.credentials.models import Password
from idp.credentials.passwords import About
from idp.platform import database
from idp.platform.errors import Invalid, NotFound
from idp.users import lifecycle, users
from idp.users.models import User
from idp.users.users import UserSettings
from tests.traces import OPERATOR, entries, events

NOBODY = About()
GOOD = "correct horse battery staple"
ARGON2 = "$argon2id$v=19$m=65536,t=3,p=4$MIIRqgvgQbgj220jfp0MPA$YfwJSVjtjSU0zzV/P3S9nnQ/USre2wvJMjfCIjrTQbg"
BCRYPT = "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"
SCRYPT = "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"
PBKDF2 = "$pbkdf2-sha256$29000$9/7f2xsDwDhnDOHcGyNEaA$hC5N7pOXgc6IypM12L2aMWqnwdMXGQSFgX8JkFfDYpg"
PBKDF2_PHC = "$pbkdf2-sha512$i=210000,l=64$9/7f2xsDwDhnDOHcGyNEaA$" + "A" * 86


@pytest.fixture
def olivia(app: Flask) -> str:
    with database.writing():
        return users.create(UserSettings("olivia"), by=OPERATOR).id


@pytest.mark.rule("PWD-05")
def test_a_hash_records_its_parameters_and_has_a_salt_of_its_own(app: Flask) -> None:
    one, other = passwords.hash(GOOD, NOBODY), passwords.hash(GOOD, NOBODY)
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != other
    assert argon2.PasswordHasher().verify(one, GOOD)
    assert passwords.imported(one) == one


@pytest.mark.rule("PWD-02")
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=15, max_size=40))
def test_every_spelling_of_a_text_is_one_password_and_nothing_is_trimmed(text: str) -> None:
    spellings = {unicodedata.normalize(form, text) for form in ("NFC", "NFD")} | {text}
    assert {passwords.normalised(spelling) for spelling in spellings} == {unicodedata.normalize("NFC", text)}


def test_spaces_and_emoji_count_like_anything_else() -> None:
    for text in ("  two spaces at both ends  ", "🐎" * 15, " " * 15, "a" * 1024):
        assert passwords.normalised(text) == text


@pytest.mark.rule("PWD-02")
@pytest.mark.parametrize(
    "text", ["nul\0 in the middle of it", "x" * 1025, "x" * 1_000_000, "lone \ud800 surrogate here"]
)
def test_what_cannot_be_hashed_whole_is_refused_before_hashing(app: Flask, text: str) -> None:
    with pytest.raises(Invalid) as refused:
        passwords.hash(text, NOBODY)
    assert text not in refused.value.message


@pytest.mark.rule("PWD-01")
def test_fewer_than_15_characters_are_too_few(app: Flask) -> None:
    with pytest.raises(Invalid):
        passwords.hash("14 characters!", NOBODY)
    assert passwords.hash("15 characters!!", NOBODY)


def test_a_hash_is_known_to_be_of_a_password_only_if_we_made_it(app: Flask) -> None:
    hashed = passwords.hash(GOOD, NOBODY)
    assert passwords.is_of(hashed, GOOD)
    assert not passwords.is_of(hashed, GOOD + "!")
    cheaper = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(GOOD)
    assert [passwords.is_of(other, GOOD) for other in (cheaper, BCRYPT, "")] == [False, False, False]


def test_hashing_inside_a_writing_transaction_is_a_bug(app: Flask) -> None:
    with pytest.raises(RuntimeError), database.writing():
        passwords.hash(GOOD, NOBODY)


@pytest.mark.parametrize(
    "phc",
    [ARGON2, BCRYPT, BCRYPT.replace("$2b", "$2y"), SCRYPT, PBKDF2, PBKDF2_PHC, PBKDF2.replace("-sha256", "")],
)
def test_hashes_of_the_usual_makers_are_taken_over_as_they_are(phc: str) -> None:
    assert passwords.imported(phc) == phc


@pytest.mark.parametrize(
    "phc",
    [
        GOOD,
        "",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        ARGON2.replace("argon2id", "argon2i"),
        ARGON2.replace("v=19", "v=16"),
        ARGON2.replace("m=65536", "m=10485760"),
        ARGON2.replace("m=65536", "m=8"),
        ARGON2.replace("t=3", "t=100"),
        ARGON2.replace("t=3", "t=0"),
        ARGON2.replace("p=4", "p=0"),
        ARGON2.replace("p=4", "p=64"),
        ARGON2.replace("$MIIRqgvgQbgj220jfp0MPA", "$MII"),
        ARGON2 + "\n",
        ARGON2 + "A" * 80,
        BCRYPT.replace("$12$", "$31$"),
        BCRYPT.replace("$12$", "$03$"),
        BCRYPT[:-1],
        SCRYPT.replace("ln=16", "ln=30"),
        SCRYPT.replace("ln=16", "ln=0"),
        SCRYPT.replace("r=8", "r=1024"),
        SCRYPT.replace("p=1", "p=1000000"),
        PBKDF2.replace("29000", "100000000"),
        PBKDF2.replace("29000", "1"),
        PBKDF2.replace("sha256", "md5"),
    ],
)
def test_a_file_cannot_plant_a_hash_that_is_none_or_costs_too_much(phc: str) -> None:
    with pytest.raises(Invalid) as refused:
        passwords.imported(phc)
    assert not phc or phc not in refused.value.message


def test_a_password_is_stored_once_replaced_and_removed(olivia: str) -> None:
    hashed = passwords.hash(GOOD, NOBODY)
    for _ in range(2):
        with database.writing():
            passwords.store(olivia, hashed, by=OPERATOR)
    assert passwords.stored(olivia) == hashed
    with database.writing():
        passwords.store(olivia, passwords.imported(BCRYPT), by=OPERATOR)
    for _ in range(2):
        with database.writing():
            passwords.remove(olivia, by=OPERATOR)
    assert passwords.stored(olivia) == ""
    assert events(olivia)[1:] == ["user.password.set", "user.password.set", "user.password.removed"]
    with pytest.raises(NotFound), database.writing():
        passwords.store("usr_none", hashed, by=OPERATOR)


@pytest.mark.rule("AUD-03")
def test_neither_password_nor_hash_stands_in_the_trail(olivia: str) -> None:
    hashed = passwords.hash(GOOD, NOBODY)
    with database.writing():
        passwords.store(olivia, hashed, by=OPERATOR)
    columns = [column.key for column in Entry.__table__.columns]
    told = "".join(str([getattr(entry, column) for column in columns]) for entry in entries())
    assert GOOD not in told
    assert hashed not in told


def test_a_deleted_person_leaves_no_password(olivia: str) -> None:
    hashed = passwords.hash(GOOD, NOBODY)
    with database.writing():
        passwords.store(olivia, hashed, by=OPERATOR)
    with database.writing():
        lifecycle.delete(users.find(olivia), by=OPERATOR)
    assert database.session().get(Password, olivia) is None
    assert database.session().get(User, olivia) is not None
