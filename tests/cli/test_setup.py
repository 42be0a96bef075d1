"""`idp setup`: the link of the first run."""

import pytest

from idp.platform import database
from idp.users import first_run
from idp.users.first_run import SetupClosed
from tests.cli.conftest import Idp


def token(idp: Idp) -> str:
    address, _, token = idp("setup").json["link"].partition("?token=")
    assert address == "http://localhost:8000/setup"
    return str(token)


def opens(token: str) -> bool:
    database.session().rollback()
    try:
        first_run.require_open(token)
    except SetupClosed:
        return False
    return True


@pytest.mark.rule("API-08")
def test_the_last_link_that_was_printed_opens_until_there_is_an_operator(idp: Idp) -> None:
    first, second = token(idp), token(idp)
    assert (opens(first), opens(second)) == (False, True)
    idp("user", "create", "olivia")
    idp("operator", "add", "olivia")
    assert not opens(second)
    assert idp("setup", status=1).json["error"] == "set_up_already"
    idp("operator", "remove", "olivia")
    assert idp("setup", status=1).json["error"] == "set_up_already"


@pytest.mark.rule("API-08")
def test_a_link_from_before_a_restore_opens_nothing(idp: Idp) -> None:
    old = token(idp)
    idp("epoch", "new")
    assert not opens(old)
