"""Which key signs and which are published, at any instant, as a table of cases (JWT-07)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.keys import lifecycle
from idp.keys.lifecycle import Life, State
from idp.keys.material import Slot
from idp.platform import clock

SLOT, OTHER = Slot("access_token", "ES256"), Slot("id_token", "ES256")
NOW = 1_000 * clock.DAY
MINUTE = clock.MINUTE


def life(kid: str, active: int, retires: int | None = None, *, withdrawn: int | None = None, slot: Slot = SLOT) -> Life:
    """A key with instants in minutes from now."""
    ends = (
        None if retires is None else NOW + retires * MINUTE,
        None if withdrawn is None else NOW + withdrawn * MINUTE,
    )
    return Life(kid, slot, NOW + (active - 10) * MINUTE, NOW + active * MINUTE, *ends)


@pytest.mark.parametrize(
    ("lives", "signs", "states"),
    [
        ([], None, []),
        ([life("a", -5)], "a", [State.ACTIVE]),
        ([life("a", -5), life("b", 5)], "a", [State.ACTIVE, State.NEXT]),
        ([life("a", -5, 65), life("b", 0)], "b", [State.RETIRING, State.ACTIVE]),
        ([life("a", -90, 0), life("b", -65)], "b", [State.RETIRED, State.ACTIVE]),
        ([life("a", -90, withdrawn=-1), life("b", -1)], "b", [State.WITHDRAWN, State.ACTIVE]),
        ([life("a", -90, withdrawn=60), life("b", -95)], "b", [State.WITHDRAWN, State.ACTIVE]),
        ([life("a", -5, slot=OTHER)], None, [State.ACTIVE]),
        ([life("a", 2)], "a", [State.ACTIVE]),
        ([life("a", 2), life("b", 3)], "a", [State.ACTIVE, State.NEXT]),
        ([life("a", -5), life("b", -5)], "b", [State.RETIRING, State.ACTIVE]),
    ],
    ids=[
        "nothing there",
        "one",
        "the next one waits",
        "the next one took over",
        "the last token of the old one has expired",
        "withdrawn",
        "withdrawn by a node whose clock is ahead",
        "another purpose",
        "made by a node whose clock is ahead",
        "two made by a node whose clock is ahead",
        "two at the same instant",
    ],
)
def test_who_signs_and_what_an_operator_calls_it(lives: list[Life], signs: str | None, states: list[State]) -> None:
    signer = lifecycle.signer(lives, SLOT, NOW)
    assert (signer.kid if signer else None) == signs
    assert [lifecycle.state(life, lives, NOW) for life in lives] == states


keys = st.lists(
    st.builds(
        life,
        st.uuids().map(str),
        st.integers(-100, 100),
        st.none() | st.integers(-100, 100),
        withdrawn=st.none() | st.integers(-100, 100),
        slot=st.sampled_from([SLOT, OTHER]),
    ),
    max_size=6,
)


@given(keys, st.sampled_from([SLOT, OTHER]))
def test_only_a_published_key_of_the_slot_signs_and_there_is_one_if_any_is_published(
    lives: list[Life], slot: Slot
) -> None:
    published = [life for life in lives if life.slot == slot and lifecycle.is_published(life, NOW)]
    signer = lifecycle.signer(lives, slot, NOW)
    assert (signer in published) if published else signer is None
    assert not any(life.withdrawn_at is not None for life in published)


def test_a_new_key_is_published_for_as_long_as_the_key_set_may_be_cached() -> None:
    assert lifecycle.PUBLISHED_BEFORE_USE > lifecycle.JWKS_LIFETIME == 10 * MINUTE
    assert lifecycle.PUBLISHED_AFTER_USE > 60 * MINUTE
