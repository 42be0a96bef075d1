"""What the file may name: whatever there is and whatever it makes, by every name that it can be called.

Everything is matched before anything is planned, so nothing depends on the order of the file.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property

from idp.cli.apply.places import Faults, Place
from idp.cli.apply.present import Account, Grant, Group, Organization, Person, Present, Role, Team
from idp.cli.apply.shelves import Shelf
from idp.cli.apply.steps import Ref
from idp.cli.apply.wanted import (
    Said,
    WantedAccount,
    WantedFile,
    WantedGroup,
    WantedMembership,
    WantedOrganization,
    WantedRole,
    WantedTeam,
    WantedUser,
)
from idp.platform import identifiers
from idp.users import names


@dataclass(frozen=True, slots=True)
class PersonPair:
    """What the file says of a person, and who that is now (`None`: nobody yet)."""

    wanted: WantedUser
    before: Person | None
    ref: Ref


class People:
    """Everybody who can be named, and everybody of whom the file says something."""

    def __init__(self, wanted: Iterable[WantedUser], present: Mapping[str, Person], faults: Faults) -> None:
        self._faults = faults
        self._present = present
        self.by_username = {person.key: person for person in present.values()}
        self.by_address = {address.key: person for person in present.values() for address in person.addresses}
        self.pairs = [self._match(one) for one in wanted]
        self.leaving = {pair.ref for pair in self.pairs if pair.wanted.is_absent}
        self._known = self._names()

    def find(self, said: Said) -> Ref | None:
        """Who is meant: an id, a username, or an address; nobody is a fault."""
        text = said.text
        key = text if identifiers.is_one("usr", text) else names.username_key(text)
        found = self._known.get(key or "")
        if found is None:
            self._faults.add(said.place, f"expected a person who exists or stands in this file, not {text[:80]!a}")
        elif found in self.leaving:
            self._faults.add(said.place, f"expected somebody who stays: {text!a} is absent in this file")
            return None
        return found

    def of_id(self, user_id: str) -> Ref:
        """Somebody who exists, by id."""
        return self._known.get(user_id) or Ref("user", user_id, user_id)

    def keeps_username(self, person: Person) -> bool:
        """Whether this file leaves the person the present username."""
        pair = self._mentioned.get(person.id)
        return pair is None or names.username_key(pair.ref.name) == person.key

    def keeps_address(self, person: Person, address_key: str) -> bool:
        """Whether this file leaves the person the address."""
        pair = self._mentioned.get(person.id)
        return pair is None or not any(
            one.is_absent and one.address.key == address_key for one in pair.wanted.addresses
        )

    @cached_property
    def _mentioned(self) -> Mapping[str, PersonPair]:
        return {pair.ref.id: pair for pair in self.pairs}

    def _match(self, wanted: WantedUser) -> PersonPair:
        """By id if the file says one, else by username, else by address."""
        email = next((one.address for one in wanted.addresses if one.is_primary), None)
        if wanted.id:
            before = self._present.get(wanted.id)
        elif wanted.username:
            before = self.by_username.get(names.username_key(wanted.username) or "")
        else:
            before = self.by_address.get(email.key if email else "")
        said = wanted.username or (before.username if before else "") or (email.address if email else wanted.id)
        return PersonPair(wanted, before, Ref("user", said, before.id if before else ""))

    def _names(self) -> dict[str, Ref]:
        """Whoever can be named, by ids, usernames and addresses as they will be; two of one name are a fault."""
        known: dict[str, Ref] = {}
        mentioned = {pair.ref.id for pair in self.pairs}
        for person in self._present.values():
            if person.id not in mentioned:
                ref = Ref("user", person.username, person.id)
                known |= dict.fromkeys((person.id, person.key, *(one.key for one in person.addresses)), ref)
        stands: dict[str, Place] = {}
        for pair in self.pairs:
            place = pair.wanted.place
            for name in self._said(pair):
                if stands.setdefault(name, place) is not place:
                    self._faults.add(place, f"expected once: {name!a} stands on line {stands[name].line} already")
                known[name] = pair.ref
            for address in pair.before.addresses if pair.before else ():
                known.setdefault(address.key, pair.ref)
        return known

    def _said(self, pair: PersonPair) -> set[str]:
        addresses = {one.address.key for one in pair.wanted.addresses if not one.is_absent}
        return ({pair.ref.id or pair.wanted.id, names.username_key(pair.ref.name) or ""} | addresses) - {""}


_BOTH = frozenset(["organization", "account"])


@dataclass
class OrganizationOutlook:
    """An organization as the file may speak of it. `before`: an empty one if it is new; `wanted`: if it stands there.

    `members`: by the person; `memberships`: what the file says of them; `leaving`: members who will be none; `founder`:
    the first owner of a new one.
    """

    ref: Ref
    before: Organization
    wanted: WantedOrganization | None
    accounts: Shelf[WantedAccount, Account]
    groups: Shelf[WantedGroup, Group]
    roles: Shelf[WantedRole, Role]
    teams: Shelf[WantedTeam, Team]
    members: dict[Ref, Ref] = field(default_factory=dict)
    memberships: dict[Ref, WantedMembership] = field(default_factory=dict)
    leaving: set[Ref] = field(default_factory=set)
    founder: Ref | None = None

    @property
    def slug(self) -> str:
        """As it will be."""
        return self.ref.name

    @cached_property
    def grants(self) -> Mapping[str, list[Grant]]:
        """The present grants, by grantee."""
        found: dict[str, list[Grant]] = {}
        for grant in self.before.grants:
            found.setdefault(grant.grantee, []).append(grant)
        return found

    @cached_property
    def role_levels(self) -> Mapping[str, frozenset[str]]:
        """Where the organization's own roles can be given, by their keys, as they will be."""
        found = {role.key: role.levels for role in self.before.roles.values()}
        for pair in self.roles.pairs:
            found[pair.wanted.key] = pair.wanted.levels or found.get(pair.wanted.key, _BOTH)
            if pair.wanted.is_absent:
                del found[pair.wanted.key]
        return found

    @cached_property
    def scopes(self) -> Mapping[str, Ref]:
        """What the present grants call their scopes."""
        found = {one.placement: self.accounts.of_id(one.id) for one in self.before.accounts.values()}
        found |= {group_id: self.groups.of_id(group_id) for group_id in self.before.groups}
        return found | {self.before.id: self.ref}

    @cached_property
    def scope_ids(self) -> Mapping[Ref, str]:
        """The other way round."""
        return {ref: scope for scope, ref in self.scopes.items()}


class Outlook:
    """Everything that the file may name."""

    def __init__(self, file: WantedFile, present: Present, faults: Faults) -> None:
        self.present = present
        self.faults = faults
        self.people = People(file.users, present.people, faults)
        self.organizations: list[OrganizationOutlook] = []
        self._named: dict[str, OrganizationOutlook] = {}
        for one in file.organizations:
            self._add(one, self._match(one))
        for before in present.organizations.values():
            if before.id not in self._named:
                self._add(None, before)
        self._take_members()
        self._declared = _declared(file, present)

    def declares(self, audience: str, permission: str) -> bool:
        """Whether the API at `audience` (empty: any) will declare the permission."""
        return permission in self._declared.get(audience, frozenset())

    def organization(self, said: Said) -> OrganizationOutlook | None:
        """The organization that is meant, by id or slug (a former one too); none, or a closed one, is a fault."""
        found = self._named.get(said.text) or self._named.get(self.present.slugs.get(said.text, ""))
        if found is None:
            expected = "expected an organization that exists or stands in this file"
            self.faults.add(said.place, f"{expected}, not {said.text[:80]!a}")
        elif found.before.is_closed or (found.wanted is not None and found.wanted.is_absent):
            self.faults.add(said.place, f"expected an organization that is open, not {said.text!a}")
            return None
        return found

    def of_id(self, organization_id: str) -> Ref:
        """An organization that exists, by id."""
        found = self._named.get(organization_id)
        return found.ref if found else Ref("organization", organization_id, organization_id)

    def _match(self, wanted: WantedOrganization) -> Organization | None:
        """By id if the file says one, else by slug; a slug that is or was another's is a fault."""
        holder = self.present.slugs.get(wanted.slug, "")
        before = self.present.organizations.get(wanted.id or holder)
        if holder and (before is None or before.id != holder or (not wanted.id and before.slug != wanted.slug)):
            self.faults.add(wanted.place.of("slug"), f"expected a slug that is free: {holder} has it, or had it once")
        return before

    def _add(self, wanted: WantedOrganization | None, known: Organization | None) -> None:
        before = known or Organization("", wanted.slug if wanted else "", "")
        slug, faults = wanted.slug if wanted else before.slug, self.faults
        one = OrganizationOutlook(
            ref=Ref("organization", slug, before.id),
            before=before,
            wanted=wanted,
            accounts=Shelf("account", f"{slug}/", wanted.accounts if wanted else (), before.accounts, faults),
            groups=Shelf("group", f"{slug}/group:", wanted.groups if wanted else (), before.groups, faults),
            roles=Shelf("role", f"{slug}/", wanted.roles if wanted else (), before.roles, faults),
            teams=Shelf("team", f"{slug}/", wanted.teams if wanted else (), before.teams, faults),
        )
        self.organizations.append(one)
        self._name(one)
        for member in before.members.values():
            user = self.people.of_id(member.user_id)
            one.members[user] = Ref("member", user.name, member.id)

    def _name(self, one: OrganizationOutlook) -> None:
        """Let it be found by slug and id; a second one of either is a fault."""
        names_of_one = {"slug": one.slug, "id": one.before.id or (one.wanted.id if one.wanted else "")}
        twice = [name for name, text in names_of_one.items() if text in self._named]
        if twice and one.wanted is not None:
            text = names_of_one[twice[0]]
            other = self._named[text].wanted
            line = other.place.line if other is not None else 0
            self.faults.add(one.wanted.place.of(twice[0]), f"expected once: {text!a} stands on line {line} already")
        self._named |= {text: one for text in names_of_one.values() if text}

    def _take_members(self) -> None:
        """Who is or becomes a member where: by memberships of the file, and by founding."""
        for pair in self.people.pairs:
            if pair.wanted.is_absent:
                for one in self.organizations:
                    if pair.ref in one.members:
                        one.leaving.add(one.members[pair.ref])
                continue
            for membership in pair.wanted.memberships:
                self._take_membership(membership, pair.ref)
        for one in self.organizations:
            if not one.before.id and one.wanted is not None and one.wanted.owner is not None:
                owner = self.people.find(one.wanted.owner)
                if owner is not None:
                    one.founder = owner
                    one.members.setdefault(owner, Ref("member", owner.name))

    def _take_membership(self, membership: WantedMembership, user: Ref) -> None:
        one = self.organization(membership.organization)
        if one is None:
            return
        if user in one.memberships:
            self.faults.add(membership.place, "expected one membership an organization")
            return
        one.memberships[user] = membership
        member = one.members.setdefault(user, Ref("member", user.name))
        if membership.is_absent:
            one.leaving.add(member)


def _declared(file: WantedFile, present: Present) -> Mapping[str, Set[str]]:
    """What the APIs will declare, by audience; under the empty one, what any of them does."""
    found: dict[str, Set[str]] = {audience: api.settings.permissions.keys() for audience, api in present.apis.items()}
    for wanted in file.apis:
        if wanted.is_absent:
            found.pop(wanted.audience, None)
        elif wanted.permissions is not None:
            found[wanted.audience] = wanted.permissions.keys()
    return found | {"": {name for names_of_one in found.values() for name in names_of_one}}
