"""What the proofs of a session amount to: `acr` and `amr` (OpenID Connect Core §2, RFC 8176)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from idp.sessions.proofs import Proof

METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    "password": ("pwd",),
}
"""The `amr` values that each method of a proof stands for."""

LEVELS: Final = ("aal1",)
"""The `acr` values that can be reached, the weakest first."""


@dataclass(frozen=True)
class Level:
    """What was really done: `acr` (empty: nothing that is known) and `amr`."""

    acr: str
    amr: tuple[str, ...]


def of(proofs: Iterable[Proof]) -> Level:
    """The level that these proofs reach together; what was asked for plays no part in it (JWT-12)."""
    amr = tuple(dict.fromkeys(value for proof in proofs for value in METHODS.get(proof.method, ())))
    return Level("aal1" if amr else "", amr)


def meets(acr: str, wanted: str) -> bool:
    """Whether the level `acr` is at least `wanted`; a level that nobody knows is never met."""
    return wanted in LEVELS and acr in LEVELS and LEVELS.index(acr) >= LEVELS.index(wanted)
