"""Notices: what people are told of, once, in the order in which it happened, and who is told of nothing."""

import contextlib
import threading
from collections.abc import Iterator

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from idp.app import start
from idp.audit import events, seal, trail
from idp.audit.trail import Actor
from idp.cli.worker import CHORES
from idp.credentials import factors, passwords, recovery_codes
from idp.login import changing_factors
from idp.notices import notices, telling
from idp.notices.models import Position
from idp.notices.notices import NOTICES
from idp.organizations import grants, memberships, organizations, ownership, scopes, teams
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.memberships import NewMember
from idp.organizations.organizations import OrganizationSettings
from idp.organizations.teams import TeamSettings
from idp.platform import clock, correlation, database, letters
from idp.platform.correlation import Origin
from idp.platform.outbox import Letter
from idp.users import addresses, lifecycle, operators, users
from idp.users.users import UserSettings
from tests import mailboxes, once
from tests.actors import GOOD, Browser
from tests.patience import come_back
from tests.traces import OPERATOR

BOB = Actor("user", "usr_bob")
MAIL = "bob@northwind.test"
HASHED, ANOTHER = once.hashed(GOOD), once.hashed("another good long password")
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@contextlib.contextmanager
def a_request(agent: str = FIREFOX) -> Iterator[None]:
    """What one request, or one command, changes."""
    with correlation.working_for(Origin(user_agent=agent)), database.writing():
        yield


def somebody(username: str, /, *, verified: bool = True, **claims: str) -> str:
    with a_request():
        given = UserSettings(username, claims)
        mail = f"{username}@northwind.test"
        made = users.create(given, id=f"usr_{username}", email=mail, verified=verified, by=OPERATOR).id
        passwords.store(made, HASHED, by=OPERATOR)
        return made


@pytest.fixture
def bob(app: Flask) -> str:
    return somebody("bob", name="Bob", zoneinfo="Asia/Tokyo", locale="de")


def told(limit: int = telling.BATCH) -> list[Letter]:
    """The letters that come of what has happened until now, and of what had happened before."""
    with database.writing():
        while seal.seal_batch():
            pass
    with database.writing():
        while telling.tell(limit):
            pass
    return mailboxes.letters()


def templates(found: list[Letter]) -> list[tuple[str, str]]:
    return [(letter.to.partition("@")[0], letter.template) for letter in found]


# The list


@pytest.mark.parametrize("notice", NOTICES, ids=lambda notice: f"{notice.event}-{notice.template}")
def test_the_list_speaks_of_events_letters_and_pages_that_there_are(app: Flask, notice: notices.Notice) -> None:
    assert notice.event in events.EVENTS
    assert notice.template in letters.known()
    assert app.url_map.bind("localhost").match(notice.path, method="GET")
    assert set(notice.not_with) <= set(events.EVENTS)


def test_every_notice_of_the_table_is_posted_by_something() -> None:
    source = (letters.resources.folder("templates") / "mail" / "facts.toml").read_text()
    listed = source.partition("# Notices")[2].partition("# Nothing but")[0]
    assert {notice.template for notice in NOTICES} == set(letters.tomllib.loads(listed.partition("\n")[2]))


# What people are told


def test_who_changes_a_password_is_told_at_the_primary_address_on_their_own_clock(bob: str) -> None:
    with a_request():
        passwords.store(bob, ANOTHER, by=BOB)
    (letter,) = told()
    assert (letter.to, letter.template, letter.language, letter.zone) == (
        MAIL,
        "password_changed",
        "de",
        "Asia/Tokyo",
    )
    assert letter.facts["device"] == "Firefox, Linux"
    assert letter.facts["who"] == "self"
    assert letter.path == "/me/security"
    assert letter.not_me.startswith("/not-me/")


def test_nobody_is_told_twice(bob: str) -> None:
    with a_request():
        passwords.store(bob, ANOTHER, by=BOB)
    assert len(told()) == 1
    assert len(told()) == 1


def test_what_operators_do_is_told_without_saying_where_they_are_and_cannot_be_undone_by_a_link(bob: str) -> None:
    with a_request():
        passwords.store(bob, ANOTHER, by=OPERATOR)
    (letter,) = told()
    assert letter.facts["who"] == "operator"
    assert "device" not in letter.facts
    assert letter.not_me == ""


def test_the_making_of_a_person_is_told_to_nobody(app: Flask) -> None:
    somebody("bob")
    assert told() == []


def test_an_address_that_nobody_proved_hears_nothing(app: Flask) -> None:
    somebody("bob", verified=False)
    with a_request():
        passwords.store("usr_bob", ANOTHER, by=BOB)
    assert told() == []


def test_who_is_deleted_is_told_nothing(bob: str) -> None:
    with a_request():
        passwords.store(bob, ANOTHER, by=BOB)
    with a_request():
        lifecycle.delete(users.find(bob), by=OPERATOR)
    assert told() == []


def test_a_sign_in_in_a_new_browser_is_told_and_not_the_next_one_there(app: Flask, bob: str) -> None:
    browser = Browser(app)
    browser.sign_in("bob")
    assert templates(told()) == [("bob", "new_sign_in")]
    browser.send(browser.get("/logout"), "logout-confirm")
    browser.sign_in("bob")
    assert templates(told()) == [("bob", "new_sign_in")]
    Browser(app).sign_in("bob")
    assert templates(told()) == [("bob", "new_sign_in")] * 2


def test_the_link_for_whoever_did_not_do_it_works(app: Flask, bob: str) -> None:
    Browser(app).sign_in("bob")
    (letter,) = told()
    assert Browser(app).get(letter.not_me).status == 200


@pytest.mark.parametrize("kind", ["passkey", "totp", "email_code"])
def test_ways_to_prove_oneself_that_come_and_go_are_told(bob: str, kind: str) -> None:
    with a_request():
        added = factors.add(bob, kind, "Mine", by=BOB)  # type: ignore[arg-type]
    with a_request():
        factors.end(bob, added.id, by=BOB)
    found = told()
    assert templates(found) == [("bob", "factor_added"), ("bob", "factor_removed")]
    assert [letter.facts["kind"] for letter in found] == [kind, kind]


def test_recovery_codes_that_are_made_and_used_are_told(bob: str) -> None:
    with a_request():
        codes = recovery_codes.make(bob, by=BOB)
    with a_request():
        assert recovery_codes.use(bob, codes[0])
    found = told()
    assert templates(found) == [("bob", "codes_made"), ("bob", "code_used")]
    assert found[1].facts["left"] == 9


def test_a_reset_is_one_letter_with_its_reason_and_not_one_a_factor(bob: str) -> None:
    with a_request():
        factors.add(bob, "totp", "Phone", by=BOB)
        factors.add(bob, "passkey", "Key", by=BOB)
    told()
    with a_request():
        changing_factors.reset(bob, "lost it all", by=OPERATOR)
    found = told()
    assert templates(found)[2:] == [("bob", "factor_reset_done")]
    assert found[-1].facts["reason"] == "lost it all"


def test_a_passkey_that_went_back_is_told(bob: str) -> None:
    with a_request():
        trail.record("user.passkey.went.back", by=trail.SYSTEM, subject=bob, after={"factor": "fact_1"})
    assert templates(told()) == [("bob", "passkey_went_back")]


def test_addresses_that_an_operator_changes_are_told_to_the_old_one_too(bob: str) -> None:
    with a_request():
        user = users.find(bob)
        new = addresses.add(user, "robert@northwind.test", verified=True, by=OPERATOR)
    with a_request():
        addresses.make_primary(users.find(bob), addresses.find(bob, new.id), by=OPERATOR)
    with a_request():
        addresses.remove(users.find(bob), addresses.find(bob, MAIL), by=OPERATOR)
    assert templates(told()) == [
        ("robert", "address_added"),
        ("robert", "address_primary"),
        ("bob", "address_primary"),
        ("robert", "address_removed"),
        ("bob", "address_removed"),
    ]


@pytest.mark.rule("LOG-05")
def test_somebody_whose_sign_ins_are_held_back_is_told_at_most_once_an_hour(bob: str) -> None:
    def held_back() -> None:
        with a_request():
            trail.record("signin.held.back", by=trail.SYSTEM, subject=bob)
            trail.record("signin.held.back", by=trail.SYSTEM, subject="typed:0123456789abcdef")

    held_back()
    held_back()
    assert templates(told()) == [("bob", "sign_in_held_back")]
    later = clock.now() / clock.SECOND
    with time_machine.travel(later + 3_000, tick=False):
        held_back()
        assert len(told()) == 1
    with time_machine.travel(later + 3_700, tick=False):
        held_back()
        assert len(told()) == 2


# Organizations


@pytest.fixture
def northwind(bob: str) -> str:
    """An organization that Olivia owns, and Sam is a super admin of; Bob is a member."""
    start()
    for name in ("olivia", "sam"):
        somebody(name, name=name.title())
    with a_request():
        organizations.found(OrganizationSettings("northwind", "Northwind"), "usr_olivia", id="org_n", by=OPERATOR)
    with a_request():
        for name in ("sam", "bob"):
            memberships.add("org_n", NewMember(f"usr_{name}", id=f"mem_{name}"), by=OPERATOR)
    grant("super_admin", "mem_sam")
    told()
    with database.writing():
        for letter in database.session().scalars(select(mailboxes.StoredLetter)):
            database.session().delete(letter)
    return "org_n"


def grant(role: str, grantee: str, by: Actor = OPERATOR) -> None:
    with a_request():
        kind = "member" if grantee.startswith("mem_") else "team"
        grants.grant(Wanted(Grantee(kind, grantee), role, scopes.named("northwind")), by=by)


def test_the_founding_of_an_organization_is_told_to_nobody(app: Flask, bob: str) -> None:
    start()
    with a_request():
        organizations.found(OrganizationSettings("northwind", "Northwind"), bob, id="org_n", by=OPERATOR)
    assert told() == []


def test_a_role_that_gives_power_over_others_is_told_and_an_ordinary_one_is_not(northwind: str) -> None:
    grant("view_only", "mem_bob")
    assert told() == []
    grant("iam_admin", "mem_bob", by=Actor("user", "usr_olivia"))
    (letter,) = told()
    assert (letter.to, letter.template) == (MAIL, "role_granted")
    assert letter.facts["organization"] == "Northwind"
    assert letter.facts["who"] == "somebody"


def test_every_super_admin_is_told_of_another_one(northwind: str) -> None:
    grant("super_admin", "mem_bob")
    found = templates(told())
    assert sorted(found) == [("bob", "role_granted"), ("olivia", "super_admin_added"), ("sam", "super_admin_added")]


def in_a_team(*members: str) -> str:
    with a_request():
        team = teams.create("org_n", TeamSettings("support", "Support"), by=OPERATOR).id
    with a_request():
        teams.add("org_n", team, members, by=OPERATOR)
    return team


def test_a_role_that_gives_power_to_a_team_is_told_to_everybody_in_it(northwind: str) -> None:
    team = in_a_team("mem_bob", "mem_sam")
    grant("view_only", team)
    assert told() == []
    grant("iam_admin", team)
    assert sorted(templates(told())) == [("bob", "role_granted"), ("sam", "role_granted")]


def test_who_is_put_into_a_team_with_power_is_told_of_its_roles_and_the_others_are_not(northwind: str) -> None:
    team = in_a_team("mem_sam")
    for role in ("view_only", "iam_admin", "analyst"):
        grant(role, team)
    before = len(told())
    with a_request():
        teams.add("org_n", team, ["mem_bob"], by=OPERATOR)
    (letter,) = told()[before:]
    assert (letter.to, letter.template) == (MAIL, "role_granted")
    assert str(letter.facts["role"]) == "IAM admin"


def test_super_admins_by_way_of_a_team_are_told_to_the_others(northwind: str) -> None:
    team = in_a_team("mem_bob")
    grant("super_admin", team)
    found = told()
    names = [("bob", "role_granted"), ("olivia", "super_admin_added"), ("sam", "super_admin_added")]
    assert sorted(templates(found)) == names
    assert {letter.facts["person"] for letter in found if letter.template == "super_admin_added"} == {"Support"}
    somebody("dana", name="Dana")
    with a_request():
        memberships.add("org_n", NewMember("usr_dana", id="mem_dana"), by=OPERATOR)
    with a_request():
        teams.add("org_n", team, ["mem_dana"], by=OPERATOR)
    later = told()[len(found) :]
    assert sorted(templates(later)) == [
        ("bob", "super_admin_added"),
        ("dana", "role_granted"),
        ("olivia", "super_admin_added"),
        ("sam", "super_admin_added"),
    ]
    assert {letter.facts["person"] for letter in later if letter.template == "super_admin_added"} == {"Dana"}


def test_every_super_admin_is_told_of_another_owner(northwind: str) -> None:
    with a_request():
        ownership.transfer(northwind, "mem_sam", by=OPERATOR)
    found = told()
    assert sorted(templates(found)) == [("sam", "owner_changed")]
    assert found[0].facts["person"] == "Sam"


def test_operators_are_told_of_another_one(bob: str) -> None:
    somebody("olivia", name="Olivia")
    with a_request():
        operators.add(users.find(bob), by=OPERATOR)
    with a_request():
        operators.add(users.find("usr_olivia"), by=OPERATOR)
    assert sorted(templates(told())) == [("bob", "operator_added")] * 2 + [("olivia", "operator_added")] * 2


# Once, in order, whatever goes wrong


def test_a_notice_that_cannot_be_made_holds_up_no_other(bob: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> dict[str, str | int]:
        raise ZeroDivisionError

    broken = notices.Notice("user.password.set", "password_changed", facts=fails)
    monkeypatch.setitem(telling._BY_EVENT, "user.password.set", [broken])  # type: ignore[arg-type]
    with a_request():
        passwords.store(bob, ANOTHER, by=BOB)
    with a_request():
        recovery_codes.make(bob, by=BOB)
    assert templates(told()) == [("bob", "codes_made")]


def test_a_step_past_an_entry_without_its_letters_is_never_kept(bob: str) -> None:
    with a_request():
        passwords.store(bob, ANOTHER, by=BOB)
    with database.writing():
        while seal.seal_batch():
            pass
    with pytest.raises(ZeroDivisionError), database.writing():
        telling.tell()
        _ = 1 // 0
    assert mailboxes.letters() == []
    assert templates(told()) == [("bob", "password_changed")]


def test_nodes_that_tell_at_once_tell_each_notice_once_and_in_order(app: Flask, bob: str) -> None:
    for _ in range(8):
        with a_request():
            factors.add(bob, "passkey", "Phone", by=BOB)
        with a_request():
            recovery_codes.make(bob, by=BOB)
    with database.writing():
        while seal.seal_batch():
            pass

    def node() -> None:
        with app.app_context():
            while telling.is_behind():
                come_back(lambda: (telling.tell(3), None)[1])

    nodes = [threading.Thread(target=node) for _ in range(3)]
    for one in nodes:
        one.start()
    for one in nodes:
        one.join()
    assert templates(mailboxes.letters()) == [("bob", "factor_added"), ("bob", "codes_made")] * 8


def test_a_node_passes_while_another_one_tells(app: Flask, bob: str) -> None:
    if database.is_sqlite():
        assert database.session().scalar(select(Position.number)) is not None
        return
    with a_request():
        passwords.store(bob, ANOTHER, by=BOB)
    with database.writing():
        while seal.seal_batch():
            pass
    passed: list[int] = []

    def node() -> None:
        with app.app_context(), database.writing():
            passed.append(telling.tell())

    with database.writing():
        assert telling.tell()
        other = threading.Thread(target=node)
        other.start()
        other.join()
    assert passed == [0]


def test_a_worker_tells(app: Flask, bob: str) -> None:
    (chore,) = [one for one in CHORES if one.name == "notices"]
    with a_request():
        passwords.store(bob, ANOTHER, by=BOB)
    with database.writing():
        seal.seal_batch()
    assert chore.work() is False
    assert templates(mailboxes.letters()) == [("bob", "password_changed")]
