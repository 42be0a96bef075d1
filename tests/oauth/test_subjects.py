"""Subjects: what clients call people, and that every loss reaches each of these names."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import insert, select

from idp.clients.registered import RegisteredClient
from idp.feed import losses, positions
from idp.feed.models import Change
from idp.oauth import subjects
from idp.oauth.models import PairwiseSubject
from idp.platform import database
from idp.users import lifecycle, users
from idp.users.users import UserSettings
from tests.oauth.issuing import access_token, authorized, id_token, issuance_for, shop
from tests.oauth.minting import ACCESS, ID, make_keys
from tests.organizations.actors import DAN, OLIVIA, act, grant_of, take
from tests.traces import OPERATOR


def pairwise(id: str, host: str) -> RegisteredClient:
    """A client that wants names of its own for people."""
    return shop(
        id,
        subject_type="pairwise",
        redirect_uris=[f"https://{host}/cb"],
        id_token_signed_response_alg="ES256",
    )


def name_of(user_id: str, client: RegisteredClient) -> str:
    """What the client calls the person, made where it has no name yet."""
    with database.writing():
        return subjects.of(user_id, client)


def entries_since(position: int) -> list[dict[str, str]]:
    """What the feed says since then."""
    later = select(Change.selector).where(Change.position > position).order_by(Change.position)
    return [json.loads(selector) for selector in database.session().scalars(later)]


@pytest.mark.rule("JWT-11")
def test_a_person_has_one_name_in_a_sector_and_another_in_the_next(acme: Flask) -> None:
    public, one, same, other = (
        shop("app_0"),
        pairwise("app_1", "one.example.com"),
        pairwise("app_2", "one.example.com"),
        pairwise("app_3", "two.example.com"),
    )
    assert name_of(OLIVIA.id, public) == OLIVIA.id
    names = {name_of(person.id, client) for person in (OLIVIA, DAN) for client in (one, same, other)}
    assert len(names) == 4
    assert name_of(OLIVIA.id, one) == name_of(OLIVIA.id, same) != name_of(OLIVIA.id, other)
    assert not any("olivia" in name or "@" in name for name in names)


@pytest.mark.rule("JWT-11")
def test_a_name_leads_back_to_its_person_in_its_sector_alone(acme: Flask) -> None:
    public, one, other = shop("app_0"), pairwise("app_1", "one.example.com"), pairwise("app_3", "two.example.com")
    assert subjects.known(OLIVIA.id, one) is None
    name = name_of(OLIVIA.id, one)
    name_of(OLIVIA.id, other)
    assert subjects.known(OLIVIA.id, one) == name
    assert subjects.known(OLIVIA.id, public) == OLIVIA.id
    assert subjects.person(name, one) == OLIVIA.id
    assert subjects.person(name, other) is None
    assert subjects.person(OLIVIA.id, one) is None
    assert subjects.person(OLIVIA.id, public) == OLIVIA.id


@pytest.mark.rule("JWT-11")
def test_both_tokens_carry_the_name_of_the_sector(acme: Flask) -> None:
    make_keys(ACCESS, ID)
    client = pairwise("app_1", "one.example.com")
    issued = issuance_for(client, authorized(client, OLIVIA.id))
    name = subjects.known(OLIVIA.id, client)
    assert access_token(issued)["sub"] == id_token(issued)["sub"] == name
    assert OLIVIA.id not in json.dumps([access_token(issued), id_token(issued)])


@pytest.mark.rule("JWT-11")
def test_a_name_is_nobody_elses_after_its_person_was_deleted(acme: Flask) -> None:
    client = pairwise("app_1", "one.example.com")
    with database.writing():
        person = users.create(UserSettings("gone"), by=OPERATOR).id
    before = name_of(person, client)
    with database.writing():
        lifecycle.delete(users.find(person), by=OPERATOR)
    with database.writing():
        after = users.create(UserSettings("gone"), by=OPERATOR).id
    assert after != person
    assert name_of(after, client) != before
    assert subjects.known(person, client) == before


def test_two_requests_at_once_agree_on_a_name(acme: Flask) -> None:
    client = pairwise("app_1", "one.example.com")
    together = threading.Barrier(4)

    def ask(_: int) -> str:
        with acme.app_context():
            together.wait()
            return name_of(OLIVIA.id, client)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1


# The feed


@pytest.mark.rule("JWT-11")
def test_a_loss_reaches_every_name_of_its_person(acme: Flask) -> None:
    names = {name_of(OLIVIA.id, pairwise(f"app_{host}", f"{host}.example.com")) for host in ("one", "two")}
    name_of(DAN.id, pairwise("app_three", "three.example.com"))
    before = positions.head()
    with database.writing():
        losses.record("membership", sub=OLIVIA.id, org_id="org_acme")
        losses.record("session", sid="ses_1")
    found = entries_since(before)
    assert {entry["sub"] for entry in found if "sub" in entry} == {OLIVIA.id, *names}
    assert all(entry["org_id"] == "org_acme" for entry in found if "sub" in entry)
    assert {"sid": "ses_1"} in found
    assert len(found) == 4


def test_one_person_with_many_names_is_still_one_person(acme: Flask) -> None:
    """Otherwise the tokens of a whole organization, or of everybody, would be renewed for them."""
    with database.writing():
        rows = [{"sector": f"{n}.example.com", "user_id": OLIVIA.id, "subject": f"sub_{n}"} for n in range(101)]
        database.session().execute(insert(PairwiseSubject), rows)
    before = positions.head()
    with database.writing():
        losses.record("membership", sub=OLIVIA.id)
    assert {entry["sub"] for entry in entries_since(before)} == {OLIVIA.id, *(f"sub_{n}" for n in range(101))}


def test_what_names_a_client_names_the_person_as_that_client_does(acme: Flask) -> None:
    name_of(OLIVIA.id, pairwise("app_1", "one.example.com"))
    before = positions.head()
    with database.writing():
        losses.record("consent", sub=OLIVIA.id, client_id="app_0")
    assert entries_since(before) == [{"client_id": "app_0", "sub": OLIVIA.id}]


def test_the_token_of_a_sector_is_hit_by_what_its_person_lost(acme: Flask) -> None:
    make_keys(ACCESS, ID)
    client = pairwise("app_1", "one.example.com")
    said = access_token(issuance_for(client, authorized(client, DAN.id)))
    take(grant_of(DAN, "developer"))
    assert [said["sub"], DAN.id] == sorted((entry["sub"] for entry in entries_since(said["azv"])), key=DAN.id.__eq__)


def test_a_name_that_is_being_made_is_known_to_whoever_takes_something_away(acme: Flask) -> None:
    """Whichever comes first, the other waits: else the loss would miss the name, and its tokens would live on."""
    client = pairwise("app_1", "one.example.com")
    made, may_go_on = threading.Event(), threading.Event()

    def authorize() -> str:
        with acme.app_context(), database.writing():
            name = subjects.of(DAN.id, client)
            made.set()
            may_go_on.wait(0.5)
            return name

    def lose(act: Callable[[], None]) -> None:
        made.wait()
        with acme.app_context():
            act()

    before = positions.head()
    database.session().rollback()
    with ThreadPoolExecutor(2) as pool:
        naming, losing = pool.submit(authorize), pool.submit(lose, lambda: act(_lose))
        losing.result()
        may_go_on.set()
        assert {"sub": naming.result()} in entries_since(before)


def _lose(*, by: object) -> None:
    losses.record("membership", sub=DAN.id)
