"""How strong a configured secret is: what the start refuses to work with (KEY-03)."""

import math
import re
from collections import Counter
from itertools import pairwise

MINIMUM_LENGTH = 32
"""Characters a secret key needs at least."""

_MINIMUM_BITS = 80.0
_PLACEHOLDERS = re.compile(
    "change[-_ ]?(me|it|this)|replace[-_ ]?(me|this)|your[-_ ](own|key|secret)|example|insecure|default|password", re.I
)
_WORDS = re.compile("secret|canopy|production|development|master|test|key|idp", re.I)


def weakness_of(key: str) -> str | None:
    """Why `key` cannot be used to seal and sign, in words that follow its name; `None` when it can be."""
    if len(key) < MINIMUM_LENGTH:
        return f"has {len(key)} characters, at least {MINIMUM_LENGTH} are needed"
    if _repeats(key):
        return "repeats itself"
    if _PLACEHOLDERS.search(key):
        return "looks like the placeholder of an example"
    if _bits(_without_runs(_WORDS.sub("", key))) < _MINIMUM_BITS:
        return "is too easy to guess (words, a sequence or a few different characters)"
    return None


def _repeats(key: str) -> bool:
    """A text repeats itself exactly when it occurs in its own double before the end."""
    return (key + key).find(key, 1) < len(key)


def _without_runs(key: str) -> str:
    """`key` less what merely goes on in steps: of `abcdef`, `654321` and `aaaa` two characters are left."""
    codes = [ord(character) for character in key]
    steps = [after - before for before, after in pairwise(codes)]
    kept = [
        character
        for place, character in enumerate(key)
        if place < 2 or steps[place - 1] != steps[place - 2] or abs(steps[place - 1]) > 1
    ]
    return "".join(kept)


def _bits(key: str) -> float:
    """What the frequencies of its characters say: an upper bound of the entropy."""
    return -sum(count * math.log2(count / len(key)) for count in Counter(key).values())
