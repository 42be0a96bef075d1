"""Old rows go, in small batches, and none that anything can still come of."""

import time_machine
from flask import Flask
from sqlalchemy import false, func, select

from idp.platform import clock, database
from idp.sessions import browsers, people, upkeep
from idp.sessions.models import Browser, BrowserSession, KnownDevice, SessionProof
from tests.sessions.conftest import at, new_browser, sign_in
from tests.traces import OPERATOR


def count(model: type[object]) -> int:
    database.session().rollback()
    return database.session().scalar(select(func.count()).select_from(model)) or 0


def clean_up(limit: int = 500) -> int:
    with database.writing():
        return upkeep.clean_up(limit)


def forget(limit: int = 500) -> int:
    with database.writing():
        return upkeep.forget_browsers(unless=false(), limit=limit)


def test_sessions_go_when_they_have_been_over_for_long(olivia: str, bob: str) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        _, token = new_browser()
        ended, token = sign_in(token, olivia)
        with database.writing():
            people.end(ended.id, because="signed_out", by=OPERATOR)
        _, token = sign_in(token, bob)
        clockwork.shift((upkeep.KEPT + clock.HOUR) / clock.SECOND)
        assert clean_up() == 1
        assert count(BrowserSession) == 1
        clockwork.shift(3 * clock.DAY / clock.SECOND)
        assert clean_up() == 1
        assert (count(BrowserSession), count(SessionProof)) == (0, 0)
        assert count(Browser) == 1
        assert clean_up() == 0


def test_a_batch_is_as_small_as_asked_for(app: Flask) -> None:
    for _ in range(3):
        new_browser()
    with time_machine.travel((clock.now() + 2 * clock.DAY) / clock.SECOND, tick=False):
        assert [forget(limit=2) for _ in range(3)] == [2, 1, 0]


def test_browsers_of_strangers_go_soon_and_known_devices_late(olivia: str) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        new_browser()
        _, token = new_browser()
        _, token = sign_in(token, olivia)
        assert forget() == 0
        clockwork.shift(2 * clock.DAY / clock.SECOND)
        assert forget() == 1
        assert people.is_known(at(token), olivia)
        clockwork.shift(browsers.IDLE / clock.SECOND)
        assert forget() == 0
        clean_up()
        assert forget() == 1
        assert (count(Browser), count(KnownDevice)) == (0, 0)
