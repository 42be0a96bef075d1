"""The difference for people, their addresses and passwords, their memberships, and operators."""

from collections.abc import Mapping

from idp.cli.apply import plan_holdings, steps
from idp.cli.apply.drawing import Drawing, differing
from idp.cli.apply.outlook import OrganizationOutlook, Outlook, PersonPair
from idp.cli.apply.passwords import Passwords
from idp.cli.apply.present import Address, Person
from idp.cli.apply.steps import Ref
from idp.cli.apply.wanted import Json, WantedAddress, WantedMembership, WantedOperator
from idp.credentials import authenticator_apps, recovery_codes
from idp.users import names
from idp.users.users import UserSettings


def draw(pair: PersonPair, outlook: Outlook, passwords: Passwords, drawing: Drawing) -> None:
    """What is to be done for the person, but for memberships."""
    wanted, before = pair.wanted, pair.before
    if wanted.is_absent:
        if before is not None:
            drawing.add(steps.DeleteUser(wanted.place, pair.ref))
        return
    _require_free(pair, outlook, drawing)
    if before is None:
        _create(pair, drawing)
    else:
        _change(pair, before, drawing)
        _addresses(pair, before, drawing)
    _password(pair, passwords, drawing)
    _app(pair, drawing)
    _codes(pair, drawing)
    is_disabled = before is not None and before.is_disabled
    if wanted.status == "disabled" and not is_disabled:
        drawing.add(steps.DisableUser(wanted.place.of("status"), pair.ref))
    if wanted.status == "active" and is_disabled:
        drawing.add(steps.EnableUser(wanted.place.of("status"), pair.ref))


def _require_free(pair: PersonPair, outlook: Outlook, drawing: Drawing) -> None:
    """Nobody else has the username or holds an address, unless this file takes it from them."""
    place, key = pair.wanted.place, names.username_key(pair.ref.name)
    other = outlook.people.by_username.get(key or "")
    if other is not None and other.id != pair.ref.id and outlook.people.keeps_username(other):
        drawing.faults.add(place.of("username"), f"expected a username that is free: {other.id} has it")
    for said in pair.wanted.addresses:
        holder = outlook.people.by_address.get(said.address.key)
        if said.is_absent or holder is None or holder.id == pair.ref.id:
            continue
        if outlook.people.keeps_address(holder, said.address.key):
            drawing.faults.add(said.place, f"expected an address that is free: {holder.username} holds it")


def _create(pair: PersonPair, drawing: Drawing) -> None:
    wanted, place = pair.wanted, pair.wanted.place
    primary = next((one for one in wanted.addresses if one.is_primary), None)
    own = {primary.address.key} if primary else set()
    if not drawing.made(
        place, lambda: names.parse_username(pair.ref.name, own_id=wanted.id or pair.ref.name, own_addresses=own)
    ):
        return
    claims = {name: value for name, value in wanted.claims.items() if value is not None}
    email = primary.address.address if primary else ""
    verified = bool(primary and primary.is_verified)
    settings = UserSettings(wanted.username, claims)
    drawing.add(steps.CreateUser(place, pair.ref, settings, wanted.id, email, verified))
    for other in wanted.addresses:
        if not other.is_primary and not other.is_absent:
            drawing.add(steps.AddAddress(other.place, pair.ref, other.address.address, bool(other.is_verified)))


def _change(pair: PersonPair, before: Person, drawing: Drawing) -> None:
    wanted, place = pair.wanted, pair.wanted.place
    held = {address.key for address in before.addresses} | {one.address.key for one in wanted.addresses}
    username = drawing.made(place, lambda: names.parse_username(pair.ref.name, own_id=before.id, own_addresses=held))
    if username is None:
        return
    said = _without_date({**before.claims, **wanted.claims})
    was = {"username": before.username, **_without_date(before.claims)}
    becomes = {"username": username.username, **said}
    if was != becomes:
        given = {"updated_at": wanted.claims["updated_at"]} if wanted.claims.get("updated_at") is not None else {}
        settings = UserSettings(username.username, {**said, **given})
        drawing.add(steps.ChangeUser(place, pair.ref, settings, differing(was, becomes)))


def _without_date(claims: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in claims.items() if name != "updated_at" and value is not None}


# Addresses


def _addresses(pair: PersonPair, before: Person, drawing: Drawing) -> None:
    held = {address.key: address for address in before.addresses}
    for said in pair.wanted.addresses:
        _address(pair.ref, said, held.get(said.address.key), not held, drawing)


def _address(user: Ref, said: WantedAddress, before: Address | None, is_first: bool, drawing: Drawing) -> None:
    text, place = said.address.address, said.place
    if said.is_absent:
        if before is not None:
            drawing.add(steps.RemoveAddress(place, user, before.text))
        return
    if before is None:
        drawing.add(steps.AddAddress(place, user, text, bool(said.is_verified)))
    elif said.is_verified and not before.is_verified:
        drawing.add(steps.VerifyAddress(place, user, before.text))
    elif said.is_verified is False and before.is_verified:
        drawing.faults.add(place, "expected a verified address: this one is proven, which is not taken back")
    if not said.is_primary or (before.is_primary if before else is_first):
        return
    if said.is_verified or (before is not None and before.is_verified):
        drawing.add(steps.MakePrimary(place, user, text))
    else:
        drawing.faults.add(place, "expected `email_verified: true`: only a verified address can become the primary one")


# Passwords


def _password(pair: PersonPair, passwords: Passwords, drawing: Drawing) -> None:
    secret = pair.wanted.password or pair.wanted.password_hash
    stored = pair.before.hash if pair.before is not None else ""
    if secret is None:
        return
    if secret.is_stored:
        if not stored:
            drawing.note(secret.place, f"left out: no password of {pair.ref.name} is stored here")
        return
    hashed = secret.text if secret is pair.wanted.password_hash else passwords.hash_of(secret, stored)
    if hashed != stored:
        drawing.add(steps.SetPassword(secret.place, pair.ref, hashed))


# Second factors


def _app(pair: PersonPair, drawing: Drawing) -> None:
    secret, before = pair.wanted.totp_secret, pair.before
    if secret is None:
        return
    if secret.is_stored:
        if before is None or not before.has_app:
            drawing.note(secret.place, f"left out: no authenticator app of {pair.ref.name} is stored here")
        return
    wanted = authenticator_apps.parse_secret(secret.text)
    if before is None or authenticator_apps.secret_of(before.id) != wanted:
        drawing.add(steps.SetApp(secret.place, pair.ref, wanted))


def _codes(pair: PersonPair, drawing: Drawing) -> None:
    """The codes of the file count once: the person may have used them, or got new ones, since."""
    before, said = pair.before, [code for code in pair.wanted.recovery_codes if not code.is_stored]
    for code in pair.wanted.recovery_codes:
        if code.is_stored and (before is None or not before.has_codes):
            drawing.note(code.place, f"left out: no recovery codes of {pair.ref.name} are stored here")
    texts = tuple(code.text for code in said)
    if said and (before is None or not recovery_codes.are_known(before.id, texts)):
        drawing.add(steps.SetCodes(said[0].place, pair.ref, texts))


# Memberships


def draw_memberships(one: OrganizationOutlook, outlook: Outlook, drawing: Drawing) -> None:
    """What is to be done for the members of an organization of whom the file speaks."""
    for user, wanted in one.memberships.items():
        member = one.members[user]
        if wanted.is_absent:
            if member.id:
                drawing.add(steps.RemoveMember(wanted.place, member, one.ref))
            continue
        _membership(one, user, member, wanted, drawing)
        plan_holdings.draw(one, member, wanted.holdings, outlook, drawing)


def _membership(one: OrganizationOutlook, user: Ref, member: Ref, wanted: WantedMembership, drawing: Drawing) -> None:
    place, before = wanted.place, one.before.members.get(member.id)
    if before is None and user == one.founder:
        if wanted.status not in (None, "active"):
            drawing.faults.add(place.of("status"), "expected active: this person owns the organization")
        return
    if before is None:
        drawing.add(steps.AddMember(place, member, one.ref, user, wanted.status or "active", wanted.id))
        return
    if wanted.id and wanted.id != before.id:
        drawing.faults.add(place.of("id"), f"expected {before.id}: the membership exists, and ids never change")
    if wanted.status in (None, before.status):
        return
    if wanted.status == "invited":
        drawing.faults.add(place.of("status"), f"expected another status: the membership is {before.status} already")
    elif wanted.status == "active":
        drawing.add(steps.ActivateMember(place.of("status"), member, one.ref))
    else:
        drawing.add(steps.SuspendMember(place.of("status"), member, one.ref))


# Operators


def draw_operator(wanted: WantedOperator, outlook: Outlook, drawing: Drawing) -> None:
    """Who is to run the installation, as what."""
    user = outlook.people.find(wanted.user)
    if user is None:
        return
    person = outlook.present.people.get(user.id)
    post, place = person.post if person is not None else "", wanted.user.place
    if wanted.is_absent:
        if post:
            drawing.add(steps.RemoveOperator(place, user))
    elif (wanted.role or post or "admin") != post:
        drawing.add(steps.AddOperator(place, user, wanted.role or "admin"))
