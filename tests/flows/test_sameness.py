"""Sameness: whatever name is typed, and whoever it belongs to, the answers are the same and take the same time."""

import re
import time
from itertools import count

import pytest
from argon2 import PasswordHasher
from flask import Flask
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from werkzeug.test import TestResponse

from idp.credentials import passwords, phc
from idp.credentials.guesses import FREE_IN_A_ROW
from idp.platform import database
from idp.users import lifecycle, users
from idp.users.users import UserSettings
from tests.actors import GOOD, Browser, Page
from tests.traces import OPERATOR

KNOWN = ["olivia", "OLIVIA", " olivia ", "olivia@northwind.test", "disabled", "disabled@northwind.test", "without"]
"""Known by username and by address, disabled, and without a password."""

TYPED = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60)

_addresses = count(1)

Answer = tuple[int, str, list[tuple[str, str]]]


@pytest.fixture
def house(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """A provider that knows people of every kind, and hashes cheaply, for nobody as for everybody."""
    monkeypatch.setattr(phc, "_OURS", PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1))
    monkeypatch.setattr(passwords, "_NOBODYS", phc.make("what nobody types"))
    hashed = phc.make(GOOD)
    with database.writing():
        for username in ("olivia", "disabled", "without"):
            email = f"{username}@northwind.test"
            person = users.create(UserSettings(username), email=email, verified=True, by=OPERATOR)
            if username != "without":
                passwords.store(person.id, hashed, by=OPERATOR)
            if username == "disabled":
                lifecycle.disable(person, by=OPERATOR)
    return app


def stranger(app: Flask) -> Browser:
    """A browser at an address of its own."""
    number = next(_addresses)
    return Browser(app, f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")


def journey(app: Flask, name: str, password: str, *, times: int = 1) -> list[Answer]:
    """Everything that is answered to somebody who types this name and tries this password so many times."""
    browser = stranger(app)
    seen = [browser.client.get("/login")]
    page = Page(follow(browser, seen))
    seen.append(browser.post(page, "username", username=name))
    page = Page(follow(browser, seen))
    for _ in range(times):
        seen.append(browser.post(page, "password", password=password))
        if seen[-1].status_code == 303:
            follow(browser, seen)
    return [said(answer) for answer in seen]


def follow(browser: Browser, seen: list[TestResponse]) -> TestResponse:
    seen.append(browser.client.get(seen[-1].location, environ_overrides={"REMOTE_ADDR": browser.address}))
    return seen[-1]


def said(answer: TestResponse) -> Answer:
    """Status, body and headers, without the name that was typed and what is new every time."""
    text = answer.text
    for around in (r'(name="username" value=")[^"]*', r'(<bdi class="grow">)[^<]*', r'(<span class="av"[^>]*>)[^<]*'):
        text = re.sub(around, r"\1", text)
    new = re.compile(r"txn_\w+|(?<=nonce[-=])[\w\"-]+|(?<=csrf_token\" value=\")[\w=-]+|(?<=idp_browser=)[\w-]+")
    reference = answer.headers["X-Request-Id"]
    headers = [(name, new.sub("*", value)) for name, value in answer.headers if name not in ("X-Request-Id", "Date")]
    lengthless = [(name, value) for name, value in headers if name != "Content-Length"]
    return answer.status_code, new.sub("*", text.replace(reference, "*")), lengthless


@pytest.mark.rule("LOG-01")
@pytest.mark.rule("LOG-02")
def test_whoever_is_named_and_whatever_is_wrong_the_answers_are_the_same(house: Flask) -> None:
    expected = journey(house, "nobody", "wrong")
    assert [status for status, _, _ in expected] == [303, 200, 303, 200, 303, 200]
    for name in KNOWN:
        assert journey(house, name, "wrong") == expected, name
    for name in ("disabled", "disabled@northwind.test", "without", "without@northwind.test", "nobody@northwind.test"):
        assert journey(house, name, GOOD) == expected, name


@pytest.mark.rule("LOG-01")
def test_whoever_is_held_back_is_told_the_same(house: Flask) -> None:
    expected = journey(house, "nobody", "wrong", times=FREE_IN_A_ROW + 2)
    assert [status for status, _, _ in expected][-2:] == [429, 429]
    for name, password in (("olivia", "wrong"), ("disabled@northwind.test", GOOD), ("without", GOOD)):
        assert journey(house, name, password, times=FREE_IN_A_ROW + 2) == expected, name


@pytest.mark.rule("LOG-02")
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=TYPED | TYPED.map(lambda text: f"{text}@northwind.test"), password=TYPED)
@example(name="@", password="x")
@example(name="usr_01m82c5qtxt0kmh68ggg0zp8pf", password="x")
@example(name="a@" + "b" * 60 + ".test", password="x")
@example(name="olivia\u200b", password="x")
def test_whatever_is_typed_is_answered_the_same(house: Flask, name: str, password: str) -> None:
    assume(name.strip())
    assert journey(house, name, password) == journey(house, "nobody", "wrong")


# Time


@pytest.mark.rule("LOG-01")
@pytest.mark.rule("LOG-02")
@pytest.mark.parametrize(("name", "unknown"), [("olivia", "nobody"), *((f"{n}@northwind.test", "no@a.test") for n in (
    "olivia", "disabled", "without"))])  # fmt: skip
def test_the_database_is_asked_the_same_whoever_is_named(house: Flask, name: str, unknown: str) -> None:
    assert statements(house, name) == statements(house, unknown)


def statements(app: Flask, name: str) -> list[str]:
    """What the database is asked for somebody who types that name and a wrong password."""
    asked: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    journey(app, name, "wrong")  # what is asked once is known from here on
    event.listen(database.db.engine, "before_cursor_execute", listen)
    journey(app, name, "wrong")
    event.remove(database.db.engine, "before_cursor_execute", listen)
    return asked


def timed(app: Flask, name: str) -> tuple[list[Answer], tuple[float, float]]:
    """Everything that is answered to a name and a wrong password; the seconds until each of them was answered."""
    browser = stranger(app)
    seen = [browser.client.get("/login")]
    page = Page(follow(browser, seen))
    began = time.perf_counter()
    seen.append(browser.post(page, "username", username=name))
    named = time.perf_counter()
    page = Page(follow(browser, seen))
    asked = time.perf_counter()
    seen.append(browser.post(page, "password", password="wrong"))
    judged = time.perf_counter()
    follow(browser, seen)
    return [said(answer) for answer in seen], (named - began, judged - asked)


def likelihood(these: list[float], those: list[float]) -> float:
    """How often one of `these` is longer than one of `those` (Mann and Whitney): 0.5 tells nothing, 0 and 1 all."""
    longer = sum((this > that) + (this == that) / 2 for this in these for that in those)
    return longer / (len(these) * len(those))


@pytest.mark.rule("LOG-01")
@pytest.mark.rule("LOG-02")
def test_in_300_attempts_by_turns_neither_answers_nor_their_time_tell_who_is_known(house: Flask) -> None:
    expected, _ = timed(house, "nobody")
    hashed, told = phc.make(GOOD), list[float]()
    with database.writing():
        for number in range(10):  # so many that nobody is held back
            email = f"known-{number}@northwind.test"
            person = users.create(UserSettings(f"known-{number}"), email=email, verified=True, by=OPERATOR)
            passwords.store(person.id, hashed, by=OPERATOR)
    for _ in range(3):  # a busy machine may mislead once
        known, unknown = list[tuple[float, float]](), list[tuple[float, float]]()
        for number in range(150):
            for who, times in (("known", known), ("nobody", unknown)):
                answers, took = timed(house, f"{who}-{number % 10}@northwind.test")
                assert answers == expected, who
                times.append(took)
        told = [likelihood([one[step] for one in known], [one[step] for one in unknown]) for step in (0, 1)]
        if all(0.35 < one < 0.65 for one in told):
            return
    raise AssertionError(f"known people are told by the time: {told}")
