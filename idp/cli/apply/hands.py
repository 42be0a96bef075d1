"""Who carries a plan out, and what has been made so far."""

from collections.abc import Iterable

from idp.audit.trail import Actor
from idp.cli.apply.steps import Ref
from idp.clients.sectors import Sectors
from idp.organizations import scopes
from idp.organizations.scopes import Scope
from idp.users import users
from idp.users.models import User


class Hands:
    """Who acts, what was seen elsewhere before, and the ids of what has been made so far."""

    def __init__(self, by: Actor, sectors: Sectors) -> None:
        self.by = by
        self.sectors = sectors
        self._made: dict[Ref, str] = {}
        self._members: dict[tuple[str, str], str] = {}

    def made(self, ref: Ref, id: str) -> None:
        """Remember the id of something new."""
        self._made[ref] = id

    def joined(self, organization: Ref, user: Ref, member_id: str) -> None:
        """Remember the id of a new membership."""
        self._members[organization.name, user.name] = member_id

    def id(self, ref: Ref) -> str:
        """The id of what exists, or has been made."""
        return ref.id or self._made[ref]

    def user(self, ref: Ref) -> User:
        """The person."""
        return users.find(self.id(ref))

    def member(self, organization: Ref, member: Ref) -> str:
        """The id of a membership; new ones are known by organization and person."""
        return member.id or self._members[organization.name, member.name]

    def scopes(self, organization: Ref, refs: Iterable[Ref]) -> dict[Ref, Scope]:
        """The scopes of grants, in one statement."""
        organization_id, wanted = self.id(organization), set(refs)
        accounts = [ref for ref in wanted if ref.kind == "account"]
        placed = scopes.of_accounts(organization_id, [self.id(ref) for ref in accounts])
        found = dict(zip(accounts, placed, strict=True))
        for ref in wanted - found.keys():
            found[ref] = Scope(organization_id, account_group_id=self.id(ref) if ref.kind == "group" else "")
        return found
