"""Resets of second factors: by who may, for a reason, and not before their privileged owner could stop it."""

from collections.abc import Callable, Iterator

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, update
from time_machine import Traveller

from idp.audit.trail import Actor
from idp.cli.worker import HANDLERS
from idp.credentials import held, mailed_links, passwords
from idp.credentials.mailed_links import LinkVoid
from idp.credentials.models import FactorReset
from idp.login import changing_addresses, factor_resets, helping
from idp.login.factor_resets import OperatorOnly, Reset
from idp.login.helping import BelongsElsewhere, NotOneself
from idp.organizations import locking, memberships, roles, teams
from idp.organizations.authority import MayNotGrant
from idp.organizations.models import RoleGrant
from idp.platform import clock, database, jobs
from idp.platform.errors import Invalid, NotFound
from idp.platform.outbox import Letter
from idp.sessions import browsers, people
from idp.sessions.proofs import Proof
from idp.users import addresses, lifecycle, operators, users
from tests import once
from tests.actors import GOOD, Browser, Page
from tests.mailboxes import letters
from tests.organizations.actors import (
    ACME,
    ADAM,
    BIRCH,
    BORIS,
    DAN,
    GREG,
    HOUSE,
    INA,
    IRIS,
    MIA,
    NICK,
    OLIVIA,
    OPS,
    SAM,
    VERA,
    X_GATE,
    ZOE,
    act,
    at,
    give,
    grant_of,
    member,
    overlapping,
    refused,
    role,
    take,
    to,
)  # fmt: skip
from tests.organizations.conftest import acme, settled  # noqa: F401 fixtures
from tests.phones import codes_of
from tests.proving import set_up
from tests.traces import OPERATOR, entries, events

HASHED = once.hashed(GOOD)
REASON = "lost her phone, and showed her passport"


@pytest.fixture(autouse=True)
def app(acme: Flask) -> Flask:  # noqa: F811
    return acme


@pytest.fixture
def clockwork() -> Iterator[Traveller]:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        yield clockwork  # type: ignore[misc]


def equipped(who: Actor) -> str:
    """Give somebody a password, an app and codes; their id."""
    act(passwords.store, who.id, HASHED)
    set_up(who.id), codes_of(who.id)
    return who.id


def asked(who: Actor, *, by: Actor = OPERATOR, at_once: bool = False, reason: str = REASON) -> Reset:
    with database.writing():
        return factor_resets.ask(who.id, reason, by=by, at_once=at_once)


def methods(who: Actor) -> set[str]:
    database.session().rollback()
    return set(held.methods(who.id))


def warnings(who: Actor) -> list[Letter]:
    return [one for one in letters() if one.template == "factor_reset_asked" and who.id[4:] in one.to]


def token_of(letter: Letter) -> str:
    return letter.path.rpartition("/")[2]


def work() -> None:
    """Do every job that is due."""
    worker = jobs.Worker(None, {factor_resets.KIND: HANDLERS[factor_resets.KIND]})  # type: ignore[arg-type]
    while worker.work_once():
        pass
    database.session().rollback()


FULL = {"password", "totp", "recovery_code"}

# Done at once


def test_of_most_people_it_is_done_at_once() -> None:
    equipped(NICK)
    with database.writing():
        browser, _ = browsers.begin()
        people.open_session(browser, NICK.id, (Proof("password", clock.now()),))
    done = asked(NICK, by=ADAM)
    assert (done.outcome, done.taken) == ("done", 1)
    assert methods(NICK) == {"password"}
    assert people.of_person(NICK.id) == []
    assert (warnings(NICK), factor_resets.waiting(NICK.id)) == ([], None)
    (entry,) = [one for one in entries(NICK.id) if one.event == "user.factors.reset"]
    assert (entry.actor_id, REASON in (entry.after_json or "")) == (ADAM.id, True)


def test_nobody_does_it_without_a_reason() -> None:
    equipped(NICK)
    for reason in ("", " \n\t", "\x00\u200b"):
        with refused(Invalid):
            factor_resets.ask(NICK.id, reason, by=ADAM)
    assert methods(NICK) == FULL


# Who may


@pytest.mark.rule("TOT-08")
@pytest.mark.parametrize(
    ("by", "refusal"),
    [(MIA, NotFound), (GREG, NotFound), (DAN, NotFound), (ZOE, NotFound), (BORIS, NotFound), (HOUSE, NotOneself)],
    ids=["of an account", "of a group", "a developer", "nobody", "another organization's", "a program"],
)
def test_whoever_does_not_manage_members_resets_nobody(by: Actor, refusal: type[Exception]) -> None:
    equipped(NICK)
    with refused(refusal):  # type: ignore[arg-type]
        factor_resets.ask(NICK.id, REASON, by=by)
    assert methods(NICK) == FULL


@pytest.mark.rule("TOT-08")
def test_nobody_resets_themselves() -> None:
    equipped(SAM)
    with refused(NotOneself):
        factor_resets.ask(SAM.id, REASON, by=SAM)


@pytest.mark.rule("TOT-08")
@pytest.mark.parametrize(
    ("by", "whom"),
    [(ADAM, SAM), (ADAM, OLIVIA), (IRIS, ADAM), (IRIS, SAM), (IRIS, OLIVIA)],
    ids=["admin: super admin", "admin: owner", "iam: admin", "iam: super admin", "iam: owner"],
)
def test_nobody_resets_who_holds_more_than_they_may_grant(by: Actor, whom: Actor) -> None:
    equipped(whom)
    with refused(MayNotGrant):
        factor_resets.ask(whom.id, REASON, by=by)
    assert methods(whom) == FULL


@pytest.mark.rule("TOT-08")
@pytest.mark.parametrize("scope", ["acct_de", "agrp_eu", ACME])
def test_what_is_held_anywhere_counts(scope: str) -> None:
    equipped(NICK)
    give(to(NICK, "admin", at(scope)))
    with refused(MayNotGrant):
        factor_resets.ask(NICK.id, REASON, by=IRIS)
    assert asked(NICK, by=SAM).outcome == ""


@pytest.mark.rule("TOT-08")
def test_a_privileged_role_of_the_organizations_own_takes_who_holds_all_of_it() -> None:
    equipped(NICK)
    give(to(NICK, "x_gate"))
    with refused(MayNotGrant):
        factor_resets.ask(NICK.id, REASON, by=IRIS)
    assert asked(NICK, by=ADAM).outcome == ""


@pytest.mark.rule("TOT-08")
def test_a_super_admin_resets_a_super_admin() -> None:
    equipped(OLIVIA)
    assert asked(OLIVIA, by=SAM).outcome == ""


@pytest.mark.rule("TOT-08")
@pytest.mark.parametrize("whose", ["active", "suspended", "an operator"])
def test_who_belongs_elsewhere_too_is_the_operators_to_reset(whose: str) -> None:
    who = NICK if whose == "an operator" else VERA
    equipped(who)
    if whose == "an operator":
        act(operators.add, users.find(NICK.id))
    if whose == "suspended":
        act(memberships.suspend, BIRCH, "mem_vera_of_birch")
    for by in (OLIVIA, SAM):
        with refused(BelongsElsewhere):
            factor_resets.ask(who.id, REASON, by=by)
    assert asked(who, at_once=True).outcome == "done"


@pytest.mark.rule("TOT-08")
def test_an_invitation_elsewhere_is_nothing_and_one_here_is_not_enough() -> None:
    equipped(NICK), equipped(INA)
    act(memberships.add, BIRCH, memberships.NewMember(NICK.id, "invited"))
    assert asked(NICK, by=ADAM).outcome == "done"
    with refused(NotFound):
        factor_resets.ask(INA.id, REASON, by=OLIVIA)


# Privileged people are warned


@pytest.mark.rule("TOT-08")
def test_privileged_people_are_warned_for_a_day(clockwork: Traveller) -> None:
    equipped(IRIS)
    waiting = asked(IRIS, by=SAM)
    assert (waiting.outcome, waiting.due_at - clock.now()) == ("", 24 * clock.HOUR)
    (letter,) = warnings(IRIS)
    assert (letter.to, letter.facts["reason"], letter.facts["by"]) == ("iris@example.com", REASON, "sam")
    assert letter.path.startswith("/login/keep/")
    clockwork.shift(24 * 3600 - 1)
    work()
    assert methods(IRIS) == FULL
    clockwork.shift(1)
    work()
    assert methods(IRIS) == {"password"}
    (entry,) = [one for one in entries(IRIS.id) if one.event == "user.factors.reset"]
    assert entry.actor_id == SAM.id


def demote_by_grant() -> None:
    take(grant_of(NICK, "x_gate"), by=ADAM)


def demote_by_team() -> None:
    act(teams.remove, ACME, OPS, "mem_nick", by=ADAM)


def demote_by_removal() -> None:
    act(memberships.remove, ACME, "mem_nick", by=ADAM)
    act(memberships.add, ACME, memberships.NewMember(NICK.id))


def demote_by_role() -> None:
    act(roles.change, ACME, X_GATE, role("x_gate", "refunds.write"), by=ADAM)


def demote_by_deletion() -> None:
    act(roles.delete, ACME, X_GATE, by=ADAM)


def demote_by_expiry() -> None:
    with database.writing():
        database.session().execute(update(RoleGrant).values(expires_at=clock.now()))


@pytest.mark.rule("TOT-08")
@pytest.mark.parametrize(
    "demote",
    [demote_by_grant, demote_by_team, demote_by_removal, demote_by_role, demote_by_deletion, demote_by_expiry],
)
def test_who_is_demoted_is_warned_for_a_day_all_the_same(clockwork: Traveller, demote: Callable[[], None]) -> None:
    act(teams.add, ACME, OPS, ["mem_nick"])
    give(to(OPS if demote is demote_by_team else NICK, "x_gate"))
    clockwork.shift(7 * 24 * 3600)
    demote()
    assert asked(NICK).outcome == ""
    act(factor_resets.cancel, NICK.id)
    clockwork.shift(24 * 3600)
    assert asked(NICK).outcome == "done"


@pytest.mark.rule("TOT-08")
def test_a_clock_that_is_set_back_neither_hurries_it_nor_loses_it(clockwork: Traveller) -> None:
    equipped(IRIS)
    asked(IRIS, by=SAM)
    clockwork.shift(24 * 3600)

    def late(claim: jobs.Claim) -> None:
        clockwork.shift(-60)
        HANDLERS[factor_resets.KIND](claim)

    assert jobs.Worker(None, {factor_resets.KIND: late}).work_once()  # type: ignore[arg-type]
    assert methods(IRIS) == FULL
    clockwork.shift(60)
    work()
    assert methods(IRIS) == {"password"}


@pytest.mark.rule("TOT-08")
def test_the_operator_waits_too_unless_told_not_to() -> None:
    equipped(IRIS), equipped(ZOE)
    act(operators.add, users.find(ZOE.id))
    assert [asked(who).outcome for who in (IRIS, ZOE)] == ["", ""]
    with refused(OperatorOnly):
        factor_resets.ask(IRIS.id, REASON, by=SAM, at_once=True)
    assert methods(IRIS) == FULL
    assert asked(IRIS, at_once=True).outcome == "done"
    said = [one.after_json or "" for one in entries(IRIS.id) if one.event == "user.factors.reset.asked"]
    assert ['"at_once": true' in one for one in said] == [False, True]
    with refused(LinkVoid):
        factor_resets.cancel_by_link(token_of(warnings(IRIS)[0]))


def test_every_address_that_counts_is_warned() -> None:
    equipped(IRIS)
    with database.writing():
        for text, verified in (("iris.2@example.com", True), ("iris.3@example.com", False)):
            addresses.add(users.find(IRIS.id), text, verified=verified, by=OPERATOR)
    asked(IRIS, by=SAM)
    assert sorted(one.to for one in warnings(IRIS)) == ["iris.2@example.com", "iris@example.com"]


def test_asking_twice_is_asking_once(clockwork: Traveller) -> None:
    equipped(IRIS)
    first = asked(IRIS, by=SAM)
    clockwork.shift(3600)
    assert asked(IRIS, by=OLIVIA) == first
    assert len(warnings(IRIS)) == 1


def test_of_two_who_ask_at_once_one_begins(app: Flask) -> None:
    equipped(IRIS)
    done = overlapping(
        app,
        lambda: factor_resets.ask(IRIS.id, REASON, by=SAM),
        lambda: factor_resets.ask(IRIS.id, REASON, by=OLIVIA),
    )
    assert done[0] == done[1]
    assert events(IRIS.id).count("user.factors.reset.asked") == 1


# Calling it off


@pytest.mark.rule("TOT-08", "RST-04")
def test_the_link_calls_it_off_by_a_button_and_once(app: Flask, clockwork: Traveller) -> None:
    equipped(IRIS)
    asked(IRIS, by=SAM)
    (letter,) = warnings(IRIS)
    browser = Browser(app)
    for method in ("GET", "HEAD"):
        assert browser.client.open(letter.path, method=method).status_code == 200
    assert factor_resets.waiting(IRIS.id) is not None
    page = browser.get(letter.path)
    assert (page.heading, "iris" in page.text, page.response.headers["Referrer-Policy"]) == (
        "Keep your second factors?",
        True,
        "no-referrer",
    )
    assert browser.send(page, "keep-submit").heading == "You keep your second factors"
    assert (browser.send(page, "keep-submit").status, browser.get(letter.path).status) == (410, 410)
    clockwork.shift(25 * 3600)
    work()
    assert methods(IRIS) == FULL
    assert events(IRIS.id).count("user.factors.reset.cancelled") == 1


@pytest.mark.rule("TOT-08")
def test_a_link_is_of_no_use_without_its_token_or_for_anything_else() -> None:
    equipped(IRIS)
    reset_id = asked(IRIS, by=SAM).id
    with database.writing():
        other = mailed_links.make("not_me", IRIS.id, "", "", lifetime=clock.HOUR, rests_on=reset_id)
    for token in ("", "clink_x", other):
        with refused(LinkVoid):
            factor_resets.cancel_by_link(token)
    assert factor_resets.waiting(IRIS.id) is not None


@pytest.mark.rule("TOT-08")
def test_whoever_may_ask_may_call_it_off_and_nobody_else() -> None:
    equipped(IRIS)
    asked(IRIS, by=SAM)
    for by, refusal in ((IRIS, NotOneself), (DAN, NotFound), (BORIS, NotFound)):
        with refused(refusal):
            factor_resets.cancel(IRIS.id, by=by)
    act(factor_resets.cancel, IRIS.id, by=ADAM)
    with refused(NotFound):
        factor_resets.cancel(IRIS.id, by=ADAM)
    assert asked(IRIS, by=SAM).outcome == ""


def test_of_calling_off_and_carrying_out_at_once_one_happens(app: Flask, clockwork: Traveller) -> None:
    equipped(IRIS)
    waiting = asked(IRIS, by=SAM)
    token = token_of(warnings(IRIS)[0])
    with database.writing():
        database.session().execute(update(FactorReset).values(due_at=clock.now()))
    done = overlapping(app, lambda: factor_resets.carry_out(waiting.id), lambda: factor_resets.cancel_by_link(token))
    row = database.session().scalars(select(FactorReset), execution_options={"populate_existing": True}).one()
    outcomes = {"done": {"password"}, "cancelled": FULL}
    assert methods(IRIS) == outcomes[row.outcome or ""]
    assert done


# Asked again when it is due


@pytest.mark.rule("TOT-08")
@pytest.mark.parametrize("change", ["asker demoted", "asker disabled", "person left", "person promoted", "deleted"])
def test_whoever_may_no_more_when_it_is_due_has_it_called_off(clockwork: Traveller, change: str) -> None:
    equipped(IRIS)
    by = OPERATOR if change == "deleted" else ADAM
    asked(IRIS, by=by)
    clockwork.shift(24 * 3600)
    if change == "asker demoted":
        take(grant_of(ADAM, "admin"))
    if change == "asker disabled":
        act(lifecycle.disable, users.find(ADAM.id))
    if change == "person left":
        act(memberships.remove, ACME, member(IRIS))
    if change == "person promoted":
        give(to(IRIS, "super_admin"))
    if change == "deleted":
        act(lifecycle.delete, users.find(IRIS.id))
    work()
    assert (factor_resets.waiting(IRIS.id), "user.factors.reset" in events(IRIS.id)) == (None, False)
    assert events(IRIS.id).count("user.factors.reset.cancelled") == 1
    if change != "deleted":
        assert methods(IRIS) == FULL


def test_why_it_was_asked_for_is_forgotten_with_the_person() -> None:
    for who in (NICK, IRIS):
        asked(who)
    act(lifecycle.delete, users.find(NICK.id))
    kept = database.session().execute(select(FactorReset.user_id, FactorReset.reason))
    assert dict(list(kept)) == {NICK.id: "", IRIS.id: REASON}


def test_organizations_are_locked_at_once_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[set[str]] = []
    lock = locking.lock
    monkeypatch.setattr(locking, "lock", lambda *ids: (taken.append(set(ids)), lock(*ids)))
    with refused(BelongsElsewhere):
        factor_resets.ask(VERA.id, REASON, by=OLIVIA)
    assert taken == [{ACME, BIRCH}]


def test_a_restore_calls_off_what_waits(clockwork: Traveller) -> None:
    equipped(IRIS)
    asked(IRIS, by=SAM)
    with database.writing():
        assert factor_resets.cancel_all() == 1
    clockwork.shift(25 * 3600)
    work()
    assert methods(IRIS) == FULL


def test_who_is_privileged() -> None:
    found = [who for who in (OLIVIA, SAM, ADAM, IRIS, MIA, DAN, VERA, NICK, ZOE) if helping.is_privileged(who.id)]
    assert found == [OLIVIA, SAM, ADAM, IRIS, MIA]


def test_the_page_looks_the_same_for_every_link_that_cannot_be_used(app: Flask, clockwork: Traveller) -> None:
    equipped(IRIS)
    asked(IRIS, by=SAM)
    (letter,) = warnings(IRIS)
    clockwork.shift(24 * 3600)
    pages: list[Page] = [Browser(app).get(path) for path in (letter.path, "/login/keep/clink_nothing")]
    assert [(page.status, page.heading) for page in pages] == [(410, "This link cannot be used any more")] * 2


@pytest.mark.rule("TOT-08")
@pytest.mark.usefixtures("acme")
def test_an_address_that_was_just_proven_does_not_call_it_off() -> None:
    equipped(IRIS)
    with database.writing():
        changing_addresses.prove(IRIS.id, "thief@evil.test", by=IRIS)
    asked(IRIS, by=ADAM)
    assert [one.to for one in letters() if one.template == "factor_reset_asked"] == ["iris@example.com"]
