"""Organizations and what is in them on the command line: asking twice changes nothing."""

import json
from typing import Any

import pytest
from flask import Flask

from idp.app import start
from idp.platform import clock
from tests import mailboxes
from tests.cli.conftest import Idp
from tests.traces import events, losses


@pytest.fixture(autouse=True)
def built_in(app: Flask) -> None:
    start()


@pytest.fixture
def northwind(idp: Idp) -> str:
    """Northwind, owned by olivia; otto and ben are members; two accounts."""
    for name in ("olivia", "otto", "ben"):
        idp("user", "create", name, "--email", f"{name}@northwind.test", "--email-verified")
    made = idp("org", "create", "northwind", "--owner", "olivia", "--name", "Northwind").json
    for name in ("otto", "ben"):
        idp("member", "create", "northwind", name)
    idp("account", "create", "northwind/eu-shop", "--country", "DE", "--name", "EU shop")
    idp("account", "create", "northwind/us-shop", "--country", "US", "--sandbox")
    return str(made["id"])


def test_an_organization_is_founded_once_and_shown_with_its_policy(idp: Idp, northwind: str) -> None:
    shown = idp("org", "get", "northwind").json
    assert (shown["owner"], shown["deputy"], shown["status"]) == ("olivia", None, "active")
    assert shown["policies"]["mfa"] == "optional"
    assert idp("org", "create", "northwind", "--owner", "olivia", "--name", "Northwind").json == shown
    assert idp("org", "create", "northwind", "--owner", "otto", status=1).json["error"] == "conflict"
    assert [line["slug"] for line in idp("org", "list").json] == ["northwind"]
    assert events(northwind).count("organization.created") == 1


def test_an_organization_is_renamed_and_found_by_its_former_slug(idp: Idp, northwind: str) -> None:
    changed = idp("org", "update", "northwind", "--slug", "southwind", "--policy", "mfa=required").json
    assert (changed["slug"], changed["name"], changed["policies"]["mfa"]) == ("southwind", "Northwind", "required")
    policy = ("--policy", "methods=passkey,sso", "--policy", "session_idle=600")
    shown = idp("org", "update", "northwind", *policy).json["policies"]
    assert (shown["methods"], shown["session_idle"], shown["mfa"]) == (["passkey", "sso"], 600, "required")
    assert shown["trusted_devices"] is True
    for said in (False, True):
        policy = ("--policy", f"trusted_devices={str(said).lower()}")
        assert idp("org", "update", "northwind", *policy).json["policies"]["trusted_devices"] is said
    for wrong in ("mfa=perhaps", "session_idle=long", "trusted_devices=1", "colour=blue", "mfa"):
        idp("org", "update", "northwind", "--policy", wrong, status=1)


@pytest.mark.rule("ORG-04")
def test_the_owner_stays_until_ownership_passes_on(idp: Idp, northwind: str) -> None:
    for words in (
        ("user", "disable", "olivia"),
        ("user", "delete", "olivia"),
        ("member", "update", "northwind", "olivia", "--status", "suspended"),
        ("member", "delete", "northwind", "olivia"),
    ):
        assert "own" in idp(*words, status=1).json["error"]
    idp("grant", "create", "otto", "super_admin", "northwind")
    assert idp("org", "update", "northwind", "--deputy", "otto").json["deputy"] == "otto"
    assert idp("org", "update", "northwind", "--deputy", "none").json["deputy"] is None
    assert idp("org", "update", "northwind", "--owner", "otto").json["owner"] == "otto"
    idp("user", "disable", "olivia")


def test_an_organization_is_suspended_resumed_and_closed(idp: Idp, northwind: str) -> None:
    for _ in range(2):
        assert idp("org", "suspend", "northwind").json["status"] == "suspended"
    assert losses() == [("organization", {"org_id": northwind})]
    assert idp("org", "resume", "northwind").json["status"] == "active"
    assert idp("org", "delete", "northwind", status=1).json["error"] == "conflict"
    for key in ("eu-shop", "us-shop"):
        idp("account", "delete", f"northwind/{key}")
    assert idp("org", "delete", "northwind").json["status"] == "closed"


def test_accounts_are_opened_changed_suspended_and_closed(idp: Idp, northwind: str) -> None:
    words = ("account", "create", "northwind/eu-shop", "--country", "DE", "--name", "EU shop")
    shop = idp(*words).json
    assert (shop["organization"], shop["livemode"], shop["status"]) == (northwind, True, "active")
    assert idp("account", "create", "northwind/eu-shop", "--country", "FR", status=1).json["error"] == "conflict"
    assert idp("account", "get", shop["id"]).json == idp("account", "get", "northwind/eu-shop").json == shop
    assert [line["key"] for line in idp("account", "list", "northwind").json] == ["eu-shop", "us-shop"]
    assert [line["key"] for line in idp("account", "list", "northwind", "--limit", "1").json] == ["eu-shop"]
    changed = idp("account", "update", shop["id"], "--key", "de-shop", "--country", "AT", "--status", "suspended").json
    assert (changed["key"], changed["country"], changed["status"]) == ("de-shop", "AT", "suspended")
    assert losses() == [("account", {"org_id": northwind, "account_id": shop["id"]})]
    assert idp("account", "update", shop["id"], "--status", "active").json["status"] == "active"
    idp("account", "delete", shop["id"])
    idp("account", "get", shop["id"], status=1)
    idp("account", "get", "northwind", status=1)


@pytest.mark.rule("ORG-07")
def test_an_account_moves_and_leaves_its_grants_behind_unless_carried(idp: Idp, northwind: str) -> None:
    idp("org", "create", "contoso", "--owner", "otto")
    idp("member", "create", "contoso", "ben")
    kept = idp("grant", "create", "ben", "developer", "northwind/eu-shop").json["id"]
    idp("grant", "create", "ben", "view_only", "northwind/eu-shop")
    moved = idp("account", "move", "northwind/eu-shop", "--to", "contoso", "--carry-grant", kept).json
    assert moved["key"] == "eu-shop"
    assert [line["role"] for line in idp("grant", "list", "contoso/eu-shop").json] == ["developer"]
    assert idp("grant", "list", "northwind").json == []
    assert [line["key"] for line in idp("account", "list", "northwind").json] == ["us-shop"]


def test_groups_gather_accounts(idp: Idp, northwind: str) -> None:
    words = ("group", "create", "northwind/eu", "--name", "EU", "--account", "eu-shop")
    eu = idp(*words).json
    assert (eu["key"], eu["accounts"]) == ("eu", ["eu-shop"])
    assert idp(*words).json == eu
    assert idp("group", "create", "northwind/eu", "--name", "Other", status=1).json["error"] == "conflict"
    changed = idp(
        *("group", "update", "northwind/eu", "--name", "Europe"),
        *("--add-account", "us-shop", "--remove-account", "eu-shop"),
    ).json
    assert (changed["name"], changed["accounts"]) == ("Europe", ["us-shop"])
    assert idp("group", "get", eu["id"]).json == idp("group", "get", "northwind/group:eu").json == changed
    assert [line["key"] for line in idp("group", "list", "northwind").json] == ["eu"]
    idp("group", "delete", "northwind/eu")
    assert idp("group", "list", "northwind").json == []


def test_teams_gather_members(idp: Idp, northwind: str) -> None:
    words = ("team", "create", "northwind/finance", "--name", "Finance", "--member", "ben")
    finance = idp(*words).json
    assert finance["members"] == ["ben"]
    assert idp(*words).json == finance
    changed = idp("team", "update", finance["id"], "--add-member", "otto@northwind.test", "--remove-member", "ben").json
    assert changed["members"] == ["otto"]
    assert idp("team", "get", "northwind/finance").json == changed
    idp("team", "update", "northwind/finance", "--add-member", "nobody2", status=1)
    idp("team", "delete", "northwind/finance")
    assert idp("team", "list", "northwind").json == []


def test_members_come_rest_and_go(idp: Idp, northwind: str) -> None:
    ben = idp("member", "create", "northwind", "ben").json
    assert (ben["username"], ben["status"], ben["owner"]) == ("ben", "active", False)
    assert idp("member", "create", "northwind", "ben", "--status", "invited", status=1).json["error"] == "conflict"
    owners = {line["username"]: line["owner"] for line in idp("member", "list", "northwind").json}
    assert owners == {"olivia": True, "otto": False, "ben": False}
    assert idp("member", "update", "northwind", "ben", "--status", "suspended").json["status"] == "suspended"
    assert losses() == [("membership", {"sub": ben["user_id"], "org_id": northwind})]
    assert idp("member", "update", "northwind", ben["id"], "--status", "active").json["status"] == "active"
    idp("member", "delete", "northwind", "ben")
    idp("member", "get", "northwind", "ben", status=1)


def test_roles_are_made_changed_and_deleted_and_built_in_ones_shown(idp: Idp, northwind: str) -> None:
    idp("api", "create", "https://pay.example.com", "--permission", "refunds.write", "--permission", "special.do")
    words = (
        *("role", "create", "northwind", "x_lead", "--name", "Refund lead", "--permission", "refunds.write"),
        *("--live-permission", "special.do@https://pay.example.com", "--assignable-at", "account", "--demands", "aal2"),
    )
    lead = idp(*words).json
    assert idp(*words).json == lead
    assert (lead["assignable_at"], lead["demands"], lead["privileged"]) == (["account"], "aal2", False)
    allowed = {(one["name"], one["audience"]): (one["live"], one["sandbox"]) for one in lead["permissions"]}
    assert allowed == {
        ("refunds.write", "http://localhost:8000"): (True, True),
        ("refunds.write", "https://pay.example.com"): (True, True),
        ("special.do", "https://pay.example.com"): (True, False),
    }
    changed = idp(
        *("role", "update", "northwind", "x_lead", "--sandbox-permission", "refunds.write", "--sensitive"),
        *("--no-permission", "special.do@https://pay.example.com"),
    ).json
    assert changed["sensitive"] is True
    assert {(one["live"], one["sandbox"]) for one in changed["permissions"]} == {(False, True)}
    assert ("role", {"org_id": northwind, "role": "x_lead"}) in losses()
    built_in = idp("role", "get", "northwind", "iam_admin").json
    assert (built_in["built_in"], built_in["privileged"]) == (True, True)
    assert [line["key"] for line in idp("role", "list", "northwind").json][-1] == "x_lead"
    idp("role", "update", "northwind", "admin", "--name", "X", status=1)
    idp("role", "delete", "northwind", "x_lead")
    idp("role", "get", "northwind", "x_lead", status=1)


def test_grants_are_made_once_listed_and_ended(idp: Idp, northwind: str) -> None:
    idp("group", "create", "northwind/eu", "--account", "eu-shop")
    idp("team", "create", "northwind/finance", "--member", "otto")
    idp("client", "create", "robot", "--set", 'grant_types=["client_credentials"]', "--organization", "northwind")
    made = idp("grant", "create", "ben", "developer", "northwind/eu-shop", "--reason", "on call").json
    assert idp("grant", "create", "ben", "developer", "northwind/eu-shop", "--reason", "on call").json == made
    idp("grant", "create", "team:finance", "analyst", "northwind/group:eu")
    idp("grant", "create", "client:robot", "view_only", "northwind")
    listed = idp("grant", "list", "northwind").json
    assert [
        (one["grantee_kind"], one["grantee"], one["role"], one["scope_kind"], one["scope_key"]) for one in listed
    ] == [
        ("member", "ben", "developer", "account", "eu-shop"),
        ("team", "finance", "analyst", "group", "eu"),
        ("client", "robot", "view_only", "organization", ""),
    ]
    assert [one["grantee"] for one in idp("grant", "list", "northwind", "--to", "team:finance").json] == ["finance"]
    assert [one["grantee"] for one in idp("grant", "list", "northwind", "--here").json] == ["robot"]
    assert [one["grantee"] for one in idp("grant", "list", "northwind/eu-shop").json] == ["ben"]
    for _ in range(2):
        idp("grant", "delete", made["id"])
    idp("grant", "get", made["id"], status=1)
    idp("grant", "create", "ben", "x_none", "northwind", status=1)
    idp("grant", "create", "ben", "developer", "nowhere", status=1)


def test_a_grant_gets_another_end(idp: Idp, northwind: str) -> None:
    made = idp("grant", "create", "ben", "developer", "northwind", "--expires", "2099-01-01T00:00:00Z").json
    assert made["expires_at"] == "2099-01-01T00:00:00.000000Z"
    later = idp("grant", "update", made["id"], "--expires", "never").json
    assert (later["expires_at"], later["role"]) == (None, "developer")
    assert [one["id"] for one in idp("grant", "list", "northwind").json] == [later["id"]]
    idp("grant", "update", made["id"], "--expires", "never", status=1)
    idp("grant", "create", "ben", "developer", "northwind", "--expires", "soon", status=1)


def test_people_are_invited_by_letters(idp: Idp, northwind: str) -> None:
    roles = ("--role", "view_only", "--role", "developer@northwind/eu-shop")
    invited = ("invitation", "create", "northwind", "new@example.com", "other@example.com", *roles)
    made = idp(*invited, "--message", "Welcome").json
    assert [one["address"] for one in made] == ["new@example.com", "other@example.com"]
    assert not any("link" in one for one in made)
    letters = [one for one in mailboxes.letters() if one.template == "invitation"]
    assert [(one.to, one.facts["message"]) for one in letters] == [(one["address"], "Welcome") for one in made]
    listed = idp("invitation", "list", "northwind")
    assert [one["id"] for one in listed.json] == [one["id"] for one in made]
    assert idp("invitation", "get", made[0]["id"]).json["outcome"] is None
    again = idp("invitation", "resend", made[0]["id"]).json
    assert (again["address"], "link" in again) == ("new@example.com", False)
    assert idp("invitation", "get", made[0]["id"]).json["outcome"] == "replaced"
    idp("invitation", "resend", made[0]["id"], status=1)
    for _ in range(2):
        assert idp("invitation", "delete", again["id"]).json["outcome"] == "revoked"
    idp("invitation", "create", "northwind", "not an address", status=1)
    idp("invitation", "create", "northwind", "new@example.com", "--message", "https://evil.test", status=1)


def test_a_link_is_printed_to_whoever_asks_for_it_once(idp: Idp, northwind: str) -> None:
    (made,) = idp("invitation", "create", "northwind", "new@example.com", "--print-link").json
    assert made["link"].startswith("http://localhost:8000/invitations/cinv_")
    assert made["link"] not in idp("invitation", "get", made["id"]).stdout
    again = idp("invitation", "resend", made["id"], "--print-link").json
    assert again["link"].startswith("http://localhost:8000/invitations/cinv_")
    assert again["link"] != made["link"]


def test_roles_of_another_organization_are_not_offered(idp: Idp, northwind: str) -> None:
    idp("org", "create", "contoso", "--owner", "otto")
    idp("invitation", "create", "contoso", "x@example.com", "--role", "view_only@northwind", status=1)


def test_domains_are_claimed_proven_and_released(idp: Idp, northwind: str) -> None:
    made = idp("domain", "create", "northwind", "Northwind.test").json
    assert (made["name"], made["verified"]) == ("northwind.test", False)
    assert made["proof"].startswith("canopy-verification=")
    assert idp("domain", "create", "northwind", "northwind.test").json == made
    assert idp("domain", "update", "northwind", "NORTHWIND.test", "--verified").json["verified"] is True
    assert idp("domain", "get", "northwind", made["id"]).json["verified"] is True
    assert len(idp("domain", "list", "northwind").json) == 1
    idp("domain", "create", "northwind", "gmail.com", status=1)
    idp("domain", "delete", "northwind", "northwind.test")
    assert idp("domain", "list", "northwind").json == []


def test_why_prints_the_chain_and_what_would_change_it(idp: Idp, northwind: str) -> None:
    made = idp("grant", "create", "ben", "developer", "northwind").json
    yes = idp("why", "ben", "payments.write", "northwind/eu-shop").json
    assert yes["allowed"] is True
    counting = [path for path in yes["chain"] if path["counts"]]
    assert [(path["role"], path["grant"]) for path in counting] == [("developer", made["id"])]
    no: dict[str, Any] = idp("why", "ben", "members.write", "northwind").json
    assert no["allowed"] is False
    assert no["would_change"]
    assert idp("why", "olivia", "super_admin", "northwind").json["allowed"] is True
    assert idp("why", "olivia", "super_admin", "northwind", "--as", "permission").json["allowed"] is False
    words = idp("why", "ben", "payments.write", "northwind", as_json=False).stdout
    assert words.startswith("Yes: payments.write at northwind")
    assert made["id"] in words


def test_why_answers_for_the_past_and_for_api_clients(idp: Idp, northwind: str) -> None:
    made = idp("grant", "create", "ben", "developer", "northwind").json
    then = clock.iso(clock.now())
    idp("grant", "delete", made["id"])
    assert idp("why", "ben", "developer", "northwind").json["allowed"] is False
    assert idp("why", "ben", "developer", "northwind", "--at", then).json["allowed"] is True
    idp("client", "create", "robot", "--set", 'grant_types=["client_credentials"]', "--organization", "northwind")
    idp("grant", "create", "client:robot", "analyst", "northwind/eu-shop")
    assert idp("why", "client:robot", "payments.read", "northwind/eu-shop").json["allowed"] is True
    assert idp("why", "client:robot", "payments.read", "northwind").json["allowed"] is False
    for words in (("nobody2", "x", "northwind"), ("ben", "x", "nowhere"), ("ben", "x", "northwind", "--at", "then")):
        idp("why", *words, status=1)


def test_a_clients_context_and_offer_are_named_by_slug(idp: Idp, northwind: str) -> None:
    shop = idp("account", "get", "northwind/eu-shop").json["id"]
    words = ("client", "create", "app1", "--redirect-uri", "https://app.example.com/cb", "--enabled-for", "northwind")
    made = idp(*words, "--context", "northwind/eu-shop").json
    assert made["context"] == {"organization": northwind, "account": shop}
    assert made["enabled_for"] == [northwind]
    assert idp("client", "switch", "app1", "northwind", "--off").json["on"] is False
    assert losses() == [("client", {"client_id": "app1", "org_id": northwind})]
    assert (
        idp("client", "update", "app1", "--enabled-for", "all", "--context", "northwind").json["enabled_for"] == "all"
    )
    own = idp(
        "client", "create", "own", "--organization", "northwind", "--redirect-uri", "https://o.example.com/cb"
    ).json
    assert own["owner"] == northwind
    assert [one["client_id"] for one in idp("client", "list", "--organization", "northwind").json] == ["own"]
    idp("group", "create", "northwind/eu")
    idp("client", "update", "app1", "--context", "northwind/group:eu", status=1)


@pytest.mark.rule("ORG-11")
def test_lists_of_one_organization_tell_nothing_of_another(idp: Idp, northwind: str) -> None:
    idp("org", "create", "contoso", "--owner", "otto")
    idp("group", "create", "northwind/eu", "--account", "eu-shop")
    idp("team", "create", "northwind/finance", "--member", "ben")
    idp("grant", "create", "ben", "developer", "northwind/eu-shop")
    idp("invitation", "create", "northwind", "new@example.com")
    idp("domain", "create", "northwind", "northwind.test")
    for noun in ("account", "group", "team", "grant", "invitation", "domain"):
        assert idp(noun, "list", "contoso").json == [], noun
    assert [line["username"] for line in idp("member", "list", "contoso").json] == ["otto"]
    trail = idp("audit", "export", "--organization", "contoso").json
    assert "northwind" not in json.dumps(trail)
