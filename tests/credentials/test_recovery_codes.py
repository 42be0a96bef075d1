"""Recovery codes: ten at a time, each used once by its owner, void with the next set."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import select

from idp.credentials import recovery_codes
from idp.credentials.models import RecoveryCode
from idp.platform import database
from idp.platform.errors import Invalid
from idp.users import lifecycle, users
from idp.users.users import UserSettings
from tests.phones import codes_of
from tests.traces import OPERATOR, entries, events


@pytest.fixture
def olivia(app: Flask) -> str:
    return made("olivia")


@pytest.fixture
def bob(app: Flask) -> str:
    return made("bob")


def made(username: str) -> str:
    with database.writing():
        return users.create(UserSettings(username), by=OPERATOR).id


def use(user_id: str, code: str) -> bool:
    with database.writing():
        return recovery_codes.use(user_id, code)


@pytest.mark.rule("TOT-04")
def test_ten_codes_of_eighty_bits_are_made_and_only_their_digests_kept(olivia: str) -> None:
    codes = codes_of(olivia)
    assert len(set(codes)) == recovery_codes.left(olivia) == 10
    assert all(len(code.replace("-", "")) == 16 for code in codes)
    assert len({letter for code in codes for letter in code}) > 24
    stored = database.session().scalars(select(RecoveryCode.digest)).all()
    assert [len(digest) for digest in stored] == [32] * 10
    assert not any(code.replace("-", "").encode() in digest for code in codes for digest in stored)
    assert not any(code in str(entry.after_json) for entry in entries() for code in codes)


@pytest.mark.rule("TOT-04")
def test_a_code_is_used_once_and_the_trail_says_so(olivia: str) -> None:
    first, second, *_ = codes_of(olivia)
    assert use(olivia, first)
    assert not use(olivia, first)
    assert use(olivia, second)
    assert recovery_codes.left(olivia) == 8
    assert events(olivia)[1:] == ["user.codes.made", "user.code.used", "user.code.used"]


@pytest.mark.rule("TOT-04")
def test_a_code_that_comes_many_times_at_once_is_used_once(app: Flask, olivia: str) -> None:
    code, *_ = codes_of(olivia)
    together = threading.Barrier(8)

    def give(given: str) -> bool:
        with app.app_context():
            together.wait(30)
            return use(olivia, given)

    with ThreadPoolExecutor(8) as crowd:
        assert sum(crowd.map(give, [code] * 8)) == 1
    assert events(olivia).count("user.code.used") == 1


@pytest.mark.rule("TOT-04")
def test_a_code_is_its_owners(olivia: str, bob: str) -> None:
    code, *_ = codes_of(olivia)
    codes_of(bob)
    assert not use(bob, code)
    assert use(olivia, code)


@pytest.mark.rule("TOT-04")
def test_new_codes_void_the_old_ones(olivia: str) -> None:
    old, new = codes_of(olivia), codes_of(olivia)
    assert not set(old) & set(new)
    assert not any(use(olivia, code) for code in old)
    assert use(olivia, new[0])
    with database.writing():
        recovery_codes.void(olivia, by=OPERATOR)
        recovery_codes.void(olivia, by=OPERATOR)
    assert recovery_codes.left(olivia) == 0
    assert not use(olivia, new[1])
    assert events(olivia)[-1] == "user.codes.removed"


@pytest.mark.parametrize(
    "spelt",
    [
        str.upper,
        lambda code: code.replace("-", ""),
        lambda code: f" {code.replace('-', ' ')}\n",
        lambda code: code.replace("0", "O").replace("1", "l"),
        lambda code: code.replace("-", "\u2013"),
    ],
    ids=["capitals", "in one", "spaced", "alike", "dashes"],
)
def test_a_code_may_be_typed_as_people_do(olivia: str, spelt: "type[str]") -> None:
    code = next(code for _ in range(100) for code in codes_of(olivia) if "0" in code and "1" in code)
    assert use(olivia, spelt(code))


def test_whatever_else_is_typed_is_no_code(olivia: str) -> None:
    codes_of(olivia)
    for typed in ("", "-", "\0", "\ud800", "x" * 1_000_000, "0000-0000-0000-0000"):
        assert not use(olivia, typed), ascii(typed[:16])
    assert recovery_codes.left(olivia) == 10


def test_codes_made_elsewhere_are_taken_and_what_was_used_stays_so(olivia: str) -> None:
    mine = ("Correct Horse 1 battery", "abcde-fghij-klmno")
    for code in mine:
        recovery_codes.require_long(code)
    for _ in range(2):
        with database.writing():
            recovery_codes.store(olivia, mine, by=OPERATOR)
        use(olivia, mine[0])
    assert recovery_codes.are_known(olivia, mine)
    assert not recovery_codes.are_known(olivia, (*mine, "another one of that kind"))
    assert not use(olivia, mine[0])
    assert recovery_codes.left(olivia) == 0


@pytest.mark.rule("TOT-04")
@pytest.mark.parametrize("code", ["", "123456", "abcd-efgh-jkm", "-" * 20, "a" * 200])
def test_codes_that_could_be_guessed_are_refused(code: str) -> None:
    with pytest.raises(Invalid) as refused:
        recovery_codes.require_long(code)
    assert not code or code not in refused.value.message


def test_a_list_of_codes_is_read_back_and_nothing_else_is(olivia: str) -> None:
    codes = codes_of(olivia)
    assert recovery_codes.read(" ".join(codes)) == codes
    assert recovery_codes.read("\n".join(codes)) == codes
    for other in ("", " ".join(codes[1:]), " ".join((*codes, codes[0])), "<b> " * 10, " ".join(codes).upper()):
        assert recovery_codes.read(other) == ()


def test_a_deleted_person_leaves_no_codes(olivia: str) -> None:
    codes_of(olivia)
    with database.writing():
        lifecycle.delete(users.find(olivia), by=OPERATOR)
    assert not database.session().scalars(select(RecoveryCode)).all()
