"""What only an application can do, in a process of its own: another node on the provider's database.

Answers commands, one JSON list a line: its name and its arguments.
"""

import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import select

from idp.app import create_app
from idp.audit.trail import Actor
from idp.oauth import active_clients, audiences, authorizations, contexts, issuance
from idp.oauth.issuance import Issuance
from idp.organizations import effective, grants, scopes
from idp.organizations.effective import Context, Holder
from idp.organizations.models import Membership, Organization, Placement
from idp.platform import clock, database
from idp.platform.settings import Settings
from idp.users.models import User

_BY: Final = Actor("operator", "benchmarks")


def main() -> None:
    """Answer commands until there are no more."""
    app = create_app(Settings.load(os.environ))
    with app.app_context():
        print("ready", flush=True)
        for line in sys.stdin:
            name, *arguments = json.loads(line)
            print(json.dumps(COMMANDS[name](*arguments)), flush=True)
            database.session().rollback()


# A role that is taken away


def take(username: str, organization: str, key: str) -> float:
    """Take from somebody what they hold on an account; when that was committed, in seconds of the monotonic clock."""
    member, placement = _member(username, organization), _placement(organization, key)
    with database.writing():
        for one in grants.of_grantee(member.organization_id, member.id):
            if one.placement_id == placement.id:
                grants.end(member.organization_id, one.id, by=_BY)
    return time.monotonic()


def give(username: str, organization: str, key: str, role: str) -> None:
    """Give somebody a role on an account."""
    member, placement = _member(username, organization), _placement(organization, key)
    scope = scopes.of_account(member.organization_id, placement.account_id)
    with database.writing():
        grants.grant(grants.Wanted(grants.Grantee("member", member.id), role, scope), by=_BY)


def _member(username: str, organization: str) -> Membership:
    wanted = select(Membership).join(User, User.id == Membership.user_id)
    wanted = wanted.join(Organization, Organization.id == Membership.organization_id)
    return database.session().scalars(wanted.where(User.username == username, Organization.slug == organization)).one()


def _placement(organization: str, key: str) -> Placement:
    wanted = select(Placement).join(Organization, Organization.id == Placement.organization_id)
    return database.session().scalars(wanted.where(Organization.slug == organization, Placement.key == key)).one()


# What issuing costs


def issue(authorization_ids: Mapping[str, str], rounds: int) -> dict[str, dict[str, float]]:
    """Microseconds (medians) to enter and issue, and to ask for the roles alone, for each authorization, in
    alternation; and the bytes of the access token.
    """
    makers = {name: _issuer(id) for name, id in authorization_ids.items()}
    askers = {name: _asker(id) for name, id in authorization_ids.items()}
    sizes = {name: len(str(make()["access_token"])) for name, make in makers.items()}
    issued, asked = _alternated(makers, rounds), _alternated(askers, rounds)
    return {name: {"issue_us": issued[name], "roles_us": asked[name], "bytes": sizes[name]} for name in makers}


def _issuer(authorization_id: str) -> Callable[[], Mapping[str, object]]:
    authorization = authorizations.find_live(authorization_id)
    client = active_clients.find(authorization.client_id) if authorization else None
    if authorization is None or client is None:
        raise LookupError(authorization_id)
    audience = audiences.meant((), authorization.resources)

    def make() -> Mapping[str, object]:
        entered = contexts.enter_again(authorization, client)
        return issuance.issue(Issuance(client, authorization, authorization.scope, audience, entered))

    return make


def _asker(authorization_id: str) -> Callable[[], object]:
    authorization = authorizations.find_live(authorization_id)
    if authorization is None:
        raise LookupError(authorization_id)
    holder = Holder(authorization.user_id)
    context = Context(authorization.organization_id or "", authorization.account_id or "")
    return lambda: effective.effective_roles(holder, context)


def _alternated(acts: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in acts}
    for _, (name, act) in itertools.product(range(rounds), acts.items()):
        began = clock.monotonic()
        act()
        taken[name].append(clock.monotonic() - began)
    return {name: statistics.median(times) * 1e6 for name, times in taken.items()}


COMMANDS: Final[Mapping[str, Callable[..., object]]] = {"take": take, "give": give, "issue": issue}

if __name__ == "__main__":
    main()
