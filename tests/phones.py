"""A phone with an authenticator app: it knows a secret and shows codes, and nothing of the provider's inside."""

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pyotp

from idp.audit.trail import Actor
from idp.credentials import authenticator_apps, recovery_codes
from idp.platform import clock, database


@dataclass(frozen=True)
class Phone:
    """`secret`: base32."""

    secret: str

    def code(self, steps: int = 0) -> str:
        """What it shows now, or so many steps of 30 seconds later (or, below zero, has shown)."""
        return pyotp.TOTP(self.secret).generate_otp(clock.now() // (30 * clock.SECOND) + steps)

    def wrong(self) -> str:
        """Six digits that it does not show about now."""
        near = {self.code(steps) for steps in range(-3, 4)}
        return next(f"{number:06}" for number in range(1_000_000) if f"{number:06}" not in near)

    @classmethod
    def scanning(cls, uri: str) -> "Phone":
        """A phone that was shown this address as a picture."""
        return cls(parse_qs(urlsplit(uri).query)["secret"][0])


def given_to(user_id: str) -> Phone:
    """A new phone whose app is the person's."""
    secret = pyotp.random_base32()
    with database.writing():
        authenticator_apps.store(user_id, authenticator_apps.parse_secret(secret), by=Actor("user", user_id))
    return Phone(secret)


def codes_of(user_id: str) -> tuple[str, ...]:
    """New recovery codes of the person."""
    with database.writing():
        return recovery_codes.make(user_id, by=Actor("user", user_id))
