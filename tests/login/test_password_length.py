"""Longer passwords than the standard asks for, where an operator wants them: checked and named everywhere."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask

from idp.cli import main
from idp.credentials import passwords
from idp.credentials.passwords import About, TooShort
from idp.login import new_passwords
from idp.organizations import memberships, organizations, policies
from idp.organizations.memberships import NewMember
from idp.organizations.organizations import OrganizationSettings
from idp.organizations.policies import PolicySettings
from idp.platform import database
from idp.platform.settings import configure, settings
from idp.users import first_run
from tests import databases
from tests.actors import GOOD, Browser
from tests.login.conftest import made
from tests.proving import set_up, step_up
from tests.traces import OPERATOR

NINETEEN, TWENTY = "gliding owls in mai", "gliding owls in may!"
ELEVEN, TWELVE = "gliding-owl", "gliding-owls"


@pytest.fixture(autouse=True)
def longer(app: Flask) -> None:
    """A provider whose operator wants 20 characters, and 12 beside a second factor."""
    wanted = {"password_length": 20, "password_length_with_mfa": 12}
    configure(app, settings().model_copy(update=wanted))


@pytest.mark.rule("PWD-01")
@pytest.mark.parametrize(
    ("about", "least", "short", "enough"),
    [(About(), 20, NINETEEN, TWENTY), (About(has_second_factor=True), 12, ELEVEN, TWELVE)],
    ids=["alone", "beside a second factor"],
)
def test_an_operator_may_ask_for_longer_passwords(about: About, least: int, short: str, enough: str) -> None:
    with pytest.raises(TooShort, match=f"at least {least} characters"):
        passwords.require_allowed(short, about)
    passwords.require_allowed(enough, about)
    assert (passwords.is_short(NINETEEN), passwords.is_short(TWENTY)) == (True, False)


@pytest.mark.rule("PWD-01")
def test_pages_name_and_check_the_length_that_the_operator_set(browser: Browser, other: Browser) -> None:
    with database.writing():
        token = first_run.open_door(by=OPERATOR).token
    page = browser.get(f"/setup?token={token}")
    assert "At least 20 characters" in page.text
    page = browser.send(page, "password", username="ann", email="ann@northwind.test", password=NINETEEN)
    assert (page.status, "at least 20 characters" in page.text) == (422, True)
    made("olivia")
    other.sign_in("olivia")
    page = other.get("/me/security/password")
    assert "At least 20 characters" in page.text
    page = other.send(page, "password", current=GOOD, password=NINETEEN)
    assert (page.status, "at least 20 characters" in page.text) == (400, True)


@pytest.mark.rule("PWD-01")
def test_what_will_do_beside_a_second_factor_is_renewed_without_it(browser: Browser) -> None:
    owner, olivia = made("otto"), made("olivia")
    with database.writing():
        organizations.found(OrganizationSettings("acme", "Acme"), owner, id="org_acme", by=OPERATOR)
        memberships.add("org_acme", NewMember(olivia), by=OPERATOR)
        policies.change("org_acme", PolicySettings(mfa="required"), by=OPERATOR)
    set_up(olivia)
    assert new_passwords.about(olivia).shortest == 12
    browser.get("/login")
    step_up(browser, olivia, "password", "totp")
    page = browser.get("/me/security/password")
    assert "At least 12 characters" in page.text
    assert browser.send(page, "password", current=GOOD, password="a gliding owl").path == "/me/security"
    database.session().rollback()
    assert passwords.has_short(olivia)
    with database.writing():
        policies.change("org_acme", PolicySettings(mfa="optional"), by=OPERATOR)
    assert new_passwords.must_renew(olivia)


@pytest.mark.rule("PWD-01")
def test_commands_and_documents_check_the_length_that_the_operator_set(database_url: str, tmp_path: Path) -> None:
    made("olivia")
    environment = {
        "IDP_ISSUER": "http://localhost:8000",
        "IDP_DATABASE_URL": database_url,
        "IDP_SECRET_KEY": databases.SECRET_KEY,
        "IDP_PASSWORD_LENGTH": "20",
    }
    document = tmp_path / "people.yaml"
    document.write_text(f"version: 1\nusers:\n  - username: ann\n    password: {NINETEEN}\n")
    idp = CliRunner(env=environment)
    for typed, given in (
        (["user", "set-password", "olivia", "--password-stdin"], NINETEEN),
        (["apply", str(document)], ""),
    ):
        said = idp.invoke(main, typed, input=given)
        assert said.exit_code == 1
        assert "a password has at least 20 characters" in said.stderr
    assert idp.invoke(main, ["user", "set-password", "olivia", "--password-stdin"], input=TWENTY).exit_code == 0
