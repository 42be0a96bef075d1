"""`idp export`: what is written can be applied again, and holds no secret."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from idp.cli import main
from idp.organizations import effective
from idp.organizations.effective import Context, Holder
from idp.organizations.models import Organization, Placement
from idp.platform import database, resources
from idp.users.models import User
from tests import databases
from tests.cli.conftest import Idp, settings
from tests.databases import Template

DEMO = resources.folder("config") / "demo.yaml"

EVERYTHING = """
version: 1
organizations:
- slug: northwind
  name: Northwind
  owner: olivia
  policies: {mfa: required, methods: [password, passkey], trusted_devices: false, cooling_off: 3600}
  accounts:
  - {key: eu-shop, name: EU shop, country: DE, livemode: true}
  - {key: box, name: Box, country: DE, livemode: false, status: suspended}
  account_groups: [{key: eu, name: EU, accounts: [eu-shop, box]}]
  roles:
  - {key: x_lead, name: Lead, permissions: [refunds.write, {name: payments.read, modes: [sandbox]}], demands: aal2}
  teams: [{key: finance, name: Finance, members: [bob], roles: [analyst], group_roles: {eu: [x_lead]}}]
  domains: [{name: northwind.example, verified: true}]
users:
- {username: olivia, email: olivia@northwind.example, email_verified: true, password: correct horse battery staple,
   totp_secret: JBSWY3DPEHPK3PXPJBSWY3DP, recovery_codes: [abcd-efgh-jkmn-pqrs, stuv-wxyz-2345-6789]}
- username: bob
  email: bob@northwind.example
  locale: de
  other_emails: [{email: bobby@elsewhere.example, verified: true}]
  memberships:
  - {organization: northwind, account_roles: {eu-shop: [{role: developer, expires_at: 2100-01-01T00:00:00Z}]}}
- {username: eve, status: disabled, memberships: [{organization: northwind, status: suspended, roles: [view_only]}]}
clients:
- {client_id: app_one, client_name: One, redirect_uris: ["https://one.example/cb"], client_secret: "0123456789-secret"}
- client_id: app_machine
  client_name: Machine
  grant_types: [client_credentials]
  organization: northwind
  account_roles: {eu-shop: [view_only]}
apis:
- {audience: "https://payments.example", name: Payments, permissions: {refunds.write: [refund_analyst]}}
operators: [olivia]
"""


@pytest.fixture
def everything(idp: Idp, tmp_path: Path) -> Path:
    """A file with one of each, applied."""
    file = tmp_path / "everything.yaml"
    file.write_text(EVERYTHING)
    idp("db", "upgrade")
    idp("apply", str(file))
    return file


def exported(idp: Idp, file: Path, *options: str) -> str:
    """What `idp export` writes, put into `file`."""
    said = idp("export", *options, as_json=False).stdout
    file.write_text(said)
    return said


def test_what_was_exported_and_is_applied_again_changes_nothing(everything: Path, idp: Idp, tmp_path: Path) -> None:
    exported(idp, tmp_path / "out.yaml")
    assert "nothing to do" in idp("apply", str(tmp_path / "out.yaml"), as_json=False).stdout
    assert "nothing to do" in idp("apply", str(everything), as_json=False).stdout


def test_json_and_yaml_say_the_same(everything: Path, idp: Idp, tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text(json.dumps(idp("export").json))
    assert "nothing to do" in idp("apply", str(tmp_path / "out.json"), as_json=False).stdout


@pytest.mark.rule("API-03")
@pytest.mark.rule("KEY-05")
def test_an_export_holds_no_secret_but_the_marker(everything: Path, idp: Idp, tmp_path: Path) -> None:
    said = exported(idp, tmp_path / "out.yaml")
    stored = database.session().execute(text("SELECT hash FROM passwords")).scalars().all()
    assert stored
    for secret in ("correct horse", "0123456789-secret", "$argon2", "PRIVATE", '"d":', "JBSWY3", "abcd-efgh", *stored):
        assert secret not in said
    assert "password_hash: <stored>" in said
    assert "client_secret: <stored>" in said
    assert "totp_secret: <stored>" in said
    assert "recovery_codes: [<stored>]\n" in said


@pytest.mark.rule("KEY-05")
def test_hashes_are_written_only_when_the_operator_asks_and_that_is_on_record(
    everything: Path, idp: Idp, tmp_path: Path
) -> None:
    assert "$argon2id$" in exported(idp, tmp_path / "out.yaml", "--with-password-hashes")
    entries = database.session().execute(
        text("SELECT after_json FROM audit_entries WHERE event = 'export.made' ORDER BY id DESC")
    )
    assert '"password_hashes": true' in str(entries.scalars().first())


@pytest.mark.rule("ORG-11")
def test_the_export_of_one_organization_says_nothing_of_another(everything: Path, idp: Idp, tmp_path: Path) -> None:
    idp("user", "create", "frank", "--email", "frank@fabrikam.example")
    idp("org", "create", "fabrikam", "--owner", "frank")
    said = exported(idp, tmp_path / "out.yaml", "--org", "northwind")
    assert "northwind" in said
    for other in ("fabrikam", "frank", "payments.example", "operators", "signing_keys"):
        assert other not in said


def test_an_export_makes_the_same_roles_in_an_empty_installation(
    everything: Path, idp: Idp, tmp_path: Path, template: Template
) -> None:
    exported(idp, tmp_path / "out.yaml", "--with-password-hashes")
    before = everybodys_roles()
    assert any(before.values())
    (tmp_path / "second").mkdir()
    with template.copy(tmp_path / "second") as url:
        for words in (["db", "upgrade"], ["apply", str(tmp_path / "out.yaml")]):
            result = CliRunner(env=settings(url)).invoke(main, words, catch_exceptions=False)
            assert result.exit_code == 0, result.output
        with databases.app_on(url).app_context():
            assert everybodys_roles() == before
            databases.dispose()


def everybodys_roles() -> dict[tuple[str, str, str], list[tuple[str, str, int | None]]]:
    """Who holds which roles where: ids are the same in both installations."""
    session = database.session()
    session.rollback()
    people = [Holder(user_id=id) for (id,) in session.execute(text("SELECT id FROM users"))]
    people += [Holder(client_id=id) for (id,) in session.execute(text("SELECT id FROM clients"))]
    places = [Context(one.id) for one in session.query(Organization)]
    places += [Context(one.organization_id, one.account_id) for one in session.query(Placement)]
    return {
        (holder.user_id or holder.client_id, place.organization_id, place.account_id): sorted(
            (held.key, held.level, held.expires_at) for held in effective.effective_roles(holder, place).held
        )
        for holder in people
        for place in places
    }


def test_the_demo_can_be_applied_exported_and_applied(idp: Idp, tmp_path: Path) -> None:
    idp("db", "upgrade")
    assert idp("apply", "--plan", str(DEMO)).json
    assert database.session().query(User).count() == 0
    database.session().rollback()
    idp("apply", str(DEMO))
    exported(idp, tmp_path / "out.yaml")
    assert "nothing to do" in idp("apply", str(tmp_path / "out.yaml"), as_json=False).stdout
