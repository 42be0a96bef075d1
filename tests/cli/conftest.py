"""The command line on a database of its own."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask

from idp.cli import main
from tests import databases


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The one JSON value on stdout."""
        return json.loads(self.stdout)


Idp = Callable[..., Said]


def settings(url: str) -> dict[str, str]:
    """The settings of commands on the database at `url`; logs as in production."""
    return {
        "IDP_ISSUER": "http://localhost:8000",
        "IDP_DATABASE_URL": url,
        "IDP_SECRET_KEY": databases.SECRET_KEY,
        "IDP_LOG_FORMAT": "json",
    }


@pytest.fixture
def environment(database_url: str) -> dict[str, str]:
    """The settings of the commands."""
    return settings(database_url)


@pytest.fixture
def idp(app: Flask, environment: dict[str, str]) -> Idp:
    """`idp("user", "get", "olivia")`: runs it with `--json`, and fails unless the status is `status`."""

    def run(*words: str, stdin: str = "", status: int = 0, as_json: bool = True) -> Said:
        typed = [*words, *(["--json"] if as_json else [])]
        result = CliRunner(env=environment).invoke(main, typed, input=stdin, catch_exceptions=False)
        said = Said(result.exit_code, result.stdout, result.stderr)
        assert said.status == status, said
        return said

    return run
