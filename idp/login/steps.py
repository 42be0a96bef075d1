"""The order of the steps of signing in: the whole policy, as one pure function."""

from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """What a person is asked next."""

    IDENTIFY = "identify"
    PASSWORD = "password"  # noqa: S105 the name of a step
    SELECT = "select"
    DONE = "done"


@dataclass(frozen=True)
class Standing:
    """How far a sign-in has come.

    `is_named`: somebody said who is signing in. `is_signed_in`: that person is signed in in this browser, by this
    sign-in or by a session that it may use. `proven`: methods proven so far and not yet part of a session.
    `wants_context`: an organization or account has to be chosen; `has_context`: it was.
    """

    is_named: bool = False
    is_signed_in: bool = False
    proven: frozenset[str] = frozenset()
    wants_context: bool = False
    has_context: bool = False


def next_step(standing: Standing) -> Step:
    """What is still missing."""
    if not standing.is_named:
        return Step.IDENTIFY
    if not standing.is_signed_in and not standing.proven:
        return Step.PASSWORD
    if standing.wants_context and not standing.has_context:
        return Step.SELECT
    return Step.DONE
