"""What every command has in common: one value on stdout, a status, refusals that say what to do."""

import json
import os
import pwd
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from idp.audit.models import Entry
from idp.cli import door, main, output
from idp.cli.main import COMMANDS
from idp.platform import database
from tests.cli.conftest import Idp
from tests.traces import entries


def leaves(command: click.Command, *names: str) -> list[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with the words that call it."""
    if not isinstance(command, click.Group):
        return [(names, command)]
    context = click.Context(command)
    found = []
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child
        found += leaves(child, *names, name)
    return found


def test_every_command_takes_json_and_explains_itself() -> None:
    found = leaves(main)
    assert len(found) > 30
    for names, command in found:
        assert any("--json" in parameter.opts for parameter in command.params), names
        assert (command.help or "").strip(), names
        assert not any(getattr(parameter, "prompt", None) for parameter in command.params), names


def test_no_option_takes_a_secret_where_others_can_read_it() -> None:
    for names, command in leaves(main):
        for parameter in command.params:
            secret = re.search("password|secret", " ".join(parameter.opts))
            takes_a_value = isinstance(parameter, click.Option) and not parameter.is_flag
            assert not (secret and takes_a_value), (names, parameter.opts)


def test_an_unknown_command_is_a_usage_error(idp: Idp) -> None:
    said = idp("users", status=2, as_json=False)
    assert "No such command" in said.stderr
    assert said.stdout == ""


def test_a_refusal_is_phrased_on_stderr_and_as_a_value(idp: Idp) -> None:
    said = idp("user", "get", "nobody2", status=1)
    assert said.json["error"] == "not_found"
    assert "nobody2" in said.json["message"]
    assert said.json["remedy"] in said.stderr
    assert idp("user", "get", "nobody2", status=1, as_json=False).stdout == ""


def test_a_wrong_value_names_its_field(idp: Idp) -> None:
    said = idp("user", "create", "olivia", "--claim", "birthdate=soon", status=1)
    assert (said.json["error"], said.json["field"]) == ("invalid", "birthdate")


def test_json_may_stand_before_the_noun(idp: Idp) -> None:
    assert idp("--json", "user", "list", as_json=False).json == []


def test_a_bug_is_told_by_its_reference_and_logged_without_values(idp: Idp, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("a secret value")

    monkeypatch.setattr("idp.users.users.search", fail)
    said = idp("user", "list", status=1)
    assert said.json["error"] == "unexpected"
    line = json.loads(said.stderr.splitlines()[0])
    assert line["event"] == "command failed"
    assert line["request_id"] in said.json["message"]
    assert "a secret value" not in said.stdout + said.stderr


def test_who_acts_is_the_operating_systems_user_whatever_the_environment_says(
    idp: Idp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER", "mallory")
    monkeypatch.setenv("LOGNAME", "mallory")
    olivia = idp("user", "create", "olivia").json["id"]
    (entry,) = entries(olivia)
    assert (entry.actor_kind, entry.actor_id) == ("operator", pwd.getpwuid(os.getuid()).pw_name)


def test_every_command_has_a_request_id_of_its_own(idp: Idp) -> None:
    idp("user", "create", "olivia", "--email", "o@example.com")
    idp("user", "create", "otto")
    database.session().rollback()
    ids = {entry.request_id for entry in database.session().query(Entry) if entry.actor_kind == "operator"}
    assert len(ids) == 2


def test_a_database_that_is_behind_is_refused_with_what_to_run(
    environment: dict[str, str], tmp_path: Path, idp: Idp
) -> None:
    environment["IDP_DATABASE_URL"] = f"sqlite:///{tmp_path}/empty.db"
    said = idp("user", "list", status=1)
    assert said.json["error"] == "schema_behind"
    assert "idp db upgrade" in said.json["remedy"]
    idp("db", "check", status=1)
    for _ in range(2):
        assert idp("db", "upgrade").json == {"schema": "current"}
    assert idp("db", "check").json == {"schema": "current"}
    assert idp("api", "list").json[0]["audience"] == "http://localhost:8000"


def test_a_wrong_master_key_is_refused_before_anything_is_done(environment: dict[str, str], idp: Idp) -> None:
    idp("keys", "rotate")
    environment["IDP_SECRET_KEY"] = "another-key-of-forty-characters-or-more-0123456789"
    assert idp("user", "create", "olivia", status=1).json["error"] == "master_key_missing"


def test_settings_that_cannot_be_meant_are_named_all_at_once(environment: dict[str, str], idp: Idp) -> None:
    environment |= {"IDP_ISSUER": "http://example.com", "IDP_UNKNOWN": "1"}
    said = idp("config", "check", status=1)
    assert said.json["error"] == "bad_settings"
    assert "IDP_ISSUER" in said.json["message"]
    assert "IDP_UNKNOWN" in said.json["message"]


@pytest.mark.rule("API-03")
def test_settings_are_shown_with_their_source_and_without_secrets(environment: dict[str, str], idp: Idp) -> None:
    environment["IDP_MAIL"] = "smtp://user:hunter2hunter2@mail.example.com"
    said = idp("config", "show")
    shown = {setting["name"]: setting for setting in said.json}
    assert shown["IDP_ISSUER"] == {
        "name": "IDP_ISSUER",
        "value": "http://localhost:8000",
        "source": shown["IDP_ISSUER"]["source"],
    }
    assert "environment" in shown["IDP_ISSUER"]["source"]
    for text in (said.stdout, idp("config", "show", as_json=False).stdout):
        assert environment["IDP_SECRET_KEY"] not in text
        assert "hunter2hunter2" not in text
    assert idp("config", "check").json["issuer"] == "http://localhost:8000"


def test_the_program_itself_prints_one_value_and_ends_with_its_status(environment: dict[str, str]) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", "from idp.cli import main; main()", *words, "--json"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    good, bad = run("user", "list"), run("user", "get", "nobody2")
    assert (good.returncode, json.loads(good.stdout), good.stderr) == (0, [], "")
    assert (bad.returncode, json.loads(bad.stdout)["error"]) == (1, "not_found")


@pytest.mark.parametrize(
    ("answer", "lines"),
    [
        ({"client_id": "shop", "on": True, "none": None}, ["client id  shop", "on         yes", "none       -"]),
        ([{"a": 1, "b": ["x", "y"]}, {"a": 2}], ["a  b", "1  x", "   y", "2  -"]),
        ([], ["Nothing."]),
        ("plain", ["plain"]),
        ({"name": "evil\x1b[2J\u202etext"}, ["name  evil\\x1b[2J\\u202etext"]),
        ({"name": "[bold red]x[/]"}, ["name  [bold red]x[/]"]),
        ({"claims": {"given_name": "O", "address": {"country": "DE"}}}, ["claims  given_name=O  address=country=DE"]),
    ],
)
def test_tables_are_plain_text_and_nothing_that_was_typed_steers_the_terminal(
    answer: Any, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    output.show(answer, as_json=False)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == lines


def test_every_noun_is_one_visible_line() -> None:
    for name, where in COMMANDS.items():
        command = main.get_command(click.Context(main), name)
        assert command is not None, where
        assert command.name == name
    assert main.get_command(click.Context(main), "door") is None
    assert door.operator().kind == "operator"
