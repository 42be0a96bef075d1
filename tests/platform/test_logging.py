"""Logs: one value a line, with the request's id, without secrets, and nothing a stranger can forge."""

import json
import logging as standard
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from idp.platform import correlation, logging, redaction
from idp.platform.correlation import Origin
from tests.platform import sites
from tests.platform.sites import Site

SECRETS = {
    "a token of ours": "canopy_rt_q8Zf3kVx0LmN2pRt5wYb7cHd4jGs6aEu1oWi9xTyUqA",
    "a JWT": "eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJ1c3JfMSJ9.c2lnbmF0dXJl",
    "an encrypted JWT": "eyJhbGciOiJSU0EtT0FFUCJ9.a2V5.aXY.Y2lwaGVy.dGFn",
    "a password hash": "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
    "a bcrypt hash": "$2b$12$abcdefghijklmnopqrstuvABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
    "a private key": "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\n-----END PRIVATE KEY-----",
    "half a private key": "-----BEGIN EC PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG",
    "a bearer header": "Authorization: Bearer short-one",
    "basic credentials": "basic dXNlcjpwYXNz",
    "an address with a password": "postgresql://canopy:s3cret@db/canopy",
    "a query": "/callback?code=SplxlOBeZQQ&state=af0ifjsldkj",
    "a form": "username=bob&password=hunter2",
    "a dict": "{'client_secret': 'tiny', 'x': 1}",
    "JSON": '{"refresh_token": "tiny"}',
    "a digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "an assertion": "SAMLResponse=PHNhbWxwOlJlc3BvbnNl",
}
INSIDE = {
    "a bearer header": "short-one",
    "basic credentials": "dXNlcjpwYXNz",
    "an address with a password": "s3cret",
    "a query": "SplxlOBeZQQ",
    "a form": "hunter2",
    "a dict": "tiny",
    "JSON": "tiny",
    "a private key": "MIGHAgEAMBMGByqGSM49AgEG",
    "half a private key": "MIGHAgEAMBMGByqGSM49AgEG",
    "an assertion": "PHNhbWxwOlJlc3BvbnNl",
}


@pytest.fixture(autouse=True)
def configured() -> Iterator[None]:
    """Logs as in production, and as they were afterwards."""
    root = standard.getLogger()
    handlers, level = root.handlers, root.level
    logging.configure("json")
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return sites.lines(capsys.readouterr().err)


@pytest.mark.rule("AUD-03")
@pytest.mark.rule("API-03")
@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
def test_what_looks_like_a_secret_is_not_logged(secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    hidden = INSIDE.get(next(name for name, value in SECRETS.items() if value == secret), secret)
    structlog.get_logger().info("something", note=f"before {secret} after", deep=[{"inner": secret}])
    standard.getLogger("library").warning("said %s", secret)
    assert hidden not in capsys.readouterr().err


@pytest.mark.rule("AUD-03")
@pytest.mark.parametrize(
    "name",
    ["password", "new_password", "Authorization", "Set-Cookie", "client_secret", "code", "user_code", "refresh_token",
     "otp", "SAMLResponse", "private_key", "code_verifier", "csrf-token", "recovery_codes", "totp_seed", "access_key"],
)  # fmt: skip
@pytest.mark.parametrize("value", ["tiny", 123456, ["tiny"], {"a": "tiny"}])
def test_what_is_called_a_secret_is_not_logged(name: str, value: object, capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger().info("something", **{name: value}, inside={name: value})
    text = capsys.readouterr().err
    assert "tiny" not in text
    assert "123456" not in text
    assert text.count(redaction.HIDDEN) == 2


@pytest.mark.parametrize(
    "plain",
    [
        "org_01kq3b0f7q2m5x8z9c4v6n1w0e",
        "/usr/lib/python3.11/site-packages/sqlalchemy/engine/default.py",
        "test_a_user_signs_in_to_an_app_and_the_app_learns_who_it_is",
        "7Q4K-M2ZD-91XA-0TPC",
        "connection to server at 10.0.0.1, port 5432 failed: timeout",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
    ],
)
def test_what_is_no_secret_is_logged_as_it_is(plain: str) -> None:
    assert redaction.text(plain) == plain


@pytest.mark.rule("AUD-03")
@given(st.text())
def test_no_text_breaks_a_line_or_hides_in_it(text: str) -> None:
    shown = redaction.text(text)
    assert not [sign for sign in shown if ord(sign) < 32 or 0x7F <= ord(sign) < 0xA0 or sign in "\u2028\u2029\u202e"]
    assert len(json.dumps({"x": shown}).splitlines()) == 1


@pytest.mark.rule("AUD-03")
@pytest.mark.parametrize("form", ["json", "text"])
def test_a_line_cannot_be_forged(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure(form)  # type: ignore[arg-type]
    structlog.get_logger().info("something", name='Bob\n{"event":"forged"}\x1b[2J\u202e')
    standard.getLogger("library").warning("said %s", "Bob\nforged\r\nforged")
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.rule("AUD-03")
def test_long_values_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger().info("something", agent="x " * 500_000, many=list(range(10_000)))
    assert len(capsys.readouterr().err) < 2_000


@pytest.mark.rule("AUD-03")
@pytest.mark.rule("API-03")
def test_an_exception_is_logged_by_kind_and_place_and_not_by_its_words(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = site.client.get("/probe/boom").headers["X-Request-Id"]
    text = capsys.readouterr().err
    [bug, access] = sites.lines(text)
    assert (bug["event"], bug["level"], bug["request_id"]) == ("unexpected error", "error", reference)
    assert bug["exception"] == "builtins.RuntimeError"
    assert [frame for frame in bug["where"] if frame.startswith("sites.py:")]  # type: ignore[attr-defined]
    assert (access["event"], access["status"]) == ("request", 500)
    assert site.secret not in text


@pytest.mark.rule("AUD-03")
def test_the_access_line_names_the_route_and_neither_path_nor_query(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.client.get("/error/opaque-token-123?code=abc", headers={"Referer": "https://x/?code=abc", "Cookie": "a=abc"})
    site.client.get("/recover/opaque-token-123?token=abc", headers={"User-Agent": "abc" * 10_000})
    site.client.get("/nowhere/opaque-token-123?token=abc", headers={"User-Agent": "abc" * 10_000})
    text = capsys.readouterr().err
    visits = [line["route"] for line in sites.lines(text) if line["event"] == "request"]
    assert visits == ["/error/<code>", "/recover/<token>", "unmatched"]
    assert "opaque-token-123" not in text
    assert "abc" not in text


def test_every_line_belongs_to_its_request(capsys: pytest.CaptureFixture[str]) -> None:
    with correlation.working_for(Origin("edge-12345678", "203.0.113.9")):
        structlog.get_logger().warning("ours")
        standard.getLogger("library").warning("theirs")
    ours, theirs = said(capsys)
    assert ours["request_id"] == theirs["request_id"] == "edge-12345678"
    assert (ours["event"], theirs["event"], theirs["logger"]) == ("ours", "theirs", "library")
    assert list(ours)[:4] == ["at", "level", "event", "request_id"]


def test_an_exception_of_a_library_is_told_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("hunter2")
    except ValueError:
        standard.getLogger("library").exception("failed")
    [line] = said(capsys)
    assert line["exception"] == "builtins.ValueError"
    assert "hunter2" not in json.dumps(line)


def test_in_development_the_words_of_exceptions_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure("json", messages=True)
    try:
        raise ValueError("two is not three")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert said(capsys)[0]["said"] == "two is not three"


def test_configuring_twice_does_not_say_everything_twice(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure("json")
    logging.configure("json")
    standard.getLogger("library").warning("once")
    assert len(said(capsys)) == 1
