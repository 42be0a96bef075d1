"""Files that cannot be applied: every fault names line, field and what was expected; then nothing is applied."""
# ruff: noqa: E501 a file and its fault stand side by side

import json
from pathlib import Path

import pytest
from flask import Flask

from idp.app import start
from idp.cli.apply import command, parsing
from idp.cli.apply.places import FileRefused
from idp.organizations.models import Organization
from idp.platform import database
from idp.users.models import User
from tests.cli.conftest import Idp
from tests.traces import events

HEAD = "version: 1\n"

READ: dict[str, list[tuple[int, str, str]]] = {
    # the file
    "users: []": [(1, "version", "expected `version: 1`")],
    "version: 2\nusers: nonsense": [(1, "version", "expected `version: 1`")],
    "version: true": [(1, "version", "expected `version: 1`")],
    "- version: 1": [(1, "the file", "expected a mapping"), (1, "version", "expected `version: 1`")],
    HEAD + "people: []": [
        (
            2,
            "people",
            "unknown here; expected one of apis, clients, operators, organizations, signing_keys, users, version",
        )
    ],
    HEAD + "users: olivia": [(2, "users", "expected a list")],
    HEAD + "users: [olivia]": [
        (2, "users[0]", "expected a mapping"),
        (2, "users[0]", "expected a username, an email or an id"),
    ],
    # types
    HEAD + "organizations:\n- slug: 12\n  name: true": [
        (3, "organizations[0].slug", "expected a text: put it in quotes"),
        (4, "organizations[0].name", "expected a text: put it in quotes"),
    ],
    HEAD + "organizations:\n- slug: a\n  accounts:\n  - {key: b, livemode: yes}\n  - {key: c, livemode: 'true'}": [
        (5, "organizations[0].accounts[0].livemode", "expected true or false"),
        (6, "organizations[0].accounts[1].livemode", "expected true or false"),
    ],
    HEAD + "organizations:\n- {slug: [a]}": [
        (3, "organizations[0].slug", "expected a text, not a list or mapping"),
    ],
    HEAD + "organizations:\n- name: A": [(3, "organizations[0].slug", "expected: it is required")],
    HEAD + "organizations:\n- {slug: a, status: asleep}": [
        (3, "organizations[0].status", "expected one of active, suspended")
    ],
    HEAD + "organizations:\n- {slug: a, state: gone}": [
        (3, "organizations[0].state", "expected one of present, absent")
    ],
    HEAD + "organizations:\n- slug: a\n  policies:\n    trusted_devices: 1\n    session_idle: long\n    colour: red": [
        (5, "organizations[0].policies.trusted_devices", "expected true or false"),
        (6, "organizations[0].policies.session_idle", "expected a whole number"),
        (
            7,
            "organizations[0].policies.colour",
            "unknown here; expected one of cooling_off, guests, methods, mfa, privileged, session_idle, session_max, "
            "trusted_devices",
        ),
    ],
    HEAD + "organizations:\n- {slug: a, teams: [{key: t, members: [bob, bob]}]}": [
        (3, "organizations[0].teams[0].members[1]", "expected once: 'bob' stands on line 3 already")
    ],
    HEAD + "organizations:\n- {slug: a, roles: [{key: x_a, assignable_at: [group]}]}": [
        (3, "organizations[0].roles[0].assignable_at[0]", "expected one of organization, account")
    ],
    HEAD + "organizations:\n- slug: a\n  roles:\n  - {key: x_a, permissions: [{name: p.q, modes: [dry]}]}": [
        (5, "organizations[0].roles[0].permissions[0].modes[0]", "expected one of live, sandbox")
    ],
    HEAD + "organizations:\n- {slug: a, owner: bob, colour: red}": [
        (
            3,
            "organizations[0].colour",
            "unknown here; expected one of account_groups, accounts, connections, deputy, directories, domains, id, name,"
            " owner, policies, roles, slug, state, status, teams",
        )
    ],
    # roles that somebody is to hold
    HEAD + "users:\n- username: bob\n  memberships:\n  - organization: a\n    roles: developer": [
        (6, "users[0].memberships[0].roles", "expected a list")
    ],
    HEAD + "users:\n- username: bob\n  memberships:\n  - organization: a\n    account_roles: [developer]": [
        (6, "users[0].memberships[0].account_roles", "expected a mapping")
    ],
    HEAD + "users:\n- username: bob\n  memberships:\n  - organization: a\n    account_roles: {shop: developer}": [
        (6, "users[0].memberships[0].account_roles.shop", "expected a list")
    ],
    HEAD
    + "users:\n- username: bob\n  memberships:\n  - organization: a\n    roles: [{role: developer, expires_at: soon}]": [
        (6, "users[0].memberships[0].roles[0].expires_at", "expected a date or time, like 2027-01-31T18:00:00Z")
    ],
    HEAD + "users:\n- username: bob\n  memberships:\n  - organization: a\n    roles: [analyst, analyst]": [
        (6, "users[0].memberships[0].roles[1]", "expected once: 'analyst' stands in this list already")
    ],
    HEAD + "users:\n- username: bob\n  memberships:\n  - roles: []": [
        (5, "users[0].memberships[0].organization", "expected: it is required")
    ],
    HEAD + "users:\n- username: bob\n  memberships:\n  - {organization: a, status: absent}": [
        (5, "users[0].memberships[0].status", "expected one of invited, active, suspended")
    ],
    # people
    HEAD + "users:\n- given_name: Bob": [(3, "users[0]", "expected a username, an email or an id")],
    HEAD + "users:\n- username: bob\n  email: bob at acme": [
        (
            4,
            "users[0].email",
            "not an e-mail address: An email address must have an @-sign",
        )
    ],
    HEAD + "users:\n- username: bob\n  email_verified: true": [
        (4, "users[0].email_verified", "expected together with email")
    ],
    HEAD + "users:\n- username: bob\n  password: short": [
        (4, "users[0].password", "a password has at least 15 characters")
    ],
    HEAD + "users:\n- username: bob\n  password_hash: secret": [
        (
            4,
            "users[0].password_hash",
            "a password hash is a PHC string of argon2id, bcrypt, scrypt or pbkdf2 (sha1, sha256, sha512)",
        )
    ],
    HEAD + "users:\n- username: bob\n  password: correct horse battery\n  password_hash: <stored>": [
        (5, "users[0].password_hash", "expected either password or password_hash")
    ],
    HEAD + "users:\n- username: bob\n  sub: usr_olivia\n  birthdate: [1990]\n  phone_number_verified: maybe": [
        (4, "users[0].sub", "'sub' is not a standard claim that can be set"),
        (5, "users[0].birthdate", "birthdate must be a string"),
        (6, "users[0].phone_number_verified", "phone_number_verified must be true or false"),
    ],
    HEAD + "users:\n- {username: bob, updated_at: .inf}": [
        (3, "users[0].updated_at", "expected a number that is finite"),
    ],
    HEAD + "operators: [{role: admin}, {username: bob, role: king}]": [
        (2, "operators[0].username", "expected: it is required"),
        (2, "operators[1].role", "expected one of admin, support"),
    ],
    # clients, APIs, keys
    HEAD + "clients:\n- {client_name: One}": [(3, "clients[0].client_id", "expected: it is required")],
    HEAD + "clients:\n- client_id: one\n  roles: [analyst]": [
        (3, "clients[0]", "expected organization: whose roles, groups and accounts are meant")
    ],
    HEAD + "clients:\n- client_id: one\n  context: everywhere\n  enabled_for: some": [
        (4, "clients[0].context", "expected one of none, organization, account, any"),
        (5, "clients[0].enabled_for", "expected one of all"),
    ],
    HEAD + "clients:\n- client_id: one\n  context: {account: shop}": [
        (4, "clients[0].context.organization", "expected: it is required")
    ],
    HEAD + "apis:\n- {name: Payments}": [(3, "apis[0].audience", "expected: it is required")],
    HEAD + "apis:\n- {audience: 'https://p.test', scopes: [{name: a}, {name: a}]}": [
        (3, "apis[0].scopes[1].name", "expected once: 'a' stands in this list already")
    ],
    HEAD + "signing_keys:\n- {kid: one, purpose: access_token, alg: ES256}": [
        (3, "signing_keys[0]", "expected PEM or a private JWK")
    ],
    HEAD + "signing_keys:\n- kid: one\n  purpose: access_token\n  alg: none\n  private_key: nonsense": [
        (
            5,
            "signing_keys[0].alg",
            "'access_token' with 'none' is none of ours: access_token ES256, id_token RS256/ES256/PS256/EdDSA, saml RS256",
        )
    ],
    HEAD + "signing_keys:\n- kid: one\n  purpose: access_token\n  alg: ES256\n  private_key: nonsense": [
        (6, "signing_keys[0].private_key", "not a private key for ES256: PEM without a passphrase, or a JWK")
    ],
    # what a later release will know
    HEAD + "organizations:\n- slug: a\n  connections: [{key: okta}]\n  directories: [{key: entra}]": [
        (4, "organizations[0].connections", "not available in this release"),
        (5, "organizations[0].directories", "not available in this release"),
    ],
    HEAD + "organizations:\n- {slug: a, domains: [{name: a.test, mode: required, connection: okta}]}": [
        (3, "organizations[0].domains[0].connection", "not available in this release"),
        (3, "organizations[0].domains[0].mode", "expected off: the others are not available in this release"),
    ],
    HEAD + "users:\n- {username: bob, totp_secret: ABC, recovery_codes: [x, <stored>, [y]]}": [
        (3, "users[0].recovery_codes[0]", "a recovery code has from 13 to 128 letters and digits"),
        (3, "users[0].recovery_codes[2]", "expected a text, not a list or mapping"),
        (3, "users[0].totp_secret", "the secret of an authenticator app is written in base32"),
    ],
    HEAD + "users:\n- {username: bob, totp_secret: JBSWY3DP, recovery_codes: x}": [
        (3, "users[0].recovery_codes", "expected a list"),
        (3, "users[0].totp_secret", "the secret of an authenticator app has from 14 to 128 bytes"),
    ],
}
"""Files, and the faults that are found by reading alone."""


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("content", READ)
def test_what_is_misread_is_named_by_line_and_field(content: str) -> None:
    with pytest.raises(FileRefused) as refused:
        parsing.read("f.yaml", content.encode())
    assert [(one.line, one.field, one.expected) for one in refused.value.faults] == READ[content]


def test_what_asks_for_nothing_is_not_refused_because_a_later_release_knows_it() -> None:
    parsing.read("f.yaml", (HEAD + "users: [{username: bob, recovery_codes: []}]\nclients: []").encode())


BASE = """
version: 1
organizations:
- slug: acme
  id: org_acme
  name: Acme
  owner: olivia
  accounts: [{key: shop, id: acct_shop, name: Shop, country: DE}, {key: old, name: Old, country: DE}]
  account_groups: [{key: eu, accounts: [shop]}]
  roles: [{key: x_lead, name: Lead, permissions: [refunds.write], assignable_at: [account]}]
  teams: [{key: finance, members: [bob]}]
  domains: [{name: acme.test, verified: true}]
- {slug: other, name: Other, owner: olivia, accounts: [{key: theirs, id: acct_theirs, name: Theirs, country: DE}]}
users:
- {username: olivia, id: usr_olivia, email: olivia@acme.test, email_verified: true}
- {username: bob, id: usr_bob, memberships: [{organization: acme, id: mem_bob}]}
clients:
- {client_id: machine, grant_types: [client_credentials], response_types: [], organization: acme}
apis: [{audience: "https://pay.test", id: api_pay, name: Pay, permissions: [refunds.write]}]
"""

DRAWN: dict[str, list[tuple[int, str, str]]] = {
    # organizations
    "organizations: [{slug: fresh}]": [
        (2, "organizations[0].name", "expected: it is new, and cannot be made without"),
        (2, "organizations[0].owner", "expected: it is new, and cannot be made without"),
    ],
    "organizations: [{slug: New, name: New, owner: olivia}]": [
        (2, "organizations[0].slug", "A slug is up to 48 of a-z, 0-9 and -, and no reserved word.")
    ],
    "organizations:\n- {slug: fresh, name: New, owner: nobody1}": [
        (
            3,
            "organizations[0].owner",
            "expected a person who exists or stands in this file, not 'nobody1'",
        )
    ],
    "organizations:\n- {slug: other, id: org_acme}": [
        (3, "organizations[0].slug", "expected a slug that is free: {other} has it, or had it once")
    ],
    "organizations:\n- slug: acme\n- slug: acme": [
        (4, "organizations[1].slug", "expected once: 'acme' stands on line 3 already")
    ],
    "organizations:\n- slug: acme\n  owner: bob\n  deputy: eve\nusers:\n- {username: bob, state: absent}\n- username: eve": [
        (4, "organizations[0].owner", "expected somebody who stays: 'bob' is absent in this file"),
        (5, "organizations[0].deputy", "expected a member of acme: give eve a membership there"),
    ],
    "organizations:\n- slug: acme\n  policies:\n    mfa: maybe": [
        (5, "organizations[0].policies.mfa", "mfa must be one of off, optional, required.")
    ],
    "organizations:\n- {slug: acme, state: absent}": [
        (3, "organizations[0].state", "expected its accounts to be absent as well; open are: old, shop")
    ],
    # accounts and groups
    "organizations: [{slug: acme, accounts: [{key: new}]}]": [
        (2, "organizations[0].accounts[0].country", "expected: it is new, and cannot be made without"),
        (2, "organizations[0].accounts[0].name", "expected: it is new, and cannot be made without"),
    ],
    "organizations:\n- slug: acme\n  accounts:\n  - key: new\n    name: New\n    country: Germany": [
        (7, "organizations[0].accounts[0].country", "country takes two capital letters, e.g. DE.")
    ],
    "organizations:\n- slug: acme\n  accounts:\n  - {key: shop, livemode: false}": [
        (5, "organizations[0].accounts[0].livemode", "expected true: it is a live account for good")
    ],
    "organizations:\n- slug: acme\n  accounts:\n  - {key: old, id: acct_shop}": [
        (5, "organizations[0].accounts[0].key", "expected a key that is free: {old} has it")
    ],
    "organizations:\n- slug: acme\n  accounts:\n  - {key: shop}\n  - {id: acct_shop, key: shop2}": [
        (6, "organizations[0].accounts[1].id", "expected once: 'acct_shop' stands on line 5 already")
    ],
    "organizations:\n- slug: acme\n  account_groups:\n  - {key: eu, accounts: [shop, theirs]}\n  - {key: us, accounts: [nix]}": [
        (
            5,
            "organizations[0].account_groups[0].accounts[1]",
            "expected the key of an account that exists, not 'theirs'",
        ),
        (6, "organizations[0].account_groups[1].accounts[0]", "expected the key of an account that exists, not 'nix'"),
    ],
    "organizations:\n- slug: acme\n  accounts: [{key: shop, state: absent}]\n  account_groups: [{key: eu, accounts: [shop]}]": [
        (
            5,
            "organizations[0].account_groups[0].accounts[0]",
            "expected an account that stays: 'shop' is absent in this file",
        )
    ],
    # roles and teams
    "organizations:\n- slug: acme\n  roles:\n  - {key: x_admin, name: Boss}\n  - {key: admin, name: Boss}\n  - {key: x_b, name: Owner}": [
        (5, "organizations[0].roles[0].key", "A role key is x_ and up to 30 of a-z, 0-9 and _, and no reserved word."),
        (6, "organizations[0].roles[1].key", "A role key is x_ and up to 30 of a-z, 0-9 and _, and no reserved word."),
        (7, "organizations[0].roles[2].name", "The name 'Owner' is reserved."),
    ],
    "organizations:\n- slug: acme\n  roles:\n  - key: x_lead\n    permissions: [refunds.write, fly.high]": [
        (6, "organizations[0].roles[0].permissions", "expected permissions that some API declares: 'fly.high' is none")
    ],
    "organizations:\n- slug: acme\n  teams:\n  - key: finance\n    members: [olivia, bob, eve]\nusers: [{username: eve}]": [
        (6, "organizations[0].teams[0].members[2]", "expected a member of acme: give eve a membership there")
    ],
    "organizations:\n- slug: acme\n  domains:\n  - {name: gmail.com}\n  - {name: acme.test, verified: false}": [
        (5, "organizations[0].domains[0].name", "gmail.com is a mail domain of everybody."),
        (6, "organizations[0].domains[1].verified", "expected true: it is proven; `state: absent` releases it"),
    ],
    # people
    "users:\n- {username: admin}\n- {username: 'eve@acme.test'}": [
        (3, "users[0].username", "the username 'admin' is reserved"),
        (4, "users[1].username", "a username that is an e-mail address must be an address of the same person"),
    ],
    "users:\n- {username: eve, email: olivia@acme.test}": [
        (3, "users[0].email", "expected an address that is free: olivia holds it")
    ],
    "users:\n- {id: usr_bob, username: olivia}": [
        (3, "users[0].username", "expected a username that is free: usr_olivia has it")
    ],
    "users:\n- username: eve\n- {username: EVE, email: eve@acme.test}\n- {id: usr_eve, email: eve@acme.test}": [
        (4, "users[1]", "expected once: 'eve' stands on line 3 already"),
        (5, "users[2]", "expected once: 'eve@acme.test' stands on line 4 already"),
    ],
    "users:\n- {username: olivia, email: new@acme.test}": [
        (
            3,
            "users[0].email",
            "expected `email_verified: true`: only a verified address can become the primary one",
        )
    ],
    "users:\n- {username: olivia, email: olivia@acme.test, email_verified: false}": [
        (3, "users[0].email", "expected a verified address: this one is proven, which is not taken back")
    ],
    # memberships and grants
    "users:\n- username: bob\n  memberships:\n  - organization: nowhere\n  - organization: acme\n    status: invited\n    id: mem_x": [
        (
            5,
            "users[0].memberships[0].organization",
            "expected an organization that exists or stands in this file, not 'nowhere'",
        ),
        (7, "users[0].memberships[1].status", "expected another status: the membership is active already"),
        (8, "users[0].memberships[1].id", "expected mem_bob: the membership exists, and ids never change"),
    ],
    "users:\n- username: bob\n  memberships:\n  - {organization: acme}\n  - {organization: org_acme}": [
        (6, "users[0].memberships[1]", "expected one membership an organization")
    ],
    "users:\n- username: bob\n  memberships:\n  - organization: acme\n    roles: [x_lead, king]\n    account_roles: {theirs: [analyst]}": [
        (6, "users[0].memberships[0].roles[0]", "expected a role that can be given on an organization: x_lead cannot"),
        (6, "users[0].memberships[0].roles[1]", "expected a role of this organization, or a built-in one, not 'king'"),
        (7, "users[0].memberships[0].account_roles.theirs", "expected the key of an account that exists, not 'theirs'"),
    ],
    "operators: [nobody1]": [(2, "operators[0]", "expected a person who exists or stands in this file, not 'nobody1'")],
    # clients, APIs and keys
    "clients:\n- {client_id: machine, organization: other}": [
        (3, "clients[0].organization", "expected org_acme: whose a client is never changes")
    ],
    "clients:\n- client_id: web\n  redirect_uris: ['http://web.test/cb']\n  context: {organization: acme, account: nix}": [
        (
            4,
            "clients[0].redirect_uris",
            "'http://web.test/cb': must be https; plain http is for 127.0.0.1, [::1] and localhost",
        )
    ],
    "clients:\n- client_id: web\n  redirect_uris: ['https://web.test/cb']\n  context: {organization: acme, account: nix}\n  colour: red": [
        (6, "clients[0].colour", "'colour' is not metadata of a client that this provider knows"),
    ],
    "clients:\n- {client_id: web, redirect_uris: ['https://web.test/cb'], enabled_for: [acme, nowhere]}": [
        (3, "clients[0].enabled_for[1]", "expected an organization that exists or stands in this file, not 'nowhere'")
    ],
    "apis:\n- {audience: 'http://localhost:8000'}\n- {audience: 'https://pay.test', id: api_other}\n- {audience: nonsense}": [
        (3, "apis[0].audience", "expected another audience: the issuer's own comes with the release"),
        (4, "apis[1].id", "expected api_pay: the API exists, and ids never change"),
        (5, "apis[2].audience", "an audience is an absolute URI without a fragment (RFC 8707 §2)"),
    ],
}
"""Files, and the faults that show beside what there is. `{key}` stands for an id that was made."""


@pytest.fixture
def base(app: Flask) -> dict[str, str]:
    """Acme, with one of each; ids by key."""
    start()
    command.run(parsing.read("base.yaml", BASE.encode()))
    there = command.present.read(command.present.Asked(frozenset(["acme", "other"])))
    acme = there.organizations["org_acme"]
    return {one.key: one.id for one in acme.accounts.values()} | {"other": there.slugs["other"]}


@pytest.mark.rule("ORG-12")
def test_what_cannot_be_is_named_by_line_and_field_and_nothing_is_applied(base: dict[str, str]) -> None:
    before = events()
    for body, expected in DRAWN.items():
        file = parsing.read("f.yaml", (HEAD + body).encode())
        for attempt in (command.draw, command.run):
            with pytest.raises(FileRefused) as refused:
                attempt(file)
            found = [(one.line, one.field, one.expected) for one in refused.value.faults]
            assert found == [(line, field, said.format(**base)) for line, field, said in expected], body
    assert events() == before


def test_a_rule_that_refuses_is_named_by_line_and_field_and_nothing_is_applied(base: dict[str, str]) -> None:
    refused_by_rules = {
        "organizations: [{slug: acme, deputy: bob}]\nusers: [{username: eve}]": (2, "organizations[0].deputy"),
        "organizations: [{slug: login2, id: usr_x, name: New, owner: bob}]": (2, "organizations[0]"),
        "users:\n- {username: eve}\n- username: bob\n  memberships: [{organization: acme, id: mem_bob}]\n"
        "- {username: olivia, status: disabled}": (6, "users[2].status"),
        "users: [{username: olivia, memberships: [{organization: acme, state: absent}]}, {username: eve}]": (
            2,
            "users[0].memberships[0]",
        ),
    }
    before = events()
    for body, place in refused_by_rules.items():
        with pytest.raises(FileRefused) as refused:
            command.run(parsing.read("f.yaml", (HEAD + body).encode()))
        [fault] = refused.value.faults
        assert (fault.line, fault.field) == place
        assert fault.expected.startswith("cannot ")
    assert events() == before


def test_all_faults_of_a_file_are_told_at_once_and_the_status_is_1(idp: Idp, tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    file.write_text(HEAD + "organizations:\n- {slug: acme, colour: red}\nusers:\n- {username: bob, password: short}\n")
    for words in (("apply", str(file)), ("apply", str(file), "--plan")):
        said = idp(*words, status=1)
        assert said.json["error"] == "file_refused"
        assert [fault["line"] for fault in said.json["faults"]] == [3, 5]
        assert said.json["applied"] is False
        plain = idp(*words, status=1, as_json=False)
        assert plain.stdout == ""
        assert "two.yaml:5: users[0].password: a password has at least 15 characters" in plain.stderr
    database.session().rollback()
    assert database.session().query(User).count() == database.session().query(Organization).count() == 0


def test_a_file_that_is_not_there_is_said_to_be_unreadable(idp: Idp, tmp_path: Path) -> None:
    assert idp("apply", str(tmp_path / "none.yaml"), status=1).json["error"] == "file_unreadable"
    assert idp("apply", str(tmp_path), status=1).json["error"] == "file_unreadable"


@pytest.mark.rule("API-03")
def test_no_fault_repeats_a_secret(idp: Idp, tmp_path: Path) -> None:
    file = tmp_path / "secrets.yaml"
    file.write_text(
        HEAD + "users: [{username: admin, password: hunter2hunter2}, {username: b, password_hash: hunter2},\n"
        "  {username: c, totp_secret: hunter2hunter2, recovery_codes: [hunter2]}]\n"
        "clients: [{client_id: c, client_secret: [hunter2]}]\n"
        "signing_keys: [{kid: k, purpose: access_token, alg: ES256, private_key: hunter2}]\n"
    )
    said = idp("apply", str(file), status=1)
    assert len(said.json["faults"]) == 6
    file.write_text("version: 1\nusers: [{password: 'hunter2\n")
    for output in (said, idp("apply", str(file), status=1)):
        assert "hunter2" not in output.stdout + output.stderr + json.dumps(output.json)
