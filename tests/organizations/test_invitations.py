"""Invitations: for one address, once, for ten days, while their maker may still give what they bring."""

from datetime import UTC, datetime

import pytest
import time_machine
from flask import Flask

from idp.audit.trail import Actor
from idp.clients import clients
from idp.organizations import (
    domains,
    grants,
    invitation_limits,
    invitations,
    memberships,
    organizations,
    policies,
    roles,
)
from idp.organizations.invitation_limits import TooManyInvitations
from idp.organizations.invitations import InvitationVoid, Offered
from idp.organizations.models import Invitation
from idp.organizations.policies import PolicySettings
from idp.organizations.roles import RoleSettings
from idp.platform import clock, database
from idp.platform.errors import Conflict, Forbidden, Invalid, NotFound
from idp.users import addresses, lifecycle, users
from idp.users.users import UserSettings
from tests import mailboxes
from tests.organizations.actors import (
    ACME,
    BIRCH,
    BORIS,
    DAN,
    DE,
    EU,
    GREG,
    HOUSE,
    INA,
    IRIS,
    MIA,
    NICK,
    NORTH,
    OLIVIA,
    OSLO,
    ROBOT,
    SAM,
    VERA,
    X_DESK,
    ZOE,
    act,
    at,
    give,
    grant_of,
    refused,
    role,
    roles_of,
    state,
    take,
    to,
)
from tests.traces import OPERATOR, entries, events, losses


def invite(*offered: tuple[str, str], address: str = "zoe@example.com", by: Actor = OLIVIA) -> tuple[str, str]:
    """The id of a new invitation, and the token of its link."""
    wanted = [Offered(key, at(scope)) for key, scope in offered]
    invitation, token = act(invitations.invite, ACME, address, wanted, by=by)
    return invitation.id, token


def outcome(invitation_id: str) -> str | None:
    database.session().rollback()
    return database.session().get_one(Invitation, invitation_id).outcome


def test_who_is_invited_joins_with_the_roles_that_the_invitation_brings(acme: Flask) -> None:
    invitation, token = invite(("developer", DE), ("view_only", ACME), ("tax_analyst", EU))
    joined = act(invitations.accept, token, by=ZOE)
    assert memberships.status_of(joined) == "active"
    assert roles_of(ZOE) == {"view_only"}
    assert roles_of(ZOE, DE) == {"view_only", "developer", "tax_analyst"}
    made = grants.of_grantee(ACME, joined.id)
    assert {(one.made_by, one.source) for one in made} == {(OLIVIA.id, "invitation")}
    assert events(invitation) == ["invitation.created", "invitation.accepted"]
    assert outcome(invitation) == "accepted"
    assert losses() == []


def test_an_invitation_may_bring_no_role(acme: Flask) -> None:
    for by in (MIA, GREG, DAN):
        with refused(Forbidden):
            invitations.invite(ACME, "zoe@example.com", [], by=by)
    _, token = invite(by=IRIS)
    act(invitations.accept, token, by=ZOE)
    assert roles_of(ZOE) == set()


def test_the_link_is_kept_as_a_digest_and_the_address_beside_the_trail(acme: Flask) -> None:
    invitation, token = invite(("developer", DE))
    assert token.startswith("cinv_")
    assert token not in repr(state())
    [created] = entries(invitation)
    assert "zoe@example.com" not in f"{created.before_json}{created.after_json}"


@pytest.mark.rule("ORG-07")
def test_a_link_is_used_once(acme: Flask) -> None:
    _, token = invite(("developer", DE))
    joined = act(invitations.accept, token, by=ZOE)
    with refused(InvitationVoid):
        invitations.accept(token, by=ZOE)
    act(memberships.remove, ACME, joined.id)
    with refused(InvitationVoid):
        invitations.accept(token, by=ZOE)


def test_a_link_is_for_whoever_has_proven_the_address(acme: Flask) -> None:
    _, token = invite(("developer", DE), address="New@Example.com")
    made = act(users.create, UserSettings("newcomer"), email="new@example.com").id
    newcomer = Actor("user", made)
    for by in (ZOE, NICK, newcomer, HOUSE, OPERATOR):
        with refused(InvitationVoid):
            invitations.accept(token, by=by)
    with database.writing():
        user = users.find(made)
        addresses.verify(user, addresses.find(made, "new@example.com"), by=OPERATOR)
    act(invitations.accept, token, by=newcomer)
    assert roles_of(newcomer, DE) == {"developer"}


def test_an_address_that_was_given_up_proves_nothing(acme: Flask) -> None:
    _, token = invite(("developer", DE))
    with database.writing():
        addresses.remove(users.find(ZOE.id), addresses.find(ZOE.id, "zoe@example.com"), by=OPERATOR)
    with refused(InvitationVoid):
        invitations.accept(token, by=ZOE)


def test_an_address_that_another_organization_manages_is_proven_to_the_holder_of_the_domain_alone(acme: Flask) -> None:
    _, token = invite(("developer", DE), address="zoe@birch.example")
    with database.writing():
        addresses.add(users.find(ZOE.id), "zoe@birch.example", verified=True, by=OPERATOR)
        domain = domains.claim(BIRCH, "birch.example", by=OPERATOR)
        domains.confirm(BIRCH, domain.id, by=OPERATOR)
    with refused(InvitationVoid):
        invitations.accept(token, by=ZOE)
    _, theirs = act(invitations.invite, BIRCH, "zoe@birch.example", [], by=BORIS)
    act(invitations.accept, theirs, by=ZOE)
    act(invitations.accept, token, by=ZOE)


def test_a_link_dies_after_ten_days(acme: Flask) -> None:
    with time_machine.travel(datetime(2027, 1, 1, tzinfo=UTC), tick=False) as watch:
        _, late = invite(("developer", DE))
        _, early = invite(("developer", DE), address="nick@example.com")
        watch.shift(10 * 86_400 - 1)
        act(invitations.accept, early, by=NICK)
        assert len(invitations.in_organization(ACME)) == 1
        watch.shift(1)
        assert invitations.in_organization(ACME) == []
        with refused(InvitationVoid):
            invitations.accept(late, by=ZOE)


def test_a_revoked_link_is_dead(acme: Flask) -> None:
    invitation, token = invite(("developer", DE))
    for _ in range(2):
        act(invitations.revoke, ACME, invitation, by=IRIS)
    with refused(InvitationVoid):
        invitations.accept(token, by=ZOE)
    assert events(invitation) == ["invitation.created", "invitation.revoked"]


def test_revoking_takes_what_making_took(acme: Flask) -> None:
    on_de, _ = invite(("developer", DE))
    on_all, _ = invite(("developer", ACME), address="nick@example.com")
    for by in (DAN, GREG, NICK, ZOE, BORIS):
        with refused(Forbidden):
            invitations.revoke(ACME, on_all, by=by)
    with refused(Forbidden):
        invitations.revoke(ACME, on_all, by=MIA)
    act(invitations.revoke, ACME, on_de, by=MIA)


def test_an_accepted_invitation_is_not_revoked(acme: Flask) -> None:
    invitation, token = invite(("developer", DE))
    act(invitations.accept, token, by=ZOE)
    act(invitations.revoke, ACME, invitation, by=OLIVIA)
    assert outcome(invitation) == "accepted"
    assert roles_of(ZOE, DE) == {"developer"}


def test_another_invitation_to_the_same_address_replaces_the_first(acme: Flask) -> None:
    first, old = invite(("admin", ACME))
    _, new = invite(("developer", DE), address="ZOE@example.com")
    assert outcome(first) == "replaced"
    assert events(first) == ["invitation.created", "invitation.replaced"]
    with refused(InvitationVoid):
        invitations.accept(old, by=ZOE)
    act(invitations.accept, new, by=ZOE)
    assert roles_of(ZOE, DE) == {"developer"}
    assert roles_of(ZOE) == set()


@pytest.mark.parametrize("days", [0, 11], ids=["open", "expired"])
def test_an_invitation_is_sent_again_and_the_old_link_dies(acme: Flask, days: int) -> None:
    with time_machine.travel(datetime(2027, 1, 1, tzinfo=UTC)) as watch:
        first, old = invite(("developer", DE), ("view_only", EU))
        watch.shift(days * clock.DAY / clock.SECOND)
        again, new = act(invitations.resend, ACME, first, by=SAM)
        assert again.id != first
        assert again.expires_at == pytest.approx(clock.now() + invitations.LIFETIME, abs=clock.MINUTE)
        assert outcome(first) == "replaced"
        assert [(one.event, one.actor_id) for one in entries(first)][1:] == [("invitation.replaced", SAM.id)]
        with refused(InvitationVoid):
            invitations.accept(old, by=ZOE)
        act(invitations.accept, new, by=ZOE)
        assert roles_of(ZOE, DE) == {"developer", "view_only"}


def test_what_is_sent_again_is_offered_by_who_sends_it(acme: Flask) -> None:
    first, _ = invite(("developer", DE))
    for by in (DAN, NICK, ZOE, BORIS):
        with refused(Forbidden):
            invitations.resend(ACME, first, by=by)
    _, new = act(invitations.resend, ACME, first, by=MIA)
    act(memberships.suspend, ACME, "mem_mia")
    with refused(InvitationVoid):
        invitations.accept(new, by=ZOE)


def test_a_settled_invitation_is_not_sent_again(acme: Flask) -> None:
    accepted, token = invite(("developer", DE))
    act(invitations.accept, token, by=ZOE)
    revoked, _ = invite(("developer", DE), address="vera@example.com")
    act(invitations.revoke, ACME, revoked, by=OLIVIA)
    for settled in (accepted, revoked):
        with refused(Conflict):
            invitations.resend(ACME, settled, by=OLIVIA)
    with refused(NotFound):
        invitations.resend(BIRCH, accepted, by=OPERATOR)


def test_who_may_invite_to_one_account_alone_does_not_void_what_others_offered(acme: Flask) -> None:
    theirs, _ = invite(("admin", ACME))
    mine, _ = invite(("developer", DE), by=MIA)
    assert outcome(theirs) is None
    invite(("analyst", DE), by=MIA)
    assert outcome(mine) == "replaced"
    assert outcome(theirs) is None


@pytest.mark.rule("ORG-03")
@pytest.mark.parametrize("how", ["demoted", "suspended", "removed", "disabled", "role grew", "organization suspended"])
def test_a_maker_who_may_no_longer_give_it_voids_the_invitation(acme: Flask, how: str) -> None:
    _, token = invite(("x_desk", DE), by=IRIS)
    if how == "demoted":
        take(grant_of(IRIS, "iam_admin"))
    elif how == "suspended":
        act(memberships.suspend, ACME, "mem_iris")
    elif how == "removed":
        act(memberships.remove, ACME, "mem_iris")
    elif how == "disabled":
        act(lifecycle.disable, users.find(IRIS.id))
    elif how == "role grew":
        act(roles.change, ACME, X_DESK, role("x_desk", "refunds.write", "members.write"))
    else:
        act(organizations.suspend, ACME)
    with refused(InvitationVoid):
        invitations.accept(token, by=ZOE)


def test_an_api_client_invites_as_people_do(acme: Flask) -> None:
    with refused(Forbidden):
        invitations.invite(ACME, "zoe@example.com", [Offered("developer", at(DE))], by=HOUSE)
    give(to(ROBOT, "iam_admin"))
    _, token = invite(("developer", DE), by=HOUSE)
    act(clients.disable, clients.named(ROBOT))
    with refused(InvitationVoid):
        invitations.accept(token, by=ZOE)


@pytest.mark.rule("ORG-03")
def test_nobody_accepts_an_invitation_of_their_own(acme: Flask) -> None:
    _, token = invite(("developer", DE), address="sam@example.com", by=SAM)
    with refused(InvitationVoid):
        invitations.accept(token, by=SAM)


def test_a_member_gets_the_roles_and_an_invited_one_joins(acme: Flask) -> None:
    for who in (VERA, INA):
        _, token = invite(("tax_analyst", DE), address=f"{who.id[4:]}@example.com")
        act(invitations.accept, token, by=who)
    assert roles_of(VERA, DE) == {"view_only", "tax_analyst"}
    assert roles_of(INA, DE) == {"tax_analyst"}
    assert events("mem_ina")[-1] == "member.activated"


def test_a_suspended_member_does_not_come_back_by_an_invitation(acme: Flask) -> None:
    _, token = invite(("tax_analyst", DE), address="vera@example.com")
    act(memberships.suspend, ACME, "mem_vera")
    with refused(InvitationVoid):
        invitations.accept(token, by=VERA)


@pytest.mark.rule("ORG-07")
def test_who_was_removed_does_not_come_back_by_an_invitation_from_before(acme: Flask) -> None:
    _, before = invite(("tax_analyst", DE), address="vera@example.com")
    act(memberships.remove, ACME, "mem_vera")
    with refused(InvitationVoid):
        invitations.accept(before, by=VERA)
    _, after = invite(("tax_analyst", DE), address="vera@example.com")
    act(invitations.accept, after, by=VERA)


def test_what_cannot_be_granted_there_cannot_be_offered(acme: Flask) -> None:
    act(roles.create, ACME, RoleSettings("x_top", "Top", frozenset(), at_account=False))
    with refused(Invalid):
        invitations.invite(ACME, "zoe@example.com", [Offered("x_top", at(DE))], by=OLIVIA)
    with refused(Invalid):
        invitations.invite(ACME, "no address", [], by=OLIVIA)
    invitation, token = invite(("x_desk", DE))
    act(roles.change, ACME, X_DESK, RoleSettings("x_desk", "Desk", frozenset(), at_account=False))
    with refused(InvitationVoid):
        invitations.accept(token, by=ZOE)
    act(invitations.revoke, ACME, invitation, by=OLIVIA)
    assert outcome(invitation) == "revoked"


@pytest.mark.rule("ORG-11")
def test_another_organizations_invitation_role_or_scope_cannot_be_told_from_none(acme: Flask) -> None:
    theirs, token = act(invitations.invite, BIRCH, "zoe@example.com", [], by=BORIS)
    act(roles.create, BIRCH, role("x_theirs"), by=BORIS)
    for name in (theirs.id, "inv_none"):
        with refused(NotFound):
            invitations.revoke(ACME, name, by=OLIVIA)
    for key, scope in (("x_theirs", ACME), ("developer", OSLO), ("developer", NORTH), ("developer", BIRCH)):
        with refused(NotFound):
            invitations.invite(ACME, "zoe@example.com", [Offered(key, at(scope))], by=OPERATOR)
    assert invitations.in_organization(ACME) == []
    invite(("developer", DE))
    assert outcome(theirs.id) is None
    act(invitations.accept, token, by=ZOE)
    assert roles_of(ZOE, DE) == set()


def test_an_unknown_link_is_void(acme: Flask) -> None:
    for token in ("", "cinv_x", "\udcff"):
        with refused(InvitationVoid):
            invitations.accept(token, by=ZOE)


@pytest.mark.rule("ORG-10")
def test_a_closed_organization_takes_nobody_in(acme: Flask) -> None:
    new = act(organizations.found, organizations.OrganizationSettings("cedar", "Cedar"), NICK.id).id
    _, token = act(invitations.invite, new, "zoe@example.com", [], by=NICK)
    act(organizations.close, new)
    with refused(InvitationVoid):
        invitations.accept(token, by=ZOE)
    with refused(Conflict):
        invitations.invite(new, "vera@example.com", [], by=OPERATOR)


def test_a_cooling_role_of_an_invitation_cools_off_too(acme: Flask) -> None:
    act(policies.change, ACME, PolicySettings(cooling_off=3_600))
    _, token = invite(("developer", DE), ("view_only", DE))
    joined = act(invitations.accept, token, by=ZOE)
    assert roles_of(ZOE, DE) == {"view_only"}
    waits = {one.role_key: one.effective_from - one.started_at for one in grants.of_grantee(ACME, joined.id)}
    assert waits == {"developer": clock.HOUR, "view_only": 0}


# Letters


@pytest.mark.rule("HTT-09")
@pytest.mark.parametrize(
    "message",
    [
        "Look at https://evil.test/",
        "HTTP://evil.test",
        "see www.evil.test",
        "write to mailto:eve@evil.test",
        "x" * 501,
        "hidden\u202etext",
        "nothing\x00here",
    ],
)
def test_what_an_inviter_writes_carries_nothing_else(acme: Flask, message: str) -> None:
    with refused(Invalid):
        invitations.invite(ACME, "zoe@example.com", [], by=OLIVIA, message=message)


@pytest.mark.rule("HTT-09")
def test_what_an_inviter_writes_is_one_line_of_the_letter(acme: Flask) -> None:
    message = "Hello,\r\nBcc: all@example.com  \n\nZoë" + "!" * 400
    act(invitations.invite, ACME, "zoe@example.com", [], by=OLIVIA, message=message)
    letter = mailboxes.only("zoe@example.com", "invitation")
    assert letter.facts["message"] == "Hello, Bcc: all@example.com Zoë" + "!" * 400


def test_another_letter_says_what_its_sender_writes(acme: Flask) -> None:
    first, _ = act(invitations.invite, ACME, "zoe@example.com", [], by=OLIVIA, message="First")
    act(invitations.resend, ACME, first.id, by=SAM, message="Second")
    act(invitations.resend, ACME, _open_one(), by=OPERATOR)
    said = [(one.facts["inviter"], one.facts["message"]) for one in mailboxes.letters("zoe@example.com")]
    assert said == [("olivia", "First"), ("sam", "Second"), ("", "")]


def test_the_letter_names_a_client_that_invites(acme: Flask) -> None:
    give(to(ROBOT, "iam_admin"))
    invite(("tax_analyst", EU), by=HOUSE)
    letter = mailboxes.only("zoe@example.com", "invitation")
    assert (letter.facts["inviter"], letter.facts["roles"]) == ("Robot", "Tax analyst in the accounts of Europe")


@pytest.mark.rule("HTT-09")
@pytest.mark.parametrize("of", ["the address", "the inviter", "the organization"])
def test_only_so_many_letters_leave_within_an_hour(acme: Flask, monkeypatch: pytest.MonkeyPatch, of: str) -> None:
    monkeypatch.setattr(invitation_limits, "TO_ADDRESS", 3 if of == "the address" else 100)
    monkeypatch.setattr(invitation_limits, "OF_INVITER", 3 if of == "the inviter" else 100)
    monkeypatch.setattr(invitation_limits, "OF_ORGANIZATION", 3 if of == "the organization" else 100)
    one_inviter = of != "the organization"

    def invite_nth(number: int) -> None:
        address = "zoe@example.com" if of == "the address" else f"p{number}@example.com"
        invite(address=address, by=OLIVIA if one_inviter or number % 2 else SAM)

    with time_machine.travel(datetime(2027, 1, 1, tzinfo=UTC), tick=False) as watch:
        for number in range(3):
            invite_nth(number)
            watch.shift(60)
        with pytest.raises(TooManyInvitations) as told:
            invite_nth(3)
        assert told.value.retry_after == 3_600 - 180
        assert "57 minutes" in told.value.message
        invite(address="zoe@example.com" if of == "the address" else "p3@example.com", by=OPERATOR)
        if of != "the organization":
            invite(address="other@example.com", by=SAM)
        act(invitations.invite, BIRCH, "zoe@example.com", [], by=BORIS)
        watch.shift(3_600)
        invite_nth(3)


def _open_one() -> str:
    (found,) = invitations.in_organization(ACME)
    return found.id
