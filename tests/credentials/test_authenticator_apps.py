"""Authenticator apps: set up by one right code, then each code once, near its time, and nothing else is a code."""

import base64
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pyotp
import pytest
import time_machine
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import func, select, update

from idp.audit.trail import Actor
from idp.credentials import authenticator_apps, factors, held
from idp.credentials.authenticator_apps import PENDING, AppThere, Setup
from idp.credentials.models import AppEnrolment, AuthenticatorApp, Factor
from idp.keys import master_keys
from idp.platform import clock, database, identifiers, vault
from idp.platform.database import Model
from idp.platform.errors import Invalid, NotFound
from idp.platform.vault import Unopenable
from idp.users import lifecycle, users
from idp.users.users import UserSettings
from tests import phones
from tests.phones import Phone
from tests.traces import OPERATOR, events

BEGUN = 1_800_000_000
HERE, THERE = "txn_here", "ses_there"


@pytest.fixture
def time(app: Flask) -> Iterator[time_machine.Traveller]:
    """Time stands still, at the beginning of a step."""
    with time_machine.travel(BEGUN, tick=False) as traveller:
        yield traveller


@pytest.fixture
def olivia(time: time_machine.Traveller) -> str:
    return made("olivia")


@pytest.fixture
def bob(time: time_machine.Traveller) -> str:
    return made("bob")


def made(username: str) -> str:
    with database.writing():
        return users.create(UserSettings(username), by=OPERATOR).id


def begin(user_id: str, bound_to: str = HERE) -> Setup:
    with database.writing():
        return authenticator_apps.begin(user_id, bound_to)


def confirm(user_id: str, code: str, bound_to: str = HERE, *, replaces: str = "") -> str:
    """The id of the new app; empty where it was refused."""
    with database.writing():
        by = Actor("user", user_id)
        factor = authenticator_apps.confirm(user_id, bound_to, code, by=by, replaces=replaces)
        return factor.id if factor else ""


def verify(user_id: str, code: str) -> bool:
    with database.writing():
        return authenticator_apps.verify(user_id, code) is not None


def app_of(user_id: str) -> str:
    """The id of the person's app; empty without one."""
    return next((one.id for one in factors.of(user_id)), "")


def rows(table: type[Model]) -> int:
    database.session().rollback()
    return database.session().scalar(select(func.count()).select_from(table)) or 0


# Setting one up


@pytest.mark.rule("TOT-03")
def test_an_app_counts_once_it_has_shown_one_right_code(olivia: str) -> None:
    setup = begin(olivia)
    phone = Phone.scanning(setup.uri)
    assert phone.secret == setup.secret.replace(" ", "")
    assert len(base64.b32decode(phone.secret)) == 20
    assert not verify(olivia, phone.code())
    assert confirm(olivia, phone.wrong()) == ""
    assert held.methods(olivia) == frozenset()
    assert confirm(olivia, phone.code()) == app_of(olivia) != ""
    assert held.methods(olivia) == {"totp"}
    assert events(olivia).count("user.factor.added") == 1


def test_the_picture_says_what_the_link_says(olivia: str) -> None:
    setup = begin(olivia)
    assert setup.uri.startswith("otpauth://totp/Canopy:olivia?secret=")
    assert "issuer=Canopy" in setup.uri
    assert setup.picture.startswith("<svg viewBox=")
    assert "style" not in setup.picture
    assert "olivia" not in setup.picture


def test_the_same_secret_is_shown_again_while_it_waits(olivia: str, time: time_machine.Traveller) -> None:
    first = begin(olivia)
    assert begin(olivia) == authenticator_apps.pending(olivia, HERE) == first
    time.shift(PENDING / clock.SECOND - 1)
    assert begin(olivia) == first
    time.shift(1)
    assert authenticator_apps.pending(olivia, HERE) is None
    assert confirm(olivia, Phone.scanning(first.uri).code()) == ""
    assert begin(olivia).secret != first.secret


@pytest.mark.rule("TOT-03")
def test_a_secret_is_shown_to_nobody_once_it_counts(olivia: str) -> None:
    setup = begin(olivia)
    confirm(olivia, Phone.scanning(setup.uri).code())
    assert authenticator_apps.pending(olivia, HERE) is None
    assert begin(olivia).secret != setup.secret


@pytest.mark.rule("TOT-03")
def test_what_was_begun_in_one_place_is_not_finished_in_another(olivia: str, bob: str) -> None:
    phone = Phone.scanning(begin(olivia).uri)
    other = Phone.scanning(begin(olivia, THERE).uri)
    assert phone.secret != other.secret
    assert confirm(olivia, phone.code(), THERE) == ""
    assert confirm(bob, phone.code()) == ""
    assert rows(Factor) == 0
    assert confirm(olivia, phone.code()) != ""


@pytest.mark.rule("TOT-03")
def test_an_app_that_is_there_is_replaced_by_nobody_who_does_not_say_so(olivia: str, bob: str) -> None:
    old = phones.given_to(olivia)
    new = Phone.scanning(begin(olivia).uri)
    with pytest.raises(AppThere):
        confirm(olivia, new.code())
    phones.given_to(bob)
    with pytest.raises(NotFound):
        confirm(olivia, new.code(), replaces=app_of(bob))
    assert verify(olivia, old.code())
    assert confirm(olivia, new.code(), replaces=app_of(olivia)) == app_of(olivia)
    assert not verify(olivia, old.code(1))
    assert verify(olivia, new.code(1))
    assert len(factors.of(olivia)) == 1


@pytest.mark.rule("TOT-01")
def test_the_code_with_which_an_app_was_set_up_proves_nothing_more(olivia: str) -> None:
    phone = Phone.scanning(begin(olivia).uri)
    confirm(olivia, phone.code())
    assert not verify(olivia, phone.code())
    assert not verify(olivia, phone.code(-1))
    assert verify(olivia, phone.code(1))


@pytest.mark.rule("TOT-03")
def test_an_app_that_is_confirmed_many_times_at_once_is_one(app: Flask, olivia: str) -> None:
    phone = Phone.scanning(begin(olivia).uri)
    together = threading.Barrier(6)

    def give(code: str) -> bool:
        with app.app_context():
            together.wait(30)
            return confirm(olivia, code) != ""

    with ThreadPoolExecutor(6) as crowd:
        assert sum(crowd.map(give, [phone.code()] * 6)) == 1
    assert (rows(Factor), events(olivia).count("user.factor.added")) == (1, 1)


# Codes


@pytest.mark.rule("TOT-01")
def test_a_code_is_taken_once(olivia: str, time: time_machine.Traveller) -> None:
    phone = phones.given_to(olivia)
    code = phone.code()
    assert verify(olivia, code)
    for _ in range(3):
        assert not verify(olivia, code)
        time.shift(29)
    assert verify(olivia, phone.code())


@pytest.mark.rule("TOT-01")
def test_a_code_that_comes_many_times_at_once_is_taken_once(app: Flask, olivia: str) -> None:
    phone = phones.given_to(olivia)
    together = threading.Barrier(8)

    def give(code: str) -> bool:
        with app.app_context():
            together.wait(30)
            return verify(olivia, code)

    with ThreadPoolExecutor(8) as crowd:
        assert sum(crowd.map(give, [phone.code()] * 8)) == 1
    assert database.session().scalar(select(AuthenticatorApp.last_step)) == BEGUN // 30


@pytest.mark.rule("TOT-02")
@pytest.mark.parametrize(("steps", "is_taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_an_app_may_be_off_by_one_step(olivia: str, steps: int, is_taken: bool) -> None:
    assert verify(olivia, phones.given_to(olivia).code(steps)) == is_taken


@pytest.mark.rule("TOT-02")
def test_no_code_of_a_step_before_the_last_one_taken_is(olivia: str, time: time_machine.Traveller) -> None:
    phone = phones.given_to(olivia)
    assert verify(olivia, phone.code(1))
    assert not verify(olivia, phone.code())
    assert not verify(olivia, phone.code(-1))
    time.shift(30)
    assert not verify(olivia, phone.code())


@pytest.mark.rule("TOT-02")
def test_a_clock_that_is_put_back_makes_no_code_new(olivia: str, time: time_machine.Traveller) -> None:
    phone = phones.given_to(olivia)
    used = phone.code()
    assert verify(olivia, used)
    time.shift(-120)
    assert not verify(olivia, used)
    assert not verify(olivia, phone.code())


SPELLINGS = {
    "as it is": str,
    "spaced": lambda code: f" {code[:3]} {code[3:]}\t",
    "full width": lambda code: code.translate({ord("0") + n: 0xFF10 + n for n in range(10)}),
    "Arabic": lambda code: code.translate({ord("0") + n: 0x660 + n for n in range(10)}),
}


@pytest.mark.rule("TOT-02")
@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_code_may_be_typed_as_keyboards_do(olivia: str, spelling: "type[str]") -> None:
    assert verify(olivia, spelling(phones.given_to(olivia).code()))


NO_CODES = (
    *("", " ", "+{code}", "-{code}", "{code}0", "0{code}", "{code}.0", "{code}\0", "{short}", "{short}x", "²{short}"),
    *("\ud800{short}", "{code}{code}", "{code}" + " " * 100_000, "0x{short}", "{short}½", "None", "\uff11" * 1_000_000),
)


@pytest.mark.rule("TOT-02")
def test_what_is_no_code_is_not_taken(olivia: str) -> None:
    phone = phones.given_to(olivia)
    for typed in NO_CODES:
        text = typed.replace("{code}", phone.code()).replace("{short}", phone.code()[:5])
        assert not verify(olivia, text), ascii(text[:16])
    assert verify(olivia, phone.code())


@pytest.mark.rule("TOT-02")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=70))
def test_whatever_is_typed_is_a_code_or_is_not(olivia: str, typed: str) -> None:
    phone = Phone(base64.b32encode(authenticator_apps.secret_of(olivia)).decode()) if app_of(olivia) else None
    phone = phone or phones.given_to(olivia)
    digits = "".join(typed.split())
    if not digits.isdecimal():
        assert not verify(olivia, typed)


def test_everybody_has_an_app_of_their_own(olivia: str, bob: str) -> None:
    phone = phones.given_to(olivia)
    assert not verify(bob, phone.code())
    phones.given_to(bob)
    assert not verify(bob, phone.code())
    assert verify(olivia, phone.code())


def test_an_app_that_was_removed_shows_nothing_that_counts(olivia: str) -> None:
    phone = phones.given_to(olivia)
    with database.writing():
        factors.end(olivia, app_of(olivia), by=OPERATOR)
    assert not verify(olivia, phone.code())
    assert authenticator_apps.secret_of(olivia) == b""


# Secrets


@pytest.mark.rule("KEY-01")
def test_a_secret_opens_in_its_own_row_alone(olivia: str, bob: str) -> None:
    phone = phones.given_to(olivia)
    phones.given_to(bob)
    stored = database.session().scalars(select(AuthenticatorApp.secret)).all()
    assert not any(base64.b32decode(phone.secret) in value for value in stored)
    copied = select(AuthenticatorApp.secret).where(AuthenticatorApp.factor_id == app_of(olivia)).scalar_subquery()
    with database.writing():
        moved = update(AuthenticatorApp).where(AuthenticatorApp.factor_id == app_of(bob)).values(secret=copied)
        database.session().execute(moved, execution_options={"synchronize_session": False})
    with pytest.raises(Unopenable):
        verify(bob, phone.code())


@pytest.mark.rule("KEY-02")
def test_secrets_are_sealed_anew_with_all_others(app: Flask, olivia: str) -> None:
    old, new = SecretStr("an older master key, long and random"), SecretStr("a newer master key, just as random")
    vault.init(app, [old])
    phone, waiting = phones.given_to(olivia), begin(olivia)
    vault.init(app, [new, old])
    progress = master_keys.begin()
    assert progress.total == 2
    while not progress.finished:
        with database.writing():
            progress = master_keys.step(progress)
    assert (progress.moved, progress.unreadable) == (2, ())
    vault.init(app, [new])
    assert authenticator_apps.pending(olivia, HERE) == waiting
    assert verify(olivia, phone.code())


@pytest.mark.parametrize("spelt", [str, str.lower, lambda text: " ".join(text), lambda text: f"{text}======"])
def test_a_secret_made_elsewhere_is_read_as_it_may_be_written(spelt: "type[str]") -> None:
    secret = pyotp.random_base32()
    assert authenticator_apps.parse_secret(spelt(secret)) == base64.b32decode(secret)


@pytest.mark.parametrize(
    "text", ["", "JBSWY3DP", "not base32!", "0189", "A" * 4_000, "é" * 32, "JBSWY3DPEHPK3PX", "JBSWY3DPEHPK3PXPJBSWY"]
)
def test_what_is_no_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        authenticator_apps.parse_secret(text)
    assert not text or text not in refused.value.message


# What is left behind


def test_what_nobody_confirmed_and_what_was_removed_goes(olivia: str, bob: str, time: time_machine.Traveller) -> None:
    phones.given_to(olivia)
    phones.given_to(bob)
    begin(olivia)
    with database.writing():
        factors.end(bob, app_of(bob), by=OPERATOR)
    time.shift(PENDING / clock.SECOND + 1)
    begin(bob)
    with database.writing():
        assert authenticator_apps.clean_up() == 2
    assert (rows(AppEnrolment), rows(AuthenticatorApp), rows(Factor)) == (1, 1, 2)
    with database.writing():
        assert authenticator_apps.clean_up() == 0


def test_a_deleted_person_leaves_no_secret(olivia: str) -> None:
    phones.given_to(olivia)
    begin(olivia)
    with database.writing():
        lifecycle.delete(users.find(olivia), by=OPERATOR)
    assert (rows(AppEnrolment), rows(AuthenticatorApp)) == (0, 0)


def test_ids_of_what_is_being_set_up_are_like_others(olivia: str) -> None:
    begin(olivia)
    assert identifiers.is_one("enr", database.session().scalars(select(AppEnrolment.id)).one())
