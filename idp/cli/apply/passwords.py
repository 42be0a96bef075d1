"""Passwords of the file: compared with what is stored, and hashed, before any transaction."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from os import cpu_count

from idp.cli.apply.outlook import PersonPair
from idp.cli.apply.wanted import Secret
from idp.credentials import passwords
from idp.platform.errors import Conflict


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


def prepare(pairs: Iterable[PersonPair], hash: Callable[[str], str], told: Callable[[int, int], None]) -> Passwords:
    """Compare every plain password with what is stored, and let `hash` make those that differ. Slow: tens of
    milliseconds each, on every core."""
    wanted = [
        (pair.wanted.password, pair.before.hash if pair.before else "")
        for pair in pairs
        if pair.wanted.password is not None and not pair.wanted.password.is_stored and not pair.wanted.is_absent
    ]
    found: dict[Secret, Hashed] = {}
    with ThreadPoolExecutor(cpu_count()) as threads:
        here = copy_context()
        settled = threads.map(lambda one: here.copy().run(_settled, one[0], one[1], hash), wanted)
        for done, ((secret, _), hashed) in enumerate(zip(wanted, settled, strict=True), 1):
            found[secret] = hashed
            told(done, len(wanted))
    return Passwords(found)


def _settled(secret: Secret, stored: str, hash: Callable[[str], str]) -> Hashed:
    if stored and passwords.is_of(stored, secret.text):
        return Hashed(stored, stored)
    return Hashed(stored, hash(secret.text))
