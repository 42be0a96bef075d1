"""The window of the feed in memory: complete, fresh, or silent."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from idp.feed import losses, positions
from idp.feed.follower import Behind, CursorExpired, Follower, Superseding, folded
from idp.platform import clock, database
from idp.platform.database import db
from tests import clocks, databases
from tests.architecture.tree import ROOT
from tests.databases import Template
from tests.outage import outage
from tests.patience import takes

Later = Callable[[float], None]


@pytest.fixture
def follower(app: Flask) -> Iterator[Follower]:
    """One that follows by itself."""
    following = Follower(app)
    following.start()
    yield following
    following.stop()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Lets seconds pass, and nothing else does."""
    return clocks.stopped(monkeypatch)


@pytest.fixture
def by_hand(app: Flask, later: Later) -> Follower:
    """One that reads when it is told to, and has read all."""
    reading = Follower(app)
    _read(reading)
    return reading


def _read(reading: Follower) -> None:
    database.session().rollback()
    while reading.read():
        database.session().rollback()


def _take_away(sid: str = "s") -> int:
    with database.writing():
        losses.record("session", sid=sid)
    return positions.head()


def _until(happens: Callable[[], bool], seconds: float = 30) -> float:
    """Wait for it; how long that took."""
    began = time.monotonic()
    while not happens():
        assert time.monotonic() - began < seconds
        time.sleep(0.01)
    return time.monotonic() - began


def _knows(following: Follower, position: int, at_least: int = 0) -> bool:
    try:
        return following.changes_since(at_least=at_least).head >= position
    except Behind:
        return False


def test_a_change_is_known_within_a_moment(follower: Follower) -> None:
    _until(lambda: _knows(follower, 0))
    assert takes(lambda: _until(partial(_knows, follower, _take_away())), less_than=1)
    position = positions.head()
    changes = follower.changes_since(position - 1)
    assert [(entry.position, entry.kind, json.loads(entry.match)) for entry in changes.entries] == [
        (position, "session", {"sid": "s"})
    ]
    assert 0 <= changes.age_ms < 1_000
    assert changes.window_s == 420


def test_a_node_that_starts_knows_the_whole_window(app: Flask) -> None:
    taken = [_take_away(str(number)) for number in range(3)]
    late = Follower(app)
    _read(late)
    assert [entry.position for entry in late.changes_since().entries][-3:] == taken


def test_a_position_means_all_after_it(by_hand: Follower) -> None:
    first, second, third = (_take_away() for _ in range(3))
    _read(by_hand)
    changes = by_hand.changes_since(first)
    assert [entry.position for entry in changes.entries] == [second, third]
    assert changes.head == third
    assert by_hand.changes_since(third).entries == ()


def test_more_than_the_limit_is_told_in_several_answers(by_hand: Follower) -> None:
    begun = by_hand.changes_since().head
    taken = [_take_away() for _ in range(5)]
    _read(by_hand)
    told: list[int] = []
    more = True
    while more:
        answer = by_hand.changes_since(told[-1] if told else begun, limit=2)
        told += [entry.position for entry in answer.entries]
        more = answer.more
    assert told == taken


def test_before_the_first_read_there_is_no_answer(app: Flask) -> None:
    with pytest.raises(Behind):
        Follower(app).changes_since()


def test_what_is_older_than_a_second_is_no_answer(by_hand: Follower, later: Later) -> None:
    later(0.5)
    assert by_hand.changes_since().age_ms == 500
    later(0.6)
    with pytest.raises(Behind) as refused:
        by_hand.changes_since()
    assert refused.value.status == 503


def test_a_position_outside_of_what_is_known_has_expired(follower: Follower, by_hand: Follower) -> None:
    with pytest.raises(CursorExpired):
        by_hand.changes_since(by_hand.changes_since().floor - 1)
    _until(lambda: _knows(follower, 0))
    with pytest.raises(CursorExpired):
        follower.changes_since(follower.changes_since().head + 1)


def test_a_token_from_ahead_of_the_node_makes_it_read_before_it_answers(app: Flask) -> None:
    idle = Follower(app, every=60)
    idle.start()
    try:
        for _ in range(3):
            position = _take_away()
            _until(partial(_knows, idle, position, at_least=position))
    finally:
        idle.stop()


def test_what_is_older_than_the_window_leaves_memory_and_raises_the_floor(by_hand: Follower, later: Later) -> None:
    old = _take_away()
    _read(by_hand)
    later(by_hand.changes_since().window_s + 1)
    young = _take_away()
    _read(by_hand)
    changes = by_hand.changes_since()
    assert (changes.floor, [entry.position for entry in changes.entries]) == (old, [young])
    assert [entry.position for entry in by_hand.changes_since(old).entries] == [young]
    with pytest.raises(CursorExpired):
        by_hand.changes_since(old - 1)


def test_what_is_older_than_the_window_is_not_even_read(app: Flask) -> None:
    position = _take_away()
    with database.writing():
        database.session().execute(
            text("UPDATE change_feed SET written_at = written_at - :age"), {"age": 8 * clock.MINUTE}
        )
    fresh = Follower(app)
    _read(fresh)
    changes = fresh.changes_since()
    assert (changes.head, changes.floor, changes.entries) == (position, position, ())
    young = _take_away()
    _read(fresh)
    assert [entry.position for entry in fresh.changes_since(position).entries] == [young]


def test_the_first_entry_of_all_is_above_the_floor(app: Flask) -> None:
    """Readers let go of what is not. However long ago the database was made: here it is of now."""
    with database.writing():
        database.session().execute(text("UPDATE change_feed SET written_at = :now"), {"now": clock.now()})
    beginning = Follower(app)
    _read(beginning)
    changes = beginning.changes_since()
    assert changes.floor < changes.entries[0].position == positions.head()


def test_what_ends_a_quiet_time_stays_in_the_window_of_a_node_that_starts(app: Flask) -> None:
    with database.writing():
        database.session().execute(
            text("UPDATE change_feed SET written_at = written_at - :age"), {"age": 2 * clock.HOUR}
        )
    before = positions.head()
    taken = _take_away()
    with database.writing():
        positions.clean_up()
    fresh = Follower(app)
    _read(fresh)
    changes = fresh.changes_since()
    assert (changes.floor, [entry.position for entry in changes.entries]) == (before, [taken])
    assert [entry.position for entry in fresh.changes_since(before).entries] == [taken]


def test_a_restored_backup_is_another_history(
    app: Flask, database_url: str, template: Template, tmp_path: Path
) -> None:
    following = Follower(app)
    databases.dispose()
    (tmp_path / "backup").mkdir()
    with Template(template.kind, str(make_url(database_url).database)).copy(tmp_path / "backup") as backup_url:
        undone = _take_away("undone")
        _read(following)
        databases.dispose()
        with databases.app_on(backup_url).app_context():
            _read(following)
            assert following.changes_since().head < undone
            assert not any("undone" in entry.match for entry in following.changes_since().entries)
            databases.dispose()


def test_a_node_killed_between_commit_and_poll_leaves_its_change_behind(app: Flask, database_url: str) -> None:
    script = (
        "import sys, time\n"
        "from idp.feed import losses\n"
        "from idp.platform import database\n"
        "from tests import databases\n"
        "with databases.app_on(sys.argv[1]).app_context():\n"
        "    with database.writing():\n"
        "        losses.record('session', sid='of the killed')\n"
        "    print('committed', flush=True)\n"
        "    with database.writing():\n"
        "        losses.record('session', sid='never committed')\n"
        "        database.before_commit(lambda _: print('locked', flush=True) or time.sleep(60))\n"
    )
    node = subprocess.Popen([sys.executable, "-c", script, database_url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert node.stdout
    assert (node.stdout.readline(), node.stdout.readline()) == ("committed\n", "locked\n")
    node.kill()
    node.communicate()
    _take_away("of the living")
    survivor = Follower(app)
    _read(survivor)
    sids = [json.loads(entry.match).get("sid") for entry in survivor.changes_since().entries]
    assert sids[-2:] == ["of the killed", "of the living"]
    assert "never committed" not in sids


@pytest.mark.parametrize("template", ["postgresql"], indirect=True)
def test_a_node_that_is_paused_while_it_writes_to_the_feed_keeps_others_waiting_for_seconds_alone(
    app: Flask, database_url: str
) -> None:
    script = (
        "import sys, time\n"
        "from idp.feed import losses\n"
        "from idp.platform import database\n"
        "from tests import databases\n"
        "with databases.app_on(sys.argv[1]).app_context():\n"
        "    with database.writing():\n"
        "        losses.record('session', sid='of the paused')\n"
        "        database.before_commit(lambda _: print('locked', flush=True) or sys.stdin.readline())\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    node = subprocess.Popen([sys.executable, "-c", script, database_url], cwd=ROOT, text=True, **pipes)
    assert node.stdout
    assert node.stdout.readline() == "locked\n"
    _until(_can_take_away, seconds=30)
    _, reason = node.communicate("go on\n")
    assert node.returncode != 0, "what was not written down is not acknowledged"
    assert "idle-in-transaction" in reason
    reading = Follower(app)
    _read(reading)
    assert "of the paused" not in [json.loads(one.match).get("sid") for one in reading.changes_since().entries]


def test_a_follower_is_silent_while_the_database_is_away_and_knows_all_when_it_is_back(
    follower: Follower, database_url: str
) -> None:
    known = _take_away()
    _until(lambda: _knows(follower, known))
    with outage(database_url):
        _until(lambda: not _knows(follower, known))
    assert _until(lambda: _knows(follower, known)) < 3
    _until(_can_take_away)
    position = positions.head()
    _until(lambda: _knows(follower, position))


def _can_take_away() -> bool:
    """Connections of the pool that were cut fail once."""
    try:
        _take_away()
    except (DBAPIError, psycopg.OperationalError):
        db.session.remove()
        return False
    return True


def _entries(selectors: list[str], kind: str = "session") -> list[Superseding]:
    return [Superseding(number, kind, match, 0.0) for number, match in enumerate(selectors, start=1)]


def test_too_many_entries_of_organizations_become_one_for_each() -> None:
    many = _entries([json.dumps({"sub": f"usr_{n}", "org_id": f"org_{n % 2}"}) for n in range(10)])
    assert folded(many, 10) == many
    assert [(entry.position, json.loads(entry.match)) for entry in folded(many, 9)] == [
        (5, {"org_id": "org_0"}),
        (6, {"org_id": "org_1"}),
        *((entry.position, json.loads(entry.match)) for entry in many[6:]),
    ]


def test_too_many_entries_of_no_organization_become_one_for_all_that_is_as_old() -> None:
    many = _entries([json.dumps({"sid": str(number)}) for number in range(10)])
    many[0] = replace(many[0], kind="key", match='{"kid": "k"}')
    assert [(entry.position, entry.match) for entry in folded(many, 8)] == [
        (1, '{"kid": "k"}'),
        (6, "{}"),
        *((entry.position, entry.match) for entry in many[6:]),
    ]


def test_memory_is_bounded(app: Flask) -> None:
    small = Follower(app, most=4)
    for number in range(20):
        _take_away(str(number))
    _read(small)
    assert len(small.changes_since().entries) <= 4
    assert small.changes_since().head == positions.head()


def test_many_threads_may_ask_at_once(follower: Follower) -> None:
    _until(lambda: _knows(follower, 0))
    position = _take_away()
    heads: list[int] = []
    asking = [
        threading.Thread(target=lambda: heads.append(follower.changes_since(at_least=position).head)) for _ in range(16)
    ]
    for one in asking:
        one.start()
    for one in asking:
        one.join(10)
    assert heads == [position] * 16
