"""People, clients, APIs, operators, keys and the trail on the command line: asking twice changes nothing."""

import json
from pathlib import Path

import argon2
import pytest

from idp.audit import seal
from idp.clients import secrets
from idp.credentials import factors
from idp.credentials.models import Password
from idp.platform import bearer, database
from tests.cli.conftest import Idp
from tests.mailboxes import only
from tests.phones import codes_of, given_to
from tests.traces import OPERATOR, entries, events, losses

GOOD = "correct horse battery staple"
BCRYPT = "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"
CB = "https://shop.example.com/cb"


def stored_password(user_id: str) -> str:
    database.session().rollback()
    return database.session().get_one(Password, user_id).hash


# People


def test_a_person_is_made_once_found_by_every_name_and_listed(idp: Idp) -> None:
    words = ("user", "create", "Olivia", "--email", "o@example.com", "--email-verified", "--claim", "given_name=Olivia")
    olivia = idp(*words).json
    assert idp(*words).json == olivia
    assert olivia["username"] == "Olivia"
    assert olivia["claims"] == {"given_name": "Olivia"}
    assert olivia["addresses"] == [{"address": "o@example.com", "verified": True}]
    for name in (olivia["id"], "olivia", "O@example.com"):
        shown = idp("user", "get", name).json
        assert {name: shown[name] for name in olivia} == olivia
    assert idp("user", "list").json == [olivia]
    assert idp("user", "list", "--search", "nobody").json == []
    assert events(olivia["id"]) == ["user.created", "user.address.added"]


@pytest.mark.parametrize(
    "words",
    [
        ("--claim", "given_name=Olga"),
        ("--email", "other@example.com"),
        ("--email", "o@example.com", "--email-verified"),
    ],
)
def test_creating_somebody_who_exists_and_differs_is_refused(idp: Idp, words: tuple[str, ...]) -> None:
    idp("user", "create", "olivia", "--email", "o@example.com")
    assert idp("user", "create", "olivia", *words, status=1).json["error"] in ("conflict", "address_taken")
    assert idp("user", "get", "olivia").json["claims"] == {}


def test_pages_of_people_follow_one_another(idp: Idp) -> None:
    ids = [idp("user", "create", name).json["id"] for name in ("olivia", "otto", "ben")]
    first = idp("user", "list", "--limit", "2")
    assert ids[1] in first.stderr
    rest = idp("user", "list", "--after", first.json[-1]["id"])
    assert [user["id"] for user in first.json + rest.json] == sorted(ids)


def test_only_what_is_named_is_updated(idp: Idp) -> None:
    idp("user", "create", "olivia", "--email", "o@example.com", "--claim", "given_name=Olivia", "--claim", "gender=f")
    words = (
        *("user", "update", "olivia", "--username", "Liv", "--no-claim", "gender"),
        *("--claim", 'address={"country": "DE"}', "--claim", "phone_number_verified=true", "--claim", "birthdate=1980"),
        *("--add-email", "new@example.com", "--email-verified", "--primary-email", "new@example.com"),
        *("--remove-email", "o@example.com"),
    )
    liv = idp(*words).json
    assert liv["username"] == "Liv"
    assert liv["email"] == "new@example.com"
    assert liv["claims"] == {
        "given_name": "Olivia",
        "address": {"country": "DE"},
        "phone_number_verified": True,
        "birthdate": "1980",
    }
    idp("user", "update", "liv", "--claim", "broken", status=1)
    idp("user", "update", "liv", "--claim", "address={", status=1)


def test_a_password_comes_from_standard_input_and_is_never_shown(idp: Idp) -> None:
    said = idp("user", "create", "olivia", "--password-stdin", stdin=f"{GOOD}\n")
    olivia = said.json["id"]
    assert argon2.PasswordHasher().verify(stored_password(olivia), GOOD)
    again = idp("user", "set-password", "olivia", stdin="another good long password")
    assert argon2.PasswordHasher().verify(stored_password(olivia), "another good long password")
    idp("user", "set-password", "olivia", "--password-hash-stdin", stdin=BCRYPT)
    assert stored_password(olivia) == BCRYPT
    shown = said.stdout + said.stderr + again.stdout + again.stderr
    assert GOOD not in shown
    assert "another good" not in shown
    for stdin in ("", "short", "$argon2i$x"):
        refused = idp("user", "set-password", "olivia", stdin=stdin, status=1)
        assert not stdin or stdin not in refused.stdout + refused.stderr
    idp("user", "set-password", "olivia", "--password-stdin", "--password-hash-stdin", stdin=GOOD, status=1)


def test_what_somebody_has_is_shown_and_reset_for_a_reason(idp: Idp) -> None:
    olivia = idp("user", "create", "olivia", "--password-stdin", stdin=GOOD).json["id"]
    given_to(olivia), codes_of(olivia)
    with database.writing():
        factors.add(olivia, "passkey", "Work laptop", by=OPERATOR)
    shown = idp("user", "get", "olivia").json
    assert shown["methods"] == ["passkey", "password", "recovery_code", "totp"]
    assert [(one["kind"], one["name"]) for one in shown["factors"]] == [("totp", ""), ("passkey", "Work laptop")]
    assert shown["recovery_codes"] == 10
    for words in ((), ("--reason", " "), ("--reason", "lost", "--cancel"), ("--now", "--cancel"), ("--cancel",)):
        idp("user", "reset-mfa", "olivia", *words, status=1)
    assert idp("user", "get", "olivia").json == shown
    assert idp("user", "reset-mfa", "olivia", "--reason", "showed her passport").json["factors_taken"] == 2
    shown = idp("user", "get", "olivia").json
    assert (shown["methods"], shown["factors"], shown["recovery_codes"]) == (["password"], [], 0)
    (reset,) = [entry for entry in entries(olivia) if entry.event == "user.factors.reset"]
    assert "showed her passport" in (reset.after_json or "")


def test_whoever_is_left_without_a_password_is_named(idp: Idp) -> None:
    idp("user", "create", "olivia")
    said = idp("user", "reset-mfa", "olivia", "--reason", "lost")
    assert (said.json["factors_taken"], "set-password" in said.stderr) == (0, True)


def test_whoever_runs_the_installation_is_warned_before_a_reset(idp: Idp) -> None:
    olivia = idp("user", "create", "olivia", "--email", "o@example.com", "--email-verified").json["id"]
    idp("operator", "add", "olivia")
    given_to(olivia)
    said = idp("user", "reset-mfa", "olivia", "--reason", "lost")
    assert (said.json["state"], said.json["factors_taken"], said.json["due_at"] in said.stderr) == ("waiting", 0, True)
    assert idp("user", "reset-mfa", "olivia", "--reason", "lost").json == said.json
    assert only("o@example.com", "factor_reset_asked").facts["reason"] == "lost"
    assert idp("user", "reset-mfa", "olivia", "--cancel").json["state"] == "cancelled"
    idp("user", "reset-mfa", "olivia", "--cancel", status=1)
    idp("user", "reset-mfa", "olivia", "--reason", "lost")
    done = idp("user", "reset-mfa", "olivia", "--now", "--reason", "stood before me").json
    assert (done["state"], done["factors_taken"]) == ("done", 1)


def test_a_link_to_set_up_a_passkey_is_mailed_or_shown(idp: Idp) -> None:
    idp("user", "create", "olivia", "--email", "o@example.com", "--email-verified"), idp("user", "create", "bob")
    said = idp("user", "enrol-link", "olivia")
    assert (said.json["mailed_to"], "clink_" in said.stdout + said.stderr) == ("o@example.com", False)
    assert only("o@example.com", "enrol").path.startswith("/login/enrol/link/clink_")
    assert idp("user", "enrol-link", "bob", status=1).json["error"] == "nowhere_to_mail"
    shown = idp("user", "enrol-link", "bob", "--print").json
    assert shown["link"].startswith("http://localhost:8000/login/enrol/link/clink_")


def test_break_glass_codes_are_made_checked_and_voided(idp: Idp) -> None:
    idp("user", "create", "olivia"), idp("org", "create", "northwind", "--owner", "olivia", "--name", "Northwind")
    assert idp("break-glass", "status", "northwind").json["left"] == 0
    codes = idp("break-glass", "make", "northwind").json["codes"]
    assert len(codes) == 10
    for _ in range(2):
        assert idp("break-glass", "check", "northwind", stdin=f"{codes[0]}\n").json["good"]
    assert idp("break-glass", "check", "northwind", stdin="wrong", status=1).json["good"] is False
    assert idp("break-glass", "status", "northwind").json["left"] == 10
    shown = idp("break-glass", "void", "northwind")
    assert (shown.json["left"], codes[0] in shown.stdout) == (0, False)
    idp("break-glass", "check", "northwind", stdin=codes[0], status=1)


def test_creating_again_keeps_the_password_that_is_there(idp: Idp) -> None:
    olivia = idp("user", "create", "olivia", "--password-stdin", stdin=GOOD).json["id"]
    before = stored_password(olivia)
    idp("user", "create", "olivia", "--password-stdin", stdin=GOOD)
    assert idp("user", "create", "olivia", "--password-stdin", stdin=f"{GOOD}!", status=1).json["error"] == "conflict"
    assert stored_password(olivia) == before
    assert events(olivia).count("user.password.set") == 1


def test_a_person_is_disabled_enabled_and_deleted(idp: Idp) -> None:
    olivia = idp("user", "create", "olivia").json["id"]
    for _ in range(2):
        assert idp("user", "disable", "olivia").json["disabled"] is True
    assert idp("user", "enable", "olivia").json["disabled"] is False
    assert idp("user", "delete", "olivia").json == {"id": olivia, "deleted": True}
    idp("user", "get", olivia, status=1)
    assert losses() == [("membership", {"sub": olivia})] * 2


def test_operators_come_and_go(idp: Idp) -> None:
    idp("user", "create", "olivia")
    for _ in range(2):
        assert idp("operator", "add", "olivia", "--role", "support").json["role"] == "support"
    assert [post["username"] for post in idp("operator", "list").json] == ["olivia"]
    for _ in range(2):
        assert idp("operator", "remove", "olivia").json["role"] is None
    assert idp("operator", "list").json == []


# Clients


def test_a_client_is_made_once_and_its_secret_is_printed_once(idp: Idp) -> None:
    words = ("client", "create", "shop", "--name", "Shop", "--redirect-uri", CB, "--set", "require_pkce=true")
    made = idp(*words).json
    (stored,) = secrets.of("shop")
    assert bearer.matches(made.pop("client_secret"), stored.digest)
    assert idp(*words).json == made
    assert idp("client", "get", "shop").json == made
    assert (made["client_name"], made["redirect_uris"], made["require_pkce"]) == ("Shop", [CB], True)
    assert idp("client", "create", "shop", "--redirect-uri", CB, status=1).json["error"] == "conflict"
    assert [one["client_id"] for one in idp("client", "list").json] == ["shop"]


def test_a_secret_may_be_given_and_is_not_repeated(idp: Idp) -> None:
    made = idp("client", "create", "shop", "--redirect-uri", CB, "--secret-stdin", stdin="from the vault of ours")
    assert "client_secret" not in made.json
    assert "from the vault" not in made.stdout + made.stderr
    assert bearer.matches("from the vault of ours", secrets.of("shop")[0].digest)


def test_secrets_are_replaced_without_a_gap(idp: Idp) -> None:
    idp("client", "create", "shop", "--redirect-uri", CB)
    first = idp("client", "get", "shop").json["secrets"][0]["id"]
    second = idp("client", "secret", "add", "shop").json
    assert idp("client", "secret", "add", "shop", status=1).json["error"] == "conflict"
    for _ in range(2):
        idp("client", "secret", "end", "shop", first)
    assert [one["id"] for one in idp("client", "get", "shop").json["secrets"]] == [second["secret_id"]]


def test_a_public_client_gets_no_secret(idp: Idp) -> None:
    words = ("client", "create", "app", "--redirect-uri", CB, "--set", "token_endpoint_auth_method=none")
    assert "client_secret" not in idp(*words).json
    assert secrets.of("app") == []


@pytest.mark.rule("AUZ-06")
def test_a_dangerous_redirect_address_is_refused_and_changes_nothing(idp: Idp) -> None:
    idp("client", "create", "shop", "--redirect-uri", CB)
    for uri in ("JavaScript:alert(1)", "http://shop.example.com/cb", f"{CB}#x", "https://*.example.com/cb"):
        assert idp("client", "update", "shop", "--redirect-uri", uri, status=1).json["error"] == "invalid_redirect_uri"
        assert idp("client", "create", "--redirect-uri", uri, status=1).json["error"] == "invalid_redirect_uri"
    assert idp("client", "get", "shop").json["redirect_uris"] == [CB]


def test_only_what_is_named_of_a_client_is_updated(idp: Idp) -> None:
    idp(
        "client",
        "create",
        "shop",
        "--name",
        "Shop",
        "--redirect-uri",
        CB,
        "--set",
        "client_uri=https://shop.example.com",
    )
    words = (
        "--name",
        "Store",
        "--unset",
        "client_uri",
        "--set",
        "default_max_age=60",
        "--context",
        "any",
        "--first-party",
    )
    changed = idp("client", "update", "shop", *words).json
    assert changed["client_name"] == "Store"
    assert "client_uri" not in changed
    assert (changed["default_max_age"], changed["context"], changed["first_party"]) == (60, "any", True)
    assert idp("client", "update", "shop", "--third-party").json["context"] == "any"
    assert idp("client", "update", "shop", "--set", "unknown=1", status=1).json["field"] == "unknown"
    idp("client", "update", "shop", "--context", "nowhere", status=1)


def test_a_client_is_disabled_enabled_and_deleted(idp: Idp) -> None:
    idp("client", "create", "shop", "--redirect-uri", CB)
    assert idp("client", "disable", "shop").json["disabled"] is True
    assert idp("client", "enable", "shop").json["disabled"] is False
    idp("client", "delete", "shop")
    idp("client", "get", "shop", status=1)
    assert idp("client", "create", "shop", "--redirect-uri", CB, status=1).json["error"] == "conflict"


# APIs


def test_an_api_is_declared_once_changed_and_withdrawn(idp: Idp) -> None:
    audience = "https://pay.example.com"
    words = ("api", "create", audience, "--name", "Pay", "--scope", "pay=Pay for you", "--permission", "refunds.write")
    made = idp(*words, "--permission", "a.read=super_admin,developer,analyst").json
    assert made["permissions"] == {"a.read": ["analyst", "developer"], "refunds.write": None}
    assert made["scopes"] == [{"name": "pay", "description": "Pay for you"}]
    assert idp(*words, "--permission", "a.read=analyst,developer").json == made
    assert idp(*words, status=1).json["error"] == "conflict"
    changed = idp("api", "update", audience, "--no-permission", "refunds.write", "--permission", "b.read=").json
    assert changed["permissions"] == {"a.read": ["analyst", "developer"], "b.read": []}
    assert losses() == [("api", {"aud": audience})]
    assert idp("api", "get", made["id"]).json == changed
    assert [one["audience"] for one in idp("api", "list").json] == [audience]
    idp("api", "create", "https://x.example.com", "--permission", "a.b=nobody", status=1)
    idp("api", "delete", audience)
    idp("api", "get", audience, status=1)


# Keys and epochs


def test_signing_keys_are_made_rotated_and_withdrawn(idp: Idp) -> None:
    made = idp("keys", "rotate").json["made"]
    assert made
    states = {key["kid"]: key["state"] for key in idp("keys", "list").json}
    assert states == dict.fromkeys(made, "active")
    planned = idp("keys", "rotate").json
    assert planned["withdrawn"] == []
    assert len(planned["made"]) == len(made)
    assert idp("keys", "rotate").json["made"] == []
    assert idp("keys", "retire", planned["made"][0]).json["kid"] == planned["made"][0]
    idp("keys", "retire", "unknown", status=1)
    emergency = idp("keys", "rotate", "--now").json
    assert set(made) <= set(emergency["withdrawn"])
    assert {match["kid"] for kind, match in losses() if kind == "key"} == set(emergency["withdrawn"])


def test_a_master_key_can_leave_after_resealing(idp: Idp, environment: dict[str, str]) -> None:
    idp("keys", "rotate")
    old = environment["IDP_SECRET_KEY"]
    environment["IDP_SECRET_KEY"] = f"a-new-key-of-forty-characters-or-more-0123456789 {old}"
    outcome = idp("keys", "reseal").json
    assert outcome["moved"] > 0
    assert len(outcome["removable"]) == 1
    assert outcome["still_needed"] == {}
    environment["IDP_SECRET_KEY"] = "a-new-key-of-forty-characters-or-more-0123456789"
    assert idp("keys", "reseal").json["moved"] == 0


def test_a_new_epoch_hits_every_token(idp: Idp) -> None:
    idp("epoch", "new")
    assert "feed.epoch.begun" in events("feed")


# The trail


def test_the_trail_is_exported_as_one_value_as_lines_and_into_a_file(idp: Idp, tmp_path: Path) -> None:
    olivia = idp("user", "create", "olivia").json["id"]
    everything = idp("audit", "export").json
    assert [entry["event"] for entry in everything if entry["subject"] == olivia] == ["user.created"]
    lines = idp("audit", "export", "--subject", olivia, as_json=False).stdout.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["user.created"]
    assert idp("audit", "export", "--subject", "nobody").json == []
    assert idp("audit", "export", "--format", "csv", status=1).json["error"] == "invalid"
    assert idp("audit", "export", "--format", "csv", as_json=False).stdout.startswith('"id"')
    file = tmp_path / "trail.jsonl"
    told = idp("audit", "export", "--event", "user.", "--since", "2020-01-01", "--output", str(file)).json
    assert told == {"file": str(file), "lines": 1}
    assert file.stat().st_mode & 0o777 == 0o600
    idp("audit", "export", "--since", "yesterday", status=1)
    assert events("audit").count("audit.exported") == 6


def test_verifying_says_whether_the_trail_is_as_it_was_sealed(idp: Idp) -> None:
    idp("user", "create", "olivia")
    with database.writing():
        seal.seal_batch()
    intact = idp("audit", "verify").json
    assert intact["intact"] is True
    assert idp("audit", "verify", "--expected", intact["head"]).json["intact"] is True
    idp("audit", "verify", "--expected", "nonsense", status=1)
    chain, number, digest = intact["head"].split(":")
    said = idp("audit", "verify", "--expected", f"{chain}:{int(number) + 9}:{digest}", status=1)
    assert said.json["intact"] is False
    assert said.json["finding"]["chain"] == chain


@pytest.mark.rule("API-03")
def test_no_answer_ever_shows_a_secret_a_hash_or_a_private_key(idp: Idp) -> None:
    idp("user", "create", "olivia", "--email", "o@example.com", "--password-stdin", stdin=GOOD)
    hashed = stored_password(idp("user", "get", "olivia").json["id"])
    secret = idp("client", "create", "shop", "--redirect-uri", CB).json["client_secret"]
    database.session().rollback()
    digest = secrets.of("shop")[0].digest
    idp("keys", "rotate")
    idp("operator", "add", "olivia")
    asked = [
        ("user", "get", "olivia"),
        ("user", "list"),
        ("user", "update", "olivia", "--claim", "given_name=O"),
        ("user", "disable", "olivia"),
        ("client", "get", "shop"),
        ("client", "list"),
        ("client", "update", "shop", "--name", "Store"),
        ("client", "disable", "shop"),
        ("keys", "list"),
        ("operator", "list"),
        ("config", "show"),
        ("audit", "export"),
    ]
    for words in asked:
        for as_json in (True, False):
            said = idp(*words, as_json=as_json)
            shown = said.stdout + said.stderr
            for forbidden in (GOOD, hashed, secret, digest.hex(), "PRIVATE KEY", '"d":'):
                assert forbidden not in shown, words
