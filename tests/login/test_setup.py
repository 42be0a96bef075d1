"""`/setup`: the first operator by a link, and nothing for anybody else."""

import json
import threading
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask

from idp.platform import database, i18n
from idp.users import first_run, operators, users
from idp.users.models import User
from tests.actors import GOOD, Browser, Page
from tests.traces import OPERATOR, entries, events

OLIVIA = {"username": "olivia", "email": "olivia@northwind.test", "password": GOOD}


@pytest.fixture
def address(app: Flask) -> str:
    with database.writing():
        return f"/setup?token={first_run.open_door(by=OPERATOR).token}"


def people() -> list[str]:
    database.session().rollback()
    return [person.username for person in database.session().query(User)]


@pytest.mark.rule("API-08")
def test_a_new_installation_knows_nobody_and_the_page_is_closed(browser: Browser) -> None:
    assert people() == []
    closed = browser.get("/setup")
    assert (closed.status, closed.name, closed.body["data-error"]) == (404, "error", "setup_closed")
    assert browser.client.post("/setup", data=OLIVIA).status_code == 403


@pytest.mark.rule("API-08")
def test_the_link_makes_the_first_operator_who_then_signs_in(browser: Browser, other: Browser, address: str) -> None:
    page = browser.get(address)
    assert (page.status, page.name) == (200, "setup")
    signing_in = browser.send(page, "password", **OLIVIA)
    assert (signing_in.name, signing_in.form("username").fields["username"]) == ("login", "olivia")
    assert browser.sign_in("olivia").name == "me"
    assert [(post.username, post.role) for post in operators.everyone()] == [("olivia", "admin")]
    olivia = users.named("olivia").id
    assert {"user.created", "user.address.added", "user.password.set", "operator.added"} <= set(events(olivia))
    assert GOOD not in json.dumps([[one.before_json, one.after_json] for one in entries()])
    for late in (browser, other):
        assert late.get(address).body["data-error"] == "setup_closed"
    assert browser.send(page, "password", **OLIVIA | {"username": "mallory"}).body["data-error"] == "setup_closed"
    assert people() == ["olivia"]


@pytest.mark.rule("API-08")
def test_wrong_used_replaced_and_missing_links_are_answered_alike(browser: Browser, address: str) -> None:
    with database.writing():
        fresh = first_run.open_door(by=OPERATOR).token
    seen = {shape(browser.get(path)) for path in (address, "/setup", "/setup?token=", f"/setup?token={fresh}x")}
    assert len(seen) == 1
    assert browser.get(f"/setup?token={fresh}").name == "setup"


def shape(page: Page) -> tuple[int, str, str]:
    return page.status, page.body["data-error"], page.heading


FAULTS = [
    ("username", "admin"),
    ("username", "olivia\u202e"),
    ("email", "nobody"),
    ("email", ""),
    ("password", "short"),
    ("password", "passwordpassword"),
    ("password", "olivia at the lakeside"),
    ("password", "canopy over the forest"),
    ("password", "x" * 2_000),
    ("password", ""),
]


@pytest.mark.parametrize(("field", "value"), FAULTS)
def test_what_cannot_be_is_said_beside_the_field_and_the_link_stays(
    browser: Browser, address: str, field: str, value: str
) -> None:
    again = browser.send(browser.get(address), "password", **OLIVIA | {field: value})
    assert (again.status, again.name, again.alerts) == (422, "setup", 1)
    assert again.title.startswith("Error: ")
    (told,) = [one for one in again.form("password").inputs if one.get("aria-invalid")]
    assert told["name"] == field
    assert "value" not in next(one for one in again.form("password").inputs if one["name"] == "password")
    assert people() == []
    assert browser.send(again, "password", **OLIVIA).name == "login"


@pytest.mark.parametrize("language", [tag for tag in i18n.LOCALES if tag != "en"])
def test_what_cannot_be_is_said_in_the_language_of_the_page(browser: Browser, address: str, language: str) -> None:
    english = [problem(browser.send(browser.get(address), "password", **OLIVIA | {name: to})) for name, to in FAULTS]
    page = browser.get(f"{address}&ui_locales={language}")
    said = [problem(browser.send(page, "password", **OLIVIA | {name: to})) for name, to in FAULTS]
    words = {
        word for sentence in english for word in sentence.split() if len(word) > 5 and word.isalpha() and word.islower()
    }
    assert not words & {word for sentence in said for word in sentence.split()}
    assert len(set(said)) >= 6


def problem(page: Page) -> str:
    """What is said beside the field that has to be changed."""
    assert page.status == 422
    return page.text.partition('class="err"')[2].partition("<bdi>")[2].partition("</bdi>")[0]


@pytest.mark.rule("API-08")
def test_of_two_who_send_the_form_at_once_one_becomes_operator(app: Flask, address: str) -> None:
    browsers = [Browser(app, f"192.0.2.{number}") for number in (1, 2)]
    pages = [one.get(address) for one in browsers]
    outcomes: list[tuple[int, str]] = []
    together = threading.Barrier(2)

    def send(browser: Browser, page: Page, name: str) -> None:
        together.wait(10)
        values = {"username": name, "email": f"{name}@northwind.test", "password": GOOD}
        answer = browser.post(page, "password", **values)
        outcomes.append(
            (answer.status_code, parse_qs(urlsplit(answer.location or "").query).get("login_hint", [""])[0])
        )

    threads = [
        threading.Thread(target=send, args=args) for args in zip(browsers, pages, ("olivia", "bob"), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(status for status, _ in outcomes) == [303, 404]
    (winner,) = people()
    assert (303, winner) in outcomes
    assert [post.username for post in operators.everyone()] == [winner]
