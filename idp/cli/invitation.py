"""`idp invitation`: links by which people join organizations."""

from collections.abc import Sequence

import click

from idp.cli import naming
from idp.cli.door import Noun, operator
from idp.cli.output import Json, moment
from idp.organizations import invitation_words, invitations, listings, scopes
from idp.organizations.invitations import Offered
from idp.organizations.models import Invitation
from idp.platform import database
from idp.platform.errors import Invalid
from idp.platform.settings import settings

invitation = Noun("invitation", help="Invitations: single-use links for one address. ORG is an id or slug.")


_MESSAGE = click.option("--message", default="", help="What the letter says besides; no links, at most 500 characters.")
_PRINT_LINK = click.option(
    "--print-link",
    is_flag=True,
    help="Print the link, too. Whoever gets it from you counts as the owner of the address.",
)


@invitation.command("create")
@click.argument("organization", metavar="ORG")
@click.argument("addresses", nargs=-1, required=True, metavar="EMAIL…")
@click.option("--role", "roles", multiple=True, metavar="ROLE[@SCOPE]", help="A role; at the organization unless told.")
@_MESSAGE
@_PRINT_LINK
def create(organization: str, addresses: Sequence[str], roles: Sequence[str], message: str, print_link: bool) -> Json:
    """Invite people by a letter with a link. An open invitation to the same address is replaced."""
    by = operator()
    answer: list[Json] = []
    with database.writing():
        organization_id = naming.organization(organization)
        offered = [_offered(organization_id, text) for text in roles]
        for address in dict.fromkeys(addresses):
            made = invitations.invite(organization_id, address, offered, by=by, message=message)
            answer.append(_made(*made, print_link=print_link))
    return answer


@invitation.command("resend")
@click.argument("invitation_id", metavar="INVITATION")
@_MESSAGE
@_PRINT_LINK
def resend(invitation_id: str, message: str, print_link: bool) -> Json:
    """Invite the same address anew, by another letter, for ten more days: the old link is dead."""
    with database.writing():
        home = listings.home_of(invitation_id)
        made = invitations.resend(home, invitation_id, by=operator(), message=message)
        return _made(*made, print_link=print_link)


@invitation.command("get")
@click.argument("invitation_id", metavar="INVITATION")
def get(invitation_id: str) -> Json:
    """One invitation, open or settled, by its id."""
    return view(invitation_id)


@invitation.command("list")
@click.argument("organization", metavar="ORG")
def list_(organization: str) -> Json:
    """The open invitations of an organization."""
    return [_shown(one) for one in invitations.in_organization(naming.organization(organization))]


@invitation.command("delete")
@click.argument("invitation_id", metavar="INVITATION")
def delete(invitation_id: str) -> Json:
    """Revoke an invitation: its link is dead."""
    with database.writing():
        invitations.revoke(listings.home_of(invitation_id), invitation_id, by=operator())
    return view(invitation_id)


def view(invitation_id: str) -> Json:
    """An invitation as the command line shows it."""
    return _shown(invitations.find(listings.home_of(invitation_id), invitation_id))


def _shown(one: Invitation) -> dict[str, Json]:
    return {
        "id": one.id,
        "organization": one.organization_id,
        "address": one.address,
        "created_at": moment(one.created_at),
        "expires_at": moment(one.expires_at),
        "outcome": one.outcome,
    }


def _made(one: Invitation, token: str, *, print_link: bool) -> dict[str, Json]:
    link = {"link": f"{settings().issuer}{invitation_words.PATH}/{token}"} if print_link else {}
    return {**_shown(one), **link}


def _offered(organization_id: str, text: str) -> Offered:
    role, at, scope = text.partition("@")
    place = scopes.named(scope) if at else scopes.of_organization(organization_id)
    if place.organization_id != organization_id:
        raise Invalid(f"{scope} is not in this organization")
    return Offered(role, place)
