"""`idp session`: who is signed in is listed, and signed out."""

from flask import Flask

from idp.sessions import people
from tests.cli.conftest import Idp
from tests.sessions.conftest import made, new_browser, sign_in
from tests.traces import entries


def signed_in(username: str) -> tuple[str, str]:
    """The ids of a new person and of their session."""
    user_id = made(username)
    _, token = new_browser()
    return user_id, sign_in(token, user_id)[0].id


def test_sessions_are_listed_and_revoked_one_by_one(app: Flask, idp: Idp) -> None:
    olivia, hers = signed_in("olivia")
    _, his = signed_in("bob")
    assert {line["id"] for line in idp("session", "list").json} == {hers, his}
    (line,) = idp("session", "list", "--user", "olivia").json
    assert (line["id"], line["user_id"], line["username"]) == (hers, olivia, "olivia")
    assert line["methods"] == ["password"]
    page = idp("session", "list", "--limit", "1")
    assert [line["id"] for line in idp("session", "list", "--after", page.json[0]["id"]).json] == [max(hers, his)]
    assert idp("session", "revoke", hers).json == {"ended": 1}
    assert idp("session", "revoke", hers).json == {"ended": 0}
    assert [line["id"] for line in idp("session", "list").json] == [his]
    assert [entry.actor_kind for entry in entries(hers)] == ["user", "operator"]


def test_every_session_of_a_person_is_revoked_at_once(app: Flask, idp: Idp) -> None:
    olivia, _ = signed_in("olivia")
    _, token = new_browser()
    sign_in(token, olivia)
    assert idp("session", "revoke", "--user", "olivia").json == {"ended": 2}
    assert idp("session", "revoke", "--user", "olivia").json == {"ended": 0}
    assert people.of_person(olivia) == []


def test_what_to_revoke_has_to_be_said_once(app: Flask, idp: Idp) -> None:
    assert idp("session", "revoke", status=1).json["error"] == "invalid"
    assert idp("session", "revoke", "ses_1", "--user", "olivia", status=1).json["error"] == "invalid"
    assert idp("session", "revoke", "ses_unknown", status=1).json["error"] == "not_found"


def test_setting_a_password_signs_out_whoever_is_signed_in(app: Flask, idp: Idp) -> None:
    olivia, hers = signed_in("olivia")
    idp("user", "set-password", "olivia", "--password-stdin", stdin="correct horse battery staple")
    assert people.of_person(olivia) == []
    assert [entry.event for entry in entries(hers)] == ["session.opened", "session.ended"]
