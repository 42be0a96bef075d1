"""Finding entries: by what is asked, in one organization and nowhere else, page by page."""

import pytest
from flask import Flask

from idp.audit import trail
from idp.audit.search import Cursor, Question, search, search_everywhere
from idp.audit.trail import SYSTEM, Actor
from idp.platform import clock, correlation, database
from idp.platform.correlation import Origin
from idp.platform.errors import Invalid

ALICE, BOB = Actor("user", "usr_alice"), Actor("user", "usr_bob", on_behalf_of="usr_alice")


@pytest.fixture
def written(app: Flask) -> list[int]:
    """Five entries of two organizations and of none; when each was written."""
    times = []
    for event, by, subject, organization, account in (
        ("grant.made", ALICE, "grant_1", "org_1", "acct_1"),
        ("grant.ended", BOB, "grant_1", "org_1", "acct_1"),
        ("member.added", ALICE, "usr_carol", "org_2", None),
        ("grant.made", BOB, "grant_2", "org_2", None),
        ("key.rotated", SYSTEM, "key_1", None, None),
    ):
        origin = Origin(f"req-of-{subject}-{event}", "203.0.113.7", "agent")
        with correlation.working_for(origin), database.writing():
            times.append(clock.now())
            trail.record(event, by=by, subject=subject, organization=organization, account=account, after={"by": by.id})
    return times


@pytest.mark.rule("ORG-11")
def test_an_organization_sees_its_own_entries_alone_the_newest_first(written: list[int]) -> None:
    assert [one.event for one in search("org_1").entries] == ["grant.ended", "grant.made"]
    assert [one.event for one in search("org_2").entries] == ["grant.made", "member.added"]
    assert search("org_3").entries == ()
    everywhere = search_everywhere().entries
    assert [one.event for one in everywhere] == [
        "key.rotated",
        "grant.made",
        "member.added",
        "grant.ended",
        "grant.made",
    ]


@pytest.mark.rule("ORG-11")
@pytest.mark.parametrize(
    "question",
    [
        Question(subject="usr_carol"),
        Question(event="member.added"),
        Question(request_id="req-of-usr_carol-member.added"),
        Question(actor="canopy"),
    ],
)
def test_no_question_reaches_into_another_organization(written: list[int], question: Question) -> None:
    assert search("org_1", question).entries == ()
    assert len(search_everywhere(question).entries) == 1


@pytest.mark.parametrize(
    ("question", "subjects"),
    [
        (Question(event="grant.made"), ["grant_2", "grant_1"]),
        (Question(event="grant."), ["grant_2", "grant_1", "grant_1"]),
        (Question(event="gran"), []),
        (Question(actor="usr_alice"), ["usr_carol", "grant_1"]),
        (Question(subject="grant_1"), ["grant_1", "grant_1"]),
        (Question(account="acct_1", actor="usr_bob"), ["grant_1"]),
        (Question(request_id="req-of-grant_1-grant.ended"), ["grant_1"]),
    ],
)
def test_every_filter_finds_what_it_says(written: list[int], question: Question, subjects: list[str]) -> None:
    assert [one.subject for one in search_everywhere(question).entries] == subjects


def test_a_time_range_begins_at_and_ends_before(written: list[int]) -> None:
    times = [one.at for one in reversed(search_everywhere().entries)]
    ranged = search_everywhere(Question(since=times[1], until=times[3])).entries
    assert [one.at for one in ranged] == [times[2], times[1]]


def test_pages_follow_one_another_without_gap_or_repetition(app: Flask) -> None:
    with database.writing():
        for number in range(7):
            trail.record("user.changed", by=ALICE, subject=f"usr_{number}", organization="org_1")
    seen: list[str] = []
    cursor: Cursor | None = None
    pages = 0
    while pages == 0 or cursor:
        page = search("org_1", after=cursor, limit=3)
        seen += [one.subject for one in page.entries]
        cursor = page.next
        pages += 1
    assert (pages, sorted(seen)) == (3, [f"usr_{number}" for number in range(7)])


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_a_page_has_a_size(app: Flask, limit: int) -> None:
    with pytest.raises(Invalid) as refused:
        search("org_1", limit=limit)
    assert refused.value.field == "limit"


def test_an_entry_is_shown_whole_and_says_when_something_was_erased(written: list[int]) -> None:
    [found] = search("org_1", Question(event="grant.ended")).entries
    assert (found.actor, found.account_id, found.after) == (BOB, "acct_1", {"by": "usr_bob"})
    assert (found.address, found.user_agent, found.is_erased) == ("203.0.113.7", "agent", False)
    with database.writing():
        trail.erase(by=SYSTEM, person="usr_bob")
    [found] = search("org_1", Question(event="grant.ended")).entries
    assert (found.address, found.user_agent, found.is_erased) == ("", "", True)
