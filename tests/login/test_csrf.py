"""Forms count only where we showed them: in this browser, to this person, with a key that is still in use."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from idp.app import create_app
from idp.platform import access, database
from idp.platform.access import is_for_programs
from idp.platform.database import Model
from idp.platform.settings import Settings
from idp.sessions import csrf
from tests.actors import GOOD, Browser, transaction_in
from tests.databases import SECRET_KEY

NEWER_KEY = "Zk8vN3qLw7RtYp2XsJd5HfGm9BcVa4EuTi6oKnWxQyAhPjMr"
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


def state() -> dict[str, list[str]]:
    """Every row of every table, by the name of its table."""
    database.session().rollback()
    return {
        table.name: sorted(map(repr, database.session().execute(select(table))))
        for table in Model.metadata.sorted_tables
    }


def changing_routes(app: Flask) -> Iterator[tuple[str, str]]:
    """Method and path of whatever a browser can change something by."""
    for rule in app.url_map.iter_rules():
        if not is_for_programs(app.view_functions[rule.endpoint]):
            path = re.sub(r"<[^>]+>", "x", rule.rule)
            yield from ((method, path) for method in UNSAFE if method in (rule.methods or ()))


def genuine_token(app: Flask, browser: Browser, path: str, transaction: str) -> str:
    """A token that the route at `path` takes from this browser."""
    database.session().rollback()
    session = database.session().execute(select(Model.metadata.tables["sessions"])).mappings().one()
    adapter = app.url_map.bind("localhost:8000")
    endpoint, _ = adapter.match(path, method="POST")
    needs = access.needs_of(app.view_functions[endpoint])
    return csrf.token(session["browser_id"], session["id"] if needs == "a signed-in person" else transaction)


@pytest.fixture
def signed_in(browser: Browser, olivia: str) -> Browser:
    assert browser.sign_in("olivia").name == "me"
    return browser


@pytest.fixture
def transaction(signed_in: Browser) -> str:
    """A sign-in that is under way in the browser."""
    return transaction_in(signed_in.get("/login"))


@pytest.mark.rule("SES-04")
def test_every_route_that_changes_something_refuses_every_form_that_is_not_ours(
    app: Flask, signed_in: Browser, other: Browser, transaction: str
) -> None:
    stranger = other.get("/login").form("username").fields["csrf_token"]
    routes = sorted(changing_routes(app))
    assert {"/login", "/login/password", "/login/cancel", "/select", "/logout", "/me/sessions"} <= {
        p for _, p in routes
    }
    fields = {"username": "bob", "password": "x", "context": "org_1", "session": "others", "person": "x"}
    for method, path in routes:
        token = genuine_token(app, signed_in, path, transaction)
        address = f"{path}?txn={transaction}"
        before = state()
        attempts: dict[str, dict[str, Any]] = {
            "no token": {"data": fields},
            "an empty one": {"data": {**fields, "csrf_token": ""}},
            "that of another browser": {"data": {**fields, "csrf_token": stranger}},
            "one with a bit flipped": {"data": {**fields, "csrf_token": ("B" if token[0] == "A" else "A") + token[1:]}},
            "one that is no token": {"data": {**fields, "csrf_token": "ä\n"}},
            "two": {"data": {**fields, "csrf_token": [token, token]}},
            "the token in the address": {"data": fields, "path": f"{address}&csrf_token={token}"},
            "the token in a header": {"data": fields, "headers": {"X-CSRF-Token": token}},
            "JSON": {"json": {**fields, "csrf_token": token}},
            "JSON as text": {"data": json.dumps({**fields, "csrf_token": token}), "content_type": "text/plain"},
            "a form as text": {"data": f"csrf_token={token}", "content_type": "text/plain"},
            "another site": {"data": {**fields, "csrf_token": token}, "headers": {"Origin": "https://evil.test"}},
            "a site without a name": {"data": {**fields, "csrf_token": token}, "headers": {"Origin": "null"}},
        }
        for name, sent in attempts.items():
            refused = signed_in.client.open(**{"path": address, "method": method, **sent})
            assert refused.status_code in (400, 403), (path, name)
            assert not refused.headers.getlist("Set-Cookie"), (path, name)
        nothing_else = {"X-HTTP-Method-Override": "POST", "X-Method-Override": "POST", "X-HTTP-Method": "POST"}
        query = {**fields, "csrf_token": token, "txn": transaction, "_method": "POST"}
        asked = signed_in.client.get(path, query_string=query, headers=nothing_else)
        assert asked.status_code in (200, 303, 400, 404, 405, 410), path
        assert state() == before, path


@pytest.mark.rule("SES-04")
def test_every_such_route_takes_a_form_of_ours(app: Flask, signed_in: Browser, transaction: str) -> None:
    for method, path in sorted(changing_routes(app)):
        if path in ("/logout", "/oauth2/logout/confirm"):
            continue  # leaves nobody signed in: the others would have nobody to listen to
        token = genuine_token(app, signed_in, path, transaction)
        taken = signed_in.client.open(
            f"{path}?txn={transaction}",
            method=method,
            data={"csrf_token": token},
            headers={"Origin": "http://localhost:8000"},
        )
        assert "foreign_form" not in taken.text, path
        assert taken.status_code in (303, 404, 400, 410, 422) or path in (
            "/me/security/passkeys/options",
            "/me/export",
        ), path


@pytest.mark.rule("SES-04", "SES-08")
def test_a_form_that_was_shown_to_one_person_is_not_taken_from_another(
    app: Flask, signed_in: Browser, bob: str
) -> None:
    shown_to_olivia = csrf_of_page(signed_in)
    chooser = signed_in.get("/login")
    page = signed_in.send(signed_in.send(chooser, "username", username="bob"), "password", password=GOOD)
    assert page.name == "me"
    refused = signed_in.client.post("/me/sessions", data={"csrf_token": shown_to_olivia, "session": "others"})
    assert refused.status_code == 403


@pytest.mark.rule("SES-04")
def test_without_a_browser_of_ours_no_token_counts(app: Flask, signed_in: Browser, other: Browser) -> None:
    token = csrf_of_page(signed_in)
    assert other.client.post("/me/sessions", data={"csrf_token": token}).status_code == 403
    other.put_cookie("x" * 43)
    assert other.client.post("/logout", data={"csrf_token": token}).status_code == 403


def csrf_of_page(browser: Browser) -> str:
    """The token that signing out of a session elsewhere takes."""
    database.session().rollback()
    session = database.session().execute(select(Model.metadata.tables["sessions"])).mappings().one()
    return csrf.token(session["browser_id"], session["id"])


def test_tabs_that_stay_open_while_another_one_signs_in_stay_usable(browser: Browser, olivia: str) -> None:
    waiting = browser.get("/login")
    assert browser.sign_in("olivia").name == "me"
    assert browser.send(waiting, "username", username="olivia").name == "password"


# KEY-04


@pytest.fixture
def tokens(app: Flask) -> tuple[str, str]:
    """A token of an old key, and one of the newer key that followed it."""
    with _with_keys(app, SECRET_KEY).app_context():
        old = csrf.token("brw_1", "txn_1")
    with _with_keys(app, NEWER_KEY, SECRET_KEY).app_context():
        return old, csrf.token("brw_1", "txn_1")


@pytest.mark.rule("KEY-04")
@pytest.mark.parametrize(
    ("keys", "counts"),
    [
        ((SECRET_KEY,), (True, False)),
        ((NEWER_KEY, SECRET_KEY), (True, True)),
        ((NEWER_KEY,), (False, True)),
    ],
)
def test_the_newest_key_signs_older_ones_verify_and_removed_ones_do_not(
    app: Flask, tokens: tuple[str, str], keys: tuple[str, ...], counts: tuple[bool, bool]
) -> None:
    with _with_keys(app, *keys).app_context():
        assert tuple(csrf.is_genuine(token, "brw_1", "txn_1") for token in tokens) == counts


@pytest.mark.parametrize(("browser_id", "purpose"), [("brw_2", "txn_1"), ("brw_1", "txn_2"), ("brw_1", "")])
def test_a_token_counts_for_one_browser_and_one_purpose(app: Flask, browser_id: str, purpose: str) -> None:
    assert csrf.is_genuine(csrf.token("brw_1", "txn_1"), "brw_1", "txn_1")
    assert not csrf.is_genuine(csrf.token("brw_1", "txn_1"), browser_id, purpose)


def _with_keys(app: Flask, *keys: str) -> Flask:
    url = app.config["SQLALCHEMY_DATABASE_URI"]
    return create_app(Settings(issuer="http://localhost:8000", database_url=url, secret_key=keys))
