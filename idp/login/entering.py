"""Whether what a person proved suffices for a context, asked whenever it is entered or renewed (TOT-07).

What a context takes is `organizations.entry`'s to say; what was proven is a session's or, for a refresh token, the
authorization's. Here they meet.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from idp.login.trust import trusted_by
from idp.organizations import entry
from idp.organizations.effective import EffectiveRoles
from idp.organizations.entry import Entry
from idp.platform import clock
from idp.sessions import levels
from idp.sessions.levels import ONE_FACTOR, TWO_FACTORS, Level
from idp.sessions.proofs import DEVICE, Proof, last_given


@dataclass(frozen=True)
class Evidence:
    """What a person proved. `pause`: the longest (microseconds) that the session was unused since then.

    `is_lasting`: it was agreed to outlive the session, and does not age (`offline_access`).
    """

    proofs: tuple[Proof, ...]
    pause: int = 0
    is_lasting: bool = False


@dataclass(frozen=True)
class Lacking:
    """What has to be proven yet. `least`: the level; `methods`, `spares`: as of a demand of a sign-in; `max_age`: how
    old (microseconds) the last proof may be, where it is too old. `detail`: `mfa_required` or `sso_required`.
    """

    detail: str
    least: str
    methods: tuple[str, ...]
    spares: bool
    max_age: int | None = None

    @property
    def can_be_proven(self) -> bool:
        """Whether a person can do something about it here."""
        return self.detail != "sso_required"


@dataclass(frozen=True)
class Judged:
    """What was proven, as it counts in a context: the `level` that it reaches there, when the last of it was proven
    (`proven_at`, 0 where nothing counts), and what it lacks, if anything.
    """

    level: Level
    proven_at: int
    takes: Entry
    lacking: Lacking | None = None


def judge(user_id: str, held: EffectiveRoles | None, shown: Evidence) -> Judged:
    """What becomes of what a person proved in the context in which they hold these roles."""
    return judge_by(entry.of(user_id, held), shown)


def judge_by(takes: Entry, shown: Evidence) -> Judged:
    """The same where it is known what entering takes."""
    counting = [proof for proof in shown.proofs if proof.method in takes.methods]
    level, proven_at = levels.of(counting), last_given(counting)
    return Judged(level, proven_at, takes, None if takes is entry.ANYWHERE else _lacking(takes, level, shown))


def _lacking(takes: Entry, level: Level, shown: Evidence) -> Lacking | None:
    least = levels.highest(ONE_FACTOR, *takes.levels)
    if takes.takes_sso:
        return Lacking("sso_required", least, takes.methods, takes.trusts_devices)
    max_age = None if shown.is_lasting else _too_old_for(takes, min(least, level.acr, key=levels.rank), shown)
    if max_age is None and _reaches(least, takes, level, shown.proofs):
        return None
    return Lacking("mfa_required", least, takes.methods, takes.trusts_devices, max_age)


def _reaches(least: str, takes: Entry, level: Level, proofs: Iterable[Proof]) -> bool:
    if least == TWO_FACTORS and level.acr == ONE_FACTOR and takes.trusts_devices:
        return any(trusted_by(proof.factor_id) in takes.methods for proof in proofs if proof.method == DEVICE)
    return levels.meets(level.acr, least)


def _too_old_for(takes: Entry, reached: str, shown: Evidence) -> int | None:
    """How old the last proof may be, where it is older; 0 after a pause that was too long, whatever was proven before.

    The last one of those that count, and make the level that was `reached`: a password does not renew what a passkey
    proved. `None` where it is young enough, and where none counts: then that is what lacks.
    """
    if shown.pause > takes.idle:
        return 0
    now = clock.now()
    counting = (one for one in shown.proofs if one.method in takes.methods and levels.makes(one.method, reached))
    return takes.longest if now - last_given(counting, default=now) > takes.longest else None
