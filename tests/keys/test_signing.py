"""Which key signs and which verifies, as every node sees it within seconds (JWT-07, JWT-08, JWT-09)."""

import time

import pytest
import time_machine
from flask import Flask
from joserfc import jws
from sqlalchemy import select, update

from idp.audit.trail import Actor
from idp.feed import losses, positions
from idp.feed.follower import Follower
from idp.keys import jwks, lifecycle, material, rotation, signing
from idp.keys.material import SLOTS, Slot
from idp.keys.models import SigningKey
from idp.keys.signing import NoSigningKey, UnknownKey
from idp.platform import clock, database, memory
from tests.keys.conftest import Node
from tests.keys.test_rotation import ACCESS, ID, bring, brought, emergency, ensure, plan


def sign(slot: Slot = ACCESS) -> str:
    """A token as a node signs it now."""
    pair = signing.current(slot.purpose, slot.alg)
    return jws.serialize_compact({"alg": slot.alg, "kid": pair.kid}, b"{}", pair.jwk, algorithms=[slot.alg])


def verify(token: str, purpose: str = "access_token") -> None:
    """Accept `token` as a node would, or raise."""
    kid = jws.extract_compact(token.encode()).headers()["kid"]
    key = signing.verification_key(kid, purpose)
    jws.deserialize_compact(token, key.jwk, algorithms=[key.alg])


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Notes every time that the keys are read from the database."""
    reads: list[int] = []
    read = type(signing._ROWS).all

    def note(self: object, **values: int) -> object:
        reads.append(1)
        return read(self, **values)  # type: ignore[arg-type]

    monkeypatch.setattr(type(signing._ROWS), "all", note)
    return reads


@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: f"{slot.purpose} {slot.alg}")
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_every_algorithm_signs_and_verifies(app: Flask, slot: Slot) -> None:
    ensure(slot)
    verify(sign(slot), slot.purpose)


def test_before_the_first_start_nothing_signs(app: Flask) -> None:
    with pytest.raises(NoSigningKey):
        signing.current("access_token", "ES256")
    ensure(ACCESS)
    time.sleep(0.06)
    assert signing.current("access_token", "ES256").slot == ACCESS


def test_a_key_of_one_purpose_is_refused_for_another(app: Flask) -> None:
    ensure(ACCESS, ID)
    for slot, other in ((ACCESS, ID), (ID, ACCESS)):
        token = sign(slot)
        verify(token, slot.purpose)
        with pytest.raises(UnknownKey):
            verify(token, other.purpose)
        with pytest.raises(UnknownKey):
            verify(token, "saml")


@pytest.mark.parametrize(
    "kid", [None, 5, 5.5, True, [], ["a"], {}, "", "../../etc/passwd", "' OR 1=1 --", "\0", "\ud800", "k" * 65_536]
)
def test_a_strange_kid_names_no_key(app: Flask, kid: object) -> None:
    ensure(ACCESS)
    with pytest.raises(UnknownKey):
        signing.verification_key(kid, "access_token")


def test_a_verification_key_has_no_private_half(app: Flask) -> None:
    ensure(ACCESS)
    key = signing.verification_key(signing.current("access_token", "ES256").kid, "access_token")
    assert not key.jwk.is_private
    assert "d" not in key.jwk.as_dict()


# Over time and over nodes


def test_tokens_signed_before_during_and_after_a_rotation_verify_on_every_node(node: Node, operator: Actor) -> None:
    here, there = node(), node()
    with time_machine.travel(1_800_000_000, tick=False) as travel:
        with here.app_context():
            ensure(ACCESS)
            tokens = [sign()]
            plan(operator, ACCESS)
            published = clock.now()
        kids: list[str] = []
        for seconds in (3, 300, 299, 10, 60, 3_000):
            travel.shift(seconds)
            tokens = tokens[-2:]
            for app in (here, there):
                with app.app_context():
                    kids.append(signing.current("access_token", "ES256").kid)
                    tokens.append(sign())
                    for token in tokens:
                        verify(token)
                    if len(set(kids)) > 1:
                        assert clock.now() >= published + lifecycle.JWKS_LIFETIME
    assert len(set(kids)) == 2


def test_a_withdrawn_key_is_refused_on_every_node_within_five_seconds(node: Node, operator: Actor) -> None:
    here, there = node(), node()
    with here.app_context():
        ensure(ACCESS)
        token = sign()
    with there.app_context():
        verify(token)
        document = jwks.document()
    with here.app_context():
        (withdrawn,) = emergency(operator, ACCESS)
    began = time.monotonic()
    with there.app_context():
        while time.monotonic() - began < 5:
            try:
                verify(token)
            except UnknownKey:
                break
            time.sleep(0.05)
        else:
            pytest.fail("the withdrawn key still verifies")
        assert signing.current("access_token", "ES256").kid != withdrawn
        verify(sign())
        assert withdrawn.encode() in document.body
        assert withdrawn.encode() not in jwks.document().body


def test_a_key_made_on_another_node_just_now_verifies_here(node: Node, operator: Actor) -> None:
    here, there = node(), node()
    with here.app_context():
        ensure(ACCESS)
    with there.app_context():
        verify(sign())
    time.sleep(0.06)
    with here.app_context():
        emergency(operator, ACCESS)
        time.sleep(0.06)
        with pytest.raises(UnknownKey):
            signing.verification_key("not yet read again", "access_token")
        token = sign()
    with there.app_context():
        verify(token)


def test_no_clock_makes_a_withdrawn_key_valid_again(app: Flask, operator: Actor) -> None:
    ensure(ACCESS)
    token = sign()
    emergency(operator, ACCESS)
    for shift in (-3600, 0, 3600):
        with time_machine.travel(time.time() + shift, tick=False), pytest.raises(UnknownKey):
            _forget(app)
            verify(token)


# What is remembered


@pytest.mark.parametrize("later", [(2.1, 2_100_000), (2.1, 0), (0.1, 7_200_000_000), (0.1, -7_200_000_000)])
def test_keys_are_read_once_in_two_seconds(
    app: Flask, monkeypatch: pytest.MonkeyPatch, later: tuple[float, int]
) -> None:
    """By both clocks: neither a clock that was set nor a machine that was suspended keeps a memory alive."""
    ensure(ACCESS)
    monotonic, now = clock.monotonic(), clock.now()
    _set_clocks(monkeypatch, monotonic, now)
    reads = counted(monkeypatch)
    for _ in range(20):
        verify(sign())
    assert len(reads) == 1
    _set_clocks(monkeypatch, monotonic + later[0], now + later[1])
    verify(sign())
    assert len(reads) == 2


def test_keys_are_read_again_when_something_was_taken_away(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monotonic, now = clock.monotonic(), clock.now()
    _set_clocks(monkeypatch, monotonic, now)
    ensure(ACCESS)
    sign()
    _set_clocks(monkeypatch, monotonic + 0.1, now + clock.SECOND // 10)
    reads = counted(monkeypatch)
    with database.writing():
        losses.record("client", client_id="app_1")
    head = positions.head()
    sign()
    assert len(reads) == 0
    positions.seen(head)
    sign()
    sign()
    assert len(reads) == 1


def test_a_node_that_follows_the_feed_refuses_a_withdrawn_key_at_once(node: Node, operator: Actor) -> None:
    here, there = node(), node()
    follower = Follower(there)
    with here.app_context():
        ensure(ACCESS)
        token = sign()
    with there.app_context():
        while follower.read():
            pass
        verify(token)
    with here.app_context():
        emergency(operator, ACCESS)
    with there.app_context():
        follower.read()
    with there.app_context(), pytest.raises(UnknownKey):
        verify(token)


def test_unknown_kids_do_not_drive_the_database(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure(ACCESS)
    _set_clocks(monkeypatch, clock.monotonic(), clock.now())
    reads = counted(monkeypatch)
    for number in range(50):
        with pytest.raises(UnknownKey):
            signing.verification_key(f"unknown-{number}", "access_token")
    assert len(reads) == 1


def test_a_key_is_opened_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure(ACCESS)
    opened: list[str] = []
    read = material.read
    monkeypatch.setattr(material, "read", lambda kid, text: opened.append(kid) or read(kid, text))
    monotonic = clock.monotonic()
    for later in range(0, 30, 3):
        monkeypatch.setattr(clock, "monotonic", lambda later=later: monotonic + later)
        verify(sign())
    assert len(opened) == 1


def test_keys_that_are_gone_are_forgotten(app: Flask, operator: Actor) -> None:
    for _ in range(5):
        emergency(operator, ACCESS)
        _forget(app)
        sign()
    assert len(signing.memory.of(signing._Memory).opened) == 1


def test_what_is_rolled_back_never_signs(app: Flask, operator: Actor) -> None:
    ensure(ACCESS)
    before = sign()
    kids = rotation.in_use()
    _expire()
    with pytest.raises(ZeroDivisionError), database.writing():
        rotation.withdraw(kids, _pairs(), by=operator)
        assert signing.current("access_token", "ES256").kid not in kids
        raise ZeroDivisionError
    verify(before)
    assert signing.current("access_token", "ES256").kid in kids


def _set_clocks(monkeypatch: pytest.MonkeyPatch, monotonic: float, now: int) -> None:
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic)
    monkeypatch.setattr(clock, "now", lambda: now)


def _pairs() -> tuple[material.KeyPair, ...]:
    return (material._generated(ACCESS),)


def _expire() -> None:
    signing.memory.of(signing._Memory).known = signing.Known((-1e9, 0), 0, {})


def _forget(app: Flask) -> None:
    app.extensions.pop(memory.EXTENSION, None)


# Who can write to the database alone


def _tamper(**values: object) -> None:
    with database.writing():
        database.session().execute(update(SigningKey).values(**values))
    _expire()


@pytest.mark.rule("KEY-01")
def test_a_key_that_the_table_claims_for_another_purpose_serves_none(app: Flask) -> None:
    ensure(ID)
    kid = signing.current("id_token", "ES256").kid
    _tamper(purpose="access_token")
    with pytest.raises(signing.vault.Unopenable):
        signing.current("access_token", "ES256")
    for purpose in ("access_token", "id_token"):
        with pytest.raises(UnknownKey):
            signing.verification_key(kid, purpose)


@pytest.mark.rule("KEY-01")
def test_a_public_half_that_was_slipped_in_is_ignored(app: Flask) -> None:
    ensure(ACCESS)
    before, token = jwks.document(), sign()
    foreign = material.public(brought("foreign"))
    _tamper(public_jwk=str(foreign).replace("'", '"'))
    assert jwks.document() == before
    verify(token)


@pytest.mark.rule("KEY-01")
def test_a_private_half_from_another_row_is_ignored(app: Flask, operator: Actor) -> None:
    ensure(ACCESS)
    bring(brought("other"), operator)
    rows = database.session().scalars(select(SigningKey).order_by(SigningKey.activates_at)).all()
    kid, stolen = rows[0].kid, rows[1].private_key
    database.session().rollback()
    with database.writing():
        database.session().execute(update(SigningKey).where(SigningKey.kid == kid).values(private_key=stolen))
    _expire()
    with pytest.raises(UnknownKey):
        signing.verification_key(kid, "access_token")
    with pytest.raises(signing.vault.Unopenable):
        signing.current("access_token", "ES256")
    assert kid.encode() not in jwks.document().body
    assert b'"other"' in jwks.document().body
