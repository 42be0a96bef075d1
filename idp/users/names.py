"""How people are named: the one normal form of usernames and e-mail addresses, for storing and for looking up (LOG-10).

* Address: the local part in Unicode NFKC, case-folded; the domain as the lower-case A-labels of IDNA 2008. Nothing
  else: dots and `+tags` count, because only the mailbox's own host knows what they mean.
* Username: ASCII `[a-z0-9][a-z0-9._-]{0,63}` in any letter case, compared in lower case; or the person's own address.

What could pass for somebody else is refused (LOG-11): reserved words, the shapes of ids and telephone numbers,
invisible and direction-changing characters, and letters of scripts that are not written together (UTS 39 §5.2,
"highly restrictive").
"""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from idp.platform import identifiers
from idp.platform.errors import Invalid

_RESERVED = """
    abuse account accounts admin admin-team administrator administrators all anonymous api apps auth authorize billing
    bot canopy client clients compliance console daemon device everybody everyone guest help helpdesk hostmaster id idp
    info invitations invite it-support jobs legal login logout mailer-daemon me moderator nobody no-reply none noreply
    noc null oauth oauth2 oidc operator operators org organization organizations owner password passwords payments
    postmaster privacy recover register root saml scim security select self server service settings setup signin signup
    sso staff status sudo super-admin super_admin superadmin superuser support sysadmin system team token undefined
    unknown usenet username users verify webauthn webmaster www
"""

RESERVED = frozenset(_RESERVED.split())
"""Usernames that nobody may have: they speak for the house, for a mailbox of RFC 2142, or for no one."""

_USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TELEPHONE = re.compile(r"[0-9._-]{6,}")
_LONGEST_ADDRESS = 254
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Letters and marks that show nothing (Default_Ignorable_Code_Point, less what `str.isprintable` already knows)."""
_WRITTEN_TOGETHER = (
    frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}),
    frozenset({"LATIN", "CJK", "BOPOMOFO"}),
    frozenset({"LATIN", "CJK", "HANGUL"}),
)


@dataclass(frozen=True)
class EmailAddress:
    """An address as its holder writes it, its normal form (`key`), and the domain in that form."""

    address: str
    key: str
    domain: str

    @property
    def mailbox(self) -> str:
        """Where a letter goes that is to prove the address: what is proven then is its normal form and no look-alike of
        it (RST-02), from which the address as it is written may differ in letter case alone.
        """
        local, _, _ = self.address.rpartition("@")
        return self.address if local.lower() == self.key.rpartition("@")[0] else self.key


class NotAnAddress(Invalid):
    """Text that is no e-mail address, or could pass for another one."""

    title = "This is not an e-mail address that can be used"
    remedy = "Check it for typing errors: it looks like name@example.com."


class NotAUsername(Invalid):
    """Text that is no username, or could pass for something else of somebody else's."""

    title = "This cannot be a username"
    remedy = "Use letters from a to z, digits, dots, hyphens and underscores, or your own e-mail address."


class ReservedUsername(NotAUsername):
    """A username that nobody can have."""

    title = "This username is reserved"
    remedy = "Choose another username."


@dataclass(frozen=True)
class Username:
    """A username as its holder writes it, and its normal form (`key`)."""

    username: str
    key: str


def parse_address(text: str) -> EmailAddress:
    """The address that `text` is. Raises `Invalid` for what is none, or could pass for another one.

    Syntax of RFC 5322 `dot-atom` with RFC 6531, without comments, quotes and address literals; at most 254 bytes.
    """
    if len(text) > _LONGEST_ADDRESS:
        raise NotAnAddress(f"an e-mail address has at most {_LONGEST_ADDRESS} characters", field="email")
    try:
        parsed = validate_email(text, check_deliverability=False, strict=True, test_environment=True)
    except EmailNotValidError as error:
        raise NotAnAddress(f"not an e-mail address: {str(error).rstrip('.')}", field="email") from None
    local = _folded(parsed.local_part)
    for part in (local, *parsed.domain.split(".")):
        _require_one_script(part)
    domain = (parsed.ascii_domain or "").lower()
    return EmailAddress(parsed.normalized, f"{local}@{domain}", domain)


def parse_username(text: str, *, own_id: str = "", own_addresses: Collection[str] = ()) -> Username:
    """The username that `text` is, for the person `own_id` whose addresses have the normal forms `own_addresses`.

    Raises `Invalid` for what is none, is reserved, or could be taken for somebody else's id, address or telephone.
    """
    if "@" in text:
        return _address_as_username(text, own_addresses)
    key = text.lower()
    if not text.isascii() or not _USERNAME.fullmatch(key):
        raise NotAUsername(
            "a username has 1 to 64 of the characters a-z, 0-9, '.', '_' and '-' and begins with a letter or digit",
            field="username",
        )
    if key in RESERVED:
        raise ReservedUsername(f"the username {key!r} is reserved", field="username")
    if identifiers.is_one("usr", key) and key != own_id:
        raise NotAUsername("a username must not look like the id of a person", field="username")
    if _TELEPHONE.fullmatch(key):
        raise NotAUsername("a username must not look like a telephone number", field="username")
    return Username(text, key)


def username_key(text: str) -> str | None:
    """The normal form under which the username `text` would be stored, or `None` when nobody can be called that."""
    if "@" in text:
        return address_key(text)
    key = text.lower()
    return key if text.isascii() and _USERNAME.fullmatch(key) else None


def address_key(text: str) -> str | None:
    """The normal form under which the address `text` would be stored, or `None` when nobody can have it."""
    try:
        return parse_address(text).key
    except Invalid:
        return None


def _address_as_username(text: str, own_addresses: Collection[str]) -> Username:
    address = parse_address(text)
    if address.key not in own_addresses:
        raise NotAUsername(
            "a username that is an e-mail address must be an address of the same person", field="username"
        )
    return Username(address.address, address.key)


def _folded(text: str) -> str:
    """Unicode's NFKC with full case folding: folding may undo the first normalisation, hence twice (UAX 31 §5.1.3)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _require_one_script(part: str) -> None:
    if not part.isprintable() or _INVISIBLE.search(part):
        raise NotAnAddress("an e-mail address must not contain invisible characters", field="email")
    scripts = {unicodedata.name(letter, "?").split(" ", 1)[0] for letter in _folded(part) if letter.isalpha()}
    if len(scripts) > 1 and not any(scripts <= together for together in _WRITTEN_TOGETHER):
        raise NotAnAddress("an e-mail address must not mix letters of different scripts", field="email")
