"""Master keys: a start with the wrong one is refused, and moving to a new one can be stopped and taken up again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select, text, update

from idp.audit.models import Entry
from idp.audit.trail import SYSTEM, Actor
from idp.keys import jwks, master_keys, signing
from idp.keys.master_keys import MasterKeyDamaged, MasterKeyMissing, Outcome, Progress
from idp.keys.models import MasterKey, SigningKey
from idp.platform import clock, database, vault
from idp.platform.vault import Vault
from tests.keys.conftest import Node
from tests.keys.test_rotation import ACCESS, at_once, emergency, ensure
from tests.keys.test_signing import sign, verify

OLD = "Uq2xR7vLwZ9kTnB4hYc8mJfEs1GdPa6oXi3WbNyKtVrMjHzQ"
NEW = "k8WzYd3NfQpXv5BhRt7MjLc2EaSg9uKoTi4ZxHwVbPnJyDmU"
OTHER = "b5NcVx8LzKj3HgFdSa6PoIuYtRe2WqMn9BvCxZl4KjHgFdTr"


def ids(*masters: str) -> tuple[str, ...]:
    return Vault(master.encode() for master in masters).key_ids()


def start() -> None:
    """What `idp serve` does before it answers."""
    if not master_keys.check():
        with database.writing():
            master_keys.record(by=SYSTEM)


def fill(count: int) -> None:
    """Sealed values, as many as wanted."""
    with database.writing():
        for number in range(count):
            kid = f"key-{number:04}"
            sealed = vault.seal(f"secret {number}".encode(), table="signing_keys", column="private_key", row=kid)
            database.session().add(
                SigningKey(
                    kid=kid,
                    purpose="saml",
                    alg="RS256",
                    public_jwk="{}",
                    private_key=sealed,
                    sealed_by=vault.sealed_by(sealed),
                    activates_at=clock.now(),
                )
            )


def everything_opens(count: int) -> bool:
    rows = database.session().execute(select(SigningKey.kid, SigningKey.private_key).order_by(SigningKey.kid)).all()
    opened = [vault.open(value, table="signing_keys", column="private_key", row=kid) for kid, value in rows]
    return opened == [f"secret {number}".encode() for number in range(count)]


def sealed_by() -> dict[str, int]:
    """How many values each master key has sealed, as the rows say; they must say what the values say."""
    rows = database.session().execute(select(SigningKey.sealed_by, SigningKey.private_key)).all()
    assert all(vault.sealed_by(value) == key_id for key_id, value in rows)
    counted = select(SigningKey.sealed_by, func.count()).group_by(SigningKey.sealed_by)
    return dict(iter(database.session().execute(counted)))


def reseal(size: int = 7) -> Progress:
    progress = master_keys.begin()
    while not progress.finished:
        with database.writing():
            progress = master_keys.step(progress, size)
    return progress


def finish(progress: Progress, by: Actor = SYSTEM) -> Outcome:
    with database.writing():
        return master_keys.finish(progress, by=by)


def snapshot() -> list[tuple[object, ...]]:
    """All that a refused start must leave alone."""
    session = database.session()
    session.rollback()
    tables = ("master_keys", "signing_keys", "audit_entries", "audit_heads")
    return [tuple(row) for table in tables for row in session.execute(text(f"SELECT * FROM {table} ORDER BY 1"))]


# At the start


def test_the_first_start_puts_its_key_on_record_and_the_next_one_finds_it(app: Flask) -> None:
    assert not master_keys.check()
    start()
    assert master_keys.check()
    start()
    assert database.session().scalars(select(MasterKey.id)).all() == [vault.current().first()]
    assert [entry.event for entry in database.session().scalars(select(Entry))] == ["key.master.added"]


@pytest.mark.rule("KEY-02")
@pytest.mark.rule("KEY-03")
def test_a_start_with_another_key_is_refused_by_its_id_and_changes_nothing(node: Node) -> None:
    with node(OLD).app_context():
        start()
        fill(3)
        before = snapshot()
    with node(NEW).app_context():
        with pytest.raises(MasterKeyMissing, match=ids(OLD)[0]) as refused:
            start()
        assert ids(NEW)[0] in refused.value.message
        assert OLD not in refused.value.message
        assert snapshot() == before
    with node(OLD).app_context():
        assert master_keys.check()
        assert everything_opens(3)


@pytest.mark.rule("KEY-02")
def test_a_value_alone_is_enough_to_know_that_its_key_is_missing(node: Node) -> None:
    with node(OLD).app_context():
        fill(1)
    with node(NEW).app_context(), pytest.raises(MasterKeyMissing, match=ids(OLD)[0]):
        start()


@pytest.mark.rule("KEY-03")
def test_no_key_at_all_is_refused(node: Node) -> None:
    app = node(OLD)
    vault.init(app, [])
    with app.app_context(), pytest.raises(MasterKeyMissing, match="IDP_SECRET_KEY is not set"):
        start()


@pytest.mark.rule("KEY-03")
def test_of_two_nodes_that_start_with_different_keys_one_is_refused(node: Node) -> None:
    """As when each worker made up a key of its own."""

    def starts(app: Flask) -> None:
        with app.app_context():
            start()

    one, other = node(OLD), node(NEW)
    failures = at_once(lambda: starts(one), lambda: starts(other))
    assert [type(failure) for failure in failures] == [MasterKeyMissing]
    with one.app_context():
        assert len(database.session().scalars(select(MasterKey)).all()) == 1


@pytest.mark.rule("KEY-02")
def test_a_changed_check_value_is_noticed(app: Flask) -> None:
    start()
    with database.writing():
        database.session().execute(update(MasterKey).values(check_value=b"\1" * 40))
    with pytest.raises(MasterKeyDamaged):
        start()


def test_a_key_that_only_opens_need_not_be_on_record(node: Node) -> None:
    with node(OLD, OTHER).app_context():
        start()
    with node(OLD).app_context():
        assert master_keys.check()


# Moving on


@pytest.mark.rule("KEY-02")
def test_after_resealing_the_old_key_may_go(node: Node, operator: Actor) -> None:
    with node(OLD).app_context():
        start()
        fill(20)
    with node(NEW, OLD).app_context():
        start()
        assert sealed_by() == {ids(OLD)[0]: 20}
        progress = reseal()
        assert (progress.moved, progress.total, progress.unreadable) == (20, 20, ())
        assert sealed_by() == {ids(NEW)[0]: 20}
        assert finish(progress, operator) == Outcome(removable=ids(OLD), still_needed={})
    with node(NEW).app_context():
        assert master_keys.check()
        assert everything_opens(20)
        told = database.session().scalars(select(Entry).order_by(Entry.at, Entry.id)).all()
        assert [entry.event for entry in told][-2:] == ["key.master.resealed", "key.master.removed"]
        assert finish(reseal()) == Outcome(removable=(), still_needed={})
        assert len(database.session().scalars(select(Entry)).all()) == len(told)
    with node(OLD).app_context(), pytest.raises(MasterKeyMissing, match=ids(NEW)[0]):
        start()


@pytest.mark.rule("KEY-02")
def test_until_everything_is_moved_the_old_key_is_needed(node: Node) -> None:
    with node(OLD).app_context():
        start()
        fill(20)
    with node(NEW, OLD).app_context():
        start()
        progress = master_keys.begin()
        while progress.moved < 14:
            with database.writing():
                progress = master_keys.step(progress, 7)
        assert finish(progress) == Outcome(removable=(), still_needed={ids(OLD)[0]: 6})
        assert set(database.session().scalars(select(MasterKey.id))) == {*ids(OLD), *ids(NEW)}
    with node(NEW).app_context(), pytest.raises(MasterKeyMissing, match=ids(OLD)[0]):
        start()


@pytest.mark.rule("KEY-02")
def test_a_batch_that_fails_leaves_every_value_readable_and_resealing_goes_on_from_there(node: Node) -> None:
    with node(OLD).app_context():
        fill(20)
    with node(NEW, OLD).app_context():
        progress = master_keys.begin()
        with database.writing():
            progress = master_keys.step(progress, 7)
        with pytest.raises(ZeroDivisionError), database.writing():
            master_keys.step(progress, 7)
            raise ZeroDivisionError
        assert sum(sealed_by().values()) == 20
        assert everything_opens(20)
        again = reseal()
        assert again.total == again.moved == 20 - progress.moved
        assert everything_opens(20)


_RESEALING = """
import sys
from pydantic import SecretStr
from idp.app import create_app
from tests import databases
from idp.keys import master_keys
from idp.platform import database

url, *masters = sys.argv[1:]
settings = databases.settings_for(url).model_copy(update={"secret_key": tuple(map(SecretStr, masters))})
with create_app(settings).app_context():
    progress = master_keys.begin()
    while not progress.finished:
        with database.writing():
            progress = master_keys.step(progress, 1)
        print(progress.moved, flush=True)
        sys.stdin.readline()
    print("finished", flush=True)
"""


@pytest.mark.rule("KEY-02")
def test_resealing_that_is_killed_is_taken_up_again(node: Node, database_url: str) -> None:
    with node(OLD).app_context():
        start()
        fill(12)
    killed = subprocess.Popen(
        [sys.executable, "-c", _RESEALING, database_url, NEW, OLD],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": "."},
    )
    assert killed.stdin
    assert killed.stdout
    while int(killed.stdout.readline()) < 5:
        killed.stdin.write("\n")
        killed.stdin.flush()
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    with node(NEW, OLD).app_context():
        start()
        moved = sealed_by()[ids(NEW)[0]]
        assert 5 <= moved < 12
        assert everything_opens(12)
        assert reseal().moved == 12 - moved
        assert sealed_by() == {ids(NEW)[0]: 12}
        assert everything_opens(12)


@pytest.mark.rule("KEY-02")
def test_nodes_go_on_signing_while_values_are_resealed(node: Node) -> None:
    running, resealing = node(OLD, NEW), node(NEW, OLD)
    with running.app_context():
        start()
        ensure(ACCESS)
        before, document = sign(), jwks.document()
    with resealing.app_context():
        start()
        reseal()
    with running.app_context():
        signing.memory.of(signing._Memory).known = signing.Known((-1e9, 0), 0, {})
        verify(before)
        verify(sign())
        assert jwks.document() == document


@pytest.mark.rule("KEY-02")
def test_what_a_running_node_changes_meanwhile_is_not_overwritten(node: Node) -> None:
    with node(OLD).app_context():
        fill(1)
    place = next(place for place in vault.sealed_columns() if place.table.name == "signing_keys")
    with node(NEW, OLD).app_context():
        ((kid, stale),) = database.session().execute(select(place.row, place.value)).all()
        with database.writing():
            sealed = vault.current().seal(
                b"secret 0", table="signing_keys", column="private_key", row=kid, by=ids(OLD)[0]
            )
            database.session().execute(update(SigningKey).values(private_key=sealed))
        with database.writing():
            assert master_keys._move(place, kid, stale) == 0
        assert sealed_by() == {ids(OLD)[0]: 1}
        assert reseal().moved == 1


@pytest.mark.rule("KEY-02")
def test_a_value_that_does_not_open_is_named_and_keeps_its_key(node: Node) -> None:
    with node(OLD).app_context():
        start()
        fill(5)
        with database.writing():
            rows = database.session().scalars(select(SigningKey).order_by(SigningKey.kid)).all()
            rows[2].private_key = rows[3].private_key
    with node(NEW, OLD).app_context():
        start()
        progress = reseal(2)
        assert progress.moved == 4
        assert progress.unreadable == ("signing_keys.private_key of key-0002",)
        assert finish(progress) == Outcome(removable=(), still_needed={ids(OLD)[0]: 1})


def test_a_new_key_sealing_new_keys_does_not_wait_for_resealing(node: Node, operator: Actor) -> None:
    with node(OLD).app_context():
        start()
        ensure(ACCESS)
        before = sign()
    with node(NEW, OLD).app_context():
        start()
        verify(before)
        emergency(operator, ACCESS)
        verify(sign())
        assert sealed_by() == {ids(OLD)[0]: 1, ids(NEW)[0]: 1}
