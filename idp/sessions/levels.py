"""What proofs amount to together: `acr` and `amr` (OpenID Connect Core §2, RFC 8176)."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from idp.sessions.proofs import DEVICE, LINK, Proof

NOTHING, ONE_FACTOR, TWO_FACTORS, PHISHING_RESISTANT = "", "aal1", "aal2", "phr"

LEVELS: Final = (ONE_FACTOR, TWO_FACTORS, PHISHING_RESISTANT)
"""The `acr` values that can be reached, the weakest first."""

FIRST: Final = frozenset({"password", "passkey", "sso", LINK})
"""Methods that a sign-in may begin with."""

SECOND: Final = frozenset({"totp", "recovery_code", "email_code"})
"""Methods that only add to another one: what one has, beside what one knows."""

WHOLE: Final = frozenset({"passkey"})
"""Methods that are two factors at once, and cannot be phished: the authenticator verified its owner."""

METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    "password": ("pwd",),
    "totp": ("otp",),
    "recovery_code": ("otp",),
    "email_code": ("otp",),
    "passkey": ("user",),
    "sso": ("fed",),
    DEVICE: (),
    LINK: (),
}
"""The `amr` values that each method of a proof stands for; a passkey adds where its key is held."""


@dataclass(frozen=True)
class Level:
    """What was really done: `acr` (empty: nothing that is known) and `amr`."""

    acr: str
    amr: tuple[str, ...]


def of(proofs: Iterable[Proof]) -> Level:
    """The level that these proofs reach together; what was asked for plays no part in it (JWT-12)."""
    given = tuple(proofs)
    acr = reached({proof.method for proof in given})
    several = ("mfa",) if rank(acr) >= rank(TWO_FACTORS) else ()
    said = (value for proof in given for value in (proof.held_in, *METHODS.get(proof.method, ())))
    return Level(acr, tuple(dict.fromkeys([*filter(None, said), *several])))


def reached(methods: Collection[str]) -> str:
    """The `acr` that proofs of these methods reach together. A trusted device reaches nothing."""
    if not WHOLE.isdisjoint(methods):
        return PHISHING_RESISTANT
    begins, adds = not FIRST.isdisjoint(methods), not SECOND.isdisjoint(methods)
    if begins and adds:
        return TWO_FACTORS
    return ONE_FACTOR if begins or adds else NOTHING


def makes(method: str, level: str) -> bool:
    """Whether a proof of `method` is what makes the level: not the password beside a code, where a code is at hand."""
    if level in (NOTHING, ONE_FACTOR):
        return method in FIRST | SECOND
    return rank(reached({method, "password"})) >= rank(level)


def meets(acr: str, wanted: str) -> bool:
    """Whether the level `acr` is at least `wanted`; a level that nobody knows is never met."""
    return wanted in LEVELS and rank(acr) >= rank(wanted)


def rank(acr: str) -> int:
    """The place of a level among `LEVELS`; -1 for none of them."""
    return LEVELS.index(acr) if acr in LEVELS else -1


def highest(*levels: str) -> str:
    """The strictest of several levels; empty where none of them means anything."""
    return max((level for level in levels if level in LEVELS), key=rank, default=NOTHING)
