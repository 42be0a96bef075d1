"""The plan: the difference between a file and what there is, as frozen steps in the order in which they are done.

A pure function of both: nothing is asked of the database, and drawing twice gives the same.
"""

from collections import Counter
from dataclasses import dataclass, field

from idp.cli.apply import plan_clients, plan_organizations, plan_users
from idp.cli.apply.drawing import Drawing, Note
from idp.cli.apply.outlook import Outlook
from idp.cli.apply.passwords import Passwords
from idp.cli.apply.places import Faults
from idp.cli.apply.present import Asked, Present
from idp.cli.apply.steps import Step, place_in_order
from idp.cli.apply.wanted import Said, WantedFile
from idp.platform import identifiers
from idp.users import names


@dataclass(frozen=True)
class Plan:
    """What is to be done, in order; and what is not although it could be taken for wanted.

    `outlook`: what it was drawn from.
    """

    steps: tuple[Step, ...]
    notes: tuple[Note, ...]
    outlook: Outlook = field(repr=False, compare=False)

    def counts(self) -> dict[str, int]:
        """How many steps of each act."""
        return dict(sorted(Counter(step.ACT for step in self.steps).items()))


def draw(file: WantedFile, present: Present, passwords: Passwords) -> Plan:
    """The difference. Raises `FileRefused` with everything in the file that cannot be."""
    faults = Faults()
    outlook, drawing = Outlook(file, present, faults), Drawing(faults)
    for api in file.apis:
        plan_clients.draw_api(api, outlook, drawing)
    for person in outlook.people.pairs:
        plan_users.draw(person, outlook, passwords, drawing)
    for one in outlook.organizations:
        plan_organizations.draw(one, outlook, drawing)
        plan_users.draw_memberships(one, outlook, drawing)
    for client in file.clients:
        plan_clients.draw(client, outlook, drawing)
    for key in file.keys:
        plan_clients.draw_key(key, outlook, drawing)
    for operator in file.operators:
        plan_users.draw_operator(operator, outlook, drawing)
    faults.settle(file.name)
    drawing.steps.sort(key=place_in_order)
    return Plan(tuple(drawing.steps), tuple(drawing.notes), outlook)


def asked(file: WantedFile) -> Asked:
    """What has to be read to draw the plan: whatever the file speaks of."""
    people = [said.text for said in _people(file)]
    usernames = {names.username_key(text) or "" for text in people if not identifiers.is_one("usr", text)}
    addresses = {one.address.key for user in file.users for one in user.addresses}
    return Asked(
        organizations=frozenset(_organizations(file)),
        people=frozenset(usernames | {text for text in people if identifiers.is_one("usr", text)}),
        addresses=frozenset(addresses | {name for name in usernames if "@" in name}),
        clients=frozenset(client.id for client in file.clients),
    )


def _people(file: WantedFile) -> list[Said]:
    found = [said for one in file.organizations for said in (one.owner, one.deputy) if said is not None]
    found += [said for one in file.organizations for team in one.teams for said in team.members or ()]
    found += [one.user for one in file.operators]
    found += [Said(text, user.place) for user in file.users for text in (user.id, user.username) if text]
    return found


def _organizations(file: WantedFile) -> set[str]:
    found = {text for one in file.organizations for text in (one.id, one.slug) if text}
    found |= {membership.organization.text for user in file.users for membership in user.memberships}
    for client in file.clients:
        said = [client.owner, *(client.enabled_for or ()), *(client.switched_off or ())]
        said += [held.organization for held in client.held_in]
        said += [client.context.organization] if client.context else []
        found |= {one.text for one in said if one is not None}
    return found
