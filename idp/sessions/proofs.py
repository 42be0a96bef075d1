"""Proofs: how somebody showed who they are, when, with what, and who vouches for it."""

from collections.abc import Iterable
from dataclasses import dataclass

from idp.platform import clock

OWN = ""
"""Vouched for by the person's own credential, not by a connection."""

DEVICE = "device"
"""The method of a browser that the person chose to trust."""


LINK = "link"
"""The method of a link by which somebody who has nothing yet sets their first passkey up. It opens no session."""


@dataclass(frozen=True)
class Proof:
    """`method` is `password`, `totp`, `passkey`, `recovery_code`, `email_code` or `sso`; `at` microseconds UTC.

    Or `device`: the browser is one that the person chose to trust, which spares them a second factor where that is
    allowed, and proves nothing else.

    `vouched_by`: `OWN`, or the id of the connection that says so (of a `link`: its own). `factor_id`: the passkey,
    authenticator app or mailbox that it was given with; empty where there is none. `held_in`: for a passkey `hwk` where
    it never leaves its device, or `swk` where it is synced (RFC 8176 §2).
    """

    method: str
    at: int
    vouched_by: str = OWN
    factor_id: str = ""
    held_in: str = ""

    def age(self) -> int:
        """Microseconds since the proof was given."""
        return clock.now() - self.at


def last_given(proofs: Iterable[Proof], *, default: int = 0) -> int:
    """When something was proven last; a trusted browser proves nothing."""
    return max((proof.at for proof in proofs if proof.method != DEVICE), default=default)
