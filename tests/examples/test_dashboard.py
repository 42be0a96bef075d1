"""Ledger, the example application: what it makes of answers, and what it does not let in."""

import base64
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from authlib.integrations.base_client.errors import OAuthError
from flask import Flask
from flask.testing import FlaskClient

from examples.dashboard import asking, decisions, places, shown, wording
from examples.dashboard.app import create_app
from examples.dashboard.calls import Api, Call, Outcome, Tried
from examples.dashboard.places import Place
from examples.dashboard.provider import Provider, Refused
from examples.dashboard.settings import Settings, from_environment
from examples.dashboard.tokens import Tokens
from examples.dashboard.visits import MOST, Visit, Visits
from tests.architecture.tree import ROOT

HOME = "http://localhost:8001"
NOBODY = "http://localhost:1"
"""Where nothing listens."""

FOLDER = ROOT / "examples" / "dashboard"


def settings(issuer: str) -> Settings:
    return Settings(HOME, issuer, NOBODY, "app_ledger", "secret")


@pytest.fixture
def ledger() -> FlaskClient:
    """Ledger, with a provider that is away."""
    return create_app(settings(NOBODY)).test_client()


def visit() -> Visit:
    return Visit("Bob", "bob", Tokens("a.b.c", "r", "i"))


# What it lets in


@pytest.mark.parametrize("path", ["/switch", "/logout"])
@pytest.mark.parametrize("sent", [{}, {"csrf_token": ""}, {"csrf_token": "guessed"}, {"csrf_token": "é"}])
def test_a_form_of_another_site_does_nothing(ledger: FlaskClient, path: str, sent: Mapping[str, str]) -> None:
    with ledger.session_transaction(base_url=HOME) as session:
        session["csrf"] = "known"
    assert ledger.post(path, base_url=HOME, data=sent).status_code == 400
    assert ledger.post(path, base_url=HOME, data={"csrf_token": "known"}).status_code == 303


def test_a_form_without_a_visit_does_nothing_either(ledger: FlaskClient) -> None:
    assert ledger.post("/logout", base_url=HOME, data={"csrf_token": ""}).status_code == 400


@pytest.mark.parametrize("host", ["http://127.0.0.1:8001", "http://evil.example", "http://localhost"])
def test_who_comes_by_another_name_is_sent_to_its_own(ledger: FlaskClient, host: str) -> None:
    assert ledger.get("/", base_url=host).location == HOME
    assert ledger.post("/switch", base_url=host).status_code == 400


@pytest.mark.parametrize("path", ["/", "/nowhere", "/signed-out", "/callback?code=c&state=s", "/login"])
def test_every_page_forbids_scripts_and_frames_and_is_kept_by_nobody(ledger: FlaskClient, path: str) -> None:
    headers = ledger.get(path, base_url=HOME).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["Cache-Control"] == "no-store"


def test_its_cookie_is_for_the_server_alone_and_holds_no_token(ledger: FlaskClient) -> None:
    with ledger.session_transaction(base_url=HOME) as session:
        session["visit"] = "key"
    cookie = ledger.get_cookie("ledger", domain="localhost")
    assert cookie is not None
    assert cookie.http_only
    assert cookie.same_site == "Lax"


def test_an_answer_to_a_sign_in_that_nobody_began_is_refused(ledger: FlaskClient) -> None:
    page = ledger.get("/callback?code=c&state=s", base_url=HOME)
    assert page.status_code == 400
    assert "That sign-in is over" in page.text


def test_what_the_provider_refuses_is_told_without_being_believed(ledger: FlaskClient) -> None:
    page = ledger.get("/callback?error=access_denied&error_description=<b>no</b>", base_url=HOME)
    assert "You are not signed in" in page.text
    assert "<b>no" not in page.text


def test_while_the_provider_is_away_it_says_so(ledger: FlaskClient) -> None:
    page = ledger.get("/login", base_url=HOME)
    assert page.status_code == 503
    assert "Canopy does not answer" in page.text


def test_many_sign_ins_that_were_never_finished_still_fit_into_the_cookie(listening: Flask, issuer: str) -> None:
    ledger = create_app(settings(issuer)).test_client()
    for _ in range(20):
        sent = ledger.get("/login", base_url=HOME)
        assert sent.location.startswith(f"{issuer}/oauth2/authorize?")
        cookie = ledger.get_cookie("ledger", domain="localhost")
        assert cookie is not None
        assert len(cookie.value) < 3_800


def test_a_long_form_is_not_read(ledger: FlaskClient) -> None:
    assert ledger.post("/switch", base_url=HOME, data={"place": "x" * 20_000}).status_code == 413


def test_no_proxy_is_shown_a_token_or_the_secret_and_no_other_password_is_sent(
    listening: Flask, issuer: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("default login somebody password else\n", "utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, NOBODY)
    assert create_app(settings(issuer)).test_client().get("/login", base_url=HOME).location.startswith(issuer)
    refused = Provider(Flask("other"), settings(issuer))
    with pytest.raises(Refused, match="invalid_client"):
        refused.refreshed(visit().tokens)
    answer = asking.ask("GET", f"{issuer}/oauth2/userinfo", headers={"Authorization": "Bearer some"})
    assert answer.request.headers["Authorization"] == "Bearer some"
    assert Api(issuer, "some", "", "n").attempt("GET", "/oauth2/userinfo", "nothing").status == 401


def test_what_userinfo_tells_of_somebody_else_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider(Flask("other"), settings(NOBODY))
    claims = base64.urlsafe_b64encode(b'{"sub": "bob"}').decode()
    tokens = Tokens("a", "r", f"h.{claims}.s")
    monkeypatch.setattr(provider._client, "userinfo", lambda token: {"sub": "bob"})
    assert provider.about(tokens) == {"sub": "bob"}
    monkeypatch.setattr(provider._client, "userinfo", lambda token: {"sub": "mallory"})
    with pytest.raises(OAuthError, match="invalid_userinfo"):
        provider.about(tokens)


# Who is signed in


def test_visits_end_when_told_and_the_oldest_go_first() -> None:
    visits = Visits()
    first = visits.begin(visit())
    last = [visits.begin(visit()) for _ in range(MOST)][-1]
    assert visits.find(first) is None
    assert visits.end(last) is not None
    visits.keep(last, visit())
    assert visits.find(last) is None


def test_one_visit_is_worked_on_by_one_request_at_a_time() -> None:
    visits = Visits()
    key, other = visits.begin(visit()), visits.begin(visit())
    entered = threading.Event()

    def enter() -> None:
        with visits.alone(key):
            entered.set()

    with visits.alone(key):
        waiting = threading.Thread(target=enter)
        waiting.start()
        with visits.alone(other) as found:
            assert found is not None
        assert not entered.wait(0.2)
    waiting.join()
    assert entered.is_set()


# What it makes of answers


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, {}, Outcome.ALLOWED),
        (201, {}, Outcome.ALLOWED),
        (400, {"error": "invalid_request"}, Outcome.ALLOWED),
        (404, {}, Outcome.ALLOWED),
        (409, {}, Outcome.ALLOWED),
        (403, {"error": "access_denied"}, Outcome.DENIED),
        (403, {"error": "insufficient_scope"}, Outcome.DENIED),
        (401, {"error": "invalid_token", "error_description": "superseded"}, Outcome.TOKEN_REFUSED),
        (401, {}, Outcome.TOKEN_REFUSED),
        (401, {"error": "insufficient_user_authentication"}, Outcome.WANTS_PROOF),
        (0, {}, Outcome.UNSURE),
        (429, {}, Outcome.UNSURE),
        (500, {}, Outcome.UNSURE),
        (503, {"error": "temporarily_unavailable"}, Outcome.UNSURE),
    ],
)
def test_an_answer_means(status: int, body: Mapping[str, str], outcome: Outcome) -> None:
    assert Tried(Call("GET", "/balance", "balance.read"), status, body).outcome is outcome


def test_every_call_is_shown_with_the_line_that_decides_it() -> None:
    found = decisions.decisions()
    needed = {
        "GET /balance": "balance.read",
        "GET /payments": "payments.read",
        "POST /charges": "payments.write",
        "POST /refunds": "refunds.write",
        "GET /payouts": "payouts.read",
        "POST /payouts": "payouts.write",
    }
    for call, permission in needed.items():
        decision = found[call]
        assert f'"{permission}"' in decision.deciding
        assert decision.deciding in decision.source
        lines = (ROOT / decision.file).read_text("utf-8").splitlines()
        assert lines[decision.line - 1].strip() == decision.source[0]


def test_places_stand_under_their_organization_which_comes_first() -> None:
    north, south = ("org_1", "north", "North"), ("org_2", "south", "South")
    listed = [Place(*south, "acct_9", "a", "A"), Place(*north, "acct_2", "b", "B"), Place(*north), Place(*south)]
    grouped = places.by_organization(listed)
    assert [(name, [one.name for one in members]) for name, members in grouped] == [
        ("North", ["North", "B"]),
        ("South", ["South", "A"]),
    ]


def test_a_place_that_is_not_listed_is_called_by_its_id() -> None:
    here = places.current((), {"org_id": "org_1", "account_id": "acct_1", "livemode": True})
    assert (here.name, here.organization_name, here.livemode) == ("acct_1", "org_1", True)


@pytest.mark.parametrize(
    ("acr", "asked_for", "falls_short"),
    [
        ("aal1", "aal2", True),
        ("aal2", "aal2", False),
        ("phr", "aal2", False),
        ("aal1", "", False),
        (None, "aal1", True),
    ],
)
def test_what_was_proved_is_compared_with_what_was_asked_for(acr: str, asked_for: str, falls_short: bool) -> None:
    assert wording.falls_short({"acr": acr}, asked_for) is falls_short


def test_words_for_roles() -> None:
    assert wording.enumerated(wording.roles(["view_only", "x_refund_lead", "developer"])) == (
        "View only, Refund lead and Developer"
    )
    assert wording.enumerated(wording.roles(None)) == ""


def test_a_problem_of_the_provider_has_words_and_a_way_on() -> None:
    for error in ("access_denied", "mismatching_state", "server_error", ""):
        problem = shown.refusal(error, "")
        assert problem.title
        assert problem.words
        assert problem.path.startswith("/")


def test_without_settings_everything_is_as_in_the_demo() -> None:
    found = from_environment({"LEDGER_CLIENT_SECRET": "s"})
    assert (found.address, found.issuer, found.payments) == tuple(
        f"http://localhost:{port}" for port in (8001, 8000, 8002)
    )
    with pytest.raises(KeyError):
        from_environment({})


def test_its_style_sheet_is_that_of_the_product() -> None:
    ours, theirs = FOLDER / "static" / "canopy.css", ROOT / "static" / "canopy.css"
    assert ours.read_text("utf-8") == theirs.read_text("utf-8")


@pytest.mark.parametrize(
    "template", sorted((ROOT / "examples/dashboard/templates").glob("*.html")), ids=lambda one: one.name
)
def test_its_pages_name_only_icons_that_there_are(template: Path) -> None:
    icons = (ROOT / "examples/dashboard/static/icons.svg").read_text("utf-8")
    text = template.read_text("utf-8")
    named = {part.split('"')[0] for part in text.split('icon("')[1:]}
    assert [name for name in named if f'id="{name}"' not in icons] == []
