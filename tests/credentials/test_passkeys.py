"""Passkeys as they are meant to work: set up, used by name and without, counted, renamed, removed."""

import hashlib
import json
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import cbor2
import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from flask import Flask
from sqlalchemy import select

from idp.audit.trail import Actor
from idp.credentials import ceremonies, factors, held, passkeys
from idp.credentials.authenticators import NotAccepted
from idp.credentials.models import Ceremony, Factor, Passkey
from idp.credentials.passkeys import Verified
from idp.platform import database
from idp.platform.database import DatabaseUnavailable
from idp.platform.settings import settings
from idp.users import lifecycle, users
from idp.users.users import UserSettings
from tests.authenticators import (
    BE,
    BS,
    EDDSA,
    ES256,
    RS256,
    UP,
    UV,
    Authenticator,
    Change,
    Key,
    Parts,
    attested,
    decoded,
    encoded,
    honest,
)  # fmt: skip
from tests.traces import OPERATOR, entries, events

HERE = "txn_here"


def person(username: str) -> str:
    """The id of a new person."""
    with database.writing():
        return users.create(UserSettings(username), by=OPERATOR).id


@pytest.fixture
def olivia(app: Flask) -> str:
    return person("olivia")


@pytest.fixture
def bob(app: Flask) -> str:
    return person("bob")


@pytest.fixture
def device(app: Flask) -> Authenticator:
    return Authenticator(settings().issuer)


def asked_to_create(user_id: str, bound_to: str = HERE) -> dict[str, Any]:
    """Options as the browser gets them."""
    with database.writing():
        return passkeys.creation_options(users.find(user_id), bound_to)


def asked(purpose: str = "sign_in", bound_to: str = HERE, user_id: str | None = None) -> dict[str, Any]:
    """Options as the browser gets them."""
    with database.writing():
        return passkeys.request_options(purpose, bound_to, user_id)


def set_up(user_id: str, device: Authenticator, name: str = "Laptop", change: Change = honest) -> Factor:
    """A new passkey of that person on that device."""
    with database.writing():
        answer = device.create(passkeys.creation_options(users.find(user_id), HERE), change)
        return passkeys.register(user_id, HERE, answer, name, by=Actor("user", user_id))


def offered(answer: str, user_id: str, bound_to: str = HERE) -> Factor:
    """What comes of an offer."""
    with database.writing():
        return passkeys.register(user_id, bound_to, answer, "Laptop", by=Actor("user", user_id))


def given(answer: str, purpose: str = "sign_in", bound_to: str = HERE, user_id: str | None = None) -> Verified:
    """What comes of an answer."""
    with database.writing():
        return passkeys.verify(purpose, bound_to, user_id, answer)


def state() -> list[tuple[object, ...]]:
    """Everything that is kept of passkeys, and who has them."""
    database.session().rollback()
    columns = [*Passkey.__table__.columns, *Factor.__table__.columns]
    kept = select(*columns).join(Factor, Factor.id == Passkey.factor_id, full=True).order_by(Factor.id)
    return [tuple(row) for row in database.session().execute(kept)]


def says(handle: object) -> Change:
    """That the passkey is somebody's: the user handle, as it is sent."""
    return lambda parts: parts.but(response={"userHandle": handle})


def with_id(device: Authenticator, id: bytes) -> Change:
    """That the new passkey is called `id`."""

    def change(parts: Parts) -> Parts:
        known = {"id": encoded(id), "rawId": encoded(id), "type": "public-key"}
        return parts.but(rest=attested(id, cbor2.dumps(device.keys[-1].public())), sent=known)

    return change


def self_attested(device: Authenticator) -> Change:
    """With a statement that the new passkey signs itself (WebAuthn §8.2)."""

    def change(parts: Parts) -> Parts:
        key = device.keys[-1]
        signature = key.sign(parts.authenticator_data() + hashlib.sha256(json.dumps(parts.client).encode()).digest())
        return parts.but(format="packed", statement={"alg": key.public()[3], "sig": signature})

    return change


def vouched_for(device: Authenticator, format: str) -> Change:
    """With a statement of `format`, and a certificate of somebody's under it."""

    def change(parts: Parts) -> Parts:
        signed = self_attested(device)(parts)
        return signed.but(format=format, statement={**signed.statement, "x5c": [certificate(device.keys[-1])]})

    return change


def certificate(key: Key) -> bytes:
    """A certificate as makers of authenticators issue it (WebAuthn §8.2.1), for that very key, by itself."""
    assert isinstance(key.private, ec.EllipticCurvePrivateKey)
    told = {"COUNTRY_NAME": "SE", "ORGANIZATION_NAME": "Maker", "COMMON_NAME": "Model",
            "ORGANIZATIONAL_UNIT_NAME": "Authenticator Attestation"}  # fmt: skip
    subject = x509.Name([x509.NameAttribute(getattr(x509.NameOID, name), value) for name, value in told.items()])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key.private, hashes.SHA256())
    )
    return made.public_bytes(Encoding.DER)


def at_once(app: Flask, act: Callable[[], object]) -> list[str]:
    """What comes of eight times the same at once: the name of what was returned or raised."""
    together = threading.Barrier(8)

    def attempt(_: int) -> str:
        with app.app_context():
            together.wait()
            while True:
                try:
                    return type(act()).__name__
                except DatabaseUnavailable:
                    continue
                except NotAccepted as refusal:
                    return type(refusal).__name__

    with ThreadPoolExecutor(8) as crowd:
        return list(crowd.map(attempt, range(8)))


def passkey_of(user_id: str) -> Passkey:
    """The person's only passkey, as it is kept now."""
    database.session().rollback()
    ((_, passkey),) = passkeys.of(user_id)
    return passkey


# Setting up


def test_the_browser_is_asked_for_a_passkey_that_is_found_without_a_name_and_verifies_its_owner(
    app: Flask, olivia: str, device: Authenticator
) -> None:
    options = asked_to_create(olivia)
    assert options["rp"] == {"name": "Canopy", "id": "localhost"}
    assert options["user"] == {"id": encoded(passkeys.handle(olivia)), "name": "olivia", "displayName": "olivia"}
    assert len(decoded(options["challenge"])) == 32
    assert [one["alg"] for one in options["pubKeyCredParams"]] == [EDDSA, ES256, RS256]
    assert options["attestation"] == "none"
    assert options["authenticatorSelection"] == {
        "residentKey": "required", "requireResidentKey": True, "userVerification": "required",
    }  # fmt: skip
    assert options["excludeCredentials"] == []
    assert "olivia" not in repr(passkeys.handle(olivia))


def test_what_the_person_has_already_is_not_set_up_again(olivia: str, bob: str, device: Authenticator) -> None:
    kept, removed = set_up(olivia, device), set_up(olivia, device)
    set_up(bob, device)
    with database.writing():
        factors.end(olivia, removed.id, by=OPERATOR)
    (excluded,) = asked_to_create(olivia)["excludeCredentials"]
    assert excluded == {"id": encoded(device.keys[0].id), "type": "public-key", "transports": ["internal"]}
    assert [factor.id for factor, _ in passkeys.of(olivia)] == [kept.id]


@pytest.mark.parametrize("algorithm", [ES256, EDDSA, RS256])
def test_a_passkey_is_kept_as_it_was_made_and_proves_its_owner(olivia: str, algorithm: int) -> None:
    device = Authenticator(settings().issuer, algorithm=algorithm)
    factor = set_up(olivia, device, "Laptop")
    assert held.methods(olivia) == {"passkey"}
    assert events(olivia)[-1] == "user.factor.added"
    ((kept, passkey),) = passkeys.of(olivia)
    assert (kept.id, kept.kind, kept.name, kept.last_used_at) == (factor.id, "passkey", "Laptop", None)
    assert passkey.credential_id == encoded(device.keys[0].id)
    assert passkey.public_key == encoded(cbor2.dumps(device.keys[0].public()))
    assert (passkey.sign_count, passkey.transports, passkey.went_back_at) == (0, "internal", None)
    assert given(device.get(asked())) == Verified(olivia, factor.id, "hwk")
    database.session().rollback()
    assert factors.find(olivia, factor.id).last_used_at is not None


def test_where_a_key_is_held_is_told_apart(olivia: str, bob: str, device: Authenticator) -> None:
    cloud = Authenticator(settings().issuer, synced=True, counts=False)
    set_up(olivia, device)
    synced = set_up(bob, cloud)
    assert given(device.get(asked())).held_in == passkeys.HARDWARE == "hwk"
    assert given(cloud.get(asked())).held_in == passkeys.SOFTWARE == passkeys.held_in(synced.id) == "swk"
    assert (passkey_of(olivia).is_synced, passkey_of(olivia).is_backed_up) == (0, 0)
    assert (passkey_of(bob).is_synced, passkey_of(bob).is_backed_up) == (1, 1)


def test_a_passkey_that_signs_its_own_statement_is_taken(olivia: str, device: Authenticator) -> None:
    set_up(olivia, device, change=self_attested(device))
    assert given(device.get(asked())).user_id == olivia


@pytest.mark.rule("WAN-09")
def test_what_others_vouch_for_is_not_believed(olivia: str, device: Authenticator) -> None:
    for name in ("packed", "tpm", "apple", "fido-u2f", "android-key", "android-safetynet", "made-up"):
        with pytest.raises(NotAccepted):
            set_up(olivia, device, change=vouched_for(device, name))
    assert passkeys.of(olivia) == []


@pytest.mark.rule("WAN-06")
def test_a_passkey_that_is_known_stays_what_it_is(olivia: str, bob: str, device: Authenticator) -> None:
    set_up(olivia, device)
    first = device.keys[0]
    before = state()
    for whose in (olivia, bob):
        thief = Authenticator(settings().issuer)
        with pytest.raises(NotAccepted):
            set_up(whose, thief, change=with_id(thief, first.id))
        assert state() == before
    assert events(bob)[-1] == "user.created"
    assert given(device.get(asked())).user_id == olivia


@pytest.mark.rule("WAN-06")
def test_also_a_passkey_that_was_removed_is_never_taken_again(olivia: str, bob: str, device: Authenticator) -> None:
    removed = set_up(olivia, device)
    with database.writing():
        factors.end(olivia, removed.id, by=OPERATOR)
    before = state()
    with pytest.raises(NotAccepted) as refused:
        given(device.get(asked()))
    assert refused.value.is_unknown
    for whose in (olivia, bob):
        with pytest.raises(NotAccepted):
            set_up(whose, device, change=with_id(device, device.keys[0].id))
    assert state() == before


# Challenges


@pytest.mark.rule("WAN-01")
def test_a_challenge_is_kept_as_a_digest_and_good_for_one_answer(olivia: str, device: Authenticator) -> None:
    set_up(olivia, device)
    options = asked()
    challenge = decoded(options["challenge"])
    kept = database.session().scalars(select(Ceremony).order_by(Ceremony.created_at.desc())).first()
    assert kept is not None
    assert len(challenge) == 32
    assert kept.challenge_digest == hashlib.sha256(challenge).digest()
    given(device.get(options))
    before = state()
    with pytest.raises(NotAccepted):
        given(device.get(options))
    assert state() == before


@pytest.mark.rule("WAN-01")
def test_a_challenge_is_used_up_also_by_an_answer_that_is_wrong(olivia: str, device: Authenticator) -> None:
    set_up(olivia, device)
    options = asked()
    with pytest.raises(NotAccepted):
        given(device.get(options, lambda parts: parts.but(flags=UP)))
    with pytest.raises(NotAccepted):
        given(device.get(options))


@pytest.mark.rule("WAN-01")
@pytest.mark.parametrize(
    ("asked_for", "at", "of_whom"),
    [("confirm", HERE, None), ("sign_in", "txn_elsewhere", None), ("register", HERE, None), ("sign_in", HERE, "bob")],
)
def test_a_challenge_is_good_for_nothing_but_what_it_was_made_for(
    olivia: str, bob: str, device: Authenticator, asked_for: str, at: str, of_whom: str | None
) -> None:
    set_up(olivia, device)
    before = state()
    with pytest.raises(NotAccepted):
        given(device.get(asked(asked_for, at, bob if of_whom else None), key=device.keys[0]))
    assert state() == before


@pytest.mark.rule("WAN-01")
def test_a_challenge_for_a_new_passkey_is_one_persons_at_one_place(
    olivia: str, bob: str, device: Authenticator
) -> None:
    before = state()
    for whose, at in ((bob, HERE), (olivia, "ses_elsewhere")):
        with pytest.raises(NotAccepted):
            offered(device.create(asked_to_create(olivia)), whose, at)
    made_up = asked_to_create(olivia) | {"challenge": encoded(secrets.token_bytes(32))}
    for options in (made_up, asked()):
        with pytest.raises(NotAccepted):
            offered(device.create(asked_to_create(olivia) | {"challenge": options["challenge"]}), olivia)
    assert state() == before


@pytest.mark.rule("WAN-01")
def test_a_challenge_is_good_for_five_minutes(olivia: str, device: Authenticator) -> None:
    with time_machine.travel(1_800_000_000, tick=False) as time:
        set_up(olivia, device)
        in_time, late, to_create = asked(), asked(), asked_to_create(olivia)
        time.shift(299)
        given(device.get(in_time))
        time.shift(1)
        with pytest.raises(NotAccepted):
            given(device.get(late))
        with pytest.raises(NotAccepted):
            offered(device.create(to_create), olivia)


def test_challenges_that_are_too_old_are_forgotten_and_others_are_not(olivia: str, device: Authenticator) -> None:
    with time_machine.travel(1_800_000_000, tick=False) as time:
        set_up(olivia, device)
        for _ in range(3):
            asked()
        time.shift(200)
        younger = asked()
        time.shift(100)
        with database.writing():
            assert [ceremonies.clean_up(limit=3), ceremonies.clean_up(limit=3)] == [3, 1]
        assert given(device.get(younger)).user_id == olivia


@pytest.mark.rule("WAN-01")
def test_an_answer_that_comes_many_times_at_once_is_taken_once(app: Flask, olivia: str, device: Authenticator) -> None:
    set_up(olivia, device)
    answer = device.get(asked())
    assert sorted(at_once(app, lambda: given(answer))) == ["NotAccepted"] * 7 + ["Verified"]
    assert passkey_of(olivia).sign_count == 1
    assert passkey_of(olivia).went_back_at is None


@pytest.mark.rule("WAN-01")
def test_a_passkey_that_is_offered_many_times_at_once_is_set_up_once(
    app: Flask, olivia: str, device: Authenticator
) -> None:
    answer = device.create(asked_to_create(olivia))
    assert sorted(at_once(app, lambda: offered(answer, olivia))) == ["Factor"] + ["NotAccepted"] * 7
    assert held.by(olivia).passkeys == 1


# Whose it is


@pytest.mark.rule("WAN-03")
def test_a_passkey_of_somebody_else_proves_nothing(olivia: str, bob: str, device: Authenticator) -> None:
    set_up(olivia, device)
    others = Authenticator(settings().issuer)
    set_up(bob, others)
    before = state()
    for user_id in (olivia, ""):
        with pytest.raises(NotAccepted):
            given(others.get(asked()), user_id=user_id)
        with pytest.raises(NotAccepted):
            given(others.get(asked("confirm", user_id=olivia), key=others.keys[0]), "confirm", user_id=user_id)
    assert state() == before


@pytest.mark.rule("WAN-03")
def test_whose_a_passkey_is_is_said_by_it_and_by_us_and_both_agree(
    olivia: str, bob: str, device: Authenticator
) -> None:
    factor = set_up(olivia, device)
    before = state()
    for purpose, user_id in (("sign_in", None), ("confirm", olivia)):
        for handle in (encoded(passkeys.handle(bob)), encoded(b"usr_nobody"), olivia, "", 7, "!"):
            with pytest.raises(NotAccepted):
                given(device.get(asked(purpose, HERE, user_id), says(handle)), purpose, user_id=user_id)
    with pytest.raises(NotAccepted):
        given(device.get(asked(), says(None)))
    assert state() == before
    unsaid = device.get(asked("confirm", user_id=olivia), says(None))
    assert given(unsaid, "confirm", user_id=olivia) == Verified(olivia, factor.id, "hwk")


@pytest.mark.rule("LOG-02")
def test_nobody_is_told_which_passkeys_anybody_has_but_who_has_proven_something(
    olivia: str, bob: str, device: Authenticator
) -> None:
    set_up(olivia, device)
    set_up(bob, device)
    assert asked().keys() == {"challenge", "timeout", "rpId", "allowCredentials", "userVerification"}
    assert asked()["allowCredentials"] == []
    assert [one["id"] for one in asked("confirm", user_id=olivia)["allowCredentials"]] == [encoded(device.keys[0].id)]
    assert (asked()["userVerification"], asked()["rpId"]) == ("required", "localhost")


# Counters and backups


@pytest.mark.rule("WAN-07")
def test_a_counter_grows_and_is_kept(olivia: str, device: Authenticator) -> None:
    set_up(olivia, device)
    for count in (1, 2, 40, 4_294_967_295):
        device.keys[0].count = count - 1
        given(device.get(asked()))
        assert passkey_of(olivia).sign_count == count
    assert passkey_of(olivia).went_back_at is None


@pytest.mark.rule("WAN-07")
@pytest.mark.parametrize("count", [5, 4, 0])
def test_a_counter_that_does_not_grow_is_refused_and_remembered(olivia: str, device: Authenticator, count: int) -> None:
    factor = set_up(olivia, device)
    device.keys[0].count = 4
    given(device.get(asked()))
    used_at = factors.find(olivia, factor.id).last_used_at
    with pytest.raises(NotAccepted) as refused:
        given(device.get(asked(), lambda parts: parts.but(count=count)))
    assert not refused.value.is_unknown
    kept = passkey_of(olivia)
    assert (kept.sign_count, kept.went_back_at is not None) == (5, True)
    assert factors.find(olivia, factor.id).last_used_at == used_at
    (entry,) = [one for one in entries(olivia) if one.event == "user.passkey.went.back"]
    assert json.loads(entry.after_json or "") == {"factor": factor.id}
    assert given(device.get(asked())).factor_id == factor.id
    assert passkey_of(olivia).went_back_at is not None


@pytest.mark.rule("WAN-07")
def test_a_passkey_without_a_counter_works(olivia: str) -> None:
    cloud = Authenticator(settings().issuer, synced=True, counts=False)
    set_up(olivia, cloud)
    for _ in range(3):
        assert given(cloud.get(asked())).user_id == olivia
    assert (passkey_of(olivia).sign_count, passkey_of(olivia).went_back_at) == (0, None)


@pytest.mark.rule("WAN-09")
def test_whether_a_passkey_is_backed_up_may_change_and_whether_it_can_be_may_not(olivia: str, bob: str) -> None:
    cloud, device = Authenticator(settings().issuer, synced=True), Authenticator(settings().issuer)
    set_up(olivia, cloud)
    set_up(bob, device)
    given(cloud.get(asked(), lambda parts: parts.but(flags=UP | UV | BE)))
    assert (passkey_of(olivia).is_synced, passkey_of(olivia).is_backed_up) == (1, 0)
    before = state()
    for flags in (UP | UV, UP | UV | BS):
        with pytest.raises(NotAccepted):
            given(cloud.get(asked(), lambda parts, flags=flags: parts.but(flags=flags)))  # type: ignore[misc]
    for flags in (UP | UV | BE, UP | UV | BE | BS, UP | UV | BS):
        with pytest.raises(NotAccepted):
            given(device.get(asked(), lambda parts, flags=flags: parts.but(flags=flags)))  # type: ignore[misc]
    assert state() == before


# What keepers of passkeys are told


def test_keepers_of_passkeys_hear_which_are_good(olivia: str, device: Authenticator) -> None:
    first, second = set_up(olivia, device), set_up(olivia, device)
    with database.writing():
        factors.end(olivia, first.id, by=OPERATOR)
    known = passkeys.accepted(users.find(olivia))
    assert known == {
        "rpId": "localhost",
        "userId": encoded(passkeys.handle(olivia)),
        "allAcceptedCredentialIds": [encoded(device.keys[1].id)],
        "name": "olivia",
        "displayName": "olivia",
    }
    assert second.id != first.id


def test_a_deleted_persons_passkeys_are_unknown(olivia: str, device: Authenticator) -> None:
    set_up(olivia, device)
    with database.writing():
        lifecycle.delete(users.find(olivia), by=OPERATOR)
    with pytest.raises(NotAccepted) as refused:
        given(device.get(asked()))
    assert refused.value.is_unknown
