"""The first run: one link, for a day, until there is an operator; then never again."""

import threading

import pytest
import time_machine
from flask import Flask

from idp.platform import clock, database
from idp.users import first_run, operators, users
from idp.users.first_run import SetUpAlready, SetupClosed
from idp.users.models import SetupLink
from idp.users.users import UserSettings
from tests.traces import OPERATOR, events


def link() -> str:
    with database.writing():
        return first_run.open_door(by=OPERATOR).token


def use(token: str) -> None:
    with database.writing():
        first_run.redeem(token)


def closed(token: str) -> bool:
    """Whether neither the page nor the form takes the token."""
    with pytest.raises(SetupClosed):
        use(token)
    with pytest.raises(SetupClosed):
        first_run.require_open(token)
    return True


@pytest.mark.rule("API-08")
def test_a_link_opens_once(app: Flask) -> None:
    token = link()
    first_run.require_open(token)
    use(token)
    assert closed(token)


@pytest.mark.rule("API-08")
def test_what_was_never_printed_or_was_replaced_or_is_a_day_old_opens_nothing(app: Flask) -> None:
    assert closed("")
    first = link()
    second = link()
    assert closed(first)
    assert closed(second[:-1])
    first_run.require_open(second)
    with time_machine.travel((clock.now() + clock.DAY) / clock.SECOND, tick=False):
        assert closed(second)


@pytest.mark.rule("API-08")
def test_only_a_digest_of_the_link_is_stored_and_the_trail_does_not_tell_it(app: Flask) -> None:
    token = link()
    (row,) = database.session().query(SetupLink)
    assert token.encode() not in row.token_digest
    assert len(token) >= 43
    assert events("setup") == ["setup.link.made"]


@pytest.mark.rule("API-08")
def test_after_an_operator_there_is_no_link_any_more_not_even_when_that_one_is_gone(app: Flask) -> None:
    token = link()
    with database.writing():
        olivia = users.create(UserSettings("olivia"), by=OPERATOR)
        operators.add(olivia, "support", by=OPERATOR)
    assert closed(token)
    with database.writing():
        operators.remove(users.named("olivia"), by=OPERATOR)
    assert closed(token)
    with pytest.raises(SetUpAlready):
        link()


@pytest.mark.rule("API-08")
def test_a_row_that_came_back_from_a_backup_opens_nothing_where_there_was_an_operator(app: Flask) -> None:
    token = link()
    (row,) = database.session().query(SetupLink)
    kept = (row.token_digest, row.expires_at)
    with database.writing():
        operators.add(users.create(UserSettings("olivia"), by=OPERATOR), by=OPERATOR)
        database.session().add(SetupLink(id="setup", token_digest=kept[0], expires_at=kept[1]))
    assert closed(token)


@pytest.mark.rule("API-08")
def test_of_several_who_use_a_link_at_once_one_gets_further(app: Flask) -> None:
    token, outcomes, together = link(), [], threading.Barrier(4)

    def use_it() -> None:
        with app.app_context():
            try:
                first_run.require_open(token)
                together.wait(10)
                use(token)
            except SetupClosed:
                outcomes.append("closed")
            else:
                outcomes.append("open")
            finally:
                database.db.session.remove()

    threads = [threading.Thread(target=use_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["closed", "closed", "closed", "open"]
