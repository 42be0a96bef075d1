"""Proofs: how somebody showed who they are, when, and who vouches for it."""

from dataclasses import dataclass

from idp.platform import clock

OWN = ""
"""Vouched for by the person's own credential, not by a connection."""


@dataclass(frozen=True)
class Proof:
    """`method` is `password`, `totp`, `passkey`, `recovery_code`, `email_code` or `sso`; `at` microseconds UTC.

    `vouched_by`: `OWN`, or the id of the connection that says so.
    """

    method: str
    at: int
    vouched_by: str = OWN

    def age(self) -> int:
        """Microseconds since the proof was given."""
        return clock.now() - self.at
