"""Keys come and go: on one node, on two at once, in an emergency, by hand."""

import json
import threading
from collections.abc import Callable

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from idp.audit.models import Entry
from idp.audit.trail import SYSTEM, Actor
from idp.feed import losses
from idp.keys import lifecycle, material, rotation
from idp.keys.lifecycle import State
from idp.keys.material import SLOTS, KeyPair, Slot
from idp.keys.models import SigningKey
from idp.keys.rotation import Listed
from idp.platform import clock, database, vault
from idp.platform.errors import Conflict, NotFound
from tests.keys.conftest import Node

ACCESS = Slot("access_token", "ES256")
ID = Slot("id_token", "ES256")


def ensure(*slots: Slot) -> None:
    """What the first start does, for these slots alone where any are named (RSA keys take their time)."""
    pairs = material.generate(slots or rotation.missing())
    with database.writing():
        rotation.ensure(pairs, by=SYSTEM)


def plan(by: Actor, *slots: Slot) -> tuple[str, ...]:
    pairs = material.generate(slots)
    with database.writing():
        return rotation.plan(pairs, by=by)


def emergency(by: Actor, *slots: Slot) -> tuple[str, ...]:
    kids, pairs = rotation.in_use(), material.generate(slots)
    with database.writing():
        return rotation.withdraw(kids, pairs, by=by)


def stage(state: State, slot: Slot = ACCESS) -> list[Listed]:
    """The keys of `slot` that are at that stage."""
    return [key for key in rotation.listing() if (key.purpose, key.alg, key.state) == (slot.purpose, slot.alg, state)]


def at_once(*acts: Callable[[], None]) -> list[BaseException]:
    """Run `acts` at the same time; what they raised."""
    ready, failures = threading.Barrier(len(acts)), []

    def run(act: Callable[[], None]) -> None:
        try:
            ready.wait(10)
            act()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def events() -> list[tuple[str, str]]:
    """Event and kid of every entry of the trail."""
    return [
        (entry.event, entry.subject) for entry in database.session().scalars(select(Entry).order_by(Entry.at, Entry.id))
    ]


# Making what lacks


def test_the_first_start_makes_one_key_for_every_slot_and_the_second_none(app: Flask) -> None:
    assert rotation.missing() == SLOTS
    ensure()
    assert rotation.missing() == ()
    listed = rotation.listing()
    assert sorted(Slot(key.purpose, key.alg) for key in listed) == sorted(SLOTS)
    assert {key.state for key in listed} == {State.ACTIVE}
    ensure(ACCESS)
    assert rotation.listing() == listed


def test_nodes_that_start_at_once_agree_on_one_set(node: Node) -> None:
    def start(app: Flask) -> Callable[[], None]:
        def act() -> None:
            with app.app_context():
                ensure(ACCESS, ID)

        return act

    nodes = [node() for _ in range(4)]
    assert at_once(*map(start, nodes)) == []
    with nodes[0].app_context():
        assert [key.state for key in rotation.listing()] == [State.ACTIVE] * 2
        assert len(events()) == 2


# Planned rotation


@pytest.mark.rule("AUD-01")
def test_a_planned_rotation_publishes_now_signs_later_and_keeps_the_old_until_its_tokens_expired(
    app: Flask, operator: Actor
) -> None:
    with time_machine.travel(1_800_000_000, tick=False) as time:
        ensure(ACCESS)
        (old,) = stage(State.ACTIVE)
        time.shift(30 * 24 * 3600)
        (new,) = plan(operator, ACCESS)
        assert [key.kid for key in stage(State.ACTIVE)] == [old.kid]
        (waiting,) = stage(State.NEXT)
        assert waiting.kid == new
        assert waiting.published_at == clock.now()
        assert waiting.activates_at - waiting.published_at >= lifecycle.JWKS_LIFETIME

        time.shift(10 * 60)
        assert [key.kid for key in stage(State.ACTIVE)] == [old.kid]
        time.shift(6)
        assert [key.kid for key in stage(State.ACTIVE)] == [new]
        assert [key.kid for key in stage(State.RETIRING)] == [old.kid]

        time.shift(60 * 60 + 1)
        assert [key.kid for key in stage(State.RETIRING)] == [old.kid]
        time.shift(5 * 60)
        assert [key.kid for key in stage(State.RETIRED)] == [old.kid]
    assert events() == [("key.created", old.kid), ("key.rotated", new)]


def test_rotating_again_while_a_key_waits_changes_nothing(app: Flask, operator: Actor) -> None:
    ensure(ACCESS)
    plan(operator, ACCESS)
    before = rotation.listing()
    assert ACCESS not in rotation.rotatable()
    assert plan(operator, ACCESS) == ()
    assert rotation.listing() == before
    assert len(events()) == 2


def test_rotating_what_was_never_made_makes_it(app: Flask, operator: Actor) -> None:
    (kid,) = plan(operator, ACCESS)
    assert [key.kid for key in stage(State.ACTIVE)] == [kid]


def test_two_nodes_that_rotate_at_once_plan_one_key(node: Node, operator: Actor) -> None:
    nodes = [node() for _ in range(3)]
    with nodes[0].app_context():
        ensure(ACCESS, ID)

    def rotate(app: Flask) -> Callable[[], None]:
        def act() -> None:
            with app.app_context():
                plan(operator, ACCESS, ID)

        return act

    assert at_once(*map(rotate, nodes)) == []
    with nodes[0].app_context():
        for slot in (ACCESS, ID):
            assert [len(stage(state, slot)) for state in (State.ACTIVE, State.NEXT)] == [1, 1]
        assert len(events()) == 4


def test_each_purpose_and_algorithm_rotates_by_itself(app: Flask, operator: Actor) -> None:
    ensure(ACCESS, ID)
    plan(operator, ACCESS)
    assert len(stage(State.NEXT, ACCESS)) == 1
    assert len(stage(State.NEXT, ID)) == 0
    assert stage(State.ACTIVE, ID)[0].retires_at is None


# Emergencies


@pytest.mark.rule("AUD-01")
def test_an_emergency_withdraws_every_published_key_and_new_ones_sign_at_once(
    app: Flask, operator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[dict[str, str]] = []
    monkeypatch.setattr(losses, "record", lambda kind, **match: lost.append({"kind": kind, **match}))
    ensure(ACCESS, ID)
    plan(operator, ACCESS)
    condemned = set(rotation.in_use())
    assert set(emergency(operator, ACCESS, ID)) == condemned
    assert len(condemned) == 3
    assert {key.kid for key in rotation.listing() if key.state is State.WITHDRAWN} == condemned
    assert len(stage(State.ACTIVE, ACCESS)) == len(stage(State.ACTIVE, ID)) == 1
    assert {entry["kid"] for entry in lost if entry["kind"] == "key"} == condemned
    assert sorted(kid for event, kid in events() if event == "key.withdrawn") == sorted(condemned)


def test_two_nodes_in_the_same_emergency_leave_one_signing_key(node: Node, operator: Actor) -> None:
    nodes = [node(), node()]
    with nodes[0].app_context():
        ensure(ACCESS)
    together = threading.Barrier(2)

    def press(app: Flask) -> Callable[[], None]:
        def act() -> None:
            with app.app_context():
                kids, pairs = rotation.in_use(), material.generate([ACCESS])
                together.wait(10)
                with database.writing():
                    rotation.withdraw(kids, pairs, by=operator)

        return act

    assert at_once(*map(press, nodes)) == []
    with nodes[0].app_context():
        states = [key.state for key in rotation.listing()]
        assert sorted(states) == sorted([State.ACTIVE, State.WITHDRAWN])


def test_a_slot_is_never_left_without_a_key_that_signs(app: Flask, operator: Actor) -> None:
    ensure(ACCESS)
    with pytest.raises(Conflict, match="access_token with ES256"), database.writing():
        rotation.withdraw(rotation.in_use(), [], by=operator)
    assert len(stage(State.ACTIVE)) == 1
    assert len(events()) == 1


def test_one_key_alone_can_be_withdrawn(app: Flask, operator: Actor) -> None:
    ensure(ACCESS, ID)
    (access,), (other,) = stage(State.ACTIVE, ACCESS), stage(State.ACTIVE, ID)
    with database.writing():
        assert rotation.withdraw([access.kid], material_for(ACCESS), by=operator) == (access.kid,)
    assert [key.kid for key in stage(State.ACTIVE, ID)] == [other.kid]
    assert len(stage(State.ACTIVE, ACCESS)) == 1
    with database.writing():
        assert rotation.withdraw([access.kid], [], by=operator) == ()


def test_withdrawing_the_key_that_waits_leaves_the_signing_one_as_it_was(app: Flask, operator: Actor) -> None:
    ensure(ACCESS)
    (waiting,) = plan(operator, ACCESS)
    with database.writing():
        rotation.withdraw([waiting], [], by=operator)
    (active,) = stage(State.ACTIVE)
    assert active.retires_at is None


def test_an_unknown_kid_is_refused_and_nothing_is_withdrawn(app: Flask, operator: Actor) -> None:
    ensure(ACCESS)
    with pytest.raises(NotFound), database.writing():
        rotation.withdraw([*rotation.in_use(), "unknown"], [], by=operator)
    assert len(stage(State.ACTIVE)) == 1


# Retiring


def retire(kid: str, by: Actor) -> int:
    with database.writing():
        return rotation.retire(kid, by=by)


@pytest.mark.rule("AUD-01")
def test_a_key_that_waits_can_be_retired_and_its_predecessor_goes_on(app: Flask, operator: Actor) -> None:
    ensure(ACCESS)
    (waiting,) = plan(operator, ACCESS)
    assert retire(waiting, operator) <= clock.now()
    (active,) = stage(State.ACTIVE)
    assert active.retires_at is None
    assert [key.kid for key in stage(State.RETIRED)] == [waiting]
    assert events()[-1] == ("key.retired", waiting)


def test_a_key_that_was_succeeded_retires_when_its_last_token_has_expired(app: Flask, operator: Actor) -> None:
    ensure(ACCESS)
    (old,) = stage(State.ACTIVE)
    plan(operator, ACCESS)
    (waiting,) = stage(State.NEXT)
    assert retire(old.kid, operator) == waiting.activates_at + lifecycle.PUBLISHED_AFTER_USE
    assert [key.kid for key in stage(State.ACTIVE)] == [old.kid]
    assert len(events()) == 2


def test_the_only_key_that_signs_cannot_be_retired(app: Flask, operator: Actor) -> None:
    ensure(ACCESS)
    with pytest.raises(Conflict, match="rotate first"):
        retire(stage(State.ACTIVE)[0].kid, operator)
    with pytest.raises(NotFound):
        retire("unknown", operator)


# Keys that are brought along


def material_for(slot: Slot) -> tuple[KeyPair, ...]:
    """A key made without the guard against slow work, for use inside a transaction of a test."""
    return (material._generated(slot),)


def brought(kid: str, slot: Slot = ACCESS) -> KeyPair:
    own = material_for(slot)[0].jwk.as_dict(private=True)
    return material.given(kid, slot.purpose, slot.alg, own)


def bring(pair: KeyPair, by: Actor) -> lifecycle.Life:
    with database.writing():
        return rotation.bring(pair, by=by)


@pytest.mark.rule("AUD-01")
def test_a_key_that_is_brought_signs_at_once_where_nothing_else_does(app: Flask, operator: Actor) -> None:
    pair = brought("from-before")
    bring(pair, operator)
    assert [key.kid for key in stage(State.ACTIVE)] == ["from-before"]
    assert ACCESS not in rotation.missing()
    assert bring(pair, operator).kid == "from-before"
    assert events() == [("key.imported", "from-before")]


def test_a_key_that_is_brought_to_a_running_provider_waits_for_its_turn(app: Flask, operator: Actor) -> None:
    ensure(ACCESS)
    (old,) = stage(State.ACTIVE)
    life = bring(brought("from-elsewhere"), operator)
    assert life.activates_at >= clock.now() + lifecycle.JWKS_LIFETIME
    assert [key.kid for key in stage(State.ACTIVE)] == [old.kid]


def test_a_kid_names_one_key_for_ever(app: Flask, operator: Actor) -> None:
    pair = brought("mine")
    bring(pair, operator)
    with pytest.raises(Conflict, match="names another key"):
        bring(brought("mine"), operator)
    with pytest.raises(Conflict, match="names another key"):
        bring(KeyPair("mine", ID, pair.jwk), operator)
    with database.writing():
        rotation.withdraw(["mine"], material_for(ACCESS), by=operator)
    with pytest.raises(Conflict, match="withdrawn"):
        bring(pair, operator)


@pytest.mark.parametrize("slot", [ACCESS, ID])
def test_one_key_has_one_purpose(app: Flask, operator: Actor, slot: Slot) -> None:
    pair = brought("mine")
    bring(pair, operator)
    with pytest.raises(Conflict, match="one purpose"):
        bring(KeyPair("mine-too", slot, pair.jwk), operator)


# What stays secret


@pytest.mark.rule("KEY-01")
@pytest.mark.rule("KEY-05")
def test_no_private_member_is_in_the_tables_the_trail_the_list_or_the_log(
    app: Flask, operator: Actor, caplog: pytest.LogCaptureFixture
) -> None:
    pairs = material.generate(SLOTS)
    with database.writing():
        rotation.ensure(pairs, by=operator)
    bring(given := brought("mine"), operator)
    plan(operator, ACCESS)
    emergency(operator, *SLOTS)
    rows = database.session().scalars(select(SigningKey)).all()
    entries = database.session().scalars(select(Entry)).all()
    told = repr(rotation.listing()) + repr(pairs) + caplog.text
    told += "".join(f"{entry.subject}{entry.before_json}{entry.after_json}" for entry in entries)
    told += "".join(f"{row.public_jwk}{row.private_key!r}" for row in rows)
    assert len(entries) >= 10
    for pair in (*pairs, given):
        own = pair.jwk.as_dict(private=True)
        for name in {"d", "p", "q", "dp", "dq", "qi"} & own.keys():
            assert str(own[name]) not in told, name


@pytest.mark.rule("KEY-01")
def test_every_key_is_sealed_for_its_row_and_says_by_what(app: Flask) -> None:
    ensure(ACCESS, ID)
    one, other = database.session().scalars(select(SigningKey)).all()
    place = {"table": "signing_keys", "column": "private_key"}
    assert one.sealed_by == vault.sealed_by(one.private_key) == vault.current().first()
    assert json.loads(vault.open(one.private_key, row=one.kid, **place))["purpose"] == one.purpose
    with pytest.raises(vault.Unopenable):
        vault.open(one.private_key, row=other.kid, **place)
