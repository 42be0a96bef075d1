"""What an invitation says to people: who invites, where to, what they would be there; and the letter that says it.

The letter is in the language of whoever it finds, if the address counts for them; the inviter never sees it (INV-03).
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from idp.clients import clients
from idp.organizations import organizations, proven_addresses
from idp.organizations.models import Account, AccountGroup, Invitation, InvitationGrant, Placement, Role
from idp.platform import clock, database, i18n, outbox
from idp.platform.errors import Invalid, NotFound
from idp.platform.i18n import Wish
from idp.platform.i18n import gettext as _
from idp.platform.outbox import Letter
from idp.users import addresses, languages, users, zones
from idp.users.models import User

PATH = "/invitations"

LONGEST_MESSAGE = 500
"""Characters of what an inviter writes (HTT-09)."""

KINDS = ("organization", "account_group", "account")
"""What a role may be for, the widest first."""

_LINK = re.compile(r"[a-z][a-z0-9+.-]*://|\bwww\.|\bmailto:", re.IGNORECASE)


class MessageUnusable(Invalid):
    """What an inviter wrote is too long, or holds what a letter of ours does not carry for others."""

    title = "This message cannot be sent"
    remedy = "Write at most 500 characters, and no addresses of pages: the letter brings its own link."


@dataclass(frozen=True)
class Place:
    """A role that an invitation brings, and where: `kind` is one of `KINDS`.

    `livemode` is that of an account.
    """

    role: str
    kind: str
    name: str
    livemode: bool = True


@dataclass(frozen=True)
class Said:
    """What an invitation says. `inviter`: empty for the operator, whose name is nobody's business."""

    organization_id: str
    organization: str
    inviter: str
    places: tuple[Place, ...]
    address: str
    expires_at: int


def message(text: str) -> str:
    """What an inviter wrote, in one paragraph. Raises `MessageUnusable`."""
    normal = " ".join(unicodedata.normalize("NFC", text).split())
    if len(normal) > LONGEST_MESSAGE:
        raise MessageUnusable(f"a message has at most {LONGEST_MESSAGE} characters", field="message")
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn") and letter != "\u200d" for letter in normal):
        raise MessageUnusable("a message has visible characters only", field="message")
    if _LINK.search(normal):
        raise MessageUnusable("a message holds no address of a page", field="message")
    return normal


def said(invitation: Invitation) -> Said:
    """What the invitation says, as things are called now."""
    organization = organizations.find(invitation.organization_id)
    return Said(
        organization.id,
        organization.name,
        _inviter(invitation),
        tuple(_places(invitation, organization.name)),
        invitation.address,
        invitation.expires_at,
    )


def in_words(places: Sequence[Place]) -> str:
    """The roles and where they count, in one line of the current language."""
    return ", ".join(_place(one) for one in places)


# Letters; inside `database.writing()`


def post(invitation: Invitation, token: str, message: str) -> None:
    """Mail the link to the invited address, and to nobody else; as its holder has it stored (RST-02)."""
    holder = proven_addresses.holder(invitation.address_key)
    reader, words = users.find(holder.user_id) if holder else None, said(invitation)
    language = languages.of(reader) if reader else next(iter(i18n.LOCALES))
    facts = {
        "organization": words.organization,
        "inviter": words.inviter,
        "roles": _in_language(words.places, language),
        "message": message,
    }
    outbox.post(
        Letter(
            "invitation",
            holder.address if holder else invitation.address,
            language,
            facts,
            f"{PATH}/{token}",
            expires_at=invitation.expires_at,
            zone=zones.of(reader) if reader else "",
        )
    )


def post_joined(invitation: Invitation, user: User, path: str) -> None:
    """Tell the person who accepted, at their address as it is stored (RST-02), what they are now: at `path` of ours."""
    words, language = said(invitation), languages.of(user)
    mine = addresses.find(user.id, invitation.address)
    facts: dict[str, str | int] = {
        "organization": words.organization,
        "roles": _in_language(words.places, language),
        "at": clock.now(),
    }
    outbox.post(Letter("joined", mine.address, language, facts, path, zone=zones.of(user)))


def _in_language(places: Sequence[Place], language: str) -> str:
    with i18n.speaking(Wish(cookie=language)):
        return in_words(places)


def _place(one: Place) -> str:
    if one.kind == "organization":
        return _("%(role)s in all of %(organization)s", role=one.role, organization=one.name)
    if one.kind == "account_group":
        return _("%(role)s in the accounts of %(group)s", role=one.role, group=one.name)
    return _("%(role)s in %(account)s", role=one.role, account=one.name)


def _inviter(invitation: Invitation) -> str:
    try:
        if invitation.invited_by_kind == "user":
            return users.display_name(users.find(invitation.invited_by))
        if invitation.invited_by_kind == "client":
            return clients.named(invitation.invited_by).name
    except NotFound:
        pass
    return ""


def _places(invitation: Invitation, organization: str) -> list[Place]:
    brought = (
        select(Role.name, InvitationGrant.placement_id, Account.name, Placement.livemode, AccountGroup.name)
        .join(Role, Role.id == InvitationGrant.role_id)
        .outerjoin(Placement, Placement.id == InvitationGrant.placement_id)
        .outerjoin(Account, Account.id == Placement.account_id)
        .outerjoin(AccountGroup, AccountGroup.id == InvitationGrant.account_group_id)
        .where(InvitationGrant.invitation_id == invitation.id)
    )
    found = []
    for role, placement_id, account, livemode, group in database.session().execute(brought):
        if placement_id:
            found.append(Place(role, "account", account, bool(livemode)))
        elif group is not None:
            found.append(Place(role, "account_group", group))
        else:
            found.append(Place(role, "organization", organization))
    return sorted(found, key=lambda one: (KINDS.index(one.kind), one.name, one.role))
