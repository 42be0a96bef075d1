"""Codes that people read, keep and type: drawn so that nobody guesses them, and read in whatever way they come back."""

import re
import secrets
import unicodedata

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: nothing in it is easily taken for something else, and what is taken so is forgiven."""

LENGTH = 16
"""Characters of a code to be kept: 80 bits, so that nothing has to slow its digest down."""

LONGEST = 128
"""Letters and digits of a code that was made elsewhere."""

_GROUP = 4
_OURS = re.compile(f"[{ALPHABET}]{{{_GROUP}}}(-[{ALPHABET}]{{{_GROUP}}}){{{LENGTH // _GROUP - 1}}}")
_ALIKE = str.maketrans({"o": "0", "i": "1", "l": "1"})
_LONGEST_DIGITS = 64


def drawn() -> str:
    """A new code to be kept, in groups."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return "-".join(letters[at : at + _GROUP] for at in range(0, LENGTH, _GROUP))


def is_ours(text: str) -> bool:
    """Whether `text` is written as `drawn` writes codes."""
    return _OURS.fullmatch(text) is not None


def plain(code: str) -> str:
    """The letters and digits of a code that was kept, in whatever way they were typed; empty for what can be none."""
    if len(code) > 2 * LONGEST:
        return ""
    folded = unicodedata.normalize("NFKC", code).casefold().translate(_ALIKE)
    return "".join(letter for letter in folded if letter.isalnum())


def drawn_digits(length: int) -> str:
    """A new code of so many digits, to be typed soon."""
    return f"{secrets.randbelow(10**length):0{length}}"


def digits(code: str) -> str:
    """`code` in ASCII digits, without spaces, whichever digits a keyboard writes; empty for what can be no code."""
    together = "".join(code.split()) if len(code) <= _LONGEST_DIGITS else ""
    values = [unicodedata.decimal(letter, None) for letter in together]
    return "" if None in values else "".join(str(value) for value in values)
