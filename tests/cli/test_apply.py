"""`idp apply`: the installation becomes what the file says, and applied again there is nothing to do."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from flask import Flask
from sqlalchemy import text

from idp.app import start
from idp.cli.apply import carrying_out, command, parsing, steps
from idp.cli.apply.plan import Plan
from idp.clients import clients, secrets
from idp.credentials import authenticator_apps, passwords, recovery_codes
from idp.credentials import held as held_credentials
from idp.organizations import accounts, effective, grants, memberships, ownership, policies, roles, scopes, teams
from idp.organizations.effective import Context, Holder
from idp.organizations.grants import Grantee, Wanted
from idp.platform import bearer, clock, database
from idp.sessions import browsers, people, trusted_devices
from idp.sessions.proofs import Proof
from idp.users import addresses, lifecycle, operators, users
from tests.cli.conftest import Idp
from tests.phones import Phone, codes_of
from tests.traces import OPERATOR, entries, events

ACME = """
version: 1
users:      # people may stand before or after what names them
- {username: olivia, id: usr_olivia, email: olivia@acme.test, email_verified: true, given_name: Olivia}
- {username: otto, id: usr_otto, memberships: [{organization: acme, id: mem_otto, roles: [super_admin]}]}
- {username: bob, id: usr_bob, memberships: [{organization: acme, id: mem_bob, roles: [view_only],
   group_roles: {eu: [analyst]}, account_roles: {shop: [developer]}}]}
organizations:
- slug: acme
  id: org_acme
  name: Acme
  owner: olivia
  deputy: otto
  policies: {mfa: required, session_idle: 600}
  account_groups: [{key: eu, id: agrp_eu, name: EU, accounts: [shop, box]}]
  teams: [{key: finance, id: team_finance, name: Finance, members: [bob], roles: [x_lead]}]
  roles: [{key: x_lead, id: role_lead, name: Lead, permissions: [refunds.write]}]
  accounts:
  - {key: shop, id: acct_shop, name: Shop, country: DE}
  - {key: box, id: acct_box, name: Box, country: DE, livemode: false}
  domains: [{name: acme.test, id: dom_acme, verified: true}]
clients:
- {client_id: machine, client_secret: a secret of the file, grant_types: [client_credentials], response_types: [],
   organization: acme, roles: [view_only], account_roles: {shop: [developer]}}
- {client_id: web, redirect_uris: ["https://web.test/cb"], enabled_for: [acme],
   context: {organization: acme, account: shop}}
- {client_id: robot, grant_types: [client_credentials], response_types: [],
   roles_in: [{organization: acme, roles: [analyst]}]}
apis:
- {audience: "https://pay.test", name: Pay, scopes: [{name: pay, description: Pay}],
   permissions: {refunds.write: [analyst], payments.read: null}}
operators: [olivia, {username: otto, role: support}]
"""

OLIVIA, OTTO, BOB = Holder("usr_olivia"), Holder("usr_otto"), Holder("usr_bob")
ACME_ORG, SHOP, BOX = Context("org_acme"), Context("org_acme", "acct_shop"), Context("org_acme", "acct_box")


@pytest.fixture(autouse=True)
def started(app: Flask) -> None:
    start()


@pytest.fixture
def acme(started: None) -> Plan:
    return apply(ACME)


def apply(content: str) -> Plan:
    """Apply what may begin without `version: 1`."""
    return command.run(read(content), by=OPERATOR)


def draw(content: str) -> Plan:
    return command.draw(read(content))


def read(content: str) -> Any:
    return parsing.read("f.yaml", (content if "version: 1" in content else f"version: 1\n{content}").encode())


def said(plan: Plan) -> list[str]:
    return [step.words() for step in plan.steps]


def held(holder: Holder, context: Context) -> set[str]:
    database.session().rollback()
    return set(effective.effective_roles(holder, context).roles)


def test_everything_is_made_whatever_the_order_of_the_file(acme: Plan) -> None:
    assert held(OLIVIA, ACME_ORG) == {"super_admin"}
    assert held(OTTO, SHOP) == {"super_admin"}
    assert held(BOB, ACME_ORG) == {"view_only", "x_lead"}
    assert held(BOB, SHOP) == {"view_only", "x_lead", "analyst", "developer"}
    assert held(BOB, BOX) == {"view_only", "x_lead", "analyst"}
    assert held(Holder(client_id="machine"), SHOP) == {"view_only", "developer"}
    assert held(Holder(client_id="robot"), SHOP) == {"analyst"}
    assert policies.of("org_acme").mfa == "required"
    assert policies.of("org_acme").session_max == 86_400
    deputy = ownership.deputy_of("org_acme")
    assert deputy is not None
    assert deputy.member_id == "mem_otto"
    assert addresses.of("usr_olivia")[0].verified_at is not None
    assert users.settings_of(users.find("usr_olivia")).claims == {"given_name": "Olivia"}
    assert {post.username: post.role for post in operators.everyone()} == {"olivia": "admin", "otto": "support"}
    web = clients.settings_of(clients.named("web"))
    assert (web.context.organization_id, web.context.account_id) == ("org_acme", "acct_shop")
    assert web.enabled_for == {"org_acme"}
    assert bearer.matches("a secret of the file", secrets.of("machine")[0].digest)


def test_applied_again_there_is_nothing_to_do_and_nothing_is_written(acme: Plan) -> None:
    before = entries()
    assert apply(ACME).steps == ()
    assert [entry.id for entry in entries()] == [entry.id for entry in before]


def test_what_is_applied_is_on_record_with_the_file_and_carries_its_source(acme: Plan) -> None:
    [applied] = entries("f.yaml")
    assert applied.event == "apply.applied"
    assert json.loads(applied.after_json or "")["changes"]["grant.make"] == 8
    made = [entry for entry in entries() if entry.event in ("grant.made", "member.added")]
    assert {entry.source for entry in made if entry.event == "grant.made"} == {"apply"}
    assert {entry.actor_kind for entry in made} == {"operator"}


@pytest.mark.rule("AUD-01")
def test_a_plan_changes_nothing_not_even_the_trail(idp: Idp, tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text(ACME)
    before = [entry.id for entry in entries()]
    planned = idp("apply", str(tmp_path / "acme.yaml"), "--plan").json
    assert planned["applied"] is False
    assert planned["changes"] == len(planned["steps"]) == 33
    assert [entry.id for entry in entries()] == before
    assert users.search() == []
    opened = next(step for step in planned["steps"] if step["object"] == "acme/shop")
    assert opened == {
        "act": "account.open",
        "object": "acme/shop",
        "id": None,
        "says": "open the account acme/shop",
        "line": 19,
        "field": "organizations[0].accounts[0]",
    }
    idp("apply", str(tmp_path / "acme.yaml"))
    assert idp("apply", str(tmp_path / "acme.yaml"), "--plan").json["steps"] == []


def test_a_plan_drawn_twice_is_the_same(acme: Plan) -> None:
    changed = read(ACME.replace("name: Shop", "name: Shops").replace("roles: [x_lead]", "roles: [view_only]"))
    now = command.present.read(command.plan.asked(changed))
    drawn = [command.plan.draw(changed, now, command.Passwords()) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert len(drawn[0].steps) == 3


def test_what_the_file_does_not_speak_of_stays(acme: Plan) -> None:
    assert apply("users: [{username: eve}]\norganizations: [{slug: acme}]").counts() == {"user.create": 1}
    assert held(BOB, SHOP) == {"view_only", "x_lead", "analyst", "developer"}


def test_a_field_that_is_not_said_stays(acme: Plan) -> None:
    plan = apply("organizations: [{slug: acme, accounts: [{key: shop, name: Store}], policies: {mfa: off}}]")
    assert said(plan) == [
        "change the policies of acme: mfa required → off",
        "change the account acme/shop: name Shop → Store",
    ]
    assert policies.of("org_acme").session_idle == 600


# Objects are matched by id, else by key


def test_what_has_the_id_is_meant_whatever_it_is_called_and_is_renamed(acme: Plan) -> None:
    plan = apply(
        """
organizations:
- id: org_acme
  slug: apex
  accounts: [{id: acct_shop, key: store}]
  account_groups: [{id: agrp_eu, key: europe}]
  teams: [{id: team_finance, key: money, members: [robert]}]
users: [{id: usr_bob, username: robert}]
"""
    )
    assert said(plan) == [
        "change robert: username bob → robert",
        "rename the organization acme to apex (Acme)",
        "change the account apex/store: key shop → store",
        "change the account group apex/group:europe: key eu → europe",
        "change the team apex/money: key finance → money",
    ]
    assert held(BOB, SHOP) == {"view_only", "x_lead", "analyst", "developer"}
    assert scopes.named("apex/store").account_id == "acct_shop"


def test_two_things_can_be_made_and_removed_under_ids_of_their_own(acme: Plan) -> None:
    apply("organizations: [{slug: acme, accounts: [{key: shop, state: absent}]}]")
    plan = apply("organizations: [{slug: acme, accounts: [{key: shop, name: New shop, country: FR}]}]")
    assert plan.counts() == {"account.open": 1}
    assert "developer" not in held(BOB, SHOP)
    assert scopes.named("acme/shop").account_id != "acct_shop"


# Removing


def test_what_is_absent_is_removed_and_removed_again_there_is_nothing_to_do(acme: Plan) -> None:
    gone = """
organizations:
- slug: acme
  owner: otto
  deputy: null
  accounts: [{key: box, state: absent}]
  account_groups: [{key: eu, state: absent}]
  roles: [{key: x_lead, state: absent}]
  teams: [{key: finance, state: absent}]
  domains: [{name: acme.test, state: absent}]
users:
- {username: bob, state: absent}
- {username: olivia, memberships: [{organization: acme, state: absent}]}
clients: [{client_id: machine, state: absent}]
apis: [{audience: "https://pay.test", state: absent}]
operators: [{username: otto, state: absent}]
"""
    plan = apply(gone)
    assert apply(gone).steps == ()
    assert {step.ACT for step in plan.steps} >= {"account.close", "group.delete", "role.delete", "team.delete"}
    assert (held(OTTO, ACME_ORG), held(OLIVIA, ACME_ORG), held(BOB, SHOP)) == ({"super_admin"}, set(), set())
    assert users.by_username("bob") is None
    assert [post.username for post in operators.everyone()] == ["olivia"]
    assert ownership.deputy_of("org_acme") is None


def test_an_organization_is_closed_with_its_accounts_in_so_many_words(acme: Plan) -> None:
    closing = """
organizations:
- {slug: acme, state: absent, accounts: [{key: shop, state: absent}, {key: box, state: absent}]}
"""
    assert apply(closing).counts() == {"account.close": 2, "organization.close": 1}
    assert apply(closing).steps == ()
    assert held(OLIVIA, ACME_ORG) == set()


def test_standing_changes_there_and_back(acme: Plan) -> None:
    rest = """
organizations: [{slug: acme, status: suspended, accounts: [{key: shop, status: suspended}]}]
users: [{username: bob, status: disabled}, {username: otto, memberships: [{organization: acme, status: suspended}]}]
clients: [{client_id: machine, status: disabled}]
"""
    assert len(apply(rest).steps) == 5
    assert apply(rest).steps == ()
    assert lifecycle.is_disabled("usr_bob")
    active = rest.replace("suspended", "active").replace("disabled", "active")
    assert len(apply(active).steps) == 5
    assert held(BOB, SHOP) == {"view_only", "x_lead", "analyst", "developer"}
    assert held(Holder(client_id="machine"), SHOP) == {"view_only", "developer"}


# Lists within an object


def test_a_list_of_members_or_accounts_is_complete(acme: Plan) -> None:
    plan = apply(
        """
organizations:
- slug: acme
  account_groups: [{key: eu, accounts: [acct_box]}]
  teams: [{key: finance, members: [otto]}]
"""
    )
    assert said(plan) == [
        "put otto into the team acme/finance",
        "take bob out of the team acme/finance",
        "take acme/shop out of the group acme/group:eu",
    ]
    assert held(BOB, SHOP) == {"view_only", "developer"}
    assert apply("organizations: [{slug: acme, teams: [{key: finance, members: []}]}]").counts() == {
        "team.member.remove": 1
    }


def test_a_list_of_roles_is_complete_for_what_apply_granted_and_leaves_what_others_did(acme: Plan) -> None:
    with database.writing():
        bob = Grantee("member", "mem_bob")
        shop = scopes.of_account("org_acme", "shop")
        grants.grant_many([Wanted(bob, "tax_analyst", shop), Wanted(bob, "support_associate", shop)], by=OPERATOR)
    wanted = """
users:
- {username: bob, memberships: [{organization: acme, account_roles: {shop: [support_associate, refund_analyst]}}]}
"""
    assert said(apply(wanted)) == [
        "grant refund_analyst at acme/shop to bob",
        "end the grant of developer at acme/shop to bob",
    ]
    assert apply(wanted).steps == ()
    assert held(BOB, SHOP) == {
        "view_only",
        "x_lead",
        "analyst",
        "tax_analyst",
        "support_associate",
        "refund_analyst",
    }


def test_levels_that_are_not_named_stay_and_empty_ones_end(acme: Plan) -> None:
    assert apply("users: [{username: bob, memberships: [{organization: acme, roles: []}]}]").counts() == {
        "grant.end": 1
    }
    assert held(BOB, SHOP) == {"x_lead", "analyst", "developer"}
    apply("users: [{username: bob, memberships: [{organization: acme, group_roles: {}, account_roles: {}}]}]")
    assert held(BOB, SHOP) == {"x_lead"}


def test_what_another_source_granted_as_far_is_not_granted_again_and_a_nearer_end_is(acme: Plan) -> None:
    soon = clock.now() + clock.HOUR
    with database.writing():
        shop = scopes.of_account("org_acme", "shop")
        grants.grant(Wanted(Grantee("member", "mem_otto"), "analyst", shop, expires_at=soon), by=OPERATOR)
    roles_of_otto = "users: [{username: otto, memberships: [{organization: acme, account_roles: {shop: [%s]}}]}]"
    until = "{role: analyst, expires_at: '%s'}"
    assert apply(roles_of_otto % (until % clock.iso(soon))).steps == ()
    later = until % clock.iso(soon + clock.HOUR)
    assert len(apply(roles_of_otto % later).steps) == 1
    assert apply(roles_of_otto % later).steps == ()
    assert len(apply(roles_of_otto % "analyst").steps) == 1
    assert apply(roles_of_otto % "analyst").steps == ()
    assert len(apply(roles_of_otto % later).steps) == 1, "what apply granted never reaches farther than the file says"
    past = draw(roles_of_otto % (until % "2020-01-01T00:00:00Z"))
    assert [note.said for note in past.notes] == ["not granted: it has expired"]


def test_a_role_is_widened_and_narrowed(acme: Plan) -> None:
    plan = apply(
        """
organizations:
- slug: acme
  roles:
  - {key: x_lead, permissions: [payments.read, {name: refunds.write, audience: "https://pay.test", modes: [live]}],
     assignable_at: [account, organization], demands: aal2, sensitive: true}
"""
    )
    assert plan.counts() == {"role.change": 1}
    changed = roles.settings_of(roles.find("org_acme", "x_lead"))
    assert (changed.demands, changed.sensitive, changed.name) == ("aal2", True, "Lead")
    assert {(one.name, one.audience, one.live, one.sandbox) for one in changed.permissions} == {
        ("payments.read", "", True, True),
        ("refunds.write", "https://pay.test", True, False),
    }


# People


def test_an_address_is_added_proven_and_made_primary_and_the_old_one_stays_until_it_is_absent(acme: Plan) -> None:
    new = "users: [{username: olivia, email: o@acme.test, email_verified: true%s}]"
    assert said(apply(new % "")) == [
        "give olivia the address o@acme.test",
        "make o@acme.test the primary address of olivia",
    ]
    assert [one.address for one in addresses.of("usr_olivia")] == ["o@acme.test", "olivia@acme.test"]
    gone = new % ", other_emails: [{email: olivia@acme.test, state: absent}]"
    assert apply(gone).counts() == {"user.address.remove": 1}
    assert apply(gone).steps == ()


def test_further_addresses_come_with_a_new_person_and_may_be_taken_from_another(acme: Plan) -> None:
    plan = apply(
        """
users:
- {username: olivia, email: o@acme.test, email_verified: true, other_emails: [{email: olivia@acme.test, state: absent}]}
- {username: eve, email: olivia@acme.test, other_emails: [{email: eve@acme.test, verified: true}]}
"""
    )
    assert plan.counts()["user.create"] == 1
    eve = users.named("eve")
    assert {one.address: bool(one.is_primary) for one in addresses.of(eve.id)} == {
        "olivia@acme.test": True,
        "eve@acme.test": False,
    }


def test_claims_that_are_said_change_and_null_takes_one_away(acme: Plan) -> None:
    plan = apply("users: [{username: olivia, given_name: null, family_name: Okafor, address: {country: DE}}]")
    assert len(plan.steps) == 1
    assert users.settings_of(users.find("usr_olivia")).claims == {"family_name": "Okafor", "address": {"country": "DE"}}


@pytest.mark.rule("SES-07")
def test_another_password_signs_out_whoever_is_signed_in(acme: Plan) -> None:
    file = "users: [{username: bob, password: %s}]"
    for password, left in (("correct horse battery", 1), ("another horse battery", 0)):
        with database.writing():
            browser, _ = browsers.begin()
            if left:
                people.open_session(browser, "usr_bob", [Proof("password", 0)])
                trusted_devices.trust(browser, "usr_bob", "")
        apply(file % password)
        database.session().rollback()
        trusted = trusted_devices.of("usr_bob")
        assert (len(people.of_person("usr_bob")), len(trusted)) == (left, left)


def test_a_password_is_set_once_and_another_one_anew(acme: Plan) -> None:
    file = "users: [{username: bob, password: %s}]"
    first = file % "correct horse battery"
    assert apply(first).counts() == {"user.password.set": 1}
    assert apply(first).steps == ()
    assert apply(file % "  correct horse battery").steps == (), "plain texts lose the spaces around them in YAML"
    assert apply(file % "'  correct horse battery'").counts() == {"user.password.set": 1}
    assert apply(file % "<stored>").steps == ()
    hashed = passwords.hash("correct horse battery", passwords.About())
    assert apply(f"users: [{{username: bob, password_hash: '{hashed}'}}]").counts() == {"user.password.set": 1}
    assert apply(first).steps == ()


APP = "users: [{username: bob, totp_secret: %s}]"
CODES = "users: [{username: bob, recovery_codes: %s}]"
MINE = "[abcd-efgh-jkmn-pqrs, 'Correct Horse Battery 1']"


def verified(phone: Phone) -> bool:
    with database.writing():
        return authenticator_apps.verify("usr_bob", phone.code()) is not None


def test_an_authenticator_app_is_set_once_and_another_one_in_its_place(acme: Plan) -> None:
    old, new = Phone("JBSWY3DPEHPK3PXPJBSWY3DP"), Phone("KRUGS4ZANFZSAYJAONSWG4TFOQQHI33P")
    assert apply(APP % "jbsw y3dp ehpk 3pxp jbsw y3dp").counts() == {"user.app.set": 1}
    for again in (old.secret, "jbsw y3dp ehpk 3pxp jbsw y3dp", "<stored>"):
        assert apply(APP % again).steps == ()
    assert verified(old)
    assert apply(APP % new.secret).counts() == {"user.app.set": 1}
    assert not verified(old)
    assert verified(new)
    assert events("usr_bob").count("user.factor.removed") == 1
    assert new.secret not in str([said(apply(APP % old.secret)), [entry.after_json for entry in entries()]])


def test_recovery_codes_of_a_file_count_once_whatever_became_of_them(acme: Plan) -> None:
    assert apply(CODES % MINE).counts() == {"user.codes.set": 1}
    with database.writing():
        assert recovery_codes.use("usr_bob", "ABCD EFGH JKMN PQRS")
    for again in (MINE, "[]", "[<stored>]"):
        assert apply(CODES % again).steps == ()
    assert recovery_codes.left("usr_bob") == 1
    own = codes_of("usr_bob")
    assert apply(CODES % MINE).steps == (), "what the person made since is theirs"
    assert recovery_codes.left("usr_bob") == 10
    assert apply(CODES % "[something else that is long]").counts() == {"user.codes.set": 1}
    with database.writing():
        assert not recovery_codes.use("usr_bob", own[0])


def test_a_new_person_comes_with_a_second_factor(acme: Plan) -> None:
    secret = "JBSWY3DPEHPK3PXPJBSWY3DP"
    plan = apply(f"users: [{{username: nia, id: usr_nia, totp_secret: {secret}, recovery_codes: {MINE}}}]")
    assert plan.counts() == {"user.create": 1, "user.app.set": 1, "user.codes.set": 1}
    assert held_credentials.methods("usr_nia") == {"totp", "recovery_code"}


def test_a_marker_where_nothing_is_stored_is_noted_and_nothing_is_made(acme: Plan) -> None:
    plan = apply(
        """
users: [{username: bob, password: <stored>, totp_secret: <stored>, recovery_codes: [<stored>]}]
clients: [{client_id: web, client_secret: <stored>}, {client_id: machine, client_secret: <stored>}]
signing_keys: [{kid: none-such, purpose: access_token, alg: ES256, private_key: <stored>}]
"""
    )
    assert plan.steps == ()
    assert [(note.line, note.said) for note in plan.notes] == [
        (3, "left out: no password of bob is stored here"),
        (3, "left out: no authenticator app of bob is stored here"),
        (3, "left out: no recovery codes of bob are stored here"),
        (4, "left out: no secret of web is stored here"),
        (5, "left out: no key none-such is stored here"),
    ]


def test_hashing_is_over_before_the_transaction_begins(acme: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    hash_it, carry_out = command.credentials.hash, carrying_out.carry_out

    def hashing(text: str, about: passwords.About) -> str:
        order.append("hash")
        return hash_it(text, about)

    def acting(plan: Plan, **more: Any) -> None:
        order.append("act")
        carry_out(plan, **more)

    monkeypatch.setattr(command.credentials, "hash", hashing)
    monkeypatch.setattr(carrying_out, "carry_out", acting)
    apply("users: [{username: bob, password: correct horse battery}, {username: eve, password: another horse battery}]")
    assert order == ["hash", "hash", "act"]


# Clients and keys


def test_a_secret_of_the_file_replaces_the_older_of_two(acme: Plan) -> None:
    for number in (1, 2, 3):
        file = f"clients: [{{client_id: machine, client_secret: secret number {number}}}]"
        assert apply(file).counts() == {"client.secret.add": 1}
        assert apply(file).steps == ()
    live = [secret.digest for secret in secrets.of("machine")]
    assert [any(bearer.matches(f"secret number {n}", one) for one in live) for n in (1, 2, 3)] == [False, True, True]


def test_a_client_changes_where_it_is_said_and_keeps_the_rest(acme: Plan) -> None:
    plan = apply(
        """
clients:
- {client_id: web, client_name: Web, context: any, enabled_for: all, switched_off: [acme], first_party: true}
- {client_id: machine, roles: [], organization: acme}
- {client_id: robot, roles_in: [{organization: acme, roles: [], account_roles: {shop: [analyst]}}]}
"""
    )
    assert plan.counts() == {"client.change": 1, "client.switch": 1, "grant.end": 2, "grant.make": 1}
    web = clients.settings_of(clients.named("web"))
    assert web.metadata["redirect_uris"] == ["https://web.test/cb"]
    assert (web.context.kind, web.enabled_for, web.first_party) == ("any", None, True)
    assert held(Holder(client_id="machine"), SHOP) == {"developer"}
    assert held(Holder(client_id="robot"), ACME_ORG) == set()
    assert apply("clients: [{client_id: web, switched_off: []}]").counts() == {"client.switch": 1}


def test_a_signing_key_is_brought_along_once_and_retires_when_it_is_absent(acme: Plan) -> None:
    def key(kid: str) -> str:
        pem = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return f"{{kid: {kid}, purpose: access_token, alg: ES256, private_key: {json.dumps(pem.decode())}}}"

    first, second = key("k1"), key("k2")
    assert apply(f"signing_keys: [{first}]").counts() == {"key.bring": 1}
    assert apply(f"signing_keys: [{first}]").steps == ()
    assert apply(f"signing_keys: [{second}]").counts() == {"key.bring": 1}
    with pytest.raises(command.parsing.FileRefused, match="another key has it"):
        apply(f"signing_keys: [{key('k1')}]")
    assert apply("signing_keys: [{kid: k2, state: absent}]").counts() == {"key.retire": 1}
    assert apply("signing_keys: [{kid: k2, state: absent}]").steps == ()


def test_an_api_declares_more_and_less(acme: Plan) -> None:
    plan = apply('apis: [{audience: "https://pay.test", permissions: [refunds.write], scopes: []}]')
    assert said(plan) == [
        "declare the API https://pay.test: payments.read as the issuer says → nothing,"
        " refunds.write analyst → as the issuer says, scope pay Pay → nothing"
    ]
    assert apply('apis: [{audience: "https://pay.test", name: Pay}]').steps == ()


# The command


def test_the_command_says_what_it_did_with_one_value_or_in_words(idp: Idp, tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text(ACME)
    planned = idp("apply", str(tmp_path / "acme.yaml"), "--plan", as_json=False).stdout
    assert planned.startswith("acme.yaml would make 33 changes:\n  declare the API https://pay.test: ")
    assert "\n  bob gains analyst at acme/group:eu\n" in planned
    assert planned.endswith("Nothing has been changed.\n")
    applied = idp("apply", str(tmp_path / "acme.yaml"))
    assert applied.json["applied"] is True
    assert applied.json["counts"]["user.create"] == 3
    assert applied.stdout.count("\n") == 1
    assert idp("apply", str(tmp_path / "acme.yaml"), as_json=False).stdout == "acme.yaml: nothing to do.\n"


def test_a_long_plan_is_cut_for_people_and_whole_for_programs(idp: Idp, tmp_path: Path) -> None:
    names = ", ".join(
        f"{{username: person{n}, memberships: [{{organization: acme, roles: [analyst]}}]}}" for n in range(300)
    )
    (tmp_path / "many.yaml").write_text(
        f"version: 1\norganizations: [{{slug: acme, name: Acme, owner: person0}}]\nusers: [{names}]"
    )
    plain = idp("apply", str(tmp_path / "many.yaml"), "--plan", as_json=False).stdout
    assert "  … and 700 more changes; --json lists all\n" in plain
    assert "  … and 101 more gains and losses; --json lists all\n" in plain
    assert len(idp("apply", str(tmp_path / "many.yaml"), "--plan").json["effects"]) == 301


def test_every_kind_of_step_has_its_place_and_somebody_who_does_it() -> None:
    named = [kind for kind in vars(steps).values() if isinstance(kind, type) and issubclass(kind, steps.Step)]
    assert set(steps.ORDER) == {kind for kind in named if kind.ACT}
    assert {kind.ACT.partition(".")[0] for kind in steps.ORDER} == set(carrying_out._ONE)


@pytest.mark.rule("API-03")
def test_no_plan_no_answer_and_no_entry_shows_a_secret(idp: Idp, tmp_path: Path) -> None:
    file = tmp_path / "secrets.yaml"
    pem = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    file.write_text(
        "version: 1\nusers: [{username: bob, password: opens hunter2 and nothing else}]\n"
        "clients: [{client_id: web, redirect_uris: ['https://web.test/cb'], client_secret: hunter2}]\n"
        f"signing_keys: [{{kid: k1, purpose: access_token, alg: ES256, private_key: {json.dumps(pem)}}}]\n"
    )
    outputs = [
        idp("apply", str(file), *options, as_json=as_json) for options in (("--plan",), ()) for as_json in (True, False)
    ]
    stored = [str(row) for row in database.session().execute(text("SELECT * FROM audit_entries"))]
    for shown in (*stored, *(one.stdout + one.stderr for one in outputs), repr(draw(file.read_text()))):
        assert "hunter2" not in shown
        assert "PRIVATE KEY" not in shown
        assert "$argon2" not in shown
    assert events("web") == ["client.created", "client.secret.added"]


def test_an_account_of_another_organization_cannot_be_claimed_by_its_id(acme: Plan) -> None:
    theirs = "{id: acct_shop, key: shop, name: X, country: DE}"
    other = f"organizations: [{{slug: other, name: Other, owner: bob, accounts: [{theirs}]}}]"
    with pytest.raises(parsing.FileRefused, match="acct_shop"):
        apply(other)
    assert accounts.suspension_of("acct_shop") is None
    assert teams.find("org_acme", "finance")
    assert memberships.find("org_acme", "mem_bob")
