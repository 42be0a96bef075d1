"""Where the feed stands, and what of it is kept."""

from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import insert, make_url, select, text

from idp.feed import losses, positions
from idp.feed.models import Change
from idp.platform import clock, database
from tests import databases
from tests.databases import Template


def _take_away() -> int:
    with database.writing():
        losses.record("session", sid="s")
    return positions.head()


def _write_old(count: int) -> None:
    """`count` entries older than any token, before all others."""
    old = clock.now() - positions.LONGEST_TOKEN - positions.MARGIN - clock.MINUTE
    with database.writing():
        database.session().execute(
            insert(Change),
            [
                {"position": old + number, "kind": "session", "selector": '{"sid":"s"}', "written_at": old}
                for number in range(count)
            ],
        )


def test_a_feed_begins_with_an_epoch_so_that_a_token_always_has_a_position(app: Flask) -> None:
    begun = database.session().execute(select(Change.kind, Change.selector, Change.position)).one()
    assert (begun.kind, begun.selector) == ("epoch", "{}")
    assert database.session().scalar(select(positions.head_of_feed)) == begun.position == positions.head()


def test_what_no_token_can_be_hit_by_is_deleted_in_small_batches_but_for_the_newest(app: Flask) -> None:
    _write_old(6)
    deleted = []
    for _ in range(3):
        with database.writing():
            deleted.append(positions.clean_up(limit=3))
    assert deleted == [3, 2, 0]
    assert database.session().scalar(text("SELECT count(*) FROM change_feed")) == 2


def test_the_newest_entry_is_never_deleted(app: Flask) -> None:
    with database.writing():
        database.session().execute(text("DELETE FROM change_feed"))
    _write_old(2)
    head = positions.head()
    with database.writing():
        assert positions.clean_up() == 1
        assert positions.clean_up() == 0
    assert positions.head() == head


def test_positions_grow_over_the_restore_of_yesterdays_backup(
    app: Flask, database_url: str, template: Template, tmp_path: Path
) -> None:
    address = make_url(database_url)
    databases.dispose()
    (tmp_path / "backup").mkdir()
    assert address.database
    with Template(template.kind, address.database).copy(tmp_path / "backup") as backup_url:
        of_today = [_take_away() for _ in range(5)]
        databases.dispose()
        with databases.app_on(backup_url).app_context():
            assert positions.head() < of_today[0]
            assert _take_away() > of_today[-1]
            databases.dispose()


@pytest.mark.parametrize("ahead", [clock.SECOND, clock.DAY])
def test_positions_grow_over_a_clock_that_was_ahead(app: Flask, ahead: int) -> None:
    with database.writing():
        later = positions.now() + ahead
        database.session().execute(
            insert(Change).values(position=later, kind="session", selector='{"sid":"s"}', written_at=later)
        )
    assert _take_away() == later + 1
