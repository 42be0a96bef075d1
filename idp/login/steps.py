"""The order of the steps of signing in: the whole policy, as one pure function."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from idp.sessions import levels
from idp.sessions.levels import NOTHING, ONE_FACTOR, SECOND, TWO_FACTORS, WHOLE, rank

WAYS = ("passkey", "totp", "email_code", "recovery_code")
"""What can be a second factor, in the order in which it is offered."""

_MAILED = "email_code"


class Step(StrEnum):
    """What a person is asked next."""

    IDENTIFY = "identify"
    PASSWORD = "password"  # noqa: S105 the name of a step
    VERIFY = "verify"
    RENEW = "renew"
    ENROL = "enrol"
    OFFER = "offer"
    SELECT = "select"
    DONE = "done"


@dataclass(frozen=True)
class Standing:
    """How far a sign-in has come.

    `is_named`: somebody said who is signing in. `proven`: methods proven in this sign-in, and in the session that it
    goes on from as far as those count; `is_stale`: something has to be proven anew all the same. `held`: what the
    person has to prove themselves with; `out_of_reach`: what they have set up and cannot give now. `is_trusted`: they
    chose to trust this browser. `may_enrol`: they have just shown who they are, as strongly as they can, so that they
    may set something up; `may_mail`: codes by mail are among what they could. `must_renew`: the password is too short
    to prove anybody alone.

    `is_offered`: they were offered a passkey for the next time, and have not answered.

    `aim`: the level that is wanted; `least`: that has to be reached; `methods`: what counts towards both; `spares`:
    a trusted browser counts, too. `has_declined`: the person does not want to set anything up now.

    `wants_context`: an organization or account has to be chosen; `has_context`: it was.
    """

    is_named: bool = False
    proven: frozenset[str] = frozenset()
    is_stale: bool = False
    held: frozenset[str] = frozenset()
    out_of_reach: frozenset[str] = frozenset()
    is_trusted: bool = False
    may_enrol: bool = True
    may_mail: bool = False
    must_renew: bool = False
    is_offered: bool = False
    aim: str = NOTHING
    least: str = NOTHING
    methods: frozenset[str] = WHOLE | SECOND | {"password", "sso"}
    spares: bool = False
    has_declined: bool = False
    wants_context: bool = False
    has_context: bool = False

    @property
    def level(self) -> str:
        """What was proven, by whichever methods."""
        return levels.reached(self.proven)

    @property
    def counting(self) -> str:
        """What was proven by methods that count."""
        return levels.reached(self.proven & self.methods)

    @property
    def reachable(self) -> str:
        """What could be proven by methods that count, with what the person has."""
        return levels.reached((self.proven | self.held) & self.methods)

    @property
    def has_second_factor(self) -> bool:
        """Whether there is more to prove than a password."""
        return not (self.held | self.out_of_reach).isdisjoint(SECOND | WHOLE)

    @property
    def is_spared(self) -> bool:
        """Whether the trusted browser stands in for the second factor, where two factors are all that is wanted."""
        return self.is_trusted and self.spares and self.level == self.counting == ONE_FACTOR


def next_step(standing: Standing) -> Step:
    """What is still missing."""
    if not standing.is_named:
        return Step.IDENTIFY
    if not standing.level:
        return Step.PASSWORD
    if standing.is_stale or wants_more(standing):
        return Step.VERIFY if ways(standing) or is_stuck(standing) else Step.PASSWORD
    if standing.must_renew:
        return Step.RENEW
    if falls_short(standing):
        return Step.ENROL
    if standing.is_offered:
        return Step.OFFER
    if standing.wants_context and not standing.has_context:
        return Step.SELECT
    return Step.DONE


def wants_more(standing: Standing) -> bool:
    """Whether the person is asked for more of what they have: for their own sake, or to reach what is wanted.

    Whoever has set a second factor up is asked for it at every sign-in, wherever it leads, but in a browser that they
    trust. Nothing is set up or renewed but by somebody who has just shown who they are as strongly as they can, in a
    browser that is trusted, too (TOT-08).
    """
    return _lacks(standing) or (_changes_something(standing) and not standing.may_enrol) or is_stuck(standing)


def ways(standing: Standing) -> tuple[str, ...]:
    """The second factors that would help now, the strongest first; where one must be given anew, all that are as
    strong as what has to be reached, or else can be; where something is about to change, as the strongest there is.

    A code by mail that does not count is not offered beside something that does and lasts.
    """
    helping = tuple(method for method in WAYS if method in standing.held and _helps(standing, method))
    if _MAILED in standing.methods or standing.methods.isdisjoint(_lasting(helping)):
        return helping
    return tuple(method for method in helping if method != _MAILED)


def is_stuck(standing: Standing) -> bool:
    """Whether only a second factor would help that the person cannot give now: somebody else has to help them.

    Nobody gets in, nor changes anything in a browser that is trusted, by a password alone who has set up more.
    """
    if not standing.out_of_reach or standing.is_stale or rank(standing.level) >= rank(TWO_FACTORS):
        return False
    has_given_password = "password" in standing.proven or "password" not in standing.held
    return has_given_password and (not standing.is_trusted or _changes_something(standing))


def renews(standing: Standing, method: str) -> bool:
    """Whether a proof of the method stands for all that were given before: as strong as what has to be reached, or
    else can be, and one that counts, where the person has such a one.
    """
    counts = method in standing.methods or standing.held.isdisjoint(standing.methods)
    wanted = min(rank(standing.least), rank(standing.reachable))
    return counts and rank(levels.reached({method, "password"})) >= wanted


def falls_short(standing: Standing) -> bool:
    """Whether what is wanted was not reached, and may or must be set up."""
    if not _is_reached(standing, standing.least):
        return True
    return not _is_reached(standing, standing.aim) and not standing.has_declined


def _lasting(methods: Collection[str]) -> frozenset[str]:
    """Those of the methods that do not run out."""
    return frozenset(methods) - {"recovery_code"}


def _lacks(standing: Standing) -> bool:
    own = TWO_FACTORS if standing.has_second_factor and not standing.is_trusted else NOTHING
    if rank(standing.level) < rank(own):
        return True
    wanted = levels.highest(standing.aim, standing.least)
    return not _is_reached(standing, wanted) and rank(standing.counting) < rank(standing.reachable)


def _changes_something(standing: Standing) -> bool:
    """Whether what the person proves themselves with is about to change."""
    return standing.must_renew or falls_short(standing)


def _helps(standing: Standing, method: str) -> bool:
    if standing.is_stale:
        return renews(standing, method)
    if not _lacks(standing):
        return levels.makes(method, levels.reached(standing.held))
    proven = standing.proven | {method}
    adds_to_what_counts = rank(levels.reached(proven & standing.methods)) > rank(standing.counting)
    return adds_to_what_counts or rank(levels.reached(proven)) > rank(standing.level)


def _is_reached(standing: Standing, wanted: str) -> bool:
    if wanted == TWO_FACTORS and standing.is_spared:
        return True
    return rank(standing.counting) >= rank(wanted)
