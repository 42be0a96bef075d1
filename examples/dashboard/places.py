"""Places to work: the organizations and accounts that a person may enter, as the provider lists them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from examples.dashboard.tokens import Json


@dataclass(frozen=True)
class Place:
    """An organization, or one account of it. `livemode`: not a sandbox; organizations are live."""

    organization_id: str
    organization_slug: str
    organization_name: str
    account_id: str = ""
    account_key: str = ""
    account_name: str = ""
    livemode: bool = True

    @property
    def id(self) -> str:
        """The id of the account, or else of the organization."""
        return self.account_id or self.organization_id

    @property
    def name(self) -> str:
        """What people call it."""
        return self.account_name or self.organization_name

    @property
    def on_the_command_line(self) -> str:
        """How `idp` names it."""
        return "/".join(filter(None, (self.organization_slug, self.account_key)))


def listed(body: Mapping[str, Json]) -> tuple[Place, ...]:
    """The places in an answer of `/oauth2/accounts`."""
    entries = body.get("accounts")
    return tuple(_place(entry) for entry in (entries if isinstance(entries, list) else ()) if isinstance(entry, dict))


def by_organization(places: Iterable[Place]) -> list[tuple[str, list[Place]]]:
    """The places under the name of each organization, itself first."""
    ordered = sorted(places, key=lambda one: (one.organization_name, one.organization_id, one.account_name))
    groups = groupby(ordered, key=lambda one: (one.organization_name, one.organization_id))
    return [(name, list(members)) for (name, _), members in groups]


def named(places: Iterable[Place], id: str) -> Place | None:
    """The one with this id; `None` where the list does not hold it."""
    return next((place for place in places if place.id == id), None)


def current(places: Iterable[Place], claims: Mapping[str, Json]) -> Place:
    """The place that a token speaks for; with ids for names where the list does not hold it."""
    organization_id, account_id = str(claims.get("org_id", "")), str(claims.get("account_id", ""))
    for place in places:
        if (place.organization_id, place.account_id) == (organization_id, account_id):
            return place
    livemode = claims.get("livemode") is True
    return Place(organization_id, organization_id, organization_id, account_id, account_id, account_id, livemode)


def _place(entry: Mapping[str, Json]) -> Place:
    return Place(
        organization_id=str(entry["org_id"]),
        organization_slug=str(entry["org_slug"]),
        organization_name=str(entry["org_name"]),
        account_id=str(entry.get("account_id", "")),
        account_key=str(entry.get("account_key", "")),
        account_name=str(entry.get("account_name", "")),
        livemode=entry.get("livemode", True) is True,
    )
