"""What is said of a client elsewhere: the addresses of its sector, and that we go to the public network alone."""

import json
import socket
from collections.abc import Iterator

import pytest
from flask import Flask

from idp.clients import clients, sectors
from idp.clients.clients import ClientSettings
from idp.clients.metadata import InvalidMetadata, Json
from idp.clients.sectors import Sectors
from idp.platform import database
from tests import remote
from tests.remote import JSON, Remote, answer
from tests.traces import OPERATOR

CB = "https://shop.example.com/cb"
OTHER = "https://other.example.com/cb"
BOTH: dict[str, Json] = {"redirect_uris": [CB, OTHER], "subject_type": "pairwise"}


@pytest.fixture
def sector(app: Flask) -> Iterator[Remote]:
    """The server of a sector; the settings of this test allow it."""
    with remote.remote(_listing([CB, OTHER, "https://third.example.com/cb", 7])) as found:
        remote.allow(app, found)
        yield found


def _listing(listed: Json, media_type: str = JSON) -> remote.Script:
    return answer(json.dumps(listed).encode(), media_type=media_type)


def register(wanted: dict[str, Json], seen: Sectors) -> str:
    with database.writing():
        return clients.create(ClientSettings(wanted), by=OPERATOR, id="shop", sectors=seen).id


def change(wanted: dict[str, Json], seen: Sectors) -> bool:
    with database.writing():
        return clients.reconfigure(clients.named("shop"), ClientSettings(wanted), by=OPERATOR, sectors=seen)


def refused(wanted: dict[str, Json], before: dict[str, Json] | None = None) -> str:
    with pytest.raises(InvalidMetadata) as caught:
        sectors.look(wanted, before or {})
    return caught.value.field


def test_a_sector_that_lists_every_address_is_registered(sector: Remote) -> None:
    wanted = {**BOTH, "sector_identifier_uri": sector.url("/sector.json")}
    register(wanted, sectors.look(wanted))
    assert sector.requests[0].startswith(b"GET /sector.json HTTP/1.1\r\n")


@pytest.mark.rule("DCR-05")
@pytest.mark.parametrize("listed", [[], [CB], [CB, OTHER + "/"], [CB, OTHER.upper()], [[CB, OTHER]]], ids=str)
def test_a_sector_that_does_not_list_every_address_is_refused(sector: Remote, listed: Json) -> None:
    sector.script = _listing(listed)
    wanted = {**BOTH, "sector_identifier_uri": sector.url()}
    with pytest.raises(InvalidMetadata) as caught:
        register(wanted, sectors.look(wanted))
    assert (caught.value.field, caught.value.code) == ("sector_identifier_uri", "invalid_client_metadata")


@pytest.mark.rule("DCR-05")
@pytest.mark.parametrize(
    "script",
    [
        _listing({"redirect_uris": [CB, OTHER]}),
        _listing(CB),
        _listing([CB, OTHER], media_type="text/html"),
        answer(b"[", media_type=JSON),
        answer(status="404 Not Found"),
        answer(status="301 Moved", headers=("Location: https://shop.example.com/",)),
    ],
)
def test_a_sector_that_cannot_be_read_is_refused(sector: Remote, script: remote.Script) -> None:
    sector.script = script
    assert refused({**BOTH, "sector_identifier_uri": sector.url()}) == "sector_identifier_uri"


@pytest.mark.rule("DCR-05")
def test_a_sector_that_nobody_looked_at_is_refused(sector: Remote) -> None:
    wanted = {**BOTH, "sector_identifier_uri": sector.url()}
    for seen in ({}, {"https://elsewhere.example.com/": frozenset({CB, OTHER})}):
        with pytest.raises(InvalidMetadata):
            register(wanted, seen)


@pytest.mark.rule("DCR-05")
def test_a_sector_is_looked_at_again_only_for_what_is_new(sector: Remote) -> None:
    wanted = {**BOTH, "sector_identifier_uri": sector.url()}
    register(wanted, sectors.look(wanted))
    sector.script = answer(status="503 Away")
    assert sectors.look({**wanted, "client_name": "Shop"}, wanted) == {}
    assert change({**wanted, "client_name": "Shop"}, {})
    assert change({**wanted, "redirect_uris": [CB]}, {})
    for new in (wanted, {**wanted, "sector_identifier_uri": sector.url("/other")}):
        assert refused(new, {**wanted, "redirect_uris": [CB]}) == "sector_identifier_uri"
        with pytest.raises(InvalidMetadata):
            change(new, {})


@pytest.mark.rule("SSR-01")
@pytest.mark.parametrize("name", sectors.GONE_TO)
@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "localhost", "[fd00:ec2::254]"])
def test_addresses_inside_are_refused_at_save(app: Flask, name: str, host: str) -> None:
    address = f"https://{host}/x"
    wanted: dict[str, Json] = {"redirect_uris": [CB], name: [address] if name == "request_uris" else address}
    assert refused(wanted) == name
    with pytest.raises(InvalidMetadata) as caught:
        register(wanted, {address: frozenset({CB})})
    assert caught.value.field == name


@pytest.mark.rule("SSR-01")
@pytest.mark.parametrize("name", sectors.GONE_TO)
def test_names_that_lead_inside_are_refused_at_save(app: Flask, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def inside(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", inside)
    address = "https://keys.example.com/x"
    assert refused({"redirect_uris": [CB], name: [address] if name == "request_uris" else address}) == name
