"""What a request on a hot path costs the database: few statements, no object of the mapper, nothing drawn."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import jinja2
import pytest
from flask import Flask
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from idp.platform.prepared import Prepared
from tests.login.conftest import made
from tests.oauth import decisions
from tests.oauth.actors import Browser, RelyingParty, relying_party
from tests.oauth.decisions import code_for, decide, redemption, signed_in, somebody
from tests.organizations.actors import ACME, VERA


@dataclass
class Work:
    """What was done while it was looked: statements by their first words, mapped rows by class, templates by name."""

    statements: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    templates: list[str] = field(default_factory=list)

    def of(self, request: Callable[[], TestResponse]) -> TestResponse:
        """The answer to `request`, which has to succeed; this is then what it took."""
        self.statements.clear()
        self.rows.clear()
        self.templates.clear()
        answer = request()
        assert answer.status_code in (200, 303), answer.text
        return answer

    def note(self, sql: str) -> None:
        """Note a statement, but not where a transaction begins."""
        while (outer := re.sub(r"\([^()]*\)", "", sql)) != sql:
            sql = outer
        if found := re.match(r"(INSERT INTO|UPDATE) (\w+)|(SELECT) (?:.*?\sFROM (\w+))?", sql, re.DOTALL):
            self.statements.append(" ".join(filter(None, found.groups())))


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    seen = Work()
    run, render = Prepared._run, jinja2.Template.render

    def running(statement: Prepared[object], values: dict[str, object]) -> object:
        seen.note(statement.sql())
        return run(statement, values)

    def drawing(template: jinja2.Template, *given: object, **named: object) -> str:
        seen.templates.append(str(template.name))
        return render(template, *given, **named)

    def executing(*given: object) -> None:
        seen.note(str(given[2]))

    def mapping(_: Session, row: object) -> None:
        seen.rows.append(type(row).__name__)

    monkeypatch.setattr(Prepared, "_run", running)
    monkeypatch.setattr(jinja2.Template, "render", drawing)
    event.listen(Engine, "before_cursor_execute", executing)
    for happens in ("loaded_as_persistent", "pending_to_persistent"):
        event.listen(Session, happens, mapping)
    yield seen
    event.remove(Engine, "before_cursor_execute", executing)
    for happens in ("loaded_as_persistent", "pending_to_persistent"):
        event.remove(Session, happens, mapping)


@pytest.fixture
def shop(app: Flask) -> RelyingParty:
    return decisions.shop(app)


AUTHENTICATION = ["SELECT clients", "SELECT client_secrets"]


def test_a_code_takes_four_statements_beside_the_client_s(work: Work, shop: RelyingParty) -> None:
    olivia = somebody()
    shop.token(**redemption(code_for(decide(olivia, shop.id), shop.id)))
    code = code_for(decide(olivia, shop.id), shop.id)
    work.of(lambda: shop.token(**redemption(code)))
    assert work.statements == [
        *AUTHENTICATION,
        "SELECT authorization_codes",
        "UPDATE authorization_codes",
        "SELECT authorizations",
        "INSERT INTO refresh_tokens",
    ]
    assert (work.rows, work.templates) == ([], [])


def test_a_refresh_takes_four_statements_beside_the_client_s(work: Work, shop: RelyingParty) -> None:
    tokens = shop.token(**redemption(code_for(decide(somebody(), shop.id), shop.id))).get_json()
    work.of(lambda: shop.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"]))
    assert work.statements == [
        *AUTHENTICATION,
        "SELECT refresh_tokens",
        "SELECT authorizations",
        "UPDATE refresh_tokens",
        "INSERT INTO refresh_tokens",
    ]
    assert (work.rows, work.templates) == ([], [])


def test_a_token_for_an_organization_takes_the_roles_the_client_there_and_the_policy(acme: Flask, work: Work) -> None:
    ledger = decisions.shop(acme, "ledger")
    authorization = decide(signed_in(VERA.id), ledger.id, organization_id=ACME)
    tokens = ledger.token(**redemption(code_for(authorization, ledger.id))).get_json()
    work.of(lambda: ledger.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"]))
    assert len(work.statements) <= 9, work.statements
    assert (work.rows, work.templates) == ([], [])


def test_a_machine_s_token_takes_one_statement_beside_the_client_s_and_writes_nothing(app: Flask, work: Work) -> None:
    robot = relying_party(app, "robot", grant_types=["client_credentials"])
    somebody()
    robot.token(grant_type="client_credentials")
    work.of(lambda: robot.token(grant_type="client_credentials"))
    assert work.statements == [*AUTHENTICATION, "SELECT"]
    assert (work.rows, work.templates) == ([], [])


def test_userinfo_and_introspection_take_no_more_than_four_statements_beside_the_client_s(
    app: Flask, work: Work, shop: RelyingParty
) -> None:
    tokens = shop.token(**redemption(code_for(decide(somebody(), shop.id), shop.id))).get_json()
    live = ["SELECT revoked_tokens", "SELECT change_feed", "SELECT authorizations"]
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    app.test_client().get("/oauth2/userinfo", headers=bearer)

    work.of(lambda: app.test_client().get("/oauth2/userinfo", headers=bearer))
    assert work.statements == [*live, "SELECT clients"]
    assert (work.rows, work.templates) == ([], [])

    asked = {"token": tokens["access_token"]}
    work.of(lambda: app.test_client().post("/oauth2/introspect", data=asked, headers=shop._authorization()))
    assert work.statements == [*AUTHENTICATION, *live]
    assert (work.rows, work.templates) == ([], [])


def test_an_authorization_with_a_live_session_maps_only_the_browser_and_draws_nothing(
    app: Flask, work: Work, shop: RelyingParty
) -> None:
    made("olivia")
    browser = Browser(app)
    browser.allow_all(browser.sign_in("olivia", path=shop.authorize_url(scope="openid profile")))
    work.of(lambda: browser.client.get(shop.authorize_url(scope="openid profile")))
    assert len(work.statements) <= 18, work.statements
    assert set(work.rows) <= {"Browser"}
    assert work.templates == []


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/.well-known/jwks.json"])
def test_a_published_document_takes_no_statement(app: Flask, work: Work, path: str) -> None:
    somebody()
    app.test_client().get(path)
    work.of(lambda: app.test_client().get(path))
    assert (work.statements, work.rows, work.templates) == ([], [], [])


@pytest.mark.parametrize(
    "path",
    [
        "/oauth2/token",
        "/oauth2/userinfo",
        "/oauth2/introspect",
        "/oauth2/revoke",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/.well-known/jwks.json",
    ],
)
def test_endpoints_for_machines_are_answered_before_flask(app: Flask, path: str) -> None:
    assert path in app.extensions["canopy_lane"].endpoints
