"""`idp backup` and `idp restore`: everything in one file, and back."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import click
from sqlalchemy import exists, inspect, select

from idp.audit import trail, verify
from idp.audit.seal import seal_batch
from idp.audit.trail import Actor
from idp.cli import output
from idp.cli.door import Command, Failure, operator
from idp.cli.output import Json
from idp.clients.models import Client
from idp.credentials import ceremonies, email_codes, mailed_links, recovery_codes
from idp.feed import positions
from idp.keys import master_keys
from idp.keys.master_keys import MasterKeyMissing
from idp.keys.models import MasterKey
from idp.login import factor_resets
from idp.oauth import authorizations
from idp.organizations import break_glass, invitations
from idp.organizations.models import Organization
from idp.platform import archive, database, jobs, schema, vault
from idp.platform import backup as backups
from idp.platform.backup import Manifest, Part, Rows
from idp.platform.database import db
from idp.platform.errors import Conflict, Invalid
from idp.sessions import people, trusted_devices
from idp.users import first_run
from idp.users.models import User

AFTERWARDS: Final[tuple[tuple[str, Callable[[Actor], int]], ...]] = (
    ("invitations voided", lambda by: invitations.revoke_all(by=by)),
    ("jobs freed", lambda _: jobs.let_go()),
    ("authorizations ended", lambda _: authorizations.end_unseen()),
    ("sessions ended", lambda _: people.end_everybodys("restored")),
    ("trusted browsers ended", lambda _: trusted_devices.end_everybodys()),
    ("recovery codes voided", lambda _: recovery_codes.void_all()),
    ("mailed links voided", lambda _: mailed_links.void_all()),
    ("mailed codes voided", lambda _: email_codes.void_all()),
    ("break-glass codes voided", lambda _: break_glass.void_all()),
    ("resets of second factors called off", lambda _: factor_resets.cancel_all()),
    ("passkey challenges voided", lambda _: ceremonies.void_all()),
    ("setup links voided", lambda _: first_run.close_door()),
    # one line for everything that was valid once, or held by somebody, when the backup was made
)
"""What must not count any more after a restore: it may have been used, or taken back, since the backup was made."""


class NotEmpty(Conflict):
    """There is something in the database that a restore would take away."""

    code = "not_empty"
    title = "The database is not empty"
    remedy = "Restore into an empty database, or say --replace to lose what is in this one."


@click.command(cls=Command)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> Json:
    """Write everything that is in the database, as it is at one instant, encrypted, to FILE, while the service runs.

    FILE must not exist yet. It opens with the master key (IDP_SECRET_KEY) of today: keep that elsewhere.
    """
    if file.exists():
        raise Invalid(f"{file} exists already; name a new file", field="file")
    with database.writing():
        trail.record("backup.made", by=operator(), subject="backup", after={"file": file.name})
    with output.progress("Backing up") as progress:
        size = _write(file, archive.sealed(backups.dump(progress)))
    return {"file": str(file), "bytes": size}


@click.command(cls=Command, needs="application")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Lose what is in the database now.")
@click.option("--check", is_flag=True, help="Only read FILE to its end, and say whether it could be restored.")
def restore(file: Path, replace: bool, check: bool) -> Json:
    """Put back what `idp backup` wrote to FILE, into an empty database; stop the service first.

    FILE is read to its end before anything is touched. Tokens, invitations and whatever else could be used once are
    void afterwards; a new epoch makes every service forget what it knew.
    """
    with output.progress("Reading") as progress:
        manifest = backups.check(_pieces(file), _require_master_keys, progress)
    if check:
        return _shown(manifest)
    if not replace and _holds_something():
        raise NotEmpty
    beyond = _head()
    with output.progress("Restoring") as progress:
        backups.load(_pieces(file), manifest.schema, progress)
    return _shown(manifest) | _renew(manifest, beyond)


def _renew(manifest: Manifest, beyond: int) -> dict[str, Json]:
    """Void what must not count any more and open the database: both happen, or none. Then look at the audit chain."""
    by = operator()
    with database.writing():
        master_keys.check()
        epoch = positions.leap(beyond)
        voided = {what: renew(by) for what, renew in AFTERWARDS}
        after = {"made_at": manifest.made_at, "epoch": epoch} | voided
        trail.record("backup.restored", by=by, subject="backup", after=after)
        schema.finish_restore(database.session())
    while _seal_a_batch():
        pass
    found = verify.verify().finding
    answer: dict[str, Json] = {"epoch": epoch, "audit": "intact" if found is None else found.what, **voided}
    if found is not None:
        raise Failure(answer)
    return answer


def _seal_a_batch() -> bool:
    with database.writing():
        return seal_batch() > 0


def _shown(manifest: Manifest) -> dict[str, Json]:
    told = {name: getattr(manifest, name) for name in ("made_at", "issuer", "release", "schema", "rows")}
    return told | {"tables": len(manifest.tables)}


def _require_master_keys(part: Part, rows: Rows) -> None:
    """Refuse before anything is touched when something in the backup could not be opened afterwards."""
    recorded = [place.recorded_in.name for place in vault.sealed_columns() if place.table.name == part.name]
    recorded += ["id"] if part.name == MasterKey.__tablename__ else []
    missing = {row[name] for row in rows for name in recorded} - {None, *vault.current().key_ids()}
    if missing:
        raise MasterKeyMissing(f"IDP_SECRET_KEY lacks the master key with the id {', '.join(sorted(missing))}.")


def _holds_something() -> bool:
    """Whether anybody or anything that was ever made here would be lost."""
    there = set(inspect(db.engine).get_table_names())
    made = (User, Organization, Client)
    return any(
        database.session().scalar(select(exists(select(kind.id)))) for kind in made if kind.__tablename__ in there
    )


def _head() -> int:
    """Where the change feed stands that is about to be replaced; 0 when there is none."""
    return positions.head() if inspect(db.engine).has_table("change_feed") else 0


# The file


def _write(file: Path, pieces: Iterator[bytes]) -> int:
    """Write `pieces` to a new file that nobody else may read, all of it or nothing; how many bytes it has."""
    partial = file.with_name(f".{file.name}.partial")
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as into:
            size = sum(into.write(piece) for piece in pieces)
            into.flush()
            os.fsync(into.fileno())
        partial.rename(file)
        _sync(file.parent)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
        raise
    return size


def _sync(folder: Path) -> None:
    """Let a rename survive a power cut."""
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        yield from archive.opened(stream)
