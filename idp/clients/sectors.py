"""What is said of a client elsewhere, and looked at before it is registered: nothing is fetched while somebody writes.

The file at `sector_identifier_uri` lists the redirect addresses of all clients of one sector (OpenID Connect Core §8.1,
OpenID Connect Registration §5); and the addresses that we shall go to must be of the public network (SSR-01).
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from idp.clients import metadata
from idp.clients.metadata import InvalidMetadata, Metadata
from idp.platform import outbound, strict_json
from idp.platform.http_refusals import Malformed
from idp.platform.outbound import OutboundFailed

Sectors = Mapping[str, frozenset[str]]
"""The redirect addresses that are listed at each `sector_identifier_uri` that was looked at."""

SECTOR: Final = "sector_identifier_uri"
GONE_TO: Final = ("jwks_uri", SECTOR, "backchannel_logout_uri", "request_uris")
"""Metadata that names addresses to which requests of ours go."""


def look(wanted: Metadata, before: Metadata = MappingProxyType({})) -> Sectors:
    """What lies elsewhere about a client that is to be as `wanted` and was as `before`: what is new is looked at.

    Not inside `database.writing()`. Raises `InvalidMetadata`: for an address that leads to where we do not go, and for
    a file that cannot be read.
    """
    registered = metadata.parse(wanted)
    for name, uri in sorted(set(_addresses(registered)) - set(_addresses(before))):
        _refuse_unless(outbound.require_reachable, name, uri)
    sector = _sector(registered)
    return {sector: _listed(sector)} if sector and not _is_listed(registered, before, {}) else {}


def require_plausible(registered: Metadata) -> None:
    """Require of the addresses that we shall go to that they are none of our own network, by their spelling.

    Raises `InvalidMetadata`.
    """
    for name, uri in _addresses(registered):
        _refuse_unless(outbound.require_plausible, name, uri)


def require_listed(registered: Metadata, before: Metadata, sectors: Sectors) -> None:
    """Require that the sector of a client lists every redirect address, as `look` has seen it, or as it was `before`.

    Raises `InvalidMetadata` (DCR-05).
    """
    if not _is_listed(registered, before, sectors):
        raise InvalidMetadata(f"{SECTOR} must lead to a JSON list with every one of the redirect_uris", field=SECTOR)


def _is_listed(registered: Metadata, before: Metadata, sectors: Sectors) -> bool:
    sector = _sector(registered)
    known = _redirects(before) if _sector(before) == sector else frozenset()
    return not sector or _redirects(registered) <= known | sectors.get(sector, frozenset())


def _sector(registered: Metadata) -> str:
    said = registered.get(SECTOR)
    return said if isinstance(said, str) else ""


def _addresses(registered: Metadata) -> Iterator[tuple[str, str]]:
    """Every address that we shall go to, with its name."""
    for name in GONE_TO:
        said = registered.get(name)
        yield from ((name, one) for one in (said if isinstance(said, list) else [said]) if isinstance(one, str))


def _listed(uri: str) -> frozenset[str]:
    try:
        listed = strict_json.loads(outbound.get(uri, accept=("application/json",)))
    except (OutboundFailed, Malformed):
        raise _unreadable() from None
    if not isinstance(listed, list):
        raise _unreadable()
    return frozenset(one for one in listed if isinstance(one, str))


def _redirects(registered: Metadata) -> frozenset[str]:
    said = registered.get("redirect_uris")
    return frozenset(one for one in said if isinstance(one, str)) if isinstance(said, list) else frozenset()


def _refuse_unless(check: Callable[[str], None], name: str, uri: str) -> None:
    try:
        check(uri)
    except OutboundFailed:
        raise InvalidMetadata(f"{name} must be a public https address", field=name) from None


def _unreadable() -> InvalidMetadata:
    return InvalidMetadata(
        f"{SECTOR} must lead to a JSON list of redirect addresses, directly and by https", field=SECTOR
    )
