"""Refresh tokens: each use brings a successor; a lost answer is answered again; theft ends the family."""

import pytest
import time_machine
from flask import Flask

from idp.clients.registered import RegisteredClient
from idp.oauth import active_clients, authorizations, refresh_tokens
from idp.oauth.authorizations import LiveAuthorization
from idp.oauth.errors import InvalidGrant, WrongProof
from idp.oauth.refresh_tokens import GRACE, MOST_ANSWERS
from idp.platform import clock, database
from tests.oauth.decisions import decide, shop, somebody
from tests.traces import entries, events, losses


class Family:
    """The tokens of one authorization, and whoever refreshes with them."""

    def __init__(self, app: Flask, *, public: bool = False, **decided: object) -> None:
        self.alice = somebody()
        self.client_id = shop(app, public=public).id
        self.id = decide(self.alice, self.client_id, **decided)
        with database.writing():
            self.first = refresh_tokens.begin(self.authorization(), self.client())

    def client(self) -> RegisteredClient:
        client = active_clients.find(self.client_id)
        assert client
        return client

    def authorization(self) -> LiveAuthorization:
        found = authorizations.find_live(self.id)
        assert found
        return found

    def is_alive(self) -> bool:
        database.session().rollback()
        return authorizations.find_live(self.id) is not None

    def refresh(self, presented: str) -> str:
        """The successor of `presented`."""
        with database.writing():
            token = refresh_tokens.find(presented)
            assert token
            return refresh_tokens.rotate(token, self.authorization(), self.client())

    def is_theft(self, presented: str) -> bool:
        """Whether presenting the token is taken for theft, and ends the family."""
        with pytest.raises(InvalidGrant) as caught:
            self.refresh(presented)
        assert isinstance(caught.value, WrongProof) == (not self.is_alive())
        return isinstance(caught.value, WrongProof)


def is_live(presented: str) -> bool:
    token = refresh_tokens.find(presented)
    return token is not None and authorizations.find_live(token.authorization_id) is not None


@pytest.fixture
def family(app: Flask) -> Family:
    return Family(app)


def test_every_use_brings_a_successor(family: Family) -> None:
    second = family.refresh(family.first)
    third = family.refresh(second)
    assert len({family.first, second, third}) == 3
    assert family.is_alive()


@pytest.mark.rule("REF-02")
def test_a_token_whose_successor_was_used_ends_the_family_at_any_time(family: Family) -> None:
    second = family.refresh(family.first)
    family.refresh(second)
    assert family.is_theft(family.first)
    assert events(family.alice.id)[-1] == "authorization.reuse"
    assert ("consent", {"sub": family.alice.id, "client_id": family.client_id}) in losses()


@pytest.mark.rule("REF-02")
@pytest.mark.parametrize("days", [0, 1, 20], ids=["at once", "a day later", "when it would have expired unused"])
def test_an_older_member_is_theft_however_old(family: Family, days: int) -> None:
    second = family.refresh(family.first)
    with time_machine.travel((clock.now() + 10 * clock.DAY) / clock.SECOND, tick=False) as clockwork:
        third = family.refresh(second)
        clockwork.shift(days * 86_400)
        assert family.is_theft(family.first)
        with pytest.raises(AssertionError):
            family.refresh(third)  # there is no authorization any more


def test_reuse_tells_the_owner_once(family: Family) -> None:
    family.refresh(family.refresh(family.first))
    with database.writing():
        token, client, authorization = refresh_tokens.find(family.first), family.client(), family.authorization()
    assert token
    for _ in range(3):
        with pytest.raises(WrongProof), database.writing():
            refresh_tokens.rotate(token, authorization, client)
    (told,) = [entry for entry in entries(family.alice.id) if entry.event == "authorization.reuse"]
    assert (told.actor_kind, told.actor_id) == ("client", family.client_id)
    assert family.id in (told.after_json or "")


@pytest.mark.rule("REF-03")
def test_within_the_grace_window_four_answers_are_given_and_more_revoke_nothing(family: Family) -> None:
    siblings = [family.refresh(family.first) for _ in range(MOST_ANSWERS)]
    assert len(set(siblings)) == MOST_ANSWERS == 4
    assert not family.is_theft(family.first)
    newest = [family.refresh(sibling) for sibling in siblings]
    assert family.is_theft(family.first)
    with database.writing():
        assert not any(is_live(token) for token in newest)


@pytest.mark.rule("REF-04")
def test_after_a_lost_answer_the_old_token_is_answered_again(family: Family) -> None:
    with time_machine.travel(clock.now() / clock.SECOND, tick=False) as clockwork:
        lost = family.refresh(family.first)
        clockwork.shift(GRACE / clock.SECOND - 1)
        sibling = family.refresh(family.first)
        clockwork.shift(2)
        found = family.refresh(family.first)
        assert family.refresh(found)
        assert len({lost, sibling, found}) == 3


@pytest.mark.rule("REF-04")
def test_late_retries_leave_one_way_on(family: Family) -> None:
    """What they replace is void; whoever shows that has a token that somebody else replaced (RFC 9700 §4.14.2)."""
    with time_machine.travel(clock.now() / clock.SECOND, tick=False) as clockwork:
        lost = family.refresh(family.first)
        for _ in range(3):
            clockwork.shift(GRACE / clock.SECOND + 1)
            found = family.refresh(family.first)
        with database.writing():
            stored = [refresh_tokens.find(token) for token in (lost, found)]
            assert [token is not None and token.ended_at is None for token in stored] == [False, True]
        assert family.is_theft(lost)


def test_a_late_retry_opens_a_new_window_for_those_who_retry_with_it(family: Family) -> None:
    with time_machine.travel(clock.now() / clock.SECOND, tick=False) as clockwork:
        family.refresh(family.first)
        clockwork.shift(GRACE / clock.SECOND + 1)
        again = [family.refresh(family.first) for _ in range(MOST_ANSWERS)]
        assert not family.is_theft(family.first)
        assert all(family.refresh(token) for token in again)


@pytest.mark.rule("REF-08")
@pytest.mark.parametrize(("public", "days"), [(False, 14), (True, 7)], ids=["confidential", "public"])
def test_an_unused_token_expires(app: Flask, public: bool, days: int) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        family = Family(app, public=public)
        clockwork.shift(days * 86_400 - 1)
        second = family.refresh(family.first)
        clockwork.shift(days * 86_400)
        assert not family.is_theft(second)


@pytest.mark.rule("REF-08")
def test_refreshing_does_not_move_the_absolute_end(app: Flask) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        family = Family(app, lifetime=10 * clock.DAY)
        end = clock.now() + 10 * clock.DAY
        newest = family.first
        for _ in range(3):
            with database.writing():
                token = refresh_tokens.find(newest)
            assert token
            assert token.expires_at == end
            clockwork.shift(3 * 86_400)
            newest = family.refresh(newest)
        clockwork.shift(86_400)
        assert not family.is_alive()


@pytest.mark.rule("REF-08")
def test_a_lost_answer_does_not_outlive_the_idle_end(app: Flask) -> None:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        family = Family(app)
        family.refresh(family.first)
        clockwork.shift(14 * 86_400)
        assert not family.is_theft(family.first)
