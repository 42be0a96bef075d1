"""The life of a signing key as a row of instants: which one signs, which are published. Pure, so that no job flips it.

    published          signs                    superseded              gone
    |------ next ------|------- active ---------|------- retiring ------|
    published_at       activates_at             the next one's          retires_at
                                                activates_at

A key is published one JWKS lifetime before it signs, and until the last token that it signed has expired (JWT-07).
`withdrawn_at` ends it at once, whatever any clock says.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from idp.keys.material import Slot
from idp.platform import clock

JWKS_LIFETIME = 10 * clock.MINUTE
"""How long the key set may be cached by whoever reads it."""

PUBLISHED_BEFORE_USE = JWKS_LIFETIME + 5 * clock.SECOND
"""One JWKS lifetime, from when every node has noticed the new key."""

PUBLISHED_AFTER_USE = 65 * clock.MINUTE
"""The longest lifetime that a token can have (60 minutes), and some for clocks that differ."""


class State(StrEnum):
    NEXT = "next"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Life:
    """One key and its instants (microseconds UTC)."""

    kid: str
    slot: Slot
    published_at: int
    activates_at: int
    retires_at: int | None
    withdrawn_at: int | None


def is_published(life: Life, at: int) -> bool:
    """Whether the key is in the key set, and verifies, at `at`."""
    return life.withdrawn_at is None and (life.retires_at is None or life.retires_at > at)


def signer(lives: Iterable[Life], slot: Slot, at: int) -> Life | None:
    """The key that signs for `slot` at `at`: the youngest that is published and active.

    Where none is active yet by this node's clock (another node's was ahead when it made them), the first to be.
    """
    published = [life for life in lives if life.slot == slot and is_published(life, at)]
    active = [life for life in published if life.activates_at <= at]
    if active:
        return max(active, key=_age)
    return min(published, key=_age, default=None)


def is_waiting(life: Life, at: int) -> bool:
    """Whether the key is published and will sign later."""
    return is_published(life, at) and life.activates_at > at


def state(life: Life, lives: Sequence[Life], at: int) -> State:
    """What an operator calls the stage that `life` has reached, among all the `lives` there are."""
    if life.withdrawn_at is not None:
        return State.WITHDRAWN
    if not is_published(life, at):
        return State.RETIRED
    if life == signer(lives, life.slot, at):
        return State.ACTIVE
    return State.NEXT if is_waiting(life, at) else State.RETIRING


def _age(life: Life) -> tuple[int, str]:
    return life.activates_at, life.kid
