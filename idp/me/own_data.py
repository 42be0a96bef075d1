"""What is kept about a person, as one JSON value for themselves: `docs/own-data.md` says its shape.

No secret is in it, and nothing of other people: whoever did something to the person is not named.
"""

from collections.abc import Sequence
from typing import Any, Final

from idp.audit.search import Found
from idp.credentials import factors, passwords, recovery_codes
from idp.credentials.models import Factor
from idp.me import happenings
from idp.me.happenings import Happening
from idp.oauth import connected
from idp.organizations import own_grants, own_memberships, proven_addresses
from idp.organizations.own_grants import OwnGrant
from idp.organizations.own_memberships import OwnMembership
from idp.platform import clock
from idp.sessions import listings, trusted_devices
from idp.sessions.models import Browser, TrustedDevice
from idp.users import addresses, claims, users
from idp.users.models import Address, User

VERSION: Final = 1
"""Of the shape."""

MOST: Final = 5_000
"""Entries of each list; `truncated` names those that are longer."""

Told = dict[str, Any]
"""A JSON object."""


def of(user_id: str, happened: Sequence[Found], told: Sequence[Happening]) -> Told:
    """Everything about the person. `happened` and `told`: their activity, entry by entry, as kept and in words."""
    person = users.find(user_id)
    lists: dict[str, list[Told]] = {
        "addresses": [_address(one, person) for one in addresses.of(user_id)],
        "memberships": [_membership(one) for one in own_memberships.of(user_id, limit=MOST + 1)],
        "roles": [_role(one) for one in own_grants.of(user_id, limit=MOST + 1)],
        "factors": [_factor(one) for one in factors.of(user_id)],
        "sessions": [_session(one) for one in listings.sessions(user_id, limit=MOST + 1)],
        "trusted_devices": [_device(trust, browser) for trust, browser in trusted_devices.of(user_id)],
        "applications": [_application(one) for one in connected.of(user_id)],
        "activity": [_happening(entry, one) for entry, one in zip(happened, told, strict=True)],
    }
    return {
        "version": VERSION,
        "made_at": clock.iso(clock.now()),
        "profile": _profile(person),
        "password": {"set_at": _iso(passwords.set_at(user_id))},
        "recovery_codes": {"left": recovery_codes.left(user_id)},
        **{name: several[:MOST] for name, several in lists.items()},
        "truncated": sorted(name for name, several in lists.items() if len(several) > MOST),
    }


def _iso(at: int | None) -> str | None:
    return None if at is None else clock.iso(at)


def _profile(person: User) -> Told:
    return {
        "id": person.id,
        "username": person.username,
        "created_at": clock.iso(person.created_at),
        "theme": person.theme,
        "claims": claims.load(person.claims),
    }


def _address(one: Address, person: User) -> Told:
    return {
        "address": one.address,
        "primary": bool(one.is_primary),
        "is_username": one.address_key == person.username_key,
        "added_at": clock.iso(one.started_at),
        "verified_at": _iso(one.verified_at),
        "counts": proven_addresses.counts(one),
        "leaves_at": _iso(one.leaves_at),
    }


def _membership(one: OwnMembership) -> Told:
    organization = {"id": one.organization_id, "slug": one.slug, "name": one.name}
    return {
        "organization": organization,
        "status": one.status,
        "since": clock.iso(one.since),
        "source": one.source,
        "owner": one.owns,
    }


def _role(one: OwnGrant) -> Told:
    return {
        "organization": one.organization_id,
        "account": one.account or None,
        "account_group": one.group or None,
        "team": one.team or None,
        "role": one.role,
        "source": one.source,
        "since": clock.iso(one.since),
        "counts_from": clock.iso(one.counts_from),
        "expires_at": _iso(one.expires_at),
    }


def _factor(one: Factor) -> Told:
    return {
        "kind": one.kind,
        "name": one.name,
        "added_at": clock.iso(one.created_at),
        "last_used_at": _iso(one.last_used_at),
    }


def _session(one: listings.SessionLine) -> Told:
    return {
        "opened_at": clock.iso(one.created_at),
        "last_used_at": clock.iso(one.last_seen_at),
        "address": one.address,
        "user_agent": one.user_agent,
        "proven_by": list(one.methods),
    }


def _device(trust: TrustedDevice, browser: Browser) -> Told:
    return {
        "trusted_at": clock.iso(trust.created_at),
        "until": clock.iso(trust.expires_at),
        "address": browser.address,
        "user_agent": browser.user_agent,
    }


def _application(one: connected.Connected) -> Told:
    return {
        "client_id": one.client_id,
        "name": one.name,
        "organizations": list(one.organizations),
        "scope": list(one.scope),
        "since": clock.iso(one.since),
        "last_used_at": _iso(one.last_used_at),
    }


def _happening(entry: Found, one: Happening) -> Told:
    return {
        "at": clock.iso(one.at),
        "event": one.event,
        "detail": one.detail,
        "organization": entry.organization_id,
        "by": "you" if one.is_own else _kind(entry),
        "address": one.address or None,
        "user_agent": one.user_agent or None,
    }


def _kind(entry: Found) -> str:
    """Who did it, by kind: nobody is named."""
    if entry.event in happenings.FROM_WHEREVER:
        return "unknown"
    return {"user": "administrator", "operator": "operator", "system": "system"}.get(entry.actor.kind, "program")
