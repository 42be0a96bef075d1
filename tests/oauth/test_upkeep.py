"""What ran out goes, in small batches, and nothing that anybody could still show."""

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from idp.oauth import refresh_tokens, upkeep
from idp.oauth.errors import WrongProof
from idp.oauth.models import Authorization, AuthorizationCode, RefreshToken, RevokedToken
from idp.platform import clock, database
from idp.sessions import upkeep as sessions
from idp.sessions.models import BrowserSession
from tests.oauth.decisions import code_for
from tests.oauth.test_refresh_tokens import Family

KINDS = (Authorization, AuthorizationCode, RefreshToken, RevokedToken, BrowserSession)


def counts() -> tuple[int, ...]:
    database.session().rollback()
    return tuple(database.session().scalar(select(func.count()).select_from(kind)) or 0 for kind in KINDS)


def clean_up(limit: int = 500) -> int:
    with database.writing():
        return upkeep.clean_up(limit) + upkeep.clean_up_sessions(limit)


def test_an_authorization_goes_with_all_that_hangs_on_it_when_it_has_run_out(app: Flask) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        family = Family(app, lifetime=40 * clock.DAY)
        code_for(family.id, family.client_id)
        second = family.refresh(family.first)
        with database.writing():
            database.session().add(RevokedToken(jti="c.1", expires_at=clock.now() + 40 * clock.DAY))
        clockwork.shift(40 * 86_400 + 1)
        assert (clean_up(), counts()) == (0, (1, 1, 2, 1, 1))
        clockwork.shift(upkeep.KEPT / clock.SECOND)
        assert clean_up() == 6
        assert counts() == (0, 0, 0, 0, 0)
        assert clean_up() == 0
        with database.writing():
            assert refresh_tokens.find(second) is None


def test_a_batch_is_as_small_as_asked_for(app: Flask) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        family = Family(app, lifetime=clock.DAY)
        for _ in range(2):
            family.refresh(family.first)
        clockwork.shift(2 * 86_400 + 1)
        assert [clean_up(limit=2) for _ in range(3)] == [2, 2, 0]


def test_a_session_stays_while_an_authorization_names_it(app: Flask) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        family = Family(app)
        newest = family.first
        for _ in range(5):
            clockwork.shift(10 * 86_400)
            newest = family.refresh(newest)
            assert clean_up() == 0
        assert clock.now() > family.alice.session.created_at + sessions.KEPT + 10 * clock.DAY
        assert family.is_alive()


@pytest.mark.rule("REF-02")
def test_the_first_of_many_is_remembered_as_long_as_its_family_lives(app: Flask) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        family = Family(app)
        newest = family.first
        for _ in range(8):
            clockwork.shift(11 * 86_400)
            newest = family.refresh(newest)
            clean_up()
        with pytest.raises(WrongProof):
            family.refresh(family.first)
        assert not family.is_alive()
