"""The file as a whole: its bytes into a `WantedFile`, or all its faults at once."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from idp.cli.apply import document, parse_clients, parse_organizations, parse_users
from idp.cli.apply.document import Told
from idp.cli.apply.fields import Fields
from idp.cli.apply.places import NOWHERE, Fault, Faults, FileRefused
from idp.cli.apply.wanted import WantedFile, WantedOperator
from idp.platform.errors import Unavailable


class Unreadable(Unavailable):
    """The file cannot be read from the disk."""

    code = "file_unreadable"
    title = "The file cannot be read"
    remedy = "Name a file that exists and that you may read."


def read_file(path: Path, told: Told = document.quietly) -> WantedFile:
    """What the file at `path` says. Raises `Unreadable`, and `FileRefused` with every fault."""
    try:
        with path.open("rb") as file:
            content = file.read(document.LARGEST + 1)
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from None
    return read(path.name, content, told)


def read(name: str, content: bytes, told: Told = document.quietly) -> WantedFile:
    """What `content` says; `name` is what faults call it. Raises `FileRefused` with every fault."""
    root = document.read(name, content, told)
    faults = Faults()
    fields = Fields(root, NOWHERE, faults)
    _require_version(name, fields)
    wanted = WantedFile(
        name=name,
        digest=hashlib.sha256(content).hexdigest(),
        organizations=tuple(parse_organizations.read(one) for one in fields.each("organizations")),
        users=tuple(parse_users.read(one) for one in fields.each("users")),
        clients=tuple(parse_clients.read(one) for one in fields.each("clients")),
        apis=tuple(parse_clients.read_api(one) for one in fields.each("apis")),
        keys=tuple(parse_clients.read_key(one) for one in fields.each("signing_keys")),
        operators=tuple(_operators(fields)),
    )
    fields.done()
    faults.settle(name)
    return wanted


def _operators(fields: Fields) -> Iterator[WantedOperator]:
    for node, place in fields.nodes("operators") or ():
        yield parse_users.read_operator(node, place, fields)


def _require_version(name: str, fields: Fields) -> None:
    """What another version would mean is not known, so nothing else is read."""
    if fields.json("version") != 1 or isinstance(fields.json("version"), bool):
        line = fields.place.of("version").line
        raise FileRefused(name, [Fault(line, "version", "expected `version: 1`"), *fields.faults.found])
