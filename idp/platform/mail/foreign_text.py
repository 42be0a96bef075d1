"""What people wrote, as it may stand in a letter of ours: short, on one line, and with nothing in it to click (HTT-09).

Mail programs make links of what looks like one. Whoever can choose a name that strangers get mail about would else
have us carry their links, under our sender and with our signature.
"""

import re
import unicodedata
from typing import Final

LONGEST_TEXT: Final = 100
LONGEST_PASSAGE: Final = 500

BREAK: Final = "\u200b"
"""ZERO WIDTH SPACE: nothing to see, and no mail program reads an address across it."""

_JOINTS = re.compile(r"([.:/\\@#?=&%]|\u3002)(?=\S)")
"""What addresses of every kind are joined by, where something follows; `。` is a dot to browsers."""

_BLANKS = re.compile(r"\s+")


def defused(written: str, longest: int = LONGEST_TEXT) -> str:
    """`written` in at most `longest` characters of one line, without anything invisible, and with `BREAK` behind
    whatever could join an address.
    """
    normal = unicodedata.normalize("NFKC", written[: 4 * longest])
    plain = _BLANKS.sub(" ", "".join(_visible(character) for character in normal)).strip()
    short = plain if len(plain) <= longest else plain[: longest - 1].rstrip() + "…"
    return _JOINTS.sub(rf"\1{BREAK}", short)


def _visible(character: str) -> str:
    """Nothing for what shows nothing or turns the direction of what follows; a space for lines and tabs."""
    category = unicodedata.category(character)
    if category in ("Zl", "Zp") or character in "\t\n\r\v\f":
        return " "
    return "" if category in ("Cc", "Cf", "Cs", "Co", "Cn") else character


def is_right_to_left(text: str) -> bool:
    """Whether any letter of `text` is written from right to left."""
    return any(unicodedata.bidirectional(character) in ("R", "AL") for character in text)
