"""Whether a token is superseded: by what it says, by how old it is, and by nothing that was never lost."""

import json
import threading
from typing import Any

import pytest
import time_machine
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from idp.feed import losses, positions, supersession
from idp.feed.supersession import Said, is_superseded
from idp.platform import clock, database, memory


def token(azv: int | None = None, kid: str = "k1", **values: Any) -> Said:
    """A token as current as the feed, if no `azv` is given; lists are several values."""
    known = {name: (said,) if isinstance(said, str) else tuple(said) for name, said in values.items()}
    return Said(positions.head() if azv is None else azv, kid, known)


def lose(kind: str, **match: str) -> None:
    with database.writing():
        losses.record(kind, **match)


@pytest.mark.rule("INT-03")
def test_a_loss_hits_what_is_older_and_agrees_with_it(app: Flask) -> None:
    older = token(sub="usr_1", org_id="org_1")
    others = [token(sub="usr_2", org_id="org_1"), token(sub="usr_1", org_id="org_2"), token(sub="usr_1")]
    assert not is_superseded(older)
    lose("grant", sub="usr_1", org_id="org_1")
    assert is_superseded(older)
    assert not any(map(is_superseded, others))
    assert not is_superseded(token(sub="usr_1", org_id="org_1")), "one that is issued now knows of the loss"


def test_roles_hit_whoever_has_them_and_whoever_does_not_say(app: Flask) -> None:
    has = token(org_id="org_1", role=["analyst", "developer"])
    lacks, silent = token(org_id="org_1", role=["developer"]), token(org_id="org_1")
    none_held, elsewhere = token(org_id="org_1", role=[]), token(org_id="org_2")
    lose("role", org_id="org_1", role="analyst")
    hit = [is_superseded(one) for one in (has, lacks, silent, none_held, elsewhere)]
    assert hit == [True, False, True, False, False]


def test_one_of_several_audiences_is_enough(app: Flask) -> None:
    both = token(aud=["https://payments.example.com", "http://localhost:8000"])
    lose("api", aud="https://payments.example.com")
    assert is_superseded(both)


def test_an_epoch_hits_everything_and_a_key_whatever_it_signed(app: Flask) -> None:
    before = token()
    lose("key", kid="k2")
    assert not is_superseded(before)
    assert is_superseded(token(kid="k2")), "also a token that is younger than the withdrawal"
    lose("epoch")
    assert is_superseded(before)
    assert not is_superseded(token())


def test_a_token_from_beyond_the_head_counts_as_hit(app: Flask) -> None:
    assert is_superseded(token(positions.head() + 1))
    assert not is_superseded(token(positions.head()))


def test_it_is_not_asked_while_writing(app: Flask) -> None:
    with database.writing(), pytest.raises(RuntimeError, match="change feed"):
        is_superseded(Said(0, "k1", {}))


def test_many_losses_are_read_by_pages(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supersession, "_PAGE", 10)
    older = [token(sub=f"usr_{number}") for number in range(35)]
    for number in range(0, 35, 2):
        lose("membership", sub=f"usr_{number}")
    assert [is_superseded(one) for one in older] == [number % 2 == 0 for number in range(35)]


def test_what_is_too_old_to_hit_anything_is_forgotten(app: Flask) -> None:
    ancient = token(sub="usr_1")
    lose("membership", sub="usr_1")
    assert is_superseded(ancient)
    with time_machine.travel(clock.now() / clock.SECOND + 2 * 3600, tick=False):
        assert is_superseded(ancient), "an entry is kept until something else is read"
        remembered = memory.of(supersession._Memory)
        remembered._prune()
        assert remembered._size == 0
    assert is_superseded(ancient), "also when the clock is set back"
    assert not is_superseded(token(sub="usr_1"))


def test_a_token_from_before_all_that_is_known_counts_as_hit(app: Flask) -> None:
    """As one that was signed long after its roles were asked for, by a node that was paused in between."""
    ancient = token(sub="usr_1")
    lose("membership", sub="usr_1")
    lose("session", sid="ses_1")
    with time_machine.travel(clock.now() / clock.SECOND + 2 * 3600, tick=False):
        assert is_superseded(ancient)
        assert not is_superseded(token(sub="usr_1"))


def test_another_history_is_read_from_its_beginning(app: Flask) -> None:
    older = token(sub="usr_1")
    lose("session", sid="ses_1")
    assert not is_superseded(older)
    with database.writing():
        database.session().execute(text("DELETE FROM change_feed"))
        database.session().execute(
            text("INSERT INTO change_feed VALUES (:p, 'epoch', '{}', :p)"), {"p": clock.now() + clock.HOUR}
        )
    assert is_superseded(older)


def test_the_first_entry_there_is_counts_like_any_other(app: Flask) -> None:
    older = token(sub="usr_1")
    lose("membership", sub="usr_1")
    with database.writing():
        database.session().execute(text("DELETE FROM change_feed WHERE kind <> 'membership'"))
    assert is_superseded(older)


def test_a_database_that_goes_away_while_all_is_read_anew_costs_no_entry(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = token(sub="usr_1")
    lose("membership", sub="usr_1")
    assert is_superseded(older)
    remembered = memory.of(supersession._Memory)

    def fail(**_: object) -> None:
        raise database.DatabaseUnavailable

    monkeypatch.setattr(supersession._FIRST, "all", fail)
    with pytest.raises(database.DatabaseUnavailable):
        remembered.take([supersession._Row(remembered.head + 1, "{}")])
    assert remembered.hits(older)


def test_who_reads_with_an_older_snapshot_knows_what_others_have_read(app: Flask) -> None:
    older = token(sub="usr_1")
    assert not is_superseded(older)
    positions.head()  # begins a transaction that sees this instant, where the database has such

    def elsewhere() -> None:
        with app.app_context():
            lose("membership", sub="usr_1")
            assert is_superseded(older)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert is_superseded(older)


def test_of_too_many_less_is_kept_that_hits_more(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supersession, "MOST", 20)
    fresh, stale = token(sub="usr_x", org_id="org_9"), token(sub="usr_1", org_id="org_1")
    key = token(kid="k9")
    lose("key", kid="k9")
    for number in range(30):
        lose("grant", sub=f"usr_{number}", org_id="org_1")
    assert is_superseded(stale)
    assert not is_superseded(fresh), "of another organization"
    assert memory.of(supersession._Memory)._size <= 3
    for number in range(30):
        lose("session", sid=f"ses_{number}")
    assert is_superseded(fresh)
    assert is_superseded(key)
    assert not is_superseded(token(sub="usr_1", org_id="org_1"))
    assert memory.of(supersession._Memory)._size <= 21


NAMES = sorted(losses.KEYS - {"kid"})
MATCHES = st.dictionaries(st.sampled_from(NAMES), st.sampled_from("ab"), max_size=3)
TOKENS = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from("abc"), max_size=2).map(tuple))


@settings(max_examples=500)
@given(entries=st.lists(MATCHES, max_size=8), said=TOKENS, azv=st.integers(0, 9))
def test_it_agrees_with_the_definition(
    entries: list[dict[str, str]], said: dict[str, tuple[str, ...]], azv: int
) -> None:
    """An entry hits a token that agrees in every key and is older; one without roles agrees with every role."""
    remembered = supersession._Memory()
    remembered._pruned_at = float("inf")
    remembered.take([supersession._Row(0, "{}")])
    rows = [supersession._Row(place, json.dumps(match)) for place, match in enumerate(entries, 1)]
    remembered.take([supersession._Row(0, "{}"), *rows])

    def agrees(match: dict[str, str]) -> bool:
        return all(value in said.get(name, (value,) if name == "role" else ()) for name, value in match.items())

    hit = any(agrees(match) and place > azv for place, match in enumerate(entries, 1))
    assert remembered.hits(Said(azv, "k1", said)) == (hit or azv > len(entries))
