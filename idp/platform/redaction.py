"""What never reaches a log: secrets by the name they go by and by the look they have (AUD-03, API-03).

A rule logs names and ids, never a whole form, header block or answer; this is the net below it. What is left is cut
and escaped, so that nothing anybody sends can forge a line or fill a disk.
"""

import re
from collections.abc import Mapping
from typing import Final

HIDDEN: Final = "[redacted]"

LONGEST = 500
"""Characters of a text that are kept."""

_MOST = 50
_DEEPEST = 5

_NAMES = (
    r"pass(?:word|wd|phrase|code)|pwd|secret|token|code|cookie|authorization|assertion|saml_?(?:response|request)|"
    r"otp|totp|pin|verifier|challenge|(?:api|private|secret|access|master|signing)[_-]?key|credential|jwt|jwk|proof|"
    r"dpop|state|nonce|csrf|session|hint|ticket|signature|seed|txn"
)
_SECRET_NAME = re.compile(rf"(?:^|[\W_])(?:{_NAMES})s?$", re.IGNORECASE)
_SUSPICIOUS = re.compile(r"[=:$]|-----|eyJ|[A-Za-z0-9+/_-]{40}|(?i:bearer|basic|dpop)\s")
_LOOKS = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), HIDDEN),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)*"), HIDDEN),
    (re.compile(r"\$(?:argon2\w*|2[aby]|scrypt|pbkdf2[\w-]*)\$\S+"), HIDDEN),
    (re.compile(r"\b(bearer|basic|dpop)(\s+)[\w.+/=~-]+", re.IGNORECASE), rf"\1\2{HIDDEN}"),
    (re.compile(r"://[^\s/@]*:[^\s/@]*@"), f"://{HIDDEN}@"),
    (re.compile(rf"\b([\w-]*?(?:{_NAMES})s?)=[^\s&\"']+", re.IGNORECASE), rf"\1={HIDDEN}"),
    (re.compile(rf"([\"'][\w-]*?(?:{_NAMES})s?[\"']\s*:\s*)([\"']).*?\2", re.IGNORECASE), rf"\1\2{HIDDEN}\2"),
)
_OPAQUE = re.compile(r"[A-Za-z0-9+/_-]{40,}={0,2}")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def of(name: str, value: object, depth: int = 0) -> object:
    """`value` as it may be logged under `name`: numbers as they are, texts without secrets, the rest as text.

    Mappings and lists are looked through, a few levels and some dozens of entries deep.
    """
    if value is None or isinstance(value, bool):
        return value
    if _SECRET_NAME.search(name):
        return HIDDEN
    if isinstance(value, int | float):
        return value
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {text(str(key)): of(str(key), inner, depth + 1) for key, inner in list(value.items())[:_MOST]}
    if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [of(name, inner, depth + 1) for inner in list(value)[:_MOST]]
    return text(value if isinstance(value, str) else repr(value))


def text(said: str) -> str:
    """`said` without what looks like a secret, cut after `LONGEST` characters, control characters spelled out."""
    shown = said[: 4 * LONGEST]
    if _SUSPICIOUS.search(shown):
        for look, replacement in _LOOKS:
            shown = look.sub(replacement, shown)
        shown = _OPAQUE.sub(_opaque, shown)
    if len(said) > LONGEST:
        shown = f"{shown[:LONGEST]}… ({len(said)} characters)"
    return _UNPRINTABLE.sub(_escaped, shown)


def _opaque(found: re.Match[str]) -> str:
    """A long run of letters and digits is a secret, unless it reads like a name or a path."""
    run = found.group()
    digits = sum(character.isdigit() for character in run)
    named = run.islower() and ("_" in run or "/" in run) and digits < len(run) // 6
    return run if named or digits < 2 else HIDDEN


def _escaped(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape").decode()
