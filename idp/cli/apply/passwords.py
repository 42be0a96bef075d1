"""Passwords of the file: compared with what is stored, and hashed, before any transaction."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from idp.cli.apply.outlook import PersonPair
from idp.cli.apply.wanted import Secret, WantedUser
from idp.credentials import passwords as credentials
from idp.platform.errors import Conflict
from idp.users.users import UserSettings


class ChangedMeanwhile(Conflict):
    """Something was changed while the file was being applied."""

    code = "changed_meanwhile"
    title = "Something was changed while the file was being applied; nothing of the file was"
    remedy = "Apply the file again."


@dataclass(frozen=True)
class Hashed:
    """What stands for a password of the file: the hash that was stored when it was compared, or a new one."""

    compared: str = field(repr=False)
    hash: str = field(repr=False)


@dataclass(frozen=True)
class Passwords:
    """The passwords of a file, ready to be stored."""

    known: Mapping[Secret, Hashed] = field(default_factory=dict, repr=False)

    def hash_of(self, secret: Secret, stored: str) -> str:
        """The hash to be stored; the present one if it is of the same password. Raises `ChangedMeanwhile`."""
        found = self.known[secret]
        if found.compared != stored:
            raise ChangedMeanwhile
        return found.hash


Hash: TypeAlias = Callable[[str, credentials.About], str]
"""What makes a hash of a password, knowing whose it is to be."""


def prepare(pairs: Iterable[PersonPair], hash: Hash, told: Callable[[int, int], None]) -> Passwords:
    """Compare every plain password with what is stored, and let `hash` make those that differ. Slow: tens of
    milliseconds each."""
    wanted = [
        (pair.wanted.password, pair.before.hash if pair.before else "", about(pair.wanted))
        for pair in pairs
        if pair.wanted.password is not None and not pair.wanted.password.is_stored and not pair.wanted.is_absent
    ]
    found: dict[Secret, Hashed] = {}
    for done, (secret, stored, known) in enumerate(wanted, 1):
        same = stored and credentials.is_of(stored, secret.text)
        found[secret] = Hashed(stored, stored if same else hash(secret.text, known))
        told(done, len(wanted))
    return Passwords(found)


def about(wanted: WantedUser) -> credentials.About:
    """What the file says of the person that a guesser would try."""
    held = [one.address.address for one in wanted.addresses]
    organizations = [one.organization.text for one in wanted.memberships]
    return credentials.about(UserSettings(wanted.username, dict(wanted.claims)), held, organizations)
