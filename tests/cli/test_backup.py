"""Backups: one instant, sealed to the last byte, and back into either database without anything that counted once."""

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask, current_app
from sqlalchemy import func, make_url, select

from idp.app import start
from idp.audit.models import Entry, Seal, Unsealed
from idp.audit.seal import seal_batch
from idp.audit.verify import verify
from idp.cli import backup as commands
from idp.cli.main import main
from idp.credentials import ceremonies, email_codes, recovery_codes
from idp.credentials.mailed_links import LinkVoid
from idp.feed import losses, positions
from idp.keys import material, rotation, signing
from idp.keys.material import Slot
from idp.login import enrol_links, factor_resets
from idp.oauth import authorizations
from idp.organizations import break_glass, scopes
from idp.organizations.models import Invitation
from idp.platform import archive, clock, database, jobs, schema
from idp.platform.database import Model, db
from idp.platform.jobs import Job
from idp.sessions import browsers, people, trusted_devices
from idp.sessions.proofs import Proof
from idp.users import first_run, users
from idp.users.first_run import SetupClosed
from tests import databases
from tests.cli.conftest import Idp, Said, settings
from tests.databases import Template
from tests.oauth.actors import relying_party
from tests.oauth.decisions import decide, signed_in

OTHER_KEY = "Kz81pWmQx4RbVt7YnL0sEuJ3aHgC6fDoPi9Tw2ZqMvXe"
ACCESS = Slot("access_token", "ES256")
PASSWORD = "correct horse battery staple"

Tables = dict[str, list[Any]]


@dataclass(frozen=True)
class House:
    """Northwind with an open invitation, a job in hand, a signing key and a sealed trail; and a backup of it."""

    data: Template
    link: str
    file: Path


@pytest.fixture(scope="module")
def house(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One for all tests of this module: each has a copy of its database."""
    folder = tmp_path_factory.mktemp("house")
    with template.copy(folder) as url:
        idp = partial(_run, settings(url))
        with _at(url):
            start()
            for name in ("olivia", "ben"):
                idp("user", "create", name, "--email", f"{name}@northwind.test", "--email-verified")
            idp("user", "set-password", "ben", stdin=PASSWORD)
            idp("org", "create", "northwind", "--owner", "olivia", "--name", "Northwind «Ünïcode»")
            idp("member", "create", "northwind", "ben")
            words = ("eve@elsewhere.test", "--role", "view_only", "--print-link")
            invited = idp("invitation", "create", "northwind", *words).json[0]
            _have_a_key_and_a_job_in_hand()
            _seal()
        idp("backup", str(folder / "house.backup"))
        link = str(invited["link"]).rpartition("/")[2]
        yield House(replace(template, name=str(make_url(url).database)), link, folder / "house.backup")


def _have_a_key_and_a_job_in_hand() -> None:
    pairs = material.generate([ACCESS])
    with database.writing():
        rotation.ensure(pairs, by=commands.operator())
        jobs.add("greet", {"to": "ben"})
    jobs.Worker(current_app, {"greet": lambda _: None})._claim()


@pytest.fixture
def database_url(house: House, tmp_path: Path) -> Iterator[str]:
    """A copy of the house's database, for `app` and `idp`."""
    with house.data.copy(tmp_path) as url:
        yield url


@pytest.fixture
def file(house: House) -> Path:
    """The backup of the house."""
    return house.file


def _run(environment: dict[str, str], *words: str, stdin: str = "", status: int = 0) -> Said:
    result = CliRunner(env=environment).invoke(main, [*words, "--json"], input=stdin, catch_exceptions=False)
    said = Said(result.exit_code, result.stdout, result.stderr)
    assert said.status == status, said
    return said


@contextlib.contextmanager
def _at(url: str) -> Iterator[None]:
    """Look into another database."""
    with databases.app_on(url).app_context():
        try:
            yield
        finally:
            databases.dispose()


def _seal() -> None:
    while True:
        with database.writing():
            if not seal_batch():
                return


def _tables() -> Tables:
    """Everything that is in the database."""
    with db.engine.connect() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in Model.metadata.sorted_tables
        }


@pytest.fixture(params=["sqlite", "postgresql"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database in which there is nothing at all, of either kind."""
    if request.param == "postgresql":
        databases.start_postgresql(request.config)
    with databases.empty(request.param, tmp_path / "elsewhere.db") as url:
        yield url


Restore = Callable[..., Said]


@pytest.fixture
def restore() -> Restore:
    """`restore(url, file, "--replace")`: runs `idp restore` on another database."""

    def run(url: str, file: Path, *words: str, status: int = 0, **given: str) -> Said:
        return _run(settings(url) | given, "restore", str(file), *words, status=status)

    return run


# What comes back


@pytest.mark.rule("AUD-02")
def test_everything_comes_back_on_either_database_and_the_trail_goes_on(
    app: Flask, file: Path, elsewhere: str, restore: Restore
) -> None:
    before = _tables()
    said = restore(elsewhere, file).json
    assert (said["audit"], said["rows"]) == ("intact", sum(map(len, before.values())))
    with _at(elsewhere):
        after = _tables()
        schema.check()
        assert schema.differences() == []
        assert verify().finding is None
        assert database.session().scalar(select(func.count()).select_from(Unsealed)) == 0
        assert signing.current("access_token", "ES256").kid == _kid(before)
    touched = {"audit_entries", "audit_seals", "audit_heads", "audit_unsealed", "audit_details"}
    touched |= {"change_feed", "invitations", "jobs"}
    assert {name for name in before if before[name] != after[name]} <= touched
    for name in ("audit_entries", "audit_seals", "change_feed"):
        assert set(before[name]) < set(after[name])


def _kid(tables: Tables) -> str:
    return str(next(row[0] for row in tables["signing_keys"] if row[1] == "access_token"))


def test_what_was_not_sealed_yet_keeps_its_place_before_what_follows(
    file: Path, elsewhere: str, restore: Restore
) -> None:
    restore(elsewhere, file)
    with _at(elsewhere):
        sealed = select(Entry.event).join(Seal, Seal.entry_id == Entry.id).order_by(Seal.number)
        events = database.session().scalars(sealed).all()
    assert events[-3:] == ["backup.made", "invitation.revoked", "backup.restored"]


# What does not


def test_an_epoch_begins_above_every_position_that_was_handed_out_since(
    app: Flask, file: Path, elsewhere: str, restore: Restore
) -> None:
    with database.writing():
        losses.record("client", client_id="app_1")
    handed_out = positions.head()
    epoch = restore(elsewhere, file).json["epoch"]
    assert handed_out < epoch
    with _at(elsewhere):
        assert positions.head() == epoch


def test_an_epoch_begins_above_the_head_of_what_is_replaced(
    app: Flask, file: Path, restore: Restore, database_url: str
) -> None:
    with database.writing():
        database.session().add(
            positions.Change(position=clock.now() + clock.DAY, kind="epoch", selector="{}", written_at=clock.now())
        )
    ahead = positions.head()
    db.session.remove()
    assert restore(database_url, file, "--replace").json["epoch"] > ahead


def test_invitations_are_void_and_jobs_in_hand_are_free(file: Path, elsewhere: str, restore: Restore) -> None:
    said = restore(elsewhere, file).json
    assert (said["invitations voided"], said["jobs freed"]) == (1, 1)
    with _at(elsewhere):
        assert database.session().scalars(select(Invitation.outcome)).all() == ["revoked"]
        assert set(database.session().scalars(select(Job.holder))) == {None}
        events = database.session().scalars(select(Entry.event)).all()
        assert (events.count("invitation.revoked"), events.count("backup.restored")) == (1, 1)


@pytest.mark.rule("API-08", "SES-07")
def test_nobody_is_signed_in_and_no_link_sets_up_any_more(
    idp: Idp, elsewhere: str, restore: Restore, tmp_path: Path
) -> None:
    with database.writing():
        link = first_run.open_door(by=commands.operator())
        browser, _ = browsers.begin()
        ben = users.by_username("ben")
        assert ben
        session, cookie = people.open_session(browser, ben.id, [Proof("password", clock.now())])
        trusted_devices.trust(browser, ben.id, "")
        code = recovery_codes.make(ben.id, by=commands.operator())[0]
        challenge = ceremonies.begin(ceremonies.SIGN_IN, session.id, None)
        email_codes.send(ben.id, session.id, "ben@northwind.test", "en")
        olivia = users.named("olivia").id
        factor_resets.ask(olivia, "lost her phone", by=commands.operator())
        organization_id = scopes.organization_named("northwind")
        enrolling = enrol_links.make(ben.id, by=commands.operator(), is_mailed=False).path
        glass = break_glass.make(organization_id, by=commands.operator())[0]
    assert people.find(browsers.recognise(cookie), session.id)
    assert trusted_devices.trusted(browsers.recognise(cookie), ben.id)
    idp("backup", str(tmp_path / "signed-in.backup"))
    said = restore(elsewhere, tmp_path / "signed-in.backup").json
    assert (said["sessions ended"], said["trusted browsers ended"], said["setup links voided"]) == (1, 1, 1)
    assert (said["passkey challenges voided"], said["recovery codes voided"]) == (1, 10)
    assert (said["break-glass codes voided"], said["mailed codes voided"]) == (10, 1)
    assert (said["resets of second factors called off"], said["mailed links voided"]) == (1, 2)
    with _at(elsewhere):
        with database.writing():
            assert not recovery_codes.use(ben.id, code)
            assert ceremonies.claim(challenge, ceremonies.SIGN_IN, session.id) is None
        assert not break_glass.is_good(organization_id, glass)
        assert email_codes.pending(ben.id, session.id, "ben@northwind.test") is None
        assert factor_resets.waiting(olivia) is None
        assert people.in_browser(browsers.recognise(cookie)) == []
        assert not trusted_devices.trusted(browsers.recognise(cookie), ben.id)
        with pytest.raises(SetupClosed):
            first_run.require_open(link.token)
        with pytest.raises(LinkVoid):
            enrol_links.find(enrolling.rpartition("/")[2])


def test_a_refresh_token_that_was_used_since_the_backup_is_not_good_again(
    app: Flask, idp: Idp, elsewhere: str, restore: Restore, tmp_path: Path
) -> None:
    client, person = relying_party(app), signed_in(somebody_called("ben"))
    authorization = decide(person, client.id)
    idp("backup", str(tmp_path / "authorized.backup"))
    said = restore(elsewhere, tmp_path / "authorized.backup").json
    assert said["authorizations ended"] == 1
    assert authorizations.find_live(authorization) is not None
    with _at(elsewhere):
        assert authorizations.find_live(authorization) is None


def somebody_called(username: str) -> str:
    person = users.by_username(username)
    assert person
    return person.id


# One instant


def test_a_backup_under_load_is_of_one_instant(
    app: Flask, idp: Idp, elsewhere: str, restore: Restore, tmp_path: Path
) -> None:
    begun, over = threading.Event(), threading.Event()

    def write_pairs() -> None:
        with app.app_context():
            while not over.is_set():
                with database.writing():
                    job = jobs.add("pair", {})
                    commands.trail.record("user.created", by=commands.operator(), subject=job)
                begun.set()
            db.session.remove()

    writers = [threading.Thread(target=write_pairs) for _ in range(3)]
    for writer in writers:
        writer.start()
    try:
        assert begun.wait(10)
        idp("backup", str(tmp_path / "busy.backup"))
    finally:
        over.set()
        for writer in writers:
            writer.join()
    assert restore(elsewhere, tmp_path / "busy.backup").json["audit"] == "intact"
    with _at(elsewhere):
        asked = set(database.session().scalars(select(Job.id).where(Job.kind == "pair")))
        told = set(database.session().scalars(select(Entry.subject).where(Entry.subject.startswith("job_"))))
        assert asked == told != set()


# Sealed


@pytest.mark.rule("KEY-05")
def test_nothing_can_be_read_in_a_backup_and_secrets_are_sealed_inside_it_too(
    app: Flask, file: Path, house: House
) -> None:
    inside = b"".join(commands._pieces(file))
    private = signing.current("access_token", "ES256").jwk.as_dict(private=True)["d"]
    for place in (file.read_bytes(), inside):
        for secret in (private, databases.SECRET_KEY, house.link, PASSWORD):
            assert str(secret).encode() not in place
    assert b"olivia" in inside
    assert b"olivia" not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0


def _flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


_DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "another magic": lambda data: _flipped(data, 3),
    "another salt": lambda data: _flipped(data, 40),
    "not the last chunk": lambda data: _flipped(data, 55),
    "another length": lambda data: _flipped(data, 59),
    "a bit in the middle": lambda data: _flipped(data, len(data) // 2),
    "a bit at the end": lambda data: _flipped(data, len(data) - 1),
    "cut off": lambda data: data[:-1],
    "only the head": lambda data: data[:55],
    "more at the end": lambda data: data + b"x",
    "nothing": lambda data: b"",
    "something else": lambda data: b"-- PostgreSQL database dump --" * 10,
}


@pytest.mark.rule("KEY-05")
@pytest.mark.parametrize("damage", _DAMAGE.values(), ids=_DAMAGE)
def test_a_backup_that_was_changed_is_refused_before_anything_is_touched(
    app: Flask, tmp_path: Path, database_url: str, restore: Restore, damage: Callable[[bytes], bytes]
) -> None:
    manifest = {"format": 1, "schema": schema.head(), "made_at": "", "issuer": "", "release": "", "tables": {}}
    whole = b"".join(archive.sealed([json.dumps(manifest).encode() + b"\n"]))
    (tmp_path / "damaged").write_bytes(damage(whole))
    before = _tables()
    said = restore(database_url, tmp_path / "damaged", "--replace", status=1)
    assert said.json["error"] == "archive_not_authentic"
    assert _tables() == before


def test_chunks_cannot_be_moved_left_out_or_taken_from_another_archive(
    app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(archive, "CHUNK", 64)
    head, *chunks = archive.sealed([os.urandom(200)])
    others = list(archive.sealed([os.urandom(200)]))[1:]
    assert len(chunks) >= 3
    for mixed in (
        [chunks[1], chunks[0], *chunks[2:]],
        chunks[1:],
        [chunks[0], *chunks[2:]],
        [chunks[0], chunks[0], *chunks[1:]],
        [others[0], *chunks[1:]],
        chunks[:-1],
    ):
        path = tmp_path / "mixed"
        path.write_bytes(head + b"".join(mixed))
        with path.open("rb") as stream, pytest.raises(archive.NotAuthentic):
            list(archive.opened(stream))


@pytest.mark.rule("KEY-02")
def test_without_the_master_key_of_then_nothing_is_touched_and_an_older_one_still_opens(
    file: Path, elsewhere: str, restore: Restore
) -> None:
    said = restore(elsewhere, file, status=1, IDP_SECRET_KEY=OTHER_KEY)
    assert said.json["error"] == "archive_of_another_key"
    with _at(elsewhere), pytest.raises(schema.SchemaBehind):
        schema.check()
    assert restore(elsewhere, file, IDP_SECRET_KEY=f"{OTHER_KEY} {databases.SECRET_KEY}").json["audit"] == "intact"


@pytest.mark.rule("KEY-02")
def test_a_backup_that_needs_a_master_key_which_is_not_given_is_refused_before_anything_is_touched(
    database_url: str, elsewhere: str, restore: Restore, tmp_path: Path
) -> None:
    both = settings(database_url) | {"IDP_SECRET_KEY": f"{OTHER_KEY} {databases.SECRET_KEY}"}
    _run(both, "backup", str(tmp_path / "both.backup"))
    said = restore(elsewhere, tmp_path / "both.backup", status=1, IDP_SECRET_KEY=OTHER_KEY)
    assert said.json["error"] == "master_key_missing"
    with _at(elsewhere), pytest.raises(schema.SchemaBehind):
        schema.check()


# Only what was asked for


def test_a_database_that_holds_something_is_replaced_only_when_told_so(
    file: Path, restore: Restore, database_url: str, idp: Idp
) -> None:
    idp("user", "create", "late", "--email", "late@northwind.test")
    assert restore(database_url, file, status=1).json["error"] == "not_empty"
    assert idp("user", "get", "late").json
    restore(database_url, file, "--replace")
    assert idp("user", "get", "late", status=1).json["error"] == "not_found"
    assert idp("user", "get", "olivia").json


def test_a_check_says_what_is_in_the_file_and_touches_nothing(file: Path, elsewhere: str, restore: Restore) -> None:
    said = restore(elsewhere, file, "--check").json
    assert (said["issuer"], said["schema"]) == ("http://localhost:8000", schema.head())
    with _at(elsewhere), pytest.raises(schema.SchemaBehind):
        schema.check()


def test_a_backup_of_a_newer_release_is_refused(
    file: Path, elsewhere: str, restore: Restore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "_known", lambda: set[str]())
    assert restore(elsewhere, file, status=1).json["error"] == "schema_ahead"


def test_an_existing_file_is_not_overwritten_and_a_failed_backup_leaves_none(
    file: Path, idp: Idp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file.read_bytes()
    assert idp("backup", str(file), status=1).json["field"] == "file"
    assert file.read_bytes() == before

    def fails(*_: object) -> Iterator[bytes]:
        yield b"half"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "sealed", fails)
    idp("backup", str(tmp_path / "full.backup"), status=1)
    assert [path.name for path in tmp_path.glob("*full*")] == []


# Interrupted


def test_a_restore_that_fails_while_filling_changes_nothing(
    app: Flask, file: Path, restore: Restore, database_url: str, monkeypatch: pytest.MonkeyPatch, idp: Idp
) -> None:
    idp("user", "create", "late", "--email", "late@northwind.test")
    before = _tables()
    with monkeypatch.context() as broken, pytest.raises(ZeroDivisionError):
        broken.setattr(commands.backups, "_go_on_counting", lambda *_: 1 // 0)
        with _at(database_url):
            commands.backups.load(commands._pieces(file), schema.head(), lambda *_: None)
    assert _tables() == before
    schema.check()


def test_a_restore_that_stops_before_its_end_keeps_the_house_closed_until_it_is_done_again(
    file: Path, restore: Restore, database_url: str, monkeypatch: pytest.MonkeyPatch, idp: Idp
) -> None:
    with _at(database_url):
        commands.backups.load(commands._pieces(file), schema.head(), lambda *_: None)
    for words in (("user", "list"), ("db", "upgrade"), ("db", "check")):
        assert idp(*words, status=1).json["error"] == "restore_unfinished"
    assert restore(database_url, file, status=1).json["error"] == "not_empty"
    assert restore(database_url, file, "--replace").json["audit"] == "intact"
    assert idp("user", "list").json
