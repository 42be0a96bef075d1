"""`idp apply FILE`: read it, draw the plan, show it or carry it out."""

import contextlib
import gc
from collections.abc import Iterator
from pathlib import Path

import click
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from idp.audit import trail
from idp.audit.trail import Actor
from idp.cli import output
from idp.cli.apply import carrying_out, document, parsing, passwords, plan, present, telling
from idp.cli.apply.outlook import People
from idp.cli.apply.passwords import ChangedMeanwhile, Passwords
from idp.cli.apply.places import Faults
from idp.cli.apply.plan import Plan
from idp.cli.apply.present import Present
from idp.cli.apply.wanted import WantedFile
from idp.cli.door import Command, operator
from idp.cli.output import Worded
from idp.clients.sectors import Sectors
from idp.credentials import passwords as credentials
from idp.organizations import locking
from idp.platform import database

_LOCK = 7_214_910
"""The PostgreSQL advisory lock that lets one file be applied at a time; SQLite's writers queue anyway."""

_NOT_HASHED = "a password that is yet to be hashed"


@click.command("apply", cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--plan", "only_plan", is_flag=True, help="Show what would change and for whom; change nothing.")
def apply(file: Path, only_plan: bool) -> Worded:
    """Let the installation be as FILE (YAML) says; applied again, there is nothing to do.

    What the file does not speak of stays; `state: absent` removes. All of the file is applied, or nothing.
    """
    with _without_collector():
        with output.progress(f"Reading {file.name}") as told:
            wanted = parsing.read_file(file, told)
        return telling.planned(draw(wanted), wanted.name) if only_plan else telling.applied(run(wanted), wanted.name)


def draw(wanted: WantedFile) -> Plan:
    """What would be done. Nothing is written, and no password is hashed. Raises `FileRefused`."""
    database.look()
    now = present.read(plan.asked(wanted))
    people = People(wanted.users, now.people, Faults())
    return plan.draw(wanted, now, passwords.prepare(people.pairs, lambda *_: _NOT_HASHED, document.quietly))


def run(wanted: WantedFile, by: Actor | None = None) -> Plan:
    """Apply the file, in one transaction; what was done. Raises `FileRefused`, and `ChangedMeanwhile`."""
    by = by or operator()
    with output.progress("Looking at what there is") as told:
        told(0, 1)
        database.look()
        now = present.read(plan.asked(wanted))
    known = _hashed(wanted, now)
    drawn = plan.draw(wanted, now, known)
    if not drawn.steps:
        return drawn
    seen = carrying_out.look(drawn, file=wanted.name)
    with database.writing():
        again = _look_again(wanted)
        drawn = drawn if again == now else plan.draw(wanted, again, known)
        _write(wanted, drawn, seen, by)
    return drawn


def _look_again(wanted: WantedFile) -> Present:
    """What there is, where nothing of it can change any more: another file, and whoever changes access, waits."""
    if not database.is_sqlite():
        database.session().execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    asked = plan.asked(wanted)
    locking.lock(*present.organization_ids(asked))
    return present.read(asked)


def _write(wanted: WantedFile, drawn: Plan, seen: Sectors, by: Actor) -> None:
    with _taken_is_changed(), output.progress(f"Applying {wanted.name}") as told:
        carrying_out.carry_out(drawn, file=wanted.name, by=by, told=told, seen=seen)
    after = {"file": wanted.name, "sha256": wanted.digest, "changes": drawn.counts()}
    trail.record("apply.applied", by=by, subject=wanted.name, after=after)


def _hashed(wanted: WantedFile, now: Present) -> Passwords:
    people = People(wanted.users, now.people, Faults())
    with output.progress("Hashing passwords") as told:
        return passwords.prepare(people.pairs, credentials.hash, told)


@contextlib.contextmanager
def _taken_is_changed() -> Iterator[None]:
    """Somebody took what must be unique between the look and the act, in a way that no rule names."""
    try:
        yield
    except IntegrityError as error:
        raise ChangedMeanwhile from error


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """A large file is a million values without cycles, which live to the end: looking at them again and again would
    take longer than reading them."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
