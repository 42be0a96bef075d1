"""Whoever changes the trail past us is found out, and what they did is named (AUD-02)."""

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from pydantic import SecretStr
from sqlalchemy import make_url

from idp.app import create_app
from idp.audit import links, seal, trail
from idp.audit.chain import ChainHead
from idp.audit.seal import ChainBroken
from idp.audit.trail import SYSTEM, Actor
from idp.audit.verify import Fault, verify
from idp.keys import master_keys
from idp.platform import clock, correlation, database
from idp.platform.correlation import Origin
from tests import databases
from tests.audit.tampering import Execute, entry_at, forge_entry, make_room, past_us, seal_anew, swap
from tests.databases import Template

pytestmark = pytest.mark.rule("AUD-02")

ALICE = Actor("user", "usr_alice")
ENTRIES = 12


def write(count: int = 1) -> None:
    """Entries of two organizations and of none, in turn, each with a side row."""
    for number in range(count):
        origin = Origin("req-12345678", "203.0.113.7", f"agent {number}")
        with correlation.working_for(origin), database.writing():
            organization = (None, "org_1", "org_2")[number % 3]
            trail.record(
                "user.changed", by=ALICE, subject=f"usr_{number}", organization=organization, after={"n": number}
            )


def seal_all() -> None:
    sealed = 1
    while sealed:
        with database.writing():
            sealed = seal.seal_batch(5)


@pytest.fixture
def sealed(app: Flask) -> Flask:
    write(ENTRIES)
    seal_all()
    return app


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "PAGE", 5)


def _head(chain: str = "instance") -> ChainHead:
    database.session().rollback()
    found = seal.head(chain)
    assert found
    return found


def test_a_whole_trail_is_found_whole(sealed: Flask) -> None:
    write(2)
    told: list[tuple[int, int]] = []
    report = verify(progress=lambda done, total: told.append((done, total)))
    assert report.finding is None
    assert report.unsealed == 2
    assert report.head == _head()
    assert report.head.number == ENTRIES
    assert told[-1] == (20, 20)  # 12 of the instance, 4 of each organization
    assert max(done - before for (before, _), (done, _) in itertools.pairwise(told)) <= 5


def test_an_empty_trail_is_whole(app: Flask) -> None:
    assert verify().finding is None
    assert seal.head() is None


def _change(execute: Execute) -> None:
    execute("UPDATE audit_entries SET actor_id = 'usr_mallory' WHERE id = :id", id=entry_at(execute, 4))


def _delete_entry(execute: Execute) -> None:
    execute("DELETE FROM audit_entries WHERE id = :id", id=entry_at(execute, 4))


def _delete_entry_and_seal(execute: Execute) -> None:
    _delete_entry(execute)
    execute("DELETE FROM audit_seals WHERE number = 4")


def _delete_seal(execute: Execute) -> None:
    execute("DELETE FROM audit_seals WHERE number = 4")


def _delete_the_first(execute: Execute) -> None:
    execute("DELETE FROM audit_seals WHERE number = 1")


def _insert_with_seal(execute: Execute) -> None:
    make_room(execute, 4)
    execute(
        "INSERT INTO audit_seals (number, entry_id, hash, version, sealed_at) VALUES (4, :id, :hash, 1, 1)",
        id=forge_entry(execute),
        hash=b"",
    )
    seal_anew(execute, 4)


def _append_with_seal(execute: Execute) -> None:
    execute(
        "INSERT INTO audit_seals (number, entry_id, hash, version, sealed_at) VALUES (13, :id, :hash, 1, 1)",
        id=forge_entry(execute),
        hash=b"",
    )
    seal_anew(execute, 13)


def _move_entries(execute: Execute) -> None:
    swap(execute, "entry_id", 4, 9)


def _move_neighbours(execute: Execute) -> None:
    swap(execute, "entry_id", 4, 5)


def _renumber(execute: Execute) -> None:
    swap(execute, "number", 4, 9)


def _renumber_neighbours(execute: Execute) -> None:
    swap(execute, "number", 4, 5)


def _change_side_row(execute: Execute) -> None:
    execute("UPDATE audit_details SET address = '198.51.100.1' WHERE entry_id = :id", id=entry_at(execute, 4))


def _unknown_version(execute: Execute) -> None:
    execute("UPDATE audit_seals SET version = 2 WHERE number = 4")


def _other_instant_of_sealing(execute: Execute) -> None:
    execute("UPDATE audit_seals SET sealed_at = sealed_at - 1 WHERE number = 4")


@pytest.mark.parametrize(
    ("tamper", "fault", "number"),
    [
        (_change, Fault.CHANGED, 4),
        (_delete_entry, Fault.DELETED, 4),
        (_delete_entry_and_seal, Fault.DELETED, 4),
        (_delete_seal, Fault.DELETED, 4),
        (_delete_the_first, Fault.DELETED, 1),
        (_insert_with_seal, Fault.INSERTED, 4),
        (_append_with_seal, Fault.INSERTED, 13),
        (_move_entries, Fault.REORDERED, 4),
        (_move_neighbours, Fault.REORDERED, 4),
        (_renumber, Fault.REORDERED, 4),
        (_renumber_neighbours, Fault.REORDERED, 4),
        (_change_side_row, Fault.SIDE_ROW, 4),
        (_unknown_version, Fault.CHANGED, 4),
        (_other_instant_of_sealing, Fault.CHANGED, 4),
    ],
)
def test_what_was_done_is_named_and_where(
    sealed: Flask, tamper: Callable[[Execute], None], fault: Fault, number: int
) -> None:
    with past_us() as execute:
        tamper(execute)
    finding = verify().finding
    assert finding
    assert (finding.fault, finding.chain, finding.number) == (fault, "instance", number)
    if tamper is not _delete_entry_and_seal and tamper is not _delete_the_first:
        with past_us() as execute:
            at = entry_at(execute, number) if tamper is not _delete_seal else finding.entry_id
            assert finding.entry_id == at != ""


def test_an_entry_that_was_put_in_without_a_seal_is_named(sealed: Flask) -> None:
    with past_us() as execute:
        forged = forge_entry(execute, organization_id="org_1")
    for report in (verify(), verify(organization="org_1")):
        assert report.finding
        assert (report.finding.fault, report.finding.entry_id) == (Fault.INSERTED, forged)
    assert verify(organization="org_2").finding is None


def test_a_side_row_that_was_put_in_is_named(app: Flask) -> None:
    with database.writing():
        trail.record("user.changed", by=SYSTEM, subject="usr_1")
    seal_all()
    with past_us() as execute:
        execute(
            "INSERT INTO audit_details (entry_id, salt, address, user_agent, email) VALUES (:id, :salt, '', '', 'x')",
            id=entry_at(execute, 1),
            salt=b"salt",
        )
    finding = verify().finding
    assert finding
    assert finding.fault is Fault.SIDE_ROW


def test_an_erased_side_row_is_no_fault(sealed: Flask) -> None:
    with database.writing():
        assert trail.erase(by=SYSTEM, until=clock.now()) == ENTRIES
    seal_all()
    assert verify().finding is None


@pytest.mark.parametrize(
    "change",
    ["organization_id = NULL, organization_number = NULL", "organization_id = 'org_9'", "organization_number = NULL"],
)
def test_an_entry_that_is_hidden_from_its_organization_is_named(sealed: Flask, change: str) -> None:
    with past_us() as execute:
        execute(f"UPDATE audit_seals SET {change} WHERE number = 5")
    finding = verify().finding
    assert finding
    assert (finding.fault, finding.number) == (Fault.CHANGED, 5)
    assert verify(organization="org_1").finding


def test_an_organizations_own_chain_is_checked(sealed: Flask) -> None:
    with past_us() as execute:
        swap(execute, "organization_number", 2, 8)
    finding = verify().finding
    assert finding
    assert (finding.fault, finding.chain, finding.number) == (Fault.REORDERED, "org_1", 1)
    assert verify(organization="org_1").finding == finding
    assert verify(organization="org_2").finding is None


def _cut(execute: Execute, after: int = 9) -> None:
    gone = [row[0] for row in execute("SELECT entry_id FROM audit_seals WHERE number > :after", after=after)]
    for entry in gone:
        for table, column in (("audit_seals", "entry_id"), ("audit_details", "entry_id"), ("audit_entries", "id")):
            execute(f"DELETE FROM {table} WHERE {column} = :id", id=entry)


def _cut_and_set_the_head_back(execute: Execute) -> None:
    _cut(execute)
    [(number, last)] = execute("SELECT number, hash FROM audit_seals ORDER BY number DESC LIMIT 1")
    execute("UPDATE audit_heads SET number = :number, hash = :last WHERE chain = 'instance'", number=number, last=last)


def _cut_and_take_the_head_away(execute: Execute) -> None:
    _cut(execute)
    execute("DELETE FROM audit_heads")


def _take_the_head_of_another_chain(execute: Execute) -> None:
    execute("DELETE FROM audit_heads WHERE chain = 'instance'")
    execute("UPDATE audit_heads SET chain = 'instance' WHERE chain = 'org_1'")


def _seal_all_anew(execute: Execute) -> None:
    _change(execute)
    last = b""
    for number in range(1, ENTRIES + 1):
        last = seal_anew(execute, number)
    execute("UPDATE audit_heads SET hash = :last WHERE chain = 'instance'", last=last)


def _seal_all_anew_but_the_head(execute: Execute) -> None:
    _change(execute)
    for number in range(1, ENTRIES + 1):
        seal_anew(execute, number)


@pytest.mark.parametrize(
    ("tamper", "fault"),
    [
        (_cut, Fault.CUT),
        (_cut_and_set_the_head_back, Fault.HEAD),
        (_cut_and_take_the_head_away, Fault.HEAD),
        (_take_the_head_of_another_chain, Fault.HEAD),
        (_seal_all_anew, Fault.HEAD),
        (_seal_all_anew_but_the_head, Fault.HEAD),
    ],
)
def test_who_lacks_the_master_key_cannot_cut_the_tail_or_seal_anew(
    sealed: Flask, tamper: Callable[[Execute], None], fault: Fault
) -> None:
    with past_us() as execute:
        tamper(execute)
    finding = verify().finding
    assert finding
    assert (finding.fault, finding.chain) == (fault, "instance")


@pytest.mark.parametrize(
    "tamper", [_cut_and_set_the_head_back, _cut_and_take_the_head_away, _take_the_head_of_another_chain]
)
def test_the_sealer_covers_nothing_up(sealed: Flask, tamper: Callable[[Execute], None]) -> None:
    with past_us() as execute:
        tamper(execute)
    write(1)
    with pytest.raises(ChainBroken), database.writing():
        seal.seal_batch()
    finding = verify().finding
    assert finding
    assert finding.fault is Fault.HEAD


def test_a_head_that_was_kept_elsewhere_convicts_a_database_that_was_set_back_as_a_whole(
    sealed: Flask, database_url: str, template: Template, tmp_path: Path
) -> None:
    databases.dispose()
    (tmp_path / "yesterday").mkdir()
    with Template(template.kind, str(make_url(database_url).database)).copy(tmp_path / "yesterday") as yesterday:
        early, early_of_one = _head(), _head("org_1")
        write(3)
        seal_all()
        late, late_of_one = _head(), _head("org_1")
        assert verify(expected=early).finding is None
        databases.dispose()
        with databases.app_on(yesterday).app_context():
            assert verify(expected=early).finding is None
            assert verify(organization="org_1", expected=early_of_one).finding is None
            for kept in (late, late_of_one, ChainHead("org_9", 1, b"x")):
                finding = verify(expected=kept).finding
                assert finding
                assert (finding.fault, finding.chain) == (Fault.CUT, kept.chain)
            write(3)  # the chain continues, and becomes another than the one whose head was kept
            seal_all()
            assert verify().finding is None
            finding = verify(expected=late).finding
            assert finding
            assert (finding.fault, finding.number) == (Fault.HEAD, late.number)
            databases.dispose()


def test_a_head_fits_on_one_line(sealed: Flask) -> None:
    head = _head("org_1")
    assert ChainHead.parse(f"{head}\n") == head
    for broken in ("", "instance", "instance:x:00", "instance:1:zz"):
        with pytest.raises(ValueError, match=r".*"):
            ChainHead.parse(broken)


def test_the_chain_continues_over_the_rotation_of_the_master_key(sealed: Flask, database_url: str) -> None:
    def with_keys(*masters: str) -> Flask:
        given = tuple(map(SecretStr, masters))
        return create_app(databases.settings_for(database_url).model_copy(update={"secret_key": given}))

    old, new = databases.SECRET_KEY, "another-master-key-" + "9f8e7d6c5b4a" * 3
    head = _head()
    with with_keys(new, old).app_context():
        assert verify(expected=head).finding is None
        write(2)
        seal_all()
        assert verify(expected=head).finding is None
        progress = master_keys.begin()
        while not progress.finished:
            with database.writing():
                progress = master_keys.step(progress)
        databases.dispose()
    with with_keys(new).app_context():
        write(2)
        seal_all()
        report = verify(expected=head)
        assert report.finding is None
        assert report.head
        assert report.head.number == ENTRIES + 4
        databases.dispose()


def test_verifying_beside_a_busy_sealer_finds_nothing(app: Flask) -> None:
    over = threading.Event()

    def keep_writing() -> None:
        while not over.is_set():
            with app.app_context():
                write(3)
                seal_all()

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        for _ in range(15):
            assert verify().finding is None
    finally:
        over.set()
        writer.join()


def test_a_walk_does_not_run_inside_a_writing_transaction(sealed: Flask) -> None:
    with pytest.raises(RuntimeError, match="verifying"), database.writing():
        verify()


def test_a_kept_head_of_other_content_is_told_from_a_cut_tail(sealed: Flask) -> None:
    finding = verify(expected=replace(_head(), hash=b"other")).finding
    assert finding
    assert (finding.fault, finding.number) == (Fault.HEAD, ENTRIES)
