"""Exports: complete, streamed, harmless in a spreadsheet, told of in the trail, enough to compute the chain again."""

import csv
import hashlib
import io
import json
from typing import Any

import pytest
from flask import Flask

from idp.audit import export, seal, trail
from idp.audit.search import Question
from idp.audit.trail import SYSTEM, Actor
from idp.platform import clock, correlation, database
from idp.platform.correlation import Origin
from idp.platform.errors import Invalid
from tests.traces import entries

ALICE = Actor("user", "usr_alice", on_behalf_of="usr_zoe")


def _write(count: int = 6) -> None:
    for number in range(count):
        origin = Origin("req-12345678", "203.0.113.7", "Mozilla")
        with correlation.working_for(origin), database.writing():
            said = {"näme": "Ünï", "n": number}
            organization = f"org_{number % 2}"
            trail.record("user.changed", by=ALICE, subject=f"usr_{number}", organization=organization, before=said)
    with database.writing():
        seal.seal_batch()


def _export(form: str = "jsonl", question: Question | None = None, organization: str = "org_1") -> str:
    with database.writing():
        begun = export.begin(organization, form, question or Question(), by=ALICE)
    return "".join(begun.lines())


def _objects(exported: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in exported.splitlines()]


def test_a_line_of_json_is_an_entry_the_oldest_first(app: Flask) -> None:
    _write()
    first, *_, last = _objects(_export())
    assert (first["subject"], last["subject"]) == ("usr_1", "usr_5")
    assert first["actor"] == {"kind": "user", "id": "usr_alice", "on_behalf_of": "usr_zoe"}
    assert (first["before"], first["after"], first["address"]) == ({"näme": "Ünï", "n": 1}, None, "203.0.113.7")
    assert clock.parse(first["at"]) == entries("usr_1")[0].at


@pytest.mark.rule("ORG-11")
def test_an_organizations_export_tells_nothing_of_others(app: Flask) -> None:
    _write()
    told = _objects(_export())
    assert {one["organization"] for one in told} == {"org_1"}
    assert [one["seal"]["number"] for one in told] == [1, 2, 3]
    assert {one["seal"]["chain"] for one in told} == {"org_1"}


def test_everything_is_exported_for_operators_even_what_is_not_sealed_yet(app: Flask) -> None:
    _write()
    with database.writing():
        trail.record("key.rotated", by=SYSTEM, subject="key_1")
    with database.writing():
        begun = export.begin_everywhere("jsonl", by=SYSTEM)
    told = _objects("".join(begun.lines()))
    assert [one["seal"] and one["seal"]["number"] for one in told] == [1, 2, 3, 4, 5, 6, None]


@pytest.mark.rule("AUD-02")
def test_whoever_holds_an_export_can_compute_the_chain_again(app: Flask) -> None:
    """By the words of the documentation alone, without our code."""
    _write()
    previous = ""
    for one in _objects(_export()):
        stored = [None if one[name] is None else json.dumps(one[name], sort_keys=True, ensure_ascii=False)
                  for name in ("before", "after")]  # fmt: skip
        placed = ["canopy audit", 1, "org_1", one["seal"]["number"], previous, one["seal"]["sealed_at"]]
        entry = [one["id"], clock.parse(one["at"]), one["event"], *one["actor"].values(), one["subject"]]
        rest = [one["organization"], one["account"], one["source"], one["request_id"], *stored, one["detail_digest"]]
        line = json.dumps([*placed, *entry, *rest], ensure_ascii=True, separators=(",", ":"))
        assert hashlib.sha256(line.encode()).hexdigest() == one["seal"]["hash"]
        side_row = json.dumps([one["address"], one["user_agent"], one["email"]]).encode()
        assert hashlib.sha256(bytes.fromhex(one["detail_salt"]) + side_row).hexdigest() == one["detail_digest"]
        previous = one["seal"]["hash"]
    head = seal.head("org_1")
    assert head
    assert head.hash.hex() == previous


@pytest.mark.rule("AUD-01")
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_is_an_entry_of_its_own_and_not_in_itself(app: Flask, form: str) -> None:
    _write()
    exported = _export(form, Question(event="user.", since=1_700_000_000_000_000))
    [entry] = entries("org_1")
    assert (entry.event, entry.actor_id, entry.organization_id) == ("audit.exported", "usr_alice", "org_1")
    assert json.loads(entry.after_json or "") == {
        "form": form,
        "event": "user.",
        "since": "2023-11-14T22:13:20.000000Z",
    }
    assert "audit.exported" not in exported


def test_only_what_was_asked_for_is_exported(app: Flask) -> None:
    _write()
    assert [one["subject"] for one in _objects(_export(question=Question(subject="usr_3")))] == ["usr_3"]


def test_another_form_is_refused_before_anything_is_told(app: Flask) -> None:
    with pytest.raises(Invalid, match="jsonl, csv"), database.writing():
        export.begin("org_1", "xml", by=ALICE)
    assert entries() == []


@pytest.mark.rule("API-04")
@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "  =1+1", "\uff1d1+1"])
def test_no_spreadsheet_takes_a_cell_for_a_formula(cell: str) -> None:
    assert export.harmless(cell) == f"'{cell}"
    assert export.harmless(f"a{cell}") == f"a{cell}"


@pytest.mark.rule("API-04")
def test_csv_has_a_head_and_quotes_and_neutralises_every_cell(app: Flask) -> None:
    with database.writing():
        trail.record(
            "user.changed", by=Actor("user", '=HYPERLINK("x")'), subject='a,"b";=c', organization="org_1", source="-1"
        )
    text = _export("csv")
    [row] = csv.DictReader(io.StringIO(text))
    assert (row["actor"], row["subject"], row["source"]) == ('\'=HYPERLINK("x")', 'a,"b";=c', "'-1")
    assert all(line.startswith('"') for line in text.splitlines())
    assert set(row) == set(_export("csv", Question(subject="nobody")).strip().replace('"', "").split(","))


def test_an_export_is_streamed_page_by_page(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(6)
    monkeypatch.setattr(export, "PAGE", 2)
    with database.writing():
        lines = export.begin_everywhere("jsonl", by=SYSTEM).lines()
    subjects = [json.loads(next(lines))["subject"]]
    with database.writing():  # a stream holds nobody up, and keeps to what was when it began
        trail.record("user.changed", by=SYSTEM, subject="usr_late")
    subjects += [json.loads(line)["subject"] for line in lines]
    assert subjects == [f"usr_{number}" for number in range(6)]


def test_a_stream_does_not_run_inside_a_writing_transaction(app: Flask) -> None:
    with pytest.raises(RuntimeError, match="exporting"), database.writing():
        list(export.begin("org_1", "jsonl", by=ALICE).lines())
