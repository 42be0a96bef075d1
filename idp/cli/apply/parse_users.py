"""`users` and `operators` of the file."""

from collections.abc import Callable

from idp.cli.apply import parse_holdings
from idp.cli.apply.document import Mapping, Node
from idp.cli.apply.fields import Fields, json
from idp.cli.apply.parse_organizations import is_absent
from idp.cli.apply.passwords import about
from idp.cli.apply.places import Place
from idp.cli.apply.wanted import Json, Said, Secret, WantedAddress, WantedMembership, WantedOperator, WantedUser
from idp.credentials import authenticator_apps, passwords, recovery_codes
from idp.platform.errors import Invalid
from idp.users import claims, names, operators
from idp.users.names import EmailAddress


def read(fields: Fields) -> WantedUser:
    """One person: by id, username or address."""
    addresses = _addresses(fields)
    if not (fields.says("id") or fields.says("username") or fields.says("email")):
        fields.faults.add(fields.place, "expected a username, an email or an id")
    password = fields.secret("password")
    password_hash = _secret(fields, "password_hash", passwords.imported)
    if password and password_hash:
        fields.faults.add(password_hash.place, "expected either password or password_hash")
    wanted = WantedUser(
        place=fields.place,
        id=fields.text("id") or "",
        username=fields.text("username") or "",
        addresses=addresses,
        password=password,
        password_hash=password_hash,
        totp_secret=_secret(fields, "totp_secret", authenticator_apps.parse_secret),
        recovery_codes=_codes(fields),
        status=fields.choice("status", "active", "disabled"),
        memberships=tuple(_membership(one) for one in fields.each("memberships")),
        is_absent=is_absent(fields),
        claims=_claims(fields),
    )
    _require_allowed(wanted, fields)
    return wanted


def read_operator(node: Node, place: Place, fields: Fields) -> WantedOperator:
    """Who runs the installation: a username, or `{username: …, role: admin|support}`."""
    if type(node) is not Mapping:
        return WantedOperator(Said(fields.text_of(node, place) or "", place), None, is_absent=False)
    inner = Fields(node, place, fields.faults)
    operator = WantedOperator(
        Said(inner.need("username"), inner.place.of("username")),
        inner.choice("role", *operators.ROLES),
        is_absent(inner),
    )
    inner.done()
    return operator


def _secret(fields: Fields, name: str, check: Callable[[str], object]) -> Secret | None:
    """A secret that the policy allows, or the marker."""
    secret = fields.secret(name)
    try:
        if secret is not None and not secret.is_stored:
            check(secret.text)
    except Invalid as refusal:
        fields.faults.add(fields.place.of(name), refusal.message)
    return secret


def _codes(fields: Fields) -> tuple[Secret, ...]:
    """Recovery codes that are long enough, or the marker."""
    found = [(fields.text_of(node, place), place) for node, place in fields.nodes("recovery_codes") or ()]
    codes = [Secret(text, place) for text, place in found if text is not None]
    for code in codes:
        try:
            if not code.is_stored:
                recovery_codes.require_long(code.text)
        except Invalid as refusal:
            fields.faults.add(code.place, refusal.message)
    return tuple(codes)


def _require_allowed(wanted: WantedUser, fields: Fields) -> None:
    """A plain password satisfies the policy, about this person."""
    if wanted.password is None or wanted.password.is_stored:
        return
    try:
        passwords.require_allowed(wanted.password.text, about(wanted))
    except Invalid as refusal:
        fields.faults.add(wanted.password.place, refusal.message)


def _membership(fields: Fields) -> WantedMembership:
    membership = WantedMembership(
        place=fields.place,
        id=fields.text("id") or "",
        organization=Said(fields.need("organization"), fields.place.of("organization")),
        status=fields.choice("status", "invited", "active", "suspended"),
        holdings=parse_holdings.read(fields),
        is_absent=is_absent(fields),
    )
    fields.done()
    return membership


def _addresses(fields: Fields) -> tuple[WantedAddress, ...]:
    """`email`, which is the primary one, and `other_emails`."""
    found: dict[str, WantedAddress] = {}
    verified, primary = fields.flag("email_verified"), _address(fields, "email")
    if primary is not None:
        found[primary.key] = WantedAddress(fields.place.of("email"), primary, verified, is_primary=True)
    elif verified is not None:
        fields.faults.add(fields.place.of("email_verified"), "expected together with email")
    for inner in fields.each("other_emails"):
        other, place = _address(inner, "email"), inner.place.of("email")
        verified, absent = inner.flag("verified"), is_absent(inner)
        if other is None or other.key in found:
            fields.faults.add(place, "expected an address that the person has not been given already")
        else:
            found[other.key] = WantedAddress(place, other, verified, is_primary=False, is_absent=absent)
        inner.done()
    return tuple(found.values())


def _address(fields: Fields, name: str) -> EmailAddress | None:
    text = fields.text(name)
    try:
        return None if text is None else names.parse_address(text)
    except Invalid as refusal:
        fields.faults.add(fields.place.of(name), refusal.message)
        return None


def _claims(fields: Fields) -> dict[str, Json]:
    """Whatever else is said: standard claims of OpenID Connect, each checked for itself."""
    said: dict[str, Json] = {}
    for name, node, place in fields.entries():
        value = json(node, place, fields.faults)
        try:
            said[name.text] = claims.parse({name.text: value}).get(name.text)
        except Invalid as refusal:
            fields.faults.add(place, refusal.message)
    return said
