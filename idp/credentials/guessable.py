"""What is guessed first: common passwords, runs of keys, repetitions, and what belongs to the person (PWD-03).

The list of common passwords ships with the house and is read offline: this check asks nobody, and signing in does not
ask this check (PWD-04).
"""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

_FILE = Path(__file__).with_name("common_passwords.txt")
_HEAD_ENDS = "\n---\n"

_SHORTEST_WORD = 4
"""Letters and digits that a word of the person has to have before a password is refused that contains it."""

_SHORTEST_FOREIGN_WORD = 2
"""The same where a letter says more: names of two Chinese characters are whole names."""

_SHORTEST_REST = 6
"""Letters and digits that must be left of a password beside runs, and of a unit that is repeated."""

_SHORTEST_RUN = 4
_ROWS = (
    "01234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
)
_RUNS = tuple(row * 2 for row in _ROWS) + tuple(row[::-1] * 2 for row in _ROWS)

_MEANT = str.maketrans("@4831!|0$57", "aabeiiiosst")
"""The letters that signs and digits stand for in `p@ssw0rd`."""


def list_version() -> str:
    """The name and version of the list of common passwords."""
    return _FILE.read_text("utf-8").partition("\n")[0]


def is_common(password: str) -> bool:
    """Whether `password` is in the list, or is one of its entries with something around it, a run or a repetition."""
    text = unicodedata.normalize("NFKC", password).casefold()
    return _is_listed(text) or _is_run(text) or _is_repetition(text) or _is_repetition(_plain(text))


def belongs_to(password: str, words: Iterable[str]) -> str | None:
    """The first of `words` that `password` contains, or is a piece of; `None` when there is none.

    Compared without case, blanks and signs, and with digits read as the letters they stand for.
    """
    plain = _plain(password)
    readings = {plain, _plain(password.translate(_MEANT)), plain.translate(_MEANT)}
    for word in words:
        core = _plain(word)
        long_enough = len(core) >= (_SHORTEST_WORD if core.isascii() else _SHORTEST_FOREIGN_WORD)
        if long_enough and any(core in reading or (reading and reading in core) for reading in readings):
            return word
    return None


def _is_listed(text: str) -> bool:
    """Whether `text` is in the list, also with signs and digits around it, or in place of letters, or in between."""
    core = text.strip("".join(sign for sign in text if not sign.isalpha()))
    meant = core.translate(_MEANT)
    readings = {text, _plain(text), core, _plain(core), _plain(meant)}
    return any(len(reading) >= _SHORTEST_WORD and reading in _listed() for reading in readings)


def _is_run(text: str) -> bool:
    """Whether hardly anything is left of `text` beside neighbouring keys and letters in their order."""
    plain, place, rest = _plain(text), 0, 0
    while place < len(plain):
        length = _run_at(plain, place)
        rest += 0 if length else 1
        place += length or 1
    return bool(plain) and rest < _SHORTEST_REST and rest < len(plain)


def _run_at(plain: str, place: int) -> int:
    """The length of the run that begins at `place`, 0 if none does."""
    length = _SHORTEST_RUN
    if not any(plain[place : place + length] in run for run in _RUNS) or place + length > len(plain):
        return 0
    while place + length < len(plain) and any(plain[place : place + length + 1] in run for run in _RUNS):
        length += 1
    return length


def _is_repetition(text: str) -> bool:
    """Whether `text` repeats a few letters, or a listed word, over and over."""
    for size in range(1, len(text) // 2 + 1):
        unit = text[:size]
        if (unit * (len(text) // size + 1)).startswith(text):
            return size < _SHORTEST_REST or _is_listed(unit)
    return False


def _plain(text: str) -> str:
    """The letters and digits of `text`, folded."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(sign for sign in folded if sign.isalnum())


@lru_cache(1)
def _listed() -> frozenset[str]:
    return frozenset(_FILE.read_text("utf-8").partition(_HEAD_ENDS)[2].split("\n"))
