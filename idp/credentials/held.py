"""What a person has to prove themselves with, and what they have to keep so that they can get in."""

from dataclasses import dataclass

from sqlalchemy import ScalarSelect, bindparam, func, select

from idp.credentials.models import Factor, Password, RecoveryCode
from idp.platform.prepared import Prepared


@dataclass(frozen=True)
class Held:
    """`has_password` 1 or 0; `by_mail` 1 where it was set through a mailed link; how many `passkeys`, authenticator
    `apps` and `mailboxes` for codes; and how many recovery `codes` are left.
    """

    has_password: int
    by_mail: int
    passkeys: int
    apps: int
    mailboxes: int
    codes: int

    @property
    def factors(self) -> int:
        """How many factors there are that a recovery code stands in for."""
        return self.passkeys + self.apps + self.mailboxes

    @property
    def methods(self) -> frozenset[str]:
        """The methods by which the person can prove themselves.

        A code by mail proves nothing beside a password that came by mail, too: the mailbox would be all there is.
        """
        counts = {
            "password": self.has_password,
            "passkey": self.passkeys,
            "totp": self.apps,
            "email_code": 0 if self.by_mail else self.mailboxes,
            "recovery_code": self.codes if self.factors else 0,
        }
        return frozenset(method for method, number in counts.items() if number)


NOTHING = Held(0, 0, 0, 0, 0, 0)


def by(user_id: str) -> Held:
    """What the person has. One statement."""
    return _HELD.one(user_id=user_id) or NOTHING


def methods(user_id: str) -> frozenset[str]:
    """The methods by which the person can prove themselves."""
    return by(user_id).methods


def _factors(kind: str) -> ScalarSelect[int]:
    return (
        select(func.count(Factor.id))
        .where(Factor.user_id == bindparam("user_id"), Factor.kind == kind, Factor.ended_at.is_(None))
        .scalar_subquery()
    )


_HELD: Prepared[Held] = Prepared(
    select(
        select(func.count(Password.user_id)).where(Password.user_id == bindparam("user_id")).scalar_subquery(),
        select(func.count(Password.user_id))
        .where(Password.user_id == bindparam("user_id"), Password.by_mail == 1)
        .scalar_subquery(),
        _factors("passkey"),
        _factors("totp"),
        _factors("email_code"),
        select(func.count(RecoveryCode.digest))
        .where(
            RecoveryCode.user_id == bindparam("user_id"),
            RecoveryCode.used_at.is_(None),
            RecoveryCode.ended_at.is_(None),
        )
        .scalar_subquery(),
    ),
    Held,
)
