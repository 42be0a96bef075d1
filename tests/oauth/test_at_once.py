"""Fifty at once, at two worker processes: one wins a code, a few share a refresh token, and nothing ever forks."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from idp.oauth import authorizations, refresh_tokens
from idp.oauth.errors import InvalidGrant, WrongProof
from idp.oauth.models import RefreshToken
from idp.oauth.refresh_tokens import GRACE, MOST_ANSWERS
from idp.platform import clock, database
from tests.oauth.decisions import Person, code_for, decide, redemption, shop, somebody
from tests.oauth.test_refresh_tokens import Family
from tests.organizations.actors import at_once, overlapping
from tests.platform.serving import Answer, Service

CROWD = 50
CLIENT = "app_public"


@pytest.fixture
def alice(app: Flask) -> Person:
    """Somebody; and a client that shows nothing but its id."""
    shop(app, CLIENT, public=True)
    return somebody()


@pytest.fixture
def service(alice: Person, database_url: str, tmp_path: Path) -> Iterator[Service]:
    """Two worker processes on the database in which Alice is, both of which answer."""
    with Service(database_url, tmp_path, workers=2).running() as service:
        service.until(lambda: len({service.get("/who").json["pid"] for _ in range(10)}) == 2, within=20)
        yield service


def ask(service: Service, form: dict[str, str]) -> Answer:
    return service.post("/oauth2/token", urlencode({"client_id": CLIENT, **form}), timeout=30)


def crowd(service: Service, form: dict[str, str]) -> list[Answer]:
    """What was granted to as many of the same request at once; the others got `invalid_grant`, or are to come back."""
    with ThreadPoolExecutor(CROWD) as many:
        answers = list(many.map(lambda _: ask(service, form), range(CROWD)))
    told = Counter(answer.status for answer in answers)
    assert told.keys() <= {200, 400, 503}, told
    assert told[400] > CROWD / 2
    assert {answer.json["error"] for answer in answers if answer.status == 400} == {"invalid_grant"}
    return [answer for answer in answers if answer.status == 200]


def refreshed(service: Service, token: str) -> Answer:
    return ask(service, {"grant_type": "refresh_token", "refresh_token": token})


@pytest.mark.rule("COD-03")
def test_of_fifty_redemptions_of_one_code_one_wins_and_there_is_one_grant_or_none(
    service: Service, alice: Person
) -> None:
    authorization = decide(alice, CLIENT)
    (won,) = crowd(service, redemption(code_for(authorization, CLIENT)))
    database.session().rollback()
    assert database.session().scalar(select(func.count()).select_from(RefreshToken)) == 1
    alive = authorizations.find_live(authorization) is not None
    assert (refreshed(service, won.json["refresh_token"]).status == 200) == alive


@pytest.mark.rule("REF-03")
def test_of_fifty_uses_of_one_refresh_token_a_few_are_answered_and_share_one_fate(
    service: Service, alice: Person
) -> None:
    authorization = decide(alice, CLIENT)
    first = ask(service, redemption(code_for(authorization, CLIENT))).json["refresh_token"]
    siblings = [answer.json["refresh_token"] for answer in crowd(service, refreshing(first))]
    assert 1 <= len(set(siblings)) == len(siblings) <= MOST_ANSWERS

    newest = [refreshed(service, sibling).json["refresh_token"] for sibling in siblings]
    database.session().rollback()
    families = select(RefreshToken.authorization_id, func.count()).group_by(RefreshToken.authorization_id)
    assert database.session().execute(families).all() == [(authorization, 1 + 2 * len(siblings))]

    assert refreshed(service, first).status == 400
    assert {refreshed(service, token).status for token in (*siblings, *newest)} == {400}


def refreshing(token: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": token}


# Who comes while another has acted and not yet committed


def outcome(family: Family, presented: str) -> object:
    """The successor, or the refusal."""
    token = refresh_tokens.find(presented)
    assert token
    return refresh_tokens.rotate(token, family.authorization(), family.client())


@pytest.mark.rule("REF-04")
@pytest.mark.parametrize("successor_first", [True, False], ids=["the successor first", "the retry first"])
def test_a_late_retry_beside_a_use_of_the_successor_is_two_hands_on_one_family(
    app: Flask, successor_first: bool
) -> None:
    with time_machine.travel(clock.now() / clock.SECOND, tick=False) as clockwork:
        family = Family(app)
        second = family.refresh(family.first)
        clockwork.shift(GRACE / clock.SECOND + 1)
        tokens = (second, family.first) if successor_first else (family.first, second)
        won, lost = overlapping(app, *(lambda token=token: outcome(family, token) for token in tokens))
        assert isinstance(won, str)
        assert isinstance(lost, WrongProof)
        assert not family.is_alive()


@pytest.mark.rule("REF-03")
def test_of_late_retries_at_once_a_few_are_answered_and_none_is_replaced_by_another(app: Flask) -> None:
    with time_machine.travel(clock.now() / clock.SECOND, tick=False) as clockwork:
        family = Family(app)
        family.refresh(family.first)
        clockwork.shift(GRACE / clock.SECOND + 1)

        def retry() -> object:
            with database.writing():
                return outcome(family, family.first)

        answers = at_once(app, *[retry] * 8)
        given = [answer for answer in answers if isinstance(answer, str)]
        assert len(given) == MOST_ANSWERS
        assert {type(answer) for answer in answers} == {str, InvalidGrant}
        assert all(family.refresh(token) for token in given)
